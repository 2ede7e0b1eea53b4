"""The presolve: each reduction alone and the chain keep the feasible points and the optimum, and lead back."""

import dataclasses
import functools
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from milp_oracle import exact_optimum
from random_models import FAMILIES, random_network, random_problem
from scipy import sparse

from pyomo_relugrad.errors import InfeasibleProblemError, ModelError
from pyomo_relugrad.expression import PRODUCT, Expression, ExpressionBuilder
from pyomo_relugrad.network import Network
from pyomo_relugrad.problem import FEASIBILITY_TOLERANCE, EmbeddedExpression, EmbeddedNetwork, Incumbent, Problem, Shape
from pyomo_relugrad.problem.presolve import FOR_ALL, FOR_RELAXATIONS, presolve, reduce_by
from pyomo_relugrad.problem.presolve.chains import compose_chains
from pyomo_relugrad.problem.presolve.implied_bounds import apply_implied_bounds, function_implied_bounds
from pyomo_relugrad.problem.presolve.integer_bounds import round_integer_bounds
from pyomo_relugrad.problem.presolve.product_rows import add_product_rows
from pyomo_relugrad.problem.presolve.row_tightening import RowTightening, close_boxes, cut_boxes
from pyomo_relugrad.problem.presolve.separate_outputs import separate_outputs
from pyomo_relugrad.problem.presolve.short_rows import turn_short_rows_into_bounds
from pyomo_relugrad.problem.presolve.through_expressions import ExpressionTightening
from pyomo_relugrad.problem.presolve.through_networks import tighten_through_networks
from pyomo_relugrad.problem.presolve.tied_columns import substitute_tied_columns
from pyomo_relugrad.run import Stop
from pyomo_relugrad.solve import array_problem, maximize, search, solve_exactly

INF = np.inf
LINEAR = tuple(family for family in FAMILIES if family != "quadratic")
seeds = st.integers(0, 10**6)


def with_rows(problem: Problem, rows: list[tuple[dict[int, float], float, float]]) -> Problem:
    """The problem with more rows, each given by its coefficients and sides."""
    more = np.zeros((len(rows), problem.n_columns))
    for index, (coefficients, _, _) in enumerate(rows):
        more[index, list(coefficients)] = list(coefficients.values())
    return dataclasses.replace(
        problem,
        rows=sparse.csr_array(sparse.vstack([problem.rows, sparse.csr_array(more)])),
        row_lower=np.append(problem.row_lower, [lower for _, lower, _ in rows]),
        row_upper=np.append(problem.row_upper, [upper for _, _, upper in rows]),
    )


def with_twins(problem: Problem, columns: np.ndarray) -> Problem:
    """The problem with a twin of each given column, tied by a row and taking over its bounds and cost."""
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


def written_differently(seed: int) -> tuple[Problem, Problem, np.ndarray]:
    """A random problem; the same with twins of some columns, with bounds as rows and fractional bounds of integers; and
    for each column of the latter its column in the former.
    """
    rng = np.random.default_rng(seed)
    plain = random_problem(str(rng.choice(LINEAR)), int(rng.integers(50)))
    twins = np.flatnonzero(rng.random(plain.n_columns) < 0.4)
    problem = with_twins(plain, twins)
    bounded = np.flatnonzero(np.isfinite(problem.lower) & (rng.random(problem.n_columns) < 0.5))
    factors = rng.uniform(0.3, 3.0, bounded.size) * rng.choice([-1.0, 1.0], bounded.size)
    sides = np.sort(np.stack([factors * problem.lower[bounded], factors * problem.upper[bounded]]), axis=0)
    rows = zip(bounded.tolist(), factors.tolist(), *sides.tolist(), strict=True)
    problem = with_rows(problem, [({column: factor}, low, high) for column, factor, low, high in rows])
    lower, upper = problem.lower - 0.4 * problem.integers, problem.upper + 0.4 * problem.integers
    lower[bounded], upper[bounded] = -INF, INF
    return plain, dataclasses.replace(problem, lower=lower, upper=upper), np.r_[np.arange(plain.n_columns), twins]


def within_bounds(problem: Problem, rng: np.random.Generator) -> np.ndarray:
    """A random point between the bounds, not far from 0 where there are none."""
    lower = np.where(np.isfinite(problem.lower), problem.lower, np.fmin(problem.upper, 3.0) - 6.0)
    return rng.uniform(lower, np.where(np.isfinite(problem.upper), problem.upper, lower + 6.0))


REDUCTIONS = {
    "short rows": turn_short_rows_into_bounds,
    "tied columns": substitute_tied_columns,
    "integer bounds": round_integer_bounds,
    "implied bounds": apply_implied_bounds,
    "composed chains": compose_chains,
    "bounds through networks": tighten_through_networks,
    "the chain": presolve,
    "the chain for relaxations": lambda problem: reduce_by(problem, (*FOR_ALL, *FOR_RELAXATIONS)),
}


#: Slices of a smaller box are thinner, and their bounds better.
ONCE_IS_NOT_ALL = ("bounds through networks", "the chain for relaxations")


@pytest.mark.parametrize("name", REDUCTIONS)
@settings(max_examples=3, deadline=None)
@given(seed=seeds)
def test_reductions_keep_the_optimum(name, seed):
    plain, problem, column = written_differently(seed)
    reduced = REDUCTIONS[name](problem)
    if reduced is None:
        return
    # The oracle asks for bounds everywhere: these are wider than those of the original.
    small = reduced.problem
    lower, upper = np.full(small.n_columns, -100.0), np.full(small.n_columns, 100.0)
    np.maximum.at(lower, reduced.columns, plain.lower[column] - 1.0)
    np.minimum.at(upper, reduced.columns, plain.upper[column] + 1.0)
    small = dataclasses.replace(small, lower=np.fmax(small.lower, lower), upper=np.fmin(small.upper, upper))
    assert exact_optimum(small) == pytest.approx(optimum_of_plain(seed), abs=1e-5)


@functools.cache
def optimum_of_plain(seed):
    return exact_optimum(written_differently(seed)[0])


