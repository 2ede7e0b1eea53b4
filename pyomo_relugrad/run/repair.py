"""Points that use up the feasibility tolerance, moved back onto what they violate: the last polish, in float64."""

from typing import TypeAlias

import numpy as np
from scipy import sparse

from pyomo_relugrad.arrays import Array, Weight
from pyomo_relugrad.problem import Incumbent, Problem
from pyomo_relugrad.programs import LinearProgram

#: Violation that is left alone: rounding, not a use of the tolerance.
CLEAN = 1e-9
#: How far a column may move, relative to one plus its size: the first that leads to a point without violation.
REACHES = (1e-5, 1e-3)
#: Steps within one reach: a step that crosses a kink of a network is followed by another.
STEPS = 3
#: Rows on outputs whose slack, relative to their side, is larger than this are left out.
NEAR = 1e-2
#: Entries of the gradients of rows on outputs up to which a step is tried.
MAX_ENTRIES = 5_000_000


def repaired(problem: Problem, point: Incumbent) -> Incumbent:
    """A point without violation beside one that is feasible within the tolerance alone.

    Searches in float32 and linear programs end at points that violate a row by 1e-7 or so, which is called feasible;
    their objective is better by as much as that violation buys. The best point nearby that violates nothing is found
    by linear programs over the linear region of the networks.

    Returns
    -------
    Incumbent
        The point itself where it is clean or not feasible at all, or where no such point is found.
    """
    if not point.is_feasible or point.violation <= CLEAN:
        return point
    for reach in REACHES:
        moved = point
        for _ in range(STEPS):
            values = _step(problem, moved.values, reach)
            if values is None:
                break
            moved = problem.incumbent(values)
            if moved.violation <= CLEAN:
                return moved
    return point


def _step(problem: Problem, v: Array, reach: float) -> Array | None:
    """The best point within reach where the linearized rows and all bounds hold, None where there is none."""
    columns = np.flatnonzero(~problem.is_output & ~problem.integers & (problem.lower < problem.upper))
    if columns.size == 0:
        return None
    # All is measured in units of the reach, so that HiGHS's absolute tolerance is far below what is to be mended.
    unit = reach * (1.0 + np.abs(v[columns]))
    parts = [_plain_rows(problem, v, columns, unit), _output_rows(problem, v, columns, unit)]
    if any(part is None for part in parts):
        return None
    matrices, lowers, uppers = zip(*(part for part in parts if part is not None), strict=True)
    matrix = sparse.vstack(matrices, format="csr")
    size = abs(matrix).max(axis=1).toarray().ravel() if matrix.shape[0] else np.zeros(0)
    size = np.where(size > 0, size, 1.0)
    gradient = problem.pull_back(v[None], problem.objective_gradient(v[None]))[0, columns] * unit
    first = np.maximum((problem.lower[columns] - v[columns]) / unit, -1.0)
    last = np.minimum((problem.upper[columns] - v[columns]) / unit, 1.0)
    program = LinearProgram(
        gradient / (np.abs(gradient).max(initial=0.0) or 1.0),
        first,
        last,
        sparse.csr_array(sparse.diags_array(1.0 / size) @ matrix) if size.size else None,
        np.concatenate(lowers) / size,
        np.concatenate(uppers) / size,
        options={"presolve": "off"},
    )
    solution = program.solve()
    if solution.values is None:
        return None
    values = v.copy()
    values[columns] += unit * solution.values
    at_lower, at_upper = solution.values <= first, solution.values >= last
    on_lower, on_upper = at_lower & (first > -1.0), at_upper & (last < 1.0)
    values[columns] = np.where(on_lower, problem.lower[columns], values[columns])
    values[columns] = np.where(on_upper, problem.upper[columns], values[columns])
    return values


_Rows: TypeAlias = tuple[Weight, Array, Array]
"""A matrix and two sides: ``lower <= matrix @ step <= upper`` for a step in units, from the point."""


def _plain_rows(problem: Problem, v: Array, columns: Array, unit: Array) -> _Rows:
    """The rows without outputs that a step can reach."""
    matrix = sparse.csr_array(problem.rows[:, columns] @ sparse.diags_array(unit))
    activity = problem.row_activity(v[None])[0]
    room = np.minimum(activity - problem.row_lower, problem.row_upper - activity)
    rows = np.flatnonzero(~problem.rows_touch_output & (room <= abs(matrix) @ np.ones(columns.size)))
    return matrix[rows], problem.row_lower[rows] - activity[rows], problem.row_upper[rows] - activity[rows]


def _output_rows(problem: Problem, v: Array, columns: Array, unit: Array) -> _Rows | None:
    """Rows and bounds on outputs that are near a side, differentiated through the networks; None if they are many."""
    activity = problem.row_activity(v[None])[0]
    rows = np.flatnonzero(problem.rows_touch_output & _is_near(activity, problem.row_lower, problem.row_upper))
    outputs = np.flatnonzero(problem.is_output & _is_near(v, problem.lower, problem.upper))
    count = rows.size + outputs.size
    if count * problem.n_columns > MAX_ENTRIES:
        return None
    partial = np.zeros((count, problem.n_columns))
    partial[: rows.size] = problem.rows[rows].toarray()
    partial[np.arange(rows.size, count), outputs] = 1.0
    value = np.concatenate([activity[rows], v[outputs]])
    lower = np.concatenate([problem.row_lower[rows], problem.lower[outputs]]) - value
    upper = np.concatenate([problem.row_upper[rows], problem.upper[outputs]]) - value
    total = problem.pull_back(np.repeat(v[None], count, axis=0), partial)[:, columns] * unit
    return sparse.csr_array(total), lower, upper


def _is_near(value: Array, lower: Array, upper: Array) -> Array:
    """Which values are outside of their sides, or near one."""
    room = np.minimum(value - lower, upper - value)
    return np.asarray(room <= NEAR * (1.0 + np.abs(value)))
