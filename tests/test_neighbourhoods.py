"""Large neighbourhood search: its boxes, programs and shares of time, and models whose optimum is known."""

import itertools
from collections import deque
from dataclasses import replace

import numpy as np
import pytest
from random_models import random_network
from scipy import sparse

from pyomo_relugrad.expression import ExpressionBuilder
from pyomo_relugrad.network import Network
from pyomo_relugrad.problem import EmbeddedExpression, EmbeddedNetwork, Problem
from pyomo_relugrad.run import Budget, SearchContext, Stop
from pyomo_relugrad.search.column_graph import ColumnGraph
from pyomo_relugrad.search.neighbourhoods import search as neighbourhoods
from pyomo_relugrad.search.neighbourhoods.bandit import Bandit
from pyomo_relugrad.search.neighbourhoods.boxes import SearchBoxes
from pyomo_relugrad.search.neighbourhoods.dive import Dive
from pyomo_relugrad.search.neighbourhoods.exact_steps import ExactSteps
from pyomo_relugrad.search.neighbourhoods.flips import Flips, switchable
from pyomo_relugrad.search.neighbourhoods.pace import MAX_NODES, Pace
from pyomo_relugrad.search.neighbourhoods.polish import RegionPolish
from pyomo_relugrad.search.neighbourhoods.search import Neighbourhoods
from pyomo_relugrad.search.neighbourhoods.shared import Shared
from pyomo_relugrad.search.neighbourhoods.subproblem import MAX_ENTRIES, is_small, solve_within
from pyomo_relugrad.search.sequential.elite import Elite
from pyomo_relugrad.solve import search

INF = np.inf


def switches(n: int, most: int, seed: int = 0) -> Problem:
    """Minimize a network of n binaries, at most so many of which are on."""
    network = random_network(np.random.default_rng(seed), [n, 12, 1])
    return Problem(
        cost=np.append(np.zeros(n), 1.0),
        lower=np.append(np.zeros(n), -INF),
        upper=np.append(np.ones(n), INF),
        rows=sparse.csr_array(np.append(np.ones(n), 0.0)[None]),
        row_lower=np.array([0.0]),
        row_upper=np.array([float(most)]),
        integers=np.append(np.ones(n, bool), False),
        networks=(EmbeddedNetwork(network, np.arange(n), np.array([n])),),
    )


def test_neighbourhoods_can_be_left_out(monkeypatch) -> None:
    made, make = list[set[str]](), Bandit.__init__
    monkeypatch.setattr(Bandit, "__init__", lambda bandit, floors: made.append(set(floors)) or make(bandit, floors))

    def arms(*without: str, **context_fields: bool) -> set[str]:
        context = SearchContext(Budget(iteration_limit=30), np.random.default_rng(0), **context_fields)
        deque(Neighbourhoods(without=frozenset(without)).run(switches(12, 6), context), maxlen=0)
        return made[-1]

    every = arms()
    assert every == {"descents", "exchanges", "flips", "window", "integers", "whole"}
    assert arms("exchanges") == every - {"exchanges"}
    assert arms(solves_whole=False) == every - {"whole"}
    assert arms("flips", "window", "integers", "whole") == {"descents", "exchanges"}


def test_there_are_no_programs_over_networks_that_are_large_for_the_time_left(monkeypatch) -> None:
    made, make = list[set[str]](), Bandit.__init__
    monkeypatch.setattr(Bandit, "__init__", lambda bandit, floors: made.append(set(floors)) or make(bandit, floors))
    problem = switches(12, 6)
    size = problem.rows.nnz + problem.networks[0].network.n_weights
    for rate in (size / 50.0, size / 200.0):
        monkeypatch.setattr(neighbourhoods, "ENTRIES_PER_SECOND", rate)
        context = SearchContext(Budget(100.0, iteration_limit=30), np.random.default_rng(0))
        deque(Neighbourhoods().run(problem, context), maxlen=0)
    assert made == [
        {"descents", "exchanges", "flips", "window", "integers", "whole"},
        {"descents", "exchanges", "flips"},
    ]


def best_switches(problem: Problem, most: int) -> float:
    n = problem.n_columns - 1
    points = np.array([(*on, 0.0) for on in itertools.product((0.0, 1.0), repeat=n) if sum(on) <= most])
    return float(problem.objective(problem.propagate(points)).min())


