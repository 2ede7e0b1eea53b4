"""Sampling of linear regions (Perakis, Tsiourvas, arXiv 2205.14189, Algorithm 1)."""

from __future__ import annotations

from collections.abc import Iterator

from pyomo_relugrad.problem import Incumbent, Problem
from pyomo_relugrad.run.context import SearchContext
from pyomo_relugrad.search.domains.feasible_set import domain_of
from pyomo_relugrad.search.regions.program import RegionProgram


def sampling(problem: Problem, context: SearchContext) -> Iterator[Incumbent | None]:
    """Draw a point, hold its activation pattern, minimize over that linear region by an LP; repeat.

    Decided here: points are uniform in the bounding box, projected onto the rows. The LP's facets are generated as the
    step crosses them, and the linear programs share one model.
    """
    program, domain = RegionProgram(problem), domain_of(problem, context.budget)
    while not context.budget.is_exhausted():
        u = domain.sample(context.random, 1)[0]
        optimum = program.solve(program.region_at(u), context.budget)
        yield program.incumbent(optimum.u)