@pytest.mark.parametrize("name", REDUCTIONS)
@settings(max_examples=25, deadline=None)
@given(seed=seeds)
def test_reductions_keep_the_feasible_points(name, seed):
    plain, problem, column = written_differently(seed)
    reduced, rng = REDUCTIONS[name](problem), np.random.default_rng(seed)
    if reduced is None:
        return
    for attempt in range(20):
        # A point of the original, feasible more often than not; and one in the bounds of the reduced problem.
        if attempt % 2:
            there = plain.incumbent(within_bounds(plain, rng))
            outside = problem.measure(there.values[column])
            inside = reduced.problem.measure(reduced.reduce(outside.values))
        else:
            inside = reduced.problem.incumbent(within_bounds(reduced.problem, rng))
            outside = problem.measure(reduced.restore(inside.values))
        assert outside.is_feasible == inside.is_feasible
        assert outside.objective == pytest.approx(inside.objective, abs=1e-9)
        np.testing.assert_array_equal(reduced.restore(inside.values), outside.values)
        np.testing.assert_array_equal(reduced.reduce(outside.values), inside.values)


@pytest.mark.parametrize("name", [name for name in REDUCTIONS if name not in ONCE_IS_NOT_ALL])
def test_what_is_reduced_already_is_left_alone(name):
    for seed in range(12):
        _, problem, _ = written_differently(seed)
        once = REDUCTIONS[name](problem)
        if once is not None:
            twice = REDUCTIONS[name](once.problem)
            assert twice is None or twice.problem is once.problem


def rearranged(problem: Problem, order: np.ndarray, rows: np.ndarray) -> Problem:
    """The problem with its columns and rows in another order."""
    place, quadratic = np.argsort(order), problem.quadratic
    return dataclasses.replace(
        problem,
        cost=problem.cost[order],
        lower=problem.lower[order],
        upper=problem.upper[order],
        integers=problem.integers[order],
        rows=sparse.csr_array(problem.rows[rows][:, order]),
        row_lower=problem.row_lower[rows],
        row_upper=problem.row_upper[rows],
        quadratic=None if quadratic is None else sparse.csr_array(quadratic[order][:, order]),
        networks=tuple(
            dataclasses.replace(embedded, inputs=place[embedded.inputs], outputs=place[embedded.outputs])
            for embedded in problem.networks
        ),
    )


@settings(max_examples=25, deadline=None)
@given(seed=seeds)
def test_a_problem_written_differently_is_reduced_to_the_same_one(seed):
    plain, other, _ = written_differently(seed)
    rng = np.random.default_rng(seed)
    order = rng.permutation(other.n_columns)
    other = rearranged(other, order, rng.permutation(other.n_rows))
    first, second = presolve(plain), presolve(other)
    assert first.problem.n_columns == second.problem.n_columns
    # For each column of the one, the same one of the other.
    same = np.empty(first.problem.n_columns, int)
    same[first.columns] = second.columns[np.argsort(order)[: plain.n_columns]]
    again = rearranged(second.problem, same, np.arange(second.problem.n_rows))
    for attribute in ("cost", "lower", "upper"):
        np.testing.assert_allclose(getattr(again, attribute), getattr(first.problem, attribute), atol=1e-12)
    np.testing.assert_array_equal(again.integers, first.problem.integers)
    for embedded, twin in zip(first.problem.networks, again.networks, strict=True):
        np.testing.assert_array_equal(twin.inputs, embedded.inputs)
        np.testing.assert_array_equal(twin.outputs, embedded.outputs)
    rows = [
        np.column_stack([problem.rows.toarray(), problem.row_lower, problem.row_upper])
        for problem in (first.problem, again)
    ]
    by_entries = [own[np.lexsort(np.nan_to_num(own, posinf=1e9, neginf=-1e9).round(9).T)] for own in rows]
    np.testing.assert_allclose(by_entries[1], by_entries[0], atol=1e-12)


def as_rows(problem: Problem) -> Problem:
    """The problem with all bounds as rows."""
    bounded = np.flatnonzero(np.isfinite(problem.lower) | np.isfinite(problem.upper))
    rows = [({int(column): 1.0}, problem.lower[column], problem.upper[column]) for column in bounded]
    infinite = np.full(problem.n_columns, INF)
    return dataclasses.replace(with_rows(problem, rows), lower=-infinite, upper=infinite)


def as_bounds(problem: Problem) -> Problem:
    """The problem with rows over one column as its bounds."""
    single = np.diff(problem.rows.indptr) == 1
    column = problem.rows.indices[problem.rows.indptr[:-1][single]]
    factor = problem.rows.data[problem.rows.indptr[:-1][single]]
    assert (factor > 0).all()
    lower, upper = problem.lower.copy(), problem.upper.copy()
    np.maximum.at(lower, column, problem.row_lower[single] / factor)
    np.minimum.at(upper, column, problem.row_upper[single] / factor)
    kept = {
        "rows": problem.rows[~single],
        "row_lower": problem.row_lower[~single],
        "row_upper": problem.row_upper[~single],
    }
    return dataclasses.replace(problem, lower=lower, upper=upper, **kept)


@functools.cache
def searched(family: str) -> Incumbent:
    """What a search finds in the second problem of a family as it is written there."""
    return search(random_problem(family, 2), iteration_limit=300).incumbent


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("writing", ["as rows", "as bounds", "rearranged"])
def test_searches_end_at_the_same_value_however_a_problem_is_written(writing, family):
    problem, rng = random_problem(family, 2), np.random.default_rng(0)
    other = {
        "as rows": lambda: as_rows(problem),
        "as bounds": lambda: as_bounds(problem),
        "rearranged": lambda: rearranged(problem, rng.permutation(problem.n_columns), rng.permutation(problem.n_rows)),
    }[writing]()
    through = search(other, iteration_limit=300).incumbent
    assert through.is_feasible
    assert through.objective == pytest.approx(searched(family).objective, abs=1e-5)


@pytest.mark.parametrize("family", FAMILIES)
def test_searches_do_not_see_how_a_problem_is_written(family):
    problem = random_problem(family, 2)
    linked = with_twins(problem, np.arange(problem.n_columns))
    assert presolve(linked).problem.n_columns == problem.n_columns
    through = search(linked, iteration_limit=300).incumbent
    assert through.objective == pytest.approx(searched(family).objective, abs=1e-6)
    assert through.is_feasible
    assert through.values.size == 2 * problem.n_columns


