"""A convex quadratic objective as rows: tangents of its quadratic part."""

from __future__ import annotations

import numpy as np

from pyomo_relugrad.arrays import Array, SparseRows
from pyomo_relugrad.problem import Problem

# How close, relative to its size, the tangents must come to the quadratic part.
TOLERANCE = 1e-7
# Tangents kept; the oldest go first.
KEPT = 50
ROUNDS = 3


class TangentCuts:
    """Rows ``t >= v0 Q v - v0 Q v0 / 2`` below ``v Q v / 2``, for the column ``t`` after all others.

    Parameters
    ----------
    problem : Problem
        Without a quadratic part there are no rows.
    """

    def __init__(self, problem: Problem) -> None:
        self._quadratic = problem.quadratic
        self._epigraph = problem.n_columns
        self._columns = np.zeros(0, np.int64) if problem.quadratic is None else np.unique(problem.quadratic.indices)
        self._slopes: list[Array] = []
        self._sides: list[float] = []

    @property
    def rounds(self) -> int:
        """How often a program is solved again with a new tangent."""
        return 0 if self._quadratic is None else ROUNDS

    def add(self, values: Array) -> bool:
        """Add the tangent at a program's point (n + 1,), unless the point meets the quadratic part already."""
        v, epigraph = values[:-1], float(values[-1])
        slope = self._quadratic @ v
        quadratic = 0.5 * float(v @ slope)
        if epigraph >= quadratic - TOLERANCE * (1 + quadratic):
            return False
        self._slopes = [*self._slopes[-KEPT + 1 :], slope[self._columns]]
        self._sides = [*self._sides[-KEPT + 1 :], -quadratic]
        return True

    def below(self, rows: SparseRows, row_lower: Array, row_upper: Array) -> tuple[SparseRows, Array, Array]:
        """The given rows with the tangents' rows below them."""
        count, size = len(self._slopes), self._columns.size + 1
        if count == 0:
            return rows, row_lower, row_upper
        slopes = np.stack(self._slopes)
        data = np.concatenate([-slopes, np.ones((count, 1))], axis=1).ravel()
        indices = np.tile(np.append(self._columns, self._epigraph), count)
        indptr = rows.indptr[-1] + size * np.arange(1, count + 1)
        together = SparseRows(
            np.concatenate([rows.indptr, indptr]).astype(np.int32),
            np.concatenate([rows.indices, indices]).astype(np.int32),
            np.concatenate([rows.data, data]),
        )
        sides = np.array(self._sides)
        return together, np.concatenate([row_lower, sides]), np.concatenate([row_upper, np.full(count, np.inf)])

    def combine(self, multipliers: Array) -> tuple[Array, float]:
        """Costs (n,) and constant of the multipliers' combination of the tangents, which is below the quadratic part.

        Multipliers are not negative and add up to at most one, up to the tolerances of the linear program.
        """
        slope = np.zeros(self._epigraph)
        if not self._slopes or multipliers.size == 0:
            return slope, 0.0
        weights = np.maximum(multipliers[: len(self._slopes)], 0.0)
        weights = weights / max(float(weights.sum()), 1.0)
        slope[self._columns] = weights @ np.stack(self._slopes)
        return slope, float(weights @ np.array(self._sides))
