"""Boxes of inputs, and the smallest values of linear functions over them."""

from __future__ import annotations

from functools import cached_property

import numpy as np

from pyomo_relugrad.arrays import Array


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
        corner = np.where(coefficients > 0, self.pick(low, boxes), self.pick(high, boxes))
        minima: Array = np.einsum("...ij,...ij->...i", coefficients, corner)
        if self._is_unbounded:
            no_low, no_high = self.pick(np.isinf(self.lower), boxes), self.pick(np.isinf(self.upper), boxes)
            minima[((coefficients > 0) & no_low | (coefficients < 0) & no_high).any(axis=-1)] = -np.inf
        return minima

    def minimizers(self, coefficients: Array, boxes: Array | None = None) -> Array:
        """Corners (R, n) where linear functions (R, n) are smallest; 0, or the finite side, in place of infinity."""
        low, high = self.pick(self.lower, boxes), self.pick(self.upper, boxes)
        corner = np.where(coefficients > 0, low, high)
        other = np.where(coefficients > 0, high, low)
        return np.where(np.isfinite(corner), corner, np.where(np.isfinite(other), other, 0.0))

    def pick(self, values: Array, boxes: Array | None) -> Array:
        """Rows of a (B, n) array for the given boxes; one row for all where there is one box."""
        return values if boxes is None or self.count == 1 else values.take(boxes, axis=0)

    @cached_property
    def _is_unbounded(self) -> bool:
        return bool(np.isinf(self.lower).any() or np.isinf(self.upper).any())

    @cached_property
    def _rounded_corners(self) -> tuple[Array, Array]:
        """The boxes, moved outward by the rounding of a product with a corner; 0 for infinity."""
        size = np.maximum(np.abs(self.lower), np.abs(self.upper))
        margin = (size.shape[1] + 8) * np.finfo(size.dtype).eps * np.where(np.isinf(size), 0, size)
        low, high = self.lower - margin, self.upper + margin
        return np.where(np.isinf(low), 0, low), np.where(np.isinf(high), 0, high)
