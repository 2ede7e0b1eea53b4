"""Bounds of a problem's columns that follow from the rest of it, and those that say nothing because they follow.

What is implied is rounded outward, so that no feasible point is lost: interval arithmetic through networks by their own
rounding errors, rows by those of their sums and by `SAFETY` besides. Declared bounds count as implied where they lie
within `SAFETY` of that, and as contradicting it beyond `FEASIBILITY_TOLERANCE`, which is what a point may violate.
"""

from contextlib import suppress

import numpy as np

from pyomo_relugrad.arrays import Array
from pyomo_relugrad.deadline import OutOfTime
from pyomo_relugrad.errors import InfeasibleProblemError
from pyomo_relugrad.network import interval_bounds
from pyomo_relugrad.problem.incumbent import FEASIBILITY_TOLERANCE
from pyomo_relugrad.problem.presolve.reduction import Reduced, with_bounds
from pyomo_relugrad.problem.presolve.row_tightening import RowTightening, met_in_the_middle, safety_margin
from pyomo_relugrad.problem.problem import Problem
from pyomo_relugrad.problem.stages import NetworkBounds


def apply_implied_bounds(problem: Problem) -> Reduced | None:
    """Bound columns that lack a bound, and make bounds of outputs infinite that follow from the inputs' bounds.

    The former are columns that no function writes; rows bound them, over the ranges of the functions. Without these
    the problem is a program for HiGHS, which finds them itself. Bounds that cross by rounding alone, as those of two
    columns that a row sets equal, meet in the middle.

    Raises
    ------
    InfeasibleProblemError
        If a column is left without a value; names it.
    """
    lower, upper = _checked(problem, problem.lower, problem.upper)
    with suppress(OutOfTime):
        lower, upper = _with_missing_bounds(problem, lower, upper)
    declared = problem.is_output & (np.isfinite(lower) | np.isfinite(upper))
    if not declared.any() and not problem.expressions:  # which alone may be defined nowhere
        return with_bounds(problem, lower, upper)
    implied = function_implied_bounds(problem, lower, upper)
    _checked(problem, np.maximum(lower, implied[0]), np.minimum(upper, implied[1]), " by its {writer}")
    droppable = problem.is_output & (lower < upper)
    follows = [implied[0] >= lower - _allowed(lower), implied[1] <= upper + _allowed(upper)]
    lower = np.where(droppable & follows[0], -np.inf, lower)
    upper = np.where(droppable & follows[1], np.inf, upper)
    return with_bounds(problem, lower, upper)


def _allowed(bounds: Array) -> Array:
    """How far values may lie beyond bounds that are left out."""
    return np.minimum(safety_margin(np.where(np.isfinite(bounds), bounds, 0.0)), 0.1 * FEASIBILITY_TOLERANCE)


def _with_missing_bounds(problem: Problem, lower: Array, upper: Array) -> tuple[Array, Array]:
    """The bounds, those of columns that lack one tightened by rows until no other gets its first."""
    missing = _lack_a_bound(problem, lower, upper)
    if problem.n_rows == 0 or not problem.functions or not missing.any():
        return lower, upper
    tighten = RowTightening(problem)
    while missing.any():
        implied = function_implied_bounds(problem, lower, upper)
        box = np.maximum(lower, implied[0]), np.minimum(upper, implied[1])
        tight = tighten.rounds(box[0][None], box[1][None])
        lower, upper = np.where(missing, tight[0][0], lower), np.where(missing, tight[1][0], upper)
        lower, upper = _checked(problem, lower, upper, " by the constraints")
        still = _lack_a_bound(problem, lower, upper)
        if (still == missing).all():
            break
        missing = still
    return lower, upper


def _lack_a_bound(problem: Problem, lower: Array, upper: Array) -> Array:
    return ~problem.is_output & (np.isinf(lower) | np.isinf(upper))


def _checked(problem: Problem, lower: Array, upper: Array, why: str = "") -> tuple[Array, Array]:
    """The bounds, those that cross by no more than the tolerance closed."""
    lower, upper, crossed = met_in_the_middle(lower, upper, FEASIBILITY_TOLERANCE)
    if crossed.any():
        first = int(np.argmax(crossed))
        writer = next((each.kind for each in problem.functions if first in each.outputs), "")
        name = f"{problem.describe_column(first)} can have no value{why.format(writer=writer)}"
        if writer and (lower[first], upper[first]) == (np.inf, -np.inf):
            raise InfeasibleProblemError(f"{name}: it is not defined anywhere within the bounds of its inputs")
        raise InfeasibleProblemError(f"{name}: its lower bound is {lower[first]}, its upper bound {upper[first]}")
    return lower, upper


def function_implied_bounds(
    problem: Problem,
    lower: Array,
    upper: Array,
    bounds: NetworkBounds = interval_bounds,
) -> tuple[Array, Array]:
    """Bounds that the functions, one after another, imply for their outputs.

    Parameters
    ----------
    problem : Problem
    lower, upper : (n,) arrays
        Bounds of all columns; those of an output narrow the boxes of the functions that read it.
    bounds : callable, optional
        Bounds a network over boxes: interval arithmetic, or CROWN.

    Returns
    -------
    lower, upper : (n,) arrays
        What the functions alone imply for output columns, infinite for the others. Over an empty box, NaN-free but
        meaningless.
    """
    lower, upper = lower.copy(), upper.copy()
    implied_lower, implied_upper = np.full(lower.size, -np.inf), np.full(upper.size, np.inf)
    for stage in problem.stages:
        low = np.minimum(lower[stage.inputs], upper[stage.inputs])
        high = np.maximum(lower[stage.inputs], upper[stage.inputs])
        least, most = stage.range(low, high, bounds)
        implied_lower[stage.outputs], implied_upper[stage.outputs] = least, most
        lower[stage.outputs] = np.maximum(lower[stage.outputs], least)
        upper[stage.outputs] = np.minimum(upper[stage.outputs], most)
    return implied_lower, implied_upper
