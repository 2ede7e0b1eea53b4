"""Searches over the few columns that decide a problem: what follows from them, and what is found."""

import contextlib
import itertools
from dataclasses import fields, replace
from itertools import islice
from typing import Any

import numpy as np
import pytest
from fake_clock import FakeClock
from model_families import commitment
from random_models import random_network
from scipy import sparse

from pyomo_relugrad.errors import ModelError
from pyomo_relugrad.modeling.compile import compile_model
from pyomo_relugrad.network import Network
from pyomo_relugrad.problem import EmbeddedNetwork, Problem
from pyomo_relugrad.problem.presolve.mixing_sets import mixing_sets
from pyomo_relugrad.run import Budget, SearchContext
from pyomo_relugrad.search.decisions import runs
from pyomo_relugrad.search.decisions.annealing import Annealing, Chains
from pyomo_relugrad.search.decisions.decisions import Decisions
from pyomo_relugrad.search.decisions.landscape import BlockLandscape, Landscape
from pyomo_relugrad.search.decisions.moves import moves_by_groups
from pyomo_relugrad.search.decisions.runs import RunMoves
from pyomo_relugrad.search.decisions.search import DecisionSearch
from pyomo_relugrad.search.decisions.steps import Branch, LinearForm, Switches

#: Columns of each home: plus, minus, sign of each of two distances; the nearer of both, which, the output.
PER_HOME = 9


def places_problem(homes: int, seed: int, integers: bool = True) -> Problem:
    """Two places on a line from 0 to 4, 1.5 apart; a network for each home reads the distance to the nearer one.

    Columns: the places; their distance's plus, minus and sign; then those of each home.
    """
    rng = np.random.default_rng(seed)
    network, far = random_network(rng, (1, 5, 1)), 10.0
    n = 5 + PER_HOME * homes
    rows: list[tuple[dict[int, float], float, float]] = []

    def split(difference: dict[int, float], offset: float, plus: int) -> None:
        rows.append(({**difference, plus: -1.0, plus + 1: 1.0}, offset, offset))
        rows.append(({plus: 1.0, plus + 2: -far}, -np.inf, 0.0))
        rows.append(({plus + 1: 1.0, plus + 2: far}, -np.inf, far))

    split({0: 1.0, 1: -1.0}, 0.0, 2)
    rows.append(({2: 1.0, 3: 1.0}, 1.5, np.inf))
    networks = []
    for home, at in enumerate(rng.integers(0, 5, homes).tolist()):
        base = 5 + PER_HOME * home
        split({0: 1.0}, at, base)
        split({1: 1.0}, at, base + 3)
        near, which = base + 6, base + 7
        first, second = {base: 1.0, base + 1: 1.0}, {base + 3: 1.0, base + 4: 1.0}
        for sign in (1.0, -1.0):
            one, other = (first, second) if sign > 0 else (second, first)
            negative = {column: -value for column, value in other.items()}
            rows.append(({**one, **negative, which: -sign * far}, -np.inf, 0.0 if sign > 0 else far))
            rows.append(({near: -1.0, **one, which: -sign * far}, -np.inf, 0.0 if sign > 0 else far))
            rows.append(({near: 1.0, **dict.fromkeys(one, -1.0)}, -np.inf, 0.0))
        networks.append(EmbeddedNetwork(network, [near], [base + 8]))
    matrix = np.zeros((len(rows), n))
    for index, (entries, _, _) in enumerate(rows):
        matrix[index, list(entries)] = list(entries.values())
    is_binary, is_output = np.zeros(n, bool), np.zeros(n, bool)
    is_binary[[4, *(5 + PER_HOME * h + k for h in range(homes) for k in (2, 5, 7))]] = True
    is_output[[5 + PER_HOME * h + 8 for h in range(homes)]] = True
    upper = np.where(is_binary, 1.0, np.where(is_output, np.inf, far))
    upper[:2] = 4.0
    is_integer = is_binary.copy()
    is_integer[:2] = integers
    lower = np.where(is_output, -np.inf, 0.0)
    sides = ([row[side] for row in rows] for side in (1, 2))
    return Problem(is_output * 1.0, lower, upper, matrix, *map(np.array, sides), is_integer, tuple(networks))


