"""Sampling of linear regions (Perakis, Tsiourvas, arXiv 2205.14189, Algorithm 1)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from pyomo_relugrad.problem import Incumbent, Problem
from pyomo_relugrad.run import SearchContext
from pyomo_relugrad.search.domains.domain import Domain
from pyomo_relugrad.search.domains.method import DomainMethod
from pyomo_relugrad.search.regions.program import RegionProgram


@dataclass(frozen=True)
class Sampling(DomainMethod):
    """LPs over the linear regions of random points (arXiv 2205.14189).

    Draw a point, hold its activation pattern, minimize over that linear region; repeat. Decided here: points are
    uniform in the bounding box, projected onto the rows. The LP's facets are generated as the step crosses them, and
    the linear programs share one model.
    """

    name = "sampling"

    def search(self, problem: Problem, domain: Domain, context: SearchContext) -> Iterator[Incumbent | None]:
        """Yield the optimum over the region of each point."""
        program = RegionProgram(problem)
        while not context.budget.is_exhausted():
            u = domain.sample(context.random, 1)[0]
            optimum = program.solve(program.region_at(u), context.budget)
            yield program.incumbent(optimum.u)
