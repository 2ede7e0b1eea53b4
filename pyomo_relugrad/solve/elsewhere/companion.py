"""A search beside each of many short solves of one model, on another core, in a process that stays between them."""

from __future__ import annotations

import secrets
import time
from collections import deque
from collections.abc import Iterator
from concurrent.futures import CancelledError, Future
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from pyomo_relugrad import deadline
from pyomo_relugrad.arrays import Array
from pyomo_relugrad.deadline import OutOfTime
from pyomo_relugrad.problem import Incumbent, Problem, are_same
from pyomo_relugrad.programs import LOWEST_PRIORITY, solver_threads
from pyomo_relugrad.run import Budget, Clock, Options, Past, Report, SearchContext, Worker, worker_processes
from pyomo_relugrad.search import SmoothingDescent
from pyomo_relugrad.search.soft_rows import SoftRows
from pyomo_relugrad.solve.elsewhere.task_pool import MIN_SECONDS, others_may_help

#: What of a problem is sent for each solve.
NUMBERS = ("cost", "lower", "upper", "rows", "row_lower", "row_upper", "integers", "quadratic", "constant")
#: Seconds before the end at which the other process has to be ready, and for which its answer is waited after the end.
EARLIER, GRACE = 0.004, 0.003
#: Models that a process keeps.
MAX_KEPT = 2


@dataclass(frozen=True)
class CompanionTask:
    """A search beside one solve.

    Parameters
    ----------
    name : str
        Of the model.
    end : float
        When it has to be over, by `time.monotonic`, which is the same in all processes of a machine.
    problem : Problem, optional
        Presolved; None where the process keeps it.
    numbers : dict, optional
        What it differs in now.
    start : (n,) array, optional
    seed : int, optional
    """

    name: str
    end: float
    problem: Problem | None = None
    numbers: dict[str, Any] | None = None
    start: Array | None = None
    seed: int = 0


class Companionship:
    """What the solves of one model know of the process beside them."""

    def __init__(self, problem: Problem) -> None:
        self._name, self._problem, self._is_there = secrets.token_hex(8), problem, False
        self._future: Future[Report] | None = None

    def fits(self, problem: Problem) -> bool:
        """Whether a problem is the one that was sent, but for its numbers."""
        own = self._problem
        return own.n_columns == problem.n_columns and are_same(own.networks, problem.networks)

    def begin(self, problem: Problem, start: Array, options: Options, seconds: float) -> Future[Report] | None:
        """Let the process search for so long; None where it is not ready, as before it was sent the problem."""
        if self._future is not None:
            if not self._future.done():
                return None
            self._is_there = not self._future.cancelled() and self._future.exception() is None
        if self._is_there:
            numbers = {name: getattr(problem, name) for name in NUMBERS}
            task = CompanionTask(self._name, time.monotonic() + seconds, None, numbers, start, options.seed)
        else:
            task = CompanionTask(self._name, 0.0, self._problem)
        # One process: of several another one might have the problem.
        self._future = worker_processes(1, LOWEST_PRIORITY).submit(search_beside, task)
        return self._future if self._is_there else None


def with_companion(
    own: Worker, problem: Problem, options: Options, clock: Clock, start: Array | None, past: Past
) -> Worker:
    """The worker with a search beside it where the last solve of the same model could have used one, and it is short.

    Processes take their time to begin, so that nobody waits for them: they join a later solve. Where the last solve had
    to share its core, the machine has none to spare: of two processes on one core, both would get half of the time.
    """
    is_useful = past.ran_out and past.had_core and bool(past.chains) and clock.time_limit < MIN_SECONDS
    is_useful = is_useful and options.executor is None
    if not is_useful or start is None or not others_may_help(problem, options):
        return own
    if problem.followers or problem.expressions or problem.integers.any() or np.isnan(start[~problem.is_output]).any():
        return own
    if past.companionship is None or not past.companionship.fits(problem):
        past.companionship = Companionship(problem)
    with suppress(Exception):  # what cannot be pickled, no process to be had
        future = past.companionship.begin(problem, start, options, clock.remaining - EARLIER)
        return own if future is None else _Beside(own, clock, future)
    return own


class _Beside(Worker):
    """A worker, and what the other process has found when its time is over."""

    def __init__(self, own: Worker, clock: Clock, future: Future[Report]) -> None:
        self._own, self._clock, self._future = own, clock, future

    def step(self) -> Report:
        """A step of the worker."""
        return self._own.step()

    def offer(self, point: Incumbent) -> bool:
        """Take note of the incumbent."""
        return self._own.offer(point)

    def close(self) -> tuple[Report, ...]:
        """Stop the worker; the other process is ready by then, or left alone where the worker ended before its time."""
        reports = self._own.close()
        with suppress(Exception, CancelledError):
            return (*reports, self._future.result(GRACE if self._clock.remaining < EARLIER else 0.0))
        return reports


# --- in the other process -------------------------------------------------------------------------------------------

_kept: dict[str, tuple[Problem, Past]] = {}


def search_beside(task: CompanionTask) -> Report:
    """Descend from other plans than the known one until the time is over."""
    if task.problem is not None:
        _kept.pop(task.name, None)
        while len(_kept) >= MAX_KEPT:
            del _kept[next(iter(_kept))]
        _kept[task.name] = task.problem, Past(solves=1)
    problem, past = _kept[task.name]  # a KeyError, where the process is a new one, is an answer
    seconds = task.end - time.monotonic()
    if seconds <= 0.0 or task.numbers is None or task.start is None:
        return Report()
    past.solves += 1
    last = deque[Report](maxlen=1)
    with solver_threads(), suppress(OutOfTime), deadline.time_limit(seconds):
        last.extend(_reports(replace(problem, **task.numbers), past, task, Budget(seconds)))
    return last[0] if last else Report()


def _reports(problem: Problem, past: Past, task: CompanionTask, budget: Budget) -> Iterator[Report]:
    """What has been found so far, step by step."""
    known = SoftRows.of(problem).incumbent(np.asarray(task.start))
    context = SearchContext(
        budget,
        np.random.default_rng([task.seed, past.solves]),
        known.values,
        known=(known,) if known.is_feasible else (),
        beside=True,
        past=past,
    )
    best = known if known.is_feasible else None
    for point in SmoothingDescent().run(problem, context):
        if point is not None and point.is_feasible and (best is None or point.objective < best.objective):
            best = point
            yield Report((point,), evaluated=budget.points, iterations=budget.iterations)
        if budget.is_exhausted():
            return
