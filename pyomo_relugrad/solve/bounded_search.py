"""A local search with bounds beside it, in time that it can spare."""

from __future__ import annotations

import math

from pyomo_relugrad.problem import Incumbent, Problem
from pyomo_relugrad.proof import MilpBound
from pyomo_relugrad.run import Clock, Options, Report, Stop, Worker

#: Length of the first run of HiGHS as a share of the time limit, and in seconds at least and at most; each further one
#: has twice as many.
FIRST_SHARE, SHORTEST, LONGEST_FIRST = 0.1, 0.1, 2.0
#: Time in vain before a run, in units of its length; the share of all time that runs have; and the time that has to be
#: left, in units of the length: HiGHS looks at the clock between its steps.
VAIN_BEFORE, SHARE, LEFT = 2.0, 0.4, 1.2


class BoundedSearch(Worker):
    """A search that HiGHS interrupts now and then, to bound the problem and to look for a point of its own.

    A search that goes on gaining is left alone: a run comes when all has been in vain for twice as long. Where only
    steps are limited, there is none, so that the answer of a seed does not depend on the machine.

    Parameters
    ----------
    own : Worker
        The search.
    problem : Problem
        As `presolve` leaves it.
    options : Options
    clock : Clock
        Of the whole run.
    """

    def __init__(self, own: Worker, problem: Problem, options: Options, clock: Clock) -> None:
        self._own, self._clock, self._milp = own, clock, MilpBound(problem)
        self._length = min(FIRST_SHARE * clock.time_limit, LONGEST_FIRST)
        self._is_timed = options.iteration_limit is None and math.isfinite(clock.time_limit)
        self._best: Incumbent | None = None
        self._spent = self._last_gain = 0.0

    def step(self) -> Report:
        """A step of the search, or a run of HiGHS."""
        if self._best is not None and self._is_due(VAIN_BEFORE):
            return self._run(self._best)
        report = self._own.step()
        if self._best is not None and report.stop is Stop.FINISHED and self._is_due(0.0):
            return report.with_work([self._run(self._best)])
        return report

    def offer(self, point: Incumbent) -> bool:
        """Take note of the incumbent."""
        self._best, self._last_gain = point, self._clock.elapsed
        return self._own.offer(point)

    def close(self) -> tuple[Report, ...]:
        """Stop the search."""
        return self._own.close()

    def _is_due(self, vain_before: float) -> bool:
        """Whether a run of HiGHS may begin."""
        now, length = self._clock.elapsed, self._length
        has_time = self._spent + length <= SHARE * now and LEFT * length <= self._clock.remaining
        is_in_vain = now - self._last_gain >= vain_before * length
        return self._is_timed and self._milp.is_open and has_time and is_in_vain and length >= SHORTEST

    def _run(self, best: Incumbent) -> Report:
        begin = self._clock.elapsed
        bound, point = self._milp.run(best, self._length)
        self._spent, self._length = self._spent + self._clock.elapsed - begin, 2 * self._length
        return Report(() if point is None else (point,), bound)
