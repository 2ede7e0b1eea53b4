"""The last polish: answers on their bounds in float64, and rows that hold without a use of the tolerance."""

from collections.abc import Iterator

import numpy as np
import pyomo.environ as pyo
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from random_networks import random_network
from scripted_method import Scripted

import pyomo_relugrad  # noqa: F401 - registers the solver
from pyomo_relugrad import ReluNetworkBlock, maximize
from pyomo_relugrad.network import Network
from pyomo_relugrad.problem import FEASIBILITY_TOLERANCE, EmbeddedNetwork, Incumbent, Problem, ReducedObjective
from pyomo_relugrad.run import Record, SearchContext
from pyomo_relugrad.run.repair import CLEAN, repaired

INF = float("inf")


def assert_on_bounds(x, lower, upper):
    assert (x >= lower).all()
    assert (x <= upper).all()
    for bound in (lower, upper):
        near = np.abs(x - bound) <= 2.0**-24 * np.abs(bound)  # half a unit in the last place of float32
        assert x[near].tolist() == bound[near].tolist(), "an entry is a rounding away from its bound"


@pytest.mark.parametrize("n_rows", [0, 1, 4])
@given(seed=st.integers(0, 10**6), steps=st.sampled_from([1, 5, 40]))
@settings(max_examples=12, deadline=None)
def test_answers_over_boxes_and_rows_have_no_rounding_in_them(n_rows, seed, steps):
    random = np.random.default_rng(seed)
    n = int(random.integers(1, 7))
    network = random_network([n, 10, 6, 1], seed)
    lower = np.round(random.uniform(-7, 7, n), 1)
    upper = lower + np.round(random.uniform(0.1, 9, n), 1)
    A = np.round(random.uniform(-3, 3, (n_rows, n)), 1)
    limits = np.round(A @ (lower + 0.4 * (upper - lower)) + 0.1, 1)
    best = maximize(network, None, lower, upper, A=A, row_upper=limits, iteration_limit=steps, time_limit=INF)
    assert_on_bounds(best.x, lower, upper)
    assert (A @ best.x - limits <= 1e-9).all()
    assert best.value == network.value(best.x[None])[0, 0]


def to_the_last_of_the_tolerance(problem: Problem, context: SearchContext) -> Iterator[Incumbent]:
    """Points on the way to infeasible ones that violate a row by no more than is allowed."""
    lower, upper = (np.where(problem.is_output, 0.0, side) for side in (problem.lower, problem.upper))
    for _ in range(20):
        ends = context.random.uniform(lower, upper, (2, problem.n_columns))
        ends = np.where(problem.integers, np.round(ends[:1]), ends)
        inner, outer = sorted(ends, key=lambda v: problem.incumbent(v).violation)
        inside, outside = 0.0, 1.0
        while outside - inside > 1e-12:
            share = (inside + outside) / 2
            violation = problem.incumbent(inner + share * (outer - inner)).violation
            inside, outside = (share, outside) if violation <= 0.9 * FEASIBILITY_TOLERANCE else (inside, share)
        yield problem.incumbent(inner + inside * (outer - inner))


@pytest.mark.parametrize("seed", range(4))
def test_answers_of_models_with_rows_on_outputs_hold_them(seed):
    random = np.random.default_rng(seed)
    lower, upper = np.round(random.uniform(-7, 0, 3), 1), np.round(random.uniform(0.1, 9, 3), 1)
    network = random_network([3, 9, 2], seed)
    middle = network.value([lower / 2 + upper / 2])[0]
    m = pyo.ConcreteModel()
    m.x = pyo.Var(range(3), bounds=lambda m, i: (lower[i], upper[i]))
    m.k = pyo.Var(domain=pyo.Integers, bounds=(0, 3))
    m.nn = ReluNetworkBlock(network=network, inputs=m.x)
    m.row = pyo.Constraint(expr=m.nn.outputs[0] + 0.1 * m.k + 0.3 * m.x[0] <= middle[0] + 0.3)
    m.link = pyo.Constraint(expr=m.k <= 2.1 + 0.1 * m.x[1])
    m.goal = pyo.Objective(expr=m.nn.outputs[0] + m.nn.outputs[1] + 0.05 * m.k, sense=pyo.maximize)
    violations: list[float] = []

    def course(problem: Problem, context: SearchContext) -> Iterator[Incumbent]:
        for point in to_the_last_of_the_tolerance(problem, context):
            violations.append(point.violation)
            yield point

    pyo.SolverFactory("relugrad").solve(m, method=Scripted(course), iteration_limit=100)
    assert max(violations) > 100 * CLEAN
    assert_on_bounds(np.array([v.value for v in m.x.values()]), lower, upper)
    assert m.row.slack() >= -1e-9
    assert m.link.slack() >= -1e-9
    assert m.nn.get_error() <= 1e-9