# --- rows over one column or none -------------------------------------------------------------------------------


def over_a_network(rows: list[tuple[dict[int, float], float, float]], **changes) -> Problem:
    """Three inputs in [0, 1], the last an integer in [0, 9], a network of them, and rows."""
    network = random_network(np.random.default_rng(0), (3, 6, 1))
    problem = Problem(
        np.array([0.0, 0.0, 0.0, 1.0]),
        np.array([0.0, 0.0, 0.0, -INF]),
        np.array([1.0, 1.0, 9.0, INF]),
        integers=np.array([False, False, True, False]),
        networks=(EmbeddedNetwork(network, np.arange(3), [3]),),
        **changes,
    )
    return with_rows(problem, rows)


def test_rows_over_one_column_are_bounds():
    rows = [({0: -2.0}, -1.0, INF), ({1: 0.5, 0: 0.0}, 0.1, 7.0), ({0: 1.0, 1: 1.0}, 0.0, 1.0), ({3: 1.0}, 0.0, 5.0)]
    reduced = turn_short_rows_into_bounds(over_a_network(rows)).problem
    assert (reduced.lower[:2].tolist(), reduced.upper[:2].tolist()) == ([0.0, 0.2], [0.5, 1.0])
    assert reduced.n_rows == 2, "rows of two columns, and of an output, stay"


@pytest.mark.parametrize("size", [1e-7, 1.0, -3.0, 1e13])
def test_points_at_the_new_bounds_satisfy_the_rows(size):
    rng = np.random.default_rng(0)
    for _ in range(50):
        factor, *sides = size * rng.uniform(1.0, 2.0), *np.sort(size * rng.uniform(0.1, 0.9, 2))
        problem = over_a_network([({0: factor}, *sides)])
        reduced = turn_short_rows_into_bounds(problem)
        for side in (reduced.problem.lower, reduced.problem.upper):
            v = np.where(np.isfinite(side), side, 0.0)
            assert problem.measure(problem.propagate(reduced.restore(v)[None])[0]).violation == 0.0


@pytest.mark.parametrize("factor", [0.01, 1.0, 3.0, -100.0])
@pytest.mark.parametrize("excess", [0.3, 0.9, 1.6, 400.0])
def test_integers_may_miss_a_row_by_the_tolerance_and_no_more(factor, excess):
    """4 is allowed where a row misses it by less than the tolerance, measured in the row."""
    side = factor * (4.0 - excess * FEASIBILITY_TOLERANCE / abs(factor))
    problem = over_a_network([({2: factor}, *((-INF, side) if factor > 0 else (side, INF)))])
    for reduced in (turn_short_rows_into_bounds(problem), presolve(problem)):
        upper = reduced.problem.upper[2]
        v = problem.propagate(np.array([[0.0, 0.0, upper, 0.0]]))[0]
        assert upper in (3.0, 4.0)
        assert problem.measure(v).is_feasible
        assert upper == 4.0 or excess > min(abs(factor), 1.0)


def test_rows_without_columns_vanish_or_cannot_hold():
    reduced = turn_short_rows_into_bounds(over_a_network([({0: 0.0}, -1.0, 2.0), ({}, -INF, 0.0)]))
    assert reduced.problem.n_rows == 0
    names = {"row_names": ("cap", "floor")}
    impossible = dataclasses.replace(over_a_network([({0: 1.0, 1: 1.0}, 0.0, 1.0), ({}, 0.5, INF)]), **names)
    with pytest.raises(InfeasibleProblemError, match=r"constraint 'floor' cannot hold: .* 0\.5 <= 0 <= inf"):
        presolve(impossible)


def test_what_rounding_leaves_of_coefficients_bounds_nothing():
    """As of 0.1 x + 0.2 x - 0.3 x, where nothing is left of the row or its other variables are fixed."""
    rounding = 0.1 + 0.2 - 0.3
    rows = [({0: rounding}, 0.0, 0.0), ({0: -rounding}, 2e-16, INF), ({0: rounding, 1: 2.0}, 0.5, 1.0)]
    reduced = presolve(over_a_network(rows)).problem
    assert (reduced.lower[:2].tolist(), reduced.upper[:2].tolist()) == ([0.0, 0.25], [1.0, 0.5])
    assert reduced.n_rows == 0
    small = turn_short_rows_into_bounds(over_a_network([({0: 1e-12}, -INF, 5e-13)])).problem
    assert small.upper[0] == pytest.approx(0.5), "small coefficients are none"
    for top, bound in ((1e12, 1.0 / rounding), (INF, INF)):
        wide = over_a_network([({0: rounding}, -INF, 1e-5)])
        wide = dataclasses.replace(wide, upper=np.array([top, 1.0, 9.0, INF]))
        found = turn_short_rows_into_bounds(wide).problem.upper[0]
        assert found == pytest.approx(1e-5 * bound), "nor those that move a row"


def test_rows_that_merging_leaves_with_one_column_are_bounds():
    problem = over_a_network([({0: 1.0, 1: -1.0}, 0.0, 0.0), ({0: 2.0, 1: 1.0}, 0.6, INF), ({0: 3.0, 1: -3.0}, -1, 4)])
    reduced = presolve(problem).problem
    assert (reduced.n_rows, reduced.n_columns) == (0, 3)
    assert reduced.lower[0] == pytest.approx(0.2)


# --- bounds of integers -----------------------------------------------------------------------------------------


def test_bounds_of_integers_are_rounded_inward_beyond_the_tolerance():
    lower, upper = np.array([0.5, -1.2, 1 + 1e-7, 0.5]), np.array([2.5, -0.9, 3 - 1e-7, 1.5])
    problem = Problem(np.zeros(4), lower, upper, integers=np.array([True, True, True, False]))
    for reduced in (round_integer_bounds(problem), presolve(problem)):
        assert reduced.problem.lower.tolist() == [1.0, -1.0, 1.0, 0.5]
        assert reduced.problem.upper.tolist() == [2.0, -1.0, 3.0, 1.5]
    assert round_integer_bounds(reduced.problem) is None


# --- tied columns -----------------------------------------------------------------------------------------------


def box(n: int = 3) -> Problem:
    network = random_network(np.random.default_rng(0), (n, 6, 1))
    return Problem(
        np.r_[np.zeros(n), 1.0],
        np.r_[np.zeros(n), -INF],
        np.r_[np.ones(n), INF],
        networks=(EmbeddedNetwork(network, np.arange(n), [n]),),
    )


