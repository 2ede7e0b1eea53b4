"""One search from start to end, and what it reports on the way and returns."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from pyomo_relugrad import deadline
from pyomo_relugrad.arrays import Array
from pyomo_relugrad.problem import Incumbent, Problem
from pyomo_relugrad.search.budget import Budget, Stop
from pyomo_relugrad.search.local_search import LocalSearch
from pyomo_relugrad.search.threads import solver_threads


@dataclass(frozen=True, eq=False)
class Progress:
    """The state of a running search, given to the callback at each new point and between batched steps.

    Parameters
    ----------
    elapsed : float
        Seconds.
    points, iterations : int
        Evaluated points and batched steps so far.
    incumbent : Incumbent or None
        The best feasible point; where there is none, the one with the smallest violation.
    is_new : bool
        Whether the incumbent is new since the last call.
    bound : float, optional
        No feasible point has a smaller objective; minus infinity while no bound is known.
    nodes : int, optional
        Nodes of branch and bound, where the search is part of a proof.
    """

    elapsed: float
    points: int
    iterations: int
    incumbent: Incumbent | None
    is_new: bool
    bound: float = -np.inf
    nodes: int = 0


@dataclass(frozen=True, eq=False)
class SearchResult:
    """What a search found.

    Parameters
    ----------
    pool : tuple of Incumbent
        Distinct feasible points, best first; empty where none was found.
    least_violated : Incumbent or None
        Where the pool is empty, the point with the smallest violation.
    stop : Stop
        Why the search ended.
    points, iterations : int
        Evaluated points and batched steps.
    elapsed : float
        Seconds.
    history : tuple of (float, float)
        Time and objective of each new incumbent.
    bound : float, optional
        No feasible point has a smaller objective; minus infinity where no bound is known.
    nodes : int, optional
        Nodes of branch and bound, where the search was part of a proof.
    bound_history : tuple of (float, float), optional
        Time and value of each better bound.
    """

    pool: tuple[Incumbent, ...]
    least_violated: Incumbent | None
    stop: Stop
    points: int
    iterations: int
    elapsed: float
    history: tuple[tuple[float, float], ...]
    bound: float = -np.inf
    nodes: int = 0
    bound_history: tuple[tuple[float, float], ...] = ()

    @property
    def incumbent(self) -> Incumbent | None:
        """The best feasible point, None where none was found."""
        return self.pool[0] if self.pool else None


@solver_threads()
def search(
    problem: Problem,
    method: str = "auto",
    *,
    time_limit: float = np.inf,
    iteration_limit: int | None = None,
    seed: int = 0,
    start: Array | None = None,
    callback: Callable[[Progress], bool | None] | None = None,
) -> SearchResult:
    """Look for a good feasible point of a problem.

    Parameters
    ----------
    problem : Problem
    method : str, optional
        One of `pyomo_relugrad.search.methods.METHODS`; ``"auto"`` chooses by the problem's shape.
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
        Ctrl-C ends the search and returns the best so far. Before the method runs, the linear part of the problem is
        solved: where it proves that there is no feasible point, ``stop`` is `Stop.INFEASIBLE`. A bound by CROWN is
        computed once where it is cheap; the search ends early where it proves the incumbent.

    Raises
    ------
    ModelError
        If the method is unknown or does not handle problems of this shape.
    """
    budget = Budget(time_limit, iteration_limit)
    with deadline.time_limit(time_limit):
        run = LocalSearch(problem, method, budget, seed, start)
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
