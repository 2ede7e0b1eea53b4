"""Bounds of integers are integers."""

from __future__ import annotations

import numpy as np

from pyomo_relugrad.arrays import Array
from pyomo_relugrad.problem.incumbent import FEASIBILITY_TOLERANCE
from pyomo_relugrad.problem.presolve.reduction import Reduced, same_columns
from pyomo_relugrad.problem.problem import Problem


def round_integer_bounds(problem: Problem) -> Reduced | None:
    """Move the bounds of integer columns inward to integers."""
    lower, upper = rounded_bounds(problem.lower, problem.upper, problem.integers)
    if np.array_equal(lower, problem.lower) and np.array_equal(upper, problem.upper):
        return None
    return same_columns(problem.with_bounds(lower, upper))


def rounded_bounds(
    lower: Array, upper: Array, integers: Array, tolerance: Array | float = FEASIBILITY_TOLERANCE
) -> tuple[Array, Array]:
    """Bounds of integer columns moved inward to integers; an integer may lie beyond its bound by the tolerance."""
    if not np.any(integers):
        return lower, upper
    return (
        np.where(integers, np.ceil(lower - tolerance), lower),
        np.where(integers, np.floor(upper + tolerance), upper),
    )
