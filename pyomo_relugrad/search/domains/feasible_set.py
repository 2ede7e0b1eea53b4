"""The feasible set of a problem's decision columns: which domain it is, and whether it has a point at all."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
from scipy import sparse

from pyomo_relugrad.arrays import Array
from pyomo_relugrad.errors import ModelError
from pyomo_relugrad.problem import Incumbent, Problem
from pyomo_relugrad.programs.linear_program import LinearProgram, LinearStatus
from pyomo_relugrad.run.budget import Budget, Stop
from pyomo_relugrad.run.context import SearchContext
from pyomo_relugrad.search.domains.box import Box, BoxWithRow
from pyomo_relugrad.search.domains.domain import Domain
from pyomo_relugrad.search.domains.polytope import Polytope

#: The kinds of domains, the most special first; a new kind is added here.
DOMAINS: tuple[type[Domain], ...] = (Box, BoxWithRow, Polytope)


def domain_of(problem: Problem, budget: Budget | None = None) -> Domain:
    """The decision columns' feasible set: of the first kind in `DOMAINS` that it is.

    Parameters
    ----------
    problem : Problem
        As `presolve` leaves it.
    budget : Budget, optional
        The time that projections and linear programs over the set may take.

    Raises
    ------
    ModelError
        If a column has no finite bounds.
    """
    missing = _without_bounds(problem)
    if missing.size:
        names = ", ".join(problem.column_name(column) for column in missing[:3].tolist())
        raise ModelError(
            f"this method needs finite bounds on the decision variables, but {names} has none; "
            "give it bounds, or use method 'auto'"
        )
    columns = np.flatnonzero(~problem.is_output)
    rows = sparse.csr_array(problem.rows[:, columns])
    bounds, sides = (problem.lower[columns], problem.upper[columns]), (problem.row_lower, problem.row_upper)
    kinds = (kind.of(*bounds, rows, *sides, budget or Budget()) for kind in DOMAINS)
    return next(domain for domain in kinds if domain is not None)


def feasible_start(problem: Problem, domain: Domain, start: Array | None) -> Array | None:
    """The decision columns (d,) of the user's start (n,), None if it lacks one or is not in the domain."""
    columns = ~problem.is_output
    if start is None or np.isnan(start[columns]).any():
        return None
    u = np.clip(start[columns], domain.lower, domain.upper)
    return u if domain.contains(u[None, :])[0] else None


def is_bounded(problem: Problem) -> bool:
    """Whether every decision column has finite bounds."""
    return not _without_bounds(problem).size


def has_point(problem: Problem) -> bool:
    """Whether bounds and rows, all on decision columns, leave any point."""
    columns = np.flatnonzero(~problem.is_output)
    lower, upper = problem.lower[columns], problem.upper[columns]
    if problem.n_rows == 0 or (lower > upper).any():
        return bool((lower <= upper).all())
    rows = sparse.csr_array(problem.rows[:, columns])
    program = LinearProgram(np.zeros(columns.size), lower, upper, rows, problem.row_lower, problem.row_upper)
    return program.solve().status is not LinearStatus.INFEASIBLE


def run_if_feasible(
    run: Callable[[Problem, SearchContext], Iterator[Incumbent | None]], problem: Problem, context: SearchContext
) -> Iterator[Incumbent | None]:
    """A method for problems without rows on outputs, ended at once where bounds and rows leave no point.

    Where their linear program has been solved, its point comes first: there is an answer however short the time.
    """
    known = context.relaxation
    if known is None and not has_point(problem):
        context.budget.stop = Stop.INFEASIBLE
        return
    if known is not None and known.values is not None:
        yield problem.incumbent(known.values)
    yield from run(problem, context)


def _without_bounds(problem: Problem) -> Array:
    """Decision columns that lack a bound."""
    return np.flatnonzero(~problem.is_output & ~(np.isfinite(problem.lower) & np.isfinite(problem.upper)))