def places(targets: list[float]) -> Problem:
    """Place one thing on [0, 4] far from targets: |x - t| by two parts and a binary each, a network sums min(d, 1)."""
    k = len(targets)
    n = 1 + 3 * k + 1
    rows, low, high = [], [], []
    for j, target in enumerate(targets):
        plus, minus, sign = 1 + 3 * j, 2 + 3 * j, 3 + 3 * j
        for entries, least, most in (
            ({0: 1.0, plus: -1.0, minus: 1.0}, target, target),
            ({plus: 1.0, sign: -4.0}, -INF, 0.0),
            ({minus: 1.0, sign: 4.0}, -INF, 4.0),
        ):
            row = np.zeros(n)
            row[list(entries)] = list(entries.values())
            rows.append(row)
            low.append(least)
            high.append(most)
    first = np.zeros((k, 2 * k))
    first[np.arange(k), 2 * np.arange(k)] = first[np.arange(k), 2 * np.arange(k) + 1] = -1.0
    network = Network.from_layers([first, np.ones((1, k))], [np.ones(k), np.zeros(1)])
    parts = np.array([[1 + 3 * j, 2 + 3 * j] for j in range(k)]).ravel()
    integers = np.zeros(n, bool)
    integers[3:-1:3] = True
    return Problem(
        cost=np.append(np.zeros(n - 1), 1.0),
        lower=np.append(np.zeros(n - 1), -INF),
        upper=np.array([4.0, *np.where(integers[1:-1], 1.0, 4.0), INF]),
        rows=sparse.csr_array(np.array(rows)),
        row_lower=np.array(low),
        row_upper=np.array(high),
        integers=integers,
        networks=(EmbeddedNetwork(network, parts, np.array([n - 1])),),
    )


def context_of(seed: int = 0) -> SearchContext:
    return SearchContext(Budget(), np.random.default_rng(seed))


# --- whole searches --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(4))
def test_the_best_of_all_switches_is_found_and_the_search_ends_there(seed):
    problem = switches(8, 3, seed)
    result = search(problem, "neighbourhoods", iteration_limit=2000)
    assert result.stop is Stop.FINISHED
    assert result.incumbent.objective == pytest.approx(best_switches(problem, 3), abs=1e-6)
    assert result.incumbent.violation <= 1e-9


def test_integers_that_follow_from_a_place_move_with_it():
    result = search(places([0.2, 1.0, 3.9]), "neighbourhoods", iteration_limit=500)
    assert result.incumbent.objective == pytest.approx(0.0, abs=1e-9)  # between 2 and 2.9 all are 1 away
    assert result.incumbent.is_feasible


def test_steps_and_a_seed_give_the_same_answer_again():
    first, second = (search(switches(12, 5), "neighbourhoods", iteration_limit=60, seed=3) for _ in range(2))
    assert first.incumbent.values.tolist() == second.incumbent.values.tolist()
    assert first.points == second.points


def test_the_search_is_the_default_for_integers():
    by_name, by_default = (search(switches(8, 3), method, iteration_limit=40) for method in ("neighbourhoods", "auto"))
    assert by_name.incumbent.values.tolist() == by_default.incumbent.values.tolist()


def test_a_quadratic_objective_is_searched_without_programs_over_networks():
    problem = switches(6, 3)
    quadratic = sparse.csr_array(2.0 * np.eye(problem.n_columns))
    problem = Problem(**{**vars_of(problem), "quadratic": quadratic})
    assert not is_small(problem)
    points = np.array([(*on, 0.0) for on in itertools.product((0.0, 1.0), repeat=6) if sum(on) <= 3])
    best = problem.objective(problem.propagate(points)).min()
    found = search(problem, "neighbourhoods", iteration_limit=300).incumbent.objective
    assert found == pytest.approx(best, abs=1e-6)


def vars_of(problem: Problem) -> dict:
    names = ("cost", "lower", "upper", "rows", "row_lower", "row_upper", "integers", "networks")
    return {name: getattr(problem, name) for name in names}


# --- parts -----------------------------------------------------------------------------------------------------------


def test_arms_have_their_floors_and_the_rest_goes_to_what_pays():
    bandit = Bandit({"pays": 0.1, "idles": 0.1, "floor": 0.3})
    spent = dict.fromkeys(("pays", "idles", "floor"), 0.0)
    for _ in range(1000):
        name = bandit.choose()
        spent[name] += 1.0
        bandit.book(name, 1.0, 1.0 if name == "pays" else 0.0)
    assert spent["idles"] == pytest.approx(100, abs=2)
    assert spent["floor"] == pytest.approx(300, abs=2)


