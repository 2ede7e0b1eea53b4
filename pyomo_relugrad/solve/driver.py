"""One search from start to end."""

from __future__ import annotations

import numpy as np

from pyomo_relugrad import deadline
from pyomo_relugrad.arrays import Array
from pyomo_relugrad.problem import Problem
from pyomo_relugrad.programs.threads import solver_threads
from pyomo_relugrad.run.budget import Budget, Stop
from pyomo_relugrad.run.method import Method
from pyomo_relugrad.run.options import Options
from pyomo_relugrad.run.result import Progress, SearchResult
from pyomo_relugrad.solve.local_search import LocalSearch
from pyomo_relugrad.solve.presolved import Callback, run_presolved


@solver_threads()
def search(
    problem: Problem,
    method: str | Method = "auto",
    *,
    time_limit: float = np.inf,
    iteration_limit: int | None = None,
    seed: int = 0,
    start: Array | None = None,
    callback: Callback | None = None,
) -> SearchResult:
    """Look for a good feasible point of a problem.

    Parameters
    ----------
    problem : Problem
    method : str or Method, optional
        A name in `pyomo_relugrad.search.METHODS`, or a value such as ``Ppga(batch=64)``; ``"auto"`` chooses by the
        problem's shape.
    time_limit : float, optional
        Seconds.
    iteration_limit : int, optional
        Batched steps.
    seed : int, optional
    start : (n,) array, optional
        A warm start, NaN where a column has no value. The answer is never worse than a feasible complete start.
    callback : callable, optional
        Called with a `Progress` at each step that a method reports; the search ends when it returns True.

    Returns
    -------
    SearchResult
        Ctrl-C ends the search and returns the best so far. Before the method runs, the problem is presolved, and its
        linear part is solved: where they show that there is no feasible point, ``stop`` is `Stop.INFEASIBLE`. A bound
        by CROWN is computed once where it is cheap; the search ends early where it proves the incumbent.

    Raises
    ------
    ModelError
        If the method is unknown, or the problem lacks what it needs.
    """
    options = Options(time_limit=time_limit, iteration_limit=iteration_limit, seed=seed, method=method)
    budget = Budget(options.time_limit, options.iteration_limit)

    def run(problem: Problem, start: Array | None, callback: Callback | None) -> SearchResult:
        with deadline.time_limit(budget.remaining):
            return _run(LocalSearch(problem, options.method, budget, options.seed, start), callback)

    return run_presolved(problem, start, callback, run)


def _run(run: LocalSearch, callback: Callback | None) -> SearchResult:
    """Step until the search ends, or the callback or Ctrl-C ends it."""
    budget = run.budget
    try:
        while run.step():
            if callback is not None and callback(_progress(run)):
                budget.stop = budget.stop or Stop.CALLBACK
                break
        if budget.stop in (None, Stop.ITERATION_LIMIT):
            run.bound_at_once()
    except KeyboardInterrupt:
        budget.stop = Stop.INTERRUPTED
    return _result(run)


def _progress(run: LocalSearch) -> Progress:
    budget = run.budget
    return Progress(budget.elapsed, budget.points, budget.iterations, run.record.best, run.is_new, run.bound)


def _result(run: LocalSearch) -> SearchResult:
    budget, record = run.budget, run.record
    return SearchResult(
        pool=tuple(record.pool),
        least_violated=record.least_violated,
        stop=budget.stop or Stop.FINISHED,
        points=budget.points,
        iterations=budget.iterations,
        elapsed=budget.elapsed,
        history=tuple(record.history),
        bound=run.bound if record.incumbent is None else min(run.bound, record.incumbent.objective),
        bound_history=record.limited_bound_history(),
    )
