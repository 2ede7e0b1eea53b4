"""The MILP walk (Perakis, Tsiourvas, arXiv 2205.14189, Algorithm 2)."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from dataclasses import dataclass

import numpy as np

from pyomo_relugrad.problem import Incumbent, Problem
from pyomo_relugrad.run import Budget, SearchContext
from pyomo_relugrad.search.domains.domain import Domain
from pyomo_relugrad.search.domains.method import DomainMethod
from pyomo_relugrad.search.regions.neighbourhood import best_in_neighbourhood, is_small
from pyomo_relugrad.search.regions.program import RegionProgram
from pyomo_relugrad.search.regions.walk import is_lower


@dataclass(frozen=True)
class MilpWalk(DomainMethod):
    """Sampling, improved by MILPs over zero neurons (arXiv 2205.14189).

    Sample a region, minimize over it; free the neurons that are zero there and solve the small MILP; repeat. Decided
    here: the zero neurons are those whose facets are binding in the LP's final basis; held neurons' facets
    enter the MILP as they are violated. Where the objective is quadratic or the MILP's matrices would not fit, the
    method is ``sampling``.

    Parameters
    ----------
    entry_gap : float, optional
        A sample's region optimum is walked from if it is within this distance of the incumbent, relative to the
        incumbent's size (two thirds, as in the paper).
    max_nodes : int, optional
        Branch-and-bound nodes of one MILP (2000, decided here).
    """

    name = "milp-walk"

    entry_gap: float = 2.0 / 3.0
    max_nodes: int = 2000

    def search(self, problem: Problem, domain: Domain, context: SearchContext) -> Iterator[Incumbent | None]:
        """Yield the optimum over the region of each sample, and what MILPs make of it."""
        program, budget, record = RegionProgram(problem), context.budget, np.inf
        while not budget.is_exhausted():
            u = domain.sample(context.random, 1)[0]
            point = program.incumbent(program.solve(program.region_at(u), budget).u)
            yield point
            if point.objective > record + self.entry_gap * abs(record):
                continue
            best = yield from self._improved(program, domain, point, budget)
            record = min(record, best.objective)

    def _improved(
        self, program: RegionProgram, domain: Domain, best: Incumbent, budget: Budget
    ) -> Generator[Incumbent | None, None, Incumbent]:
        """From region optimum to region optimum by MILPs over the neurons that are zero, while the objective falls."""
        while not budget.is_exhausted():
            region = program.region_at(best.values[program.columns])
            optimum = program.solve(region, budget)
            point = program.incumbent(optimum.u)
            best = point if point.objective <= best.objective else best
            binding, region = optimum.binding, region.moved_to(best.values[program.columns])
            if binding.size == 0 or not is_small(region, binding.size):
                break
            found = best_in_neighbourhood(program, region, binding, budget, {"mip_max_nodes": self.max_nodes})
            yield None
            if found is None or not domain.contains(found[None, :])[0]:
                break
            point = program.incumbent(found)
            if not is_lower(point.objective, best.objective):
                break
            best = point
            yield best
        return best
