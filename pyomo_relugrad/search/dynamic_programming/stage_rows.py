"""What choosing the columns of a stage takes, prepared once: rows with the ranges of what is not known yet."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pyomo_relugrad.arrays import Array
from pyomo_relugrad.problem import Problem
from pyomo_relugrad.search.dynamic_programming.stages import HorizonStage


@dataclass(frozen=True)
class Entry:
    """A column's place in a row: ``least <= activity + coefficient * value <= most`` leaves the later columns a value.

    Parameters
    ----------
    row : int
        Number of the row among those of the stage.
    coefficient, least, most : float
    """

    row: int
    coefficient: float
    least: float
    most: float


@dataclass(frozen=True, eq=False)
class StageRows:
    """A stage with the rows, and the quadratic terms, that hold its columns.

    Parameters
    ----------
    stage : HorizonStage
    numbers : (r,) int array
        The rows with a column of the stage.
    before, after : pairs of (r, 1) arrays
        Between which sides the rows' activity leaves the later columns a value, before the stage and after it.
    entries : dict
        The places of each column of the stage in these rows.
    curvatures : dict
        Diagonal entry of the quadratic part for each column.
    couplings : dict
        For a column the columns before it that share a quadratic term with it, and the factors.
    """

    stage: HorizonStage
    numbers: Array
    before: tuple[Array, Array]
    after: tuple[Array, Array]
    entries: dict[int, tuple[Entry, ...]]
    curvatures: dict[int, float]
    couplings: dict[int, tuple[tuple[int, float], ...]]


def rows_of_stages(problem: Problem, stages: tuple[HorizonStage, ...], lower: Array, upper: Array) -> list[StageRows]:
    """Prepare all stages.

    Parameters
    ----------
    problem : Problem
    stages : tuple of HorizonStage
    lower, upper : (n,) arrays
        Bounds of all columns, those of outputs included.
    """
    order = np.concatenate([stage.columns for stage in stages])
    position = np.full(problem.n_columns, -1)
    position[order] = np.arange(order.size)
    ranges = [_Ranges(problem, row, position, lower, upper) for row in range(problem.n_rows)]
    by_column = problem.rows.tocsc()
    by_column.eliminate_zeros()
    rows = np.split(by_column.indices, by_column.indptr[1:-1])
    return [_prepared(problem, stage, position, ranges, rows) for stage in stages]


def _prepared(
    problem: Problem, stage: HorizonStage, position: Array, ranges: list[_Ranges], rows: list[Array]
) -> StageRows:
    columns = stage.columns.tolist()
    numbers = np.unique(np.concatenate([rows[column] for column in columns])).astype(np.int64)
    place = {row: index for index, row in enumerate(numbers.tolist())}
    entries = {
        column: tuple(ranges[row].entry(place[row], int(position[column])) for row in rows[column].tolist())
        for column in columns
    }
    first, last = int(position[columns[0]]), int(position[columns[-1]])
    before, after = (
        np.array([ranges[row].sides(end) for row in numbers.tolist()]).reshape(-1, 2, 1) for end in (first - 1, last)
    )
    quadratic = {column: _quadratic_terms(problem, column) for column in columns}
    couplings = {
        column: tuple((other, factor) for other, factor in terms if position[other] < position[column])
        for column, terms in quadratic.items()
    }
    curvatures = {column: dict(terms).get(column, 0.0) for column, terms in quadratic.items()}
    return StageRows(
        stage, numbers, (before[:, 0], before[:, 1]), (after[:, 0], after[:, 1]), entries, curvatures, couplings
    )


def _quadratic_terms(problem: Problem, column: int) -> list[tuple[int, float]]:
    """The columns in one row of the quadratic part, and their factors."""
    if problem.quadratic is None:
        return []
    entries = slice(problem.quadratic.indptr[column], problem.quadratic.indptr[column + 1])
    return list(zip(problem.quadratic.indices[entries].tolist(), problem.quadratic.data[entries].tolist(), strict=True))


class _Ranges:
    """The range of a row's activity in the columns that come after a position."""

    def __init__(self, problem: Problem, row: int, position: Array, lower: Array, upper: Array) -> None:
        entries = slice(problem.rows.indptr[row], problem.rows.indptr[row + 1])
        columns, values = problem.rows.indices[entries], problem.rows.data[entries]
        columns, values = columns[values != 0], values[values != 0]
        order = np.argsort(position[columns])
        columns, values = columns[order], values[order]
        ends = np.stack([values * lower[columns], values * upper[columns]])
        self._positions, self._values = position[columns], values
        # Sums from each entry to the last one, and nothing after that.
        self._least = np.append(np.cumsum(ends.min(axis=0)[::-1])[::-1], 0.0)
        self._most = np.append(np.cumsum(ends.max(axis=0)[::-1])[::-1], 0.0)
        self._sides = problem.row_lower[row], problem.row_upper[row]

    def sides(self, position: int) -> tuple[float, float]:
        """The sides of the activity in the columns up to a position."""
        first = int(np.searchsorted(self._positions, position, side="right"))
        return self._sides[0] - self._most[first], self._sides[1] - self._least[first]

    def entry(self, number: int, position: int) -> Entry:
        """The entry of the column at a position; `number` is that of the row in its stage."""
        coefficient = float(self._values[np.searchsorted(self._positions, position)])
        return Entry(number, coefficient, *self.sides(position))
