"""Searches where few rows tie many small networks: tables, blocks, and the programs that choose from them."""

import contextlib
import itertools
from dataclasses import fields, replace

import numpy as np
import pytest
from fake_clock import FakeClock
from random_models import random_network
from scipy import sparse
from writings import outputs_tied_by_rows, reordered

from pyomo_relugrad.errors import ModelError
from pyomo_relugrad.network import Network
from pyomo_relugrad.problem import EmbeddedNetwork, Problem
from pyomo_relugrad.run import Budget, Method, Past, SearchContext, Stop
from pyomo_relugrad.search.auto import Auto
from pyomo_relugrad.search.neighbourhoods.search import Neighbourhoods
from pyomo_relugrad.search.separable.assignment import Assignment, exchanged
from pyomo_relugrad.search.separable.blocks import Blocks
from pyomo_relugrad.search.separable.choice import ChoiceProgram
from pyomo_relugrad.search.separable.column_generation import ColumnGeneration
from pyomo_relugrad.search.separable.exact_choice import ExactChoice
from pyomo_relugrad.search.separable.exchange import ExchangeSearch
from pyomo_relugrad.search.separable.followers import Followers
from pyomo_relugrad.search.separable.rough_choice import FIRST_TOLERANCE, RoughChoice, thinned
from pyomo_relugrad.search.separable.tables import Table, exact_tables, network_groups
from pyomo_relugrad.search.sequential.merit import Merit
from pyomo_relugrad.solve import Portfolio, search, solve_exactly

MANY = 4096


def budget_problem(count: int, seed: int, inputs: int = 1, integers: bool = False) -> Problem:
    """``min -sum of outputs`` of one network, `count` times, over inputs in [0, 2] whose sum is limited.

    Columns: the inputs of one embedding after those of another, then the outputs.
    """
    rng = np.random.default_rng(seed)
    network = random_network(rng, (inputs + 1, 6, 4, 1))
    n_free = count * inputs
    n = n_free + 2 * count
    embedded = tuple(
        EmbeddedNetwork(
            network, [*range(i * inputs, (i + 1) * inputs), n_free + i], [n_free + count + i], f"network {i}"
        )
        for i in range(count)
    )
    known = rng.normal(size=count)
    lower = np.concatenate([np.zeros(n_free), known, np.full(count, -np.inf)])
    upper = np.concatenate([np.full(n_free, 2.0), known, np.full(count, np.inf)])
    row = np.zeros((1, n))
    row[0, :n_free] = 1.0
    cost = np.zeros(n)
    cost[-count:] = -1.0
    is_integer = np.arange(n) < (n_free if integers else 0)
    return Problem(cost, lower, upper, row, None, np.array([0.6 * n_free]), is_integer, embedded)


def enumerated(problem: Problem) -> float:
    """The smallest objective over all values of the free integer columns, which are all that is free."""
    free = np.flatnonzero(problem.integers)
    points = np.array(list(itertools.product(*(range(3) for _ in free))), float)
    V = np.tile(np.clip(0.0, problem.lower, problem.upper), (len(points), 1))
    V[:, free] = points
    V = problem.propagate(V)
    return float(problem.objective(V)[problem.violation(V) <= 1e-9].min())


def context(seed: int = 0, **fields: object) -> SearchContext:
    return SearchContext(Budget(20.0), np.random.default_rng(seed), **fields)


# --- tables ---------------------------------------------------------------------------------------------------------


def test_networks_that_share_a_free_column_are_one_group() -> None:
    network = random_network(np.random.default_rng(0), (2, 3, 1))
    networks = [
        EmbeddedNetwork(network, inputs, [output]) for inputs, output in (([0, 2], 3), ([2, 1], 4), ([1, 2], 5))
    ]
    problem = Problem(np.zeros(6), np.array([0, 0, 1, *[-np.inf] * 3]), np.array([1, 1, 1, *[np.inf] * 3]),
                      networks=tuple(networks))  # fmt: skip
    groups, count = network_groups(problem)
    assert count == 2
    assert groups[2] == -1  # fixed
    assert groups[0] == groups[3]
    assert groups[1] == groups[4] == groups[5]


