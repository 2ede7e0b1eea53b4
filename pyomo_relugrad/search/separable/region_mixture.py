"""A linear program over mixtures of linear regions: how many blocks are in each of them, and where."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from scipy import linalg, sparse

from pyomo_relugrad.arrays import Array, SparseRows
from pyomo_relugrad.problem import Problem
from pyomo_relugrad.programs import LinearProgram
from pyomo_relugrad.search.regions.program import RegionProgram
from pyomo_relugrad.search.regions.region import Region
from pyomo_relugrad.search.separable.blocks import Block

#: Regions join and leave, and rows join: the simplex method that suits is HiGHS's choice, its presolve loses the basis.
OPTIONS: dict[str, Any] = {"presolve": "off", "solver": "simplex", "simplex_strategy": 0}
#: By how much a side of a region may be violated in a mixture, and a share of a block that is none.
SIDE_TOLERANCE, SMALL = 1e-7, 1e-6
#: How near to its point the sides of a region are stated from the beginning.
NEAR = 0.01
#: Coefficients that are rounding, relative to one.
ROUNDING = 1e-11
#: Regions of which those that were used last are kept, half as many.
MAX_REGIONS = 160
#: Weight of columns that linking rows have when those are chosen that equations give.
LINKED = 1e-3


class Mixture(NamedTuple):
    """The optimum of the program.

    Parameters
    ----------
    counts : (r,) array
        How many blocks are in each region, fractions where nothing else is asked.
    places : list of arrays
        For each region the columns (k,) of such a block; zeros where there is none.
    prices : (m,) array
        Multipliers of the problem's rows, zero but for those that link blocks; negative where an upper side holds.
    block_prices : (kinds,) array
        What the last block of each kind costs at these prices.
    rest : (n,) array
        Columns of no block; zeros elsewhere.
    """

    counts: Array
    places: list[Array]
    prices: Array
    block_prices: Array
    rest: Array


@dataclass(eq=False)
class _Cell:
    """A linear region of a block, scaled by how many blocks are in it: linear in `y`, free columns and that number.

    Parameters
    ----------
    kind : int
    pattern : bytes
    columns : (k, f + 1) array
        The block's columns, times the number, in `y`.
    sides : (s, f + 1) array
        ``sides @ y >= 0``.
    equations : (e, f + 1) array
        ``equations @ y == 0``.
    stated : (s,) boolean array
        Sides that the program has.
    first : int
        The first of its columns in the program.
    used : int
        The number of the last solve with a block in it.
    """

    kind: int
    pattern: bytes
    columns: Array
    sides: Array
    equations: Array
    stated: Array
    first: int = 0
    used: int = 0


class _Kind:
    """Blocks that are alike: what any of their regions is made of."""

    def __init__(self, number: int, parts: Sequence[Block], links: Any) -> None:
        part = parts[0]
        self.number, self.count, self.problem = number, len(parts), part.problem
        self.links = np.where(part.own, links[:, part.columns].toarray(), 0.0)
        self.program = RegionProgram(self.problem)
        self._free, self._lift = _free_columns(self.problem, self.program.columns, self.links)
        lower, upper = (side[self.program.columns][self._free] for side in (self.problem.lower, self.problem.upper))
        self.lower, self.upper = np.minimum(self.count * lower, 0.0), np.maximum(self.count * upper, 0.0)

    def region(self, point: Array) -> Region:
        """The region of a block's point (k,)."""
        return self.program.region_at(point[self.program.columns])

    def cell(self, region: Region) -> _Cell:
        """All that is linear on a region."""
        problem = self.problem
        slopes, by_decisions = region.slopes_with_free(np.zeros(0, int))
        columns = by_decisions.T @ self._lift
        columns[:, -1] += region.v - region.u @ by_decisions
        facets = slopes @ self._lift
        facets[:, -1] += region.preactivations - slopes @ region.u
        rows = np.concatenate([problem.rows @ columns, columns])
        lower = np.concatenate([problem.row_lower, problem.lower])
        upper = np.concatenate([problem.row_upper, problem.upper])
        is_equation = lower == upper
        above, below = np.isfinite(lower) & ~is_equation, np.isfinite(upper) & ~is_equation
        beyond = [_beyond(rows, lower, above), -_beyond(rows, upper, below), region.signs[:, None] * facets]
        sides, equations = _scaled(np.concatenate(beyond)), _scaled(_beyond(rows, lower, is_equation))
        near = sides @ np.append(region.u[self._free], 1.0) <= NEAR
        return _Cell(self.number, pattern_of(region), columns, sides, equations, near)


