"""Runs on the presolved problem, whose points and reports are told in the columns of the original."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache

import numpy as np

from pyomo_relugrad.arrays import Array
from pyomo_relugrad.errors import InfeasibleProblemError
from pyomo_relugrad.problem import Incumbent, Problem
from pyomo_relugrad.problem.presolve import presolve
from pyomo_relugrad.run.budget import Stop
from pyomo_relugrad.run.result import Callback, Progress, SearchResult


def run_presolved(
    problem: Problem,
    start: Array | None,
    callback: Callback | None,
    run: Callable[[Problem, Array | None, Callback | None], SearchResult],
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
    """
    begin = time.perf_counter()
    try:
        reduced = presolve(problem)
    except InfeasibleProblemError as error:
        elapsed = time.perf_counter() - begin
        return SearchResult((), None, Stop.INFEASIBLE, 0, 0, elapsed, (), bound=np.inf, reason=str(error))

    @lru_cache(maxsize=1)  # reports repeat their point
    def restored(point: Incumbent) -> Incumbent:
        return problem.measure(reduced.restore(point.values))

    def report(progress: Progress) -> bool | None:
        point = None if progress.incumbent is None else restored(progress.incumbent)
        return callback is not None and callback(replace(progress, incumbent=point))

    result = run(reduced.problem, None if start is None else reduced.reduce(start), callback and report)
    points = [restored(point) for point in (*result.pool, result.least_violated) if point is not None]
    pool = tuple(point for point in points if point.is_feasible)
    return replace(
        result,
        pool=pool,
        least_violated=points[0] if points and not pool else None,
        bound=min(result.bound, pool[0].objective) if pool else result.bound,
    )