def decisions_of(problem: Problem) -> Decisions:
    decisions = Decisions.of(problem)
    assert decisions is not None
    return decisions


def context(seed: int = 0) -> SearchContext:
    return SearchContext(Budget(iteration_limit=300), np.random.default_rng(seed))


@pytest.mark.parametrize("seed", range(3))
def test_all_columns_follow_from_the_places(seed: int) -> None:
    problem = places_problem(4, seed)
    decisions = decisions_of(problem)
    assert sorted(decisions.columns.tolist()) == [0, 1]
    X = np.array(list(itertools.product(range(5), repeat=2)), float)
    points = decisions.points(X[:, np.argsort(decisions.columns)])
    apart = np.abs(points[:, 0] - points[:, 1])
    assert problem.network_error(points).max() <= 1e-12
    assert ((problem.violation(points) <= 1e-9) == (apart >= 1.5)).all()
    for point, x in zip(points, X[:, np.argsort(decisions.columns)], strict=True):
        assert decisions.points(x[None])[0] == pytest.approx(point, abs=1e-12)


def test_coefficients_of_zero_are_left_out_of_a_copy_alone() -> None:
    problem = places_problem(2, 0)
    rows = problem.rows.copy()
    rows.data = np.append(rows.data, 0.0)
    rows.indices = np.append(rows.indices, 1)
    rows.indptr = rows.indptr.copy()
    rows.indptr[-1] += 1
    problem = replace(problem, rows=rows)
    before = problem.rows.toarray()
    decisions_of(problem)
    assert problem.rows.nnz == problem.rows.data.size
    np.testing.assert_array_equal(problem.rows.toarray(), before)


@pytest.mark.parametrize("seed", range(3))
def test_the_search_finds_the_best_of_all_places(seed: int) -> None:
    problem = places_problem(4, seed)
    decisions = decisions_of(problem)
    points = decisions.points(np.array(list(itertools.product(range(5), repeat=2)), float))
    allowed = points[np.abs(points[:, 0] - points[:, 1]) >= 1.5]
    found = [p for p in DecisionSearch().run(problem, context(seed)) if p is not None]
    assert all(point.is_feasible for point in found)
    assert found[-1].objective == pytest.approx(problem.objective(allowed).min(), abs=1e-9)


def test_the_search_moves_places_between_whole_numbers() -> None:
    problem = places_problem(4, 0, integers=False)
    decisions = decisions_of(problem)
    grid = decisions.points(np.array(list(itertools.product(np.linspace(0, 4, 41), repeat=2))))
    allowed = grid[np.abs(grid[:, 0] - grid[:, 1]) >= 1.5]
    found = [p for p in DecisionSearch().run(problem, context()) if p is not None]
    assert found[-1].is_feasible
    assert found[-1].objective <= problem.objective(allowed).min() + 1e-6


def test_decisions_that_change_the_same_inputs_move_together() -> None:
    decisions, random = decisions_of(places_problem(4, 0)), np.random.default_rng(0)
    landscape = Landscape(decisions, decisions.random(64, random), 10.0)
    (moves,) = moves_by_groups(decisions, landscape, random)
    assert moves.places.tolist() == [0, 1]
    around = moves.around(np.array([[1.0, 3.0]]), 200, random)[0]
    assert around[0].tolist() == [1.0, 3.0]
    assert (around[1:] != around[0]).any(axis=0).all()
    assert (around >= 0).all()
    assert (around <= 4).all()
    assert (around == np.round(around)).all()


