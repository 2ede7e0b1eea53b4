"""The interior-point descent: from initial values to optima, whatever the units, with nothing undefined on the way."""

from collections.abc import Generator

import numpy as np
import pyomo.environ as pyo
import pytest
from scipy.optimize import approx_fprime

from pyomo_relugrad.arrays import Array
from pyomo_relugrad.modeling.compile import compile_model
from pyomo_relugrad.problem import FEASIBILITY_TOLERANCE, Problem
from pyomo_relugrad.run import Budget
from pyomo_relugrad.search.sequential import descent
from pyomo_relugrad.search.sequential.full_space import FullSpace
from pyomo_relugrad.search.sequential.interior_point import interior_descent


def descended(m: pyo.ConcreteModel, start: float | None = None) -> tuple[Problem, Array]:
    """Where a descent leads from the model's initial values, or from one value for all."""
    compiled = compile_model(m)
    problem = compiled.problem
    values = compiled.values() if start is None else np.full(problem.n_columns, start)
    (v,) = problem.propagate(np.clip(np.nan_to_num(values), problem.lower, problem.upper)[None])
    descent = interior_descent(problem, v, Budget())
    while True:
        try:
            next(descent)
        except StopIteration as end:
            return problem, end.value


def exchangers(unit: float = 1.0) -> pyo.ConcreteModel:
    """Three heat exchangers (Hock and Schittkowski, problem 106), areas in another unit."""
    bounds = {1: (100, 10000), 2: (1000, 10000), 3: (1000, 10000)}
    first = {1: 5000, 2: 5000, 3: 5000, 4: 200, 5: 350, 6: 150, 7: 225, 8: 425}
    units = {1: unit, 2: unit, 3: unit}
    m = pyo.ConcreteModel()
    m.x = pyo.Var(
        range(1, 9),
        bounds=lambda m, i: tuple(side * units.get(i, 1.0) for side in bounds.get(i, (10, 1000))),
        initialize=lambda m, i: first[i] * units.get(i, 1.0),
    )
    x = {i: m.x[i] / units.get(i, 1.0) for i in m.x}
    m.rows = pyo.ConstraintList()
    m.rows.add(0.0025 * (x[4] + x[6]) <= 1)
    m.rows.add(0.0025 * (x[5] + x[7] - x[4]) <= 1)
    m.rows.add(0.01 * (x[8] - x[5]) <= 1)
    m.rows.add(x[1] * x[6] - 833.33252 * x[4] - 100 * x[1] + 83333.333 >= 0)
    m.rows.add(x[2] * x[7] - 1250 * x[5] - x[2] * x[4] + 1250 * x[4] >= 0)
    m.rows.add(x[3] * x[8] - 1250000 - x[3] * x[5] + 2500 * x[5] >= 0)
    m.o = pyo.Objective(expr=sum(m.x[i] for i in (1, 2, 3)))
    return m


@pytest.mark.parametrize("unit", [1e-9, 1.0, 1e9])
def test_the_published_optimum_is_found_in_any_unit(unit: float) -> None:
    problem, v = descended(exchangers(unit))
    assert problem.violation(v[None])[0] <= 1e-6
    assert problem.objective(v[None])[0] / unit == pytest.approx(7049.248, rel=1e-6)


