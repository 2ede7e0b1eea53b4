"""Choices from tables of few points: they find good integers long before programs over whole tables do."""

from collections.abc import Sequence
from dataclasses import replace
from time import perf_counter

import numpy as np

from pyomo_relugrad.arrays import Array
from pyomo_relugrad.problem import Problem
from pyomo_relugrad.search.column_graph import ColumnGraph
from pyomo_relugrad.search.regions.walk import is_lower
from pyomo_relugrad.search.separable.choice import ChoiceProgram, ChosenPoints
from pyomo_relugrad.search.separable.tables import Table

#: How far curves may leave the first tables, relative to their ranges, and by what that shrinks after a solved choice.
FIRST_TOLERANCE, REFINEMENT = 0.05, 0.25
#: Share of the points above which tables of fewer points are no help.
MAX_SHARE = 0.5
#: Share of the integers that the first neighbourhood frees, and the least one.
FIRST_SIZE, SMALLEST_SIZE = 0.3, 0.05
#: By what neighbourhoods grow that took less than this share of their time, and by what others shrink in vain.
GROWTH, FAST_SHARE, SHRINKAGE = 1.5, 0.5, 0.7
#: Share of a choice's time with which no further neighbourhood begins.
LEAST_SHARE = 0.2


class RoughChoice:
    """Choices from tables whose curves are drawn through few of their points.

    What is chosen suits the networks only nearly. Its integers are what counts: with these held, a program over the
    whole tables is small. A program that is not solved in its time is followed by others around what it found, in which
    some integers are free: near each other, or any.

    Parameters
    ----------
    problem : Problem
    tables : sequence of Table
    seconds : float
        That the first choice may take; one that is not solved and brings nothing new is followed by one with twice as
        many.
    random : numpy.random.Generator
        Of its own: how much is drawn depends on the clock.
    """

    def __init__(self, problem: Problem, tables: Sequence[Table], seconds: float, random: np.random.Generator) -> None:
        self._problem, self._tables, self._tolerance = problem, tables, FIRST_TOLERANCE
        self._random, self._graph = random, ColumnGraph(problem)
        self._known = set[bytes]()
        #: That the next choice may take.
        self.seconds = seconds
        self._n_points = sum(len(table.points) for table in tables)
        in_table = np.zeros(problem.n_columns, bool)
        in_table[np.concatenate([table.columns for table in tables])] = True
        self._integers = np.flatnonzero(problem.integers & ~in_table & (problem.lower < problem.upper))
        self._best: ChosenPoints | None = None
        self._size, self._program = FIRST_SIZE, self._drawn()

    def choose(self) -> Array | None:
        """A point (n,) with new integers, which alone count; None where none is found. It goes on from the last one."""
        program = self._program
        if program is None:
            return None
        best = self._best
        if best is None or best.values is None:
            choice = program.choose(np.ones(program.n_points, bool), self.seconds)
        else:
            choice = self._around(best, best.values, program)
        self._best = choice
        if choice.is_solved:
            self._tolerance *= REFINEMENT
            self._best, self._program = None, self._drawn()
        if choice.values is None:
            self.seconds *= 2
            return None
        integers = (np.round(choice.values[self._integers]) + 0.0).tobytes()  # no negative zeros
        is_new = integers not in self._known
        self._known.add(integers)
        if not (is_new or choice.is_solved):
            self.seconds *= 2
        return choice.values if is_new else None

    def _around(self, best: ChosenPoints, values: Array, program: ChoiceProgram) -> ChosenPoints:
        """The best choice after some in which not all integers are free; it is solved if all were in a solved one."""
        everything, end = np.ones(program.n_points, bool), perf_counter() + self.seconds
        while (left := end - perf_counter()) > LEAST_SHARE * self.seconds:
            free, held = self._neighbourhood(), values.copy()
            held[free] = np.nan
            choice = program.choose(everything, left, best.solution, held)
            is_better = choice.values is not None and is_lower(choice.objective, best.objective)
            if choice.values is not None and is_better:
                best, values = choice, choice.values
            if choice.is_solved and free.size == self._integers.size:
                return replace(best, is_solved=True)
            if choice.is_solved:
                is_fast = end - perf_counter() > (1.0 - FAST_SHARE) * left
                self._size = min(self._size * (GROWTH if is_fast else 1.0), 1.0)
            elif not is_better:
                self._size = max(SHRINKAGE * self._size, SMALLEST_SIZE)
        return replace(best, is_solved=False)

    def _neighbourhood(self) -> Array:
        """A share of the integers: those nearest to one of them, or any."""
        integers, random = self._integers, self._random
        count = min(max(round(self._size * integers.size), 2), integers.size)
        if random.random() < 0.5:
            return np.asarray(random.choice(integers, count, replace=False))
        distances = self._graph.distances(int(random.choice(integers)), random)[integers]
        return np.asarray(integers[np.argsort(distances, kind="stable")[:count]])

    def _drawn(self) -> ChoiceProgram | None:
        """The program at the present tolerance; None where it has most of the points, or no integers to find."""
        if not self._integers.size:
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