def two_kinds_of_places() -> Problem:
    """Two problems of two places; a network for each home reads both distances."""
    one, other = places_problem(3, 0, integers=False), places_problem(3, 1, integers=False)
    n, network = one.n_columns, random_network(np.random.default_rng(2), (2, 5, 1))
    joined = {
        name: np.concatenate([getattr(one, name), getattr(other, name)])
        for name in ("cost", "lower", "upper", "row_lower", "row_upper", "integers")
    }
    unused = n + np.concatenate([each.outputs for each in other.networks])
    joined["cost"][unused] = joined["lower"][unused] = joined["upper"][unused] = 0.0
    pairs = zip(one.networks, other.networks, strict=True)
    networks = tuple(EmbeddedNetwork(network, [*a.inputs, *(b.inputs + n)], a.outputs) for a, b in pairs)
    rows = sparse.csr_array(sparse.block_diag([one.rows, other.rows]))
    return Problem(rows=rows, networks=networks, constant=3.0, **joined)


@pytest.mark.parametrize("make", [two_kinds_of_places, lambda: places_problem(4, 2)])
def test_a_move_changes_what_follows_from_it_and_the_merit_as_a_whole_point_does(make: Any) -> None:
    decisions, random = decisions_of(make()), np.random.default_rng(1)
    landscape = Landscape(decisions, decisions.random(64, random), 10.0)
    X = decisions.random(3, random)
    V = landscape.points(X).T
    groups = moves_by_groups(decisions, landscape, random)
    assert sorted(np.concatenate([moves.places for moves in groups]).tolist()) == list(range(decisions.columns.size))
    assert len(groups) == decisions.columns.size // 2
    for moves in groups:
        tried_decisions = moves.around(X[:, moves.places], 20, random)
        merits, tried = moves.tried(V, tried_decisions)
        whole = np.repeat(X, 20, axis=0)
        whole[:, moves.places] = tried_decisions.reshape(60, -1)
        points = landscape.points(whole)
        np.testing.assert_allclose(tried[moves.changed].T, points[:, moves.changed], atol=1e-9)
        unchanged = np.setdiff1d(np.arange(len(V)), moves.changed)
        assert (points[:, unchanged] == np.repeat(V.T, 20, axis=0)[:, unchanged]).all()
        expected = landscape.merit(points).reshape(3, 20)
        np.testing.assert_allclose(merits - merits[:, :1], expected - expected[:, :1], atol=1e-9)


def test_a_row_that_no_sample_violates_is_kept_nevertheless(monkeypatch: pytest.MonkeyPatch) -> None:
    problem = places_problem(4, 3)
    decisions = decisions_of(problem)
    X = np.array(list(itertools.product(range(5), repeat=2)), float)
    points = decisions.points(X)
    is_apart = np.abs(points[:, 0] - points[:, 1]) >= 1.5
    assert problem.objective(points).min() < problem.objective(points[is_apart]).min() - 1e-3
    monkeypatch.setattr(Decisions, "random", lambda self, count, random: X[is_apart][random.integers(12, size=count)])
    landscape = Landscape(decisions, X[is_apart], 10.0)
    assert not landscape.learns(points[is_apart])
    assert landscape.learns(points)
    assert not landscape.learns(points)
    found = [p for p in DecisionSearch().run(problem, context()) if p is not None]
    assert all(point.is_feasible for point in found)
    assert found[-1].objective == pytest.approx(problem.objective(points[is_apart]).min(), abs=1e-9)


def test_places_move_to_where_binaries_switch() -> None:
    decisions, random = decisions_of(places_problem(4, 0, integers=False)), np.random.default_rng(0)
    (moves,) = moves_by_groups(decisions, Landscape(decisions, decisions.random(64, random), 10.0), random)
    around = moves.around(np.full((1, 2), 1.7), 400, random)[0]
    kinks = np.concatenate(decisions.kinks)
    assert kinks.size
    assert (kinks == np.round(kinks)).all()  # homes stand at whole numbers
    assert 0.1 < np.isin(around, kinks).any(axis=1).mean() < 0.4


def test_nothing_is_yielded_where_columns_do_not_follow() -> None:
    problem = places_problem(2, 0)
    loose = replace(problem, row_lower=np.where(problem.row_lower == problem.row_upper, -np.inf, problem.row_lower))
    relaxed = replace(problem, integers=np.zeros(problem.n_columns, bool))
    for other in (loose, relaxed, replace(problem, networks=())):
        assert list(DecisionSearch().run(other, context())) == []


