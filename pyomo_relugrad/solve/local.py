"""The search for a good feasible point: the driver with one local search."""

from __future__ import annotations

import time
from concurrent.futures import Executor
from dataclasses import replace

import numpy as np

from pyomo_relugrad.arrays import Array
from pyomo_relugrad.problem import Problem
from pyomo_relugrad.programs import solver_threads
from pyomo_relugrad.run import Callback, Clock, Driver, Method, Options, Past, SearchResult, Stop, Worker
from pyomo_relugrad.search import find_method
from pyomo_relugrad.solve.bounded_search import BoundedSearch, bounders_for
from pyomo_relugrad.solve.elsewhere.companion import with_companion
from pyomo_relugrad.solve.elsewhere.islands import beside_others
from pyomo_relugrad.solve.elsewhere.task_sequence import TASK_STEPS, TaskSequence
from pyomo_relugrad.solve.highs_beside import HighsBeside, may_work_beside
from pyomo_relugrad.solve.local_search import LocalSearch
from pyomo_relugrad.solve.presolved import run_presolved
from pyomo_relugrad.solve.repeated_search import RepeatedSearch
from pyomo_relugrad.solve.stagnation import UntilStagnation

#: A search ends where its incumbent is this close to the bound, relative to its size or absolutely.
CLOSE = 1e-6
#: Share of its time that a search with a core for itself works: it may wait for an answer at its end.
WHOLE_CORE = 0.9


def search(
    problem: Problem,
    method: str | Method = "auto",
    *,
    time_limit: float = np.inf,
    iteration_limit: int | None = None,
    seed: int = 0,
    start: Array | None = None,
    callback: Callback | None = None,
    threads: int | None = None,
    executor: Executor | None = None,
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
    threads, executor : optional
        As in `Options`.

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

    Examples
    --------
    Maximize ``relu(x - 0.25)`` over the unit interval:

    >>> from pyomo_relugrad.network import Network
    >>> from pyomo_relugrad.problem import EmbeddedNetwork
    >>> network = Network.from_layers([[[1.0]], [[1.0]]], [[-0.25], [0.0]])
    >>> problem = Problem(
    ...     cost=np.array([0.0, -1.0]), lower=np.array([0.0, -np.inf]), upper=np.array([1.0, np.inf]),
    ...     networks=(EmbeddedNetwork(network, [0], [1]),), maximize=True)
    >>> result = search(problem, iteration_limit=100, threads=1)
    >>> problem.reported(result.incumbent.objective)
    0.75
    """
    options = Options(time_limit, iteration_limit, seed, method, threads=threads, executor=executor)
    return solve_locally(problem, options, start=start, callback=callback)


@solver_threads()
def solve_locally(
    problem: Problem,
    options: Options,
    *,
    start: Array | None = None,
    callback: Callback | None = None,
    target: float = -np.inf,
    past: Past | None = None,
) -> SearchResult:
    """Look for a good feasible point, as `search` does, by options and up to a target.

    Parameters
    ----------
    problem : Problem
    options : Options
        Limits, seed and method count.
    start, callback
        As in `search`.
    target : float, optional
        The search ends where it has a feasible point whose objective is not above this.
    past : Past, optional
        What earlier searches of the same model left, and this one leaves to the next.
    """
    clock, past, worked = Clock(options.time_limit), past or Past(), time.process_time()
    past.solves += 1
    options = replace(options, relative_gap=CLOSE, absolute_gap=CLOSE)

    def run(problem: Problem, start: Array | None, callback: Callback | None) -> SearchResult:
        driver = Driver(problem, options, clock, callback, target=target)
        return driver.run(_worker(problem, options, clock, start, past))

    result = run_presolved(problem, start, callback, run, clock)
    past.ran_out = result.stop is Stop.TIME_LIMIT
    past.had_core = time.process_time() - worked > WHOLE_CORE * clock.elapsed
    # A heuristic calls nothing optimal: its bound is a by-product.
    return replace(result, stop=Stop.FINISHED) if result.stop is Stop.OPTIMAL else result


def _worker(problem: Problem, options: Options, clock: Clock, start: Array | None, past: Past) -> Worker:
    """One search, or several side by side; where steps are limited, in an order that does not depend on the time.

    A device takes the place of other cores, unless they are asked for: beside it they add little, and copies of large
    networks.
    """
    if options.device is not None and options.threads is None and options.executor is None:
        options = replace(options, threads=1)
    # Published methods run as they are published: nothing else finds points for them, and nothing ends them early.
    cooperates = find_method(options.method, problem).cooperates
    if options.iteration_limit is None:
        is_first = past.solves <= 1 and cooperates
        has_highs = is_first and may_work_beside(problem, options)
        search = LocalSearch(problem, options, clock, start, past, solves_whole=not has_highs)
        repeats = options.solutions > 1 and bool(problem.functions)
        own: Worker = RepeatedSearch(search, options, clock) if repeats else search
        if is_first:
            own = BoundedSearch(own, bounders_for(problem, options, past, has_highs), options, clock, search.budget)
        if has_highs:
            own = HighsBeside(own, problem, options, clock)
        all_of_them = beside_others(own, problem, options, clock)
        all_of_them = with_companion(all_of_them, problem, options, clock, start, past)
        return UntilStagnation(all_of_them, search, options, clock) if cooperates else all_of_them
    if options.iteration_limit > TASK_STEPS and cooperates:
        return TaskSequence(problem, options, clock, start)
    return LocalSearch(problem, options, clock, start, past)
