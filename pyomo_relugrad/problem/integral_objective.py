"""Objectives whose values are whole multiples of a number, so that bounds may be rounded up."""

import math

import numpy as np

from pyomo_relugrad.problem.incumbent import FEASIBILITY_TOLERANCE
from pyomo_relugrad.problem.problem import Problem

#: How far, in steps, a bound may be above a multiple by rounding, and quotients of costs from whole numbers.
ROUNDING = 1e-5
WHOLE = 1e-12


def objective_step(problem: Problem) -> float:
    """The number of which all values of the objective are whole multiples, its constant aside; 0 where there is none.

    Examples
    --------
    >>> counts = Problem(np.array([2.0, 4.0, 0.0]), np.zeros(3), np.ones(3), integers=np.array([True, True, False]))
    >>> objective_step(counts)
    2.0
    """
    costs = np.abs(problem.cost[problem.cost != 0.0])
    if problem.quadratic is not None or not costs.size or not problem.integers[problem.cost != 0.0].all():
        return 0.0
    quotients = costs / costs.min()
    return float(costs.min()) if (np.abs(quotients - np.round(quotients)) <= WHOLE * quotients).all() else 0.0


def rounded_up(problem: Problem, bound: float) -> float:
    """The smallest value that the objective can have at or above a bound, where that can be told; else the bound.

    A bound holds to a tolerance relative to its size: what is above a multiple by less counts as the multiple.
    """
    step = objective_step(problem) if math.isfinite(bound) else 0.0
    if step == 0.0:
        return bound
    value = bound - problem.constant
    tolerance = FEASIBILITY_TOLERANCE * (1.0 + abs(value)) + ROUNDING * step
    return max(bound, math.ceil((value - tolerance) / step) * step + problem.constant)
