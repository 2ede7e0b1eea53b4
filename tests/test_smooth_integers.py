"""Integers among smooth functions: products in steps, integers that go far, and programs with planes around all."""

import itertools
import math
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pyomo.environ as pyo
import pytest

from pyomo_relugrad.modeling.compile import compile_model
from pyomo_relugrad.problem import Incumbent, Problem
from pyomo_relugrad.problem.presolve import presolve
from pyomo_relugrad.programs import Linearization
from pyomo_relugrad.run import Budget, SearchContext
from pyomo_relugrad.search.neighbourhoods.alternations import Alternations
from pyomo_relugrad.search.neighbourhoods.enclosures import Enclosures
from pyomo_relugrad.search.neighbourhoods.exchanges import Exchanges
from pyomo_relugrad.search.neighbourhoods.integer_exchanges import IntegerExchanges
from pyomo_relugrad.search.neighbourhoods.shared import Shared
from pyomo_relugrad.search.sequential.elite import Elite
from pyomo_relugrad.search.sequential.step_model import StepModel, column_scale


def problem_of(m: pyo.ConcreteModel) -> Problem:
    return presolve(compile_model(m).problem).problem


def shell() -> pyo.ConcreteModel:
    """Sheets of a shell that is thick enough for its radius: best are 10 of them, at the radius 5."""
    m = pyo.ConcreteModel()
    m.sheets, m.radius = pyo.Var(domain=pyo.Integers, bounds=(1, 400)), pyo.Var(bounds=(1, 200))
    m.thick = pyo.Constraint(expr=2 * m.radius <= m.sheets)
    m.volume = pyo.Constraint(expr=m.radius**3 >= 125)
    m.cost = pyo.Objective(expr=m.sheets * m.radius**2)
    return m


def synthesis() -> pyo.ConcreteModel:
    """The first example of Duran and Grossmann (1986), of which the optimum is 6.00976."""
    m = pyo.ConcreteModel()
    m.x, m.y = pyo.Var([1, 2, 3], bounds=(0, 2)), pyo.Var([1, 2, 3], domain=pyo.Binary)
    x, y = m.x, m.y
    x[3].setub(1)
    first, second = pyo.log(x[2] + 1), pyo.log(x[1] - x[2] + 1)
    m.rows = pyo.ConstraintList()
    m.rows.add(0.8 * first + 0.96 * second - 0.8 * x[3] >= 0)
    m.rows.add(first + 1.2 * second - x[3] - 2 * y[3] >= -2)
    m.rows.add(x[2] <= x[1])
    m.rows.add(x[2] <= 2 * y[1])
    m.rows.add(x[1] - x[2] <= 2 * y[2])
    m.rows.add(y[1] + y[2] <= 1)
    fixed = 5 * y[1] + 6 * y[2] + 8 * y[3]
    m.cost = pyo.Objective(expr=fixed + 10 * x[1] - 7 * x[3] - 18 * first - 19.2 * second + 10)
    return m


def shared_of(problem: Problem, v: np.ndarray) -> Shared:
    """What neighbourhoods of a problem are made of, with one point as the elite's."""
    elite = Elite(4)
    elite.learn(problem.incumbent(problem.completed(v[None])[0]))
    return Shared(problem, elite, SearchContext(Budget(math.inf, 10_000), np.random.default_rng(0)))


def test_products_with_integers_have_their_values_at_the_end_of_a_step() -> None:
    problem = problem_of(shell())
    shared = shared_of(problem, problem.upper)
    v, model = shared.elite.centre.values, StepModel(problem, Linearization(problem), 1.0, holds_integers=True)
    step = model.step(v, 0.3, shared.descent().merit, column_scale(problem), shared.context.budget)
    np.testing.assert_allclose(problem.completed(step.values[None])[0], step.values, rtol=1e-12)
    assert problem.objective(step.values[None])[0] < 0.8 * shared.elite.best
    assert problem.violation(step.values[None])[0] < 1e-6 * shared.elite.best


def test_a_move_goes_several_times_as_far_within_the_bounds() -> None:
    problem = Problem(np.ones(1), np.zeros(1), np.full(1, 9.0), integers=np.ones(1, bool))
    exchanges = IntegerExchanges(problem)
    for stride, expected in ((1, 5.0), (4, 2.0), (64, 0.0)):
        assert exchanges.points(np.array([6.0]), np.array([[0]]), stride)[0].tolist() == [[expected]]
    assert exchanges.go_far(np.array([0]))
    assert not IntegerExchanges(problem.with_bounds(np.zeros(1), np.ones(1))).go_far(np.array([1]))


def test_integers_go_far_in_few_steps() -> None:
    """From 400 sheets to 10: one by one these are 390 steps."""
    problem = problem_of(shell())
    shared = shared_of(problem, problem.upper)
    exchanges = Exchanges(shared)
    points = [point for point in itertools.islice(exchanges.steps(), 60) if point is not None and point.is_feasible]
    assert min(point.objective for point in points) == pytest.approx(250.0, rel=1e-4)


def test_programs_with_planes_find_the_optimum_and_try_no_binaries_twice(monkeypatch) -> None:
    problem = problem_of(synthesis())
    shared = shared_of(problem, problem.upper)  # infeasible: without a best value all binaries are worth a try
    chosen, enclosures = [], Enclosures(shared)
    optimum = enclosures._optimum

    def noted(held: np.ndarray | None = None) -> np.ndarray | None:
        found = optimum(held)
        if held is None:
            chosen.append(found)
        return found

    monkeypatch.setattr(enclosures, "_optimum", noted)
    points = [point for point in enclosures.steps() if point is not None and point.is_feasible]
    assert min(point.objective for point in points) == pytest.approx(6.0097588, abs=1e-5)
    tried = [tuple(np.round(v[enclosures._binaries])) for v in chosen if v is not None]
    assert len(tried) == len(set(tried)) > 2
    assert chosen[-1] is None  # all have been tried
    bounds = [problem.cost @ v + problem.constant for v in chosen if v is not None]
    assert bounds[0] < 6.0097588


