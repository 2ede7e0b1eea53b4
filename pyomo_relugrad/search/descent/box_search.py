"""The default search over boxes and simple polytopes: batched descents from structured starts, polished to vertices."""

from __future__ import annotations

from collections.abc import Generator, Iterator

import numpy as np

from pyomo_relugrad.arrays import Array
from pyomo_relugrad.problem import Incumbent, Problem, ReducedObjective
from pyomo_relugrad.run.context import SearchContext
from pyomo_relugrad.search.descent.batch import Batch, Schedule, descend, descend_by_halving
from pyomo_relugrad.search.descent.elite_pool import Elite, ElitePool
from pyomo_relugrad.search.descent.starts import structured_starts
from pyomo_relugrad.search.domains.domain import Domain
from pyomo_relugrad.search.domains.feasible_set import feasible_start
from pyomo_relugrad.search.regions.program import RegionProgram
from pyomo_relugrad.search.regions.walk import is_lower, walk_regions

#: Multiplications per batched step that keep the matrix products efficient and the steps short.
WORK_PER_STEP = 1e8
#: Points that start together where the projection is an iteration of its own.
POLYTOPE_BATCH = 64
#: First step of a round's descent: longer than the box, so that points jump from corner to corner, or shorter, so that
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
#: Relative gain at which a point is reported while the batch still moves.
REPORTED_GAIN = 0.01
#: Rounds without a better point after which the search is done.
PATIENCE = 40


def batch_size(objective: ReducedObjective) -> int:
    """Points that start together: fewer for larger networks."""
    return int(np.clip(WORK_PER_STEP / max(objective.n_weights, 1), 32, 512))


class BoxSearch:
    """The state of one search; `run` yields its incumbents.

    Parameters
    ----------
    problem : Problem
    domain : Domain
        Of its decision columns.
    context : SearchContext
    """

    def __init__(self, problem: Problem, domain: Domain, context: SearchContext) -> None:
        self.problem, self.domain, self.budget, self.random = problem, domain, context.budget, context.random
        self.objective = ReducedObjective(problem, np.float32)
        self.program = RegionProgram(problem)
        self.pool = ElitePool(POOL_SIZE)
        self.rounds, self.last_record, self.reported = 0, 0, np.inf
        self.start = feasible_start(problem, domain, context.start)
        self.count = POLYTOPE_BATCH if domain.projection_work else batch_size(self.objective)

    def run(self) -> Iterator[Incumbent | None]:
        """Rounds of descents and polishing until the budget is spent, or many rounds bring nothing."""
        first = structured_starts(self.objective, self.domain, self.random, 4)[0] if self.start is None else self.start
        yield self._incumbent(first)
        while not self.budget.is_exhausted() and self.rounds - self.last_record <= PATIENCE:
            record = self.pool.best
            batch = yield from self._descend(explore=self.rounds % EXPLORE_EVERY == 0)
            for u, value in zip(batch.best, batch.values, strict=True):
                self.pool.add(Elite(self.objective.in_float64(u), float(value)))
            yield self._incumbent(batch.best[0])
            if is_lower(self.pool.best, record):
                self.last_record = self.rounds
            if self.pool.best < record or self.rounds % POLISH_EVERY == 0:
                yield from self._polish()
            self.rounds += 1

    def _descend(self, explore: bool) -> Generator[Incumbent | None, None, Batch]:
        if explore:
            starts, steps = structured_starts(self.objective, self.domain, self.random, self.count), EXPLORE_STEPS
            if self.start is not None and self.rounds == 0:
                starts[0] = self.start
        else:
            starts, steps = self.pool.offspring(self.domain, self.random, self.count), RECOMBINE_STEPS
        schedule = Schedule(FIRST_STEPS[(self.rounds // 2) % len(FIRST_STEPS)], LAST_STEP, steps)
        halving = descend_by_halving(self.objective, self.domain, starts, schedule, self.budget, STAGES)
        batch = yield from self._watched(halving)
        best = Batch.at(batch.best[:REFINED])
        best = yield from self._watched(descend(self.objective, self.domain, best, REFINE.lengths(), self.budget))
        return best.keep(REFINED)

    def _watched(self, steps: Generator[Batch, None, Batch]) -> Generator[Incumbent | None, None, Batch]:
        """Report the batch's best point whenever it is a good deal better than the last one reported."""
        while True:
            try:
                batch = next(steps)
            except StopIteration as end:
                return end.value
            value = float(batch.values.min())
            if value < self.reported - REPORTED_GAIN * abs(value):
                self.reported = value
                yield self._incumbent(batch.best[int(batch.values.argmin())])
            else:
                yield None

    def _polish(self) -> Generator[Incumbent | None, None, None]:
        elite = self.pool.unpolished()
        if elite is None or self.budget.is_exhausted():
            return
        u = np.clip(elite.u, self.program.lower, self.program.upper)
        vertex = yield from walk_regions(self.program, u, self.budget)
        self.pool.polished(elite, vertex.values[self.objective.columns], vertex.objective)

    def _incumbent(self, u: Array) -> Incumbent:
        return self.problem.incumbent(self.objective.points(u[None, :])[0])


def box_search(problem: Problem, domain: Domain, context: SearchContext) -> Iterator[Incumbent | None]:
    """Descend, polish and recombine until the budget is spent."""
    return BoxSearch(problem, domain, context).run()