def test_a_box_behind_links_is_a_box_again():
    linked = with_twins(box(), np.arange(4))
    linked.upper[7] = 1e6
    assert linked.shape is Shape.GENERAL
    assert presolve(linked).problem.shape is Shape.BOX


def test_a_start_comes_from_whichever_twin_has_a_value():
    reduced = substitute_tied_columns(with_twins(box(), np.arange(4)))
    start = np.array([np.nan, 0.2, 0.3, np.nan, 0.5, np.nan, np.nan, np.nan])
    u = reduced.reduce(start)
    np.testing.assert_array_equal(reduced.restore(u), [0.5, 0.2, 0.3, np.nan, 0.5, 0.2, 0.3, np.nan])


def test_of_two_values_of_tied_columns_the_first_is_taken():
    reduced = substitute_tied_columns(with_twins(box(), np.arange(4)))
    np.testing.assert_array_equal(reduced.reduce(np.arange(8.0)), [0.0, 1.0, 2.0, 3.0])


def test_tied_outputs_and_circles_do_not_keep_other_columns_from_being_merged():
    """Two outputs are tied, a network reads its own output, and two inputs are tied besides."""
    network = random_network(np.random.default_rng(0), (1, 4, 1))
    free = np.full(6, INF)
    networks = tuple(EmbeddedNetwork(network, [2 * i], [2 * i + 1], f"network {i}") for i in range(3))
    problem = with_rows(
        Problem(np.zeros(6), -free, free, networks=networks),
        [({1: 1.0, 3: -1.0}, 0.0, 0.0), ({4: 3.0, 5: -3.0}, 0.0, 0.0), ({0: -1.0, 2: 1.0}, 0.0, 0.0)],
    )
    merged = substitute_tied_columns(problem)
    assert (merged.problem.n_columns, merged.problem.n_rows) == (3, 0)
    with pytest.raises(ModelError, match="write the same column: presolve"):
        merged.problem.stages  # noqa: B018
    reduced = presolve(problem)
    assert (reduced.problem.n_columns, reduced.problem.n_rows) == (5, 2)
    x, fixed_point = 0.3, search(problem, iteration_limit=200).incumbent
    assert fixed_point.is_feasible
    assert network.value([[fixed_point.values[4]]])[0, 0] == pytest.approx(fixed_point.values[4], abs=1e-6)
    y = float(network.value([[x]])[0, 0])
    u = reduced.reduce(np.array([x, y, x, y, *fixed_point.values[4:]]))
    assert reduced.problem.measure(reduced.problem.propagate(u[None])[0]).is_feasible


def test_tied_columns_share_bounds_and_integrality():
    """The first three columns are tied, and so are the last two."""
    rows = [({0: 1.0, 1: -1.0}, 0.0, 0.0), ({2: -0.5, 1: 0.5}, 0.0, 0.0), ({4: 1.0, 3: -1.0}, 0.0, 0.0)]
    lower, upper = np.array([0.0, 1.0, -1.0, -INF, -2.0]), np.array([5.0, INF, 9.0, 2.0, 7.0])
    problem = Problem(np.arange(5.0), lower, upper, integers=np.array([False, False, True, False, False]))
    reduced = substitute_tied_columns(with_rows(problem, rows))
    assert reduced.columns.tolist() == [0, 0, 0, 1, 1]
    merged = reduced.problem
    assert (merged.lower.tolist(), merged.upper.tolist(), merged.integers.tolist()) == ([1, -2], [5, 2], [True, False])
    assert merged.cost.tolist() == [3.0, 7.0]


def test_other_rows_are_no_ties():
    free = np.full(2, INF)
    for row, side in (([1.0, 1.0], 0.0), ([1.0, -2.0], 0.0), ([1.0, -1.0], 0.5)):
        problem = Problem(np.zeros(2), -free, free, sparse.csr_array([row]), np.full(1, side), np.full(1, side))
        assert substitute_tied_columns(problem) is None


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
    merged = presolve(problem).problem
    assert (merged.lower <= merged.upper).all()
    found = search(problem, iteration_limit=50)
    assert found.incumbent.objective == pytest.approx(network.value([[1.0]])[0, 0], abs=1e-5)
    assert solve_exactly(problem).stop is Stop.OPTIMAL


# --- outputs written twice, circles -----------------------------------------------------------------------------


def embedded(links: list[tuple[list[int], list[int]]]) -> Problem:
    """Six columns, and random networks that read and write the given ones."""
    rng = np.random.default_rng(len(links))
    networks = tuple(
        EmbeddedNetwork(random_network(rng, (len(inputs), 3, len(outputs))), inputs, outputs, f"network {index}")
        for index, (inputs, outputs) in enumerate(links)
    )
    return Problem(np.arange(6.0), np.full(6, -INF), np.full(6, INF), networks=networks, column_names=tuple("abcdef"))


columns = st.lists(st.integers(0, 5), min_size=1, max_size=3)


@settings(max_examples=100, deadline=None)
@given(links=st.lists(st.tuples(columns, columns), max_size=6), seed=seeds)
def test_separated_outputs_have_an_order_and_the_same_points(links, seed):
    problem = embedded(links)
    reduced = separate_outputs(problem)
    written = [column for _, outputs in links for column in outputs]
    if reduced is None:
        assert len(problem.stages) <= len(links)
        assert len(set(written)) == len(written)
        return
    separated = reduced.problem
    copies = separated.n_columns - 6
    assert copies >= len(written) - len(set(written))
    assert len(separated.stages) <= len(links)
    copied = {row: set(separated.rows[[row]].indices.tolist()) for row in range(copies)}
    back = {column: original for pair in copied.values() for original, column in [sorted(pair)]}
    assert [[back.get(c, c) for c in e.outputs.tolist()] for e in separated.networks] == [o for _, o in links]
    # A point is as far from the networks as its extension is from the rows.
    v = np.random.default_rng(seed).normal(size=6)
    u = np.append(v, np.zeros(copies))
    for network in separated.networks:
        fresh = network.outputs >= 6
        u[network.outputs[fresh]] = network.network.value(v[None, network.inputs])[0, fresh]
    point, extended = problem.measure(v), separated.measure(u)
    assert max(extended.violation, extended.network_error) == pytest.approx(point.network_error, abs=1e-12)
    assert extended.objective == pytest.approx(point.objective)
    np.testing.assert_array_equal(reduced.restore(u), v)
    np.testing.assert_array_equal(reduced.reduce(v), np.append(v, np.full(copies, np.nan)))


