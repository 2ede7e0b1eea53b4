"""Smooth expressions: values, derivatives, structure, and what happens where they are not defined."""

import pickle
import warnings

import numpy as np
import pytest

from pyomo_relugrad.errors import ModelError
from pyomo_relugrad.expression import Built, Expression, ExpressionBuilder
from pyomo_relugrad.expression.functions import FUNCTIONS
from pyomo_relugrad.expression.operations import Multiplication

NAMES = [*FUNCTIONS, "sqrt", "square", "reciprocal", "log10"]

#: Numbers where all functions but these are defined.
INSIDE = np.linspace(0.1, 0.9, 7)[:, None]
ELSEWHERE = {"acosh": INSIDE + 1}

ORACLES = {
    "asin": np.arcsin,
    "acos": np.arccos,
    "atan": np.arctan,
    "asinh": np.arcsinh,
    "acosh": np.arccosh,
    "atanh": np.arctanh,
    "sigmoid": lambda x: 1 / (1 + np.exp(-x)),
    "x*log(x)": lambda x: x * np.log(x),
    "softplus": lambda x: np.log1p(np.exp(x)),
}


def several_terms() -> Built:
    """An expression with every operation, over three positive inputs."""
    b = ExpressionBuilder()
    x, y, z = (b.input(i) for i in range(3))
    inner = b.affine([x, z], [2.0, -1.0], 0.5)
    terms = [b.product(x, y), b.function("exp", inner), b.quotient(x, b.sum([y, z])), b.power(z, b.constant(3.0))]
    return b.build([b.sum([*terms, b.power(x, y)]), b.product(x, x, y), x, b.constant(7.0), x], [0, 1, 2])


def by_numpy(points: np.ndarray) -> np.ndarray:
    """The values of the same expression."""
    x, y, z = points.T
    first = x * y + np.exp(2 * x - z + 0.5) + x / (y + z) + z**3 + x**y
    return np.stack([first, x * x * y, x, np.full_like(x, 7.0), x], axis=1)


def differences(expression: Expression, points: np.ndarray) -> np.ndarray:
    """The Jacobian by central differences."""
    steps = 1e-6 * np.eye(points.shape[1])
    columns = [(expression.value(points + step) - expression.value(points - step)) / 2e-6 for step in steps]
    return np.stack(columns, axis=2)


@pytest.mark.parametrize("name", NAMES)
def test_functions_have_their_values_and_slopes(name: str) -> None:
    b = ExpressionBuilder()
    expression, _ = b.build([b.function(name, b.input(0))])
    points = ELSEWHERE.get(name, INSIDE)
    np.testing.assert_allclose(expression.value(points), ORACLES.get(name, getattr(np, name, None))(points), rtol=1e-14)
    np.testing.assert_allclose(expression.jacobian(points), differences(expression, points), rtol=1e-7, atol=1e-8)


@pytest.mark.parametrize("batch", [0, 1, 5])
def test_values_and_derivatives_of_several_terms(batch: int) -> None:
    expression, _ = several_terms()
    points = np.random.default_rng(0).uniform(0.5, 2, (batch, 3))
    np.testing.assert_allclose(expression.value(points), by_numpy(points), rtol=1e-13)
    jacobian = expression.jacobian(points)
    assert jacobian.shape == (batch, 5, 3)
    np.testing.assert_allclose(jacobian, differences(expression, points), rtol=1e-6, atol=1e-7)
    gradient = np.random.default_rng(1).normal(size=(batch, 5))
    expected = np.einsum("bo,boi->bi", gradient, jacobian)
    np.testing.assert_allclose(expression.pull_back(points, gradient), expected, rtol=1e-12)


@pytest.mark.parametrize("exponent", [2.0, 3.0, -1.0, -2.0, 0.5, 1.5, -0.5, 0.0, 1.0])
def test_powers(exponent: float) -> None:
    b = ExpressionBuilder()
    expression, _ = b.build([b.power(b.affine([b.input(0)], [2.0]), b.constant(exponent))], [0])
    points = INSIDE if not exponent.is_integer() else INSIDE - 0.55
    np.testing.assert_allclose(expression.value(points), (2 * points) ** exponent, rtol=1e-14)
    np.testing.assert_allclose(expression.jacobian(points), differences(expression, points), rtol=1e-6, atol=1e-7)


