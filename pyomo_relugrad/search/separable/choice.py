"""Programs that choose from tables: a weight for each point in place of the columns that the tables hold."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import sparse

from pyomo_relugrad.arrays import Array, Weight
from pyomo_relugrad.problem import Problem
from pyomo_relugrad.programs import LinearProgram, LinearStatus, below_tolerance, proven_minimum
from pyomo_relugrad.search.separable.tables import Table

#: Of HiGHS: gaps, relative and absolute, at which a choice counts as the best, less than what ends a search.
CHOICE_OPTIONS: dict[str, Any] = {"mip_rel_gap": 1e-7, "mip_abs_gap": 1e-7}
#: The same where integers are held: heuristics cost more than they bring.
HELD_OPTIONS: dict[str, Any] = {
    **CHOICE_OPTIONS,
    "mip_allow_restart": False,
    "mip_heuristic_run_feasibility_jump": False,
    "mip_heuristic_run_rins": False,
    "mip_heuristic_run_rens": False,
    "mip_heuristic_run_root_reduced_cost": False,
}
#: There are far more weights than rows, for which the primal simplex method is faster.
RELAXATION_OPTIONS: dict[str, Any] = {"solver": "simplex", "simplex_strategy": 4}


@dataclass(frozen=True, eq=False)
class RelaxedChoice:
    """The optimum where weights need not be whole.

    Parameters
    ----------
    objective : float
    bound : float
        The same, less what HiGHS's tolerances may have added.
    prices : (W,) array
        What each point costs beyond the bound, at the least.
    row_duals : (m,) array
        Multipliers of the problem's rows; that of a row at its lower side is not negative.
    """

    objective: float
    bound: float
    prices: Array
    row_duals: Array


@dataclass(frozen=True, eq=False)
class ChosenPoints:
    """What was chosen.

    Parameters
    ----------
    values : (n,) array or None
        A point of the problem; None where none was found.
    objective : float
        Of that point, infinite where there is none.
    bound : float
        No choice from the same points has a smaller objective; less what HiGHS's tolerances may have added.
    is_solved : bool
        Whether the program ended before its time limit.
    solution : array or None
        Of the program: another one over the same points can begin with it.
    """

    values: Array | None
    objective: float
    bound: float
    is_solved: bool
    solution: Array | None = None


class ChoiceProgram:
    """The problem with columns that tables hold replaced by weights: ``v[columns] = weights @ points``.

    With whole weights it is the problem itself, as far as the tables hold it. Without, it is the Lagrangian relaxation
    of all rows that tie tables to each other, at its best multipliers (Dantzig and Wolfe, 1960).

    Parameters
    ----------
    problem : Problem
        With a linear objective.
    tables : sequence of Table
        None is empty, and no two share a column.
    """

    def __init__(self, problem: Problem, tables: Sequence[Table]) -> None:
        self._problem, self._n_tables = problem, len(tables)
        sizes = [len(table.points) for table in tables]
        self.n_points = sum(sizes)
        self._table_of = np.repeat(np.arange(len(tables)), sizes)
        self._joined = np.concatenate([table.joined for table in tables])
        self._points = _point_columns(problem, tables)
        in_table = np.zeros(problem.n_columns, bool)
        in_table[np.concatenate([table.columns for table in tables])] = True
        self._rest = np.flatnonzero(~in_table)
        n_rest = self._rest.size
        bounded = self._columns_beyond_bounds()
        rows = sparse.vstack([problem.rows, sparse.eye_array(problem.n_columns, format="csr")[bounded]], format="csr")
        sums = _ones(self._table_of, np.arange(self.n_points), (self._n_tables, self.n_points))
        self._rows = sparse.block_array([[rows[:, self._rest], rows @ self._points], [None, sums]], format="csr")
        one = np.ones(self._n_tables)
        self._row_lower = np.concatenate([problem.row_lower, problem.lower[bounded], one])
        self._row_upper = np.concatenate([problem.row_upper, problem.upper[bounded], one])
        self._cost = np.concatenate([problem.cost[self._rest], self._points.T @ problem.cost])
        self._lower = np.concatenate([problem.lower[self._rest], np.zeros(self.n_points)])
        self._upper = np.concatenate([problem.upper[self._rest], np.ones(self.n_points)])
        self._weights = n_rest + np.arange(self.n_points)

    def _columns_beyond_bounds(self) -> Array:
        """Columns of which a point of a table is outside the bounds."""
        points, problem = self._points.tocoo(), self._problem
        row, value = points.coords[0], points.data
        return np.unique(row[(value < problem.lower[row]) | (value > problem.upper[row])])

    def relax(self, time_limit: float) -> RelaxedChoice | None:
        """Solve for any weights; None where that gives no optimum."""
        sides = self._row_lower, self._row_upper
        program = LinearProgram(self._cost, self._lower, self._upper, self._rows, *sides, options=RELAXATION_OPTIONS)
        solution = program.solve(time_limit)
        if not solution.is_optimal or solution.column_duals is None or solution.row_duals is None:
            return None
        constant, prices = self._problem.constant, solution.column_duals[self._weights]
        # No point of a table may be priced below zero: its weights add up to one, whatever the cheapest one costs.
        cheapest = np.full(self._n_tables, np.inf)
        np.minimum.at(cheapest, self._table_of, prices)
        duals = solution.row_duals + np.append(np.zeros(self._rows.shape[0] - self._n_tables), cheapest)
        bound = proven_minimum(self._cost, self._lower, self._upper, self._rows, *sides, duals)
        prices = np.maximum(prices - cheapest[self._table_of], 0.0)
        on_rows = solution.row_duals[: self._problem.n_rows]
        return RelaxedChoice(solution.objective + constant, below_tolerance(bound + constant), prices, on_rows)

    def cheapest(self, prices: Array, per_table: int) -> Array:
        """(W,) booleans: the points that cost least, so many per table on average."""
        limit = np.sort(prices)[min(per_table * self._n_tables, prices.size) - 1]
        return np.asarray(prices <= limit)

    def with_neighbours(self, points: Array) -> Array:
        """(W,) booleans: the points of a mask, and those that they are joined to."""
        after = np.roll(self._joined & points, 1)
        before = self._joined & np.roll(points, -1)
        return np.asarray(points | after | before)

    def nearest(self, values: Array) -> Array:
        """(W,) booleans: of each table the point that is nearest to a point (n,)."""
        distances = np.asarray(self._points.multiply(self._points).sum(axis=0)) - 2.0 * (values @ self._points)
        order = np.lexsort((distances, self._table_of))
        is_nearest = np.zeros(self.n_points, bool)
        is_nearest[order[np.append(True, np.diff(self._table_of[order]) > 0)]] = True
        return is_nearest

    def solution(self, values: Array, points: Array) -> Array:
        """The solution of a choice from some points (W,) that gives a point (n,); no point is joined to another."""
        return np.concatenate([values[self._rest], 1.0 * self.nearest(values)[points]])

    def choose(
        self, points: Array, time_limit: float, start: Array | None = None, held: Array | None = None
    ) -> ChosenPoints:
        """Solve for whole weights of some points, or of two that are joined, which then share one.

        Parameters
        ----------
        points : (W,) boolean array
        time_limit : float
        start : array, optional
            The solution of another choice from the same points.
        held : (n,) array, optional
            Values of integers that no table holds; those that are NaN are free.
        """
        chosen = np.flatnonzero(points)
        segments = np.flatnonzero(self._joined & points & np.roll(points, -1))
        first = np.searchsorted(chosen, segments)
        to_weights = sparse.eye_array(chosen.size) - _ones(first, first + 1, (chosen.size, chosen.size))
        program = self._program(chosen, first, to_weights, held)
        if start is not None:
            program.start_from_values(start)
        solution = program.solve(time_limit)
        is_solved, constant, n_rest = solution.status is not LinearStatus.LIMIT, self._problem.constant, self._rest.size
        if solution.values is None:
            return ChosenPoints(None, np.inf, solution.bound, is_solved)
        values = self._points[:, chosen] @ (to_weights @ solution.values[n_rest:][: chosen.size])
        values[self._rest] = solution.values[:n_rest]
        bound = below_tolerance(solution.bound + constant)
        return ChosenPoints(values, solution.objective + constant, bound, is_solved, solution.values)

    def _program(self, chosen: Array, first: Array, to_weights: Weight, held: Array | None) -> LinearProgram:
        """The program with whole weights of chosen points (k,), or of the two ends of a segment.

        A curve of joined points is filled from its first one on: in the place of a point's weight stands the sum of its
        own and of those of all further points of its curve, and a segment's binary says whether it or a further one is
        chosen. So each binary parts the curve in two (the incremental formulation of Markowitz and Manne, 1957).
        """
        n_rest, numbers = self._rest.size, np.arange(first.size)
        shape = first.size, chosen.size
        is_end, opens = np.zeros(chosen.size, bool), ~np.isin(first, first + 1)
        is_end[first] = is_end[first + 1] = True
        before, after = _ones(numbers, first, shape), _ones(numbers, first + 1, shape)
        segments = sparse.eye_array(first.size, format="csr")
        weights = self._weights[chosen]
        rows = [
            [self._rows[:, :n_rest], self._rows[:, weights] @ to_weights, None],
            [None, after, -segments],
            [None, -before, segments],
            [None, before[opens], -segments[opens]],
        ]
        n_ordered = 2 * first.size + int(opens.sum())
        lower = np.concatenate([self._lower[:n_rest], np.zeros(chosen.size + first.size)])
        upper = np.concatenate([self._upper[:n_rest], np.ones(chosen.size + first.size)])
        if held is not None:
            integers = np.flatnonzero(self._problem.integers[self._rest] & ~np.isnan(held[self._rest]))
            lower[integers] = upper[integers] = np.round(held[self._rest[integers]])
        cost = [self._cost[:n_rest], self._cost[weights] @ to_weights, np.zeros(first.size)]
        return LinearProgram(
            np.concatenate(cost),
            lower,
            upper,
            sparse.block_array(rows, format="csr"),
            np.concatenate([self._row_lower, np.full(n_ordered, -np.inf)]),
            np.concatenate([self._row_upper, np.zeros(n_ordered)]),
            integers=np.concatenate([self._problem.integers[self._rest], ~is_end, np.ones(first.size, bool)]),
            options=CHOICE_OPTIONS if held is None else HELD_OPTIONS,
        )


def _point_columns(problem: Problem, tables: Sequence[Table]) -> Weight:
    """(n, W) the points of all tables as columns."""
    sizes = np.array([len(table.points) for table in tables])
    first = np.cumsum(sizes) - sizes
    rows = np.concatenate([np.tile(table.columns, len(table.points)) for table in tables])
    columns = np.concatenate(
        [np.repeat(begin + np.arange(len(t.points)), t.columns.size) for begin, t in zip(first, tables, strict=True)]
    )
    entries = np.concatenate([table.points.ravel() for table in tables])
    return sparse.csr_array((entries, (rows, columns)), shape=(problem.n_columns, int(sizes.sum())))


def _ones(rows: Array, columns: Array, shape: tuple[int, int]) -> Weight:
    return sparse.csr_array((np.ones(rows.size), (rows, columns)), shape=shape)