def test_a_chain_of_networks_is_left_as_it_is():
    assert separate_outputs(embedded([([0], [1]), ([1], [2]), ([2], [3])])) is None
    assert separate_outputs(embedded([([2], [3]), ([1], [2]), ([0], [1])])) is None


def test_only_the_first_network_of_a_circle_writes_copies():
    """Two networks write column 1; a third reads and writes column 2; what reads a circle is no part of it."""
    reduced = separate_outputs(embedded([([0], [1]), ([0], [1]), ([2], [2, 3]), ([3], [4])])).problem
    assert [network.outputs.tolist() for network in reduced.networks] == [[1], [6], [7, 3], [4]]
    assert reduced.column_names == ("a", "b", "c", "d", "e", "f", "b", "c")


def test_a_circle_that_reads_another_one_leaves_it_alone():
    reduced = separate_outputs(embedded([([0], [0, 1]), ([1, 2], [2])])).problem
    assert [network.outputs.tolist() for network in reduced.networks] == [[6, 1], [7]]


def test_a_circle_is_solved():
    """x = |x - 3| has the solution 1.5 alone."""
    network = Network.from_layers([[[1.0], [-1.0]], [[1.0, 1.0]]], [[-3.0, 3.0], [0.0]])
    circle = Problem(np.ones(1), np.zeros(1), np.full(1, 10.0), networks=(EmbeddedNetwork(network, [0], [0]),))
    for result in (search(circle, iteration_limit=200), solve_exactly(circle, time_limit=60)):
        assert result.incumbent.values == pytest.approx([1.5], abs=1e-5)


# --- implied bounds ---------------------------------------------------------------------------------------------


@settings(max_examples=80, deadline=None)
@given(seed=seeds)
def test_bounds_by_a_row_are_those_of_its_formula(seed):
    rng = np.random.default_rng(seed)
    n = int(rng.integers(2, 5))
    row = rng.normal(size=(1, n)) * (rng.random((1, n)) < 0.8)
    lower, upper = rng.uniform(-2, 0, n), rng.uniform(0, 2, n)
    unbounded = rng.random(n) < 0.3
    lower, upper = np.where(unbounded, -INF, lower), np.where(unbounded & (rng.random(n) < 0.7), INF, upper)
    side = float(rng.uniform(-1, 1))
    problem = Problem(np.zeros(n), lower, upper, rows=row, row_lower=[-INF], row_upper=[side])
    (low,), (high,) = RowTightening(problem).rounds(lower[None], upper[None])
    for column in range(n):
        expected = lower[column], upper[column]
        if row[0, column]:
            others = np.array([k for k in range(n) if k != column and row[0, k]], int)
            ends = row[0, others] * lower[others], row[0, others] * upper[others]
            bound = (side - np.minimum(*ends).sum()) / row[0, column]
            is_above = row[0, column] > 0
            expected = (
                (lower[column], min(upper[column], bound)) if is_above else (max(lower[column], bound), upper[column])
            )
        np.testing.assert_allclose((low[column], high[column]), expected, atol=1e-7)


def test_network_bounds_pass_through_a_chain():
    network = Network.from_layers([[[1.0]], [[2.0]]], [[0.0], [0.0]])
    chain = (EmbeddedNetwork(network, [1], [2]), EmbeddedNetwork(network, [0], [1]))
    lower, upper = np.array([-1.0, -INF, -INF]), np.array([3.0, 4.0, INF])
    low, high = function_implied_bounds(Problem(np.zeros(3), lower, upper, networks=chain), lower, upper)
    np.testing.assert_allclose(low, [-INF, 0, 0], atol=1e-12)
    np.testing.assert_allclose(high, [INF, 6, 8])


def test_missing_bounds_are_found_through_rows_and_networks():
    """Column 0 by a row, its network's output by the network, and column 2 by a row with that output."""
    network = Network.from_layers([[[1.0]], [[2.0]]], [[0.0], [0.0]])
    problem = Problem(
        np.zeros(5), np.array([-1.0, -INF, -INF, -INF, 0.0]), np.array([INF, INF, INF, INF, 1.0]),
        networks=(EmbeddedNetwork(network, [0], [1]), EmbeddedNetwork(network, [2], [3])),
    )  # fmt: skip
    problem = with_rows(problem, [({0: 1.0, 4: 1.0}, -INF, 3.0), ({2: 2.0, 1: -1.0}, 0.0, 4.0)])
    found = apply_implied_bounds(problem).problem
    np.testing.assert_allclose(found.lower, [-1.0, -INF, 0.0, -INF, 0.0], atol=1e-7)
    np.testing.assert_allclose(found.upper, [3.0, INF, 5.0, INF, 1.0], atol=1e-7)
    assert (found.lower[2] <= 0.0, found.upper[0] >= 3.0, found.upper[2] >= 5.0) == (True, True, True), "outward"
    without = dataclasses.replace(problem, lower=np.array([-1.0, -INF, -INF, -INF, -INF]))
    assert np.isinf(apply_implied_bounds(without).problem.upper[0])


def test_bounds_of_outputs_that_follow_say_nothing():
    network = Network.from_layers([[[1.0]], [[2.0]]], [[0.0], [1.0]])  # [1, 3] over [-1, 1]
    problem = Problem(
        np.ones(2), np.array([-1.0, 1.0]), np.array([1.0, 3.0]), networks=(EmbeddedNetwork(network, [0], [1]),)
    )
    assert presolve(problem).problem.shape is Shape.BOX
    for lower, upper in ((1.0 + 1e-7, 3.0), (1.0, 3.0 - 1e-7)):
        tighter = dataclasses.replace(problem, lower=np.array([-1.0, lower]), upper=np.array([1.0, upper]))
        assert presolve(tighter).problem.shape is Shape.GENERAL


