"""A convex quadratic objective as rows: tangents of its quadratic part."""

from dataclasses import replace

import numpy as np
from scipy import sparse

from pyomo_relugrad.arrays import Array, RowBlock, SparseRows, Weight
from pyomo_relugrad.problem import Problem
from pyomo_relugrad.programs.expression_rows import with_rows

# How close, relative to its size, the tangents must come to the quadratic part.
TOLERANCE = 1e-7
# Tangents kept; the oldest go first.
MAX_TANGENTS = 50
# How often a program is solved again with a new tangent.
MAX_ROUNDS = 3


def tangents(quadratic: Weight, points: Array) -> tuple[Array, Array]:
    """Slopes (B, n) and constants (B,) of the functions that touch ``v @ quadratic @ v / 2`` from below at points."""
    slopes = (quadratic @ points.T).T  # symmetric; SciPy would transpose it for a product from the left
    return slopes, -0.5 * np.einsum("ij,ij->i", points, slopes)


def above_tangents(problem: Problem, points: Array) -> Problem:
    """The problem with one more column in the place of its quadratic part, above its tangents at points (B, n).

    Tangents with numbers that HiGHS refuses are left out.
    """
    slopes, constants = tangents(problem.quadratic, points)
    cuts = SparseRows.of(np.hstack([-slopes, np.ones((len(slopes), 1))]))
    padded = replace(
        problem,
        cost=np.append(problem.cost, 1.0),
        lower=np.append(problem.lower, 0.0),  # it is nowhere negative
        upper=np.append(problem.upper, np.inf),
        integers=np.append(problem.integers, False),
        rows=sparse.hstack([problem.rows, sparse.csr_array((problem.n_rows, 1))]),
        quadratic=None,
        column_names=(),
        row_names=(),
    )
    return with_rows(padded, RowBlock(cuts, constants, np.full(constants.size, np.inf)))


class TangentCuts:
    """Rows ``t >= slope @ v + constant`` below the quadratic part, for the column ``t`` after all others.

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
        self._constants: list[float] = []

    def __len__(self) -> int:
        return len(self._slopes)

    @property
    def rounds(self) -> int:
        """How often a program is solved again with a new tangent."""
        return 0 if self._quadratic is None else MAX_ROUNDS

    def add(self, values: Array) -> bool:
        """Add the tangent at a program's point (n + 1,), unless the point meets the quadratic part already."""
        v, epigraph = values[:-1], float(values[-1])
        slopes, constants = tangents(self._quadratic, v[None])
        quadratic = -float(constants[0])
        if epigraph >= quadratic - TOLERANCE * (1 + quadratic):
            return False
        self._slopes = [*self._slopes[-MAX_TANGENTS + 1 :], slopes[0, self._columns]]
        self._constants = [*self._constants[-MAX_TANGENTS + 1 :], float(constants[0])]
        return True

    def below(self, block: RowBlock) -> RowBlock:
        """The given rows with the tangents' rows below them."""
        count, size = len(self._slopes), self._columns.size + 1
        if count == 0:
            return block
        rows = SparseRows(
            size * np.arange(count + 1),
            np.tile(np.append(self._columns, self._epigraph), count),
            np.concatenate([-np.stack(self._slopes), np.ones((count, 1))], axis=1).ravel(),
        )
        return RowBlock.stacked([block, RowBlock(rows, np.array(self._constants), np.full(count, np.inf))])

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
        return slope, float(weights @ np.array(self._constants))
