"""Smooth activations: values, slopes, ranges, and the lines that enclose them."""

import numpy as np
import pytest

from pyomo_relugrad.network import curves
from pyomo_relugrad.network.curves import Curve, Elu

CURVES = [value for value in vars(curves).values() if isinstance(value, Curve)] + [Elu(0.3), Elu(1.7), Elu(0.0)]
names = [f"{curve.name} {getattr(curve, 'alpha', '')}" for curve in CURVES]
by_curve = pytest.mark.parametrize("curve", CURVES, ids=names)


def test_all_are_there():
    assert len({curve.name for curve in CURVES}) == 14


@by_curve
def test_slopes_are_those_of_the_values(curve):
    z = np.random.default_rng(0).normal(scale=3.0, size=500)
    value, slope = curve.value_and_slope(z)
    assert value == pytest.approx(curve.value(z), rel=1e-14, abs=1e-16)
    assert slope == pytest.approx((curve.value(z + 1e-6) - curve.value(z - 1e-6)) / 2e-6, rel=1e-6, abs=1e-7)
    single = z.astype(np.float32)
    assert curve.value(single).dtype == curve.value_and_slope(single)[1].dtype == np.float32


@by_curve
def test_far_away(curve):
    with np.errstate(all="raise", under="ignore"):
        ends = np.array([-600.0, 600.0])
        assert np.isfinite(curve.value_and_slope(ends)).all()
        assert np.isfinite(curve.value(ends.astype(np.float32) / 10)).all()
    low, high = curve.range(np.array([-np.inf, 0.0]), np.array([0.0, np.inf]))
    assert curve.limits[0] <= high[0] + 1e-9
    assert high[1] == pytest.approx(curve.limits[1], abs=1e-9)
    assert (low <= curve.value(np.zeros(2))).all()
    assert not np.isnan([low, high]).any()


@by_curve
def test_slopes_rise_where_the_curve_is_convex_and_fall_elsewhere(curve):
    for begin, end, is_convex in curve.pieces:
        z = np.linspace(max(begin, -9.0) + 1e-9, min(end, 9.0) - 1e-9, 2000)
        steps = np.diff(curve.slope(z))
        assert ((steps if is_convex else -steps) >= -1e-12).all()
    if curve.turning is not None:
        assert curve.value(np.array(curve.turning)) <= curve.value(np.linspace(-9, 9, 4001)).min() + 1e-12


@by_curve
def test_lines_enclose_the_curve_and_touch_it(curve):
    rng = np.random.default_rng(0)
    begin, widths = rng.uniform(-30, 30, 200), rng.choice([0.0, 1e-9, 0.1, 1.0, 4.0, 20.0, 50.0], 200)
    begin[:100] /= 10
    lower, upper = begin[None], (begin + widths)[None]
    lines = curve.lines(lower, upper, np.zeros((1, 200)))
    z = begin + np.linspace(0, 1, 501)[:, None] * widths
    value = curve.value(z)
    low, high = curve.range(lower, upper)
    assert (low <= value).all()
    assert (value <= high).all()
    below = value - (lines.lower_slope * z + lines.lower_intercept)
    above = lines.upper_slope * z + lines.upper_intercept - value
    assert min(below.min(), above.min()) >= 0
    size = 1 + abs(value).max(axis=0) + (abs(lines.lower_slope) + abs(lines.upper_slope)) * abs(z).max(axis=0)
    assert (np.maximum(below.min(axis=0), above.min(axis=0)) <= 1e-4 * size).all()
    assert lines.unbounded is None
    assert not lines.unstable.any()


@by_curve
def test_lines_are_apart_by_what_rounding_of_the_argument_makes(curve):
    lower, upper, margin = np.array([[-2.0]]), np.array([[1.0]]), np.array([[1e-3]])
    lines, exact = curve.lines(lower, upper, margin), curve.lines(lower, upper, 0 * margin)
    assert exact.lower_intercept - lines.lower_intercept == pytest.approx(margin * abs(lines.lower_slope))
    assert lines.upper_intercept - exact.upper_intercept == pytest.approx(margin * abs(lines.upper_slope))


@by_curve
@pytest.mark.parametrize(("lower", "upper"), [(-np.inf, 1.0), (-1.0, np.inf), (-np.inf, np.inf), (-1e300, 1e300)])
def test_lines_over_infinite_and_huge_intervals(curve, lower, upper):
    lines = curve.lines(np.array([[lower]]), np.array([[upper]]), np.zeros((1, 1)))
    z = np.linspace(max(lower, -50.0), min(upper, 50.0), 101)
    assert (lines.lower_slope * z + lines.lower_intercept <= curve.value(z)).all()
    if lines.unbounded is None:
        assert (lines.upper_slope * z + lines.upper_intercept >= curve.value(z)).all()
    else:
        assert np.inf in curve.limits


def test_the_lines_have_the_least_area():
    """At the middle they are as near as the envelopes, which chords between points of the curve show."""
    for curve, lower, upper in ((curves.TANH, -3.0, 1.0), (curves.SIGMOID, -1.0, 6.0), (curves.GELU, -5.0, 2.0)):
        lines = curve.lines(np.array([[lower]]), np.array([[upper]]), np.zeros((1, 1)))
        z, middle = np.linspace(lower, upper, 400), (lower + upper) / 2
        left, right = z[z < middle][:, None], z[z > middle][None, :]
        slopes = (curve.value(right) - curve.value(left)) / (right - left)
        chords = curve.value(left) + slopes * (middle - left)
        assert lines.lower_slope * middle + lines.lower_intercept == pytest.approx(chords.min(), abs=1e-3)
        assert lines.upper_slope * middle + lines.upper_intercept == pytest.approx(chords.max(), abs=1e-3)


@by_curve
def test_line_errors_are_distances_at_the_middle(curve):
    lower, upper = np.array([[-2.0, 0.5]]), np.array([[1.0, 0.5]])
    lines = curve.lines(lower, upper, np.zeros((1, 2)))
    below, above = curve.line_errors(lower, upper, lines)
    assert (below >= 0).all()
    assert (above >= 0).all()
    assert (below + above)[0, 1] == pytest.approx(0.0, abs=1e-12)
    assert curve.states(lower, upper).tolist() == [[0, 0]]
    assert curve.bends(lower, upper).tolist() == [[True, False]]


def test_lines_keep_the_distance_of_rounding():
    """Softplus is straight to the last digit there: what is left is the margin of values, slopes and products."""
    lower, upper, margin = np.array([[1000.0]]), np.array([[1001.0]]), np.array([[0.5]])
    lines = curves.SOFTPLUS.lines(lower, upper, margin)
    rounding = 16 * np.finfo(float).eps * (1 + 1001 + 1001)
    for intercept, sign in ((lines.lower_intercept, -1.0), (lines.upper_intercept, 1.0)):
        assert sign * intercept[0, 0] - 0.5 == pytest.approx(rounding, rel=0.2)
