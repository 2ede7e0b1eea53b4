"""Iterative dynamic programming: sweeps over decisions all over their ranges, then ever closer to the best ones."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from pyomo_relugrad.arrays import Array
from pyomo_relugrad.problem import Problem
from pyomo_relugrad.run.budget import Budget
from pyomo_relugrad.search.dynamic_programming.recombination import DynamicProgram
from pyomo_relugrad.search.dynamic_programming.stages import stages_in_order
from pyomo_relugrad.search.relaxation import Surroundings
from pyomo_relugrad.search.sequential.merit import Merit

#: Points whose decisions the sweeps of the first cycle put together, and those of any cycle at most.
FEWEST_POINTS, MOST_POINTS = 32, 128
#: Sweeps of a cycle that take decisions from the whole ranges.
WIDE_SWEEPS = 2
#: Distances from the best point, in shares of the columns' ranges, in the sweeps after those.
SPREADS = (0.1, 0.05, 0.02, 0.01, 0.005, 0.002, 0.001)
#: Share of the points that are near the best one in these, and how often such a point changes an integer.
NEAR_SHARE, FLIPPED_SHARE = 0.75, 0.1


class IterativeDynamicProgramming:
    """Cycles of sweeps, every other one anew; one that brings nothing is followed by one with twice as many points.

    After Luus, "Optimal control by dynamic programming using systematic reduction in grid size" (International Journal
    of Control 51, 1990), with states that are reached instead of a grid of them.

    Parameters
    ----------
    problem : Problem
        Has stages.
    dynamic_program : DynamicProgram
    surroundings : Surroundings
    """

    def __init__(self, problem: Problem, dynamic_program: DynamicProgram, surroundings: Surroundings) -> None:
        self._problem, self._dynamic_program, self._surroundings = problem, dynamic_program, surroundings
        self._n_points, self._n_cycles = FEWEST_POINTS, 0

    @classmethod
    def of(cls, problem: Problem, surroundings: Surroundings) -> IterativeDynamicProgramming | None:
        """None where the problem has no stages."""
        stages = stages_in_order(problem)
        if not stages:
            return None
        program = DynamicProgram(problem, stages, surroundings.lower, surroundings.upper)
        return cls(problem, program, surroundings)

    def cycle(
        self, known: Sequence[Array], merit: Merit, random: np.random.Generator, budget: Budget
    ) -> Iterator[Array]:
        """Yield the point (n,) of each sweep, its outputs propagated.

        Parameters
        ----------
        known : sequence of (n,) arrays
            Points whose decisions take part, with propagated outputs.
        merit : Merit
        random : numpy.random.Generator
        budget : Budget
        """
        self._n_cycles += 1
        record = min([self._merit(v, merit) for v in known], default=np.inf)
        known = known if self._n_cycles % 2 == 1 else ()
        best = self._best(known, merit)
        for spread in (*[np.inf] * WIDE_SWEEPS, *SPREADS):
            if budget.is_exhausted():
                return
            points = self._points(best, known, spread, random)
            v = self._dynamic_program.recombine(points, merit, random, budget)
            best = self._best([v] if best is None else [best, v], merit)
            yield v
        if best is not None and self._merit(best, merit) >= record - 1e-9 * (1.0 + abs(record)):
            self._n_points = min(2 * self._n_points, MOST_POINTS)

    def _merit(self, v: Array, merit: Merit) -> float:
        return float(merit.of(self._problem, v[None])[0])

    def _best(self, points: Sequence[Array], merit: Merit) -> Array | None:
        return min(points, key=lambda v: self._merit(v, merit), default=None)

    def _points(self, best: Array | None, known: Sequence[Array], spread: float, random: np.random.Generator) -> Array:
        """Points spread evenly over the columns' ranges, some of them replaced by known ones, or moved near the best."""
        points = self._surroundings.stratified_points(self._n_points, random)
        if best is None:
            return points
        if np.isinf(spread):
            first = np.array([best, *known])[: len(points)]
            points[: len(first)] = first
            return points
        count = int(NEAR_SHARE * len(points))
        steps = spread * np.ptp(points, axis=0) * random.standard_normal((count, best.size))
        flipped = random.random(steps.shape) < FLIPPED_SHARE
        moved = np.where(self._problem.integers, np.where(flipped, points[:count], best), best + steps)
        points[:count] = moved
        points[0] = best
        return points
