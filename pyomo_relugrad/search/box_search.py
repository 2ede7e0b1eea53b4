"""The default search over boxes and simple polytopes: batched climbs from structured starts, polished to vertices."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from pyomo_relugrad.arrays import Array
from pyomo_relugrad.problem import Incumbent, Problem
from pyomo_relugrad.search.ascent import Schedule, climb_by_halving
from pyomo_relugrad.search.budget import SearchContext
from pyomo_relugrad.search.landscape import Landscape
from pyomo_relugrad.search.projection import Box, Domain
from pyomo_relugrad.search.region_program import RegionProgram
from pyomo_relugrad.search.region_walk import walk_regions
from pyomo_relugrad.search.starts import structured_starts

#: Multiplications per batched step that keep the matrix products efficient and the steps short.
WORK_PER_STEP = 4e8


@dataclass
class ElitePool:
    """Distinct good points, highest first.

    Parameters
    ----------
    size : int
    """

    size: int
    members: list[tuple[float, Array]] = field(default_factory=list)

    def add(self, u: Array, height: float) -> bool:
        """Take the point in if it is new and high enough."""
        if any(abs(height - other) <= 1e-7 * max(1e-3, abs(other)) for other, _ in self.members):
            return False
        if len(self.members) >= self.size and height <= self.members[-1][0]:
            return False
        self.members = sorted([*self.members, (height, u)], key=lambda member: -member[0])[: self.size]
        return True


def batch_size(landscape: Landscape) -> int:
    """Points that climb together: fewer for larger networks."""
    return int(np.clip(WORK_PER_STEP / max(landscape.n_weights, 1), 32, 512))


def box_search(problem: Problem, context: SearchContext) -> Iterator[Incumbent | None]:
    """Climb, polish, recombine, until the budget is spent."""
    landscape = Landscape(problem)
    program = RegionProgram(problem)
    domain = Box(program.lower, program.upper)
    budget, random = context.budget, context.random
    first = structured_starts(landscape, domain, random, 4)[:1]
    yield problem.incumbent(landscape.points(first)[0])
    pool = ElitePool(16)
    count = batch_size(landscape)
    effort = 0
    while not budget.is_exhausted():
        if effort == 0 or not pool.members:
            starts = structured_starts(landscape, domain, random, count)
            schedule, sizes = Schedule(0.3, 0.003, 120), [1, 2, 3]
        else:
            starts = offspring(pool, domain, random, count)
            schedule, sizes = Schedule(0.1, 0.002, 80), [1, 2]
        climbers = yield from climb_by_halving(landscape, domain, starts, schedule, budget, sizes)
        yield problem.incumbent(landscape.points(climbers.best[:1])[0])
        for index in range(min(4, len(climbers.heights))):
            if budget.is_exhausted():
                break
            u = np.clip(climbers.best[index].astype(np.float64), program.lower, program.upper)
            summit = yield from walk_regions(program, u, budget)
            pool.add(summit.u, summit.height)
            yield problem.incumbent(landscape.points(summit.u[None, :])[0])
        effort += 1


def offspring(pool: ElitePool, domain: Domain, random: np.random.Generator, count: int) -> Array:
    """Crossings of pool members, with mutations."""
    points = np.stack([u for _, u in pool.members])
    first, second = random.integers(len(points), size=(2, count))
    mask = random.random((count, points.shape[1])) < random.random((count, 1))
    children = np.where(mask, points[first], points[second])
    rate = 10.0 ** random.uniform(-2, -0.3, (count, 1))
    mutate = random.random(children.shape) < rate
    random_points = domain.lower + random.random(children.shape) * (domain.upper - domain.lower)
    return domain.project(np.where(mutate, random_points, children))
