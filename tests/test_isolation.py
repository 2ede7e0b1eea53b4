"""Equations that are solved for one variable: it becomes a function of the others, and no solution is lost."""

import numpy as np
import pyomo.environ as pyo
import pytest

from pyomo_relugrad.modeling.compile import compile_model, operations
from pyomo_relugrad.problem.presolve import presolve


def model(equation):
    m = pyo.ConcreteModel()
    m.w = pyo.Var()  # the only one without bounds: the first for which equations are solved
    m.p, m.q, m.r = pyo.Var(bounds=(0.5, 2)), pyo.Var(bounds=(0.5, 2)), pyo.Var(bounds=(-1, 1))
    m.n = pyo.Var(domain=pyo.Integers, bounds=(0, 5))
    m.c = pyo.Constraint(expr=equation(m))
    m.o = pyo.Objective(expr=m.w)
    return m


@pytest.mark.parametrize(
    "equation",
    [
        lambda m: m.w * m.p == m.n,
        lambda m: m.p**2 * m.q == m.n - m.w * (m.p + pyo.exp(m.r)) * 3 - m.w,
        lambda m: m.w * (m.p + 1) == m.q**3 - m.q * m.w * m.p,
        lambda m: pyo.log(m.p * m.w) == 3 - m.r / m.q,
        lambda m: pyo.log10(m.w) * m.p + m.r**3 == 2,
        lambda m: m.p * pyo.exp(2 * m.w / m.q) - m.p == m.q,
        lambda m: m.p / m.w == pyo.exp(m.q) + m.n,
        lambda m: pyo.sqrt(m.w) * m.q == m.p**2 + 1,
        lambda m: m.w**0.6 == m.p * m.q,
    ],
)
def test_an_equation_is_solved_for_a_variable(equation):
    m = model(equation)
    compiled = compile_model(m)
    (function,) = compiled.problem.expressions
    assert presolve(compiled.problem).problem.n_rows == 0
    for point in np.random.default_rng(0).uniform(size=(5, function.inputs.size)):
        for column, share in zip(function.inputs, point, strict=True):
            low, high = compiled.columns[column].bounds
            compiled.columns[column].set_value(low + share * (high - low), skip_validation=True)
        inputs = np.array([[compiled.columns[column].value for column in function.inputs]])
        m.w.set_value(float(function.expression.value(inputs)[0, 0]))
        assert m.c.slack() == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize(
    "equation",
    [
        lambda m: m.w * m.r == m.n,  # any number where both are zero
        lambda m: m.w * (m.p - m.q) == m.n,
        lambda m: m.w**2 == m.p,  # two roots
        lambda m: m.w**2 + m.w == m.p,
        lambda m: pyo.sqrt(m.w) * m.q == m.r,  # none where r < 0
        lambda m: m.w**3 == m.r,  # roots of negative numbers have no value
        lambda m: pyo.sin(m.w) * m.q == m.p,
        lambda m: m.w * m.n == m.p * m.r,  # products with integers are linear
    ],
)
def test_equations_that_may_have_other_solutions_stay_rows(equation):
    problem = presolve(compile_model(model(equation)).problem).problem
    assert not problem.is_output[list(problem.column_names).index("w")]


def test_roots_that_are_not_negative_are_found():
    m = model(lambda m: m.w**2 == m.p)
    m.w.setlb(0)
    assert presolve(compile_model(m).problem).problem.n_rows == 0


def test_a_variable_is_given_its_value_once():
    m = model(lambda m: m.w * m.p == m.n)
    m.other = pyo.Constraint(expr=m.w * m.q == m.r * m.p)
    reduced = presolve(compile_model(m).problem).problem
    names = [reduced.column_names[column] for column in np.flatnonzero(reduced.is_output)]
    assert (reduced.n_rows, names) == (0, ["w", "r"])


def test_equations_that_agree_but_for_rounding_define_one_variable():
    m = pyo.ConcreteModel()
    m.x, m.y = pyo.Var(bounds=(0.01, 50)), pyo.Var(bounds=(0, None))
    m.c = pyo.Constraint(expr=pyo.log(m.x) == 1)
    m.d = pyo.Constraint(expr=2 * m.x == 2 * np.e + 2e-14)
    m.e = pyo.Constraint(expr=pyo.log(m.x) * 3 == 0.3 * (m.x + m.y))
    m.o = pyo.Objective(expr=m.x + m.y)
    pyo.SolverFactory("relugrad").solve(m, time_limit=1, threads=1)
    assert pyo.value(m.o) == pytest.approx(10.0, abs=1e-6)


def test_after_many_equations_in_vain_no_other_is_tried(monkeypatch):
    monkeypatch.setattr(operations, "MAX_VAIN", 3)
    for in_vain, is_tried in ((2, True), (3, False)):
        m = pyo.ConcreteModel()
        m.w, m.p, m.q = pyo.Var(), pyo.Var(bounds=(0.5, 2)), pyo.Var(bounds=(0.5, 2))
        m.c = pyo.ConstraintList()
        for number in range(in_vain):
            m.c.add(m.p**2 + m.p * m.q + m.q**2 == 1 + number)
        m.c.add(m.w * m.p == pyo.exp(m.q))
        m.o = pyo.Objective(expr=m.w)
        compiled = compile_model(m)
        read = [compiled.columns[int(column)] for each in compiled.problem.expressions for column in each.inputs]
        assert any(variable is m.w for variable in read) == (not is_tried)
