"""Dives: decisions are fixed one after another, and what follows from them by the rows, until all integers are."""

from collections.abc import Iterator

import numpy as np

from pyomo_relugrad.arrays import Array
from pyomo_relugrad.problem import FEASIBILITY_TOLERANCE, Incumbent, Problem
from pyomo_relugrad.problem.presolve.row_tightening import RowTightening
from pyomo_relugrad.programs import LinearProgram
from pyomo_relugrad.run import SearchContext
from pyomo_relugrad.search.relaxation import RANDOM_RANGE, LinearRelaxation

#: Dives to random points.
N_DIVES = 5
#: Values that are tried for a column before it is left open.
ATTEMPTS = 3
#: Values that a dive tries at most, many where a problem has few coefficients: more of them take longer than a program.
MAX_TRIED, LEAST_TRIED, MAX_COEFFICIENTS = 200, 50, 2_000_000


class Dive:
    """Fixes columns, those in most rows first, until the rows decide all integers."""

    def __init__(self, problem: Problem) -> None:
        self._problem, self._surroundings = problem, LinearRelaxation(problem)
        self._tighten = RowTightening(problem)
        self._degrees = np.bincount(problem.rows.indices, minlength=problem.n_columns)
        self._max_tried = min(max(MAX_COEFFICIENTS // max(problem.rows.nnz, 1), LEAST_TRIED), MAX_TRIED)
        self._program: LinearProgram | None = None

    def _fix(self, target: Array, random: np.random.Generator) -> tuple[Array, Array] | None:
        """Fix columns at the target's values (NaN: at random), or at others where the rows exclude these."""
        problem = self._problem
        lower, upper, possible = self._tighten(self._surroundings.lower[None], self._surroundings.upper[None])
        lower, upper = lower[0], upper[0]
        candidates = np.flatnonzero(~problem.is_output & (lower < upper))
        order = np.lexsort((random.random(candidates.size), -self._degrees[candidates]))
        n_tried = 0
        for column in candidates[order].tolist():
            if not possible[0] or n_tried > self._max_tried:
                return None
            if not (problem.integers & (lower < upper)).any():
                break
            if upper[column] - lower[column] <= FEASIBILITY_TOLERANCE:
                continue
            box, tried = self._fixed_at(column, target[column], lower, upper, random)
            lower, upper = (lower, upper) if box is None else box
            n_tried += tried
        return lower, upper

    def _fixed_at(
        self, column: int, target: float, lower: Array, upper: Array, random: np.random.Generator
    ) -> tuple[tuple[Array, Array] | None, int]:
        """The bounds with one column fixed, None where no value that is tried fits; and how many are tried."""
        for attempt in range(ATTEMPTS):
            value = target if attempt == 0 and np.isfinite(target) else _drawn(lower[column], upper[column], random)
            low, high = lower[None].copy(), upper[None].copy()
            low[0, column] = high[0, column] = self._allowed(column, value, lower[column], upper[column])
            low, high, possible = self._tighten(low, high)
            if possible[0]:
                return (low[0], high[0]), attempt + 1
        return None, ATTEMPTS

    def _allowed(self, column: int, value: float, lower: float, upper: float) -> float:
        value = min(max(value, lower), upper)
        return float(np.round(value)) if self._problem.integers[column] else value

    def point(self, target: Array, context: SearchContext) -> Incumbent | None:
        """A point with the integers of a dive, the rest chosen by a linear program; None where there is none."""
        box = self._fix(target, context.random)
        if box is None or (self._problem.integers & (box[0] < box[1])).any():
            return None
        program = self._program = self._program or self._surroundings.program(integral=False)
        integers = self._problem.integers
        program.change_bounds(
            np.where(integers, box[0], self._surroundings.lower),
            np.where(integers, box[1], self._surroundings.upper),
        )
        context.budget.count(points=1)
        values = program.solve(context.budget.remaining).values
        return None if values is None else self._problem.incumbent(values)


def dives(problem: Problem, context: SearchContext) -> Iterator[Incumbent]:
    """Points by dives, towards the relaxation's point first, until one of them takes too long or leads nowhere."""
    if not problem.integers.any():
        return
    dive = Dive(problem)
    targets = [np.full(problem.n_columns, np.nan)] * N_DIVES
    for target in targets if context.relaxed is None else [context.relaxed, *targets]:
        point = None if context.budget.is_exhausted() else dive.point(target, context)
        if point is None:
            return
        yield point


def _drawn(lower: float, upper: float, random: np.random.Generator) -> float:
    """A value between two bounds, of which either may be infinite."""
    low = lower if np.isfinite(lower) else min(upper, RANDOM_RANGE) - 2 * RANDOM_RANGE
    high = upper if np.isfinite(upper) else low + 2 * RANDOM_RANGE
    return float(random.uniform(low, max(high, low)))