def test_what_is_not_defined_is_nan_or_infinite_and_touches_nothing_else() -> None:
    b = ExpressionBuilder()
    x, y = b.input(0), b.input(1)
    bad = [b.function("log", x), b.quotient(y, x), b.function("exp", b.affine([x], [-1e4])), b.function("sqrt", x)]
    sums = [b.affine([bad[0], y], [1.0, 1.0]), b.affine([y], [2.0], 1.0), b.affine([x, y], [0.0, 1.0])]
    expression, _ = b.build([*bad, *sums], [0, 1])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        values = expression.value(np.array([[-1.0, 3.0], [0.0, 3.0]]))
        slopes = expression.jacobian(np.array([[-1.0, 3.0], [0.0, 3.0]]))
        expression.pull_back(np.array([[-1.0, 3.0]]), np.ones((1, 7)))
    np.testing.assert_array_equal(values[0, [0, 1, 2, 3, 4]], [np.nan, -3.0, np.inf, np.nan, np.nan])
    np.testing.assert_array_equal(values[1, :5], [-np.inf, np.inf, 1.0, 0.0, -np.inf])
    np.testing.assert_array_equal(values[:, 5:], [[7.0, 3.0], [7.0, 3.0]])
    assert np.isnan(slopes[0, 0, 0])
    np.testing.assert_array_equal(slopes[:, 5:], np.array([[[0.0, 2.0], [0.0, 1.0]]] * 2))


def test_equal_structure_is_one_expression_whatever_it_reads() -> None:
    b = ExpressionBuilder()
    x = [b.input(f"x{i}") for i in range(4)]
    first = b.build([b.sum([b.product(x[0], x[1]), b.function("exp", x[0]), b.constant(2.0)])])
    second = b.build([b.sum([b.constant(2.0), b.function("exp", x[3]), b.product(x[2], x[3])])])
    other = b.build([b.sum([b.product(x[0], x[1]), b.function("exp", x[0]), b.constant(3.0)])])
    assert first.expression is second.expression
    assert {first.inputs, second.inputs} == {("x0", "x1"), ("x3", "x2")}
    assert first.expression != other.expression
    copy = pickle.loads(pickle.dumps(first.expression))
    assert copy == first.expression
    assert hash(copy) == hash(first.expression)


def test_common_parts_are_computed_once_and_simple_ones_are_recognized() -> None:
    b = ExpressionBuilder()
    x, y = b.input(0), b.input(1)
    assert b.product(x, y) == b.product(y, x)
    assert b.product(b.affine([x], [2.0]), b.affine([y], [3.0])) == b.affine([b.product(x, y)], [6.0])
    assert b.product(x, x) == b.function("square", x)
    assert b.product(b.function("square", x), x) == b.power(x, b.constant(3.0))
    assert b.affine([x, b.affine([x, y], [1.0, 1.0], 2.0)], [-1.0, 1.0]) == b.affine([y], [1.0], 2.0)
    assert b.constant_value(b.function("exp", b.constant(0.0))) == 1.0
    assert b.constant_value(b.product(b.constant(2.0), b.constant(3.0))) == 6.0
    assert b.affine([x], [1.0]) == x
    exp = b.function("exp", x)
    assert len(b.build([b.sum([b.product(exp, y), exp])]).expression.operations) == 3


def test_long_chains_are_built_without_recursion() -> None:
    b = ExpressionBuilder()
    node = b.input(0)
    for _ in range(3000):
        node = b.function("sin", node)
    assert len(b.build([node]).expression.operations) == 3000


def test_many_terms_that_share_an_input_are_one_step() -> None:
    b = ExpressionBuilder()
    x = b.input("x")
    others = [b.input(i) for i in range(50)]
    expression, _ = b.build([b.sum([b.product(x, b.function("exp", y)) for y in others])], ["x", *range(50)])
    assert len(expression.tape.steps) == 3
    points = np.random.default_rng(0).normal(size=(3, 51))
    expected = np.concatenate([np.exp(points[:, 1:]).sum(1, keepdims=True), points[:, :1] * np.exp(points[:, 1:])], 1)
    np.testing.assert_allclose(expression.jacobian(points)[:, 0], expected, rtol=1e-12)


