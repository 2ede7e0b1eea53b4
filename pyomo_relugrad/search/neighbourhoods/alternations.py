"""Integers chosen for continuous columns as they stand, and these settled for the integers, again and again."""

from collections.abc import Generator, Iterator

import numpy as np

from pyomo_relugrad.arrays import Array
from pyomo_relugrad.problem import Incumbent, Problem
from pyomo_relugrad.programs import Linearization
from pyomo_relugrad.search.neighbourhoods.shared import Shared
from pyomo_relugrad.search.relaxation import LinearRelaxation
from pyomo_relugrad.search.sequential.step_model import MAX_NODES, StepModel, column_scale

#: Seconds that a program may take, and the gap at which it ends.
SECONDS, GAP = 0.15, 1e-3
#: How often a round begins near a good point, rather than anywhere.
NEAR_SHARE = 0.5
#: By which the merit falls in a round that goes on, in units of one and of the merit.
LEAST_GAIN = 1e-6


class Alternations:
    """From many places of what functions read: the best integers there, then the best places for these integers.

    Where functions read no integers, the program that chooses these is exact. For points that are assigned to places
    this is the heuristic of Cooper (1964).

    Parameters
    ----------
    shared : Shared
    """

    def __init__(self, shared: Shared) -> None:
        self._problem, self._elite, self._context = shared.problem, shared.elite, shared.context
        self._descent, self._polish = shared.descent(), shared.polish
        problem, context = shared.problem, shared.context
        self._places = places(problem)
        options = {"mip_rel_gap": GAP} if context.budget.is_timed else {"mip_rel_gap": GAP, "mip_max_nodes": MAX_NODES}
        self._model = StepModel(problem, Linearization(problem), SECONDS, integer_options=options)
        self._scale = np.where(problem.integers, column_scale(problem), 0.0)
        self._surroundings = LinearRelaxation(problem)

    @staticmethod
    def suit(problem: Problem) -> bool:
        """Whether there are integers to choose, and places that expressions read."""
        return bool(problem.free_integers.any()) and bool(problem.expressions) and bool(places(problem).size)

    def steps(self) -> Iterator[Incumbent | None]:
        """Points of one round after the other, and None between them."""
        while not self._context.budget.is_exhausted():
            point = yield from self._round(self._start())
            if point is not None:
                yield from self._polish.points(point)
            if point is not None and not point.is_feasible:
                self._descent.merit = self._descent.merit.sharpened(2.0)

    def _round(self, v: Array) -> Generator[Incumbent | None, None, Incumbent | None]:
        """Both in turn while the merit falls; the best point, None where no integers were found."""
        best: Incumbent | None = None
        while not self._context.budget.is_exhausted():
            merit = self._descent.merit
            step = self._model.step(v, 1.0, merit, self._scale, self._context.budget)
            yield None
            if step is None or step.is_unbounded:
                break
            v = yield from self._descent.settle(step.values, np.inf)
            point = self._problem.incumbent(v)
            yield point
            if best is not None and not self._is_better(point, best):
                break
            best = point
        return best

    def _start(self) -> Array:
        """Places anywhere, or those of a good point with some of them moved."""
        problem, random, elite = self._problem, self._context.random, self._elite.points
        v = self._surroundings.random_points(1, random)[0]
        if elite and random.random() < NEAR_SHARE:
            centre = elite[int(random.integers(len(elite)))].values
            moved = random.random(self._places.size) < random.uniform(0.0, 0.6)
            w = centre.copy()
            w[self._places[moved]] = v[self._places[moved]]
            v = w
        return problem.propagate(v[None])[0]

    def _is_better(self, point: Incumbent, other: Incumbent) -> bool:
        """Whether the merit of a point is lower than that of another one by more than rounding."""
        value, before = self._descent.merit.of(self._problem, np.stack([point.values, other.values])).tolist()
        return bool(value < before - (LEAST_GAIN * (1.0 + abs(before)) if np.isfinite(before) else 0.0))


def places(problem: Problem) -> Array:
    """Columns (k,) that are neither integer nor written by a function, and that functions read."""
    is_free = ~problem.is_output & ~problem.integers & (problem.lower < problem.upper)
    return np.flatnonzero(is_free & problem.is_input)
