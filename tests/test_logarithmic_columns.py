"""Interior-point descents in logarithms of columns over many decades, and last digits of sums of large numbers."""

import numpy as np
import pyomo.environ as pyo
import pytest

from pyomo_relugrad.arrays import Array
from pyomo_relugrad.modeling.compile import CompiledModel, compile_model
from pyomo_relugrad.problem import Problem
from pyomo_relugrad.problem.presolve import presolve
from pyomo_relugrad.run import Budget
from pyomo_relugrad.search.sequential import full_space
from pyomo_relugrad.search.sequential.full_space import FullSpace
from pyomo_relugrad.search.sequential.interior_point import interior_descent
from pyomo_relugrad.search.sequential.last_digits import with_last_digits


def buffer() -> pyo.ConcreteModel:
    """Ammonia and phosphate in water, mol/l: the least dose for a pH and a capacity."""
    species = ["H", "OH", "H3P", "H2P", "HP", "P", "NH4", "NH3"]
    m = pyo.ConcreteModel()
    c = m.c = pyo.Var(species, bounds=(1e-15, 2), initialize=1e-4)
    m.base, m.acid = pyo.Var(bounds=(0, 1), initialize=0.1), pyo.Var(bounds=(0, 1), initialize=0.05)
    m.pH, m.total = pyo.Var(bounds=(0, 14), initialize=7), pyo.Var(bounds=(0.01, 0.2), initialize=0.05)
    m.rows = pyo.ConstraintList()
    m.rows.add(c["H"] * c["OH"] == 1e-14)
    m.rows.add(c["H"] * c["H2P"] == 7.1e-3 * c["H3P"])
    m.rows.add(c["H"] * c["HP"] == 6.3e-8 * c["H2P"])
    m.rows.add(c["H"] * c["P"] == 4.5e-13 * c["HP"])
    m.rows.add(c["H"] * c["NH3"] == 5.6e-10 * c["NH4"])
    m.rows.add(c["H3P"] + c["H2P"] + c["HP"] + c["P"] == m.total)
    m.rows.add(c["NH4"] + c["NH3"] == 0.02)
    m.rows.add(c["H"] + c["NH4"] + m.base == c["OH"] + c["H2P"] + 2 * c["HP"] + 3 * c["P"] + m.acid)
    m.rows.add(m.pH == -pyo.log10(c["H"]))
    m.rows.add(m.pH >= 7.2)
    m.rows.add(2.303 * (c["H"] + c["OH"] + c["H2P"] * c["HP"] / m.total) >= 0.01)
    m.o = pyo.Objective(expr=40 * m.base + 36 * m.acid + 90 * m.total)
    return m


def first_point(compiled: CompiledModel) -> Array:
    problem = compiled.problem
    values = np.clip(np.nan_to_num(compiled.values()), problem.lower, problem.upper)
    return np.asarray(problem.propagate(values[None])[0])


def descended(compiled: CompiledModel, number: int = 0) -> Array:
    descent = interior_descent(compiled.problem, first_point(compiled), Budget(), compiled.values(), number)
    while True:
        try:
            next(descent)
        except StopIteration as end:
            return np.asarray(end.value)


def test_acids_and_bases_are_feasible_from_equal_concentrations() -> None:
    compiled = compile_model(buffer())
    v = descended(compiled)
    assert compiled.problem.violation(v[None])[0] <= 1e-6
    c = {compiled.problem.column_name(j): value for j, value in enumerate(v.tolist())}
    assert c["c[H]"] * c["c[OH]"] == pytest.approx(1e-14, rel=1e-4)
    assert c["c[H]"] * c["c[HP]"] == pytest.approx(6.3e-8 * c["c[H2P]"], rel=1e-4)