def test_equations_are_met_from_far_away() -> None:
    """Growth with capital in currency: every row ties nonlinear columns of 1e6, from one value for all."""
    m = pyo.ConcreteModel()
    years = range(6)
    m.capital = pyo.Var(years, bounds=(1e4, None))
    m.spent = pyo.Var(years, bounds=(1e3, None))
    m.capital[0].fix(3e6)
    m.grows = pyo.Constraint(
        range(5),
        rule=lambda m, t: m.capital[t + 1] == 0.96 * m.capital[t] + 3e5 * (m.capital[t] / 3e6) ** 0.35 - m.spent[t],
    )
    m.left = pyo.Constraint(expr=m.capital[5] >= 3e6)
    m.o = pyo.Objective(expr=sum(0.95**t * pyo.log(m.spent[t] / 1e3) for t in years if t < 5), sense=pyo.maximize)
    problem, v = descended(m, start=1e6)
    assert problem.violation(v[None])[0] <= FEASIBILITY_TOLERANCE
    # At an optimum what is spent grows by the discounted return on capital (Euler's equation).
    value = {problem.column_name(column): v[column] for column in range(problem.n_columns)}
    for t in range(3):
        reward = 0.96 + 0.035 * (value[f"capital[{t + 1}]"] / 3e6) ** -0.65
        assert value[f"spent[{t + 1}]"] / value[f"spent[{t}]"] == pytest.approx(0.95 * reward, rel=1e-4)


def test_arguments_stay_where_functions_are_defined() -> None:
    """The logarithm's argument is itself an expression, without bounds of its own, and tiny."""
    m = pyo.ConcreteModel()
    m.x = pyo.Var(bounds=(0, 40), initialize=20)
    m.rate = pyo.Var(initialize=1e-8)
    m.tie = pyo.Constraint(expr=m.rate == pyo.exp(-m.x))
    m.o = pyo.Objective(expr=(pyo.log(m.rate) + 12.5) ** 2)
    problem, v = descended(m)
    assert problem.objective(v[None])[0] == pytest.approx(0.0, abs=1e-8)


def test_second_derivatives_are_those_of_the_scaled_problem() -> None:
    m = pyo.ConcreteModel()
    m.x = pyo.Var(bounds=(0.1, 3), initialize=1.0)
    m.y = pyo.Var(bounds=(-2, 1e6), initialize=200.0)
    m.row = pyo.Constraint(expr=m.y * pyo.exp(m.x) + m.x**3 * pyo.log(m.y + 3) <= 1e5)
    m.o = pyo.Objective(expr=m.x**2 * m.y + (m.y - 2) ** 2)
    compiled = compile_model(m)
    (v,) = compiled.problem.propagate(compiled.values()[None])
    space = FullSpace(compiled.problem, v)
    multipliers = np.random.default_rng(0).normal(size=space.constraints(space.start).size)

    def slope(z: Array) -> Array:
        return space.gradient(z) + space.jacobian(z).T @ multipliers

    numerical = np.array(
        [approx_fprime(space.start, lambda z, i=i: slope(z)[i], 1e-6) for i in range(space.start.size)]
    )
    assert space.hessian(space.start, multipliers).toarray() == pytest.approx(numerical, rel=1e-3, abs=1e-4)


def test_initial_values_of_a_nonlinear_model_lead_to_their_optimum() -> None:
    """Each of 24 variables has three wells, and the values given are in the best ones."""
    m = pyo.ConcreteModel()
    m.x = pyo.Var(range(24), bounds=(-50, 50), initialize=26.0)
    m.size = pyo.Constraint(expr=sum(m.x[i] ** 2 for i in m.x) == 24 * 900.0)
    m.o = pyo.Objective(expr=sum(100 * (1 - pyo.cos(m.x[i] * np.pi / 15)) + (m.x[i] - 30) ** 2 for i in m.x))
    pyo.SolverFactory("relugrad").solve(m, iteration_limit=20, seed=0)
    assert pyo.value(m.o) == pytest.approx(0.0, abs=1e-4)


@pytest.mark.parametrize("width", [1e-10, 2e-9])
@pytest.mark.filterwarnings("error")
def test_ranges_without_room_are_held(width: float) -> None:
    """Between bounds as near as rounding there is no point off both of them."""
    m = pyo.ConcreteModel()
    m.x = pyo.Var(bounds=(1e6, 1e6 + width), initialize=1e6)
    m.y = pyo.Var(bounds=(0, 3), initialize=1)
    m.c = pyo.Constraint(expr=(3, pyo.exp(m.y) + pyo.log(m.x), 3 + 1e-9))
    m.o = pyo.Objective(expr=m.y**3 + m.x + (m.y - 1) ** 2)
    problem, v = descended(m)
    space = FullSpace(problem, v)
    assert (space.lower < space.start).all()
    assert (space.start < space.upper).all()


