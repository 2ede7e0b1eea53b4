"""Columns that follow from an assignment: states by equations, outputs by networks, levels by their tightest row."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from pyomo_relugrad.arrays import Array
from pyomo_relugrad.problem import EmbeddedNetwork, Problem
from pyomo_relugrad.search.separable.assignment import Assignment
from pyomo_relugrad.search.sequential.merit import Merit

#: Entries of the table of what each binary changes.
MAX_ENTRIES = 2e7


@dataclass(frozen=True, eq=False)
class Followers:
    """The columns that follow from an assignment, as a problem of their own.

    Parameters
    ----------
    assignment : Assignment
    problem : Problem
        Without the binaries, and without their rows and equations.
    kept : (k,) int array
        Its columns, in the whole problem.
    is_state, is_level : (k,) boolean arrays
    offset : (s,) array
        The states where all binaries are zero.
    moves : (e, s) array
        What each binary adds to the states.
    """

    assignment: Assignment
    problem: Problem
    kept: Array
    is_state: Array
    is_level: Array
    offset: Array
    moves: Array

    @classmethod
    def of(cls, assignment: Assignment) -> Followers | None:
        """The followers, None where a column does not follow."""
        problem, binaries = assignment.problem, assignment.columns
        is_node = np.isin(np.arange(problem.n_rows), assignment.rows)
        equations = np.flatnonzero((problem.row_lower == problem.row_upper) & ~is_node)
        others = np.flatnonzero((problem.row_lower < problem.row_upper) & ~is_node)
        free = ~problem.integers & ~problem.is_output & (problem.lower < problem.upper)
        in_equations = np.bincount(problem.rows[equations].indices, minlength=problem.n_columns) > 0
        kept = np.flatnonzero(~problem.integers)
        is_state, is_level = (free & in_equations)[kept], (free & ~in_equations)[kept]
        states = kept[is_state]
        rest = problem.rows[others]
        follows = (
            states.size == equations.size
            and states.size * binaries.size <= MAX_ENTRIES
            and not problem.rows_touch_output[equations].any()
            and not problem.is_input[kept[is_level]].any()
            and not problem.is_input[binaries].any()
            and not problem.cost[binaries].any()
            and not np.isin(rest.indices, binaries).any()
            and (rest[:, kept[is_level]] != 0).sum(axis=1).max(initial=0) <= 1
        )
        matrix = problem.rows[equations][:, states].toarray() if follows else np.zeros((0, 0))
        if not follows or np.linalg.matrix_rank(matrix) < states.size:
            return None
        fixed = np.where(free | problem.is_output | problem.integers, 0.0, problem.lower)
        offset = np.linalg.solve(matrix, problem.row_lower[equations] - problem.rows[equations] @ fixed)
        moves = -np.linalg.solve(matrix, problem.rows[equations][:, binaries].toarray()).T
        place = np.full(problem.n_columns, -1)
        place[kept] = np.arange(kept.size)
        networks = (EmbeddedNetwork(e.network, place[e.inputs], place[e.outputs]) for e in problem.networks)
        small = Problem(
            problem.cost[kept],
            problem.lower[kept],
            problem.upper[kept],
            rest[:, kept],
            problem.row_lower[others],
            problem.row_upper[others],
            networks=tuple(networks),
            constant=problem.constant,
        )
        return cls(assignment, small, kept, is_state, is_level, offset, np.ascontiguousarray(moves))

    def states(self, x: Array) -> Array:
        """The states (s,) at values (e,) of the binaries."""
        return self.offset + x @ self.moves

    def points(self, states: Array) -> Array:
        """Points (B, k) of the small problem, from states (B, s): outputs and levels follow."""
        problem = self.problem
        V = np.tile(np.clip(0.0, problem.lower, problem.upper), (len(states), 1))
        V[:, self.is_state] = states
        V = problem.propagate(V)
        V[:, self.is_level] = self._levels(V)[0]
        return V

    def _levels(self, V: Array) -> tuple[Array, Array]:
        """The best values (B, l) of the levels, and the row (B, l) that is the tightest for each; -1: its bound."""
        problem, levels = self.problem, np.flatnonzero(self.is_level)
        V = V.copy()
        V[:, levels] = 0.0
        activity = problem.row_activity(V)
        values, tightest = np.zeros((len(V), levels.size)), np.full((len(V), levels.size), -1)
        for index, level in enumerate(levels):
            entries = problem.rows[:, [level]].tocoo()
            rows, slope, sign = entries.coords[0], entries.data, 1.0 if problem.cost[level] < 0 else -1.0
            side = np.where(sign * slope > 0, problem.row_upper[rows], problem.row_lower[rows])
            reached = sign * (side - activity[:, rows]) / slope
            bound = sign * (problem.upper if sign > 0 else problem.lower)[level]
            best = reached.min(axis=1, initial=np.inf)
            values[:, index] = sign * np.minimum(best, bound)
            if rows.size:
                tightest[:, index] = np.where(best < bound, rows[reached.argmin(axis=1)], -1)
        return values, tightest

    def slopes(self, states: Array, merit: Merit) -> Array:
        """Derivative (e,) of the merit in each binary, its states, outputs and levels following."""
        problem, point = self.problem, self.points(states[None])
        cost = problem.cost.copy()
        for level, row in zip(np.flatnonzero(self.is_level), self._levels(point)[1][0], strict=True):
            if row >= 0:
                coefficients = problem.rows[[row]].toarray()[0]
                cost -= cost[level] / coefficients[level] * coefficients
            cost[level] = 0.0
        gradient = merit.gradient(replace(problem, cost=cost), point)[0]
        return np.asarray(self.moves @ gradient[self.is_state])

    def whole(self, x: Array) -> Array:
        """The point (n,) of the whole problem at values (e,) of the binaries."""
        v = np.zeros(self.assignment.problem.n_columns)
        v[self.assignment.columns] = x
        v[self.kept] = self.points(self.states(x)[None])[0]
        return v
