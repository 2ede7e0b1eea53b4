"""Levels that some of many scenarios have to reach: no feasible point is lost, and quantiles bound the level."""

from dataclasses import replace
from itertools import product

import numpy as np
import pytest
from milp_oracle import exact_optimum
from random_models import random_network
from scipy import sparse

from pyomo_relugrad.network import Network
from pyomo_relugrad.problem import EmbeddedNetwork, Problem
from pyomo_relugrad.problem.presolve.mixing_sets import MixingTightening
from pyomo_relugrad.proof.boxes.tree import prove
from pyomo_relugrad.proof.root_bound import dual_bound
from pyomo_relugrad.run import Budget, SearchContext
from pyomo_relugrad.search import DecisionSearch
from pyomo_relugrad.search.decisions.decisions import Decisions
from pyomo_relugrad.search.decisions.landscape import Landscape
from pyomo_relugrad.search.decisions.level_descent import LevelDescent

SCENARIOS = 6


def levels(seed: int, sign: float = 1.0, least: float = 4.0, mirrored: bool = False) -> Problem:
    """A level that outputs of a network reach in scenarios; weights of those that count are not below a number.

    Columns: x, the level, binaries, outputs. With a negative sign the level is to be small and outputs stay below it;
    mirrored binaries are one where a scenario does not count.
    """
    random = np.random.default_rng(seed)
    network = random_network(random, (3, 6, 1))
    n = 2 + 2 * SCENARIOS + SCENARIOS
    binaries, outputs, drawn = (2 + SCENARIOS * k + np.arange(SCENARIOS) for k in range(3))
    lower, upper, integers = np.full(n, -np.inf), np.full(n, np.inf), np.zeros(n, bool)
    lower[:2], upper[:2] = (-1.0, -20.0), (1.0, 20.0)
    lower[binaries], upper[binaries], integers[binaries] = 0.0, 1.0, True
    lower[drawn] = upper[drawn] = random.normal(size=SCENARIOS)
    rows, low, high = np.zeros((SCENARIOS + 1, n)), np.full(SCENARIOS + 1, -np.inf), np.full(SCENARIOS + 1, np.inf)
    for scenario in range(SCENARIOS):
        factor = random.uniform(0.5, 2.0)
        big = factor * random.uniform(30.0, 50.0)
        rows[scenario, 1], rows[scenario, outputs[scenario]] = sign * factor, -sign * factor
        rows[scenario, binaries[scenario]] = -big if mirrored else big
        high[scenario] = 0.0 if mirrored else big
    weights = random.integers(1, 3, SCENARIOS).astype(float)
    rows[-1, binaries] = weights
    low[-1], high[-1] = (-np.inf, weights.sum() - least) if mirrored else (least, np.inf)
    cost = np.zeros(n)
    cost[1] = -sign
    inputs = np.stack([np.zeros(SCENARIOS, int), drawn, drawn[::-1]], axis=1)
    embedded = tuple(EmbeddedNetwork(network, *ends) for ends in zip(inputs, outputs[:, None], strict=True))
    return Problem(cost, lower, upper, sparse.csr_array(rows), low, high, integers, embedded)


def best_level(problem: Problem, v: np.ndarray) -> float:
    """The best level at outputs that are fixed, by all choices of binaries."""
    rows, best = problem.rows.toarray(), np.inf
    rest = v * (problem.is_output | (problem.lower == problem.upper))
    for choice in product((0.0, 1.0), repeat=SCENARIOS):
        rest[problem.integers] = choice
        if problem.row_lower[-1] <= rows[-1] @ rest <= problem.row_upper[-1]:
            ends = (problem.row_upper[:-1] - rows[:-1] @ rest) / rows[:-1, 1]
            level = min(ends.min(), 20.0) if problem.cost[1] < 0 else max(ends.max(), -20.0)
            best = min(best, problem.cost[1] * level)
    return best


@pytest.mark.parametrize("mirrored", [False, True])
@pytest.mark.parametrize("sign", [1.0, -1.0])
@pytest.mark.parametrize("seed", range(3))
def test_at_fixed_outputs_the_level_is_bounded_by_its_optimum(seed, sign, mirrored):
    check_the_bound_of_the_level(levels(seed, sign, mirrored=mirrored), seed, sign)


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_where_all_have_to_count_the_worst_of_them_bounds_the_level(sign):
    least = levels(0, sign).rows.toarray()[-1].sum()
    check_the_bound_of_the_level(levels(0, sign, least=least), 0, sign)


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_rows_that_are_written_the_other_way_round_say_the_same(sign):
    problem = levels(1, sign)
    turned = replace(problem, rows=-problem.rows, row_lower=-problem.row_upper, row_upper=-problem.row_lower)
    check_the_bound_of_the_level(turned, 1, sign, problem)


def check_the_bound_of_the_level(problem, seed, sign, plain=None):
    """At a few values of the outputs; where rows are turned the plain problem enumerates the choices."""
    values = problem.propagate(np.random.default_rng(seed).uniform(-1, 1, (4, problem.n_columns)))
    for v in values:
        fixed = replace(problem, networks=(), lower=problem.lower.copy(), upper=problem.upper.copy())
        fixed.lower[problem.is_output] = fixed.upper[problem.is_output] = v[problem.is_output]
        lower, upper, possible = MixingTightening(problem)(fixed.lower[None], fixed.upper[None])
        optimum = best_level(plain or problem, v)
        assert possible.all()
        assert (upper if sign > 0 else -lower)[0, 1] == pytest.approx(-optimum, abs=1e-6)
        assert (upper if sign > 0 else -lower)[0, 1] >= -optimum


