"""Points made whole: what decisions alone determine.

Decisions are the columns that networks read, and integers. States follow from them by equations and networks; what is
left (slacks, costs, flows) is chosen by a linear program.
"""

from collections.abc import Iterator
from functools import cached_property

import numpy as np

from pyomo_relugrad.arrays import Array, Weight
from pyomo_relugrad.deadline import checkpoint
from pyomo_relugrad.problem import FEASIBILITY_TOLERANCE, Problem
from pyomo_relugrad.programs import LinearProgram
from pyomo_relugrad.run import Budget
from pyomo_relugrad.search.relaxation import LinearRelaxation
from pyomo_relugrad.search.soft_rows import SoftRows

# Share of the time left that one program may take: a search without completed points is better than none.
PROGRAM_SHARE = 0.1


class Completion:
    """Completes points of one problem.

    Parameters
    ----------
    problem : Problem
    surroundings : LinearRelaxation
    budget : Budget
        Of the search that the points are for. They cost it time, and no iterations.
    """

    def __init__(self, problem: Problem, surroundings: LinearRelaxation, budget: Budget) -> None:
        self._problem, self._surroundings, self._budget = problem, surroundings, budget
        self._decided = ~problem.is_output & (problem.is_input | problem.integers)
        self._rest = ~problem.is_output & ~self._decided
        self._programs: dict[bool, LinearProgram] = {}

    @cached_property
    def _soft(self) -> SoftRows:
        return SoftRows.of(self._problem)

    def starts(self, start: Array, relaxed: Array | None) -> Iterator[Array]:
        """Points (n,) from a warm start, closest to what was meant first; each is for where those before it fail.

        Values that contradict each other leave no point. States are then computed anew; integers that no network reads
        are chosen anew, as indicators of another plan; and at last decisions move to the nearest that the rows allow.
        """
        start = np.clip(start, self._problem.lower, self._problem.upper)
        yield self.start(start, relaxed)
        is_given = ~np.isnan(start)
        decisions = np.where(self._states, np.nan, start)
        if (is_given & self._states).any():
            yield self.start(decisions, relaxed)
        indicators = is_given & self._problem.integers & ~self._problem.is_input
        if indicators.any():
            yield self.start(np.where(indicators, np.nan, decisions), relaxed)
        moved = is_given & self._decided & ~self._states
        nearest = self._surroundings.nearest(start, moved, self._budget) if moved.any() else None
        if nearest is not None:
            yield self.start(np.where(moved, nearest, np.nan), relaxed)

    def is_whole(self, start: Array) -> bool:
        """Whether a start leaves nothing to be chosen: it has all decisions, and there is nothing else but slacks."""
        return not np.isnan(start[self._decided]).any() and self._rest_is_slack

    @cached_property
    def _rest_is_slack(self) -> bool:
        free = self._rest & (self._problem.lower < self._problem.upper)
        return np.array_equal(np.flatnonzero(free), self._slacks)

    @cached_property
    def _slacks(self) -> Array:
        """The slack columns; without rows there are none."""
        return self._soft.columns if self._problem.n_rows else np.zeros(0, np.int64)

    def with_slacks(self, start: Array) -> Array:
        """A start with the slacks that its decisions leave, within the bounds."""
        if not self._slacks.size:
            return start
        problem = self._problem
        v = np.clip(np.where(self._rest & np.isnan(start), problem.lower, start), problem.lower, problem.upper)
        return self._soft.loosened(problem.propagate(v[None]))[0]

    def is_decided(self, start: Array) -> bool:
        """Whether a start has all decisions, but for states and fixed columns."""
        needed = self._decided & ~self._states & (self._problem.lower < self._problem.upper)
        return not bool(np.isnan(start[needed]).any())

    @cached_property
    def _states(self) -> Array:
        """(n,) booleans: what networks read and an equation with a network's output may determine."""
        problem = self._problem
        equations = problem.rows[(problem.row_lower == problem.row_upper) & problem.rows_touch_output]
        in_equations = np.zeros(problem.n_columns, bool)
        in_equations[equations.indices] = True
        return in_equations & problem.is_input & ~problem.is_output & ~problem.integers

    def start(self, start: Array, relaxed: Array | None) -> Array:
        """A point (n,) from a warm start, NaN where a column has no value.

        A missing value follows from the others where an equation or a network gives it. Decisions that are still
        missing are chosen by a program over the rows, or else taken from the relaxation's point. What is no decision,
        a slack for example, is chosen anew even where it has a value: it may belong to another point.
        """
        v = determined(self._problem, np.clip(start, self._problem.lower, self._problem.upper))
        if np.isnan(v[self._decided]).any():
            chosen = self._program(np.where(self._decided, v, np.nan))
            chosen = relaxed if chosen is None else chosen
            v = v if chosen is None else np.where(np.isnan(v), chosen, v)
        return self._with_rest(v)

    def nearest(self, target: Array) -> Array:
        """The point nearest to the target that the rows without outputs allow, its rest chosen; or the target."""
        problem = self._problem
        V = problem.propagate(target[None])
        hard_rows = problem.row_violations(V)[0, ~problem.rows_touch_output]
        nearest = None
        if hard_rows.max(initial=0.0) > FEASIBILITY_TOLERANCE:
            nearest = self._surroundings.nearest(V[0], ~problem.is_output, self._budget)
        return self._with_rest(V[0] if nearest is None else nearest)

    def _with_rest(self, v: Array) -> Array:
        """The point with its outputs propagated, and its rest chosen, by a linear program unless it is slacks."""
        problem = self._problem
        v = np.where(np.isnan(v), np.clip(0.0, problem.lower, problem.upper), v)
        (point,) = problem.propagate(np.where(problem.integers, np.round(v), v)[None])
        if self._rest_is_slack:
            return self._soft.loosened(point[None])[0]
        chosen = self._program(np.where(self._rest, np.nan, point)) if self._rest.any() else None
        return point if chosen is None else np.where(self._rest, chosen, point)

    def _program(self, held: Array) -> Array | None:
        """The best point of the surroundings with some values held, NaN for the others; None where none is found."""
        checkpoint()
        problem = self._problem
        free = np.isnan(held)
        has_integers = bool((free & problem.integers).any())
        program = self._programs.get(has_integers)
        if program is None:
            program = self._programs[has_integers] = self._surroundings.program(has_integers)
        lower, upper = self._surroundings.lower, self._surroundings.upper
        program.change_bounds(np.where(free, lower, held), np.where(free, upper, held))
        return program.solve(PROGRAM_SHARE * self._budget.remaining).values


