"""What multipliers prove of a linear program, however well a solver has solved it.

Multipliers of the rows make a linear function that is nowhere above the objective where the rows hold. Its least value
between the columns' bounds is a bound, whatever the multipliers are: those of a solver that takes a reduced cost of the
wrong sign for zero, too (Neumaier and Shcherbina, "Safe bounds in linear and mixed-integer linear programming",
Mathematical Programming 99, 2004).
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from pyomo_relugrad.arrays import Array, SparseRows, Weight
from pyomo_relugrad.problem import ROUNDING
from pyomo_relugrad.programs.linear_program import LinearSolution, LinearStatus

#: A column without a bound on the side where it costs least has none to offer; but a reduced cost below this, relative
#: to the sizes of the terms that it is the sum of, counts as zero there: solvers compute those of such columns so well.
ZERO_COST = 1e-9


@np.errstate(over="ignore", invalid="ignore")
def proven_minimum(
    cost: Array,
    lower: Array,
    upper: Array,
    rows: Weight | SparseRows,
    row_lower: Array,
    row_upper: Array,
    multipliers: Array,
) -> float:
    """A number that ``cost @ v`` is not below where rows and bounds hold, rounded downward; minus infinity for none.

    Parameters
    ----------
    cost, lower, upper : (n,) arrays
    rows : (m, n) csr_array or SparseRows
    row_lower, row_upper : (m,) arrays
    multipliers : (m,) array
        Any numbers; not negative where the lower side of a row is meant.
    """
    sides = np.where(multipliers > 0.0, row_lower, row_upper)
    exists = np.isfinite(sides)
    used, sides = np.where(exists, multipliers, 0.0), np.where(exists, sides, 0.0)
    terms = rows.data * np.repeat(used, np.diff(rows.indptr))
    reduced = cost - np.bincount(rows.indices, terms, cost.size)
    sizes = np.abs(cost) + np.bincount(rows.indices, np.abs(terms), cost.size)
    ends = np.where(reduced > 0.0, lower, upper)
    is_open = np.isinf(ends)
    if (np.abs(reduced) > ZERO_COST * sizes)[is_open].any():
        return -np.inf
    ends = np.where(is_open, 0.0, ends)
    rounding = np.finfo(np.float64).eps * (multipliers.size + cost.size)
    error = rounding * (np.abs(used * sides).sum() + sizes @ np.abs(ends))
    value = float(used @ sides + reduced @ ends - error)
    return value if np.isfinite(value) else -np.inf


def certified(
    solution: LinearSolution,
    cost: Array,
    lower: Array,
    upper: Array,
    rows: Weight | SparseRows,
    row_lower: Array,
    row_upper: Array,
) -> LinearSolution:
    """A linear program's solution with the bound that its multipliers prove, and failed where no ray proves its status.

    The arguments are those of `proven_minimum`.
    """
    parts = lower, upper, rows, row_lower, row_upper
    if solution.status is LinearStatus.INFEASIBLE:
        return (
            solution
            if _shows_that_empty(solution.ray, *parts)
            else replace(solution, status=LinearStatus.FAILED, bound=-np.inf)
        )
    duals = solution.row_duals
    return replace(solution, bound=-np.inf if duals is None else proven_minimum(cost, *parts, duals))


def _shows_that_empty(
    ray: Array | None, lower: Array, upper: Array, rows: Weight | SparseRows, row_lower: Array, row_upper: Array
) -> bool:
    """Whether multipliers of the rows, of either sign, show that no point is between all sides (Farkas)."""
    if ray is None:
        return False
    ray = np.where(np.abs(ray) > ROUNDING * np.abs(ray).max(initial=0.0), ray, 0.0)
    parts = lower, upper, rows, row_lower, row_upper
    return any(proven_minimum(np.zeros(lower.size), *parts, sign * ray) > 0.0 for sign in (1.0, -1.0))
