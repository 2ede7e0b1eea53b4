"""The default method: which search suits the problem is decided by its shape, once."""

from __future__ import annotations

from collections.abc import Iterator

from pyomo_relugrad.problem import Incumbent, Problem, Shape
from pyomo_relugrad.search.box_search import box_search
from pyomo_relugrad.search.budget import SearchContext
from pyomo_relugrad.search.polytope import is_bounded, where_feasible
from pyomo_relugrad.search.polytope_search import polytope_search
from pyomo_relugrad.search.sequential_lp import sequential_lp

#: Multiplications of one projection step per point, up to which batches with projections beat linear programs.
PROJECTION_WORK = 50_000


def auto(problem: Problem, context: SearchContext) -> Iterator[Incumbent | None]:
    """Search by the problem's shape.

    A bounded box, one with a single row, or a small polytope: batched climbs with projections. A larger polytope:
    climbs by linear programs. Integers, rows on outputs, unbounded columns: sequential linear programming.
    """
    if problem.shape is Shape.GENERAL or not is_bounded(problem):
        return sequential_lp(problem, context)
    size = int((~problem.is_output).sum())
    projects_fast = problem.n_rows <= 1 or size * (size + problem.n_rows) <= PROJECTION_WORK
    return where_feasible(box_search if projects_fast else polytope_search)(problem, context)
