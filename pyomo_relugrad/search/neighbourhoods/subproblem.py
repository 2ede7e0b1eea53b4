"""A problem within a box of its columns, its networks written out exactly: a mixed-integer program for HiGHS."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from pyomo_relugrad.arrays import Array
from pyomo_relugrad.problem import Incumbent, Problem, bound_problem
from pyomo_relugrad.programs import LinearStatus, build_big_m

#: Coefficients of rows and networks above which no program is built.
MAX_ENTRIES = 400_000
#: Iterations of the simplex that count as one step, the linear program of a descent.
ITERATIONS_PER_STEP = 100
#: Options of HiGHS: small programs are rather searched than presolved again.
OPTIONS = {"mip_allow_restart": False}


@dataclass(frozen=True, eq=False)
class Outcome:
    """What a subproblem gave.

    Parameters
    ----------
    point : Incumbent or None
    is_complete : bool
        Whether the box is known to hold nothing better.
    bound : float
        Nothing in the box has a smaller objective.
    steps : int
        Linear programs of common size that were solved in all, roughly.
    """

    point: Incumbent | None
    is_complete: bool
    bound: float = -np.inf
    steps: int = 1


def is_small(problem: Problem, most: float = MAX_ENTRIES) -> bool:
    """Whether programs over the problem's networks fit, and have a linear objective."""
    return problem.quadratic is None and entries(problem) <= most


def entries(problem: Problem) -> int:
    """Coefficients of a problem's rows and networks."""
    return int(problem.rows.nnz) + sum(embedded.network.n_weights for embedded in problem.networks)


def solve_within(
    problem: Problem, lower: Array, upper: Array, start: Array | None, time_limit: float, options: dict[str, Any]
) -> Outcome:
    """Look for the best point of a problem within a box.

    Parameters
    ----------
    problem : Problem
    lower, upper : (n,) arrays
        Not wider than the problem's bounds.
    start : (n,) array or None
        A point with propagated outputs, which HiGHS begins with.
    time_limit : float
        Seconds.
    options : dict
        Of HiGHS.
    """
    within = problem.with_bounds(lower, upper)
    bounds = bound_problem(within, "crown")
    if not bounds.possible:
        return Outcome(None, is_complete=True, bound=np.inf)
    inputs = problem.is_input
    if not (np.isfinite(bounds.lower[inputs]).all() and np.isfinite(bounds.upper[inputs]).all()):
        return Outcome(None, is_complete=False)
    model = build_big_m(within, bounds)
    program = model.program(relaxed=False, options={**OPTIONS, **options})
    if start is not None:
        program.start_from_values(model.start(start))
    solution = program.solve(time_limit)
    point = None if solution.values is None else problem.incumbent(solution.values[: problem.n_columns])
    is_complete = solution.status in (LinearStatus.OPTIMAL, LinearStatus.INFEASIBLE)
    steps = 1 + solution.iterations // ITERATIONS_PER_STEP
    return Outcome(point, is_complete, solution.bound + problem.constant, steps)
