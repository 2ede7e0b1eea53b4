"""Why there is no point: rows that contradict each other, and rows that the nearest point found violates."""

import numpy as np
from scipy import sparse

from pyomo_relugrad.arrays import Array
from pyomo_relugrad.problem import FEASIBILITY_TOLERANCE, Problem
from pyomo_relugrad.programs import LinearProgram
from pyomo_relugrad.words import MAX_LISTED

#: Seconds for the elastic program.
MAX_SECONDS = 2.0
_MULTIPLIER = 1e-7


def conflict(problem: Problem, lower: Array, upper: Array) -> str:
    """Rows, and ranges of outputs, that together have no point; empty where only integers are in the way.

    An elastic program lets each row be missed, at a price by its norm. Those whose multipliers are not zero at the
    optimum contradict each other (Farkas).

    Parameters
    ----------
    problem : Problem
    lower, upper : (n,) arrays
        Bounds of all columns, those of outputs included.
    """
    m, n = problem.n_rows, problem.n_columns
    norms = np.maximum(sparse.linalg.norm(problem.rows, axis=1), 1e-9) if m else np.zeros(0)
    misses = sparse.diags_array(norms, format="csr")
    program = LinearProgram(
        np.concatenate([np.zeros(n), np.ones(2 * m)]),
        np.concatenate([lower, np.zeros(2 * m)]),
        np.concatenate([upper, np.full(2 * m, np.inf)]),
        sparse.hstack([problem.rows, misses, -misses], format="csr"),
        problem.row_lower,
        problem.row_upper,
    )
    found = program.solve(MAX_SECONDS)
    if not found.is_optimal or found.objective <= FEASIBILITY_TOLERANCE or found.row_duals is None:
        return ""
    rows = np.flatnonzero(abs(found.row_duals) * norms > _MULTIPLIER)
    parts = [problem.describe_row(int(row)) for row in rows]
    slopes = np.zeros(n) if found.column_duals is None else found.column_duals[:n]
    for column in np.flatnonzero((abs(slopes) > _MULTIPLIER) & problem.is_output).tolist():
        parts.append(f"'{problem.column_name(column)}' between {lower[column]:.6g} and {upper[column]:.6g}")
    return _listed(parts)


def violated_rows(problem: Problem, values: Array) -> str:
    """The rows that a point violates, the worst first, and by how much."""
    sums = problem.rows @ values
    violations = np.maximum(problem.row_lower - sums, sums - problem.row_upper)
    order = np.argsort(-violations, kind="stable")
    worst = [row for row in order.tolist() if violations[row] > FEASIBILITY_TOLERANCE]
    return _listed([f"{problem.describe_row(row)} by {violations[row]:.3g}" for row in worst])


def _listed(parts: list[str]) -> str:
    return ", ".join(parts[:MAX_LISTED]) + (f" and {len(parts) - MAX_LISTED} more" if len(parts) > MAX_LISTED else "")
