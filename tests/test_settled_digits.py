"""Squares of pressures in pascals: rows that no point meets but by its last digits, as Pyomo evaluates them."""

import numpy as np
import pyomo.environ as pyo

from pyomo_relugrad.modeling.compile import compile_model
from pyomo_relugrad.modeling.solver.rounding import settled


def pipes() -> pyo.ConcreteModel:
    """A pipe that ends in two others; squares of pressures fall by 1e12."""
    m = pyo.ConcreteModel()
    m.p = pyo.Var(range(4), bounds=(2e6, 7e6), initialize=5e6)
    m.f = pyo.Var(range(3), bounds=(-200, 200))
    m.p[0].fix(5e6)
    m.split = pyo.Constraint(expr=m.f[0] == m.f[1] + m.f[2])
    ends = [(0, 1), (1, 2), (1, 3)]
    m.drop = pyo.Constraint(
        range(3),
        rule=lambda m, k: m.p[ends[k][0]] ** 2 - m.p[ends[k][1]] ** 2 == 1.1e9 * m.f[k] * pyo.sqrt(m.f[k] ** 2 + 1e-4),
    )
    m.o = pyo.Objective(expr=m.f[0], sense=pyo.maximize)
    return m


def test_last_digits_hold_as_pyomo_evaluates_rows() -> None:
    m, flow = pipes(), 25.1
    flows = np.array([flow + 11.1, flow, 11.1])
    falls = 1.1e9 * flows * np.sqrt(flows**2 + 1e-4)
    squares = 2.5e13 - falls[0] - np.array([0.0, falls[1], falls[2]])
    pressures = np.sqrt(squares)
    compiled = compile_model(m)
    values = {f"f[{k}]": flows[k] for k in range(3)} | {f"p[{k + 1}]": pressures[k] for k in range(3)}
    problem = compiled.problem
    v = problem.propagate(np.array([[values.get(problem.column_name(j), 0.0) for j in range(problem.n_columns)]]))[0]
    point = problem.measure(v)
    assert not point.is_feasible or compiled.refuted(point)
    found = settled(compiled, point)
    assert found is not None
    assert found.is_feasible
    for variable, value in compiled.solution(found.values).items():
        variable.set_value(value)
    assert all(abs(pyo.value(row.body) - row.upper) <= 1e-6 for row in m.drop.values())
    assert abs(m.f[0].value - flows[0]) < 1e-6
    far = problem.measure(problem.propagate((v * np.where(np.arange(v.size) == 0, 1.001, 1.0))[None])[0])
    assert settled(compiled, far) is None
