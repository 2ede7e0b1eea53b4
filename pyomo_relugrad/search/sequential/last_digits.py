"""Points whose rows miss their sides by rounding alone: their last digits are changed until none does."""

from collections.abc import Callable
from functools import partial

import numpy as np

from pyomo_relugrad.arrays import Array
from pyomo_relugrad.deadline import checkpoint
from pyomo_relugrad.problem import FEASIBILITY_TOLERANCE, Problem

#: Violation, relative to the terms of a row, that counts as rounding.
ROUNDING = 1e-9
#: Rows that are mended until fewer are violated, columns that are tried for each, and numbers beside the one it lacks.
MAX_VAIN, MAX_COLUMNS, BESIDE = 1000, 6, np.arange(-5.0, 6.0)
#: Share of the tolerance up to which a row counts as held: Pyomo adds its terms in another order.
SHARE = 0.5


def with_last_digits(
    problem: Problem, v: Array, columns: Array, missing_at: Callable[[Array], Array] | None = None
) -> Array | None:
    """The point (n,) with last digits for which all rows hold; None where more than digits is missing.

    Row after row gives what it lacks to one of its columns, as that of a flow beside that of a stock, so that fewest
    rows are violated: sums of large numbers have no digits for the tolerance otherwise. Where rows share columns, as
    squared pressures around a loop, that may be more for a while: a walk on which no point comes twice.

    Parameters
    ----------
    problem : Problem
    v : (n,) array
        With propagated outputs.
    columns : (d,) int array
        The columns that may move.
    missing_at : callable, optional
        By how much rows lie beyond a side at points (B, n): (B, m), positive above the upper one. By default as the
        problem evaluates them.
    """
    missing_at = missing_at or partial(beyond_sides, problem)
    random, seen, fewest, vain = np.random.default_rng(0), {v.tobytes()}, np.inf, 0
    while vain <= MAX_VAIN:
        checkpoint()
        missing = missing_at(v[None])[0]
        lacking = _excess(missing)
        violated = np.flatnonzero(lacking)
        if not violated.size:
            return v
        if not is_rounding(problem, v, missing):
            return None
        fewest, vain = (violated.size, 0) if violated.size < fewest else (fewest, vain + 1)
        row = int(random.choice(violated) if vain else lacking.argmax())
        V = _neighbours(problem, v, columns, row, float(missing[row]))
        lacking = _excess(missing_at(V))
        order = np.lexsort([lacking.sum(axis=1), (lacking > 0.0).sum(axis=1)])
        new = [k for k in order if V[k].tobytes() not in seen and np.isfinite(lacking[k]).all()]
        if not new:
            return None
        v = V[new[0]]
        seen.add(v.tobytes())
    return None


def is_rounding(problem: Problem, v: Array, missing: Array | None = None) -> bool:
    """Whether rows of a point (n,) miss their sides by no more than rounding may, within their terms' sizes."""
    missing = beyond_sides(problem, v[None])[0] if missing is None else missing
    size = abs(problem.rows) @ np.abs(v)
    return bool((np.abs(missing) <= ROUNDING * size + SHARE * FEASIBILITY_TOLERANCE).all())


def _neighbours(problem: Problem, v: Array, columns: Array, row: int, missing: float) -> Array:
    """Points (k, n) at which one column gives what a row lacks, or is some numbers beside that."""
    slopes = problem.pull_back(v[None], problem.rows[[row]].toarray())[0]
    moving = columns[slopes[columns] != 0.0]
    moving = moving[np.argsort(np.abs(slopes[moving]) * np.spacing(np.abs(v[moving])), kind="stable")][:MAX_COLUMNS]
    V = np.repeat(v[None], moving.size * BESIDE.size, axis=0)
    targets = v[moving] - missing / slopes[moving] + BESIDE[:, None] * np.spacing(np.abs(v[moving]))
    inside = np.clip(targets, problem.lower[moving], problem.upper[moving])
    V[np.arange(len(V)), np.tile(moving, BESIDE.size)] = inside.ravel()
    return problem.completed(V)


def _excess(missing: Array) -> Array:
    """What rows lack of counting as held; NaN counts as without end."""
    excess = np.maximum(np.abs(missing) - SHARE * FEASIBILITY_TOLERANCE, 0.0)
    return np.where(np.isnan(excess), np.inf, excess)


def beyond_sides(problem: Problem, V: Array) -> Array:
    """By how much rows lie beyond a side (B, m), positive above the upper one."""
    activity = problem.row_activity(V)
    return np.maximum(activity - problem.row_upper, 0.0) - np.maximum(problem.row_lower - activity, 0.0)
