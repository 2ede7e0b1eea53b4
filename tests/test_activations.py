"""What a ReLU is: value, slope, states, and lines that enclose it."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pyomo_relugrad.network import RELU

ends = st.floats(-1e3, 1e3) | st.just(-np.inf) | st.just(np.inf)
margins = st.sampled_from([0.0, 1e-6, 0.5])


def test_value_and_slope():
    z = np.array([[-2.0, -0.0, 0.0, 3.0, np.inf, -np.inf]])
    np.testing.assert_array_equal(RELU.value(z), [[0.0, 0.0, 0.0, 3.0, np.inf, 0.0]])
    np.testing.assert_array_equal(RELU.slope(z), [[0.0, 0.0, 0.0, 1.0, 1.0, 0.0]])
    np.testing.assert_array_equal(RELU.slope(RELU.value(z)), RELU.slope(z))
    assert RELU.slope(z.astype(np.float32)).dtype == np.float32


def test_states_and_ranges():
    lower, upper = np.array([0.0, 1.0, -2.0, -2.0, -2.0, -np.inf]), np.array([0.0, 2.0, -1.0, 0.0, 0.5, np.inf])
    assert RELU.states(lower, upper).tolist() == [1, 1, -1, -1, 0, 0]
    low, high = RELU.range(lower, upper)
    assert low.tolist() == [0.0, 1.0, 0.0, 0.0, 0.0, 0.0]
    assert high.tolist() == [0.0, 2.0, 0.0, 0.0, 0.5, np.inf]


@settings(max_examples=200, deadline=None)
@given(one=ends, other=ends, share=st.floats(0, 1), margin=margins)
def test_the_lines_enclose_the_relu_also_where_z_is_off_by_the_margin(one, other, share, margin):
    lower, upper = min(one, other), max(one, other)
    if np.isinf(lower) and lower == upper:
        return
    lines = RELU.lines(np.array([[lower]]), np.array([[upper]]), np.full((1, 1), margin))
    low, high = max(lower, -1e4), min(upper, 1e4)
    exact = low + share * (high - low)
    for z in (exact - margin, exact, exact + margin):  # a computed pre-activation
        tolerance = 1e-9 * max(1.0, abs(z))
        below = lines.lower_slope * z + lines.lower_intercept
        above = lines.upper_slope * z + lines.upper_intercept
        assert below <= max(exact, 0.0) + tolerance
        assert (lines.unbounded is not None and lines.unbounded.all()) or above >= max(exact, 0.0) - tolerance


def test_the_lower_line_leaves_the_smaller_area_and_the_upper_one_is_the_chord():
    lines = RELU.lines(np.array([[-1.0, -3.0, 0.0, -2.0]]), np.array([[3.0, 1.0, 2.0, -1.0]]), np.zeros((1, 4)))
    assert lines.lower_slope.tolist() == [[1.0, 0.0, 1.0, 0.0]]
    assert lines.upper_slope.tolist() == [[0.75, 0.25, 1.0, 0.0]]
    assert lines.upper_intercept.tolist() == [[0.75, 0.75, 0.0, 0.0]]
    assert lines.unstable.tolist() == [[True, True, False, False]]
    assert lines.unbounded is None
    assert lines.take(np.array([0, 0])).upper_slope.shape == (2, 4)


@pytest.mark.parametrize(
    ("lower", "upper", "unbounded"), [(-np.inf, 1.0, False), (-1.0, np.inf, False), (-np.inf, np.inf, True)]
)
def test_infinite_sides(lower, upper, unbounded):
    lines = RELU.lines(np.array([[lower]]), np.array([[upper]]), np.zeros((1, 1)))
    assert (lines.unbounded is not None and bool(lines.unbounded.all())) == unbounded
    assert np.isfinite([lines.upper_slope, lines.upper_intercept, lines.lower_slope]).all()
