"""Runs on the presolved problem, whose points and reports are told in the columns of the original."""

from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache

import numpy as np

from pyomo_relugrad import deadline
from pyomo_relugrad.arrays import Array
from pyomo_relugrad.deadline import OutOfTime
from pyomo_relugrad.errors import InfeasibleProblemError, ModelError
from pyomo_relugrad.problem import Incumbent, Problem
from pyomo_relugrad.problem.presolve import Reduced, presolve
from pyomo_relugrad.programs import HUGE_COEFFICIENT, HUGE_SIDE, huge_rows
from pyomo_relugrad.run import Callback, Clock, Progress, SearchResult, Stop
from pyomo_relugrad.words import shown

#: Reasons to stop that only a feasible point gives.
ABOUT_POINTS = (Stop.OPTIMAL, Stop.TARGET, Stop.UNBOUNDED)


def run_presolved(
    problem: Problem,
    start: Array | None,
    callback: Callback | None,
    run: Callable[[Problem, Array | None, Callback | None], SearchResult],
    clock: Clock,
) -> SearchResult:
    """Presolve a problem, run something on what is left of it, and measure what it finds on the problem itself.

    Where the presolve shows that there is no feasible point, nothing runs, and the result says why.

    Parameters
    ----------
    problem : Problem
    start : (n,) array or None
    callback : callable or None
        Is told of points of the problem.
    run : callable
        Takes the presolved problem, and a start and a callback for it.
    clock : Clock
        Of the whole run, the presolve included.
    """
    if not isinstance(problem, Problem):
        raise ModelError(f"the problem is {shown(problem)}: give a Problem")
    if callback is not None and not callable(callback):
        raise ModelError(f"the callback is {shown(callback)}: give a function of a Progress")

    reduced = _presolved(problem, clock)
    if isinstance(reduced, SearchResult):
        return reduced
    _refuse_huge_rows(reduced.problem)
    if problem.n_columns == 0:  # everything is fixed
        point = problem.measure(np.zeros(0))
        history = ((clock.elapsed, point.objective),)
        return replace(_without_search(clock, Stop.OPTIMAL, point.objective), pool=(point,), history=history)

    @lru_cache(maxsize=1)  # reports repeat their point
    def restored(point: Incumbent) -> Incumbent:
        return point if reduced.problem is problem else problem.measure(reduced.restore(point.values))

    def report(progress: Progress) -> bool | None:
        point = None if progress.incumbent is None else restored(progress.incumbent)
        if point is not progress.incumbent:
            progress = replace(progress, incumbent=point)
        return callback is not None and callback(progress)

    result = run(reduced.problem, None if start is None else reduced.reduce(start), callback and report)
    points = [restored(point) for point in (*result.pool, result.least_violated) if point is not None]
    pool = tuple(point for point in points if point.is_feasible)
    if result.pool and not pool:  # rows of the original may be scaled so that its tolerance allows less
        result = replace(result, stop=Stop.FINISHED if result.stop in ABOUT_POINTS else result.stop, history=())
    return replace(
        result,
        pool=pool,
        least_violated=points[0] if points and not pool else None,
        bound=min(result.bound, pool[0].objective) if pool else result.bound,
    )


def _presolved(problem: Problem, clock: Clock) -> Reduced | SearchResult:
    """What is left of a problem, or why nothing runs."""
    try:
        with deadline.time_limit(clock.remaining):
            return presolve(problem)
    except InfeasibleProblemError as error:
        return _without_search(clock, Stop.INFEASIBLE, np.inf, str(error))
    except OutOfTime:
        return _without_search(clock, Stop.TIME_LIMIT)
    except KeyboardInterrupt:
        return _without_search(clock, Stop.INTERRUPTED)


def _without_search(clock: Clock, stop: Stop, bound: float = -np.inf, reason: str = "") -> SearchResult:
    """The result of a run that ended with the presolve."""
    return SearchResult((), None, stop, 0, 0, clock.elapsed, (), bound=bound, reason=reason)


def _refuse_huge_rows(problem: Problem) -> None:
    """Name a row with numbers that are too large for every linear program."""
    huge = huge_rows(problem.rows, problem.row_lower, problem.row_upper)
    if not huge.any():
        return
    row = int(huge.argmax())
    begin, end = problem.rows.indptr[row : row + 2]
    side = max(problem.row_lower[row], -problem.row_upper[row])
    largest = max(np.abs(problem.rows.data[begin:end]).max(initial=0.0), side)
    raise ModelError(
        f"{problem.describe_row(row)} has numbers up to {largest:.0e}: HiGHS takes coefficients below "
        f"{HUGE_COEFFICIENT:.0e} and sides below {HUGE_SIDE:.0e}; choose other units for its variables"
    )
