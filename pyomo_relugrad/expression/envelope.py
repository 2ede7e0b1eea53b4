"""What encloses a function of one variable over intervals: its range, and the best lines at a point.

The line of a given slope below a function touches it at an end of the interval or where the function has this slope. So
any slope gives a valid line. The best one at a point is that whose touching line is highest there: this height is a
concave function of the slope. The tangent at the point is best for convex functions, the chord for concave ones; for
all others the slope is found by bisection.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from pyomo_relugrad.arrays import Array
from pyomo_relugrad.expression.functions import Function

#: Errors of a computed value, in units of the last place.
ROUNDING_UNITS = 8.0

# Bisections for the slope of a line, and samples of the slopes between which it is looked for.
SLOPE_STEPS, SLOPE_SAMPLES = 30, 9


class EnclosingLines(NamedTuple):
    """Lines ``slope * x + offset`` below and above a function, arrays; the offset is infinite where there is none."""

    lower_slope: Array
    lower_offset: Array
    upper_slope: Array
    upper_offset: Array


def downward(values: Array, size: Array | float = 0.0) -> Array:
    """Values moved down by their rounding, where they were computed from numbers of a given size.

    NaN becomes minus infinity: nothing is known.
    """
    low = values - ROUNDING_UNITS * np.finfo(values.dtype).eps * np.maximum(np.abs(values), size)
    return np.where(np.isnan(low), -np.inf, low)


def outward(lower: Array, upper: Array) -> tuple[Array, Array]:
    """Bounds moved apart by their rounding."""
    return downward(lower), -downward(-upper)


def function_range(function: Function, lower: Array, upper: Array) -> tuple[Array, Array]:
    """Smallest and largest values of a function over intervals, rounded outward; what is not defined is left out.

    The least is infinite, and above the greatest, where the function is defined nowhere in an interval. Warnings of
    NumPy are the caller's.
    """
    low, high = _inside(function, lower, upper)
    support = _Support(function, low, high, 1.0)
    flat = np.zeros_like(low)
    least, _ = support.touch(flat)
    greatest = -support.negated.touch(flat)[0]
    with_pole = function.crosses_pole(low, high)
    greatest = np.where(with_pole, np.inf, greatest)
    if function.image[0] == -np.inf:
        least = np.where(with_pole, -np.inf, least)
    least, greatest = outward(least, greatest)
    least, greatest = least.clip(*function.image), greatest.clip(*function.image)
    nowhere = ~(low <= high)
    return np.where(nowhere, np.inf, least), np.where(nowhere, -np.inf, greatest)


def function_lines(function: Function, lower: Array, upper: Array, at: Array) -> EnclosingLines:
    """The lines below and above a function over intervals that are best at given points.

    Over an infinite interval, or one in which a periodic function repeats itself, they are constants.
    """
    least, greatest = function_range(function, lower, upper)
    low, high = _inside(function, lower, upper)
    curved = np.isfinite(low) & np.isfinite(high) & (low < high) & (high - low < function.period)
    begin, end = np.where(curved, low, 0), np.where(curved, high, 1)
    point = np.where(np.isnan(at), begin + (end - begin) / 2, at).clip(begin, end)
    below = _best_line(_Support(function, begin, end, 1.0), point, curved & np.isfinite(least), least)
    above = _best_line(_Support(function, begin, end, -1.0), point, curved & np.isfinite(greatest), -greatest)
    return EnclosingLines(*below, -above[0], -above[1])


def _inside(function: Function, lower: Array, upper: Array) -> tuple[Array, Array]:
    """The part of intervals where a function is defined. Zero has the sign of the side on which it bounds."""
    low, high = np.maximum(lower, function.domain[0]) + 0.0, np.minimum(upper, function.domain[1])
    return low, np.where(high == 0, -0.0, high)


class _Support(NamedTuple):
    """A function, or its negative, over intervals, and the lines that touch it from below."""

    function: Function
    lower: Array
    upper: Array
    sign: float

    @property
    def negated(self) -> _Support:
        return self._replace(sign=-self.sign)

    def value(self, x: Array) -> Array:
        return self.sign * self.function.value(x)

    def slope(self, x: Array) -> Array:
        return self.sign * self.function.slope(x)

    def touch(self, slope: Array) -> tuple[Array, Array]:
        """The offsets of the lines of given slopes that touch the function, and where they do; not rounded."""
        points = np.stack([self.lower, self.upper, *map(self._moved, self.function.stationary(self.sign * slope))])
        heights = self.value(points) - np.where(slope == 0, 0, slope * points)
        heights = np.where(np.isnan(heights), np.inf, heights)
        first = heights.argmin(axis=0)[None]
        return np.take_along_axis(heights, first, 0)[0], np.take_along_axis(points, first, 0)[0]

    def _moved(self, points: Array) -> Array:
        """Points moved by whole periods into the interval, near its finite end, or to its nearest end."""
        period = self.function.period
        if np.isfinite(period):
            last = np.where(np.isfinite(self.upper), self.upper - period, 0.0)
            start = np.where(np.isfinite(self.lower), self.lower, last)
            points = points + period * np.ceil((start - points) / period)
        return np.where(np.isnan(points), self.lower, points).clip(self.lower, self.upper)


def _best_line(support: _Support, point: Array, curved: Array, least: Array) -> tuple[Array, Array]:
    """Slopes and offsets of the lines below a function that are highest at points; constants where it is not curved."""
    value, width = support.value(point), support.upper - support.lower
    chord = (support.value(support.upper) - support.value(support.lower)) / width
    chord, tangent = (np.where(np.isfinite(slope), slope, 0.0) for slope in (chord, support.slope(point)))
    offset, _ = support.touch(tangent)
    other, _ = support.touch(chord)
    slope = np.where(offset + tangent * point >= other + chord * point, tangent, chord)
    unit = ROUNDING_UNITS * np.finfo(offset.dtype).eps
    close = unit * (np.abs(value) + np.abs(tangent * point) + np.abs(chord * width))
    chord_offset = support.value(support.lower) - chord * support.lower
    best = (offset + tangent * point >= value - close) | (other >= chord_offset - close)
    rest = np.nonzero(curved & ~best)
    if rest[0].size:
        part = support._replace(lower=support.lower[rest], upper=support.upper[rest])
        slope[rest] = _bisected_slope(part, point[rest], slope[rest])
    slope = np.where(curved, slope, 0.0)
    offset, touching = support.touch(slope)
    far = np.maximum(np.abs(support.lower), np.abs(support.upper))
    offset = downward(offset, np.abs(support.value(touching)) + np.abs(slope) * far)
    line = curved & np.isfinite(offset)
    return np.where(line, slope, 0.0), np.where(line, offset, least)


def _bisected_slope(support: _Support, point: Array, good: Array) -> Array:
    """The slopes of the lines below a function that are highest at points, not worse than the good ones."""
    shares = np.linspace(0, 1, SLOPE_SAMPLES).reshape(-1, *[1] * point.ndim)
    slopes = support.slope(support.lower + shares * (support.upper - support.lower))
    slopes = np.where(np.isfinite(slopes), slopes, good)
    low, high = np.minimum(slopes.min(axis=0), good), np.maximum(slopes.max(axis=0), good)
    for _ in range(SLOPE_STEPS):
        middle = low + (high - low) / 2
        rises = support.touch(middle)[1] < point
        low, high = np.where(rises, middle, low), np.where(rises, high, middle)
    found = low + (high - low) / 2
    better = support.touch(found)[0] + found * point > support.touch(good)[0] + good * point
    return np.where(better, found, good)
