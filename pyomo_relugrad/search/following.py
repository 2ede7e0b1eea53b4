"""What follows from integers: columns that equations or followers give, for many points at once."""

from __future__ import annotations

import numpy as np

from pyomo_relugrad.arrays import Array, Weight
from pyomo_relugrad.problem import Problem


class Following:
    """Moves what must move with the integers, so that points with other integers can be compared.

    Followers have the values that they must have, and a column that stands beside nothing but integers, and columns
    that follow from these, in an equation has the one that the equation leaves it.

    Parameters
    ----------
    problem : Problem

    Examples
    --------
    A total of two integers:

    >>> total = Problem(
    ...     np.zeros(3), np.zeros(3), np.full(3, 9.0), [[1.0, 1.0, -1.0]], np.zeros(1), np.zeros(1),
    ...     np.array([True, True, False]))
    >>> Following(total).moved(np.array([[4.0, 1.0, 0.0]])).tolist()
    [[4.0, 1.0, 5.0]]
    """

    def __init__(self, problem: Problem) -> None:
        self._problem = problem
        is_decided = problem.integers & ~problem.is_output & ~problem.follows
        #: (k,) columns of the integers that nothing gives values.
        self.columns = np.flatnonzero(is_decided & (problem.lower < problem.upper))
        self._steps = _steps(problem, is_decided | (problem.lower == problem.upper)) if self.columns.size else []
        is_open = ~(is_decided | problem.is_output | problem.follows) & (problem.lower < problem.upper)
        is_open[[column for _, _, columns, _ in self._steps for column in columns]] = False
        #: Whether all other columns follow from these integers.
        self.is_all = bool(self.columns.size) and not bool(is_open.any())

    def moved(self, V: Array) -> Array:
        """Copies of points (B, n) in which what follows has its values; these are clipped to the bounds."""
        V = V.copy()
        for rows, right, columns, coefficients in self._steps:
            values = V[:, columns] + (right - (rows @ V.T).T) / coefficients
            V[:, columns] = np.clip(values, self._problem.lower[columns], self._problem.upper[columns])
        return self._problem.completed(V)


def _steps(problem: Problem, is_known: Array) -> list[tuple[Weight, Array, Array, Array]]:
    """Equations with one unknown, again and again: rows, right sides, and these columns with their coefficients."""
    equations = np.flatnonzero((problem.row_lower == problem.row_upper) & ~problem.rows_touch_output)
    rows, is_unknown = problem.rows[equations], ~is_known
    steps: list[tuple[Weight, Array, Array, Array]] = []
    entries = rows.tocoo()
    row, column = entries.coords
    while True:
        open_entries = is_unknown[column] & (entries.data != 0)
        single = open_entries & (np.bincount(row, open_entries, equations.size) == 1)[row]
        columns, first = np.unique(column[single], return_index=True)
        kept = ~problem.follows[columns]
        columns, first = columns[kept], first[kept]
        if columns.size == 0:
            return steps
        chosen = row[single][first]
        right = problem.row_lower[equations[chosen]]
        steps.append((rows[chosen], right, columns, entries.data[single][first]))
        is_unknown[columns] = False