def determined(problem: Problem, v: Array) -> Array:
    """A point (n,) in which missing values, NaN, are filled in where the others leave no choice.

    Fixed columns have their values, networks give their outputs once their inputs are known, and an equation with one
    unknown gives that one.
    """
    v = np.where(problem.lower == problem.upper, problem.lower, v)
    v = np.where(problem.is_output, np.nan, v)
    equations = np.flatnonzero(problem.row_lower == problem.row_upper)
    rows, right = problem.rows[equations], problem.row_lower[equations]
    n_missing = -1
    while n_missing != int(np.isnan(v).sum()):
        checkpoint()
        n_missing = int(np.isnan(v).sum())
        v = _solve_single_unknowns(rows, right, _propagate_known(problem, v), problem.is_output)
    return v


def _propagate_known(problem: Problem, v: Array) -> Array:
    """Missing outputs of networks all of whose inputs are known."""
    v = v.copy()
    for stage in problem.stages:
        ready = ~np.isnan(v[stage.inputs]).any(axis=1) & np.isnan(v[stage.outputs]).any(axis=1)
        if ready.any():
            v[stage.outputs[ready]] = stage.value(v[stage.inputs[ready]])
    return v


def _solve_single_unknowns(rows: Weight, right: Array, v: Array, is_output: Array) -> Array:
    """The unknown of each equation that has just one; outputs are left to their networks."""
    unknown = np.isnan(v)
    entries = rows.tocoo()
    row, column = entries.coords
    counts = np.bincount(row, unknown[column] & (entries.data != 0), right.size)
    solvable = (counts[row] == 1) & unknown[column] & (entries.data != 0) & ~is_output[column]
    activity = rows @ np.where(unknown, 0.0, v)
    v = v.copy()
    v[column[solvable]] = (right - activity)[row[solvable]] / entries.data[solvable]
    return v
