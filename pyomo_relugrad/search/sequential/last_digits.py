"""Points whose rows miss their sides by rounding alone: their last digits are changed until none does."""

import numpy as np

from pyomo_relugrad.arrays import Array
from pyomo_relugrad.problem import FEASIBILITY_TOLERANCE, Problem

#: Violation, relative to the terms of a row, that counts as rounding.
ROUNDING = 1e-9
#: Rows that are mended one after the other, columns that are tried for each, and numbers beside the one it lacks.
MAX_ROWS, MAX_COLUMNS, BESIDE = 300, 6, np.arange(-5.0, 6.0)
#: Share of the tolerance up to which a row counts as held: Pyomo adds its terms in another order.
SHARE = 0.5


def with_last_digits(problem: Problem, v: Array, columns: Array) -> Array | None:
    """The point (n,) with last digits for which all rows hold; None where more than digits is missing.

    Row after row gives what it lacks to the one of its columns whose next number is nearest, as that of a flow beside
    that of a stock: sums of large numbers have no digits for the tolerance otherwise.

    Parameters
    ----------
    problem : Problem
    v : (n,) array
        With propagated outputs.
    columns : (d,) int array
        The columns that may move.
    """
    for _ in range(MAX_ROWS):
        missing = _missing(problem, v[None])[0]
        if not np.isfinite(missing).all():
            return None
        excess = np.abs(missing) - SHARE * FEASIBILITY_TOLERANCE
        if excess.max(initial=0.0) <= 0.0:
            return v
        row = int(excess.argmax())
        size = float((abs(problem.rows[[row]]) @ np.abs(v))[0])
        if abs(missing[row]) > ROUNDING * size:
            return None
        slopes = problem.pull_back(v[None], problem.rows[[row]].toarray())[0]
        moving = columns[slopes[columns] != 0.0]
        moving = moving[np.argsort(np.abs(slopes[moving]) * np.spacing(np.abs(v[moving])), kind="stable")][:MAX_COLUMNS]
        if not moving.size:
            return None
        V = np.repeat(v[None], moving.size * BESIDE.size, axis=0)
        targets = v[moving] - missing[row] / slopes[moving] + BESIDE[:, None] * np.spacing(np.abs(v[moving]))
        inside = np.clip(targets, problem.lower[moving], problem.upper[moving])
        V[np.arange(len(V)), np.tile(moving, BESIDE.size)] = inside.ravel()
        V = problem.completed(V)
        lacking = np.maximum(np.abs(_missing(problem, V)) - SHARE * FEASIBILITY_TOLERANCE, 0.0)
        totals = np.where(lacking[:, row] > 0.0, np.inf, lacking.sum(axis=1))
        best = int(totals.argmin())
        if not np.isfinite(totals[best]):
            return None
        v = V[best]
    return None


def _missing(problem: Problem, V: Array) -> Array:
    """By how much rows lie beyond a side (B, m), positive above the upper one."""
    activity = problem.row_activity(V)
    return np.maximum(activity - problem.row_upper, 0.0) - np.maximum(problem.row_lower - activity, 0.0)
