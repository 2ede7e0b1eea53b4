"""Whether a problem with smooth functions is convex once its integers are held."""

import numpy as np

from pyomo_relugrad.arrays import Array
from pyomo_relugrad.problem import Problem
from pyomo_relugrad.programs import ExpressionRows, expression_ranges
from pyomo_relugrad.search.relaxation import LinearRelaxation

#: Points at which planes are compared with the functions, and the relative distance up to which they touch.
POINTS, TOUCHING = 16, 1e-6


def is_convex(problem: Problem, random: np.random.Generator) -> bool:
    """Whether planes touch all smooth functions at random points, on the sides on which values are looked for.

    Outer approximation by such planes ends at the best integers. Networks count as not convex.
    """
    if problem.networks:
        return False
    points = LinearRelaxation(problem).random_points(POINTS, random)
    lower, upper = (np.repeat(side[None], len(points), axis=0) for side in (problem.lower, problem.upper))
    below, above = ExpressionRows(problem).misses(lower, upper, points)
    falls, rises = pressed(problem)
    return bool((below[:, falls] <= TOUCHING).all() and (above[:, rises] <= TOUCHING).all())


def pressed(problem: Problem) -> tuple[Array, Array]:
    """The columns (n,), as booleans each, that something gains from when they fall, and when they rise."""
    positive, negative = problem.rows.maximum(0.0), problem.rows.minimum(0.0)
    at_least, at_most = (np.isfinite(side).astype(float) for side in (problem.row_lower, problem.row_upper))
    low, high = expression_ranges(problem)
    falls = (problem.cost > 0) | (positive.T @ at_most - negative.T @ at_least > 0) | (problem.upper < high)
    rises = (problem.cost < 0) | (positive.T @ at_least - negative.T @ at_most > 0) | (problem.lower > low)
    return falls | problem.is_input, rises | problem.is_input