@pytest.mark.parametrize("constant", [0.0, 0.5])
def test_roots_of_sums_of_squares_are_norms_that_tangents_meet(constant: float) -> None:
    b = ExpressionBuilder()
    x, y = b.input("x"), b.input("y")
    difference = b.affine([x, y], [1.0, -1.0])
    terms = [b.product(difference, difference), b.product(y, y), x, y]
    total = b.affine(terms, [1.0, 2.0, -6.0, 10.0], 11.0 + constant)  # (x - y - 3)**2 + 2 * (y + 1)**2 + constant
    expression, _ = b.build([b.function("sqrt", total)], ["x", "y"])
    assert "norm" in expression.describe()
    points = np.random.default_rng(0).normal(size=(20, 2)) * 3
    x, y = points.T
    values = np.sqrt((x - y - 3) ** 2 + 2 * (y + 1) ** 2 + constant)
    np.testing.assert_allclose(expression.value(points)[:, 0], values, rtol=1e-12)
    np.testing.assert_allclose(expression.jacobian(points), differences(expression, points), rtol=1e-6, atol=1e-7)
    bounds = expression.relaxation(points - 1.0, points + 2.0, at=points)
    below = (bounds.lower_slopes[:, 0] * points).sum(axis=1) + bounds.lower_offsets[:, 0]
    np.testing.assert_allclose(below, values, rtol=1e-9)


@pytest.mark.parametrize("constant", [1e-9, 1e-8, 1.0])
def test_small_constants_under_roots_are_kept(constant: float) -> None:
    b = ExpressionBuilder()
    x = b.input("x")
    total = b.affine([b.product(x, x), x], [1.0, -2000.0], 1e6 + constant)  # (x - 1000)**2 + constant
    expression, _ = b.build([b.function("sqrt", total)], ["x"])
    assert expression.value(np.array([[1000.0]]))[0, 0] == pytest.approx(np.sqrt(constant), rel=0.1)


def test_a_number_times_its_logarithm_is_one_convex_function() -> None:
    b = ExpressionBuilder()
    x, y = b.input("x"), b.input("y")
    terms = [b.product(x, b.function("log", b.affine([x], [0.5]))), b.product(b.function("log", y), y)]
    expression, _ = b.build([b.sum(terms)], ["x", "y"])
    assert expression.describe() == "a function of 2 inputs with 2 x*log(x)"
    points = np.random.default_rng(0).uniform(0.1, 3, (20, 2))
    x, y = points.T
    np.testing.assert_allclose(expression.value(points)[:, 0], x * np.log(x / 2) + y * np.log(y), rtol=1e-12)
    low, high = expression.range(np.zeros((1, 2)), np.array([[2.0, 0.01]]))
    assert low[0, 0] == pytest.approx(-2 / np.e + 0.01 * np.log(0.01))
    assert high[0, 0] == pytest.approx(0.0, abs=1e-9)  # where both are 0
    other, _ = b.build([b.product(b.input("x"), b.function("log", b.input("y")))])
    assert "x*log(x)" not in other.describe()


def test_other_roots_stay_roots() -> None:
    b = ExpressionBuilder()
    x, y = b.input("x"), b.input("y")
    square = b.product(x, x)
    for terms, weights, constant in (
        ([square], [1.0], -1.0),
        ([square, y], [1.0, 1.0], 1.0),
        ([square, x], [1.0, -4.0], 1.0),
        ([square, b.product(y, y)], [1.0, -1.0], 1.0),
    ):
        expression, _ = b.build([b.function("sqrt", b.affine(terms, weights, constant))])
        assert "norm" not in expression.describe()


def test_what_is_in_an_expression_in_words() -> None:
    b = ExpressionBuilder()
    assert several_terms().expression.describe().startswith("a function of 3 inputs with ")
    assert b.build([b.affine([b.input(0)], [2.0])]).expression.describe() == "an affine function of 1 inputs"


def test_mistakes_are_named() -> None:
    b = ExpressionBuilder()
    with pytest.raises(ModelError, match=r"no smooth function 'floor'. Known are exp, log, .*; write the expression"):
        b.function("floor", b.input(0))
    with pytest.raises(ModelError, match=r"reads inputs that are not given: 'x'. Name every input"):
        b.build([b.input("x")], ["y"])
    with pytest.raises(ModelError, match="reads what comes after it"):
        Expression(1, (Multiplication(0, 1),), (1,))
    with pytest.raises(ModelError, match="puts out what it does not compute"):
        Expression(1, (), (1,))
