"""Starting points: where the gradient would lead if the activation pattern were another one."""

from __future__ import annotations

import numpy as np

from pyomo_relugrad.arrays import Array
from pyomo_relugrad.problem.landscape import Landscape, add_to_inputs
from pyomo_relugrad.search.domains.projection import Domain


def structured_starts(landscape: Landscape, domain: Domain, random: np.random.Generator, count: int) -> Array:
    """A mixture (count, d): half random-pattern, a quarter row-space, a quarter uniform points, interleaved.

    On wide inputs uniform points all see nearly the same pattern and climb into the same basins; the vertices for
    gradients under other patterns do not.
    """
    n_row_space = n_uniform = count // 4
    n_pattern = count - n_row_space - n_uniform
    parts = [
        random_pattern_starts(landscape, domain, random, n_pattern),
        row_space_starts(landscape, domain, random, n_row_space),
        domain.sample(random, n_uniform).astype(landscape.dtype),
    ]
    return np.concatenate(parts)[random.permutation(count)]


def random_pattern_starts(landscape: Landscape, domain: Domain, random: np.random.Generator, count: int) -> Array:
    """Vertices for the gradients under random activation patterns, a random share of the ReLUs active."""
    shares = random.random((count, 1))
    patterns = []
    for stage in landscape.problem.stages:
        rows = (count, len(stage.inputs) * stage.network.n_relus)
        pattern = random.random(rows) < shares
        patterns.append(pattern.reshape(count * len(stage.inputs), stage.network.n_relus))
    anywhere = np.repeat(domain.sample(random, 1), count, axis=0)
    gradient = landscape.gradient_under(anywhere, tuple(patterns))
    return domain.vertices(gradient).astype(landscape.dtype)


def row_space_starts(landscape: Landscape, domain: Domain, random: np.random.Generator, count: int) -> Array:
    """Vertices that maximize ``u @ W x`` for random ``u >= 0``, W the first layer's weights with rows of length one."""
    gradient = np.zeros((count, landscape.problem.n_columns), landscape.dtype)
    for stage, network in zip(landscape.problem.stages, landscape.networks, strict=True):
        rows = count * len(stage.inputs)
        norms = network.layers[0].row_norms
        weights = random.random((rows, norms.size)) ** 4 / np.where(norms > 0, norms, 1.0)
        nothing = np.zeros((rows, network.n_relus), bool)
        parts = network.pull_back(nothing, 0, weights.astype(landscape.dtype))
        add_to_inputs(stage, gradient, parts.reshape(count, *stage.inputs.shape))
    return domain.vertices(gradient[:, landscape.columns]).astype(landscape.dtype)
