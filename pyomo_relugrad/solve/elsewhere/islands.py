"""Searches beside a worker, on other cores and machines: islands that share their best points."""

from __future__ import annotations

import math

from pyomo_relugrad.problem import Incumbent, Problem
from pyomo_relugrad.run import Clock, Options, Record, Report, Worker
from pyomo_relugrad.solve.elsewhere.task_pool import MIN_SECONDS, START_SECONDS, TaskPool, others_may_help
from pyomo_relugrad.solve.elsewhere.tasks import MAX_KNOWN, options_of_task

#: Seconds of a turn at most, after which an island reports and takes what others have found; shorter near the end.
TURN_SECONDS, TURN_SHARE = 0.5, 0.1
#: Seconds of the first turn, and share of the time that has passed which later ones have: what is found early is told
#: early.
FIRST_SECONDS, PASSED_SHARE = 0.02, 0.2
#: Seconds between two looks at the islands.
LOOK_SECONDS = 0.002
#: Turns for each process: while it has one, the next is on its way.
DEPTH = 2


def beside_others(own: Worker, problem: Problem, options: Options, clock: Clock) -> Worker:
    """The worker with islands beside it; alone where nobody could help it."""
    return Islands(own, problem, options, clock) if others_may_help(problem, options) else own


class Islands(Worker):
    """A worker, and a search on each of the other cores; all of them share the best points.

    The islands begin when the run has lasted for a while, so that a short one stays one. Each is a local search with a
    seed of its own that goes on from turn to turn; it is told the best points, and reports better ones. Where they
    begin early and no column is integer, their first turns are from nothing: what a young search has found is seldom
    near the optimum, and starts near it would not be where the optimum is.

    Parameters
    ----------
    own : Worker
    problem : Problem
        As `presolve` leaves it.
    options : Options
    clock : Clock
        Of the whole run.
    """

    def __init__(self, own: Worker, problem: Problem, options: Options, clock: Clock) -> None:
        self._own, self._options, self._clock = own, options, clock
        self._pool = TaskPool(problem, options)
        self._is_continuous = not problem.integers.any()
        self._record = Record()
        self._count, self._looked = 0, -math.inf

    def step(self) -> Report:
        """A step of the worker, with what the islands have found meanwhile."""
        self._own.searches_beside = self._pool.under_way
        return self._own.step().with_work(self._look())

    def offer(self, point: Incumbent) -> bool:
        """Take note of the incumbent."""
        self._record.add(point, self._clock.elapsed)
        return self._own.offer(point)

    def close(self) -> tuple[Report, ...]:
        """Stop the worker, and leave the islands behind."""
        found = [report for _, report in self._pool.done() if report is not None]
        self._pool.close()
        return (*self._own.close(), *found)

    def _look(self) -> list[Report]:
        """What the islands have found; each that has come back begins its next turn."""
        now = self._clock.elapsed
        if now - self._looked < LOOK_SECONDS:
            return []
        self._looked = now
        if now < self._own.seconds_alone or not (self._count or now >= self._pool.start_seconds):
            return []
        found = [report for _, report in self._pool.done() if report is not None]
        if self._count or self._clock.remaining >= MIN_SECONDS:
            self._send_out()
        return found

    def _send_out(self) -> None:
        known = tuple(self._record.pool[:MAX_KNOWN])
        remaining = self._clock.remaining
        grown = max(FIRST_SECONDS, PASSED_SHARE * self._clock.elapsed)
        seconds = min(TURN_SECONDS, TURN_SHARE * remaining, grown)
        for _ in range(self._pool.room(self._own.cores_beside, DEPTH)):
            options = options_of_task(self._options, self._count + 1, remaining, None)
            self._count += 1
            is_early = self._count < self._options.cores and self._clock.elapsed < START_SECONDS
            self._pool.submit(self._count, options, known, seconds, is_early and self._is_continuous)
