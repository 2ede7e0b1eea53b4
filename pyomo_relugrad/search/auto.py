"""The default method: which search suits the problem is decided by its shape, once."""

from __future__ import annotations

from collections.abc import Iterator

from pyomo_relugrad.problem import Incumbent, Problem, Shape
from pyomo_relugrad.run.context import SearchContext
from pyomo_relugrad.search.descent.box_search import box_search
from pyomo_relugrad.search.descent.polytope_search import polytope_search
from pyomo_relugrad.search.domains.polytope import is_bounded, where_feasible
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
    if problem.shape is Shape.GENERAL or has_equations or many_networks or not is_bounded(problem):
        return sequential_lp(problem, context)
    if problem.n_rows <= 1:
        return where_feasible(box_search)(problem, context)
    size = int((~problem.is_output).sum())
    projects_fast = size * (size + problem.n_rows) <= PROJECTION_WORK
    return where_feasible(_both_in_turn if projects_fast else polytope_search)(problem, context)


def _both_in_turn(problem: Problem, context: SearchContext) -> Iterator[Incumbent | None]:
    """Descents with projections and descents by linear programs, a step of each in turn, until both are done."""
    searches = [polytope_search(problem, context), box_search(problem, context)]
    while searches:
        for search in searches.copy():
            try:
                yield next(search)
            except StopIteration:
                searches.remove(search)
