"""Nonlinear rows and objectives as expressions over columns. The oracle is Pyomo's own evaluation of the model."""

import math
from typing import Any

import numpy as np
import pyomo.environ as pyo
import pytest
from hypothesis import given, reject, settings
from hypothesis import strategies as st
from pyomo.core.expr.numeric_expr import MaxExpression, MinExpression

from pyomo_relugrad import ReluNetworkBlock
from pyomo_relugrad.modeling.compile import CompiledModel, compile_model
from pyomo_relugrad.modeling.errors import IncompatibleModel, InfeasibleModel
from pyomo_relugrad.network import Network
from pyomo_relugrad.problem import Problem
from pyomo_relugrad.problem.presolve import presolve
from pyomo_relugrad.proof import is_convex_around_networks

seeds = st.integers(0, 10**6)

NETWORK = Network.from_layers([[[1.0, -0.5], [-1.0, 0.5]], [[1.0, 2.0]]], [[0.2, 0.1], [0.5]])


def model() -> pyo.ConcreteModel:
    """Two variables in the domain of every function, a number of any sign, a binary, an integer and a parameter."""
    m = pyo.ConcreteModel()
    m.x = pyo.Var(range(2), bounds=(0.1, 0.9), initialize=0.5)
    m.z = pyo.Var(bounds=(-2, 2), initialize=1)
    m.b = pyo.Var(domain=pyo.Binary, initialize=0)
    m.n = pyo.Var(domain=pyo.Integers, bounds=(-2, 3), initialize=1)
    m.p = pyo.Param(initialize=1.5, mutable=True)
    m.e = pyo.Expression(expr=m.x[0] * m.z + 1)
    return m


def at_random(m: pyo.ConcreteModel, rng: np.random.Generator) -> None:
    for v in (*m.x.values(), m.z, m.b, m.n):
        v.set_value(float(rng.uniform(*v.bounds)) if v.is_continuous() else int(rng.integers(v.lb, v.ub + 1)))


def complete(problem: Problem, v: np.ndarray) -> np.ndarray:
    """A point with the values of expressions and operations, which may read one another."""
    for _ in range(len(problem.functions) + len(problem.operations) + 1):
        v = problem.propagate(v[None])[0]
        for operation in problem.operations:
            v[operation.outputs] = operation.value(v)
    return v


def assert_solved(compiled: CompiledModel, row: Any, v: np.ndarray) -> None:
    """An equation that was solved for a variable holds where the variable has the value of the function."""
    entries = compiled.problem.rows[[compiled.problem.row_names.index(row.name)]]
    assert entries.data.tolist() == [1, -1], row.name
    variable, value = compiled.columns[entries.indices[0]], v[entries.indices[1]]
    before = variable.value
    variable.set_value(value, skip_validation=True)
    assert row.slack() == pytest.approx(0, abs=1e-9 * (1 + abs(value) + abs(pyo.value(row.body))))
    variable.set_value(before, skip_validation=True)


def assert_same_as_pyomo(m: pyo.ConcreteModel, rng: np.random.Generator, points: int = 4) -> None:
    """The objective `o` and the rows `c` and `equal` have Pyomo's values at random points."""
    compiled = compile_model(m)
    problem = compiled.problem
    for _ in range(points):
        at_random(m, rng)
        v = complete(problem, compiled.values())
        scale = 1 + abs(pyo.value(m.o))
        assert problem.reported(problem.objective(v[None])[0]) == pytest.approx(pyo.value(m.o), abs=1e-9 * scale)
        assert problem.network_error(v[None])[0] <= 1e-9 * scale
        for name, excess in zip(problem.row_names, problem.row_violations(v[None])[0], strict=True):
            row = m.find_component(name)
            expected = max(-row.slack(), 0.0)
            if excess != pytest.approx(expected, abs=1e-9 * (1 + abs(pyo.value(row.body)))):
                assert_solved(compiled, row, v)


