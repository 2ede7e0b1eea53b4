"""Boxes of inputs, and the smallest values of linear functions over them."""

from functools import cached_property

import numpy as np

from pyomo_relugrad.arrays import Array, namespace, row_products


class Boxes:
    """B boxes ``lower[b] <= x <= upper[b]``, possibly infinite.

    Parameters
    ----------
    lower, upper : (B, n) arrays
    """

    def __init__(self, lower: Array, upper: Array) -> None:
        self.lower, self.upper = lower, upper

    @property
    def count(self) -> int:
        """Number of boxes."""
        return int(self.lower.shape[0])

    def minima(self, coefficients: Array, boxes: Array | None = None) -> Array:
        """Smallest values (..., R) of linear functions, rounded downward.

        Parameters
        ----------
        coefficients : (..., R, n) array
        boxes : (R,) int array, optional
            The box of each function; by default function ``i`` is over box ``i``.
        """
        low, high = self._rounded_corners
        xp = namespace(coefficients)
        minima = row_products(coefficients, xp.where(coefficients > 0, self.pick(low, boxes), self.pick(high, boxes)))
        if not self._is_unbounded:
            return minima
        no_low, no_high = self.pick(xp.isinf(self.lower), boxes), self.pick(xp.isinf(self.upper), boxes)
        without = xp.any((coefficients > 0) & no_low | (coefficients < 0) & no_high, axis=-1)
        return xp.where(without, -np.inf, minima)

    def minimizers(self, coefficients: Array, boxes: Array | None = None) -> Array:
        """Corners (R, n) where linear functions (R, n) are smallest; 0, or the finite side, in place of infinity."""
        low, high = self.pick(self.lower, boxes), self.pick(self.upper, boxes)
        corner = np.where(coefficients > 0, low, high)
        other = np.where(coefficients > 0, high, low)
        return np.where(np.isfinite(corner), corner, np.where(np.isfinite(other), other, 0.0))

    def pick(self, values: Array, boxes: Array | None) -> Array:
        """Rows of a (B, n) array for the given boxes; one row for all where there is one box."""
        if boxes is None or self.count == 1:
            return values
        if isinstance(values, np.ndarray):
            return values.take(boxes, axis=0)
        return namespace(values).take(values, boxes, axis=0)

    @cached_property
    def _is_unbounded(self) -> bool:
        xp = namespace(self.lower)
        return bool(xp.any(xp.isinf(self.lower)) or xp.any(xp.isinf(self.upper)))

    @cached_property
    def _rounded_corners(self) -> tuple[Array, Array]:
        """The boxes, moved outward by the rounding of a product with a corner; 0 for infinity."""
        xp = namespace(self.lower)
        size = xp.maximum(xp.abs(self.lower), xp.abs(self.upper))
        margin = (size.shape[1] + 8) * float(xp.finfo(size.dtype).eps) * xp.where(xp.isinf(size), 0.0, size)
        low, high = self.lower - margin, self.upper + margin
        return xp.where(xp.isinf(low), 0.0, low), xp.where(xp.isinf(high), 0.0, high)