@pytest.mark.parametrize("seed", range(5))
def test_a_table_of_one_continuous_input_holds_the_network_between_its_points_too(seed: int) -> None:
    problem = budget_problem(4, seed)
    tables = exact_tables(problem, MANY)
    assert tables is not None
    for group, table in enumerate(tables):
        assert table.columns.tolist() == [group, 8 + group]
        x, y = table.points.T
        assert x[0] == 0.0
        assert x[-1] == 2.0
        assert (np.diff(x) > 0).all()
        assert table.joined.tolist() == [True] * (len(x) - 1) + [False]
        V = np.tile(np.clip(0.0, problem.lower, problem.upper), (500, 1))
        V[:, group] = np.linspace(0, 2, 500)
        assert np.allclose(problem.propagate(V)[:, 8 + group], np.interp(V[:, group], x, y), atol=1e-9)


def test_a_table_of_integers_holds_each_of_their_values() -> None:
    problem = budget_problem(3, 1, inputs=2, integers=True)
    tables = exact_tables(problem, MANY)
    assert tables is not None
    assert [len(table.points) for table in tables] == [9, 9, 9]
    assert not any(table.joined.any() for table in tables)
    assert {tuple(point[:2]) for point in tables[1].points.tolist()} == set(itertools.product((0, 1, 2), repeat=2))


def test_a_table_of_an_integer_and_a_continuous_input_is_a_curve_for_each_integer() -> None:
    problem = budget_problem(2, 3, inputs=2)
    problem = replace(problem, integers=np.isin(np.arange(problem.n_columns), [0, 2]))
    tables = exact_tables(problem, MANY)
    assert tables is not None
    for table in tables:
        ends = table.points[~table.joined]
        assert ends[:, 0].tolist() == [0, 1, 2]
        assert ends[:, 1].tolist() == [2, 2, 2]


def test_there_is_no_table_of_two_continuous_inputs_nor_of_too_many_integers() -> None:
    assert exact_tables(budget_problem(2, 0, inputs=2), MANY) is None
    assert exact_tables(budget_problem(2, 0, inputs=2, integers=True), 8) is None


# --- blocks ---------------------------------------------------------------------------------------------------------


def block_problem(count: int = 4, seed: int = 0) -> Problem:
    """Blocks of a network with two inputs, a price column and a row between them; one row over all price columns.

    A block's binary says whether its output is at least 0.2, and as many as possible shall be.
    """
    rng = np.random.default_rng(seed)
    network = random_network(rng, (2, 5, 1))
    n = 5 * count
    networks = tuple(EmbeddedNetwork(network, [5 * i, 5 * i + 1], [5 * i + 2], f"network {i}") for i in range(count))
    rows, lower, upper = [], [], []
    for i in range(count):
        a, b, y, price, wanted = 5 * i + np.arange(5)
        for columns, entries, low, high in (
            ([price, a, b], [1.0, *rng.uniform(-1, -0.5, 2)], 0.0, np.inf),
            ([y, wanted], [1.0, -20.0], -19.8, np.inf),
        ):
            row = np.zeros(n)
            row[columns] = entries
            rows.append(row)
            lower.append(low)
            upper.append(high)
    rows.append(np.isin(np.arange(n) % 5, 3) * 1.0)
    return Problem(
        np.where(np.arange(n) % 5 == 4, -1.0, 0.0),
        np.tile([-1.0, -1.0, -np.inf, 0.0, 0.0], count),
        np.tile([1.0, 1.0, np.inf, 9.0, 1.0], count),
        sparse.csr_array(np.array(rows)),
        np.array([*lower, -np.inf]),
        np.array([*upper, 0.15 * count]),
        np.arange(n) % 5 == 4,
        networks,
    )


@pytest.mark.parametrize("seed", range(3))
def test_blocks_are_found_in_any_order_of_columns_and_rows(seed: int) -> None:
    problem, number = reordered(block_problem(), seed)
    blocks = Blocks.of(problem)
    assert blocks.count == 4
    found = blocks.of_column[number].reshape(4, 5)
    assert (found == found[:, :1]).all()
    assert sorted(found[:, 0].tolist()) == [0, 1, 2, 3]
    links = np.flatnonzero(blocks.of_row < 0)
    assert (problem.rows[links].toarray() != 0).sum(axis=1).tolist() == [4]


