"""The default search over boxes and simple polytopes: batched descents from structured starts, polished to vertices."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from dataclasses import dataclass

import numpy as np

from pyomo_relugrad.arrays import Array, at_home, namespace
from pyomo_relugrad.problem import Incumbent, Problem, ReducedObjective
from pyomo_relugrad.run.context import SearchContext
from pyomo_relugrad.run.method import between
from pyomo_relugrad.search.descent.batch import Batch, Objective, Schedule, descend, descend_by_halving
from pyomo_relugrad.search.descent.elite_pool import ElitePool, PoolMember
from pyomo_relugrad.search.descent.on_device import on_device
from pyomo_relugrad.search.descent.polishing import Polishing
from pyomo_relugrad.search.descent.starts import structured_starts
from pyomo_relugrad.search.domains.domain import Domain
from pyomo_relugrad.search.domains.feasible_set import feasible_start
from pyomo_relugrad.search.domains.method import DomainMethod
from pyomo_relugrad.search.regions.walk import is_lower
from pyomo_relugrad.search.sequential.smooth_polish import polisher_of

#: Multiplications per batched step that keep the matrix products efficient and the steps short.
WORK_PER_STEP = 1e8
#: Points that start together where the projection is an iteration of its own.
POLYTOPE_BATCH = 64
#: Relative gain at which a point is reported while the batch still moves.
REPORTED_GAIN = 0.01


@dataclass(frozen=True)
class ProjectedDescent(DomainMethod):
    """Batched projected descents from structured starts, the best points polished to vertices of regions.

    Steps are shares of the domain's widths; within a descent they fall geometrically.

    Parameters
    ----------
    batch : int, optional
        Points that start together. None: 32 to 512, fewer for larger networks, or 64 where a projection takes
        iterations of its own.
    first_steps, last_step : tuple of float, and float, optional
        First step of a round's descent, in turns: longer than the box, so that points jump from corner to corner, or
        shorter, so that they stay in the basins that they start in (4, 1, 0.3, 0.1). Last step (0.003).
    momentum : float, optional
        Share of the old momentum that a step keeps (0.5).
    explore_steps, recombine_steps : int, optional
        Steps from fresh starts (120), and from the offspring of good points (80).
    stages : tuple of int, optional
        Relative lengths of a descent's stages; after each but the last the best quarter goes on (1, 2, 3).
    refined, refine_steps, refined_step : int, int and float, optional
        How many of the best points descend to the kinks that they sit at (8), in how many steps (30), the last (1e-4).
    explore_every, polish_every : int, optional
        One round in so many begins from fresh starts (2), is polished even without a better point (3).
    pool_size : int, optional
        Good points kept (24).
    patience : int, optional
        Rounds without a better point after which the search is done (40).
    """

    name = "projected-descent"
    cooperates = True
    handles_smooth = True

    batch: int | None = None
    first_steps: tuple[float, ...] = between((4.0, 1.0, 0.3, 0.1), 1e-9)
    last_step: float = between(0.003, 1e-9)
    momentum: float = between(0.5, 0, 1)
    explore_steps: int = 120
    recombine_steps: int = 80
    explore_every: int = 2
    stages: tuple[int, ...] = (1, 2, 3)
    refined: int = 8
    refine_steps: int = 30
    refined_step: float = between(0.0001, 1e-9)
    pool_size: int = 24
    polish_every: int = 3
    patience: int = 40

    def search(self, problem: Problem, domain: Domain, context: SearchContext) -> Iterator[Incumbent | None]:
        """Descend, polish and recombine until the budget is spent."""
        return ProjectedRounds(self, problem, domain, context).run()

    def batch_size(self, objective: ReducedObjective, domain: Domain) -> int:
        """Points that start together."""
        if self.batch is not None:
            return self.batch
        if domain.projection_work:
            return POLYTOPE_BATCH
        return int(np.clip(WORK_PER_STEP / max(objective.n_weights, 1), 32, 512))


class ProjectedRounds:
    """The state of one search, from what `ProjectedDescent.search` is given."""

    def __init__(self, method: ProjectedDescent, problem: Problem, domain: Domain, context: SearchContext) -> None:
        self.method, self.problem, self.domain = method, problem, domain
        self.context, self.budget, self.random = context, context.budget, context.random
        self.objective = ReducedObjective(problem, np.float32)
        self.polish = polisher_of(problem)
        self.moving: Objective = self.objective
        self.bounds = domain
        if context.device is not None:
            self.moving, self.bounds = on_device(self.objective, domain, context.device)
        self.pool = ElitePool(method.pool_size)
        self.polishing = Polishing(self._walk, self.objective.columns, self.pool, self.budget)
        self.rounds, self.last_record, self.reported = 0, 0, np.inf
        self.start = feasible_start(problem, domain, context.start)
        self.count = method.batch_size(self.objective, domain)

    def run(self) -> Iterator[Incumbent | None]:
        """Rounds of descents and polishing until the budget is spent, or many rounds bring nothing."""
        first = structured_starts(self.objective, self.domain, self.random, 4)[0] if self.start is None else self.start
        yield self._incumbent(first)
        while not self.budget.is_exhausted() and self.rounds - self.last_record <= self.method.patience:
            self.pool.learn(self.context.take_offered(), self.objective.columns)
            record = self.pool.best
            batch = yield from self._descend(explore=self.rounds % self.method.explore_every == 0)
            for u, value in zip(batch.best, batch.values, strict=True):
                self.pool.add(PoolMember(self.objective.in_float64(u), float(value)))
            yield self._incumbent(batch.best[0])
            if is_lower(self.pool.best, record):
                self.last_record = self.rounds
            if np.isfinite(self.budget.time_limit):
                yield from self.polishing.run()
            elif self.pool.best < record or self.rounds % self.method.polish_every == 0:
                yield from self.polishing.to_the_end()
            self.rounds += 1

    def _descend(self, explore: bool) -> Generator[Incumbent | None, None, Batch]:
        method = self.method
        if explore:
            starts = structured_starts(self.objective, self.domain, self.random, self.count)
            if self.start is not None and self.rounds == 0:
                starts[0] = self.start
        else:
            starts = self.pool.offspring(self.domain, self.random, self.count)
        first = method.first_steps[(self.rounds // 2) % len(method.first_steps)]
        schedule = Schedule(first, method.last_step, method.explore_steps if explore else method.recombine_steps)
        stages, share = schedule.pieces(method.stages), method.momentum
        halving = descend_by_halving(self.moving, self.bounds, starts, stages, share, self.budget)
        batch = yield from self._watched(halving)
        best = Batch.at(batch.best[: method.refined, :])
        lengths = Schedule(method.last_step, method.refined_step, method.refine_steps).lengths()
        refining = descend(self.moving, self.bounds, best, lengths, share, self.budget)
        best = yield from self._watched(refining)
        return best.keep(method.refined).at_home()

    def _watched(self, steps: Generator[Batch, None, Batch]) -> Generator[Incumbent | None, None, Batch]:
        """Report the batch's best point whenever it is a good deal better than the last one reported."""
        while True:
            try:
                batch = next(steps)
            except StopIteration as end:
                return end.value
            value = float(namespace(batch.values).min(batch.values))
            if value < self.reported - REPORTED_GAIN * abs(value):
                self.reported = value
                best = int(namespace(batch.values).argmin(batch.values))
                yield self._incumbent(at_home(batch.best[best, :]))
            else:
                yield None

    def _walk(self, u: Array) -> Generator[Incumbent | None, None, Incumbent]:
        """The way from a point to a local optimum."""
        v = self.objective.points(np.clip(u, self.domain.lower, self.domain.upper)[None, :])[0]
        return self.polish(v, self.budget)

    def _incumbent(self, u: Array) -> Incumbent:
        return self.problem.incumbent(self.objective.points(u[None, :])[0])