def budget_problem(limit=1.0):
    """Maximize three inputs' sum through a network, within a budget."""
    network = Network.from_layers([np.eye(3), np.ones((1, 3))], [np.zeros(3), np.zeros(1)])
    return Problem(
        cost=np.array([0.0, 0, 0, -1]),
        lower=np.array([0.0, 0, 0, -INF]),
        upper=np.array([1.0, 1, 1, INF]),
        rows=np.array([[1.0, 1, 1, 0]]),
        row_lower=np.array([-INF]),
        row_upper=np.array([limit]),
        networks=(EmbeddedNetwork(network, [0, 1, 2], [3]),),
    )


@pytest.mark.parametrize("excess", [1e-8, 9e-8, 9e-7])
def test_a_use_of_the_tolerance_is_given_back(excess):
    problem = budget_problem()
    used = problem.incumbent(np.array([0.2, 0.3, 0.5 + excess, 0.0]))
    assert used.is_feasible
    assert used.violation == pytest.approx(excess)
    clean = repaired(problem, used)
    assert clean.violation <= CLEAN
    assert clean.objective == pytest.approx(-1.0, abs=1e-12), "nothing more is lost than the tolerance had bought"


def test_what_is_clean_infeasible_or_cannot_move_stays_as_it_is():
    problem = budget_problem()
    for point in ([0.2, 0.3, 0.5, 0.0], [0.2, 0.3, 0.6, 0.0]):
        given_point = problem.incumbent(np.array(point))
        assert repaired(problem, given_point) is given_point
    fixed = budget_problem(limit=0.0)
    stuck = Incumbent(np.zeros(4), 0.0, 5e-7, 0.0)
    held = Problem(fixed.cost, np.array([0, 0, 0, -INF]), np.array([0, 0, 0, INF]), networks=fixed.networks)
    assert repaired(held, stuck) is stuck


def test_rows_and_bounds_on_outputs_are_repaired_through_the_network():
    network = Network.from_layers([[[2.0], [-1.0]], [[1.0, 3.0]]], [[0.0, 0.5], [0.0]])
    problem = Problem(
        cost=np.array([-1.0, 0.0]),
        lower=np.array([0.0, -INF]),
        upper=np.array([5.0, 4.0]),
        networks=(EmbeddedNetwork(network, [0], [1]),),
    )
    used = problem.incumbent(np.array([2.0 + 3e-7, 0.0]))
    clean = repaired(problem, used)
    assert used.violation == pytest.approx(6e-7)
    assert clean.violation <= CLEAN
    assert clean.values[0] == pytest.approx(2.0, abs=1e-12)


def test_a_clean_point_is_not_given_up_for_what_the_tolerance_buys():
    record = Record()
    clean, bought = (Incumbent(np.full(2, value), -1.0 - value, value, 0.0) for value in (0.0, 9e-8))
    assert record.add(clean, 0.0)
    assert not record.add(bought, 1.0)
    assert record.incumbent is clean
    assert record.add(Incumbent(np.full(2, 0.5), -1.5, 9e-8, 0.0), 2.0), "a real gain counts"


def test_entries_on_a_rounded_bound_are_set_onto_it():
    problem = budget_problem()
    problem = Problem(
        problem.cost, np.array([0.1, 6.8, 0, -INF]), np.array([0.7, 9.0, 1, INF]), networks=problem.networks
    )
    objective = ReducedObjective(problem, np.float32)
    points = np.array([[0.1, 6.8, 0.3], [0.7, 8.0, 1.0]], np.float32)
    assert objective.in_float64(points)[0, :2].tolist() == [0.1, 6.8]
    assert objective.in_float64(points)[1].tolist() == [0.7, 8.0, 1.0]
