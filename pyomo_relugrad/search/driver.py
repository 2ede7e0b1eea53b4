"""One search from start to end: run a method, verify what it yields, keep the best and a pool."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import chain

import numpy as np

from pyomo_relugrad.arrays import Array
from pyomo_relugrad.problem import Incumbent, Problem, Shape
from pyomo_relugrad.search.aliases import Reduction, merge_aliases
from pyomo_relugrad.search.budget import Budget, SearchContext, Stop
from pyomo_relugrad.search.dual_bound import BoundKeeper
from pyomo_relugrad.search.linear_program import LinearSolution, LinearStatus
from pyomo_relugrad.search.methods import find_method
from pyomo_relugrad.search.record import Record
from pyomo_relugrad.search.surroundings import Surroundings
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
    record = Record()
    reduction = merge_aliases(problem)
    keeper = BoundKeeper(problem if reduction is None else reduction.problem, budget)
    context = SearchContext(budget, np.random.default_rng(seed), start)
    try:
        for point in chain(_complete_start(problem, start), _run(problem, reduction, method, context, keeper)):
            is_new = point is not None and record.add(point, budget.elapsed)
            record.add_bound(keeper.value, budget.elapsed)
            progress = Progress(budget.elapsed, budget.points, budget.iterations, record.best, is_new, keeper.value)
            if callback is not None and callback(progress):
                budget.stop = budget.stop or Stop.CALLBACK
                break
            if record.incumbent is not None:
                keeper.update()
                if keeper.proves(record.incumbent.objective):
                    break
        if budget.stop is None or budget.stop is Stop.ITERATION_LIMIT:
            keeper.update(finished=True)
    except KeyboardInterrupt:
        budget.stop = Stop.INTERRUPTED
    record.add_bound(keeper.value, budget.elapsed)
    return SearchResult(
        pool=tuple(record.pool),
        least_violated=record.least_violated,
        stop=budget.stop or Stop.FINISHED,
        points=budget.points,
        iterations=budget.iterations,
        elapsed=budget.elapsed,
        history=tuple(record.history),
        bound=keeper.value if record.incumbent is None else min(keeper.value, record.incumbent.objective),
        bound_history=record.limited_bound_history(),
    )


def _run(
    problem: Problem, reduction: Reduction | None, method: str, context: SearchContext, keeper: BoundKeeper
) -> Iterator[Incumbent | None]:
    """Run the method on the problem with equal columns merged; yield points of the problem itself."""
    reduced = problem if reduction is None else reduction.problem
    run = find_method(method, reduced)
    relaxation = _solve_surroundings(reduced, context.budget)
    keeper.take(relaxation)
    if context.budget.stop is Stop.INFEASIBLE:
        return
    start = context.start
    if reduction is not None and start is not None:
        start = reduction.reduce_start(start)
    for point in run(reduced, replace(context, start=start, relaxation=relaxation)):
        yield point if reduction is None or point is None else problem.incumbent(reduction.restore(point.values))


def _solve_surroundings(problem: Problem, budget: Budget) -> LinearSolution | None:
    """Solve the linear part of the problem, and book where that proves that there is no feasible point."""
    if problem.shape is Shape.BOX and problem.networks:
        return None
    surroundings = Surroundings(problem)
    relaxation = None if surroundings.is_empty else surroundings.relax(budget)
    if relaxation is None or relaxation.status is LinearStatus.INFEASIBLE:
        budget.stop = Stop.INFEASIBLE
    return relaxation


def _complete_start(problem: Problem, start: Array | None) -> list[Incumbent]:
    """The warm start itself, where every column that no network writes has a value."""
    if start is None or np.isnan(start[~problem.is_output]).any():
        return []
    return [problem.incumbent(start)]
