"""Starts from dynamic programming: sequences of decisions around good points, and new ones."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pyomo_relugrad.arrays import Array
from pyomo_relugrad.problem import Problem
from pyomo_relugrad.run.budget import Budget
from pyomo_relugrad.search.dynamic_programming.recombination import DynamicProgram
from pyomo_relugrad.search.dynamic_programming.stages import stages_in_order
from pyomo_relugrad.search.relaxation import Surroundings
from pyomo_relugrad.search.sequential.merit import Merit

#: Points whose decisions are put together.
POINTS = 32
#: Share of them that is near a good point, where there is one.
NEAR_SHARE = 0.75
#: Distances of those from it, in shares of the columns' ranges; chosen anew for each sweep.
SPREADS = (1e-3, 0.3)
#: Share of the columns that such a point moves.
MOVED_SHARE = 0.5
#: How often such a point changes an integer.
FLIPPED_SHARE = 0.1


class StagewiseStarts:
    """Points put together stage by stage, each from new random ones and, after the first, from the best so far.

    Parameters
    ----------
    problem : Problem
        Has stages.
    dynamic_program : DynamicProgram
    surroundings : Surroundings
    """

    def __init__(self, problem: Problem, dynamic_program: DynamicProgram, surroundings: Surroundings) -> None:
        self._problem, self._dynamic_program, self._surroundings = problem, dynamic_program, surroundings
        self._best: Array | None = None

    @classmethod
    def of(cls, problem: Problem, surroundings: Surroundings) -> StagewiseStarts | None:
        """None where the problem has no stages."""
        stages = stages_in_order(problem)
        if not stages:
            return None
        program = DynamicProgram(problem, stages, surroundings.lower, surroundings.upper)
        return cls(problem, program, surroundings)

    def next(self, good: Sequence[Array], merit: Merit, random: np.random.Generator, budget: Budget) -> Array:
        """The next start (n,), with propagated outputs.

        Parameters
        ----------
        good : sequence of (n,) arrays
            Points near which decisions are looked for, the best one first.
        merit : Merit
        random : numpy.random.Generator
        budget : Budget
        """
        known = [*good, *([] if self._best is None else [self._best])]
        points = self._points(known, random)
        v = self._dynamic_program.recombine(points, merit, random, budget)
        candidates = np.array([v] if self._best is None else [v, self._best])
        self._best = candidates[merit.of(self._problem, candidates).argmin()]
        return v

    def _points(self, known: Sequence[Array], random: np.random.Generator) -> Array:
        """Points that are spread evenly over each column's range, and points near the known ones."""
        problem, n = self._problem, self._problem.n_columns
        points = self._surroundings.stratified_points(POINTS, random)
        if not known:
            return points
        near = np.array(known)[random.integers(len(known), size=int(NEAR_SHARE * POINTS))]
        near[: len(known)] = known[: len(near)]
        spread = 10.0 ** random.uniform(*np.log10(SPREADS))
        moved = random.random(near.shape) < MOVED_SHARE
        steps = spread * np.ptp(points, axis=0) * random.standard_normal(near.shape)
        varied = near + np.where(moved & ~problem.integers, steps, 0.0)
        flipped = (random.random(near.shape) < FLIPPED_SHARE) & problem.integers
        varied = np.where(flipped, points[: len(near)], varied)
        varied[: min(len(known), len(near))] = near[: len(known)]
        return np.concatenate([varied, points[len(near) :]])
