"""Points made whole: warm starts of decisions alone, and the points tried before any search."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from random_models import random_network
from scipy import sparse
from scripted_method import Scripted

from pyomo_relugrad.problem import EmbeddedNetwork, Incumbent, Problem
from pyomo_relugrad.run import Budget, SearchContext
from pyomo_relugrad.search.completion import Completion, determined
from pyomo_relugrad.search.first_points import trivial_targets
from pyomo_relugrad.search.relaxation import LinearRelaxation
from pyomo_relugrad.solve import search

NAN, INF = np.nan, np.inf
HOURS = 4


def controlled_store(start: float = 0.3) -> Problem:
    """A level that a network moves, from decisions; a slack where it is too low costs 10.

    Columns: decisions q (4), levels x (5), changes y (4), slacks s (5). ``x[t+1] = x[t] + y[t]``, ``y = net(x, q)``,
    ``x + s >= 0.5``.
    """
    q, x, y, s = np.split(np.arange(4 * HOURS + 2), [HOURS, 2 * HOURS + 1, 3 * HOURS + 1])
    network = random_network(np.random.default_rng(3), (2, 5, 1))
    n = 4 * HOURS + 2
    balance, comfort = np.zeros((HOURS, n)), np.zeros((HOURS + 1, n))
    for t in range(HOURS):
        balance[t, [x[t + 1], x[t], y[t]]] = 1.0, -1.0, -1.0
    comfort[np.arange(HOURS + 1), x] = comfort[np.arange(HOURS + 1), s] = 1.0
    lower, upper = np.full(n, -INF), np.full(n, INF)
    lower[q], upper[q], lower[x], upper[x], lower[s] = 0.0, 1.0, -50.0, 50.0, 0.0
    lower[x[0]] = upper[x[0]] = start
    cost = np.zeros(n)
    cost[q], cost[s] = 1.0, 10.0
    return Problem(
        cost, lower, upper, sparse.csr_array(np.r_[balance, comfort]),
        np.r_[np.zeros(HOURS), np.full(HOURS + 1, 0.5)], np.r_[np.zeros(HOURS), np.full(HOURS + 1, INF)],
        networks=tuple(EmbeddedNetwork(network, [x[t], q[t]], [y[t]]) for t in range(HOURS)),
    )  # fmt: skip


def simulated(problem: Problem, q: np.ndarray) -> np.ndarray:
    """The point that the decisions lead to, step by step."""
    x, y = [problem.lower[HOURS]], []
    for embedded, decision in zip(problem.networks, q, strict=True):
        y.append(float(embedded.network.value(np.array([[x[-1], decision]]))[0, 0]))
        x.append(x[-1] + y[-1])
    return np.concatenate([q, x, y, np.maximum(0.5 - np.array(x), 0.0)])


def completed(problem: Problem, start: np.ndarray) -> Incumbent:
    budget = Budget()
    return problem.incumbent(Completion(problem, LinearRelaxation(problem), budget).start(start, None))


def decisions(q: np.ndarray, rest: float = NAN) -> np.ndarray:
    return np.r_[q, np.full(3 * HOURS + 2, rest)]


@given(st.lists(st.floats(0, 1), min_size=HOURS, max_size=HOURS))
def test_decisions_alone_determine_states_and_slacks(plan):
    problem = controlled_store()
    point = completed(problem, decisions(np.array(plan)))
    assert point.is_feasible
    np.testing.assert_allclose(point.values, simulated(problem, np.array(plan)), atol=1e-6)


def test_only_what_follows_is_filled_in():
    problem = controlled_store()
    v = determined(problem, decisions(np.array([0.5, 0.5, NAN, 0.5])))
    expected = simulated(problem, np.full(HOURS, 0.5))
    known = ~np.isnan(v)
    np.testing.assert_allclose(v[known], expected[known])
    assert known[HOURS : 2 * HOURS + 1].tolist() == [True, True, True, False, False]


def test_stale_slacks_are_chosen_anew():
    problem = controlled_store()
    plan = np.full(HOURS, 0.25)
    expected = simulated(problem, plan)
    for stale in (0.0, 40.0):
        start = np.where(problem.cost == 10.0, stale, expected)
        np.testing.assert_allclose(completed(problem, start).values, expected, atol=1e-6)


def test_missing_decisions_are_chosen_by_the_rows():
    problem = controlled_store()
    budgeted = replace(
        problem,
        rows=sparse.csr_array(sparse.vstack([problem.rows, sparse.csr_array(decisions(np.ones(HOURS), 0.0)[None])])),
        row_lower=np.append(problem.row_lower, 3.0),
        row_upper=np.append(problem.row_upper, INF),
    )
    point = completed(budgeted, decisions(np.array([0.0, 1.0, NAN, NAN])))
    np.testing.assert_allclose(point.values[:HOURS], [0, 1, 1, 1])


def test_given_integers_are_held_and_missing_ones_are_chosen():
    """Maximize y - 0.1 k over k >= 3 z, with a network of z alone: k follows from z."""
    network = random_network(np.random.default_rng(0), (1, 3, 1))
    problem = Problem(
        np.array([0.0, 0.1, -1.0]), np.array([0.0, 0.0, -INF]), np.array([2.0, 9.0, INF]),
        sparse.csr_array([[-3.0, 1.0, 0.0]]), np.zeros(1), None, np.array([True, True, False]),
        networks=(EmbeddedNetwork(network, [0], [2]),),
    )  # fmt: skip
    assert completed(problem, np.array([1.0, NAN, NAN])).values[:2].tolist() == [1, 3]
    assert completed(problem, np.array([1.0, 5.0, NAN])).values[:2].tolist() == [1, 5]
    assert completed(problem, np.array([NAN, 4.0, NAN])).values[1] == 4


def test_a_start_that_the_rows_exclude_keeps_its_decisions():
    problem = replace(controlled_store(), row_upper=np.r_[np.zeros(HOURS), np.full(HOURS + 1, 0.4)])
    point = completed(problem, decisions(np.full(HOURS, 0.5)))
    assert not point.is_feasible
    np.testing.assert_allclose(point.values[:HOURS], 0.5)


def switched_store() -> Problem:
    """The store with a binary z of each decision: ``0.2 z <= q <= z``."""
    problem = controlled_store()
    n = problem.n_columns
    decide = sparse.csr_array((np.ones(HOURS), (np.arange(HOURS), np.arange(HOURS))), shape=(HOURS, n))
    unit = sparse.eye_array(HOURS, format="csr")
    rows = sparse.block_array([[problem.rows, None], [decide, -unit], [decide, -0.2 * unit]], format="csr")
    return replace(
        problem,
        cost=np.append(problem.cost, np.full(HOURS, 0.1)),
        lower=np.append(problem.lower, np.zeros(HOURS)),
        upper=np.append(problem.upper, np.ones(HOURS)),
        rows=rows,
        row_lower=np.r_[problem.row_lower, np.full(HOURS, -INF), np.zeros(HOURS)],
        row_upper=np.r_[problem.row_upper, np.zeros(HOURS), np.full(HOURS, INF)],
        integers=np.append(np.zeros(n, bool), np.ones(HOURS, bool)),
    )


def first_feasible(problem: Problem, start: np.ndarray) -> Incumbent:
    completion = Completion(problem, LinearRelaxation(problem), Budget())
    points = (problem.incumbent(values) for values in completion.starts(start, None))
    return next(point for point in points if point.is_feasible)


@given(st.lists(st.sampled_from([0.0, 0.2, 0.7, 1.0]), min_size=HOURS, max_size=HOURS), st.sampled_from([0.0, 1.0]))
def test_integers_that_belong_to_another_plan_are_chosen_anew(plan, stale):
    problem = switched_store()
    by_hand = np.r_[simulated(controlled_store(), np.array(plan)), np.array(plan) > 0]
    start = np.r_[decisions(plan), np.full(HOURS, stale)]
    assert first_feasible(problem, start).objective <= problem.objective(by_hand[None])[0] + 1e-6


@given(st.lists(st.floats(0, 1), min_size=HOURS, max_size=HOURS), st.sets(st.integers(1, HOURS)))
def test_states_that_belong_to_another_plan_are_computed_anew(plan, stale):
    problem = controlled_store()
    by_hand = simulated(problem, np.array(plan))
    start = by_hand.copy()
    start[HOURS + np.array(sorted(stale), int)] += 1.0
    assert first_feasible(problem, start).objective <= problem.objective(by_hand[None])[0] + 1e-6


def test_decisions_that_the_rows_exclude_move_to_the_nearest_that_they_allow():
    problem = controlled_store()
    budget_row = sparse.csr_array(
        (np.ones(HOURS), (np.zeros(HOURS, int), np.arange(HOURS))), shape=(1, problem.n_columns)
    )
    budgeted = replace(
        problem,
        rows=sparse.vstack([problem.rows, budget_row], format="csr"),
        row_lower=np.append(problem.row_lower, -INF),
        row_upper=np.append(problem.row_upper, 2.0),
    )
    point = first_feasible(budgeted, decisions(np.array([1.0, 1.0, 0.5, 0.0])))
    assert np.abs(point.values[:HOURS] - [1.0, 1.0, 0.5, 0.0]).sum() == pytest.approx(0.5)


# --- in a search --------------------------------------------------------------------------------------------------


def method_that_notes_its_context() -> tuple[Scripted, list[SearchContext]]:
    """A method that finds nothing itself, and what it is given."""
    seen: list[SearchContext] = []

    def nothing(problem: Problem, context: SearchContext) -> Iterator[Incumbent | None]:
        seen.append(context)
        yield None

    return Scripted(nothing), seen


def treatment(shift: float) -> Problem:
    """Take doses a, r; x = shift - r + a; d = 1 asks the network of x to be 100 or more. Doing nothing is feasible.

    Columns: x, a, r, d, y.
    """
    network = random_network(np.random.default_rng(1), (1, 4, 1))
    return Problem(
        np.array([0.0, 0.0, 0.0, -1.0, 0.0]), np.array([shift - 1, 0, 0, 0, -INF]), np.array([shift + 1, 1, 1, 1, INF]),
        sparse.csr_array([[1.0, -1.0, 1.0, 0.0, 0.0], [0.0, 0.0, 0.0, -200.0, 1.0]]), np.array([shift, -100.0]),
        np.array([shift, INF]), np.array([False, False, False, True, False]),
        networks=(EmbeddedNetwork(network, [0], [4]),),
    )  # fmt: skip


@pytest.mark.parametrize("shift", [0.0, 5.0])
def test_doing_nothing_is_found_before_any_method_begins(shift):
    """As it stands (shift 0), or as the nearest point of the rows."""
    nothing, seen = method_that_notes_its_context()
    result = search(treatment(shift), nothing)
    assert result.incumbent is not None
    assert result.incumbent.objective == 0.0
    assert all(context.known for context in seen)


def test_trivial_targets_are_zero_and_the_bounds():
    problem = replace(treatment(5.0), upper=np.array([6.0, 1, INF, 1, INF]))
    targets = [target[:4].tolist() for target in trivial_targets(problem)]
    assert targets == [[4, 0, 0, 0], [4, 0, 0, 0], [6, 1, 0, 1]]


def test_a_search_begins_from_the_completed_start():
    nothing, seen = method_that_notes_its_context()
    problem, plan = controlled_store(), np.array([0.1, 0.9, 0.4, 0.2])
    result = search(problem, nothing, start=decisions(plan))
    expected = simulated(problem, plan)
    np.testing.assert_allclose(seen[0].start, expected, atol=1e-6)
    assert result.incumbent.objective <= problem.objective(expected[None])[0] + 1e-6


def test_completing_costs_no_steps():
    problem = controlled_store()
    result = search(problem, start=decisions(np.zeros(HOURS)), iteration_limit=1)
    assert result.incumbent is not None
    assert result.iterations <= 2
