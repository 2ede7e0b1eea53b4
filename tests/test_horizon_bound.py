"""Bounds of problems in stages: never above the optimum, closer with every round, and at it in the end."""

import itertools
from dataclasses import replace

import numpy as np
import pytest
from milp_oracle import exact_optimum
from random_models import random_network, random_problem
from scipy import sparse

from pyomo_relugrad.network import Network
from pyomo_relugrad.problem import EmbeddedNetwork, Incumbent, Problem
from pyomo_relugrad.problem.presolve import presolve
from pyomo_relugrad.proof import HorizonProof, stage_arcs
from pyomo_relugrad.proof import horizon as horizon_module
from pyomo_relugrad.proof.horizon import CELLS, _cells
from pyomo_relugrad.proof.range_minima import RangeMinima, lowered
from pyomo_relugrad.proof.stage_arcs import RelaxedStage
from pyomo_relugrad.run import Options, Route, Stop
from pyomo_relugrad.solve import Portfolio, search, solve_exactly

SWITCHED, DIFFERENCES, MEASURED = range(3)


def horizon(seed: int, kind: int, stages: int = 3) -> Problem:
    """A state that a network gives, or its change; a decision, what is missed of a target, and a switch per stage.

    Where it is measured, the network has a second output, which costs.
    """
    random = np.random.default_rng([kind, seed])
    outputs = 2 if kind == MEASURED else 1
    networks = [random_network(random, (2, 5, outputs))] * stages
    state, decision, missed, switch = np.split(np.arange(4 * stages + 1), np.cumsum([stages + 1, stages, stages]))
    change = switch[-1] + 1 + np.arange(stages * outputs).reshape(stages, outputs)
    n, rows, sides = int(change.max()) + 1, [], []

    def row(columns, values, low, high):
        rows.append(np.zeros(n))
        rows[-1][columns] = values
        sides.append((low, high))

    lower, upper, cost, integers = np.full(n, -np.inf), np.full(n, np.inf), np.zeros(n), np.zeros(n, bool)
    lower[state], upper[state] = -2.0, 2.0
    lower[state[0]] = upper[state[0]] = random.uniform(-0.5, 0.5) if seed % 2 else -1.0
    upper[state[0]] += seed % 3 == 0
    lower[decision], upper[decision] = -1.0, 1.0
    lower[missed], upper[missed], cost[missed] = 0.0, 10.0, random.uniform(0.5, 2.0)
    lower[switch], upper[switch], cost[switch] = 0.0, 1.0, 0.1
    integers[switch] = True
    cost[decision] = random.normal(size=stages)
    for t in range(stages):
        row([state[t + 1], missed[t]], [1.0, 1.0], random.uniform(-0.5, 0.5), np.inf)
        row([decision[t], switch[t]], [1.0, -1.0 if kind == SWITCHED else -0.2], -np.inf, 0.0)
        if kind == DIFFERENCES:
            row([state[t + 1], state[t], change[t, 0]], [1.0, -1.0, -0.3], 0.0, 0.0)
        else:
            row([state[t + 1], change[t, 0]], [1.0, -1.0], 0.0, 0.0)
    if kind == MEASURED:
        cost[change[:, 1]] = 0.5
    low, high = np.array(sides).T
    inputs = np.stack([state[:-1], decision], axis=1)
    embedded = tuple(map(EmbeddedNetwork, networks, inputs, change))
    problem = Problem(cost, lower, upper, sparse.csr_array(np.array(rows)), low, high, integers, embedded, constant=2.0)
    return presolve(problem).problem


def proven(problem: Problem, start: Incumbent | None, nodes: int) -> list[float]:
    """The bounds after each step."""
    proof, bounds = HorizonProof(problem, Options(), start), [-np.inf]
    while proof.nodes < nodes and proof.step().stop is None and proof.conclusion() is None:
        bounds.append(proof.bound)
    return [*bounds, proof.bound]


@pytest.mark.parametrize("kind", [SWITCHED, DIFFERENCES, MEASURED])
@pytest.mark.parametrize("seed", range(3))
def test_rounds_come_to_the_optimum_from_below(kind, seed):
    problem = horizon(seed, kind)
    optimum = exact_optimum(problem)
    for start in (None, search(problem, iteration_limit=10).incumbent) if np.isfinite(optimum) else ():
        bounds = proven(problem, start, 4000)
        assert bounds == sorted(bounds)
        assert optimum - 0.3 <= bounds[-1] <= optimum + 1e-6 * (1 + abs(optimum))


def test_the_optimum_is_proven():
    problem = horizon(1, SWITCHED)
    optimum = exact_optimum(problem)
    assert proven(problem, search(problem, iteration_limit=60).incumbent, 100_000)[-1] == pytest.approx(
        optimum, rel=2e-4
    )


@pytest.mark.parametrize("kind", [SWITCHED, MEASURED])
def test_quadratic_costs_are_bounded_by_tangents(kind):
    linear = horizon(1, kind)
    curvature = np.where(linear.integers, 0.0, np.random.default_rng(kind).uniform(0.5, 2.0, linear.n_columns))
    problem = replace(linear, quadratic=sparse.diags_array(curvature).tocsr())
    found = search(problem, iteration_limit=60)
    bounds = proven(problem, None, 8000)  # a start would hide what is wrong
    assert bounds == sorted(bounds)
    assert bounds[-1] <= found.incumbent.objective
    assert bounds[-1] >= found.incumbent.objective - 0.3
    assert exact_optimum(linear) + 0.5 < bounds[-1]