def test_a_large_output_never_passes_a_bound_that_was_left_out_by_more_than_the_tolerance():
    scale = 1e9
    network = Network.from_layers([[[scale]]], [[0.0]])
    for share in (1e-9, 1e-12, 1e-16):
        upper = np.array([1.0, scale * (1.0 - share)])
        problem = Problem(-np.ones(2), np.zeros(2), upper, networks=(EmbeddedNetwork(network, [0], [1]),))
        reduced = presolve(problem)
        best = reduced.problem.incumbent(np.ones(2))
        assert problem.measure(reduced.restore(best.values)).is_feasible == best.is_feasible


@pytest.mark.parametrize("named", [False, True])
def test_a_column_without_a_value_is_named(named):
    names = {"column_names": ("x", "y", "k", "out")} if named else {}
    cases = [
        ([({0: 1.0}, 1.5, INF)], ("variable 'x'", "column 0"), " can have no value: its lower bound is 1.5, its upper"),
        ([({2: 1.0}, 0.25, 0.75)], ("variable 'k'", "column 2"), " can have no value: its lower bound is 1.0, its"),
    ]
    for rows, columns, message in cases:
        with pytest.raises(InfeasibleProblemError, match=columns[not named] + message):
            presolve(over_a_network(rows, **names))
    far = dataclasses.replace(over_a_network([], **names), lower=np.array([0.0, 0.0, 0.0, 1e4]))
    with pytest.raises(InfeasibleProblemError, match="can have no value by its network: its lower bound is 10000"):
        presolve(far)


def test_columns_that_rows_leave_without_a_value_are_named():
    problem = dataclasses.replace(
        over_a_network([({0: 1.0, 1: 1.0}, 3.5, INF), ({0: 1.0, 1: 2.0}, -INF, 2.0)]),
        upper=np.array([INF, 1.0, 9.0, INF]),
    )
    with pytest.raises(InfeasibleProblemError, match="column 0 can have no value by the constraints: its lower"):
        presolve(problem)


# --- runs on the presolved problem ------------------------------------------------------------------------------


@pytest.mark.parametrize("solve", [search, solve_exactly])
def test_a_run_says_why_there_is_no_feasible_point(solve):
    result = solve(over_a_network([({0: 1.0}, 1.5, INF)]))
    assert (result.stop, result.incumbent, result.bound) == (Stop.INFEASIBLE, None, INF)
    assert result.reason == "column 0 can have no value: its lower bound is 1.5, its upper bound 1.0"


def test_arrays_are_presolved_too():
    """A row over one input is a bound, and a contradiction is told in the words of the presolve."""
    network = random_network(np.random.default_rng(0), (3, 6, 1))
    assert presolve(array_problem(network, None, 0, 1, rows=([[2.0, 0, 0]], -INF, 1.0))).problem.shape is Shape.BOX
    best = maximize(network, lower=0, upper=1, A=[[2.0, 0, 0]], row_upper=1.0, iteration_limit=100)
    assert best.value == pytest.approx(maximize(network, lower=0, upper=[0.5, 1, 1], iteration_limit=100).value)
    with pytest.raises(ModelError, match=r"no feasible point was found .*; column 0 can have no value: its lower"):
        maximize(network, lower=0, upper=1, A=[[2.0, 0, 0]], row_lower=3.0)


@pytest.mark.parametrize("solve", [search, solve_exactly])
def test_points_and_reports_are_in_the_columns_of_the_problem(solve):
    problem = with_twins(random_problem("window", 3), np.arange(3))
    seen = []
    result = solve(problem, time_limit=2.0, callback=lambda progress: seen.append(progress.incumbent))
    reported = [point for point in seen if point is not None]
    assert reported
    for point in (*reported, *result.pool):
        measured = problem.measure(point.values)
        assert point.values.size == problem.n_columns
        assert (point.objective, point.violation) == (measured.objective, measured.violation)
    assert result.bound <= result.incumbent.objective


@pytest.mark.parametrize("solve", [search, solve_exactly])
def test_starts_are_in_the_columns_of_the_problem(solve):
    problem = with_twins(random_problem("equality", 3), np.arange(4))
    start = search(problem, iteration_limit=400).incumbent
    seen = []

    def stop_at_once(progress):
        seen.append(progress.incumbent)
        return True

    solve(problem, start=start.values, callback=stop_at_once)
    assert seen[0].objective <= start.objective + 1e-9


@pytest.mark.parametrize("solve", [search, solve_exactly])
def test_a_limit_of_time_does_not_end_the_presolve(solve):
    """A step of it, the tightening by rows, looks at deadlines."""
    problem = over_a_network([({0: 1.0, 1: 1.0}, -INF, 1.0)])
    assert solve(dataclasses.replace(problem, upper=np.array([INF, 1.0, 9.0, INF])), time_limit=0.0).reason == ""


@pytest.mark.parametrize("solve", [search, solve_exactly])
def test_a_problem_is_presolved_once(monkeypatch, solve):
    seen = []
    monkeypatch.setattr(
        "pyomo_relugrad.problem.presolve.FOR_ALL", (*FOR_ALL, lambda problem: seen.append(problem.shape))
    )
    solve(with_twins(box(), np.arange(4)), time_limit=2.0)
    assert seen == [Shape.BOX]


# --- bounds through networks --------------------------------------------------------------------------------------


def peak() -> Network:
    """relu(x + 1) - 2 relu(x) + relu(x - 1): 1 at 0, falling to 0 at -1 and 1."""
    return Network.from_layers([[[1.0], [1.0], [1.0]], [[1.0, -2.0, 1.0]]], [[1.0, 0.0, -1.0], [0.0]])


def one_input(network: Network, output: tuple[float, float], **arguments) -> Problem:
    """x in [-3, 2], y = network(x) within bounds."""
    lower, upper = np.array([-3.0, output[0]]), np.array([2.0, output[1]])
    return Problem(np.zeros(2), lower, upper, networks=(EmbeddedNetwork(network, [0], [1]),), **arguments)


def test_what_is_asked_of_outputs_narrows_inputs():
    reduced = tighten_through_networks(one_input(peak(), (0.5, INF)))
    low, high = reduced.problem.lower[0], reduced.problem.upper[0]
    assert -0.7 < low <= -0.5
    assert 0.5 <= high < 0.7
    assert 1.0 <= reduced.problem.upper[1] < 1.1


