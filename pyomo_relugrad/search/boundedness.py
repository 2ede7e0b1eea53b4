"""Whether anything bounds what is searched: the inputs' bounds, the rows, or at least the objective."""

import numpy as np
from scipy import sparse

from pyomo_relugrad.arrays import Array
from pyomo_relugrad.problem import Problem
from pyomo_relugrad.programs import LinearProgram, LinearStatus
from pyomo_relugrad.run import Budget
from pyomo_relugrad.search.relaxation import LinearRelaxation

#: Seconds that the linear programs may take.
MAX_SECONDS = 2.0


def columns_without_end(problem: Problem) -> Array:
    """Inputs of networks along which nothing that is known keeps the objective from improving without end.

    Returns
    -------
    (k,) int array
        Columns that networks read and none writes, which have a side without a bound even by all rows together. None
        where the objective has a bound by the networks' intervals and the rows.
    """
    open_sides = np.isinf(problem.lower) | np.isinf(problem.upper)
    columns = np.flatnonzero(problem.is_input & ~problem.is_output & open_sides)
    if columns.size == 0:
        return columns
    budget = Budget(MAX_SECONDS)
    columns = _unbounded_by_rows(problem, columns, budget)
    return np.zeros(0, np.int64) if columns.size == 0 or _has_bounded_objective(problem, budget) else columns


def _unbounded_by_rows(problem: Problem, columns: Array, budget: Budget) -> Array:
    """Those of the columns that the rows without outputs, and the bounds, leave without a side."""
    rows = np.flatnonzero(~problem.rows_touch_output)
    touched = np.zeros(problem.n_columns, bool)
    touched[sparse.csr_array(problem.rows[rows]).indices] = True
    program = LinearProgram(
        np.zeros(problem.n_columns),
        problem.lower,
        problem.upper,
        problem.rows[rows],
        problem.row_lower[rows],
        problem.row_upper[rows],
    )
    return np.array([j for j in columns.tolist() if not (touched[j] and _is_bounded(program, j, budget))], np.int64)


def _is_bounded(program: LinearProgram, column: int, budget: Budget) -> bool:
    for sign in (1.0, -1.0):
        cost = np.zeros(program.n_columns)
        cost[column] = sign
        program.change_costs(cost)
        status = program.solve(budget.remaining).status
        if status is LinearStatus.INFEASIBLE:
            return True
        if status is not LinearStatus.OPTIMAL:
            return False
    return True


def _has_bounded_objective(problem: Problem, budget: Budget) -> bool:
    return bool(LinearRelaxation(problem).relax(budget).bound > -np.inf)