def test_an_arm_that_pays_no_longer_gives_its_time_to_what_has_paid_in_all():
    bandit = Bandit({"paid": 0.1, "idles": 0.1, "pays": 0.1})
    bandit.book("paid", 1.0, 3.0)
    bandit.book("idles", 1.0, 0.0)
    bandit.book("pays", 1.0, 100.0)
    bandit.drop("pays")
    chosen = []
    for _ in range(300):
        chosen.append(bandit.choose())
        bandit.book(chosen[-1], 1.0, 0.0)
    assert chosen[:3] == ["paid"] * 3
    assert chosen[-100:].count("paid") == pytest.approx(80, abs=5)  # four to one


def test_small_change_does_not_outrun_what_has_paid_in_all():
    bandit = Bandit({"paid": 0.1, "creeps": 0.1})
    bandit.book("paid", 1.0, 30.0)
    for _ in range(12):
        bandit.book("paid", 1.0, 0.0)
    bandit.book("creeps", 12.0, 2.0)
    assert bandit.choose() == "paid"


def test_boxes_hold_what_may_not_move_and_contain_their_centre():
    problem = places([0.5, 1.5, 2.5, 3.5])
    point = Dive(problem).point(np.full(problem.n_columns, 1.0), context_of())
    elite, random = Elite(8), np.random.default_rng(0)
    elite.learn(point)
    for name, make in SearchBoxes(problem, elite).makers().items():
        lower, upper = make(point.values, 0.3, random)
        assert (lower >= problem.lower).all(), name
        assert (upper <= problem.upper).all(), name
        assert (lower <= point.values + 1e-9).all(), name
        assert (upper >= point.values - 1e-9).all(), name
        assert (upper - lower)[:-1].sum() < (problem.upper - problem.lower)[:-1].sum(), name
    lower, upper = SearchBoxes(problem, elite).near(point.values, 0.5, random)
    assert (lower < upper)[problem.integers].sum() == 2
    lower, upper = SearchBoxes(problem, elite).box(point.values, 0.1, random)
    assert (upper - lower)[:3].max() <= 0.8 + 1e-12


def test_crossover_frees_the_integers_that_differ():
    problem = switches(6, 6)
    elite = Elite(8)
    for on in ([1, 1, 0, 0, 0, 0], [1, 0, 1, 0, 0, 0]):
        elite.learn(problem.incumbent(np.array([*on, 0.0])))
    lower, upper = SearchBoxes(problem, elite).crossover(elite.points[0].values, 0.1, np.random.default_rng(0))
    assert np.flatnonzero(lower < upper)[:-1].tolist() == [1, 2]


def test_columns_of_one_short_row_are_nearer_than_those_of_a_long_one():
    problem = places([0.5, 1.5, 2.5])
    distances = ColumnGraph(problem).distances(1, np.random.default_rng(0))
    assert distances[1] == 0
    assert distances[3] < distances[6]
    assert np.isfinite(distances).all()


def test_a_program_within_a_box_ends_at_its_best_point():
    problem = switches(6, 3)
    upper = problem.upper.copy()
    upper[:3] = 0.0
    outcome = solve_within(problem, problem.lower, upper, None, INF, {})
    points = np.array([(0, 0, 0, *on, 0.0) for on in itertools.product((0.0, 1.0), repeat=3)])
    assert outcome.is_complete
    assert outcome.point.objective == pytest.approx(problem.objective(problem.propagate(points)).min(), abs=1e-6)
    assert outcome.bound <= outcome.point.objective + 1e-6


def test_a_box_that_the_rows_exclude_is_complete_without_a_point():
    problem = switches(4, 1)
    lower = problem.lower.copy()
    lower[:2] = 1.0
    outcome = solve_within(problem, lower, problem.upper, None, INF, {})
    assert outcome.is_complete
    assert outcome.point is None


def test_large_networks_have_no_programs():
    big = Network.from_layers([np.ones((500, 1000)), np.ones((1, 500))], [np.zeros(500), np.zeros(1)])
    problem = Problem(
        np.zeros(1001), np.zeros(1001), np.ones(1001), networks=(EmbeddedNetwork(big, np.arange(1000), [1000]),)
    )
    assert big.n_weights > MAX_ENTRIES
    assert not is_small(problem)


def test_local_branching_switches_no_more_than_its_share():
    problem = switches(20, 20, seed=1)
    elite, context = Elite(8), context_of()
    start = problem.incumbent(np.zeros(21))
    elite.learn(start)
    flips = Flips(Shared(problem, elite, context))
    assert switchable(problem).size == 20
    step = flips._step(start, 0.1)
    assert 1 <= step.values[:20].sum() <= 2