def test_an_output_may_miss_its_bound_by_the_tolerance_and_be_read():
    """The second output is 0.3, and may be 0.3 less 1e-7 at most; another network reads it."""
    first = Network.from_layers([[[1.0], [-1.0]], [[1.0, 0.0], [0.0, 0.0]]], [[0.0, 0.5], [0.0, 0.3]])
    second = Network.from_layers([[[1.0, 1.0], [-1.0, 2.0]], [[1.0, -1.0]]], [[0.0, -0.4], [0.0]])
    problem = Problem(
        np.array([-1.0, 0.0, 0.0, 1.0]),
        np.array([0.0, -INF, -INF, -INF]),
        np.array([1.0, INF, 0.3 - 1e-7, 0.5]),
        networks=(EmbeddedNetwork(first, [0], [1, 2]), EmbeddedNetwork(second, [1, 2], [3])),
    )
    small = tighten_through_networks(problem).problem
    assert small.lower[2] <= small.upper[2] == pytest.approx(0.3)
    assert (small.lower[:2] <= 1e-9).all()


def test_rows_pass_bounds_between_networks():
    """Both peaks must be at least 0.5 where their sum is to be 1.5."""
    network = peak()
    problem = Problem(
        np.zeros(4),
        np.array([-3.0, -3.0, -INF, -INF]),
        np.array([2.0, 2.0, INF, INF]),
        rows=[[0.0, 0.0, 1.0, 1.0]],
        row_lower=[1.5],
        row_upper=[1.5],
        networks=(EmbeddedNetwork(network, [0], [2]), EmbeddedNetwork(network, [1], [3])),
    )
    small = tighten_through_networks(problem).problem
    assert (small.lower[:2] > -0.8).all()
    assert (small.upper[:2] < 0.8).all()
    assert (small.lower[:2] <= -0.5).all()
    assert (small.upper[:2] >= 0.5).all()


def test_a_flow_that_is_never_zero_opens_a_valve():
    """y = x + 0.1 over [0, 1] is not zero, and y <= 10 z: the binary z is 1 by its bounds."""
    network = Network.from_layers([[[1.0]], [[1.0]]], [[0.1], [0.0]])
    problem = Problem(
        np.zeros(3),
        np.array([0.0, 0.0, 0.0]),
        np.array([1.0, INF, 1.0]),
        rows=[[0.0, 1.0, -10.0]],
        row_lower=[-INF],
        row_upper=[0.0],
        integers=np.array([False, False, True]),
        networks=(EmbeddedNetwork(network, [0], [1]),),
    )
    assert presolve(problem).problem.lower[2] == 0.0
    small = tighten_through_networks(problem).problem
    lower, _, possible = RowTightening(small)(small.lower[None], small.upper[None])
    assert possible[0]
    assert lower[0, 2] == 1.0


@pytest.mark.parametrize("output", [(2.0, INF), (-INF, -1.0)])
def test_problems_without_points_are_left_to_proofs(output):
    assert tighten_through_networks(one_input(peak(), output)) is None


def test_nothing_is_done_without_constraints_on_outputs_or_bounds_of_inputs_or_in_time():
    assert tighten_through_networks(one_input(peak(), (-INF, INF))) is None
    problem = one_input(peak(), (0.5, INF))
    free = tighten_through_networks(dataclasses.replace(problem, upper=np.array([INF, INF])))
    assert free is None or free.problem.upper[0] == INF
    assert tighten_through_networks(problem, max_work=1.0) is None


@pytest.mark.parametrize("seed", range(20))
def test_no_feasible_point_is_cut_off(seed):
    """Inputs at random; bounds of the outputs are drawn around the values of one of them."""
    rng = np.random.default_rng(seed)
    network = random_network(rng, (2, 8, 8, 2))
    inputs = rng.uniform(-1, 1, (2000, 2))
    outputs = network.value(inputs)
    low, high = outputs[0] - 0.2 * rng.random(2), outputs[0] + 0.2 * rng.random(2)
    problem = Problem(
        np.zeros(4), np.r_[-1.0, -1.0, low], np.r_[1.0, 1.0, high], networks=(EmbeddedNetwork(network, [0, 1], [2, 3]),)
    )
    small = reduce_by(problem, [tighten_through_networks]).problem
    feasible = ((outputs >= low) & (outputs <= high)).all(axis=1)
    points = np.c_[inputs, outputs][feasible]
    assert len(points)
    assert (points >= small.lower).all()
    assert (points <= small.upper).all()


def smooth_problem(expression: Expression, rows: list[list[float]], sides: tuple[list[float], list[float]]) -> Problem:
    """Two columns between -10 and 10 that an expression reads, and what it writes, with rows over the three."""
    lower, upper = np.array([-10.0, -10.0, -INF]), np.array([10.0, 10.0, INF])
    embedded = EmbeddedExpression(expression, [0, 1], [2])
    return Problem(np.ones(3), lower, upper, rows, *sides, expressions=(embedded,))


def built(kind: str) -> Expression:
    b = ExpressionBuilder()
    x, y = b.input(0), b.input(1)
    node = {
        "log": lambda: b.sum([b.function("log", x), y]),
        "sqrt": lambda: b.sum([b.power(b.affine([x], [-1.0], 2.0), b.constant(0.5)), y]),
        "product": lambda: b.product(x, y),
        "ball": lambda: b.sum([b.product(x, x), b.product(y, y)]),
    }[kind]()
    return b.build([node], range(2)).expression


@pytest.mark.parametrize(
    ("kind", "row", "sides", "lower", "upper"),
    [
        ("log", [0.0, 0.0, 1.0], ([-INF], [50.0]), [0.0, -10.0], [10.0, 10.0]),
        ("sqrt", [0.0, 0.0, 1.0], ([-INF], [-9.0]), [1.0, -10.0], [2.0, -9.0]),
        ("product", [0.0, 0.0, 1.0], ([100.0], [100.0]), [-10.0, -10.0], [10.0, 10.0]),
        ("ball", [0.0, 0.0, 1.0], ([-INF], [4.0]), [-2.0, -2.0], [2.0, 2.0]),
        ("ball", [1.0, 0.0, 1.0], ([-INF], [4.0]), [-2.561553, -2.561553], [2.561553, 2.561553]),
    ],
)
def test_rows_and_domains_tighten_through_expressions(
    kind: str, row: list[float], sides: tuple[list[float], list[float]], lower: list[float], upper: list[float]
) -> None:
    reduced = presolve(smooth_problem(built(kind), [row], sides)).problem
    assert reduced.lower[:2] == pytest.approx(lower, abs=0.2)
    assert reduced.upper[:2] == pytest.approx(upper, abs=0.2)
    assert (reduced.lower[:2] <= np.array(lower) + 1e-6).all()
    assert (reduced.upper[:2] >= np.array(upper) - 1e-6).all()


