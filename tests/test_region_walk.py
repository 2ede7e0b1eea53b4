"""Exact linear programs over regions and the walk across facets, against all facets at once and finite steps."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from random_models import random_network
from scipy.optimize import linprog

from pyomo_relugrad.network import Network
from pyomo_relugrad.problem import EmbeddedNetwork, Problem
from pyomo_relugrad.programs.linearization import Linearization
from pyomo_relugrad.run.budget import Budget
from pyomo_relugrad.search.sequential.facet_crossing import RegionWalk, _facets_at
from pyomo_relugrad.search.sequential.region_model import RegionModel

INF = np.inf


def box_problem(seed: int, sizes=(4, 12, 10, 1)) -> Problem:
    network = random_network(np.random.default_rng(seed), sizes)
    n = sizes[0]
    return Problem(
        cost=np.concatenate([np.full(n, 0.1), [1.0]]),
        lower=np.concatenate([np.full(n, -1.0), [-INF]]),
        upper=np.concatenate([np.full(n, 1.0), [INF]]),
        networks=(EmbeddedNetwork(network, np.arange(n), [n]),),
    )


@given(st.integers(0, 10_000))
@settings(max_examples=30, deadline=None)
def test_lazy_facets_give_the_optimum_of_all_facets(seed):
    problem = box_problem(seed)
    v = problem.propagate(np.random.default_rng(seed).uniform(-1, 1, size=(1, 5)))[0]
    linearization = Linearization(problem)
    optimum = RegionModel(problem, linearization).optimum(v, linearization.patterns(v), Budget())
    region = problem.networks[0].network.region(v[:4])
    facets = region.facets()
    cost = problem.cost[:4] + region.jacobian[0]
    exact = linprog(cost, -facets.rows, facets.offsets, bounds=(-1, 1))
    assert problem.objective(optimum.values[None, :])[0] == pytest.approx(exact.fun + region.offset[0], abs=1e-7)
    assert problem.network_error(optimum.values[None, :])[0] < 1e-7


def test_facets_are_generated_only_where_they_are_crossed():
    problem = box_problem(0, sizes=(20, 300, 1))
    v = problem.propagate(np.random.default_rng(0).uniform(-1, 1, size=(1, 21)))[0]
    linearization = Linearization(problem)
    optimum = RegionModel(problem, linearization).optimum(v, linearization.patterns(v), Budget())
    assert 0 < optimum.facets.lower.size < 150


@given(st.integers(0, 10_000))
@settings(max_examples=15, deadline=None)
def test_the_multiplier_test_predicts_the_slope_behind_last_layer_facets(seed):
    """Behind one facet of the last hidden layer the objective changes at the predicted rate along the edge."""
    problem = box_problem(seed, sizes=(4, 14, 1))
    v = problem.propagate(np.random.default_rng(seed).uniform(-1, 1, size=(1, 5)))[0]
    linearization = Linearization(problem)
    optimum = RegionModel(problem, linearization).optimum(v, linearization.patterns(v), Budget())
    walk = RegionWalk(problem, linearization)
    facets = optimum.facets
    x = optimum.values[:4]
    slack = facets.rows @ optimum.values - facets.lower
    active = np.flatnonzero((slack < 1e-8) & (optimum.facet_multipliers > 1e-7))
    rates = [crossing.rate for crossing in walk._crossings_of(optimum, 0, 0, active)]
    at_bound = np.flatnonzero(np.abs(np.abs(x) - 1) < 1e-9)
    if active.size + at_bound.size != 4:
        return  # a degenerate vertex: no single edge leaves each facet
    rows = np.concatenate([facets.rows[active].toarray()[:, :4], np.eye(4)[at_bound]])
    for place, rate in enumerate(rates):
        # Along this edge the one facet is left outwards at unit rate, and everything else stays active.
        edge = np.linalg.solve(rows, np.where(np.arange(4) == place, -1.0, 0.0))
        there = problem.propagate(np.concatenate([x + 1e-6 * edge, [0.0]])[None, :])
        slope = (problem.objective(there)[0] - problem.objective(optimum.values[None, :])[0]) / 1e-6
        assert slope == pytest.approx(rate, abs=1e-4 * (1 + np.abs(edge).max()))


@given(st.integers(0, 10_000))
@settings(max_examples=10, deadline=None)
def test_the_walk_only_improves_and_ends_at_a_vertex(seed):
    problem = box_problem(seed)
    v = problem.propagate(np.random.default_rng(seed).uniform(-1, 1, size=(1, 5)))[0]
    points = list(RegionWalk(problem, Linearization(problem)).improve(v, Budget()))
    objectives = [problem.objective(v[None, :])[0], *(point.objective for point in points)]
    assert (np.diff(objectives) <= 1e-9).all()
    assert all(point.is_feasible for point in points)


def test_a_walk_crosses_facets_to_the_global_minimum_of_a_convex_function():
    # A sum of |a_i x - b_i| is convex: its walk cannot end before the global minimum.
    rng = np.random.default_rng(0)
    A, b = rng.normal(size=(12, 3)), rng.normal(size=12) * 0.3
    network = Network.from_layers([np.vstack([A, -A]), np.ones((1, 24))], [np.concatenate([-b, b]), [0.0]])
    problem = Problem(
        cost=np.array([0, 0, 0, 1.0]),
        lower=np.array([-2.0, -2, -2, -INF]),
        upper=np.array([2.0, 2, 2, INF]),
        networks=(EmbeddedNetwork(network, [0, 1, 2], [3]),),
    )
    rows = np.block([[A, -np.eye(12)], [-A, -np.eye(12)]])
    exact = linprog(np.r_[np.zeros(3), np.ones(12)], rows, np.r_[b, -b], bounds=[(-2, 2)] * 3 + [(None, None)] * 12).fun
    for start in rng.uniform(-2, 2, size=(5, 4)):
        points = list(RegionWalk(problem, Linearization(problem)).improve(problem.propagate(start[None])[0], Budget()))
        assert points[-1].objective == pytest.approx(exact, abs=1e-6)


def test_without_networks_a_program_without_an_optimum_is_unbounded():
    problem = Problem(np.array([1.0, 1.0]), np.array([-np.inf, 0.0]), np.array([0.0, 3.0]), integers=[False, True])
    linearization = Linearization(problem)
    v = np.zeros(2)
    assert RegionModel(problem, linearization).optimum(v, linearization.patterns(v), Budget()).is_unbounded


@pytest.mark.filterwarnings("error")
def test_a_neuron_without_weights_has_no_facet():
    network = Network.from_layers([[[1.0], [0.0], [1e-320]], [[1.0, 1.0, 1.0]]], [[0.0, 3.0, 5.0], [0.0]])
    assert _facets_at(network, np.zeros(1), np.ones(3, bool)).neurons.tolist() == [0]
