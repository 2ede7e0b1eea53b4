"""Outer approximation of models that are convex but for their integers, and what finds the integers of others."""

import itertools
import math
from collections.abc import Callable, Generator

import numpy as np
import pyomo.environ as pyo
import pytest
from test_smooth_integers import problem_of, shared_of, synthesis

from pyomo_relugrad.problem import Problem
from pyomo_relugrad.programs import LinearProgram
from pyomo_relugrad.run import Budget, SearchContext
from pyomo_relugrad.search.following import Following
from pyomo_relugrad.search.neighbourhoods import enclosures
from pyomo_relugrad.search.neighbourhoods.convexity import is_convex
from pyomo_relugrad.search.neighbourhoods.enclosures import Enclosures
from pyomo_relugrad.search.neighbourhoods.exact_steps import ExactSteps
from pyomo_relugrad.search.neighbourhoods.exchanges import Exchanges
from pyomo_relugrad.search.neighbourhoods.search import Neighbourhoods, _neighbourhoods
from pyomo_relugrad.search.relaxation import RELAXATION_SHARE, LinearRelaxation
from pyomo_relugrad.search.sequential.search import SequentialLp


def curved(row: Callable[[pyo.ConcreteModel], object], sense: int = pyo.minimize) -> Problem:
    """A choice of one number in (1, 9) and a binary, with one curved row."""
    m = pyo.ConcreteModel()
    m.x, m.y, m.z = pyo.Var(bounds=(1, 9)), pyo.Var(domain=pyo.Binary), pyo.Var(bounds=(-50, 99))
    m.row = pyo.Constraint(expr=row(m))
    m.cost = pyo.Objective(expr=m.z + m.x + 2 * m.y, sense=sense)
    return problem_of(m)


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        (lambda m: m.x**2 - 5 * m.y <= m.z, True),
        (lambda m: m.x**2 - 5 * m.y >= m.z, False),
        (lambda m: pyo.log(m.x) - 5 * m.y >= m.z, True),
        (lambda m: m.x * m.z <= 5 * m.y, False),
    ],
)
def test_planes_tell_which_rows_are_convex(row, expected: bool) -> None:
    assert is_convex(curved(row), np.random.default_rng(0)) == expected


def test_programs_with_planes_lead_where_the_problem_is_convex() -> None:
    method = Neighbourhoods()
    problem = problem_of(synthesis())
    shares = method._floors(["descents", "flips", "enclosures"], shared_of(problem, problem.upper))
    assert shares["enclosures"] == method.convex_share > shares["descents"] == shares["flips"]
    assert sum(shares.values()) <= 0.9 + 1e-9
    problem = curved(lambda m: m.x**2 - 5 * m.y >= m.z)
    shares = method._floors(["descents", "flips", "enclosures"], shared_of(problem, problem.upper))
    assert len(set(shares.values())) == 1


def test_planes_refute_integers_or_lead_to_their_optimum(monkeypatch) -> None:
    """The best value of the binaries 0, 1, 0, 7.0927, takes no descent; beside the optimum they are refuted."""
    monkeypatch.setattr(enclosures, "FIRST_POINTS", 8)
    problem = problem_of(synthesis())
    shared = shared_of(problem, problem.upper)  # infeasible: nothing is refuted
    values = np.where(problem.integers, 0.0, problem.lower)
    values[np.flatnonzero(problem.free_integers)[1]] = 1.0
    closer = returned(Enclosures(shared)._closer(values))
    assert problem.objective(closer[None])[0] == pytest.approx(7.0927, abs=1e-3)
    optimum = next(
        point
        for point in Enclosures(shared).steps()
        if point is not None and point.is_feasible and point.objective < 6.01
    )
    shared.elite.learn(optimum)
    assert returned(Enclosures(shared)._closer(values)) is None


def returned(steps: Generator[None, None, np.ndarray | None]) -> np.ndarray | None:
    """What a generator returns."""
    while True:
        try:
            next(steps)
        except StopIteration as end:
            return end.value


def test_integers_that_leave_no_room_make_violations_dearer() -> None:
    m = pyo.ConcreteModel()
    m.x, m.y = pyo.Var(bounds=(0, 1)), pyo.Var(domain=pyo.Integers, bounds=(0, 9))
    m.enough = pyo.Constraint(expr=m.x * (1 - m.x) + m.y >= 7.9)
    m.cost = pyo.Objective(expr=100 * m.y)
    problem = problem_of(m)
    context = SearchContext(Budget(math.inf, 1000), np.random.default_rng(0))
    descent = SequentialLp(held_share=1.0).descent(problem, context, LinearRelaxation(problem))
    before = descent.merit.row_penalties.copy()
    for _ in descent.run(problem.propagate(problem.lower[None])[0]):
        pass
    np.testing.assert_allclose(descent.merit.row_penalties, 3.0 * before)


def test_programs_go_on_where_integers_and_rows_are_all_there_is() -> None:
    problem = Problem(-np.ones(4), np.zeros(4), np.full(4, 3.0), [[2.0, 3.0, 5.0, 7.0]], None, [11.0], np.ones(4, bool))
    shared = shared_of(problem, problem.lower)
    assert {"whole", "integers"} <= _neighbourhoods(shared, ExactSteps(shared)).keys()


def near(fixed: float | None) -> Problem:
    """Integers near 7 and 4, and a number near 2; at 1 at best."""
    m = pyo.ConcreteModel()
    m.a, m.b, m.x = (pyo.Var(domain=domain, bounds=(1, 9)) for domain in (pyo.Integers, pyo.Integers, pyo.Reals))
    if fixed is not None:
        m.x.fix(fixed)
    m.cost = pyo.Objective(expr=pyo.sqrt((m.a - 7) ** 2 + (m.b - 4) ** 2 + (m.x - 2) ** 2 + 1))
    return problem_of(m)


def test_integers_that_decide_all_are_compared_without_descents(monkeypatch) -> None:
    assert not Following(near(None)).is_all
    problem = near(2.0)
    assert Following(problem).is_all
    shared = shared_of(problem, problem.lower)

    def never(*_: object) -> None:
        raise AssertionError("there is nothing to descend in")

    exchanges = Exchanges(shared)
    monkeypatch.setattr(exchanges._descent, "settle", never)
    points = [point for point in itertools.islice(exchanges.steps(), 40) if point is not None]
    assert min(point.objective for point in points) == pytest.approx(1.0)


def test_integers_that_decide_all_go_far_over_worse_ones() -> None:
    """From 0 to 30, with valleys at multiples of 5: steps by one and by two end in each of them."""
    m = pyo.ConcreteModel()
    m.a = pyo.Var(domain=pyo.Integers, bounds=(0, 50))
    m.cost = pyo.Objective(expr=pyo.sqrt((m.a - 30) ** 2 + 1) + 40 * pyo.sin(math.pi * m.a / 5) ** 2)
    problem = problem_of(m)
    shared = shared_of(problem, problem.lower)
    points = [point for point in itertools.islice(Exchanges(shared).steps(), 300) if point is not None]
    assert min(point.objective for point in points) == pytest.approx(1.0)


def test_what_leaves_smooth_functions_out_does_not_take_all_the_time(monkeypatch) -> None:
    """Programs over the linear part, which may have hard integers of their own, have a share of it."""
    problem, limits = problem_of(synthesis()), list[float]()
    solve = LinearProgram.solve
    monkeypatch.setattr(LinearProgram, "solve", lambda own, limit: limits.append(limit) or solve(own, limit))
    LinearRelaxation(problem).relax(Budget(100.0))
    assert 0 < max(limits) <= RELAXATION_SHARE * 100
