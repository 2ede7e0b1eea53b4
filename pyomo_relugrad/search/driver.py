"""One search from start to end: run a method, verify what it yields, keep the best and a pool."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import chain

import numpy as np

from pyomo_relugrad.arrays import Array
from pyomo_relugrad.problem import Incumbent, Problem, Shape
from pyomo_relugrad.search.aliases import merge_aliases
from pyomo_relugrad.search.budget import Budget, SearchContext, Stop
from pyomo_relugrad.search.linear_program import LinearSolution, LinearStatus
from pyomo_relugrad.search.methods import find_method
from pyomo_relugrad.search.surroundings import Surroundings

#: Distinct feasible points that a search keeps.
POOL_SIZE = 10


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
    """

    elapsed: float
    points: int
    iterations: int
    incumbent: Incumbent | None
    is_new: bool


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
    """

    pool: tuple[Incumbent, ...]
    least_violated: Incumbent | None
    stop: Stop
    points: int
    iterations: int
    elapsed: float
    history: tuple[tuple[float, float], ...]

    @property
    def incumbent(self) -> Incumbent | None:
        """The best feasible point, None where none was found."""
        return self.pool[0] if self.pool else None


@dataclass
class _Record:
    """What the search has kept so far."""

    pool: list[Incumbent] = field(default_factory=list)
    least_violated: Incumbent | None = None
    history: list[tuple[float, float]] = field(default_factory=list)

    @property
    def best(self) -> Incumbent | None:
        return self.pool[0] if self.pool else self.least_violated

    def add(self, point: Incumbent, elapsed: float) -> bool:
        """Keep the point if it is good and new; return whether it is the new best."""
        if not point.is_feasible:
            better = not self.pool and (self.least_violated is None or point.violation < self.least_violated.violation)
            self.least_violated = point if better else self.least_violated
            return better
        improves = not self.pool or point.objective < self.pool[0].objective
        if not any(_coincide(point, other) for other in self.pool):
            self.pool = sorted([*self.pool, point], key=lambda member: member.objective)[:POOL_SIZE]
        if improves:
            self.history.append((elapsed, point.objective))
        return improves


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
        solved: where it proves that there is no feasible point, ``stop`` is `Stop.INFEASIBLE`.

    Raises
    ------
    ModelError
        If the method is unknown or does not handle problems of this shape.
    """
    budget = Budget(time_limit, iteration_limit)
    record = _Record()
    try:
        for point in chain(_complete_start(problem, start), _run(problem, method, budget, seed, start)):
            is_new = point is not None and record.add(point, budget.elapsed)
            progress = Progress(budget.elapsed, budget.points, budget.iterations, record.best, is_new)
            if callback is not None and callback(progress):
                budget.stop = budget.stop or Stop.CALLBACK
                break
    except KeyboardInterrupt:
        budget.stop = Stop.INTERRUPTED
    return SearchResult(
        pool=tuple(record.pool),
        least_violated=record.least_violated,
        stop=budget.stop or Stop.FINISHED,
        points=budget.points,
        iterations=budget.iterations,
        elapsed=budget.elapsed,
        history=tuple(record.history),
    )


def _run(problem: Problem, method: str, budget: Budget, seed: int, start: Array | None) -> Iterator[Incumbent | None]:
    """Run the method on the problem with equal columns merged; yield points of the problem itself."""
    reduction = merge_aliases(problem)
    reduced = problem if reduction is None else reduction.problem
    run = find_method(method, reduced)
    relaxation = _solve_surroundings(reduced, budget)
    if budget.stop is Stop.INFEASIBLE:
        return
    reduced_start = start if reduction is None or start is None else reduction.reduce_start(start)
    for point in run(reduced, SearchContext(budget, np.random.default_rng(seed), reduced_start, relaxation)):
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


def _coincide(first: Incumbent, second: Incumbent) -> bool:
    """Whether two points are the same up to rounding."""
    if not np.isclose(first.objective, second.objective, rtol=1e-9, atol=1e-9):
        return False
    return bool(np.allclose(first.values, second.values, rtol=1e-6, atol=1e-6))
