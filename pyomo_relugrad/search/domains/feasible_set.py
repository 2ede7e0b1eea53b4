"""The feasible set of a problem's decision columns: which domain it is."""

import numpy as np

from pyomo_relugrad.arrays import Array
from pyomo_relugrad.problem import Problem
from pyomo_relugrad.run import Budget
from pyomo_relugrad.search.domains.box import Box, BoxWithRow
from pyomo_relugrad.search.domains.domain import BoundsAndRows, Domain
from pyomo_relugrad.search.domains.polytope import Polytope

#: The kinds of domains, the most special first; a new kind is added here.
DOMAINS: tuple[type[Domain], ...] = (Box, BoxWithRow, Polytope)


def domain_of(problem: Problem, budget: Budget | None = None) -> Domain:
    """The decision columns' feasible set: of the first kind in `DOMAINS` that it is.

    Parameters
    ----------
    problem : Problem
        As `presolve` leaves it; its decision columns have finite bounds.
    budget : Budget, optional
        The time that projections and linear programs over the set may take.
    """
    limits, budget = _bounds_and_rows(problem), budget or Budget()
    kinds = (kind.of(limits, budget) for kind in DOMAINS)
    return next(domain for domain in kinds if domain is not None)


def feasible_start(problem: Problem, domain: Domain, start: Array | None) -> Array | None:
    """The decision columns (d,) of the user's start (n,), None if it lacks one or is not in the domain."""
    columns = ~problem.is_output
    if start is None or np.isnan(start[columns]).any():
        return None
    u = np.clip(start[columns], domain.lower, domain.upper)
    return u if domain.contains(u[None, :])[0] else None


def _bounds_and_rows(problem: Problem) -> BoundsAndRows:
    """Those of the decision columns."""
    columns = np.flatnonzero(~problem.is_output)
    sides = problem.row_lower, problem.row_upper
    return BoundsAndRows(problem.lower[columns], problem.upper[columns], problem.decision_rows, *sides)


def columns_without_bounds(problem: Problem) -> Array:
    """Decision columns that lack a bound."""
    return np.flatnonzero(~problem.is_output & ~(np.isfinite(problem.lower) & np.isfinite(problem.upper)))
