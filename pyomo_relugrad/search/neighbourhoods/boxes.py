"""Boxes around a point: which columns may move in a neighbourhood, and how far."""

from collections.abc import Callable
from typing import TypeAlias

import numpy as np

from pyomo_relugrad.arrays import Array
from pyomo_relugrad.problem import Problem
from pyomo_relugrad.search.column_graph import ColumnGraph
from pyomo_relugrad.search.sequential.elite import Elite

#: A box (lower, upper) around a point (n,) of a size between 0 and 1, at random.
BoxMaker: TypeAlias = Callable[[Array, float, np.random.Generator], tuple[Array, Array]]


class SearchBoxes:
    """The ways to make a box around a point of one problem.

    Parameters
    ----------
    problem : Problem
    elite : Elite
        The search's good points.
    """

    def __init__(self, problem: Problem, elite: Elite) -> None:
        self._problem, self._elite, self._graph = problem, elite, ColumnGraph(problem)
        is_free = problem.lower < problem.upper
        self._integers = np.flatnonzero(problem.integers & is_free)
        finite = np.isfinite(problem.lower) & np.isfinite(problem.upper)
        self._ranged = np.flatnonzero(is_free & finite & ~problem.integers & ~problem.is_output)
        self._decisions = np.flatnonzero(is_free & ~problem.is_output & (problem.is_input | problem.integers))
        self._starts = np.flatnonzero(is_free & ~problem.is_output)

    def makers(self) -> dict[str, BoxMaker]:
        """The ways that suit the problem, by name."""
        makers: dict[str, BoxMaker] = {"window": self.window} if self._decisions.size else {}
        if self._integers.size:
            makers["integers"] = self.integers
        if self._ranged.size:
            makers["box"] = self.box
        return makers

    def integers(self, v: Array, size: float, random: np.random.Generator) -> tuple[Array, Array]:
        """Some integers may move: near each other, at random, or those in which good points differ."""
        ways = (self.near, self.random, self.crossover)
        return ways[int(random.integers(len(ways)))](v, size, random)

    def near(self, v: Array, size: float, random: np.random.Generator) -> tuple[Array, Array]:
        """A share of the integers near a column may move, and all other columns."""
        return self._freeing(v, self._integers, self._near(self._integers, size, random))

    def window(self, v: Array, size: float, random: np.random.Generator) -> tuple[Array, Array]:
        """A share of the decisions near a column may move: integers and what networks read; and all that follows."""
        return self._freeing(v, self._decisions, self._near(self._decisions, size, random))

    def random(self, v: Array, size: float, random: np.random.Generator) -> tuple[Array, Array]:
        """A share of the integers at random may move, and all other columns."""
        count = _share(size, self._integers)
        return self._freeing(v, self._integers, random.choice(self._integers, count, replace=False))

    def crossover(self, v: Array, size: float, random: np.random.Generator) -> tuple[Array, Array]:
        """The integers may move in which some good points differ; any integers before there are such points."""
        if len(self._elite.points) < 2:
            return self.random(v, size, random)
        count = 2 + int(size * (len(self._elite.points) - 2))
        chosen = random.choice(len(self._elite.points), count, replace=False)
        values = np.array([v, *(self._elite.points[index].values for index in chosen)])[:, self._integers]
        return self._freeing(v, self._integers, self._integers[np.ptp(values, axis=0) > 0.5])

    def box(self, v: Array, size: float, random: np.random.Generator) -> tuple[Array, Array]:
        """Columns between bounds move by a share of their range at most; integers follow as the rows let them."""
        problem, which = self._problem, self._ranged
        reach = size * (problem.upper - problem.lower)[which]
        lower, upper = problem.lower.copy(), problem.upper.copy()
        lower[which] = np.maximum(lower[which], np.minimum(v[which], upper[which]) - reach)
        upper[which] = np.minimum(upper[which], np.maximum(v[which], lower[which]) + reach)
        return lower, upper

    def _near(self, columns: Array, size: float, random: np.random.Generator) -> Array:
        """A share of the columns, those nearest to one drawn at random, rather to one in many rows."""
        weights = self._graph.degrees[self._starts] ** 2 + 1.0
        start = int(random.choice(self._starts, p=weights / weights.sum()))
        distances = self._graph.distances(start, random)[columns]
        return np.asarray(columns[np.argsort(distances, kind="stable")[: _share(size, columns)]])

    def _freeing(self, v: Array, columns: Array, free: Array) -> tuple[Array, Array]:
        """All of the columns held but those that are free; integers are rounded."""
        problem = self._problem
        lower, upper = problem.lower.copy(), problem.upper.copy()
        held = np.setdiff1d(columns, free)
        values = np.where(problem.integers, np.round(v), v)[held]
        lower[held] = upper[held] = np.clip(values, lower[held], upper[held])
        return lower, upper


def _share(size: float, columns: Array) -> int:
    """How many columns a share is, two at least where there are so many."""
    return min(max(round(size * columns.size), 2), columns.size)