def test_a_column_that_several_blocks_ask_for_belongs_to_none_and_its_rows_link() -> None:
    problem = budget_problem(3, 0)
    n, count = problem.n_columns, 3
    worst = np.hstack([np.zeros((count, n - count)), -np.eye(count), np.ones((count, 1))])  # level <= each output
    rows = np.vstack([np.append(problem.rows.toarray()[0], 0.0), worst])
    problem = replace(
        problem,
        cost=np.append(problem.cost, 0.0),
        lower=np.append(problem.lower, -9.0),
        upper=np.append(problem.upper, 9.0),
        integers=np.append(problem.integers, False),
        rows=sparse.csr_array(rows),
        row_lower=np.append(problem.row_lower, np.full(count, -np.inf)),
        row_upper=np.append(problem.row_upper, np.zeros(count)),
    )
    blocks = Blocks.of(problem)
    assert blocks.of_column[-1] < 0
    assert (blocks.of_row < 0).all()


# --- choices --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(8))
def test_the_exact_choice_over_integers_is_the_enumerated_optimum(seed: int) -> None:
    problem = budget_problem(4, seed, inputs=2, integers=True)
    bounds: list[float] = []
    points = [p for p in ExactChoice().run(problem, context(take_bound=bounds.append)) if p is not None]
    assert all(point.is_feasible for point in points)
    assert min(point.objective for point in points) == pytest.approx(enumerated(problem), abs=1e-6)
    assert max(bounds) == pytest.approx(enumerated(problem), abs=1e-5)


@pytest.mark.parametrize("seed", range(8))
def test_the_relaxation_bounds_every_feasible_point_and_the_choice_beats_a_grid(seed: int) -> None:
    problem = budget_problem(3, seed)
    bounds: list[float] = []
    points = [p for p in ExactChoice().run(problem, context(take_bound=bounds.append)) if p is not None]
    grid = np.array(list(itertools.product(np.linspace(0, 2, 31), repeat=3)))
    V = np.tile(np.clip(0.0, problem.lower, problem.upper), (len(grid), 1))
    V[:, :3] = grid
    V = problem.propagate(V)
    best = float(problem.objective(V)[problem.violation(V) <= 1e-9].min())
    found = min(point.objective for point in points)
    assert all(point.is_feasible for point in points)
    assert max(bounds) <= found + 1e-9
    assert found <= best + 1e-9
    assert found - max(bounds) <= 1e-5


def test_the_lagrangian_bound_at_the_multipliers_is_the_relaxation() -> None:
    problem = budget_problem(6, 2)
    tables = exact_tables(problem, MANY)
    assert tables is not None
    relaxed = ChoiceProgram(problem, tables).relax(10.0)
    assert relaxed is not None
    reduced = problem.cost - relaxed.row_duals @ problem.rows
    by_hand = relaxed.row_duals @ problem.row_upper
    by_hand += sum((table.points @ reduced[table.columns]).min() for table in tables)
    assert by_hand == pytest.approx(relaxed.objective, abs=1e-7)
    assert relaxed.bound <= relaxed.objective


def test_bounds_on_columns_in_tables_hold_between_their_points() -> None:
    problem = budget_problem(3, 4)
    tables = exact_tables(problem, MANY)
    assert tables is not None
    upper = problem.upper.copy()
    for table in tables:
        upper[table.columns[1]] = table.points[:, 1].min() + 0.7 * np.ptp(table.points[:, 1])
    limited = replace(problem, upper=upper, row_upper=np.array([6.0]))
    *_, point = (p for p in ExactChoice().run(limited, context()) if p is not None)
    assert point.is_feasible
    at_bound = np.isclose(point.values, upper) & problem.is_output
    assert at_bound.sum() == 3


def test_a_choice_shares_weight_only_between_points_that_are_joined() -> None:
    line = np.array([[0.0], [1.0], [2.0]])
    rows, side = sparse.csr_array([[1.0]]), np.array([1.5])
    problem = Problem(np.array([-1.0]), np.zeros(1), np.full(1, 2.0), rows, None, side)
    for joined, expected in ([True, True, False], 1.5), ([True, False, False], 1.0):
        choice = ChoiceProgram(problem, [Table(np.array([0]), line, np.array(joined))]).choose(np.ones(3, bool), 10.0)
        assert choice.values is not None
        assert choice.values[0] == pytest.approx(expected)


