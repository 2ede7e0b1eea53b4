"""The LP walk over linear regions (Tong, Cai, Serra, arXiv 2401.03451)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from pyomo_relugrad.arrays import Array
from pyomo_relugrad.problem import Incumbent, Problem
from pyomo_relugrad.run import SearchContext
from pyomo_relugrad.search.domains.domain import Domain
from pyomo_relugrad.search.domains.feasible_set import feasible_start
from pyomo_relugrad.search.domains.method import DomainMethod
from pyomo_relugrad.search.regions.program import RegionProgram
from pyomo_relugrad.search.regions.walk import is_lower


@dataclass(frozen=True)
class LpWalk(DomainMethod):
    """From linear region to linear region by LPs (arXiv 2401.03451).

    Walks from the user's warm start and from uniform starts, one after another. Decided here: the paper's starts from
    relaxations are the method ``relaxing-walk``; the linear programs have only the facets that matter, and what one
    ends with begins the next.

    Parameters
    ----------
    overshoot : float, optional
        How far a step goes on beyond an LP's optimum, as a share of the step (0.01, section 3 of the paper).
    """

    name = "lp-walk"

    overshoot: float = 0.01

    def search(self, problem: Problem, domain: Domain, context: SearchContext) -> Iterator[Incumbent | None]:
        """Walk from start after start."""
        program = RegionProgram(problem)
        start = feasible_start(problem, domain, context.start)
        u = domain.sample(context.random, 1)[0] if start is None else start
        while not context.budget.is_exhausted():
            yield from self.from_start(program, domain, u, context)
            u = domain.sample(context.random, 1)[0]

    def from_start(
        self, program: RegionProgram, domain: Domain, u: Array, context: SearchContext
    ) -> Iterator[Incumbent]:
        """Region LP by region LP until one does not improve.

        After each LP the point moves a little beyond the optimum, which chooses the next region; a coordinate that
        would leave its bounds stays at the optimum, and so does the point if it would leave a row.
        """
        value = np.inf
        while not context.budget.is_exhausted():
            optimum = program.solve(program.region_at(u), context.budget)
            point = program.incumbent(optimum.u)
            if not is_lower(point.objective, value):
                break
            yield point
            beyond = optimum.u + self.overshoot * (optimum.u - u)
            inside = (beyond >= program.lower) & (beyond <= program.upper)
            beyond = np.where(inside, beyond, optimum.u)
            value = point.objective
            u = beyond if domain.contains(beyond[None, :])[0] else optimum.u