@pytest.mark.filterwarnings("error")
def test_functions_that_read_nothing_have_no_second_derivatives() -> None:
    """Presolve leaves a constant in the place of a power whose base it fixes."""
    m = pyo.ConcreteModel()
    m.x, m.y = (pyo.Var(bounds=(None, 3), initialize=1) for _ in range(2))
    m.z = pyo.Var(initialize=0.7)
    m.base = pyo.Constraint(expr=m.z**1.5 == 1)
    m.d = pyo.Constraint(expr=1 / (m.z + 1) + m.x**3 + 1 / (m.y + 1) == 0)
    m.o = pyo.Objective(expr=-pyo.tanh(m.z) - pyo.tanh(m.x))
    pyo.SolverFactory("relugrad").solve(m, iteration_limit=60, threads=1)
    assert pyo.value(m.d.body) == pytest.approx(0.0, abs=1e-6)


@pytest.mark.filterwarnings("error")
def test_infinite_initial_values_are_none() -> None:
    m = pyo.ConcreteModel()
    m.x, m.y = pyo.Var(), pyo.Var(initialize=0.5)
    m.x.set_value(np.inf, skip_validation=True)
    m.c = pyo.Constraint(expr=m.x**2 + m.y**2 == 1)
    m.o = pyo.Objective(expr=m.x + pyo.exp(m.y))
    assert not np.isinf(compile_model(m).values()).any()
    pyo.SolverFactory("relugrad").solve(m, iteration_limit=100, threads=1)
    assert pyo.value(m.c.body) == pytest.approx(1.0, abs=1e-6)


def test_a_hanging_chain_is_found_from_initial_values() -> None:
    """Without bounds, its objective falls for ever where the terms of its length are free of what they are made of."""
    n, length = 50, 4.0
    m = pyo.ConcreteModel()
    nodes, links = range(n + 1), range(n)
    m.x = pyo.Var(nodes, initialize=lambda m, i: 8 * i / n * (0.5 * i / n - 0.25) + 1)
    m.u = pyo.Var(nodes, initialize=lambda m, i: 8 * (i / n - 0.25))
    m.x[0].fix(1)
    m.x[n].fix(3)
    m.slope = pyo.Constraint(links, rule=lambda m, i: m.x[i + 1] == m.x[i] + (m.u[i] + m.u[i + 1]) / (2 * n))
    long = {i: pyo.sqrt(1 + m.u[i] ** 2) for i in nodes}
    m.length = pyo.Constraint(expr=0.5 / n * sum(long[i] + long[i + 1] for i in links) == length)
    m.o = pyo.Objective(expr=0.5 / n * sum(m.x[i] * long[i] + m.x[i + 1] * long[i + 1] for i in links))
    problem, v = descended(m)
    assert problem.violation(v[None])[0] <= 1e-6
    assert problem.objective(v[None])[0] == pytest.approx(5.0722615, rel=1e-6)  # Ipopt's from there


def test_what_functions_write_begins_at_values_that_are_given() -> None:
    """As states of a trajectory do, which would be far away where each followed from the one before."""
    m = pyo.ConcreteModel()
    m.x = pyo.Var([0, 1], bounds=(-2, 2), initialize=1.0)
    m.row = pyo.Constraint(expr=m.x[0] + pyo.exp(3 * m.x[1]) == 2)
    m.o = pyo.Objective(expr=m.x[0])
    compiled = compile_model(m)
    problem, given = compiled.problem, compiled.values()
    (v,) = problem.propagate(given[None])
    given = np.where(problem.is_output, 1.5, given)
    space = FullSpace(problem, v, given)
    begun = space.values(space.start)
    assert begun[problem.is_output] == pytest.approx(1.5)
    assert np.abs(v[problem.is_output]).min() > 10.0
    assert np.abs(space.constraints(space.start)).max() > 0.1