@pytest.mark.parametrize("tolerance", [0.02, 0.2])
def test_curves_through_fewer_points_stay_near_and_apart(tolerance: float) -> None:
    x = np.linspace(0.0, 3.0, 40)
    curve = np.column_stack([x, 100 * np.sin(x)])
    joined, shift = np.ones(80, bool), np.array([5.0, 0.0])
    joined[[39, 79]] = False
    table = thinned(Table(np.array([0, 1]), np.vstack([curve, curve + shift]), joined), tolerance)
    assert len(table.points) < 20
    last = np.flatnonzero(~table.joined)
    assert last.size == 2
    assert last[-1] == len(table.points) - 1
    first = table.points[: last[0] + 1]
    away = np.abs(np.interp(x, *first.T) - curve[:, 1]) / np.ptp(curve[:, 1])
    assert tolerance / 20 < away.max() <= 3 * tolerance  # measured upright, not from the line
    np.testing.assert_allclose(table.points[last[0] + 1 :], first + shift)


def switched_problem(count: int, seed: int) -> Problem:
    """A budget problem in which each input is zero or at least 0.4, as its binary says, and binaries cost."""
    problem = budget_problem(count, seed)
    network, n = random_network(np.random.default_rng(seed), (2, 20, 10, 1)), problem.n_columns
    rows = np.zeros((2 * count, n + count))
    for i in range(count):
        rows[2 * i, [i, n + i]] = 1.0, -2.0
        rows[2 * i + 1, [i, n + i]] = -1.0, 0.4
    return replace(
        problem,
        cost=np.append(problem.cost, np.full(count, 0.05)),
        lower=np.append(problem.lower, np.zeros(count)),
        upper=np.append(problem.upper, np.ones(count)),
        rows=np.vstack([np.hstack([problem.rows.toarray(), np.zeros((1, count))]), rows]),
        row_lower=np.full(2 * count + 1, -np.inf),
        row_upper=np.append(problem.row_upper, np.zeros(2 * count)),
        integers=np.append(problem.integers, np.ones(count, bool)),
        networks=tuple(EmbeddedNetwork(network, e.inputs, e.outputs) for e in problem.networks),
    )


def test_integers_beside_tables_are_sought_with_few_points(monkeypatch) -> None:
    problem = switched_problem(4, 3)
    tables = exact_tables(problem, MANY)
    assert tables is not None
    rough, program = RoughChoice(problem, tables, 5.0, np.random.default_rng(0)), ChoiceProgram(problem, tables)
    values = rough.choose()
    assert values is not None
    everything = np.ones(program.n_points, bool)
    held = program.choose(everything, 5.0, held=values)
    assert held.values is not None
    np.testing.assert_array_equal(np.round(held.values[-4:]), np.round(values[-4:]))
    best = program.choose(everything, 5.0, start=held.solution)
    assert best.objective <= held.objective <= best.objective + 0.1
    # Finer and finer tables until they have most of the points; integers that are known already are not told again.
    assert [rough.choose() for _ in range(9)][-1] is None
    monkeypatch.setattr(ChoiceProgram, "cheapest", lambda *_: pytest.fail("the first point comes before"))
    first = next(point for point in ExactChoice().run(problem, context()) if point is not None)
    assert first.is_feasible
    assert first.objective == pytest.approx(held.objective)
    assert RoughChoice(budget_problem(4, 3), tables, 5.0, np.random.default_rng(0)).choose() is None


def test_a_rough_choice_that_is_cut_short_is_bettered_around_it(monkeypatch) -> None:
    problem = switched_problem(6, 3)
    tables = exact_tables(problem, MANY)
    assert tables is not None
    program = ChoiceProgram(problem, [thinned(table, FIRST_TOLERANCE) for table in tables])
    best = program.choose(np.ones(program.n_points, bool), 5.0)
    choose, freed = ChoiceProgram.choose, []

    def cut_short(self, points, time_limit, start=None, held=None):
        """All is off where all integers are free."""
        if held is None:
            return replace(choose(self, points, time_limit, held=np.zeros(problem.n_columns)), is_solved=False)
        freed.append(int(np.isnan(held).sum()))
        choice = choose(self, points, time_limit, start, held)
        is_held = problem.integers & ~np.isnan(held)
        np.testing.assert_array_equal(np.round(choice.values[is_held]), np.round(held[is_held]))
        return choice

    monkeypatch.setattr(ChoiceProgram, "choose", cut_short)
    rough = RoughChoice(problem, tables, 5.0, np.random.default_rng(0))
    first, second = rough.choose(), rough.choose()
    assert not first[-6:].any()
    np.testing.assert_array_equal(np.round(second[-6:]), np.round(best.values[-6:]))
    assert np.round(second[-6:]).any()
    assert freed == [2, 3, 4, 6]


