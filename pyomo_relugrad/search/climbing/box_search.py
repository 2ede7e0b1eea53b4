"""The default search over boxes and simple polytopes: batched climbs from structured starts, polished to vertices."""

from __future__ import annotations

from collections.abc import Generator, Iterator

import numpy as np

from pyomo_relugrad.arrays import Array
from pyomo_relugrad.problem import Incumbent, Problem
from pyomo_relugrad.problem.landscape import Landscape
from pyomo_relugrad.run.context import SearchContext
from pyomo_relugrad.search.climbing.ascent import Climbers, Schedule, climb, climb_by_halving, highest
from pyomo_relugrad.search.climbing.elite_pool import Elite, ElitePool
from pyomo_relugrad.search.climbing.starts import structured_starts
from pyomo_relugrad.search.domains.polytope import domain_of
from pyomo_relugrad.search.regions.program import RegionProgram
from pyomo_relugrad.search.regions.walk import exceeds, walk_regions

#: Multiplications per batched step that keep the matrix products efficient and the steps short.
WORK_PER_STEP = 1e8
#: Points that start together where the projection is an iteration of its own.
POLYTOPE_BATCH = 64
#: First step of a round's climb: longer than the box, so that points jump from corner to corner, or shorter, so that
#: they stay in the basins that they start in.
FIRST_STEPS = (4.0, 1.0, 0.3, 0.1)
LAST_STEP = 0.003
#: Steps from fresh starts, and from the offspring of good points.
EXPLORE_STEPS, RECOMBINE_STEPS = 120, 80
#: Steps of the best of each round, towards the kinks that they sit at.
REFINE = Schedule(0.003, 0.0001, 30)
REFINED = 8
#: Relative lengths of the stages of successive halving.
STAGES = (1, 2, 3)
POOL_SIZE = 24
EXPLORE_EVERY = 2
POLISH_EVERY = 3
#: Relative gain at which a point on its way up is reported.
REPORTED_GAIN = 0.01
#: Rounds without a better point after which the search is done.
PATIENCE = 40


def batch_size(landscape: Landscape) -> int:
    """Points that start together: fewer for larger networks."""
    return int(np.clip(WORK_PER_STEP / max(landscape.n_weights, 1), 32, 512))


class BoxSearch:
    """The state of one search; `run` yields its incumbents.

    Parameters
    ----------
    problem : Problem
    context : SearchContext
    """

    def __init__(self, problem: Problem, context: SearchContext) -> None:
        self.problem, self.budget, self.random = problem, context.budget, context.random
        self.landscape = Landscape(problem)
        self.program = RegionProgram(problem)
        self.domain = domain_of(problem, context.budget)
        self.pool = ElitePool(POOL_SIZE)
        self.rounds, self.last_record, self.reported = 0, 0, -np.inf
        self.start = self.program.warm_start(context.start)
        self.count = batch_size(self.landscape) if problem.n_rows <= 1 else POLYTOPE_BATCH

    def run(self) -> Iterator[Incumbent | None]:
        """Rounds of climbing and polishing until the budget is spent, or many rounds bring nothing."""
        first = structured_starts(self.landscape, self.domain, self.random, 4)[0] if self.start is None else self.start
        yield self._incumbent(first)
        while not self.budget.is_exhausted() and self.rounds - self.last_record <= PATIENCE:
            record = self.pool.best
            climbers = yield from self._climb(explore=self.rounds % EXPLORE_EVERY == 0)
            for u, height in zip(climbers.best, climbers.heights, strict=True):
                self.pool.add(Elite(self.landscape.in_float64(u), float(height)))
            yield self._incumbent(climbers.best[0])
            if exceeds(self.pool.best, record):
                self.last_record = self.rounds
            if self.pool.best > record or self.rounds % POLISH_EVERY == 0:
                yield from self._polish()
            self.rounds += 1

    def _climb(self, explore: bool) -> Generator[Incumbent | None, None, Climbers]:
        if explore:
            starts, steps = structured_starts(self.landscape, self.domain, self.random, self.count), EXPLORE_STEPS
            if self.start is not None and self.rounds == 0:
                starts[0] = self.start
        else:
            starts, steps = self.pool.offspring(self.domain, self.random, self.count), RECOMBINE_STEPS
        schedule = Schedule(FIRST_STEPS[(self.rounds // 2) % len(FIRST_STEPS)], LAST_STEP, steps)
        halving = climb_by_halving(self.landscape, self.domain, starts, schedule, self.budget, STAGES)
        climbers = yield from self._watched(halving)
        best = Climbers.at(climbers.best[:REFINED])
        best = yield from self._watched(climb(self.landscape, self.domain, best, REFINE.lengths(), self.budget))
        return best.keep(highest(best.heights, REFINED))

    def _watched(self, steps: Generator[Climbers, None, Climbers]) -> Generator[Incumbent | None, None, Climbers]:
        """Report the climbers' best point whenever it is a good deal higher than the last one reported."""
        while True:
            try:
                climbers = next(steps)
            except StopIteration as end:
                return end.value
            height = float(climbers.heights.max())
            if height > self.reported + REPORTED_GAIN * abs(height):
                self.reported = height
                yield self._incumbent(climbers.best[int(climbers.heights.argmax())])
            else:
                yield None

    def _polish(self) -> Generator[Incumbent | None, None, None]:
        elite = self.pool.unpolished()
        if elite is None or self.budget.is_exhausted():
            return
        u = np.clip(elite.u, self.program.lower, self.program.upper)
        summit = yield from walk_regions(self.program, u, self.budget)
        self.pool.polished(elite, summit.u, summit.height)
        yield self._incumbent(summit.u)

    def _incumbent(self, u: Array) -> Incumbent:
        return self.problem.incumbent(self.landscape.points(u[None, :])[0])


def box_search(problem: Problem, context: SearchContext) -> Iterator[Incumbent | None]:
    """Climb, polish and recombine until the budget is spent."""
    return BoxSearch(problem, context).run()