def test_programs_with_planes_end_where_nothing_has_a_value_near_any_point() -> None:
    problem = problem_of(synthesis())
    enclosures = Enclosures(shared_of(problem, problem.upper))
    enclosures._points = [np.full(problem.n_columns, np.nan)]
    assert list(enclosures.steps()) == [None]


def test_what_is_not_suited_to_planes_is_left_alone() -> None:
    m = synthesis()
    m.y.domain = pyo.UnitInterval
    assert not Enclosures.suit(problem_of(m))
    assert Enclosures.suit(problem_of(synthesis()))


def test_programs_with_planes_look_for_what_is_better_than_the_best_point_alone() -> None:
    problem = problem_of(synthesis())
    shared = shared_of(problem, problem.lower)
    enclosures = Enclosures(shared)
    assert shared.elite.best == pytest.approx(10.0)
    values = enclosures._optimum()
    shared.elite.learn(Incumbent(values, float(problem.cost @ values) + problem.constant, 0.0, 0.0))
    assert enclosures._optimum() is None  # the same planes say that nothing is better


def fund() -> pyo.ConcreteModel:
    """Two of four assets, as little variance as they can have: 1/2 with the last two, which go up together."""
    m = pyo.ConcreteModel()
    m.share, m.held = pyo.Var(range(4), bounds=(0, 1)), pyo.Var(range(4), domain=pyo.Binary)
    m.all = pyo.Constraint(expr=sum(m.share.values()) == 1)
    m.few = pyo.Constraint(expr=sum(m.held.values()) <= 2)
    m.bought = pyo.Constraint(range(4), rule=lambda m, i: m.share[i] <= m.held[i])
    m.variance = pyo.Objective(expr=sum((2 if i < 2 else 1) * m.share[i] ** 2 for i in range(4)))
    return m


def test_programs_with_planes_find_the_best_fund() -> None:
    problem = problem_of(fund())
    assert problem.quadratic is not None
    shared = shared_of(problem, np.repeat([1.0, 0.0, 1.0, 0.0], [1, 3, 1, 3]))
    points = Enclosures(shared).steps()
    assert any(point.is_feasible and point.objective < 0.5 + 1e-6 for point in points if point)


def test_an_asset_that_is_bought_drives_out_another_one() -> None:
    problem = problem_of(fund())
    exchanges, full = IntegerExchanges(problem), np.repeat([1 / 2, 0.0, 1.0, 0.0], 2)
    buys = exchanges.moves(full)[2:][:, None]
    assert len(exchanges.points(full, buys)[0]) == 0
    points, kept = exchanges.points(full, buys, random=np.random.default_rng(0))
    assert kept.tolist() == [0, 1]
    assert points[:, exchanges.columns].sum(axis=1).tolist() == [2, 2]
    assert points[[0, 1], exchanges.columns[2:]].tolist() == [1, 1]


def places_of_depots() -> pyo.ConcreteModel:
    """Two depots on a line, and distances to them: best are 1 and 8, in all 4 away from four customers."""
    at = [0.0, 2.0, 7.0, 9.0]
    m = pyo.ConcreteModel()
    m.x, m.far = pyo.Var([0, 1], bounds=(0, 10)), pyo.Var(range(4), bounds=(0, 10))
    m.by = pyo.Var(range(4), [0, 1], domain=pyo.Binary)
    m.one = pyo.Constraint(range(4), rule=lambda m, i: m.by[i, 0] + m.by[i, 1] == 1)
    m.distance = pyo.Constraint(
        range(4),
        [0, 1],
        rule=lambda m, i, k: m.far[i] >= pyo.sqrt((m.x[k] - at[i]) ** 2 + 1e-6) - 10 * (1 - m.by[i, k]),
    )
    m.cost = pyo.Objective(expr=sum(m.far.values()))
    return m


def test_steps_along_tangents_are_corrected_where_columns_lie_on_curved_rows() -> None:
    m = pyo.ConcreteModel()
    m.x, m.y, m.far = pyo.Var(bounds=(0, 10)), pyo.Var(bounds=(0, 10)), pyo.Var(range(3), bounds=(0, 15))
    corners = [(0, 0), (10, 0), (5, 9)]
    m.distance = pyo.Constraint(
        range(3),
        rule=lambda m, i: m.far[i] >= pyo.sqrt((m.x - corners[i][0]) ** 2 + (m.y - corners[i][1]) ** 2 + 1e-6),
    )
    m.cost = pyo.Objective(expr=sum(m.far.values()))
    problem = problem_of(m)
    descent = shared_of(problem, problem.upper).descent()
    steps = descent.settle(problem.propagate(problem.upper[None])[0], np.inf)

    def point() -> Iterator[Incumbent]:
        yield problem.incumbent((yield from steps))

    *_, end = point()
    assert end.objective < 17.8  # of at least 17.66, and 27.2 where it begins


def test_integers_and_places_are_chosen_in_turn() -> None:
    problem = problem_of(places_of_depots())
    shared = shared_of(problem, problem.lower)
    alternations = Alternations(shared)
    assert Alternations.suit(problem)
    assert not Alternations.suit(replace(problem, integers=np.zeros(problem.n_columns, bool)))
    assert any(point.is_feasible and point.objective < 4.1 for point in alternations.steps() if point)