def test_a_problem_without_a_feasible_choice_gives_no_point_and_no_bound() -> None:
    problem = budget_problem(3, 0)
    problem = replace(problem, row_lower=np.array([7.0]), row_upper=np.array([8.0]))
    assert list(ExactChoice().run(problem, context(take_bound=pytest.fail))) == []


def test_tables_that_prove_the_optimum_end_the_exact_solve(monkeypatch) -> None:
    """Before another method begins, and without a proof beside."""
    problem = budget_problem(4, 0)
    monkeypatch.setattr(ColumnGeneration, "run", lambda *_: pytest.fail("the optimum is proven"))
    result = solve_exactly(problem, portfolio=Portfolio(first_seconds=np.inf))
    assert (result.stop, result.routes) == (Stop.OPTIMAL, ())


def test_a_later_search_goes_on_by_shape(monkeypatch) -> None:
    """What stages and tables give was given by the first search."""
    begun: list[str] = []

    def recorded(name: str):
        return lambda *_: begun.append(name) or iter(())

    for method in (ExactChoice, ColumnGeneration, ExchangeSearch, Neighbourhoods):
        monkeypatch.setattr(method, "run", recorded(method.name))
    problem = budget_problem(4, 0, integers=True)
    for is_first in (True, False):
        assert list(Auto().run(problem, context(is_first=is_first))) == []
    assert begun == ["exact-choice", "column-generation", "exchange", "neighbourhoods", "neighbourhoods"]
    begun.clear()
    past = Past()
    assert list(Auto(without=frozenset({"column-generation"})).run(problem, context(past=past))) == []
    assert begun == ["exact-choice", "exchange", "neighbourhoods"]
    assert "column-generation" not in past.barren


# --- column generation ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(4))
def test_generated_points_are_feasible_and_count_as_many_blocks_as_the_exact_milp(seed: int) -> None:
    problem = block_problem(3, seed)
    start = problem.incumbent(np.clip(0.0, problem.lower, problem.upper))
    assert start.is_feasible
    points = [p for p in ColumnGeneration().run(problem, context(known=(start,))) if p is not None]
    assert all(point.is_feasible for point in points)
    exact = solve_exactly(problem, time_limit=60.0)
    assert exact.incumbent is not None
    best = min(point.objective for point in [start, *points])
    assert best == pytest.approx(exact.incumbent.objective, abs=1e-6)


def test_choices_have_a_share_of_the_time_and_a_last_one_before_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    clock, choose, relax = FakeClock.installed(monkeypatch), ChoiceProgram.choose, ChoiceProgram.relax
    chosen: list[float] = []

    def slow_choice(*given, **named):
        chosen.append(clock.now - 1000.0)
        clock.now += 0.3
        return choose(*given, **named)

    def slow_relaxation(*given):
        clock.now += 0.12
        return relax(*given)

    monkeypatch.setattr(ChoiceProgram, "choose", slow_choice)
    monkeypatch.setattr(ChoiceProgram, "relax", slow_relaxation)
    own = SearchContext(Budget(4.0), np.random.default_rng(0))
    assert all(own.budget.is_unsettled for _ in ColumnGeneration(patience=1000).run(block_problem(2), own))
    assert not own.budget.is_unsettled
    assert 0.3 * (len(chosen) - 1) <= 0.25 * 4.0 + 0.3
    assert 3.0 < chosen[-1] < 4.0


def test_a_choice_begins_with_the_best_point(monkeypatch: pytest.MonkeyPatch) -> None:
    problem = block_problem(3, 2)
    begun: list[tuple[np.ndarray, np.ndarray]] = []
    choose = ChoiceProgram.choose

    def recorded(program, points, seconds, start):
        rest, weights = np.split(start, [program._rest.size])
        values = program._points[:, points] @ weights
        values[program._rest] = rest
        choice = choose(program, points, seconds, start)
        begun.append((values, choice.values))
        return choice

    monkeypatch.setattr(ChoiceProgram, "choose", recorded)
    start = problem.incumbent(problem.propagate(np.clip(0.0, problem.lower, problem.upper)[None])[0])
    list(ColumnGeneration().run(problem, context(known=(start,))))
    best = start.values
    for began, values in begun:
        assert began == pytest.approx(best, abs=1e-9)
        best = values if problem.cost @ values < problem.cost @ best - 0.5 else best
    assert (best != start.values).any()


