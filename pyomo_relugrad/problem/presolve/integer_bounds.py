"""Bounds of integers are integers."""

import numpy as np

from pyomo_relugrad.arrays import Array
from pyomo_relugrad.problem.incumbent import FEASIBILITY_TOLERANCE
from pyomo_relugrad.problem.presolve.reduction import Reduced, with_bounds
from pyomo_relugrad.problem.problem import Problem


def round_integer_bounds(problem: Problem) -> Reduced | None:
    """Move the bounds of integer columns inward to integers."""
    return with_bounds(problem, *rounded_bounds(problem.lower, problem.upper, problem.integers))


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