@pytest.mark.parametrize("has_logs", [False, True])
def test_derivatives_are_those_of_differences(has_logs: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if not has_logs:
        monkeypatch.setattr(full_space, "MANY_DECADES", 1e300)
    compiled = compile_model(buffer())
    space = FullSpace(compiled.problem, first_point(compiled), compiled.values())
    assert space.is_log.any() == has_logs
    z, prices = space.start, np.linspace(-1.0, 1.0, space.constraints(space.start).size)

    def slopes(at: Array) -> Array:
        return np.asarray(space.gradient(at) + space.jacobian(at).T @ prices)

    steps = 1e-6 * np.eye(z.size)
    jacobian = [(space.constraints(z + step) - space.constraints(z - step)) / 2e-6 for step in steps]
    assert space.jacobian(z).toarray() == pytest.approx(np.array(jacobian).T, abs=1e-5, rel=1e-5)
    hessian = np.array([(slopes(z + step) - slopes(z - step)) / 2e-6 for step in steps])
    assert space.hessian(z, prices).toarray() == pytest.approx(hessian, abs=1e-5 * np.abs(hessian).max())


def test_sums_of_large_numbers_hold_in_their_last_digits() -> None:
    """Capitals of 3e9, whose digits are half a millionth apart."""
    m = pyo.ConcreteModel()
    m.capital = pyo.Var(range(9), bounds=(1e7, None), initialize=3e9 / 7)
    m.spent = pyo.Var(range(9), bounds=(0, None), initialize=1e8 / 3)
    m.rows = pyo.Constraint(range(8), rule=lambda m, t: m.capital[t + 1] == 0.96 * m.capital[t] + m.spent[t] * 7)
    m.o = pyo.Objective(expr=sum(pyo.sqrt(m.spent[t]) for t in range(9)))
    problem: Problem = compile_model(m).problem
    rng = np.random.default_rng(0)
    v = first_point(compile_model(m))
    place = {problem.column_name(j): j for j in range(18)}
    capital, spent = (np.array([place[f"{name}[{t}]"] for t in range(9)]) for name in ("capital", "spent"))
    v[capital] = 3e9 * rng.uniform(0.99, 1.01, 9)
    v[spent[:8]] = (v[capital[1:]] - 0.96 * v[capital[:8]]) / 7 + rng.uniform(-3e-6, 3e-6, 8)
    v = problem.propagate(v[None])[0]
    assert problem.violation(v[None])[0] > 1e-6
    settled = with_last_digits(problem, v, np.flatnonzero(~problem.is_output))
    assert settled is not None
    assert problem.violation(settled[None])[0] <= 1e-6
    assert with_last_digits(problem, v + 1e6 * (np.arange(v.size) == capital[3]), capital) is None


@pytest.mark.parametrize("number", [1, 2, 3])
def test_every_barrier_leads_to_the_optimum(number: int) -> None:
    """Hock and Schittkowski, problem 71."""
    m = pyo.ConcreteModel()
    x = m.x = pyo.Var(range(4), bounds=(1, 5), initialize=lambda m, i: [1, 5, 5, 1][i])
    m.product = pyo.Constraint(expr=x[0] * x[1] * x[2] * x[3] >= 25)
    m.length = pyo.Constraint(expr=sum(x[i] ** 2 for i in x) == 40)
    m.o = pyo.Objective(expr=x[0] * x[3] * (x[0] + x[1] + x[2]) + x[2])
    compiled = compile_model(m)
    v = descended(compiled, number)
    assert compiled.problem.violation(v[None])[0] <= 1e-6
    assert compiled.problem.objective(v[None])[0] == pytest.approx(17.0140173, rel=1e-6)


def test_bounds_that_functions_imply_count_again() -> None:
    """Presolve drops one bound of a column that functions write, and a point lies far beyond the other one."""
    problem = presolve(compile_model(buffer()).problem).problem
    dropped = problem.is_output & (np.isfinite(problem.lower) != np.isfinite(problem.upper))
    assert dropped.any()
    space = FullSpace(problem, np.where(dropped, 1e20, np.fmax(problem.lower, 1e-4)))
    columns = np.flatnonzero(dropped[space._columns])
    assert columns.size
    assert np.isfinite(space.lower[columns]).all()
    assert space.scale[columns].max() <= 2.0