def test_column_generation_leaves_alone_what_does_not_fall_apart() -> None:
    chained = budget_problem(1, 0, inputs=3)
    assert list(ColumnGeneration().run(chained, context())) == []
    quadratic = replace(block_problem(), quadratic=sparse.eye_array(20, format="csr"))
    assert list(ColumnGeneration().run(quadratic, context())) == []
    many_integers = replace(block_problem(), integers=np.isin(np.arange(20) % 5, [3, 4]))
    assert list(ColumnGeneration(max_integers=8).run(many_integers, context())) == []


# --- exchanges ------------------------------------------------------------------------------------------------------


def assignment_problem(jobs: int, places: int, seed: int) -> Problem:
    """Put jobs on places, the same number on each, so that the smallest of the places' outputs is largest.

    Columns: the binaries job by job, a load for each place (the sum of its jobs' sizes), an output for each, the level.
    """
    rng = np.random.default_rng(seed)
    network = random_network(rng, (2, 6, 1))
    n_binaries = jobs * places
    n = n_binaries + 2 * places + 1
    load, output = n_binaries + np.arange(places), n_binaries + places + np.arange(places)
    on = np.arange(n_binaries).reshape(jobs, places)
    rows, lower, upper = np.zeros((jobs + 3 * places, n)), [], []
    for j in range(jobs):
        rows[j, on[j]] = 1.0
    sizes = rng.uniform(-1, 1, jobs)
    for p in range(places):
        rows[jobs + p, on[:, p]] = 1.0
        rows[jobs + places + p, on[:, p]] = -sizes
        rows[jobs + places + p, load[p]] = 1.0
        rows[jobs + 2 * places + p, [output[p], n - 1]] = 1.0, -1.0
    lower = [1.0] * jobs + [jobs / places] * places + [0.0] * (2 * places)
    upper = [1.0] * jobs + [jobs / places] * places + [0.0] * places + [np.inf] * places
    networks = (
        EmbeddedNetwork(network, [load[p], load[(p + 1) % places]], [output[p]], f"p{p}") for p in range(places)
    )
    unlimited = np.full(places, np.inf)
    return Problem(
        np.append(np.zeros(n - 1), -1.0),
        np.concatenate([np.zeros(n_binaries), np.full(places, -9.0), -unlimited, [-99.0]]),
        np.concatenate([np.ones(n_binaries), np.full(places, 9.0), unlimited, [99.0]]),
        sparse.csr_array(rows),
        np.array(lower),
        np.array(upper),
        np.arange(n) < n_binaries,
        tuple(networks),
    )