@pytest.mark.parametrize("most", [1e-3, 1e17, np.inf])
def test_bounds_that_say_nothing_give_no_scale(most: float) -> None:
    """A bound that follows from a quotient may be as large as 1e17."""
    size = min(1.0, 0.5 * most)
    m = pyo.ConcreteModel()
    m.x = pyo.Var(bounds=(0, most), initialize=size)
    m.o = pyo.Objective(expr=pyo.exp(-m.x / size))
    compiled = compile_model(m)
    space = FullSpace(compiled.problem, compiled.problem.propagate(compiled.values()[None])[0])
    assert space.scale[0] == pytest.approx(size)


def test_rows_without_slope_at_the_start_keep_their_size() -> None:
    m = pyo.ConcreteModel()
    m.u = pyo.Var([0, 1], bounds=(-1, 1), initialize=0.0)
    m.circle = pyo.Constraint(expr=m.u[0] ** 2 + m.u[1] ** 2 <= 1)
    m.o = pyo.Objective(expr=pyo.exp(m.u[0]) + pyo.exp(2 * m.u[1]))
    _, v = descended(m)
    slope, size = np.array([np.exp(v[0]), 2 * np.exp(2 * v[1])]), np.linalg.norm(v[:2])
    assert size == pytest.approx(1.0)
    assert slope / np.linalg.norm(slope) == pytest.approx(-v[:2], rel=1e-5)


@pytest.fixture
def begun(monkeypatch: pytest.MonkeyPatch) -> list[Array | None]:
    """The values given to each interior-point descent, none of which goes anywhere."""
    given_to: list[Array | None] = []

    def noted(
        problem: Problem, v: Array, budget: Budget, given: Array | None = None, number: int = 0
    ) -> Generator[None, None, Array]:
        given_to.append(given)
        return v
        yield

    monkeypatch.setattr(descent, "interior_descent", noted)
    return given_to


def test_values_in_the_model_reach_the_first_descent_and_no_other(begun: list[Array | None]) -> None:
    """Also those of what functions write, which the search's own start computes anew."""
    m = pyo.ConcreteModel()
    m.x = pyo.Var([0, 1, 2], bounds=(0.5, 3), initialize={0: 1.5, 1: 2.5, 2: 0.75})
    m.state = pyo.Constraint(expr=m.x[2] == pyo.exp(m.x[0] - m.x[1]))
    m.row = pyo.Constraint(expr=m.x[0] * m.x[1] == 5)
    m.sum = pyo.Constraint(expr=m.x[0] + m.x[1] <= 4.4)  # no point has that
    m.o = pyo.Objective(expr=(m.x[0] - m.x[2]) ** 2)
    pyo.SolverFactory("relugrad").solve(m, iteration_limit=20, seed=0, load_solutions=False, threads=1)
    assert begun[0] is not None
    assert set(m.x.get_values().values()) <= set(begun[0].tolist())
    assert len(begun) > 1
    assert begun[1:] == [None] * (len(begun) - 1)


def test_a_feasible_start_comes_before_the_states_that_are_given(begun: list[Array | None]) -> None:
    """States that were measured, say, are far from feasible where the start that leads to others is not."""
    m = pyo.ConcreteModel()
    m.x = pyo.Var([0, 1], bounds=(0, 2), initialize=0.0)
    m.row = pyo.Constraint(expr=m.x[0] + pyo.exp(m.x[1]) <= 2)
    m.o = pyo.Objective(expr=(m.x[0] - m.x[1]) ** 2 - pyo.sin(m.x[1]))
    pyo.SolverFactory("relugrad").solve(m, iteration_limit=20, seed=0)
    assert begun[0] is None
