"""The default method: which search suits the problem is decided by its shape, once."""

from __future__ import annotations

from collections.abc import Iterator

from pyomo_relugrad.problem import Incumbent, Problem, Shape
from pyomo_relugrad.run.context import SearchContext
from pyomo_relugrad.search.descent.box_search import box_search
from pyomo_relugrad.search.descent.polytope_search import polytope_search
from pyomo_relugrad.search.domains.feasible_set import domain_of, is_bounded, run_if_feasible
from pyomo_relugrad.search.neighbourhoods.search import neighbourhood_search
from pyomo_relugrad.search.sequential.sequential_lp import sequential_lp

#: Multiplications of one projection step per point, up to which batches with projections beat linear programs.
PROJECTION_WORK = 50_000

#: Networks side by side (one network at many input sets) above which one linear program moves all of them better than
#: a descent of points in many dimensions.
MANY_NETWORKS = 20


def auto(problem: Problem, context: SearchContext) -> Iterator[Incumbent | None]:
    """Search by the problem's shape.

    A bounded box, or one with a single row: batched descents with projections. A polytope: descents by linear programs,
    and, while it is small, the two in turn, since either may win. Integers, rows on outputs, unbounded columns,
    equations, many networks side by side: sequential linear programming.
    """
    has_equations = bool((problem.row_lower == problem.row_upper).any())
    many_networks = len(problem.networks) > MANY_NETWORKS
    if problem.shape is Shape.GENERAL:
        return neighbourhood_search(problem, context)
    if has_equations or many_networks or not is_bounded(problem):
        return sequential_lp(problem, context)
    return run_if_feasible(_by_domain, problem, context)


def _by_domain(problem: Problem, context: SearchContext) -> Iterator[Incumbent | None]:
    """Descents with projections where these are cheap, by linear programs where they are not, both in between."""
    domain = domain_of(problem, context.budget)
    if domain.projection_work == 0:
        return box_search(problem, domain, context)
    by_programs = polytope_search(problem, domain, context)
    if domain.projection_work > PROJECTION_WORK:
        return by_programs
    return _in_turn([by_programs, box_search(problem, domain, context)])


def _in_turn(searches: list[Iterator[Incumbent | None]]) -> Iterator[Incumbent | None]:
    """A step of each search after the other, until all are done."""
    while searches:
        for search in searches.copy():
            try:
                yield next(search)
            except StopIteration:
                searches.remove(search)