def best_assignment(problem: Problem, jobs: int, places: int) -> float:
    """The smallest objective over all assignments."""
    best = np.inf
    followers = followers_of(problem)
    for order in set(itertools.permutations(np.repeat(range(places), jobs // places).tolist())):
        x = np.zeros(jobs * places)
        x[np.arange(jobs) * places + np.array(order)] = 1.0
        point = problem.incumbent(followers.whole(x))
        assert point.is_feasible
        best = min(best, point.objective)
    return best


def followers_of(problem: Problem) -> Followers:
    assignment = Assignment.of(problem)
    followers = None if assignment is None else Followers.of(assignment)
    assert followers is not None
    return followers


@pytest.mark.parametrize("seed", range(4))
def test_exchanges_find_the_best_of_all_assignments(seed: int) -> None:
    problem = assignment_problem(6, 3, seed)
    points = [p for p in ExchangeSearch().run(problem, context(seed)) if p is not None]
    assert all(point.is_feasible for point in points)
    assert points[-1].objective == pytest.approx(best_assignment(problem, 6, 3), abs=1e-9)
    moved, _ = reordered(problem, seed)
    again = [p for p in ExchangeSearch().run(moved, context(seed)) if p is not None]
    assert again[-1].objective == pytest.approx(points[-1].objective, abs=1e-9)


def test_every_exchange_keeps_the_rows_of_the_assignment() -> None:
    problem = assignment_problem(6, 3, 0)
    assignment = Assignment.of(problem)
    assert assignment is not None
    x = assignment.random(np.random.default_rng(0))
    assert x is not None
    exchanges = assignment.exchanges(x)
    assert len(exchanges) == 12  # of the 15 pairs of jobs, 3 are on one place each
    for exchange in exchanges:
        assert (problem.rows[:9][:, :18] @ exchanged(x, exchange)).tolist() == [1.0] * 6 + [2.0] * 3
    assert (problem.rows[:9][:, :18] @ assignment.kicked(x, 5, np.random.default_rng(1))).tolist() == [1] * 6 + [2] * 3


def test_the_slopes_are_the_differences_of_the_merit() -> None:
    problem = assignment_problem(6, 3, 1)
    followers = followers_of(problem)
    x = followers.assignment.random(np.random.default_rng(0))
    assert x is not None
    states = followers.states(x)
    merit = Merit.scaled_to(followers.problem, followers.points(states[None]), 10.0)
    slopes, step = followers.slopes(states, merit), 1e-6
    for edge in range(18):
        nearby = followers.points(np.stack([states, states + step * followers.moves[edge]]))
        before, after = merit.of(followers.problem, nearby)
        assert slopes[edge] == pytest.approx((after - before) / step, abs=1e-4)


def test_there_are_no_exchanges_where_columns_do_not_follow() -> None:
    problem = assignment_problem(6, 3, 0)
    free_load = replace(problem, row_lower=np.where(np.arange(15) == 9, -1.0, problem.row_lower))
    costly = replace(problem, cost=np.append(np.ones(18), problem.cost[18:]))
    general = replace(problem, upper=np.where(problem.integers, 2.0, problem.upper))
    for other in free_load, costly, general:
        assert list(ExchangeSearch().run(other, context())) == []


# --- settings -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "problem"),
    [
        (ExactChoice(), budget_problem(4, 1)),
        (ColumnGeneration(), block_problem()),
        (ExchangeSearch(), assignment_problem(6, 3, 0)),
    ],
    ids=["exact-choice", "column-generation", "exchange"],
)
def test_a_method_runs_with_ones_and_zeros_where_it_takes_them(method: Method, problem: Problem) -> None:
    for value in (1, 0.0):
        for setting in fields(method):
            with contextlib.suppress(ModelError):
                method = replace(method, **{setting.name: value})
    assert all(point.is_feasible for point in method.run(problem, context()) if point is not None)


# --- the whole search -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(3))
def test_the_search_proves_the_same_optimum_however_the_model_is_written(seed: int) -> None:
    problem = budget_problem(5, seed)
    written = [problem, reordered(problem, seed)[0], outputs_tied_by_rows(problem)]
    results = [search(model, time_limit=30.0) for model in written]
    objectives = [result.incumbent.objective for result in results if result.incumbent is not None]
    assert len(objectives) == 3
    assert max(objectives) - min(objectives) <= 1e-5
    assert all(result.stop is not Stop.TIME_LIMIT for result in results)
    assert all(result.bound >= objectives[0] - 1e-5 for result in results)


def test_the_search_goes_on_from_what_the_blocks_gave() -> None:
    problem = block_problem(5, 1)
    start = problem.incumbent(np.clip(0.0, problem.lower, problem.upper))
    generated = [p for p in ColumnGeneration().run(problem, context(known=(start,))) if p is not None]
    budget = Budget(iteration_limit=300)
    run = Auto().run(problem, SearchContext(budget, np.random.default_rng(0), known=(start,)))
    assert generated[-1].objective < start.objective
    assert min(p.objective for p in run if p is not None and p.is_feasible) <= generated[-1].objective


def test_one_network_of_linear_pieces_is_tabulated_at_its_kink() -> None:
    network = Network.from_layers([[[1.0]], [[-3.0]]], [[-0.25], [1.0]])
    problem = Problem(
        np.array([-1.0, -1.0]), np.zeros(2), np.array([1.0, np.inf]), sparse.csr_array([[1.0, 1.0]]), None,
        np.array([9.0]), networks=(EmbeddedNetwork(network, [0], [1]),),
    )  # fmt: skip
    tables = exact_tables(problem, MANY)
    assert tables is not None
    assert np.allclose(tables[0].points, [[0.0, 1.0], [0.25, 1.0], [1.0, -1.25]])