EXPRESSIONS = {
    "exp": lambda m: pyo.exp(m.z - m.x[0]),
    "log": lambda m: pyo.log(m.x[0] + 1),
    "log10": lambda m: 3 * pyo.log10(m.x[0]),
    "sqrt": lambda m: pyo.sqrt(m.x[0] + m.x[1]),
    "sin": lambda m: pyo.sin(3 * m.z),
    "cos": lambda m: pyo.cos(m.z) - m.z,
    "tan": lambda m: pyo.tan(m.x[0]),
    "asin": lambda m: pyo.asin(m.x[0]),
    "acos": lambda m: pyo.acos(m.x[1]),
    "atan": lambda m: pyo.atan(m.z),
    "sinh": lambda m: pyo.sinh(m.z),
    "cosh": lambda m: pyo.cosh(m.z),
    "tanh": lambda m: pyo.tanh(m.z),
    "asinh": lambda m: pyo.asinh(m.z),
    "acosh": lambda m: pyo.acosh(1 + m.x[0]),
    "atanh": lambda m: pyo.atanh(m.x[0]),
    "product": lambda m: m.x[0] * m.z,
    "square": lambda m: m.z**2,
    "cube": lambda m: (m.z - 1) ** 3,
    "high power": lambda m: m.x[0] ** 1500,
    "high power of an integer": lambda m: (m.n**5) ** 10 / 3**50,
    "fractional power": lambda m: m.x[0] ** 0.6,
    "negative power": lambda m: (m.z**2 + 1) ** -2,
    "power of a parameter": lambda m: m.p**m.z,
    "variable power": lambda m: m.x[0] ** m.x[1],
    "power by a parameter": lambda m: m.x[0] ** m.p,
    "quotient": lambda m: (m.z + m.p) / (1 + m.x[0]),
    "quotient of integers": lambda m: (m.n + 1) / (m.n + 4),
    "quotient by a parameter": lambda m: m.x[0] * m.z / m.p,
    "sum times sum": lambda m: (m.x[0] + 2 * m.z) * (m.x[1] - m.z + 1),
    "three factors": lambda m: m.x[0] * m.x[1] * m.z * (1 + m.z),
    "many products": lambda m: sum(m.x[i % 2] + i for i in range(30)) * (m.z + pyo.sin(m.z)),
    "an integer": lambda m: m.b * m.x[0] * m.z + m.n * pyo.exp(m.z),
    "an integer inside": lambda m: pyo.exp(m.b * m.x[0] - m.n),
    "an integer over something": lambda m: (m.b + m.n * m.z) / (1 + m.x[0]),
    "absolute value": lambda m: abs(m.z * m.x[0] - 0.2) + pyo.sqrt(abs(m.z) + 1),
    "maximum": lambda m: MaxExpression([m.z * m.x[0], pyo.exp(m.z) - 1, 0.3]) ** 2,
    "minimum": lambda m: pyo.log(1 + m.x[0]) * MinExpression([m.z, m.n]),
    "named": lambda m: m.e**2 + pyo.exp(m.e) * m.e,
    "fixed": lambda m: pyo.exp(pyo.log(m.p) * m.p) * m.x[0] ** 2,
    "negative": lambda m: -(m.x[0] * m.z) + -pyo.exp(-m.z),
    "network": lambda m: m.nn.network_equations[0].expr.arg(1) ** 2 * m.x[0],
    "nothing": lambda m: pyo.exp(m.x[0] - m.x[0]) + 0 * pyo.log(m.x[1]),
}


@pytest.mark.parametrize("name", EXPRESSIONS)
def test_expressions_have_pyomo_s_values(name):
    m = model()
    m.nn = ReluNetworkBlock(network=NETWORK, inputs=m.x)
    expression = EXPRESSIONS[name](m)
    m.o = pyo.Objective(expr=expression + m.z, sense=pyo.maximize)
    m.c = pyo.Constraint(expr=(-1, 2 * expression - m.x[1], 2))
    m.equal = pyo.Constraint(expr=m.x[1] + m.x[0] == expression * 3 + 1)
    assert_same_as_pyomo(m, np.random.default_rng(len(name)))


