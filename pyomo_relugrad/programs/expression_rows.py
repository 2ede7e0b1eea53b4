"""Smooth expressions as rows of linear programs that enclose them over boxes."""

from dataclasses import replace

import numpy as np
from scipy import sparse

from pyomo_relugrad.arrays import Array, RowBlock, SparseRows
from pyomo_relugrad.problem import ExpressionStage, Problem
from pyomo_relugrad.programs.highs import free_huge_rows
from pyomo_relugrad.programs.linearization import LinkRows, two_sided

# Where in a box planes are to be close, by odd and even inputs: of McCormick's four planes of a product, two are best
# at the first place, the others at the second one.
PLACES = ((0.25, 0.2), (0.75, 0.8))
NO_ROWS = RowBlock(SparseRows(np.zeros(1, int), np.zeros(0, int), np.zeros(0)), np.zeros(0), np.zeros(0))


class ExpressionRows:
    """The rows of a linear program that enclose all expressions over a node's box, close at given points."""

    def __init__(self, problem: Problem) -> None:
        self._stages = [stage for stage in problem.stages if isinstance(stage, ExpressionStage)]
        self._rows = LinkRows(problem, copies=2, stages=self._stages)

    def first(self, lower: Array, upper: Array) -> list[RowBlock]:
        """The rows of N nodes with boxes (N, n), close at places that suit products and convex functions."""
        if not self._stages:
            return [NO_ROWS] * len(lower)
        with np.errstate(invalid="ignore"):
            points = [lower + (upper - lower) * self._shares(place, lower.shape[1]) for place in PLACES]
        blocks = [self.at(lower, upper, point) for point in points]
        return [RowBlock.stacked(list(parts)) for parts in zip(*blocks, strict=True)]

    def _shares(self, place: tuple[float, float], n_columns: int) -> Array:
        """(n,) shares of a box's width, different ones for neighbouring inputs of an expression."""
        shares = np.full(n_columns, place[0])
        for stage in self._stages:
            shares[stage.inputs[:, 1::2]] = place[1]
        return shares

    def at(self, lower: Array, upper: Array, points: Array) -> list[RowBlock]:
        """The rows of N nodes with boxes (N, n), close at points (N, n)."""
        bounds = []
        for stage, used in zip(self._stages, self._rows.used, strict=True):
            box = stage.gather(lower), stage.gather(upper)
            found = stage.expression.relaxation(*box, at=stage.gather(points))
            shape = (len(lower), len(stage.inputs), used.size)
            bounds.append([part[:, used].reshape(*shape, *part.shape[2:]) for part in found])
        return [self._block([[part[node] for part in parts] for parts in bounds]) for node in range(len(lower))]

    def misses(self, lower: Array, upper: Array, points: Array) -> tuple[Array, Array]:
        """How far below, and above, the expressions' values planes are that are close at points (N, n), at these.

        (N, n) each, relative to one plus the values; zero for columns that no expression writes.
        """
        below, above = np.zeros((2, *points.shape))
        for stage in self._stages:
            x = stage.gather(points)
            planes = stage.expression.relaxation(stage.gather(lower), stage.gather(upper), at=x)
            values = stage.value(x)
            for miss, slopes, constants, sign in ((below, *planes[:2], 1.0), (above, *planes[2:], -1.0)):
                error = sign * (values - np.einsum("roi,ri->ro", slopes, x) - constants) / (1 + np.abs(values))
                miss[:, stage.outputs] = np.nan_to_num(error).reshape(len(points), *stage.outputs.shape)
        return below, above

    def errors(self, points: Array) -> Array:
        """Largest relative differences (N,) between columns and the expressions' values for them at points (N, n)."""
        largest = np.zeros(len(points))
        for stage in self._stages:
            columns, values = stage.gather_outputs(points), stage.value(stage.gather(points))
            error = np.nan_to_num(np.abs(columns - values) / (1 + np.abs(values)), nan=np.inf)
            largest = np.maximum(largest, error.reshape(len(points), -1).max(axis=1, initial=0.0))
        return largest

    def _block(self, bounds: list[list[Array]]) -> RowBlock:
        below, above = ([(part[side], part[side + 1]) for part in bounds] for side in (0, 2))
        coefficients, constants = zip(*below, *above, strict=True) if bounds else ((), ())
        return two_sided(*self._rows.build(list(coefficients), list(constants)))


def without_expressions(problem: Problem) -> Problem:
    """The problem in which the columns that expressions write are free, between the bounds of these."""
    low, high = expression_ranges(problem)
    lower, upper = np.maximum(problem.lower, low), np.minimum(problem.upper, high)
    return replace(problem, lower=lower, upper=np.maximum(lower, upper), expressions=())


def expression_ranges(problem: Problem) -> tuple[Array, Array]:
    """Bounds (n,) of the columns that expressions write, by their inputs; infinite for the others."""
    lower, upper = problem.lower[None].copy(), problem.upper[None].copy()
    low, high = np.full((2, 1, problem.n_columns), [[[-np.inf]], [[np.inf]]])
    for stage in problem.stages:
        if isinstance(stage, ExpressionStage):
            found = stage.range(stage.gather(lower), stage.gather(upper))
            low[:, stage.outputs], high[:, stage.outputs] = (side.reshape(1, *stage.outputs.shape) for side in found)
            lower = np.maximum(lower, low)
            upper = np.maximum(lower, np.minimum(upper, high))  # they may miss each other by rounding
    return low[0], high[0]


def with_rows(problem: Problem, block: RowBlock) -> Problem:
    """The problem with more rows, but for those without a side, and those with numbers that HiGHS refuses."""
    block = free_huge_rows(block)
    indptr, indices, data = block.rows
    more = sparse.csr_array((data, indices, indptr), shape=(block.lower.size, problem.n_columns))
    kept = np.isfinite(block.lower) | np.isfinite(block.upper)
    return replace(
        problem,
        rows=sparse.vstack([problem.rows, more[kept]], format="csr"),
        row_lower=np.concatenate([problem.row_lower, block.lower[kept]]),
        row_upper=np.concatenate([problem.row_upper, block.upper[kept]]),
    )
