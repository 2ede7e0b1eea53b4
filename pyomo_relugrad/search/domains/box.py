"""Boxes, and boxes that one row cuts: sets with projections and vertices in closed form."""

from typing import Any, Self

import numpy as np

from pyomo_relugrad.arrays import Array, namespace
from pyomo_relugrad.run import Budget
from pyomo_relugrad.search.domains.domain import ROW_TOLERANCE, BoundsAndRows

#: Entries from which `np.clip` is faster than a maximum and a minimum, where all bounds are alike.
MANY_ENTRIES = 2**13


class Box:
    """The box ``lower <= u <= upper``.

    Parameters
    ----------
    lower, upper : (d,) arrays
    """

    projection_work = 0
    steps_by_signs = True

    def __init__(self, lower: Array, upper: Array) -> None:
        self.lower, self.upper = lower, upper
        self._bounds: dict[Any, tuple[Array, Array]] = {}

    @classmethod
    def of(cls, limits: BoundsAndRows, budget: Budget) -> Self | None:
        """The box, None where there are rows."""
        return None if len(limits.row_lower) else cls(limits.lower, limits.upper)

    def project(self, U: Array) -> Array:
        """Clip the rows of `U` to the box, in their own floating-point type."""
        if U.dtype not in self._bounds:
            lower, upper = (_number_if_equal(side.astype(U.dtype)) for side in (self.lower, self.upper))
            self._bounds[U.dtype] = lower, upper
        lower, upper = self._bounds[U.dtype]
        if U.size >= MANY_ENTRIES and lower.ndim == upper.ndim == 0:
            return np.clip(U, lower, upper)  # a fifth of the time, but it takes longer to begin
        return np.minimum(np.maximum(U, lower), upper)

    def sample(self, random: np.random.Generator, count: int) -> Array:
        """Uniform points of the box."""
        return self.lower + random.random((count, self.lower.size)) * (self.upper - self.lower)

    def vertices(self, C: Array) -> Array:
        """Corners of the box; the middle where a coefficient is zero."""
        where, middle = namespace(C).where, 0.5 * (self.lower + self.upper)
        return where(C > 0, self.lower, where(C < 0, self.upper, middle))

    def contains(self, U: Array) -> Array:
        """Every point that meets the bounds."""
        return np.ones(len(U), bool)


class BoxWithRow:
    r"""A box cut by one row: ``row_lower <= a @ u <= row_upper``; a budget or a simplex, for example.

    The projection of a point p that violates the upper side is ``clip(p - t a)`` with the smallest t >= 0 that
    satisfies it. ``a @ clip(p - t a)`` is piecewise linear and falls in t, so t is found by a search over its
    breakpoints; the linear program over the set is the same search along ``-a / g`` (a continuous knapsack).

    Parameters
    ----------
    lower, upper, row : (d,) arrays
    row_lower, row_upper : float
    """

    projection_work = 0
    steps_by_signs = False

    def __init__(self, lower: Array, upper: Array, row: Array, row_lower: float, row_upper: float) -> None:
        self.lower, self.upper, self.row = lower, upper, row
        self.row_lower, self.row_upper = row_lower, row_upper

    @classmethod
    def of(cls, limits: BoundsAndRows, budget: Budget) -> Self | None:
        """The box with its row, None where there is another number of rows."""
        lower, upper, rows, row_lower, row_upper = limits
        if len(row_lower) != 1:
            return None
        return cls(lower, upper, rows.toarray()[0], float(row_lower[0]), float(row_upper[0]))

    def contains(self, U: Array) -> Array:
        """Whether the points satisfy the row."""
        activity = U @ self.row
        return (activity >= self.row_lower - ROW_TOLERANCE) & (activity <= self.row_upper + ROW_TOLERANCE)

    def project(self, U: Array) -> Array:
        """Nearest points of the set to the rows of `U`."""
        P = np.clip(U, self.lower, self.upper)
        activity = P @ self.row
        for sign, side in ((1.0, self.row_upper), (-1.0, self.row_lower)):
            outside = np.flatnonzero(sign * (activity - side) > 0)
            if outside.size:
                P[outside] = self._onto(np.asarray(U)[outside], sign * self.row, sign * side)
        return P

    def sample(self, random: np.random.Generator, count: int) -> Array:
        """Uniform points of the box, projected."""
        return self.project(Box(self.lower, self.upper).sample(random, count))

    def vertices(self, C: Array) -> Array:
        """Greedy solutions of the continuous knapsacks ``min C[i] @ u``."""
        C = np.asarray(C)
        P = np.where(C < 0, self.upper, self.lower)
        activity = P @ self.row
        for sign, side in ((1.0, self.row_upper), (-1.0, self.row_lower)):
            for index in np.flatnonzero(sign * (activity - side) > 0):
                P[index] = self._knapsack(P[index], C[index], sign * self.row, sign * side)
        return P

    def _onto(self, U: Array, row: Array, side: float) -> Array:
        """Projections onto box and ``row @ u <= side`` by a search over the sorted breakpoints of each point."""
        used = np.flatnonzero(row)
        with np.errstate(invalid="ignore"):
            breakpoints = np.concatenate(
                [(U[:, used] - self.lower[used]) / row[used], (U[:, used] - self.upper[used]) / row[used]], axis=1
            )
        breakpoints = np.sort(np.maximum(breakpoints, 0.0), axis=1)
        low, high = np.zeros(len(U), int), np.full(len(U), breakpoints.shape[1] - 1)
        points = np.arange(len(U))
        while (low < high).any():
            middle = (low + high) // 2
            satisfied = self._moved(U, row, breakpoints[points, middle]) @ row <= side
            high = np.where(satisfied, middle, high)
            low = np.where(satisfied, low, np.minimum(middle + 1, high))
        right = breakpoints[points, low]
        left = np.where(low > 0, breakpoints[points, np.maximum(low - 1, 0)], 0.0)
        at_left = self._moved(U, row, left) @ row
        at_right = self._moved(U, row, right) @ row
        share = np.divide(at_left - side, at_left - at_right, out=np.ones(len(U)), where=at_left > at_right)
        return self._moved(U, row, left + np.clip(share, 0.0, 1.0) * (right - left))

    def _moved(self, U: Array, row: Array, t: Array) -> Array:
        return np.clip(U - t[:, None] * row, self.lower, self.upper)

    def _knapsack(self, point: Array, cost: Array, row: Array, side: float) -> Array:
        """Give up activity, cheapest first, until ``row @ u <= side``."""
        point = point.copy()
        target = np.where(row > 0, self.lower, self.upper)
        release = row * (point - target)
        movable = np.flatnonzero(release > 0)
        price = -cost[movable] / row[movable]
        order = movable[np.argsort(price, kind="stable")]
        excess = float(point @ row - side)
        released = np.minimum(np.maximum(excess - (np.cumsum(release[order]) - release[order]), 0.0), release[order])
        point[order] -= released / row[order]
        return point


def _number_if_equal(values: Array) -> Array:
    """The first of equal values, which NumPy applies to a batch faster than a row of them."""
    return values[0] if values.size and (values == values[0]).all() else values