def random_expression(rng: np.random.Generator, m: pyo.ConcreteModel, depth: int):
    if depth == 0:
        every = [*m.x.values(), m.z, m.b, m.n]
        return float(rng.integers(-2, 3)) + sum(float(rng.integers(-2, 3)) * v for v in rng.choice(every, 2))
    inner, other = (random_expression(rng, m, depth - 1) for _ in range(2))
    kinds = (
        lambda: inner * other,
        lambda: inner - m.p * other,
        lambda: pyo.exp(inner / 10) - other,
        lambda: pyo.sin(inner) * other,
        lambda: inner / (2 + pyo.cos(other)),
        lambda: pyo.log(inner**2 + 1),
        lambda: abs(inner) + other,
        lambda: (inner / 4) ** int(rng.integers(4)),
        lambda: MaxExpression([inner, other]),
        lambda: (1.5 + pyo.tanh(inner)) ** (other / 10),
    )
    return kinds[rng.integers(len(kinds))]()


@settings(max_examples=40, deadline=None)
@given(seed=seeds)
def test_any_expression_has_pyomo_s_values(seed):
    rng, m = np.random.default_rng(seed), model()
    m.o = pyo.Objective(expr=random_expression(rng, m, 3))
    m.c = pyo.Constraint(expr=random_expression(rng, m, 2) <= 1)
    m.equal = pyo.Constraint(expr=m.z == random_expression(rng, m, 2))
    try:
        assert_same_as_pyomo(m, rng)
    except InfeasibleModel:  # what is left of the row is a number above its limit
        reject()


# --- structure --------------------------------------------------------------------------------------------------


def test_equal_structure_is_evaluated_together_and_equal_terms_once():
    m = pyo.ConcreteModel()
    m.i = pyo.RangeSet(0, 5)
    m.price, m.demand = (pyo.Var(m.i, bounds=(0, 1)) for _ in range(2))
    m.share = pyo.Expression(m.i, rule=lambda m, i: pyo.exp(-m.price[i]))
    m.limit = pyo.Constraint(m.i, rule=lambda m, i: m.price[i] * m.demand[i] + m.share[i] <= 1)
    m.more = pyo.Constraint(expr=sum(2 * m.demand[i] * m.price[i] - m.share[i] for i in m.i) >= 0)
    m.o = pyo.Objective(expr=sum(m.price[i] * m.demand[i] for i in m.i), sense=pyo.maximize)
    problem = compile_model(m).problem
    assert len(problem.expressions) == 12
    assert len({each.expression for each in problem.expressions}) == 2
    assert [len(stage.inputs) for stage in problem.stages] == [6, 6]
    assert problem.rows.nnz == 6 * 2 + 12
    assert not problem.quadratic
    assert "price[0]*demand[0]" in problem.column_name(int(problem.expressions[0].outputs[0]))


def test_large_numbers_are_part_of_the_terms_that_they_multiply():
    m = model()
    rate = 3e15 * pyo.exp(-30 / m.x[0]) * m.x[1]
    m.c = pyo.Constraint(expr=m.z + rate <= 1)
    m.equal = pyo.Constraint(expr=m.x[1] - 2 * rate == m.z)
    m.o = pyo.Objective(expr=m.z + 2e-9 * m.x[0] * m.x[1])
    problem = compile_model(m).problem
    assert np.abs(problem.rows.data).max() < 100
    assert problem.cost[problem.cost > 0].min() > 0.1
    assert_same_as_pyomo(m, np.random.default_rng(0))


