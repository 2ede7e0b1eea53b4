"""Merging of equal columns: the same optimum, a simpler shape, and the way back."""

import dataclasses

import numpy as np
import pytest
from random_models import FAMILIES, random_network, random_problem
from scipy import sparse

from pyomo_relugrad.problem import EmbeddedNetwork, Problem, Shape
from pyomo_relugrad.problem.presolve.aliases import merge_aliases
from pyomo_relugrad.run.budget import Stop
from pyomo_relugrad.solve import search, solve_exactly

INF = np.inf


def with_links(problem: Problem, columns: np.ndarray) -> Problem:
    """The problem with a twin of each given column, linked by a row and taking over its bounds and cost."""
    n, k = problem.n_columns, columns.size
    picks = sparse.csr_array((np.ones(k), (np.arange(k), columns)), shape=(k, n))
    links = sparse.hstack([2.0 * picks, -2.0 * sparse.eye_array(k)])
    padded = sparse.hstack([problem.rows, sparse.csr_array((problem.n_rows, k))])
    cost, lower, upper = problem.cost.copy(), problem.lower.copy(), problem.upper.copy()
    cost[columns], lower[columns], upper[columns] = 0.0, -INF, INF
    quadratic = problem.quadratic
    return dataclasses.replace(
        problem,
        cost=np.concatenate([cost, problem.cost[columns]]),
        lower=np.concatenate([lower, problem.lower[columns]]),
        upper=np.concatenate([upper, problem.upper[columns]]),
        rows=sparse.csr_array(sparse.vstack([padded, links])),
        row_lower=np.concatenate([problem.row_lower, np.zeros(k)]),
        row_upper=np.concatenate([problem.row_upper, np.zeros(k)]),
        integers=np.concatenate([problem.integers, problem.integers[columns]]),
        quadratic=None if quadratic is None else sparse.block_diag([quadratic, sparse.csr_array((k, k))]).tocsr(),
    )


@pytest.mark.parametrize("family", FAMILIES)
def test_linked_twins_change_nothing(family):
    problem = random_problem(family, 2)
    linked = with_links(problem, np.arange(problem.n_columns))
    reduction = merge_aliases(linked)
    assert reduction.problem.n_columns == problem.n_columns
    direct = search(problem, iteration_limit=300)
    through = search(linked, iteration_limit=300)
    assert through.incumbent.objective == pytest.approx(direct.incumbent.objective, abs=1e-6)
    assert through.incumbent.is_feasible
    assert through.incumbent.values.size == 2 * problem.n_columns


def box(n: int = 3) -> Problem:
    network = random_network(np.random.default_rng(0), (n, 6, 1))
    return Problem(
        np.r_[np.zeros(n), 1.0],
        np.r_[np.zeros(n), -INF],
        np.r_[np.ones(n), INF],
        networks=(EmbeddedNetwork(network, np.arange(n), [n]),),
    )


def test_a_box_behind_links_is_a_box_again():
    linked = with_links(box(), np.arange(4))
    linked.upper[7] = 1e6
    assert linked.shape is Shape.GENERAL
    assert merge_aliases(linked).problem.shape is Shape.BOX


def test_a_start_comes_from_whichever_twin_has_a_value():
    reduction = merge_aliases(with_links(box(), np.arange(4)))
    start = np.array([np.nan, 0.2, 0.3, np.nan, 0.5, np.nan, np.nan, np.nan])
    u = reduction.reduce_start(start)
    np.testing.assert_array_equal(reduction.restore(u), [0.5, 0.2, 0.3, np.nan, 0.5, 0.2, 0.3, np.nan])


def test_two_linked_outputs_and_a_network_that_feeds_itself_are_left_alone():
    network = random_network(np.random.default_rng(0), (1, 4, 1))
    free = np.full(4, INF)
    two = (EmbeddedNetwork(network, [0], [1]), EmbeddedNetwork(network, [2], [3]))
    rows = sparse.csr_array([[0.0, 1.0, 0.0, -1.0]])
    assert merge_aliases(Problem(np.zeros(4), -free, free, rows, np.zeros(1), np.zeros(1), networks=two)) is None
    rows = sparse.csr_array([[1.0, -1.0, 0.0, 0.0]])
    one = Problem(np.zeros(4), -free, free, rows, np.zeros(1), np.zeros(1), networks=two[:1])
    assert merge_aliases(one) is None


def test_other_rows_are_no_links():
    free = np.full(2, INF)
    for row, side in (([1.0, 1.0], 0.0), ([1.0, -2.0], 0.0), ([1.0, -1.0], 0.5)):
        problem = Problem(np.zeros(2), -free, free, sparse.csr_array([row]), np.full(1, side), np.full(1, side))
        assert merge_aliases(problem) is None


@pytest.mark.parametrize("cut", [2.0**-53, 1e-7])
@pytest.mark.parametrize("integer", [True, False])
def test_bounds_that_cross_by_rounding_alone_leave_a_value(cut, integer):
    """A bound that was scaled and scaled back is 1 - 2**-53; a row holds the equal column at 1."""
    network = random_network(np.random.default_rng(0), (1, 3, 1))
    problem = Problem(
        np.array([0.0, 0.0, 1.0]), np.array([0.0, 1.0, -INF]), np.array([1.0 - cut, 1.0, INF]),
        rows=sparse.csr_array([[1.0, -1.0, 0.0]]), row_lower=np.zeros(1), row_upper=np.zeros(1),
        integers=np.array([False, integer, False]), networks=(EmbeddedNetwork(network, [0], [2]),),
    )  # fmt: skip
    merged = merge_aliases(problem).problem
    assert (merged.lower <= merged.upper).all()
    found = search(problem, iteration_limit=50)
    assert found.incumbent.objective == pytest.approx(network.value([[1.0]])[0, 0], abs=1e-5)
    assert solve_exactly(problem).stop is Stop.OPTIMAL
