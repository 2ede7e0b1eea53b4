"""Choices from tables of few points: they find good integers long before programs over whole tables do."""

from collections.abc import Sequence

import numpy as np

from pyomo_relugrad.arrays import Array
from pyomo_relugrad.problem import Problem
from pyomo_relugrad.search.separable.choice import ChoiceProgram
from pyomo_relugrad.search.separable.tables import Table

#: How far curves may leave the first tables, relative to their ranges, and by what that shrinks after a solved choice.
FIRST_TOLERANCE, REFINEMENT = 0.05, 0.25
#: Share of the points above which tables of fewer points are no help.
MAX_SHARE = 0.5


class RoughChoice:
    """Choices from tables whose curves are drawn through few of their points.

    What is chosen suits the networks only nearly. Its integers are what counts: with these held, a program over the
    whole tables is small.

    Parameters
    ----------
    problem : Problem
    tables : sequence of Table
    seconds : float
        That the first choice may take; one that uses them up is followed by one with twice as many.
    """

    def __init__(self, problem: Problem, tables: Sequence[Table], seconds: float) -> None:
        self._problem, self._tables, self._tolerance = problem, tables, FIRST_TOLERANCE
        self._known = set[bytes]()
        #: That the next choice may take.
        self.seconds = seconds
        self._n_points = sum(len(table.points) for table in tables)
        self._start: Array | None = None
        self._program = self._drawn()

    def choose(self) -> Array | None:
        """A point (n,) with new integers, which alone count; None where none is found. It goes on from the last one."""
        program = self._program
        if program is None:
            return None
        choice = program.choose(np.ones(program.n_points, bool), self.seconds, self._start)
        self._start = choice.solution
        if choice.is_solved:
            self._tolerance *= REFINEMENT
            self._start, self._program = None, self._drawn()
        else:
            self.seconds *= 2
        if choice.values is None:
            return None
        integers = np.round(choice.values[self._problem.integers]).tobytes()
        is_new = integers not in self._known
        self._known.add(integers)
        return choice.values if is_new else None

    def _drawn(self) -> ChoiceProgram | None:
        """The program at the present tolerance; None where it has most of the points, or no integers to find."""
        in_table = np.zeros(self._problem.n_columns, bool)
        in_table[np.concatenate([table.columns for table in self._tables])] = True
        if not (self._problem.integers & ~in_table & (self._problem.lower < self._problem.upper)).any():
            return None
        tables = [thinned(table, self._tolerance) for table in self._tables]
        is_rough = sum(len(table.points) for table in tables) <= MAX_SHARE * self._n_points
        return ChoiceProgram(self._problem, tables) if is_rough else None


def thinned(table: Table, tolerance: float) -> Table:
    """The table with fewer joined points: curves stay within a distance of it, relative to the columns' ranges.

    Points are kept as Douglas and Peucker do: between two that are, the farthest one from the line through them.

    Examples
    --------
    >>> curve = Table(np.array([0, 1]), np.array([[0.0, 0], [1, 1.01], [2, 2], [3, 0]]), np.array([True] * 3 + [False]))
    >>> thinned(curve, 0.05).points.tolist()
    [[0.0, 0.0], [2.0, 2.0], [3.0, 0.0]]
    """
    scaled = table.points / np.maximum(np.ptp(table.points, axis=0), 1e-12)
    last = np.flatnonzero(~table.joined)
    waiting = list(zip([0, *(last[:-1] + 1).tolist()], last.tolist(), strict=True))
    kept = np.zeros(len(scaled), bool)
    while waiting:
        first, end = waiting.pop()
        kept[[first, end]] = True
        way, inside = scaled[end] - scaled[first], scaled[first : end + 1] - scaled[first]
        along = np.outer(inside @ way, way) / max(way @ way, 1e-24)
        away = np.linalg.norm(inside - along, axis=1)
        farthest = int(away.argmax())
        if away[farthest] > tolerance:
            waiting += [(first, first + farthest), (first + farthest, end)]
    return Table(table.columns, table.points[kept], table.joined[kept])
