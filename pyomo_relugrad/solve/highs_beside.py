"""A local search with HiGHS beside it, on another core: small problems are proven while they are searched."""

from __future__ import annotations

import math
from contextlib import ExitStack
from dataclasses import replace

from pyomo_relugrad.problem import Incumbent, Problem
from pyomo_relugrad.programs import below_tolerance
from pyomo_relugrad.run import Clock, Options, Report, Route, Worker
from pyomo_relugrad.solve.bounded_search import GAP, suits_milp
from pyomo_relugrad.solve.portfolio import Portfolio
from pyomo_relugrad.solve.runner import Runner

#: Seconds of a run after which HiGHS begins, since its model takes 20 to 40 ms to build; and seconds that must be left.
START_SECONDS, MIN_SECONDS = 0.2, 0.5


def may_work_beside(problem: Problem, options: Options) -> bool:
    """Whether there is a core for HiGHS, and it may prove the problem in seconds.

    Without integers other searches bring more, which find the optimum of such problems long before HiGHS does.
    """
    is_timed = options.iteration_limit is None and math.isfinite(options.time_limit)
    if not is_timed or options.cores == 1 or not problem.integers.any():
        return False
    n_relus = sum(embedded.network.n_relus for embedded in problem.networks)
    return n_relus <= Portfolio().few_relus and suits_milp(problem)


class HighsBeside(Worker):
    """A search, and HiGHS on the whole problem in a thread of its own; both share the incumbent.

    HiGHS has a core for itself while it is young or about to close the gap; after that islands take it, and it goes on
    with what they leave.

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
        self._own, self._problem, self._options, self._clock = own, problem, options, clock
        self._best: Incumbent | None = None
        self._runner: Runner | None = None

    @property
    def cores_beside(self) -> int:
        """The core that HiGHS has for itself, or is about to have."""
        runner = self._runner
        if runner is None:
            return int(self._clock.elapsed < START_SECONDS)
        value = math.inf if self._best is None else self._best.objective
        is_young = not runner.is_done and runner.worked < Portfolio().young_seconds
        return int(is_young or runner.closes_within(self._clock.remaining, value))

    def step(self) -> Report:
        """A step of the search, with what HiGHS has found meanwhile."""
        report = self._own.step()
        if self._runner is None and self._is_time:
            left = replace(self._options, time_limit=self._clock.remaining, relative_gap=GAP, absolute_gap=GAP)
            self._runner = Runner(Route.MILP, self._problem, left, Portfolio(), self._best, report.bound)
        runner = self._runner
        is_due = runner is not None and not runner.is_done and runner.is_due
        return report.with_work([_lowered(runner.step())]) if runner is not None and is_due else report

    @property
    def _is_time(self) -> bool:
        is_begun = self._best is not None and self._clock.elapsed >= START_SECONDS
        return is_begun and self._clock.remaining >= MIN_SECONDS

    def offer(self, point: Incumbent) -> bool:
        """Take note of the incumbent."""
        self._best = point
        if self._runner is not None:
            self._runner.offer(point)
        return self._own.offer(point)

    def close(self) -> tuple[Report, ...]:
        """Stop both."""
        reports: list[Report] = []
        with ExitStack() as stack:  # the search is stopped too where the other fails
            stack.callback(lambda: reports.extend(self._own.close()))
            if self._runner is not None:
                reports.extend(map(_lowered, self._runner.close()))
        return tuple(reports)


def _lowered(report: Report) -> Report:
    """The report with a bound that holds beside HiGHS's tolerances; that it finds no point says nothing of ours."""
    return replace(report, bound=below_tolerance(report.bound) if math.isfinite(report.bound) else -math.inf)