def test_the_search_runs_with_ones_and_zeros_where_it_takes_them() -> None:
    problem, method = places_problem(2, 0), DecisionSearch()
    for value in (1, 0.0):
        for setting in fields(method):
            with contextlib.suppress(ModelError):
                method = replace(method, **{setting.name: value})
        assert all(p is None or p.network_error == 0.0 for p in method.run(problem, context()))


# --- binaries -------------------------------------------------------------------------------------------------------


def commitments() -> tuple[Decisions, np.ndarray, np.ndarray]:
    """Two plants over four hours: the decisions, all their values, and which of these are allowed."""
    decisions = decisions_of(compile_model(commitment()).problem)
    X = np.array(list(itertools.product((0.0, 1.0), repeat=8)))
    hours = np.concatenate([np.tile([[[0.0], [1.0]]], (256, 1, 1)), X.reshape(256, 2, 4)], axis=2)
    changes = np.diff(hours, axis=2) != 0
    return decisions, X, ~(changes[:, :, 1:] & changes[:, :, :-1]).any(axis=(1, 2))


def test_starts_and_stops_follow_from_what_is_on() -> None:
    decisions, X, allowed = commitments()
    assert decisions.are_binaries
    points = decisions.points(X)
    np.testing.assert_array_equal(points[:, decisions.columns], X)
    np.testing.assert_array_equal(decisions.problem.violation(points) <= 1e-9, allowed)


def test_binaries_that_networks_read_are_annealed() -> None:
    decisions, X, allowed = commitments()
    problem = decisions.problem
    short = replace(context(), budget=Budget(iteration_limit=60))
    found = [p for p in DecisionSearch().run(problem, short) if p is not None]
    assert found[-1].is_feasible
    assert found[-1].objective == pytest.approx(problem.objective(decisions.points(X[allowed])).min(), abs=1e-9)


