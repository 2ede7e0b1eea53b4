"""Networks that feed each other, evaluated and differentiated together."""

import numpy as np
import pytest
from random_networks import random_network

from pyomo_relugrad.network import Layer, Network
from pyomo_relugrad.problem import EmbeddedNetwork, Problem
from pyomo_relugrad.search.smoothing.chain import Chain


def skipping(seed: int) -> Network:
    """A network of three inputs and two outputs whose last layer reads the input too."""
    random = np.random.default_rng(seed)
    hidden = Layer((0,), (random.standard_normal((4, 3)),), random.standard_normal(4))
    last = Layer((0, 1), (random.standard_normal((2, 3)), random.standard_normal((2, 4))), random.standard_normal(2))
    return Network(3, (hidden, last))


def chained(first: Network, second: Network) -> Problem:
    """Three links of two networks; inputs stand twice, come from two links before, and are fixed."""
    n = 22
    networks = (
        EmbeddedNetwork(first, [0, 1, 2], [10, 11]),
        EmbeddedNetwork(second, [3, 2, 1], [12, 13]),
        EmbeddedNetwork(first, [10, 13, 3], [14, 15]),
        EmbeddedNetwork(second, [11, 11, 4], [16, 17]),
        EmbeddedNetwork(first, [14, 12, 14], [18, 19]),
        EmbeddedNetwork(second, [5, 5, 17], [20, 21]),
    )
    lower, upper = np.full(n, -1.0), np.full(n, 1.0)
    lower[10:], upper[10:] = -np.inf, np.inf
    lower[2] = upper[2] = 0.5
    return Problem(np.ones(n), lower, upper, networks=networks)


@pytest.mark.parametrize("share", [0.0, 0.3])
@pytest.mark.parametrize("make", [lambda seed: random_network([3, 6, 5, 2], seed), skipping])
def test_values_and_derivatives_are_those_of_the_networks_one_by_one(make, share):
    problem = chained(make(0), make(1))
    moving = np.array([5, 0, 1, 3, 4])
    V = np.random.default_rng(2).uniform(-1, 1, (16, problem.n_columns))
    V[:, 2] = 0.5
    chain = Chain.of(problem, moving, problem.propagate(V))
    chain = chain.rounded(share) if share else chain
    propagated, expected = chain.propagate(V), V.copy()
    for stage in chain.stages:
        stage.propagate(expected)
    np.testing.assert_allclose(propagated, expected, atol=1e-12)

    S = chain.models(propagated, np.zeros_like(V)).slopes
    length = 1e-7
    for number, column in enumerate(moving):
        moved = propagated.copy()
        moved[:, column] += length
        np.testing.assert_allclose((chain.propagate(moved) - propagated) / length, S[:, :, number], atol=1e-5)
