"""Runs on the presolved problem, whose points and reports are told in the columns of the original."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from typing import TypeAlias

import numpy as np

from pyomo_relugrad.arrays import Array
from pyomo_relugrad.errors import InfeasibleProblemError
from pyomo_relugrad.problem import Incumbent, Problem
from pyomo_relugrad.problem.presolve import Reduced, presolve
from pyomo_relugrad.run.budget import Stop
from pyomo_relugrad.run.result import Progress, SearchResult

Callback: TypeAlias = Callable[[Progress], bool | None]


def run_presolved(
    problem: Problem,
    start: Array | None,
    callback: Callback | None,
    run: Callable[[Problem, Array | None, Callback | None], SearchResult],
) -> SearchResult:
    """Presolve a problem and run something on what is left of it.

    Parameters
    ----------
    problem : Problem
    start : (n,) array or None
    callback : callable or None
        Is told of points of the problem.
    run : callable
        Takes the presolved problem, a start and a callback for it, and returns a result.

    Returns
    -------
    SearchResult
        With points measured on the problem itself. Where the presolve shows that there is no feasible point, nothing
        runs, and the result says why.
    """
    begin = time.perf_counter()
    try:
        reduced = presolve(problem)
    except InfeasibleProblemError as error:
        return SearchResult(
            pool=(),
            least_violated=None,
            stop=Stop.INFEASIBLE,
            points=0,
            iterations=0,
            elapsed=time.perf_counter() - begin,
            history=(),
            bound=np.inf,
            reason=str(error),
        )
    way_back = _WayBack(problem, reduced)
    reduced_start = None if start is None else reduced.reduce(start)
    return way_back.result(run(reduced.problem, reduced_start, way_back.callback(callback)))


class _WayBack:
    """From a reduced problem to the original: what was found there, in the columns of this one and measured on it."""

    def __init__(self, problem: Problem, reduced: Reduced) -> None:
        self._problem, self._reduced = problem, reduced
        # Reports repeat their point.
        self._last: tuple[Incumbent, Incumbent] | None = None

    def point(self, point: Incumbent) -> Incumbent:
        if self._reduced.problem is self._problem:
            return point
        if self._last is None or self._last[0] is not point:
            self._last = point, self._problem.measure(self._reduced.restore(point.values))
        return self._last[1]

    def callback(self, callback: Callback | None) -> Callback | None:
        if callback is None:
            return None

        def report(progress: Progress) -> bool | None:
            point = progress.incumbent
            return callback(progress if point is None else replace(progress, incumbent=self.point(point)))

        return report

    def result(self, result: SearchResult) -> SearchResult:
        points = [self.point(point) for point in result.pool]
        pool = tuple(point for point in points if point.is_feasible)
        least_violated = result.least_violated
        if least_violated is not None:
            least_violated = self.point(least_violated)
        elif points and not pool:
            least_violated = points[0]
        bound = min(result.bound, pool[0].objective) if pool else result.bound
        return replace(result, pool=pool, least_violated=least_violated, bound=bound)