class RegionMixture:
    """The linear program that shares blocks out among the linear regions that are known of them.

    A region times a number of blocks in it is a cone, on which all is linear. With whole numbers the program is the
    problem itself, as far as blocks stay in these regions; without, its relaxation (Dantzig and Wolfe, 1960, with
    regions in place of their vertices). Sides of regions are stated once a mixture violates them.

    Parameters
    ----------
    problem : Problem
    kinds : sequence of sequences of Block
        Blocks that are alike, with finite bounds on what they decide.
    links : (m,) boolean array
        Rows that link blocks.
    free : (n,) boolean array
        Columns of no block.
    """

    def __init__(self, problem: Problem, kinds: Sequence[Sequence[Block]], links: Array, free: Array) -> None:
        self._problem, self._links, self._rest = problem, links, np.flatnonzero(free)
        rows = problem.rows[links]
        self._kinds = [_Kind(number, parts, rows) for number, parts in enumerate(kinds)]
        self._rest_rows = np.vstack([rows[:, self._rest].toarray(), np.zeros((len(kinds), self._rest.size))])
        self._cells: list[_Cell] = []
        self._solves = 0
        self._program = self._begun()

    @property
    def size(self) -> int:
        """How many regions there are."""
        return len(self._cells)

    @property
    def kinds(self) -> Array:
        """The kinds (r,) of the regions' blocks."""
        return np.array([cell.kind for cell in self._cells], int)

    def add(self, kind: int, point: Array) -> None:
        """Add the region of a point (k,) of a kind of block, unless it is known."""
        region = self._kinds[kind].region(point)
        if self._number(kind, pattern_of(region)) is not None:
            return
        if self.size >= MAX_REGIONS:
            self._forget()
        cell = self._kinds[kind].cell(region)
        cell.used = self._solves
        self._cells.append(cell)
        self._state(cell)

    def counts(self, kind: int, points: Sequence[Array]) -> Array:
        """How many of some points (k,) of a kind of block are in each region (r,)."""
        patterns = [pattern_of(self._kinds[kind].region(point)) for point in points]
        numbers = [self._number(kind, pattern) for pattern in patterns]
        return np.bincount([number for number in numbers if number is not None], minlength=self.size)

    def _number(self, kind: int, pattern: bytes) -> int | None:
        same = (i for i, cell in enumerate(self._cells) if cell.kind == kind and cell.pattern == pattern)
        return next(same, None)

    def hold(self, least: Array) -> None:
        """Ask for so many blocks (r,) in each region at least."""
        places = np.array([cell.first + cell.columns.shape[1] - 1 for cell in self._cells])
        most = np.array([self._kinds[cell.kind].count for cell in self._cells], float)
        self._program.change_bounds(least, most, places)

    def solve(self, seconds: float) -> Mixture | None:
        """The best mixture; None where there is none in time."""
        self._solves += 1
        while True:
            solution = self._program.solve(seconds)
            if not solution.is_optimal or solution.row_duals is None or solution.values is None:
                return None
            if not self._cut(solution.values):
                return self._mixture(solution.values, solution.row_duals)

    def _mixture(self, values: Array, duals: Array) -> Mixture:
        parts = [self._part(cell, values) for cell in self._cells]
        counts = np.array([part[-1] for part in parts])
        places = []
        for cell, part in zip(self._cells, parts, strict=True):
            cell.used = self._solves if part[-1] > SMALL else cell.used
            places.append(cell.columns @ (part / part[-1]) if part[-1] > SMALL else np.zeros(len(cell.columns)))
        prices, rest, n_links = np.zeros(self._links.size), np.zeros(self._problem.n_columns), int(self._links.sum())
        prices[self._links], rest[self._rest] = duals[:n_links], values[: self._rest.size]
        return Mixture(counts, places, prices, duals[n_links : n_links + len(self._kinds)], rest)

    def _part(self, cell: _Cell, values: Array) -> Array:
        return values[cell.first : cell.first + cell.columns.shape[1]]

    def _begun(self) -> LinearProgram:
        """The program without regions: rows that link, and how many blocks there are of each kind."""
        problem, rest, counts = self._problem, self._rest, np.array([float(kind.count) for kind in self._kinds])
        return LinearProgram(
            problem.cost[rest],
            problem.lower[rest],
            problem.upper[rest],
            self._rest_rows,
            np.concatenate([problem.row_lower[self._links], counts]),
            np.concatenate([problem.row_upper[self._links], counts]),
            options=OPTIONS,
        )

    def _state(self, cell: _Cell) -> None:
        """Give the program a region's columns, and its rows as far as they were stated before."""
        kind, program = self._kinds[cell.kind], self._program
        cell.first = program.n_columns
        counted = np.zeros((len(self._kinds), cell.columns.shape[1]))
        counted[cell.kind, -1] = 1.0
        entries = np.zeros((program.n_rows, cell.columns.shape[1]))
        entries[: len(self._rest_rows)] = np.vstack([_without_rounding(kind.links @ cell.columns), counted])
        lower, upper = np.append(kind.lower, 0.0), np.append(kind.upper, kind.count)
        program.append_columns(kind.problem.cost @ cell.columns, lower, upper, sparse.csc_array(entries))
        self._append([cell], [cell.equations], [0.0])
        self._append([cell], [cell.sides[cell.stated]], [np.inf])

    def _append(self, cells: Sequence[_Cell], rows: Sequence[Array], upper: Sequence[float]) -> None:
        parts = [SparseRows.of(each) for each in rows]
        stacked = SparseRows.stacked(
            [part._replace(indices=part.indices + cell.first) for part, cell in zip(parts, cells, strict=True)]
        )
        sizes = [len(each) for each in rows]
        self._program.append_rows(stacked, np.zeros(sum(sizes)), np.repeat(upper, sizes))

    def _cut(self, values: Array) -> bool:
        """State the sides that some values violate; whether there are any."""
        cells, rows = list[_Cell](), list[Array]()
        for cell in self._cells:
            part = self._part(cell, values)
            if not part.any():
                continue
            violated = np.flatnonzero((cell.sides @ part < -SIDE_TOLERANCE) & ~cell.stated)
            if violated.size:
                cell.stated[violated] = True
                cells.append(cell)
                rows.append(cell.sides[violated])
        if cells:
            self._append(cells, rows, [np.inf] * len(cells))
        return bool(cells)

    def _forget(self) -> None:
        """Begin the program anew with the regions that were used last."""
        order = sorted(self._cells, key=lambda cell: -cell.used)
        self._cells, self._program = order[: MAX_REGIONS // 2], self._begun()
        for cell in self._cells:
            self._state(cell)


def pattern_of(region: Region) -> bytes:
    """What tells a region from others of the same networks."""
    return b"".join(np.packbits(states).tobytes() for states in region.patterns)


def _free_columns(problem: Problem, decides: Array, links: Array) -> tuple[Array, Array]:
    """Columns of those that decide from which equations give the others, rather those that linking rows have.

    Returns
    -------
    free : (f,) int array
        Places among `decides` (d,).
    lift : (d, f + 1) array
        ``decisions == lift @ (free columns, 1)``.
    """
    lower, upper = problem.lower[decides], problem.upper[decides]
    is_equation = (problem.row_lower == problem.row_upper) & ~problem.rows_touch_output
    fixed = np.flatnonzero(lower == upper)
    matrix = np.vstack([problem.rows[is_equation][:, decides].toarray(), np.eye(decides.size)[fixed]])
    sides = np.concatenate([problem.row_lower[is_equation], lower[fixed]])
    if not len(matrix):
        return np.arange(decides.size), np.eye(decides.size, decides.size + 1)
    ranges = np.where(upper > lower, upper - lower, 1.0)
    weights = np.where(links[:, decides].any(axis=0) & (upper > lower), LINKED, 1.0)
    _, triangle, order = linalg.qr(matrix * ranges * weights, mode="economic", pivoting=True)
    diagonal = np.abs(np.diag(triangle))
    given = np.sort(order[: int((diagonal > ROUNDING * diagonal[0]).sum())])
    free = np.setdiff1d(np.arange(decides.size), given)
    solved = np.linalg.lstsq(matrix[:, given], np.column_stack([-matrix[:, free], sides]), rcond=None)[0]
    lift = np.zeros((decides.size, free.size + 1))
    lift[free, np.arange(free.size)] = 1.0
    lift[given] = _without_rounding(solved)
    return free, lift


def _beyond(rows: Array, sides: Array, which: Array) -> Array:
    """Some rows less a constant side of each, which stands in the last column."""
    beyond = rows[which]
    beyond[:, -1] -= sides[which]
    return beyond


def _scaled(rows: Array) -> Array:
    """Rows of length one in the free columns, without those that are constant."""
    lengths = np.linalg.norm(rows[:, :-1], axis=1)
    kept = lengths > ROUNDING * (1.0 + np.abs(rows[:, -1]))
    return _without_rounding(rows[kept] / lengths[kept, None])


def _without_rounding(rows: Array) -> Array:
    return np.where(np.abs(rows) > ROUNDING, rows, 0.0)
