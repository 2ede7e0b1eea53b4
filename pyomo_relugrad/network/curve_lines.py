"""Lines that enclose a curve over intervals, for curves that change between convex and concave at few points.

The lower line of least area supports the convex envelope of the curve at the interval's middle: it is a tangent there,
a tangent through an end of the interval, or the chord. So are the upper lines, of the negated curve. Where a line is a
tangent is found by bisection and need not be exact: with a slope at hand, the line is moved down until it only touches
the curve.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from pyomo_relugrad.arrays import Array
from pyomo_relugrad.network.activations import Activation, Lines

# Bisections of an interval: for a good slope, for the point where a line touches.
SLOPE_STEPS, TOUCHING_STEPS = 22, 40
# Tangents are not looked for outside: there the curves are all but straight.
MAX_TANGENT = 60.0
# Errors of a computed value, slope or product, in units of the last place.
ROUNDING_UNITS = 16.0


#: Begin, end and whether a curve is convex there, from left to right.
Pieces: TypeAlias = tuple[tuple[float, float, bool], ...]


def enclosing_lines(curve: Activation, pieces: Pieces, lower: Array, upper: Array, margin: Array) -> Lines:
    """Lines below and above a curve over intervals (B, n_k), constants where an interval is infinite."""
    low, high = curve.range(lower, upper)
    size = np.maximum(np.abs(low), np.abs(high))
    is_finite = np.isfinite(lower) & np.isfinite(upper) & np.isfinite(size)
    begin, end = (np.where(is_finite, side, 0).ravel() for side in (lower, upper))
    lines = []
    with np.errstate(all="ignore"):  # what overflows is replaced by constants
        for sign, constant in ((1.0, low), (-1.0, -high)):
            slope, intercept = (part.reshape(lower.shape) for part in _below(_Signed(curve, pieces, sign), begin, end))
            far = np.abs(slope) * np.maximum(np.abs(lower), np.abs(upper))
            unit = ROUNDING_UNITS * np.finfo(lower.dtype).eps
            intercept = intercept - np.abs(slope) * margin - unit * (1 + size + far)
            straight = is_finite & np.isfinite(slope) & np.isfinite(intercept)
            slope, intercept = np.where(straight, slope, 0), np.where(straight, intercept, constant)
            lines += [slope * sign, intercept * sign]
    lower_slope, lower_intercept, upper_slope, upper_intercept = lines
    lower_intercept = np.maximum(lower_intercept, np.finfo(lower.dtype).min / 2)  # of a cube: times zero it is zero
    unbounded = np.isinf(upper_intercept)
    upper_intercept = np.where(unbounded, 0, upper_intercept)
    relus = np.zeros(lower.shape, bool)
    own = unbounded if unbounded.any() else None
    return Lines(lower_slope, lower_intercept, upper_slope, upper_intercept, relus, own)


@dataclass(frozen=True)
class _Signed:
    """A curve, or its negative."""

    curve: Activation
    pieces: Pieces
    sign: float

    @property
    def convex_pieces(self) -> list[tuple[float, float]]:
        """Begin and end of the parts where it is convex."""
        return [(begin, end) for begin, end, is_convex in self.pieces if is_convex == (self.sign > 0)]

    def value(self, z: Array) -> Array:
        return self.sign * self.curve.value(z)

    def slope(self, z: Array) -> Array:
        return self.sign * self.curve.slope(z)


def _below(curve: _Signed, lower: Array, upper: Array) -> tuple[Array, Array]:
    """Slopes and intercepts of lines below a curve over finite intervals, all (n,).

    Of several convex pieces in an interval the last one is touched: of two, the first is almost straight.
    """
    wide = upper > lower
    slope = (curve.value(upper) - curve.value(lower)) / np.where(wide, upper - lower, 1)
    places = np.full(lower.shape, np.nan, lower.dtype)
    open_ends = upper
    for begin, end in reversed(curve.convex_pieces):
        convex = np.flatnonzero(np.clip(begin, lower, open_ends) < np.clip(end, lower, open_ends))
        open_ends = np.where(begin < open_ends, lower, open_ends)
        places[convex] = _tangent_places(curve, begin, end, lower[convex], upper[convex])
    touched = np.flatnonzero(np.isfinite(places))
    slope[touched] = curve.slope(places[touched])
    intercept = np.minimum(curve.value(lower) - slope * lower, curve.value(upper) - slope * upper)
    for begin, end in curve.convex_pieces:
        first, last = np.clip(begin, lower, upper), np.clip(end, lower, upper)
        inside = (first < places) & (places < last)  # there the line of the tangent's slope touches
        known = curve.value(places) - slope * places
        intercept = np.where(inside, np.minimum(intercept, known), intercept)
        rest = np.flatnonzero((first < last) & ~inside)
        if rest.size:
            smallest = _smallest(curve, slope[rest], first[rest], last[rest])
            intercept[rest] = np.minimum(intercept[rest], smallest)
    return slope, intercept


def _tangent_places(curve: _Signed, begin: float, end: float, lower: Array, upper: Array) -> Array:
    """Where the tangents of least area touch a convex piece, (n,); NaN where the chord is the line."""
    first, last = np.clip(begin, lower, upper), np.clip(end, lower, upper)
    left, right = first.copy(), last.copy()
    for anchor, outside, sign, side in ((lower, lower < first, 1.0, left), (upper, upper > last, -1.0, right)):
        rows = np.flatnonzero(outside)
        if rows.size:
            side[rows] = _tangents_through(curve, anchor[rows], sign, first[rows], last[rows])
    middle = lower + (upper - lower) / 2
    return np.where(left <= right, np.clip(middle, left, right), np.nan)


def _tangents_through(curve: _Signed, anchor: Array, sign: float, first: Array, last: Array) -> Array:
    """Points of convex pieces whose tangents go through the curve at an anchor; NaN where there is none.

    The sign is 1 for anchors on the left of the piece, -1 on the right. A kink at the near end of the piece counts.
    """
    height = curve.value(anchor)

    def missed(z: Array) -> Array:
        """Grows with `z`: a tangent of a convex function falls at a point on its left as it moves to the right."""
        return sign * (height - curve.value(z) - curve.slope(z) * (anchor - z))

    first, last = np.clip(first, -MAX_TANGENT, MAX_TANGENT), np.clip(last, -MAX_TANGENT, MAX_TANGENT)
    found, _ = _bisected(missed, first, last, SLOPE_STEPS)
    is_found = missed(last) >= 0 if sign > 0 else missed(first) <= 0
    return np.where(is_found, found, np.nan)


def _smallest(curve: _Signed, slope: Array, first: Array, last: Array) -> Array:
    """The smallest ``curve(z) - slope * z`` over convex pieces, rounded downward: the tangent's at a bracket's end."""
    left, right = _bisected(lambda z: curve.slope(z) - slope, first, last, TOUCHING_STEPS)
    fall = np.minimum(curve.slope(left) - slope, 0) * (right - left)
    at_left, at_right = (curve.value(z) - slope * z for z in (left, right))
    return np.minimum(at_left + fall, at_right)


def _bisected(function: Callable[[Array], Array], left: Array, right: Array, steps: int) -> tuple[Array, Array]:
    """Brackets around the zeros of a function that grows in each of some intervals."""
    for _ in range(steps):
        middle = left + (right - left) / 2
        is_below = function(middle) < 0
        left, right = np.where(is_below, middle, left), np.where(is_below, right, middle)
    return left, right