def test_a_long_chain_of_named_expressions_is_read_once():
    m = pyo.ConcreteModel()
    m.x = pyo.Var(bounds=(0.5, 1))
    m.e = pyo.Expression(range(9))
    m.e[0] = m.x
    for i in range(1, 9):
        m.e[i] = pyo.sin(m.e[i - 1]) + m.e[i - 1] / 2
    m.o = pyo.Objective(expr=pyo.exp(m.e[8]))
    compiled = compile_model(m)
    m.x.set_value(0.7)
    v = compiled.problem.propagate(compiled.values())
    assert len(compiled.problem.expressions[0].expression.operations) < 30
    assert compiled.problem.objective(v)[0] == pytest.approx(pyo.value(m.o))


@pytest.mark.parametrize(
    "equation",
    [
        lambda m: m.y == m.x[0] * m.z,
        lambda m: 3 + 2 * pyo.exp(m.x[0]) * m.z - m.x[1] + m.b == m.y,
        lambda m: m.z * m.x[0] - 5 * m.y == 2,
    ],
)
def test_an_equation_that_gives_a_variable_its_value_is_a_function(equation):
    m = model()
    m.y = pyo.Var(bounds=(-9, 9))
    m.c = pyo.Constraint(expr=equation(m))
    m.o = pyo.Objective(expr=m.y)
    problem = compile_model(m).problem
    assert (len(problem.expressions), problem.n_rows) == (1, 1)
    assert presolve(problem).problem.n_rows == 0


@pytest.mark.parametrize(
    "equation",
    [
        lambda m: m.y == m.x[0] * m.y,
        lambda m: m.y + m.x[1] == m.x[0] * m.z,
        lambda m: m.y == m.b * m.x[0] + m.z**2,
        lambda m: m.n == m.x[0] * m.z,
        lambda m: m.y <= m.x[0] * m.z,
    ],
)
def test_other_equations_stay_rows(equation):
    m = model()
    m.y = pyo.Var(bounds=(-9, 9))
    m.c = pyo.Constraint(expr=equation(m))
    problem = compile_model(m).problem
    assert problem.n_rows == 1
    if "b" not in problem.column_names:
        assert len(problem.expressions[0].inputs) < 3


def test_equations_that_define_each_other_keep_their_solutions():
    m = pyo.ConcreteModel()
    m.x, m.y = pyo.Var(bounds=(0.1, 2)), pyo.Var(bounds=(0.1, 2))
    m.first, m.second = pyo.Constraint(expr=m.x == pyo.exp(-m.y)), pyo.Constraint(expr=m.y == m.x**2)
    reduced = presolve(compile_model(m).problem)
    x = 0.7034674224983917  # x = exp(-x**2)... solved below
    for _ in range(200):
        x = 0.5 * (x + math.exp(-(x**2)))
    point = np.full(reduced.problem.n_columns, np.nan)
    start = reduced.reduce(np.array([x, x**2, x, x**2]))
    point = np.where(np.isnan(start), x, start)
    assert reduced.problem.incumbent(point).violation <= 1e-9
    assert reduced.problem.incumbent(point + 0.1).violation > 1e-2


# --- where there is no value ------------------------------------------------------------------------------------


def test_points_outside_of_a_domain_are_no_points_and_no_crash():
    m = pyo.ConcreteModel()
    m.x = pyo.Var(bounds=(-1, 1))
    m.o = pyo.Objective(expr=pyo.log(m.x) + 1 / m.x + m.x**0.5)
    problem = compile_model(m).problem
    for x in (-0.5, 0.0):
        assert not problem.incumbent(np.array([x, 0.0, 0.0, 0.0])).is_feasible
    assert problem.incumbent(np.array([0.5, 0.0, 0.0, 0.0])).is_feasible


