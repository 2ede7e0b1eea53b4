"""Smaller boxes from linear constraints, for many boxes at once."""

from abc import ABC, abstractmethod

import numpy as np
from scipy import sparse

from pyomo_relugrad.arrays import Array
from pyomo_relugrad.deadline import checkpoint
from pyomo_relugrad.problem.incumbent import FEASIBILITY_TOLERANCE
from pyomo_relugrad.problem.presolve.integer_bounds import rounded_bounds
from pyomo_relugrad.problem.problem import Problem

# A tightened bound is moved back by this much, relative to its size: nothing feasible is lost to rounding.
SAFETY = 1e-9
# Rounding of a row's sum, relative to the sum of its terms' sizes.
ROUNDING = 1e-13
# Rounding of a difference, relative to the sizes of both sides.
DIFFERENCE = 1e-15
# Passes over the rows; a third one rarely moves a bound.
ROUNDS = 2


class Tightening(ABC):
    """Makes boxes smaller, many at once, and loses no feasible point."""

    def __call__(self, lower: Array, upper: Array) -> tuple[Array, Array, Array]:
        """Tighten boxes.

        Parameters
        ----------
        lower, upper : (N, n) arrays

        Returns
        -------
        lower, upper : (N, n) arrays
            New arrays.
        possible : (N,) booleans
            False where a box holds no feasible point.
        """
        return close_boxes(*self.rounds(lower, upper))

    @abstractmethod
    def rounds(self, lower: Array, upper: Array) -> tuple[Array, Array]:
        """The same, with sides that may cross."""


class RowTightening(Tightening):
    """Feasibility-based bound tightening by the rows of a problem.

    In each row, a column is bounded by what the other columns leave it at their best.
    """

    def __init__(self, problem: Problem) -> None:
        rows = problem.rows.tocoo()
        kept = rows.data != 0
        order = np.argsort(rows.col[kept], kind="stable")
        self._row, self._column, self._value = (part[kept][order] for part in (rows.row, rows.col, rows.data))
        self._row_lower, self._row_upper = problem.row_lower, problem.row_upper
        self._integers = problem.integers
        self._columns, self._starts = np.unique(self._column, return_index=True)
        places = self._row, np.arange(self._row.size)
        self._sums = sparse.csr_array((np.ones(self._row.size), places), shape=(self._row_lower.size, self._row.size))

    def rounds(self, lower: Array, upper: Array) -> tuple[Array, Array]:
        """The same, with sides that may cross."""
        lower, upper = rounded_bounds(lower.copy(), upper.copy(), self._integers)
        for _ in range(ROUNDS if self._value.size else 0):
            checkpoint()
            lower, upper = self._round(lower, upper)
        return lower, upper

    def _round(self, lower: Array, upper: Array) -> tuple[Array, Array]:
        positive = self._value > 0
        low, high = lower[:, self._column], upper[:, self._column]
        smallest = self._value * np.where(positive, low, high)
        largest = self._value * np.where(positive, high, low)
        with np.errstate(invalid="ignore"):
            most = (self._row_upper[self._row] - self._others(smallest, -1)) / self._value
            least = (self._row_lower[self._row] - self._others(largest, 1)) / self._value
        new_upper = np.fmin(np.where(positive, most, np.inf), np.where(positive, np.inf, least))
        new_lower = np.fmax(np.where(positive, least, -np.inf), np.where(positive, -np.inf, most))
        lower, upper = lower.copy(), upper.copy()
        lowest = np.fmax.reduceat(new_lower, self._starts, axis=1)
        highest = np.fmin.reduceat(new_upper, self._starts, axis=1)
        lower[:, self._columns] = np.fmax(lower[:, self._columns], loosened(lowest, -1))
        upper[:, self._columns] = np.fmin(upper[:, self._columns], loosened(highest, 1))
        return rounded_bounds(lower, upper, self._integers)

    def _others(self, terms: Array, side: int) -> Array:
        """For each term (N, nnz) the sum of its row's other terms, rounded to a side; infinite where one of them is."""
        finite = np.isfinite(terms)
        kept = np.where(finite, terms, 0)
        sums, sizes, infinities = (self._sum_rows(part) for part in (kept, np.abs(kept), (~finite).astype(np.float64)))
        others = sums - kept + side * ROUNDING * sizes
        return np.where(infinities - ~finite > 0, side * np.inf, others)

    def _sum_rows(self, terms: Array) -> Array:
        """Each term replaced by the sum of its row's terms: (N, nnz)."""
        return np.asarray(self._sums @ terms.T)[self._row].T


def cut_boxes(coefficients: Array, minima: Array, limit: Array, lower: Array, upper: Array) -> tuple[Array, Array]:
    """Boxes (N, n) without what lies above ``f(x) <= limit``, for linear functions with given minima there.

    Parameters
    ----------
    coefficients : (N, n) array
    minima, limit : (N,) arrays
        Infinite where there is none.
    """
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        reach = np.maximum(limit - minima, 0)[:, None] / np.abs(coefficients)
        # What a difference of large numbers loses may be more than the margin of the bound that is left.
        least = loosened(upper - reach - DIFFERENCE * (np.abs(upper) + reach), -1)
        most = loosened(lower + reach + DIFFERENCE * (np.abs(lower) + reach), 1)
    new_lower = np.where(coefficients < 0, np.fmax(lower, least), lower)
    new_upper = np.where(coefficients > 0, np.fmin(upper, most), upper)
    return new_lower, new_upper


def close_boxes(lower: Array, upper: Array) -> tuple[Array, Array, Array]:
    """Boxes (N, n) in order, and a mask (N,) of those whose sides crossed by no more than rounding before."""
    tolerance = FEASIBILITY_TOLERANCE * (1 + np.fmin(np.abs(lower), np.abs(upper)))
    lower, upper, crossed = met_in_the_middle(lower, upper, tolerance)
    if crossed.any():
        lower, upper = np.minimum(lower, upper), np.maximum(lower, upper)
    return lower, upper, np.asarray(~crossed.any(axis=1))


def met_in_the_middle(lower: Array, upper: Array, tolerance: Array | float) -> tuple[Array, Array, Array]:
    """Bounds of which those that cross by no more than the tolerance meet, and a mask of those that cross by more."""
    crossing = lower - upper
    crossed = (crossing > tolerance) | np.isposinf(crossing)
    meeting = (crossing > 0) & ~crossed
    if meeting.any():
        lower, upper = lower.copy(), upper.copy()
        lower[meeting] = upper[meeting] = (lower[meeting] + upper[meeting]) / 2
    return lower, upper, crossed


def loosened(bounds: Array, direction: int) -> Array:
    """Bounds moved outward by a safety margin; NaN where an infinite one has no way out."""
    with np.errstate(invalid="ignore"):
        return bounds + direction * safety_margin(bounds)


def safety_margin(bounds: Array) -> Array:
    """How far bounds are moved outward."""
    return SAFETY * (1 + np.abs(bounds))


def shrinks(before: tuple[Array, Array], after: tuple[Array, Array], columns: Array, share: float) -> bool:
    """Whether the range of some of the columns is smaller by more than a share of it."""
    with np.errstate(invalid="ignore"):
        widths = [(upper - lower)[columns] for lower, upper in (before, after)]
        return bool((widths[1] < (1.0 - share) * widths[0]).any())