def test_a_horizon_whose_rows_hold_within_the_tolerance_is_not_called_infeasible():
    """The last state is as much beyond the farthest one as a row may be violated; networks have their peak inside."""
    peak = Network.from_layers([[[0.0, 1.0], [0.0, 1.0]], [[1.0, -3.0]]], [[0.0, -0.5], [0.0]])  # 0.5, where u is 0.5
    state, decision, change = np.arange(4), np.arange(4, 7), np.arange(7, 10)
    rows = np.zeros((3, 10))
    rows[np.arange(3), state[1:]], rows[np.arange(3), state[:-1]], rows[np.arange(3), change] = 1.0, -1.0, -0.3

    def ending_at(last: float) -> Problem:
        lower, upper = np.r_[0.0, -1.0, -1.0, last, -np.ones(3), -9.0 * np.ones(3)], np.ones(10)
        upper[state], upper[change] = (0.0, 0.15, 0.3, last), 9.0
        networks = tuple(EmbeddedNetwork(peak, [state[t], decision[t]], [change[t]]) for t in range(3))
        return Problem(np.r_[np.zeros(4), np.ones(3), np.zeros(3)], lower, upper, sparse.csr_array(rows),
                       np.zeros(3), np.zeros(3), networks=networks)  # fmt: skip

    for beyond, is_feasible in ((0.9e-6, True), (1e-3, False)):
        problem = ending_at(0.45 + beyond)
        point = problem.measure(np.r_[0.0, 0.15, 0.3, 0.45 + beyond, 0.5 * np.ones(3), 0.5 * np.ones(3)])
        assert point.is_feasible is is_feasible
        assert HorizonProof.suits(problem)
        assert np.isfinite(proven(problem, None, 3000)[-1]) == is_feasible


def test_the_networks_are_not_bounded_to_see_whether_stages_suit(monkeypatch):
    problem = horizon(1, DIFFERENCES)
    monkeypatch.setattr(horizon_module, "bound_problem", None)
    assert HorizonProof.suits(problem)


def test_batches_of_few_boxes_prove_the_same(monkeypatch):
    problem, sizes = horizon(1, DIFFERENCES), []
    alone = proven(problem, None, 3000)[-1]
    bound = RelaxedStage.bound

    def counted(stage, lower, *others):
        sizes.append(len(lower))
        return bound(stage, lower, *others)

    monkeypatch.setattr(RelaxedStage, "bound", counted)
    monkeypatch.setattr(stage_arcs, "NEURONS_AT_ONCE", 500)
    assert max(proven(problem, None, 3000)) == pytest.approx(alone, abs=1e-9)
    assert max(sizes) == 500 // problem.networks[0].network.n_neurons


def test_the_cost_of_an_output_with_one_value_counts_once():
    linear = horizon(1, SWITCHED)
    v = search(linear, iteration_limit=10).incumbent.values
    last = linear.networks[-1].outputs[0]
    lower, upper = linear.lower.copy(), linear.upper.copy()
    lower[last] = upper[last] = v[last]
    curvature = np.zeros((linear.n_columns,) * 2)
    curvature[last, last] = 40.0
    problem = replace(linear.with_bounds(lower, upper), quadratic=sparse.csr_array(curvature))
    added = 20.0 * v[last] ** 2
    assert added > 0.1
    bound = proven(problem, None, 8000)[-1]  # a start would hide what is wrong
    assert bound == pytest.approx(proven(replace(problem, quadratic=None), None, 8000)[-1] + added)
    assert bound <= problem.measure(v).objective


def test_without_stages_nothing_is_proven():
    assert proven(presolve(random_problem("shared", 3)).problem, None, 1000)[-1] == -np.inf
    problem = horizon(1, SWITCHED)
    joined = replace(problem, quadratic=sparse.csr_array(np.ones((problem.n_columns,) * 2)))
    assert proven(joined, None, 1000)[-1] == -np.inf


@pytest.mark.parametrize("size", [1, 2, 7, 64])
def test_least_values_of_ranges(size):
    random = np.random.default_rng(size)
    ends = np.sort(random.integers(0, size, (2, 50)), axis=0)
    cells, values = random.normal(size=size), random.normal(size=50)
    found, lowest = RangeMinima(cells)(*ends), lowered(size, *ends, values)
    for (first, last), value in zip(ends.T, found, strict=True):
        assert value == cells[first : last + 1].min()
    for cell in range(size):
        assert lowest[cell] == values[(ends[0] <= cell) & (cell <= ends[1])].min(initial=np.inf)


def test_ranges_of_a_state_that_touch_have_a_cell_in_common():
    random = np.random.default_rng(0)
    low, high = -0.7, 3.1
    at_cells = low + np.arange(1.0, CELLS) * (high - low) / CELLS
    for ends in (at_cells, np.nextafter(at_cells, -np.inf), random.uniform(low, high, CELLS)):
        sides = np.full(ends.size, low), ends, np.full(ends.size, high)
        before, after = (_cells(pair, (low, high), ends.size) for pair in itertools.pairwise(sides))
        assert (before[1] >= after[0]).all()
        assert (after[0] >= before[1] - 1).all()
        assert (before[0].max(), after[1].min()) == (0, CELLS - 1)


def test_an_exact_solve_proves_horizons_by_stages():
    problem = horizon(1, MEASURED)
    assert Portfolio().routes_for(problem) == (Route.STAGES, Route.MILP)
    result = solve_exactly(problem, Options(threads=1, relative_gap=0.05), time_limit=20.0)
    assert (result.stop, result.routes) == (Stop.OPTIMAL, (Route.STAGES,))
    assert result.bound <= exact_optimum(problem) + 1e-6