@pytest.mark.parametrize(
    ("base", "exponent", "domain"),
    [((-3, 1), (1, 3), pyo.Integers), ((-3, 1), (2, 2), pyo.Reals), ((-3, -1), (1, 3), pyo.Reals)],
)
def test_variable_exponents_of_what_may_be_negative_are_refused(base, exponent, domain):
    m = pyo.ConcreteModel()
    m.x, m.n = pyo.Var(bounds=base), pyo.Var(bounds=exponent, domain=domain)
    m.o = pyo.Objective(expr=m.x**m.n)
    with pytest.raises(IncompatibleModel, match=r"objective 'o' holds 'x\*\*n'.*Give the base a lower bound of 0"):
        compile_model(m)
    m.x.setub(1)
    m.x.setlb(0)
    assert compile_model(m).problem.expressions


def test_variable_exponents_of_what_need_not_be_negative_are_read():
    m = pyo.ConcreteModel()
    m.x, m.y = pyo.Var(), pyo.Var(bounds=(1, 3))
    m.o = pyo.Objective(expr=m.x**m.y + m.x**2)
    assert compile_model(m).problem.expressions


def test_points_that_pyomo_refutes_are_left_out(monkeypatch):
    m = model()
    m.c = pyo.Constraint(expr=m.x[0] * m.z <= 0.5)
    m.d = pyo.Constraint(expr=m.x[0] ** -1 <= 2)
    m.o = pyo.Objective(expr=m.z + pyo.exp(m.z), sense=pyo.maximize)
    compiled = compile_model(m)
    assert [component.name for component in compiled.nonlinear] == ["c", "d", "o"]
    m.z.set_value(0.25)
    cases = (
        ({"x[0]": 0.5, "z": 1.0}, ""),
        ({"x[0]": 0.5, "z": 1.5}, "'c' is violated by 0.25"),
        ({"x[0]": 0.0}, "'d' is"),
    )
    for values, reason in cases:
        point = np.array([values.get(name, 0.0) for name in compiled.problem.column_names])
        found = compiled.problem.measure(compiled.problem.propagate(point[None])[0])
        assert reason in compiled.refuted(found)
        assert bool(reason) is bool(compiled.refuted(found))
    assert (m.z.value, m.x[0].value) == (0.25, 0.5)


@pytest.mark.parametrize("upside_down", [False, True])
def test_rows_that_keep_a_product_from_falling_are_convex(upside_down) -> None:
    m = pyo.ConcreteModel()
    m.w, m.h = pyo.Var(bounds=(0.5, 4)), pyo.Var(bounds=(0, 5))
    m.area = pyo.Constraint(expr=7 - 2 * m.w * m.h <= 1) if upside_down else pyo.Constraint(expr=2 * m.w * m.h >= 6)
    m.cost = pyo.Objective(expr=m.w + m.h)
    compiled = compile_model(m)
    assert is_convex_around_networks(presolve(compiled.problem).problem)
    for w, h in ((1.0, 3.001), (1.0, 2.999), (4.0, 0.7), (4.0, 0.8), (0.5, 0.0)):
        point = complete(compiled.problem, np.array([w, h, 0.0]))  # the last one is the reciprocal
        missed = max(0.0, 6 - 2 * w * h)
        row = compiled.problem.row_violations(point[None])[0, 0]
        assert (row == pytest.approx(0, abs=1e-12)) == (missed == 0)
        assert row >= missed - 1e-12


def test_other_rows_of_products_stay_what_they_are() -> None:
    m = pyo.ConcreteModel()
    m.w, m.h, m.x = pyo.Var(bounds=(0.5, 4)), pyo.Var(bounds=(0, 5)), pyo.Var(bounds=(-1, 4))
    m.most = pyo.Constraint(expr=m.w * m.h <= 6)
    m.both = pyo.Constraint(expr=pyo.inequality(1, m.w * m.h, 6))
    m.signs = pyo.Constraint(expr=m.x * m.h >= 1)
    m.debt = pyo.Constraint(expr=m.w * m.h >= -1)
    m.sum = pyo.Constraint(expr=m.w * m.h + m.x >= 1)
    m.cost = pyo.Objective(expr=m.w)
    assert {each.expression.describe() for each in compile_model(m).problem.expressions} == {
        "a function of 2 inputs with 1 product"
    }