@pytest.mark.parametrize("interruption", [0, 5])
def test_annealing_cools_by_work_until_the_clock_ends(interruption: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Others' turns leave it fewer steps, and these have all temperatures alike."""
    decisions, X, _ = commitments()
    clock, temperatures, annealing = FakeClock.installed(monkeypatch), list[float](), Annealing(steps_at_once=1)

    def step(_: Annealing, chains: Chains, temperature: float, *others: object) -> Chains:
        clock.now += 0.1
        temperatures.append(temperature)
        return chains

    monkeypatch.setattr(Annealing, "_step", step)
    landscape, budget = Landscape(decisions, X, 10.0), Budget(10.0)
    random = np.random.default_rng(0)
    cycle = annealing.cycle(X[0], (1.0, 0.05), RunMoves.of(decisions, random), landscape, 10.0, budget, random)
    for number, _ in enumerate(cycle):
        if number == interruption:
            budget.pause()
            clock.now += 4.0
            budget.resume()
    assert len(temperatures) == pytest.approx(60, abs=2)
    assert temperatures[-1] < 0.07 * temperatures[0]
    assert temperatures[30] == pytest.approx(np.sqrt(temperatures[0] * temperatures[-1]), rel=0.2)


@pytest.mark.parametrize(
    ("left", "units"),
    [(0.3, (1,)), (9.0, (1,)), (17.0, (1, 1)), (20.0, (1, 1, 2)), (120.0, (1, 1, 2, 1, 1, 2, 4, 1, 1))],
)
def test_rounds_of_annealing_are_dealt_what_is_left(left: float, units: tuple[int, ...]) -> None:
    lengths = list(islice(Annealing().lengths(left), len(units)))
    assert sum(lengths) == pytest.approx(left)
    assert lengths[0] <= 9.0
    np.testing.assert_allclose(np.array(lengths) / lengths[0], units)
    for much in (1e20, np.inf):
        assert list(islice(Annealing().lengths(much), 3)) == [9.0, 9.0, 18.0]


@pytest.mark.parametrize(
    ("ends", "count", "best"),
    [
        ((5.0, 5.0, 6.0, 5.0, 1.0), 4, 5.0),
        ((5.0, 5.0, 4.0, 3.0, 3.0, 3.0, 1.0), 6, 3.0),
        ((3.0, 5.0, 4.0, 3.0, 6.0, 6.0, 6.0, 1.0), 7, 3.0),
    ],
)
def test_rounds_end_where_three_come_to_the_same_or_six_to_nothing_better(
    ends: tuple[float, ...], count: int, best: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Until then the search is not to be ended for having been in vain."""
    decisions, X, _ = commitments()
    n_rounds, asked = itertools.count(), replace(context(), budget=Budget(1000.0))

    def round_(_: Annealing, *others: object):
        end = ends[next(n_rounds)]
        assert asked.budget.is_unsettled
        yield X[0], 7.0, None
        yield X[0], end, None

    monkeypatch.setattr(Annealing, "round", round_)
    monkeypatch.setattr(BlockLandscape, "relaxed_rows", None)
    found = list(DecisionSearch().run(decisions.problem, asked))
    assert next(n_rounds) == count
    assert sum(point is not None for point in found) == 1 + len(
        {end for end in ends[:count] if end >= best and end <= ends[0]}
    )
    assert not asked.budget.is_unsettled


def test_a_cycle_begins_at_what_others_found_since_the_round_began() -> None:
    decisions, X, _ = commitments()
    random, budget = np.random.default_rng(0), Budget(iteration_limit=2)
    landscape, merits = Landscape(decisions, X, 10.0), Landscape(decisions, X, 10.0).merit(decisions.points(X))
    best, worst = X[merits.argmin()], X[merits.argmax()]
    annealing = Annealing(chains=2, cycles=1)
    for others, lowest in (([worst, best], merits.min()), ([worst], merits.max())):
        cycle = annealing.round(X[:2], RunMoves.of(decisions, random), landscape, 0.0, budget, random, others.copy)
        assert next(cycle)[1] <= lowest


def test_another_search_of_the_problem_anneals_blocks_only() -> None:
    decisions, _, _ = commitments()
    later = replace(context(), is_first=False)
    assert any(point is not None for point in DecisionSearch().run(decisions.problem, later))
    assert not list(DecisionSearch().run(places_problem(2, 0), later))


def test_hours_of_one_plant_move_together() -> None:
    decisions = commitments()[0]
    moves = RunMoves.of(decisions, np.random.default_rng(0))
    near = [sorted(place for place in row.tolist() if place < 8) for row in moves.nearest]
    assert near == [[0, 1, 2, 3]] * 4 + [[4, 5, 6, 7]] * 4
    moved = np.array([moves.around(np.zeros((4, 8)), np.zeros((4, 8)), random) for random in generators(20)]) != 0
    assert (np.abs(np.diff(moved.astype(int), axis=-1)).sum(axis=-1) <= 2).mean() > 0.8
    assert moved.any(axis=(0, 1, 2)).all()


def test_plants_exchange_what_they_do_in_the_same_hours() -> None:
    moves = RunMoves.of(commitments()[0], np.random.default_rng(0))
    assert moves.partners.tolist() == [[4, 5, 6, 7, 0, 1, 2, 3]]
    x = np.array([[1.0, 0.0, 1.0, 0.0, 0.0, 1.0, 0.0, 1.0]])
    moved = np.array([moves.around(x, np.zeros((1, 8)), random) for random in generators(20)]).reshape(-1, 8)
    assert (moved == 1.0 - x).all(axis=1).any()


@pytest.mark.parametrize("size", [20, 3000])
def test_a_pool_of_many_decisions_is_smaller(size: int) -> None:
    nearest = (np.arange(size)[:, None] + np.arange(24)) % size
    pool = runs._pool(nearest, np.random.default_rng(0))
    assert pool.shape == (min(runs.POOL, runs.MAX_POOL_ENTRIES // size), size)
    assert pool.any(axis=1).all()


def test_moves_switch_the_sets_of_a_pool_or_exchange_them_with_partners() -> None:
    """Each changes one decision at least."""
    moves, random = RunMoves.of(commitments()[0], np.random.default_rng(0)), np.random.default_rng(1)
    X = np.round(random.random((5, 8)))
    swapped = np.arange(8).reshape(2, 4)[::-1].ravel()
    for _ in range(20):
        moved = moves.around(X, np.zeros((5, 8)), random)
        assert moved.shape == (5, 4, 8)
        assert np.isin(moved, (0.0, 1.0)).all()
        changed = moved != X[:, None]
        assert changed.any(axis=-1).all()
        on, off, _, exchanged = changed.swapaxes(0, 1)
        assert (moved[:, 0][on] == 1.0).all()
        assert (moved[:, 1][off] == 0.0).all()
        assert (moved[:, 3][exchanged] == X[:, swapped][exchanged]).all()
        assert (exchanged == exchanged[:, swapped]).all()
    assert (moves.renewed(random).pool != moves.pool).any()


def test_chains_keep_the_slopes_of_where_they_stand() -> None:
    decisions, X, _ = commitments()
    random, annealing = np.random.default_rng(0), Annealing(chains=6)
    landscape, moves = Landscape(decisions, X, 10.0), RunMoves.of(decisions, random)
    before = chains = Chains.at(X[:6], landscape)
    for _ in range(10):
        chains = annealing._step(chains, 0.1, moves, landscape, random)
        np.testing.assert_allclose(chains.slopes, landscape.slopes(chains.X), atol=1e-12)
        np.testing.assert_allclose(chains.merits, landscape.merit(landscape.points(chains.X)), atol=1e-12)
    assert (chains.X != before.X).any()
    np.testing.assert_array_equal(before.X, X[:6])


def test_costs_of_blocks_and_networks_are_the_merit() -> None:
    """Rows tie the hours of a plant; what they cost is kept, and networks are evaluated in single precision."""
    decisions, X, allowed = commitments()
    assert BlockLandscape.suits(decisions)
    landscape, whole = BlockLandscape(decisions, X, 10.0), Landscape(decisions, X, 10.0)
    merits = whole.merit(whole.points(X))
    for _ in range(2):
        kept = landscape.row_costs(X) + landscape.rest(X)
        np.testing.assert_allclose(kept - kept[0], merits - merits[0], rtol=1e-5, atol=1e-5 * np.ptp(merits))
    assert len(np.unique(landscape.row_costs(X))) > 2
    assert (landscape.row_costs(X[~allowed]) > landscape.row_costs(X[allowed]).max() + landscape.reach).all()
    np.testing.assert_allclose(landscape.slopes(X), whole.slopes(X), rtol=1e-4, atol=1e-4)
    assert landscape.slopes(X).dtype == np.float32
    landscape._block_costs = None  # type: ignore[method-assign,assignment]
    landscape.row_costs(X)


def test_blocks_are_made_where_networks_read_decisions_alone() -> None:
    """Not where rows hold an output, or networks read what follows from decisions."""
    problem = commitments()[0].problem
    output = int(np.flatnonzero(problem.is_output)[0])
    limited = replace(problem, upper=np.where(problem.is_output, 1e9, problem.upper))
    row = np.zeros((1, problem.n_columns))
    row[0, output] = 1.0
    rows = {"rows": sparse.csr_array(np.concatenate([problem.rows.toarray(), row]))}
    sides = {"row_lower": np.append(problem.row_lower, -1e9), "row_upper": np.append(problem.row_upper, 1e9)}
    for other in (limited, replace(problem, **rows, **sides, row_names=())):
        assert not BlockLandscape.suits(decisions_of(other))


@pytest.mark.parametrize("wrong", [{"chains": 0}, {"cooling": 0.0}, {"cycles": 0}, {"heat": "1"}])
def test_settings_of_annealing_are_checked(wrong: dict[str, Any]) -> None:
    with pytest.raises(ModelError, match=f"annealing has {next(iter(wrong))}=.*: give"):
        Annealing(**wrong)


def test_a_switch_looks_at_what_may_be_violated_alone() -> None:
    """Of what a binary's values ask for, only what bounds do not grant is computed; the binary is the same."""
    lower, upper = np.zeros(3), np.array([1.0, 1.0, 1.0])
    told, never, twice = LinearForm({0: 1.0, 1: -1.0}), LinearForm({0: -1.0}), LinearForm({0: 1.0, 1: -1.0, 2: 0.0})
    off = Branch({2: LinearForm({1: 1.0})}, (never, told, twice, LinearForm({0: 1.0}, -1.0)))
    on = Branch({2: LinearForm({0: 1.0})}, (LinearForm({0: -1.0, 1: 1.0}),))
    switches = Switches([2], [(off, on)], lower, upper)
    assert [excesses._functions._matrix.shape[0] for excesses in switches._excesses] == [1, 1]
    V = np.array([[0.0, 0.0, 1.0, 1.0], [0.0, 1.0, 0.0, 1.0], [9.0] * 4])
    switches.fill(V)
    assert V[2].tolist() == [0.0, 1.0, 1.0, 1.0]
    assert Switches([2], [(Branch({}, (never,)), on)], lower, upper)._excesses[0](V).tolist() == [[0.0] * 4]


def test_moves_that_slopes_promise_most_of_are_taken() -> None:
    moves = RunMoves.of(commitments()[0], np.random.default_rng(0))
    pull = np.array([[100.0, 100.0, 100.0, -100.0, 100.0, 100.0, 100.0, 100.0]])
    moved = np.array([moves.around(np.zeros((1, 8)), pull, random)[0, 0] for random in generators(200)])
    assert (moved @ pull[0] < 0).mean() > 0.4  # of all moves, these are 2 %
    assert (moved != 0).any(axis=1).all()


def generators(count: int) -> list[np.random.Generator]:
    return [np.random.default_rng(seed) for seed in range(count)]


def test_binaries_that_leave_a_range_to_what_networks_read_decide_nothing() -> None:
    """A dose between shares of a binary is a decision of its own; one that equals it is not."""
    network = Network.from_layers([[[-1.0, 2.0], [1.0, 1.0]], [[1.0, -1.0]]], [[0.2, -0.5], [0.0]])
    for least, is_decided in (0.2, False), (1.0, True):
        problem = Problem(
            np.array([0.0, 0.0, 1.0]),
            np.array([0.0, 0.0, -np.inf]),
            np.array([1.0, 1.0, np.inf]),
            np.array([[-1.0, 1.0, 0.0], [least, -1.0, 0.0]]),
            np.full(2, -np.inf),
            np.zeros(2),
            np.array([True, False, False]),
            (EmbeddedNetwork(network, [0, 1], [2]),),
        )
        assert (Decisions.of(problem) is not None) is is_decided


def test_distances_from_binaries_that_are_chosen_decide_nothing() -> None:
    """Two shops are to be chosen; that distances exceed those from chosen ones says which may be, and not how many."""
    network, places = Network.from_layers([[[1.0], [-1.0]], [[-1.0, -1.0]]], [[-0.3, 0.5], [0.0]]), 4
    distance, shop = np.eye(places), np.abs(np.subtract.outer(np.arange(places), np.arange(places))) / places
    rows = [np.kron(distance[k], np.ones((places, 1))) for k in range(places)]  # one for each pair
    far_enough = np.hstack([np.vstack(rows), -np.vstack([np.diag(shop[k]) for k in range(places)])])
    far_enough = np.hstack([far_enough, np.zeros((places**2, places))])
    chosen = np.repeat([0.0, 1.0, 0.0], places)[None]
    problem = Problem(
        np.repeat([0.0, 0.0, -1.0], places),
        np.repeat([0.0, 0.0, -np.inf], places),
        np.repeat([1.0, 1.0, np.inf], places),
        np.vstack([far_enough, chosen]),
        np.append(np.zeros(places**2), 2.0),
        np.append(np.full(places**2, np.inf), 2.0),
        np.repeat([False, True, False], places),
        tuple(EmbeddedNetwork(network, [k], [2 * places + k]) for k in range(places)),
    )
    assert list(mixing_sets(problem))
    assert Decisions.of(problem) is None