def test_local_branching_predicts_the_change_of_one_switch_exactly():
    problem = switches(10, 1, seed=2)
    elite, context = Elite(8), context_of()
    start = problem.incumbent(np.zeros(11))
    elite.learn(start)
    best = min(
        point.objective for point in itertools.islice(Flips(Shared(problem, elite, context)).steps(), 30) if point
    )
    assert best == pytest.approx(best_switches(problem, 1), abs=1e-9)


def test_what_ends_near_curved_rows_is_moved_onto_them() -> None:
    builder = ExpressionBuilder()
    x, y = map(builder.input, range(2))
    circle = builder.build([builder.sum([builder.power(each, builder.constant(2.0)) for each in (x, y)])], [0, 1])
    problem = Problem(
        cost=np.array([-1.0, -1.0, 1.0, 0.0]),
        lower=np.array([-2.0, -2.0, 0.0, -INF]),
        upper=np.array([2.0, 2.0, 1.0, INF]),
        rows=np.array([[0.0, 0.0, 1.0, 1.0]]),
        row_lower=np.array([2.0]),
        row_upper=np.array([2.0]),
        integers=np.array([False, False, True, False]),
        expressions=(EmbeddedExpression(circle.expression, np.array([0, 1]), np.array([3])),),
    )
    near = problem.incumbent(np.array([1.2, 0.7, 0.0, 0.0]))
    assert not near.is_feasible
    points = [point for point in RegionPolish(problem, Elite(8), context_of()).points(near) if point is not None]
    assert points[-1].is_feasible
    assert points[-1].objective == pytest.approx(-2, abs=1e-6)


def test_a_dive_decides_all_integers_by_a_few_decisions():
    problem = places([0.5, 1.5, 2.5, 3.5])
    target = np.full(problem.n_columns, np.nan)
    target[0] = 2.0
    point = Dive(problem).point(target, context_of())
    assert point.is_feasible
    assert point.values[3:-1:3].tolist() == [1.0, 1.0, 0.0, 0.0]


def test_a_dive_into_nothing_gives_no_point():
    problem = switches(3, 1)
    rows = sparse.csr_array(np.array([[2.0, 2.0, 2.0, 0.0]]))
    problem = Problem(**{**vars_of(problem), "rows": rows, "row_lower": np.ones(1), "row_upper": np.ones(1)})
    assert Dive(problem).point(np.full(4, np.nan), context_of()) is None


def test_time_counts_where_it_is_limited_and_steps_elsewhere():
    timed, counted = Pace(Budget(10.0)), Pace(Budget(iteration_limit=5))
    assert timed.is_timed
    assert 0 < timed.seconds() < 1
    assert "mip_max_nodes" not in timed.options()
    assert counted.seconds() == INF
    assert counted.options(mip_rel_gap=0.1) == {"mip_max_nodes": MAX_NODES, "mip_rel_gap": 0.1}


def test_the_elite_keeps_the_best_and_before_them_the_least_violated():
    problem, elite = switches(3, 1), Elite(2)
    assert elite.centre is None
    elite.learn(problem.incumbent(np.array([1.0, 1.0, 1.0, 0.0])))
    elite.learn(problem.incumbent(np.array([1.0, 1.0, 0.0, 0.0])))
    assert elite.centre.violation == 1.0
    assert elite.best == INF
    for on in range(3):
        elite.learn(problem.incumbent(np.array([*(float(i == on) for i in range(3)), 0.0])))
    assert len(elite.points) == 2
    assert elite.best == elite.centre.objective == best_of_singles(problem)


def best_of_singles(problem: Problem) -> float:
    return float(problem.objective(problem.propagate(np.hstack([np.eye(3), np.zeros((3, 1))]))).min())


def test_programs_over_the_whole_problem_tell_their_bounds() -> None:
    problem, elite, told = replace(switches(8, 4), constant=2.0), Elite(2), list[float]()
    elite.learn(problem.incumbent(np.zeros(9)))
    context = SearchContext(Budget(60.0), np.random.default_rng(0), take_bound=told.append)
    exact = ExactSteps(Shared(problem, elite, context))
    deque(exact.whole(), maxlen=0)
    assert exact.is_complete
    best = best_switches(problem, 4)
    assert best - 1e-5 <= told[-1] <= best
