"""Rows that columns of their own let be violated at a price: soft limits, sizes of moves, parts of a piecewise cost."""

from __future__ import annotations

import numpy as np
from scipy import sparse

from pyomo_relugrad.arrays import Array, Weight
from pyomo_relugrad.problem import Incumbent, Problem

#: Difference, relative to one, of coefficients that count as opposite.
ROUNDING = 1e-12


class SoftRows:
    """The slack columns of a problem, and what a violation of the rows that have them costs.

    A slack costs something, has no upper bound and no part in functions or quadratic terms, and loosens one side of a
    row, or sides of two rows of which one is always kept to, as the size of a number is above the number and above its
    negative. At an optimum it is what its row lacks without it: nothing has to decide it.

    Parameters
    ----------
    problem : Problem

    Attributes
    ----------
    columns : (k,) int array
        The slacks.
    below, above : (m,) arrays
        Prices of a row's activity below its lower side and above its upper side; zero where no slack loosens it.
    """

    def __init__(self, problem: Problem) -> None:
        self.problem = problem
        by_column = sparse.csc_array(problem.rows)
        counts = np.diff(by_column.indptr)
        may_be = self._may_be_slack() & (counts >= 1) & (counts <= 2)
        columns = np.repeat(np.arange(problem.n_columns), counts)
        entries = np.flatnonzero(may_be[columns])
        columns, rows, coefficients = columns[entries], by_column.indices[entries], by_column.data[entries]
        is_above = coefficients < 0
        # Not where a side is loosened twice, or a column loosens none, or both of its rows may be violated at once.
        side = 2 * rows + is_above
        is_wrong = np.bincount(side, minlength=1)[side] > 1
        is_wrong |= ~np.isfinite(np.where(is_above, problem.row_upper[rows], problem.row_lower[rows]))
        is_wrong |= self._overlap(columns, rows, coefficients)
        is_slack = ~np.isin(columns, columns[is_wrong])
        self._owners, self._rows = columns[is_slack], rows[is_slack]
        self._weights, self._is_above = np.abs(coefficients[is_slack]), is_above[is_slack]
        self.columns = np.unique(self._owners)
        self.below, self.above = np.zeros((2, problem.n_rows))
        prices = problem.cost[self._owners] / self._weights
        self.above[self._rows[self._is_above]] = prices[self._is_above]
        self.below[self._rows[~self._is_above]] = prices[~self._is_above]

    @classmethod
    def of(cls, problem: Problem) -> SoftRows:
        """Those of a problem, found once."""
        known = vars(problem)
        if SoftRows.__name__ not in known:
            known[SoftRows.__name__] = cls(problem)
        soft: SoftRows = known[SoftRows.__name__]
        return soft

    def _may_be_slack(self) -> Array:
        """(n,) booleans: the columns that cost something, have no end above, and are in no function."""
        problem = self.problem
        is_used = problem.is_input | problem.is_output | problem.integers | problem.follows
        if problem.quadratic is not None:
            is_used[problem.quadratic.indices] = True
        return ~is_used & np.isfinite(problem.lower) & np.isposinf(problem.upper) & (problem.cost > 0)

    def _overlap(self, columns: Array, rows: Array, coefficients: Array) -> Array:
        """Whether an entry's column has another row, which may be violated when this one is."""
        problem = self.problem
        overlap = np.zeros(columns.size, bool)
        first = np.flatnonzero(columns[1:] == columns[:-1])
        if not first.size:
            return overlap
        # As ``direction @ v - slack <= side``, opposite directions leave the slack, twice, and sides of a sum below 0.
        pairs = [_scaled(problem.rows[rows[entry]], -1.0 / coefficients[entry]) for entry in (first, first + 1)]
        total = pairs[0] + pairs[1]
        both = np.bincount(np.repeat(np.arange(first.size), np.diff(total.indptr)), np.abs(total.data), first.size)
        sides = np.where(coefficients < 0, problem.row_upper[rows], problem.row_lower[rows]) / -coefficients
        sides = sides + problem.lower[columns]
        is_apart = (both <= 2.0 + ROUNDING) & (sides[first] + sides[first + 1] >= 0)
        overlap[first] = overlap[first + 1] = ~is_apart
        return overlap

    @property
    def without(self) -> Problem:
        """The problem with the slacks at their lower bounds."""
        upper = self.problem.upper.copy()
        upper[self.columns] = self.problem.lower[self.columns]
        return self.problem.with_bounds(self.problem.lower, upper)

    def incumbent(self, v: Array) -> Incumbent:
        """A point (n,) in which each slack is what its rows lack, measured."""
        if self.columns.size:
            (v,) = self.loosened(self.problem.propagate(v[None]))
        return self.problem.incumbent(v)

    def loosened(self, V: Array) -> Array:
        """A copy of points (B, n), with propagated outputs, in which each slack is what its rows lack."""
        problem, V = self.problem, V.copy()
        V[:, self.columns] = problem.lower[self.columns]
        activity = problem.row_activity(V)[:, self._rows]
        beyond = np.where(
            self._is_above, activity - problem.row_upper[self._rows], problem.row_lower[self._rows] - activity
        )
        lacking = np.maximum(beyond, 0.0) / self._weights
        np.add.at(V.T, self._owners, lacking.T)
        return V


def _scaled(rows: Weight, factors: Array) -> Weight:
    """Rows times factors, in place."""
    rows.data *= np.repeat(factors, np.diff(rows.indptr))
    return rows
