"""Programs that choose from tables: a weight for each point in place of the columns that the tables hold."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import sparse

from pyomo_relugrad.arrays import Array, Weight
from pyomo_relugrad.problem import FEASIBILITY_TOLERANCE, Problem
from pyomo_relugrad.programs.linear_program import LinearProgram, LinearSolution, LinearStatus
from pyomo_relugrad.search.separable.tables import Table

#: Relative gap at which a choice counts as the best: less than what ends a search.
CHOICE_GAP = 1e-7
PRIMAL_SIMPLEX = {"solver": "simplex", "simplex_strategy": 4}


@dataclass(frozen=True, eq=False)
class Choice:
    """What the program over the tables gave.

    Parameters
    ----------
    values : (n,) array or None
        A point of the problem; None where none was found.
    objective : float
        Of that point, infinite where there is none.
    bound : float
        No choice has a smaller objective.
    is_solved : bool
        Whether the program was solved to the end.
    prices : (W,) array or None
        For each point of the tables, what choosing it costs at least beyond the bound (relaxation only).
    row_duals : (m,) array or None
        Multipliers of the problem's rows (relaxation only).
    """

    values: Array | None
    objective: float
    bound: float
    is_solved: bool
    prices: Array | None = None
    row_duals: Array | None = None


class ChoiceProgram:
    """The problem with columns that tables hold replaced by weights: ``v[columns] = weights @ points``.

    Without integrality this is the Lagrangian relaxation of all rows that tie tables to each other, at its best
    multipliers; with it, the problem itself, as far as tables hold it (Dantzig-Wolfe).

    Parameters
    ----------
    problem : Problem
        With a linear objective.
    tables : sequence of Table
    """

    def __init__(self, problem: Problem, tables: Sequence[Table]) -> None:
        self._problem, self._tables = problem, tables
        n, sizes = problem.n_columns, [len(table.points) for table in tables]
        self.n_points = sum(sizes)
        in_table = np.zeros(n, bool)
        for table in tables:
            in_table[table.columns] = True
        self.rest = np.flatnonzero(~in_table)
        self.table_of = np.repeat(np.arange(len(tables)), sizes)
        self.joined = np.concatenate([np.zeros(0, bool), *(table.joined for table in tables)])
        #: (n, W) the points as columns.
        self.points = self._point_columns()
        bounded = np.flatnonzero(in_table & self._misses_bounds())
        rest = self.rest
        table_rows = sparse.vstack([problem.rows, sparse.eye_array(n, format="csr")[bounded]], format="csr")
        ones = sparse.csr_array((np.ones(self.n_points), (self.table_of, np.arange(self.n_points))))
        self._rows = sparse.block_array([[table_rows[:, rest], table_rows @ self.points], [None, ones]], format="csr")
        one = np.ones(len(tables))
        self._row_lower = np.concatenate([problem.row_lower, problem.lower[bounded], one])
        self._row_upper = np.concatenate([problem.row_upper, problem.upper[bounded], one])
        self._cost = np.concatenate([problem.cost[rest], self.points.T @ problem.cost])
        self._lower = np.concatenate([problem.lower[rest], np.zeros(self.n_points)])
        self._upper = np.concatenate([problem.upper[rest], np.ones(self.n_points)])

    def _point_columns(self) -> Weight:
        rows, columns, entries, first = [], [], [], 0
        for table in self._tables:
            k, c = table.points.shape
            rows.append(np.tile(table.columns, k))
            columns.append(np.repeat(first + np.arange(k), c))
            entries.append(table.points.ravel())
            first += k
        places = np.concatenate(rows), np.concatenate(columns)
        return sparse.csr_array((np.concatenate(entries), places), shape=(self._problem.n_columns, self.n_points))

    def _misses_bounds(self) -> Array:
        """(n,) booleans: columns of which a point of a table is outside the bounds."""
        points, problem = self.points.tocoo(), self._problem
        row, value = points.coords[0], points.data
        misses = np.zeros(problem.n_columns, bool)
        misses[row[(value < problem.lower[row]) | (value > problem.upper[row])]] = True
        return misses

    def relax(self, time_limit: float) -> Choice:
        """Solve without integrality."""
        # Weights are at most one by their row; there are far more of them than rows, so the primal simplex is faster.
        upper = np.where(np.arange(self._upper.size) < self.rest.size, self._upper, np.inf)
        sides = self._row_lower, self._row_upper
        program = LinearProgram(self._cost, self._lower, upper, self._rows, *sides, options=PRIMAL_SIMPLEX)
        solution = program.solve(time_limit)
        if not solution.is_optimal or solution.column_duals is None or solution.row_duals is None:
            return Choice(None, np.inf, -np.inf, solution.is_optimal)
        safe = solution.objective - 0.1 * FEASIBILITY_TOLERANCE * (1 + abs(solution.objective))
        constant, n_rest = self._problem.constant, self.rest.size
        return Choice(
            self._values(solution),
            solution.objective + constant,
            safe + constant,
            True,
            np.maximum(solution.column_duals[n_rest:], 0.0),
            solution.row_duals[: self._problem.n_rows],
        )

    def cheapest(self, prices: Array, per_table: int) -> Array:
        """The points (W,) that cost least, so many per table on average."""
        limit = np.sort(prices)[min(per_table * len(self._tables), prices.size) - 1]
        return np.asarray(prices <= limit)

    def with_neighbours(self, points: Array) -> Array:
        """The points (W,) of a mask, and those that they are joined to."""
        after = np.roll(self.joined & points, 1)
        before = self.joined & np.roll(points, -1)
        return np.asarray(points | after | before)

    def choose(self, points: Array, time_limit: float) -> Choice:
        """Solve with integrality over some points, and over what lies between them where they are joined.

        Parameters
        ----------
        points : (W,) boolean array
        time_limit : float
        """
        chosen, n_rest = np.flatnonzero(points), self.rest.size
        segments = np.flatnonzero(self.joined & points & np.roll(points, -1))
        ends = np.searchsorted(chosen, segments)
        is_end = np.zeros(chosen.size, bool)
        is_end[ends] = is_end[ends + 1] = True
        n_segments, n_chosen = segments.size, chosen.size
        kept = np.concatenate([np.arange(n_rest), n_rest + chosen])
        tables = self.table_of[chosen]
        n_tables = len(self._tables)
        # A point on a segment needs that segment; of its segments and its other points, a table gives one.
        adjacent = sparse.csr_array(
            (np.ones(2 * n_segments), (np.tile(np.arange(n_segments), 2), np.concatenate([ends, ends + 1]))),
            shape=(n_segments, n_chosen),
        ).T.tocsr()[is_end]
        own = sparse.eye_array(n_chosen, format="csr")[is_end]
        alone = np.flatnonzero(~is_end)
        ones = sparse.csr_array((np.ones(alone.size), (tables[alone], alone)), shape=(n_tables, n_chosen))
        one_segment = sparse.csr_array(
            (np.ones(n_segments), (self.table_of[segments], np.arange(n_segments))), shape=(n_tables, n_segments)
        )
        rows = sparse.block_array(
            [
                [self._rows[:, kept[:n_rest]], self._rows[:, kept[n_rest:]], None],
                [None, own, -adjacent],
                [None, ones, one_segment],
            ],
            format="csr",
        )
        program = LinearProgram(
            np.concatenate([self._cost[kept], np.zeros(n_segments)]),
            np.concatenate([self._lower[kept], np.zeros(n_segments)]),
            np.concatenate([self._upper[kept], np.ones(n_segments)]),
            rows,
            np.concatenate([self._row_lower, np.full(own.shape[0], -np.inf), np.ones(n_tables)]),
            np.concatenate([self._row_upper, np.zeros(own.shape[0]), np.ones(n_tables)]),
            integers=np.concatenate([self._problem.integers[self.rest], ~is_end, np.ones(n_segments, bool)]),
            options={"mip_rel_gap": CHOICE_GAP, "mip_abs_gap": CHOICE_GAP},
        )
        solution = program.solve(time_limit)
        if solution.values is None:
            return Choice(None, np.inf, solution.bound, solution.status is not LinearStatus.LIMIT)
        weights = np.zeros(self.n_points)
        weights[chosen] = solution.values[n_rest:][:n_chosen]
        values = self._assembled(solution.values[:n_rest], weights)
        constant = self._problem.constant
        return Choice(values, solution.objective + constant, solution.bound + constant, solution.is_optimal)

    def _values(self, solution: LinearSolution) -> Array | None:
        if solution.values is None:
            return None
        return self._assembled(solution.values[: self.rest.size], solution.values[self.rest.size :])

    def _assembled(self, rest: Array, weights: Array) -> Array:
        values = self.points @ weights
        values[self.rest] = rest
        return values