@pytest.mark.parametrize("seed", range(4))
def test_boxes_keep_their_feasible_points(seed):
    problem, random = levels(seed), np.random.default_rng(seed)
    V = problem.propagate(random.uniform(-1, 1, (300, problem.n_columns)))
    V = np.where(problem.integers, random.random(V.shape) < 0.8, np.clip(V, problem.lower, problem.upper))
    V[:, 1] = random.uniform(-2, 2, len(V))
    V = V[problem.violation(V) <= 1e-9]
    assert len(V) > 5
    width = random.uniform(0.0, 1.0, V.shape)
    lower, upper = np.maximum(V - width, problem.lower), np.minimum(V + width, problem.upper)
    tight = MixingTightening(problem)(lower, upper)
    assert tight[2].all()
    assert (tight[0] <= V).all()
    assert (tight[1] >= V).all()


@pytest.mark.parametrize("sign", [1.0, -1.0])
@pytest.mark.parametrize("most", [20.0, np.inf])
def test_where_too_few_can_count_there_is_no_point(sign, most):
    problem = levels(0, sign, least=100.0)
    lower, upper = problem.lower[None].copy(), np.minimum(problem.upper, 50.0)[None]
    lower[0, problem.is_output], lower[0, 1], upper[0, 1] = -50.0, -most, most
    assert not MixingTightening(problem)(lower, upper)[2].any()


@pytest.mark.parametrize("sign", [1.0, -1.0])
@pytest.mark.parametrize("seed", range(2))
def test_the_bound_is_below_the_optimum_and_branch_and_bound_comes_to_it(seed, sign):
    problem = levels(seed, sign)
    optimum = exact_optimum(problem)
    assert optimum - 4.0 < dual_bound(problem) <= optimum  # twenty without the quantile
    result = prove(problem, time_limit=30.0, node_limit=2000)
    assert result.incumbent.objective == pytest.approx(optimum, abs=1e-4)
    assert optimum - 1e-2 <= result.bound <= optimum + 1e-6


@pytest.mark.parametrize("mirrored", [False, True])
@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_level_and_binaries_follow_from_what_networks_read(sign, mirrored):
    problem = levels(5, sign, mirrored=mirrored)
    decisions = Decisions.of(problem)
    assert decisions is not None
    assert decisions.columns.tolist() == [0]
    points = decisions.points(np.linspace(-1.0, 1.0, 11)[:, None])
    assert problem.violation(points).max() <= 1e-9
    best = [best_level(problem, v) for v in points]
    np.testing.assert_allclose(problem.objective(points), best, atol=1e-9)
    context = SearchContext(Budget(iteration_limit=40), np.random.default_rng(0))
    found = [point for point in DecisionSearch().run(problem, context) if point is not None]
    assert found[-1].is_feasible
    assert found[-1].objective <= min(best) + 1e-9


def test_a_level_that_other_rows_or_costs_tell_does_not_follow():
    problem = levels(0)
    assert Decisions.of(replace(problem, cost=-problem.cost)) is None
    costly = problem.cost.copy()
    costly[2] = 1.0
    assert Decisions.of(replace(problem, cost=costly)) is None
    row = sparse.csr_array(([1.0], ([0], [1])), shape=(1, problem.n_columns))
    rows = sparse.vstack([problem.rows, row], format="csr")
    sides = np.append(problem.row_lower, -np.inf), np.append(problem.row_upper, 3.0)
    assert Decisions.of(replace(problem, rows=rows, row_lower=sides[0], row_upper=sides[1])) is None


def test_the_rows_that_count_are_chosen_anew_after_each_step():
    """Three of four lines reach the level; the first three alone, those at the start, would end at 3, where x is 3."""
    slopes, offsets = np.array([0.0, 1.0, -1.0, 2.0]), np.array([50.0, 0.0, 6.0, -1.0])
    n = 2 + 3 * slopes.size
    binaries, outputs = 2 + np.arange(4), 6 + np.arange(4)
    lower, upper, integers = np.full(n, -np.inf), np.full(n, np.inf), np.zeros(n, bool)
    lower[:2], upper[:2] = (0.0, -100.0), (10.0, 100.0)
    lower[binaries], upper[binaries], integers[binaries] = 0.0, 1.0, True
    lower[-4:] = upper[-4:] = 0.0
    rows, cost = np.zeros((5, n)), np.zeros(n)
    rows[np.arange(4), 1], rows[np.arange(4), binaries], rows[np.arange(4), outputs] = 1.0, 200.0, -1.0
    rows[4, binaries], cost[1] = 1.0, -1.0
    low, high = np.array([*[-np.inf] * 4, 3.0]), np.array([*[200.0] * 4, np.inf])
    networks = tuple(
        EmbeddedNetwork(Network.from_layers([[[slope]]], [[offset]]), [0], [output])
        for slope, offset, output in zip(slopes, offsets, outputs, strict=True)
    )
    problem = Problem(cost, lower, upper, sparse.csr_array(rows), low, high, integers, networks)
    decisions = Decisions.of(problem)
    assert decisions is not None
    assert LevelDescent.suits(decisions)
    X = decisions.random(16, np.random.default_rng(0))
    descent = LevelDescent(decisions, Landscape(decisions, X, 10.0), X, 10.0, Budget())
    *_, (x, value) = descent.run(np.array([0.0]))
    assert x == pytest.approx([7 / 3])
    assert value == pytest.approx(-11 / 3)
    integral = replace(problem, integers=problem.integers | (np.arange(n) == 0))
    assert not LevelDescent.suits(Decisions.of(integral))