def test_boxes_in_which_an_expression_has_no_value_are_not_possible() -> None:
    problem = smooth_problem(built("log"), [[0.0, 0.0, 1.0]], ([-INF], [1.0]))
    lower, upper = np.array([[-3.0, 0.0, -INF], [1.0, 0.0, -INF]]), np.array([[-1.0, 1.0, INF], [9.0, 1.0, 1.0]])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        low, high, possible = ExpressionTightening(problem)(lower, upper)
        assert possible.tolist() == [False, True]
        assert RowTightening(problem)(np.full((1, 3), INF), np.full((1, 3), -INF))[2].tolist() == [False]
    assert (low[1, 0], high[1, 0]) == pytest.approx((1.0, np.e), abs=1e-4)


@pytest.mark.parametrize("seed", range(3))
def test_boxes_are_cut_to_what_lies_below_a_limit(seed):
    """Each side to the point that is farthest in its direction, and no further."""
    rng = np.random.default_rng(seed)
    coefficients = rng.normal(size=(8, 4)) * (rng.random((8, 4)) < 0.7)
    lower, upper = -rng.random((8, 4)), rng.random((8, 4))
    minima, maxima = (np.where(coefficients > 0, *ends) * coefficients for ends in ((lower, upper), (upper, lower)))
    least, most = minima.sum(axis=1), maxima.sum(axis=1)
    limit = least + rng.random(8) * (most - least)
    new_lower, new_upper = cut_boxes(coefficients, least, limit, lower, upper)
    with np.errstate(divide="ignore"):
        reach = (limit - least)[:, None] / coefficients
    np.testing.assert_allclose(
        new_upper, np.where(coefficients > 0, np.minimum(upper, lower + reach), upper), atol=1e-6
    )
    np.testing.assert_allclose(
        new_lower, np.where(coefficients < 0, np.maximum(lower, upper + reach), lower), atol=1e-6
    )
    points = lower + (upper - lower) * rng.random((500, 8, 4))
    allowed = (coefficients * points).sum(axis=2) <= limit
    assert allowed.any()
    assert (((points >= new_lower) & (points <= new_upper)).all(axis=2) | ~allowed).all()
    for unlimited in (cut_boxes(coefficients, least, limit + np.inf, lower, upper),
                      cut_boxes(coefficients, least - np.inf, limit, lower, upper)):  # fmt: skip
        np.testing.assert_array_equal(unlimited, (lower, upper))


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_cuts_of_wide_boxes_allow_for_the_rounding_of_their_sides(sign: float) -> None:
    """Numbers around 1e17 are 16 apart, and a cut of ``x >= 9`` from there would begin at 16."""
    lower, upper = np.sort(np.array([0.0, sign * 1e17])).reshape(2, 1, 1)
    low, high = cut_boxes(np.array([[-sign]]), np.array([-1e17]), np.array([-9.0]), lower, upper)
    assert low.item() <= 9.0 * sign <= high.item()


def test_boxes_whose_sides_cross_by_rounding_are_closed():
    lower = np.array([[0.0, 1.0 + 1e-9], [0.0, 1.5], [0.0, np.inf]])
    upper = np.array([[1.0, 1.0], [1.0, 1.0], [1.0, 1.0]])
    new_lower, new_upper, are_possible = close_boxes(lower, upper)
    assert are_possible.tolist() == [True, False, False]
    assert (new_lower <= new_upper).all()
    assert new_lower[0, 1] == new_upper[0, 1] == pytest.approx(1.0, abs=1e-9)


def shares_of_flows() -> Problem:
    """Two shares, two flows and their four products; shares add up to one, flows to at most three."""
    products = [EmbeddedExpression(PRODUCT, [i, j], [output]) for output, (i, j) in enumerate(PAIRS, start=4)]
    rows = np.zeros((2, 8))
    rows[0, :2] = rows[1, 2:4] = 1.0
    lower, upper = np.array([0, 0, 0, 0.5, *[-INF] * 4]), np.array([1, 1, 3, 2, *[INF] * 4])
    return Problem(np.zeros(8), lower, upper, rows, [1.0, -INF], [1.0, 3.0], expressions=tuple(products))


PAIRS = [(0, 2), (1, 2), (3, 0), (3, 1)]


def test_rows_are_multiplied_by_columns() -> None:
    problem = shares_of_flows()
    reduced = add_product_rows(problem).problem
    # The equation times each flow; the other row times each share's distances from zero and one.
    assert reduced.n_rows == 2 + 2 + 4
    np.testing.assert_array_equal(reduced.rows.toarray()[2], [0, 0, -1, 0, 1, 1, 0, 0])
    random = np.random.default_rng(0)
    share, flows = random.uniform(size=50), random.uniform([0, 0.5], [1, 2], (50, 2))
    points = problem.propagate(np.column_stack([share, 1 - share, flows, np.zeros((50, 4))]))
    assert reduced.row_violations(points).max() <= 1e-12
    # A total of products beyond the share of the total is cut off, though McCormick's planes allow it.
    wrong = points[0].copy()
    wrong[[4, 6]] += 1.5
    assert reduced.row_violations(wrong[None]).max() > 1


def test_rows_whose_products_are_no_columns_are_left() -> None:
    problem = dataclasses.replace(shares_of_flows(), expressions=shares_of_flows().expressions[:1])
    assert add_product_rows(problem) is None


def test_tiny_coefficients_of_columns_without_ends_may_be_all_that_satisfies_a_row():
    free = np.full(1, np.inf)
    problem = Problem(np.ones(1), -free, free, [[1e-13]], [2.0], [np.inf])
    assert presolve(problem).problem.lower == pytest.approx([2e13])
