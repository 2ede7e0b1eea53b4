"""Networks of which one input varies, as piecewise-linear curves in mixed-integer programs."""

from dataclasses import replace

import numpy as np
import pytest
from milp_oracle import exact_optimum
from random_models import random_network
from scipy import sparse

from pyomo_relugrad.network import Network
from pyomo_relugrad.problem import EmbeddedNetwork, Problem, bound_problem
from pyomo_relugrad.programs import build_big_m
from pyomo_relugrad.programs.curves import curve_of
from pyomo_relugrad.proof import prove_by_milp

INPUTS = np.array([3, 0, 3])
LOWER, UPPER = np.array([-1.5, 0.3, -1.5]), np.array([2.0, 0.3, 2.0])


@pytest.mark.parametrize("seed", range(4))
def test_a_curve_is_the_network_everywhere(seed):
    network = random_network(np.random.default_rng(seed), (3, 12, 10, 2))
    curve = curve_of(network, INPUTS, LOWER, UPPER, 100)
    assert curve.column == 3
    assert 3 <= curve.n_pieces <= 60
    x = np.linspace(-1.5, 2.0, 999)
    values = np.stack([np.interp(x, curve.points, part) for part in curve.values.T], axis=1)
    assert np.abs(values - network.value(np.stack([x, np.full(999, 0.3), x], axis=1))).max() < 1e-8
    bends = np.abs(np.diff(np.diff(curve.values, axis=0) / np.diff(curve.points)[:, None], axis=0)).max(axis=1)
    assert bends.min() > 1e-6  # no point is there in vain


def test_there_is_no_curve_where_more_inputs_vary_or_pieces_are_many():
    network = random_network(np.random.default_rng(0), (3, 12, 10, 2))
    assert curve_of(network, np.arange(3), LOWER, UPPER, 100) is None
    assert curve_of(network, INPUTS, np.full(3, -np.inf), UPPER, 100) is None
    assert curve_of(network, INPUTS, UPPER, UPPER, 100) is None
    assert curve_of(network, INPUTS, LOWER, UPPER, 2) is None


def test_a_small_output_keeps_its_bends_beside_a_large_one():
    network = Network.from_layers([[[1.0], [1.0]], [[1e10, 0.0], [0.0, 1e-1]]], [[0.0, -0.5], [0.0, 0.0]])
    curve = curve_of(network, np.array([0]), np.array([0.1]), np.array([1.0]), 10)
    assert curve.points == pytest.approx([0.1, 0.5, 1.0])
    assert curve.values[:, 1] == pytest.approx([0.0, 0.0, 5e-2])


def test_there_is_no_curve_of_tiny_steps():
    network = Network.from_layers([[[1.0], [1.0]], [[1.0, 1.0], [2e-7, 0.0]]], [[0.0, -0.5], [0.0, 0.0]])
    assert curve_of(network, np.array([0]), np.array([0.1]), np.array([1.0]), 10) is None
    assert curve_of(network, np.array([0]), np.array([0.1]), np.array([0.10001]), 10) is None


def curves(seed: int) -> Problem:
    """Three networks of a decision each share a budget, and an equation ties two of their outputs.

    Columns: decisions, the networks' common fixed input, a binary that the last network waits for, outputs.
    """
    random = np.random.default_rng(seed)
    networks = [random_network(random, (2, 8, 8, 2)) for _ in range(3)]
    lower, upper = np.r_[np.zeros(3), 0.4, 0.0, np.full(6, -np.inf)], np.r_[np.ones(3), 0.4, 1.0, np.full(6, np.inf)]
    cost, integers = np.r_[0.1, 0.2, 0.0, 0.0, 0.3, random.normal(size=6)], np.zeros(11, bool)
    integers[4] = True
    rows = np.zeros((3, 11))
    rows[0, :3], rows[1, [2, 4]], rows[2, [5, 7]] = 1.0, (1.0, -1.0), (1.0, 0.5)
    embedded = tuple(EmbeddedNetwork(net, [k, 3], [5 + 2 * k, 6 + 2 * k]) for k, net in enumerate(networks))
    problem = Problem(cost, lower, upper, sparse.csr_array(rows), networks=embedded, integers=integers, constant=1.0)
    tied = float(problem.row_activity(problem.propagate(np.full((1, 11), 0.5)))[0, 2])
    return replace(problem, row_lower=np.array([-np.inf, -np.inf, tied]), row_upper=np.array([1.4, 0.0, tied]))


@pytest.mark.parametrize("seed", range(4))
def test_curves_lead_to_the_same_optimum_with_no_more_binaries(seed):
    problem = curves(seed)
    plain, by_curves = (build_big_m(problem, bound_problem(problem), by_curves=by) for by in (False, True))
    assert len(by_curves.curves) + len(by_curves.hidden) == 3
    assert len(by_curves.curves) > 0
    assert by_curves.integers.sum() <= plain.integers.sum()
    assert by_curves.program(relaxed=True).solve().objective >= plain.program(relaxed=True).solve().objective - 1e-7
    result, optimum = prove_by_milp(problem), exact_optimum(problem)
    assert result.incumbent.objective == pytest.approx(optimum, abs=1e-4)
    assert optimum - 1e-3 <= result.bound <= optimum + 1e-6


@pytest.mark.parametrize("seed", range(2))
def test_a_start_fulfils_the_rows_of_curves(seed):
    problem = curves(seed)
    model = build_big_m(problem, bound_problem(problem), by_curves=True)
    for x in (0.0, 0.37, 1.0):
        v = problem.propagate(np.full((1, 11), x))[0]
        v[[3, 4]] = 0.4, 1.0
        v = problem.propagate(v[None])[0]
        values, own = model.start(v), slice(11, None)
        activity = (model.rows @ values)[problem.n_rows :]
        assert (activity >= model.row_lower[problem.n_rows :] - 1e-7).all()
        assert (activity <= model.row_upper[problem.n_rows :] + 1e-7).all()
        assert (values[own] >= model.lower[own] - 1e-9).all()
        assert (values[own] <= model.upper[own] + 1e-9).all()
