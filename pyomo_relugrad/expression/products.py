"""What encloses the product of two factors over boxes: its range, and McCormick's planes."""

import numpy as np

from pyomo_relugrad.arrays import Array
from pyomo_relugrad.expression.envelope import ROUNDING_UNITS, outward


def product_range(left_low: Array, left_high: Array, right_low: Array, right_high: Array) -> tuple[Array, Array]:
    """Smallest and largest products, rounded outward. Zero times infinity is zero: no factor is infinite itself."""
    corners = np.stack([left * right for left in (left_low, left_high) for right in (right_low, right_high)])
    corners = np.where(np.isnan(corners), 0.0, corners)
    return outward(corners.min(axis=0), corners.max(axis=0))


def product_planes(
    left_low: Array, left_high: Array, right_low: Array, right_high: Array, left_at: Array, right_at: Array
) -> tuple[tuple[Array, Array, Array], tuple[Array, Array, Array]]:
    """Planes ``p * left + q * right + r`` below and above products, as (p, q, r).

    Of the two planes on each side it is the one that is best at the given point. Where neither is finite, they are the
    range: slopes of zero, and offsets that may be infinite.
    """
    left_at, right_at = _within(left_at, left_low, left_high), _within(right_at, right_low, right_high)
    far = _farthest(left_low, left_high), _farthest(right_low, right_high)

    def best(corners: tuple[tuple[Array, Array], ...], sign: float, constant: Array) -> tuple[Array, Array, Array]:
        height = np.full(left_at.shape, -np.inf)
        slopes = np.zeros((2, *left_at.shape))
        for left, right in corners:
            size = np.abs(right) * far[0] + np.abs(left) * far[1]
            offset = -left * right - sign * 2 * ROUNDING_UNITS * np.finfo(float).eps * size
            own = sign * (right * left_at + left * right_at + offset)
            better = np.isfinite(offset) & (own > height)
            height = np.where(better, own, height)
            slopes = np.where(better, (right, left), slopes)
            constant = np.where(better, offset, constant)
        return slopes[0], slopes[1], constant

    least, greatest = product_range(left_low, left_high, right_low, right_high)
    below = best(((left_low, right_low), (left_high, right_high)), 1.0, least)
    return below, best(((left_low, right_high), (left_high, right_low)), -1.0, greatest)


def _within(point: Array, low: Array, high: Array) -> Array:
    """Points moved into intervals; the middle of the interval for NaN."""
    return np.where(np.isnan(point), low + (high - low) / 2, point).clip(low, high)


def _farthest(low: Array, high: Array) -> Array:
    """The largest size in an interval; zero for an infinite one."""
    size = np.maximum(np.abs(low), np.abs(high))
    return np.where(np.isinf(size), 0.0, size)
