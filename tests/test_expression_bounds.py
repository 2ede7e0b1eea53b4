"""Ranges and linear relaxations of smooth expressions over boxes, against samples and cases that are known exactly."""

import warnings
from fractions import Fraction
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pyomo_relugrad.expression import Expression, ExpressionBuilder, Node
from pyomo_relugrad.expression.contraction import ROUNDING, argument_within, terms_within
from pyomo_relugrad.expression.envelope import function_lines, function_range
from pyomo_relugrad.expression.functions import FUNCTIONS, Function, Power
from pyomo_relugrad.expression.products import product_planes

EXPONENTS = (2.0, 3.0, 4.0, -1.0, -2.0, -3.0, 0.5, 1.5, -0.5)
EVERY = [*FUNCTIONS.values(), *map(Power, EXPONENTS)]


def intervals(function: Function, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Random intervals in which a function is defined."""
    rng = np.random.default_rng(3)
    low, high = function.domain
    if np.isfinite(low) and np.isfinite(high):
        ends = np.sort(rng.uniform(low, high, (2, count)), axis=0)
        return ends[0], ends[1]
    size = rng.choice([0.3, 2.0, 6.0], count)
    begin = rng.normal(size=count) * size
    begin = low + np.abs(begin) if np.isfinite(low) else begin
    return begin, begin + rng.exponential(size=count) * size


def expression_of(*nodes: Node, builder: ExpressionBuilder, n_inputs: int = 1) -> Expression:
    return builder.build(nodes, range(n_inputs)).expression


@pytest.mark.parametrize("function", EVERY, ids=lambda function: function.name)
def test_ranges_and_lines_of_functions_enclose_them_and_are_the_best(function: Function) -> None:
    with np.errstate(all="ignore"):
        low, high = intervals(function, 60)
        at = np.random.default_rng(4).uniform(low, high)
        samples = low + (high - low) * np.linspace(0, 1, 501)[:, None]
        values = function.value(samples)
        least, greatest = function_range(function, low, high)
        lines = function_lines(function, low, high, at)
    below = lines.lower_slope * samples + lines.lower_offset
    above = lines.upper_slope * samples + lines.upper_offset
    assert (least <= values).all()
    assert (values <= greatest).all()
    assert (below <= values).all()
    assert (values <= above).all()
    bounded = np.isfinite(least) & np.isfinite(greatest) & (high - low < function.period)
    assert bounded.sum() > 25
    for i in np.flatnonzero(bounded)[:25]:
        size = np.ptp(values[:, i]) + 1e-9
        assert values[:, i].min() - least[i] < 1e-3 * size
        assert greatest[i] - values[:, i].max() < 1e-3 * size
        hull = chords(samples[::5, i], values[::5, i], at[i])
        assert hull.min() - (lines.lower_slope[i] * at[i] + lines.lower_offset[i]) < 2e-2 * size
        assert lines.upper_slope[i] * at[i] + lines.upper_offset[i] - hull.max() < 2e-2 * size


def test_lines_are_best_at_the_middle_unless_a_point_is_given_and_constant_over_a_period() -> None:
    for name, low, high in (("exp", 0.0, 2.0), ("sin", 0.2, 2.0)):
        sides = np.array([low]), np.array([high])
        assert function_lines(FUNCTIONS[name], *sides, np.array([np.nan])) == function_lines(
            FUNCTIONS[name], *sides, np.array([(low + high) / 2])
        )
    lines = function_lines(FUNCTIONS["sin"], np.array([0.3]), np.array([20.0]), np.array([1.0]))
    assert (lines.lower_slope[0], lines.upper_slope[0]) == (0.0, 0.0)


def chords(x: np.ndarray, y: np.ndarray, at: float) -> np.ndarray:
    """The values of all chords of a sampled function at a point: the least one is the convex envelope's."""
    left, right = np.nonzero((x[:, None] <= at) & (x[None, :] >= at) & (x[None, :] > x[:, None]))
    share = (at - x[left]) / (x[right] - x[left])
    return (1 - share) * y[left] + share * y[right]


@pytest.mark.parametrize(
    ("name", "exponent", "lower", "upper", "least", "greatest"),
    [
        ("power", 2.0, -1.0, 2.0, 0.0, 4.0),
        ("power", 3.0, -1.0, 2.0, -1.0, 8.0),
        ("power", -1.0, -1.0, 2.0, -np.inf, np.inf),
        ("power", -1.0, 0.0, 2.0, 0.5, np.inf),
        ("power", -1.0, -2.0, 0.0, -np.inf, -0.5),
        ("power", -2.0, -1.0, 2.0, 0.25, np.inf),
        ("power", 0.5, -1.0, 4.0, 0.0, 2.0),
        ("sin", None, 0.0, 3.0, 0.0, 1.0),
        ("sin", None, -100.0, 100.0, -1.0, 1.0),
        ("sin", None, -np.inf, 1.0, -1.0, 1.0),
        ("sin", None, -np.inf, np.inf, -1.0, 1.0),
        ("cos", None, -1.0, 7.0, -1.0, 1.0),
        ("cos", None, 1.0, np.inf, -1.0, 1.0),
        ("tan", None, 1.0, 2.0, -np.inf, np.inf),
        ("tan", None, 0.0, np.pi / 4, 0.0, 1.0),
        ("log", None, -1.0, 1.0, -np.inf, 0.0),
        ("log", None, -2.0, -1.0, np.inf, -np.inf),
        ("asin", None, -5.0, 0.0, -np.pi / 2, 0.0),
        ("exp", None, -np.inf, 0.0, 0.0, 1.0),
        ("exp", None, 0.0, 1e4, 1.0, np.inf),
        ("cosh", None, -1.0, 1.0, 1.0, np.cosh(1.0)),
    ],
)
def test_ranges_that_are_known(
    name: str, exponent: float | None, lower: float, upper: float, least: float, greatest: float
) -> None:
    b = ExpressionBuilder()
    node = b.function(name, b.input(0)) if exponent is None else b.power(b.input(0), b.constant(exponent))
    expression = expression_of(node, builder=b)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        low, high = expression.range(np.array([[lower]]), np.array([[upper]]))
        bounds = expression.relaxation(np.array([[lower]]), np.array([[upper]]))
    assert (low[0, 0], high[0, 0]) == (pytest.approx(least, rel=1e-13), pytest.approx(greatest, rel=1e-13))
    assert low[0, 0] <= least
    assert high[0, 0] >= greatest
    assert np.isneginf(bounds.lower_offsets[0, 0]) or np.isfinite(least)
    assert np.isposinf(bounds.upper_offsets[0, 0]) or np.isfinite(greatest)


def test_products_have_mccormicks_planes_at_the_given_points() -> None:
    b = ExpressionBuilder()
    expression = expression_of(b.product(b.input(0), b.input(1)), builder=b, n_inputs=2)
    lower, upper = np.array([[-1.0, 2.0]] * 2), np.array([[3.0, 5.0]] * 2)
    bounds = expression.relaxation(lower, upper, at=np.array([[-1.0, 2.0], [3.0, 5.0]]))
    np.testing.assert_allclose(bounds.lower_slopes[:, 0], [[2.0, -1.0], [5.0, 3.0]])
    np.testing.assert_allclose(bounds.lower_offsets[:, 0], [2.0, -15.0])
    low, high = expression.range(lower, upper)
    np.testing.assert_allclose([low[0, 0], high[0, 0]], [-5.0, 15.0])
    above = expression.relaxation(lower, upper, at=np.array([[-1.0, 5.0], [3.0, 2.0]]))
    np.testing.assert_allclose(above.upper_slopes[:, 0], [[5.0, -1.0], [2.0, 3.0]])


def test_planes_of_products_hold_exactly_at_corners() -> None:
    """Also where they touch the product: they are moved by as much as rounding can have moved them."""
    low, high = np.zeros((2, 50)), np.random.default_rng(0).uniform(1.0, 10.0, (2, 50))
    planes = product_planes(low[0], high[0], low[1], high[1], high[0], high[1])
    for sign, plane in zip((1, -1), planes, strict=True):
        for p, q, offset, *ends in zip(*plane, *high, strict=True):
            for left, right in product((0.0, ends[0]), (0.0, ends[1])):
                value = Fraction(p) * Fraction(left) + Fraction(q) * Fraction(right) + Fraction(offset)
                assert sign * (Fraction(left) * Fraction(right) - value) >= 0


def test_what_has_no_bound_leaves_the_other_side_alone() -> None:
    b = ExpressionBuilder()
    x, y = b.input(0), b.input(1)
    expression = expression_of(b.product(x, y), b.affine([x, y], [1.0, 2.0]), builder=b, n_inputs=2)
    lower, upper = np.array([[0.0, 0.0]]), np.array([[np.inf, 1.0]])
    low, high = expression.range(lower, upper)
    np.testing.assert_array_equal([low[0], high[0]], [[0.0, 0.0], [np.inf, np.inf]])
    bounds = expression.relaxation(lower, upper)
    np.testing.assert_array_equal(bounds.lower_slopes[0], [[0.0, 0.0], [1.0, 2.0]])
    np.testing.assert_array_equal(bounds.upper_slopes[0], [[1.0, 0.0], [1.0, 2.0]])


def test_where_an_input_is_read_twice_relaxations_bound_better_than_intervals() -> None:
    b = ExpressionBuilder()
    x = b.input(0)
    expression = expression_of(b.affine([b.product(x, x), x], [1.0, -1.0]), builder=b)
    low, high = expression.range(np.array([[0.0]]), np.array([[1.0]]))
    assert low[0, 0] == pytest.approx(-0.25)  # by intervals -1
    assert high[0, 0] == pytest.approx(0.0, abs=1e-12)


@st.composite
def expressions(draw: st.DrawFn) -> Expression:
    """Random expressions of three inputs."""
    b = ExpressionBuilder()
    nodes = [b.input(i) for i in range(3)]
    for _ in range(draw(st.integers(1, 7))):
        kind = draw(st.sampled_from(["affine", "product", "quotient", "power", "norm", *FUNCTIONS]))
        left, right = draw(st.sampled_from(nodes)), draw(st.sampled_from(nodes))
        if kind == "affine":
            weights = draw(st.lists(st.sampled_from([-2.0, -0.5, 1.0, 3.0]), min_size=2, max_size=2))
            node = b.affine([left, right], weights, draw(st.sampled_from([0.0, -1.0, 2.0])))
        elif kind in ("product", "quotient"):
            node = getattr(b, kind)(left, right)
        elif kind == "norm":
            squares = [b.product(left, left), b.product(right, right)]
            node = b.function("sqrt", b.affine([*squares, right], [1.0, 4.0, -4.0], draw(st.sampled_from([1.0, 3.0]))))
        elif kind == "power":
            node = b.power(left, b.constant(draw(st.sampled_from(EXPONENTS))))
        else:
            node = b.function(kind, left)
        nodes.append(node)
    return expression_of(*nodes[3:][-2:], builder=b, n_inputs=3)


@given(expressions(), st.integers(0, 1000))
@settings(max_examples=60, deadline=None)
def test_ranges_and_relaxations_hold_at_samples(expression: Expression, seed: int) -> None:
    rng = np.random.default_rng(seed)
    lower = rng.normal(size=(4, 3)) * rng.choice([0.1, 1.0, 3.0])
    upper = lower + rng.exponential(size=(4, 3)) * rng.choice([0.1, 1.0, 4.0])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        low, high = expression.range(lower, upper)
        bounds = expression.relaxation(lower, upper, at=rng.uniform(lower, upper))
        samples = rng.uniform(lower, upper, (2500, 4, 3))
        samples[:4] = np.stack([lower, upper, (lower + upper) / 2, np.where(rng.random((4, 3)) < 0.5, lower, upper)])
        values = expression.value(samples.reshape(-1, 3)).reshape(2500, 4, -1)
    values[np.isnan(values).any(axis=2)] = np.nan
    assert not np.isnan(low).any()
    assert not np.isnan(high).any()
    assert not (values < low).any()
    assert not (values > high).any()
    assert not (values < np.einsum("boi,sbi->sbo", bounds.lower_slopes, samples) + bounds.lower_offsets).any()
    assert not (values > np.einsum("boi,sbi->sbo", bounds.upper_slopes, samples) + bounds.upper_offsets).any()


@given(expressions(), st.integers(0, 1000))
@settings(max_examples=60, deadline=None)
def test_smaller_boxes_hold_all_points_with_values_within_bounds(expression: Expression, seed: int) -> None:
    rng = np.random.default_rng(seed)
    lower = rng.normal(size=(4, 3)) * rng.choice([0.1, 1.0, 3.0])
    upper = lower + rng.exponential(size=(4, 3)) * rng.choice([0.1, 1.0, 4.0])
    samples = rng.uniform(lower, upper, (500, 4, 3))
    values = expression.value(samples.reshape(-1, 3)).reshape(500, 4, -1)
    middle, reach = np.where(np.isfinite(values[0]), values[0], 0.0), rng.choice([0.0, 0.1, np.inf], 2)
    asked = middle - reach[0], middle + reach[1]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        low, high, least, greatest = expression.contracted(lower, upper, asked)
    within = (np.isfinite(values) & (values >= asked[0]) & (values <= asked[1])).all(axis=2)
    assert (within[0] == np.isfinite(values[0]).all(axis=1)).all()
    assert ((samples >= low) & (samples <= high))[within].all()
    assert ((values >= least) & (values <= greatest))[within].all()
    assert ((low >= lower) & (high <= upper) | (low > high)).all()


ARGUMENTS = {
    "exp": ((1.0, np.e), (-5.0, 5.0), (0.0, 1.0)),
    "log": ((-np.inf, 0.0), (-5.0, 5.0), (0.0, 1.0)),
    "atan": ((0.0, 2.0), (-5.0, 5.0), (0.0, 5.0)),
    "cosh": ((0.0, np.cosh(2.0)), (-1.0, 5.0), (-1.0, 2.0)),
    "softplus": ((0.0, np.log(2.0)), (-5.0, 5.0), (-5.0, 0.0)),
    "sigmoid": ((0.5, 1.0), (-5.0, 5.0), (0.0, 5.0)),
    "asin": ((0.0, 9.0), (-5.0, 5.0), (0.0, 1.0)),
    "sin": ((0.0, 0.5), (-5.0, 5.0), (-5.0, 5.0)),
    2.0: ((1.0, 4.0), (-1.5, 9.0), (-1.5, 2.0)),
    3.0: ((-8.0, 1.0), (-9.0, 9.0), (-2.0, 1.0)),
    -1.0: ((-1.0, 4.0), (-0.5, 9.0), (0.25, 9.0)),
    -2.0: ((0.25, 4.0), (-9.0, 1.0), (-2.0, 1.0)),
    0.5: ((-3.0, 2.0), (-9.0, 9.0), (0.0, 4.0)),
    -0.5: ((0.5, 2.0), (-9.0, 9.0), (0.25, 4.0)),
}


@pytest.mark.parametrize("which", ARGUMENTS)
def test_arguments_are_where_functions_have_values_within_bounds(which: str | float) -> None:
    value, argument, known = (tuple(map(np.atleast_1d, sides)) for sides in ARGUMENTS[which])
    with np.errstate(all="ignore"):
        low, high = argument_within(FUNCTIONS[which] if isinstance(which, str) else Power(which), value, argument)
    found = np.maximum(low, argument[0]), np.minimum(high, argument[1])
    assert np.allclose(found, known, atol=1e-11)


@pytest.mark.parametrize("function", [FUNCTIONS["exp"], FUNCTIONS["sigmoid"], FUNCTIONS["softplus"], Power(-3.0)])
def test_arguments_may_be_where_values_are_too_small_for_a_number(function: Function) -> None:
    x = np.array([-1e110 if isinstance(function, Power) else -999.0])
    with np.errstate(all="ignore"):
        value = function_range(function, x, x)
        assert value[1] == 0.0
        low, high = argument_within(function, value, (x - 1.0, x + 1.0))
    assert (low <= x) & (x <= high)


def test_factors_are_bounded_by_products_and_terms_by_sums() -> None:
    b = ExpressionBuilder()
    x, y = b.input(0), b.input(1)
    product, total = (expression_of(node, builder=b, n_inputs=2) for node in (b.product(x, y), b.sum([x, y])))
    box = np.array([[0.0, -1.0]]), np.array([[10.0, 5.0]])
    low, high, _, _ = product.contracted(*box, (np.array([[20.0]]), np.array([[np.inf]])))
    assert np.allclose([low, high], [[[4.0, 2.0]], [[10.0, 5.0]]])
    low, high, _, _ = product.contracted(np.zeros((1, 2)), np.full((1, 2), 10.0), (np.full((1, 1), 20.0),) * 2)
    assert np.allclose([low, high], [[[2.0, 2.0]], [[10.0, 10.0]]])
    low, high, _, _ = total.contracted(*box, (np.array([[-np.inf]]), np.array([[2.0]])))
    assert np.allclose([low, high], [[[0.0, -1.0]], [[3.0, 2.0]]])
    low, high, _, _ = total.contracted(np.array([[-np.inf, 1.0]]), box[1], (np.array([[2.0]]), np.array([[3.0]])))
    assert np.allclose([low, high], [[[-3.0, 1.0]], [[2.0, 5.0]]])
    low, high, _, _ = product.contracted(*box, (np.array([[60.0]]), np.array([[70.0]])))
    assert (low > high).any()


@given(expressions(), st.integers(0, 1000))
@settings(max_examples=30, deadline=None)
def test_derivatives_agree_with_differences(expression: Expression, seed: int) -> None:
    points = np.random.default_rng(seed).normal(size=(3, 3))
    step = 1e-6
    jacobian = expression.jacobian(points)
    for i, direction in enumerate(np.eye(3) * step):
        ends = expression.value(points - direction), expression.value(points), expression.value(points + direction)
        with np.errstate(all="ignore"):
            slopes = (ends[1] - ends[0]) / step, (ends[2] - ends[1]) / step
            size = np.abs(np.stack(ends)).max(axis=0)
            smooth = np.abs(slopes[0] - slopes[1]) < 1e-4 * (1 + np.abs(slopes[0]))
            smooth &= (size < 1e3) & (np.abs(slopes[0]) < 1e3)
            smooth &= np.isfinite(jacobian[:, :, i])  # such as acosh(x / x), at the end of its domain everywhere
            error = np.abs(jacobian[:, :, i] - (slopes[0] + slopes[1]) / 2)
        assert (error[smooth] < 1e-3 * (1 + np.abs(slopes[0][smooth]))).all()


def test_what_terms_leave_each_other_is_rounded_outward_by_the_sizes_of_all():
    """Their differences are zero, but not to the last digit."""
    total, terms = np.full((2, 1), 1e8), (np.array([[0.25], [1e8]]), np.array([[0.5], [1e8]]))
    low, high = terms_within((total, total), terms, lambda values: np.tile(values.sum(axis=0), (2, 1)))
    assert [low[0, 0], high[0, 0]] == pytest.approx([-2e8 * ROUNDING, 2e8 * ROUNDING], rel=1e-6)
