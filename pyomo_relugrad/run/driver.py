"""The one loop: a worker goes on step by step until the problem is solved, a limit is reached, or somebody ends it."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, replace

from pyomo_relugrad import deadline
from pyomo_relugrad.deadline import OutOfTime
from pyomo_relugrad.problem import Incumbent, Problem, rounded_up
from pyomo_relugrad.run.budget import Clock, Stop
from pyomo_relugrad.run.interrupts import deferred_interrupts
from pyomo_relugrad.run.options import Options
from pyomo_relugrad.run.record import POOL_SIZE, Record
from pyomo_relugrad.run.repair import repaired
from pyomo_relugrad.run.result import Callback, Progress, SearchResult

#: Objectives of this size count as infinite, as in mixed-integer solvers.
INFINITE = 1e20


@dataclass(frozen=True)
class Report:
    """What a worker has to tell after a step.

    Parameters
    ----------
    points : tuple of Incumbent, optional
        Found in the step, feasible or not.
    bound : float, optional
        No feasible point has a smaller objective.
    evaluated, iterations, nodes : int, optional
        Points and batched steps of searches, and nodes of proofs, since the report before.
    stop : Stop, optional
        Why the worker has ended; None where it goes on.
    reason : str, optional
        Why there is no feasible point, or why the worker has finished.
    """

    points: tuple[Incumbent, ...] = ()
    bound: float = -math.inf
    evaluated: int = 0
    iterations: int = 0
    nodes: int = 0
    stop: Stop | None = None
    reason: str = ""

    def with_work(self, others: Iterable[Report]) -> Report:
        """The report with the points, bounds and counters of others; it says whether and why the work has ended."""
        reports = (self, *others)
        if len(reports) == 1:
            return self
        return replace(
            self,
            points=tuple(point for report in reports for point in report.points),
            bound=max(report.bound for report in reports),
            evaluated=sum(report.evaluated for report in reports),
            iterations=sum(report.iterations for report in reports),
            nodes=sum(report.nodes for report in reports),
        )


class Worker(ABC):
    """Finds points, proves bounds, or both, a step at a time."""

    #: How many searches of the same problem run on other cores.
    searches_beside = 0
    #: Seconds after which others may join.
    seconds_alone = 0.0

    @property
    def cores_beside(self) -> int:
        """Cores that the worker keeps busy beside its own thread."""
        return 0

    @abstractmethod
    def step(self) -> Report:
        """Go on by one step, within the `deadline` around it."""

    def offer(self, point: Incumbent) -> bool:
        """Take note of the incumbent, whoever found it; return whether it is of use."""
        return False

    def close(self) -> tuple[Report, ...]:
        """Stop what runs, also in threads; return what was not reported yet."""
        return ()


class Driver:
    """Runs a worker, and owns what every run has: clock, record, bound, counters, callback, Ctrl-C, reason to stop.

    Parameters
    ----------
    problem : Problem
        Of the worker's points.
    options : Options
        The gaps count: the run ends where they are met.
    clock : Clock
        Of the whole run, which may have begun before the worker.
    callback : callable, optional
        Called with a `Progress` after each step; the run ends when it returns True.
    node_limit : int, optional
    target : float, optional
        The run ends with the first feasible point whose objective is not above this.
    """

    def __init__(
        self,
        problem: Problem,
        options: Options,
        clock: Clock,
        callback: Callback | None = None,
        *,
        node_limit: int | None = None,
        target: float = -math.inf,
    ) -> None:
        self._problem, self._options, self._clock, self._callback = problem, options, clock, callback
        self._node_limit = math.inf if node_limit is None else node_limit
        self._target = target
        self._record, self._bound = Record(max(POOL_SIZE, options.solutions)), -math.inf
        self._points = self._iterations = self._nodes = 0
        self._stop: Stop | None = None
        self._reason = ""

    def run(self, worker: Worker, start: Incumbent | None = None) -> SearchResult:
        """Let a worker work until there is a reason to stop.

        Parameters
        ----------
        worker : Worker
        start : Incumbent, optional
            A feasible point that the worker knows already.
        """
        try:
            self._book(Report() if start is None else Report((start,)))
            while self._stop is None:
                self._step(worker)
        except OutOfTime:
            self._stop = Stop.TIME_LIMIT
        except KeyboardInterrupt:
            self._stop = Stop.INTERRUPTED
        finally:
            # Threads that a second Ctrl-C left behind would keep the process from ending.
            with deferred_interrupts(), suppress(OutOfTime), deadline.time_limit(self._clock.remaining):
                for report in worker.close():
                    self._book(report)
        return self._result()

    def _step(self, worker: Worker) -> None:
        """One step, its report, and what follows from it."""
        with deadline.time_limit(self._clock.remaining):
            report = worker.step()
            is_new = self._book(report)
        incumbent = self._record.incumbent
        if is_new and incumbent is not None:
            worker.offer(incumbent)
        is_told_to_end = False
        if self._callback is not None and (is_new or report.stop is None):
            is_told_to_end = bool(self._callback(self._progress(is_new)))
        has_all = not 0 < len(self._record.pool) < self._options.solutions
        concluded = self._conclusion() if has_all else None
        self._stop = concluded or report.stop or (Stop.CALLBACK if is_told_to_end else self._limit())

    def _book(self, report: Report) -> bool:
        """Keep what a worker reports; return whether there is a new incumbent."""
        self._points += report.evaluated
        self._iterations += report.iterations
        self._nodes += report.nodes
        is_new = False
        for point in report.points:
            if self._record.is_promising(point):
                point = repaired(self._problem, point)
            is_new = self._record.add(point, self._clock.elapsed) or is_new
        self._reason = report.reason or self._reason
        self._book_bound(rounded_up(self._problem, report.bound))
        return is_new

    def _book_bound(self, bound: float) -> None:
        """Keep the better bound, unless a point shows that it is wrong: then nothing is proven, nor was before."""
        best = self._record.incumbent
        if best is not None and best.refutes(self._bound):
            self._bound = -math.inf
            self._record.bound_history.clear()
        if best is None or not best.refutes(bound):
            self._bound = max(self._bound, bound)
            self._record.add_bound(self._bound, self._clock.elapsed)

    # --- reasons to stop ----------------------------------------------------------------------------------------

    def _conclusion(self) -> Stop | None:
        """OPTIMAL or INFEASIBLE where that is proven; UNBOUNDED where an objective without bound counts as infinite."""
        incumbent = self._record.incumbent
        if incumbent is not None and incumbent.objective <= -INFINITE and math.isinf(self._bound):
            return Stop.UNBOUNDED
        return self._options.conclusion(incumbent, self._bound)

    def _limit(self) -> Stop | None:
        """The limit that is reached, if one is."""
        incumbent = self._record.incumbent
        if incumbent is not None and incumbent.objective <= self._target:
            return Stop.TARGET
        if self._clock.is_over:
            return Stop.TIME_LIMIT
        return Stop.NODE_LIMIT if self._nodes >= self._node_limit else None

    # --- what is told -------------------------------------------------------------------------------------------

    @property
    def _shown_bound(self) -> float:
        """The bound, not beyond the incumbent: proofs may pass it by their tolerance."""
        incumbent = self._record.incumbent
        return self._bound if incumbent is None else min(self._bound, incumbent.objective)

    def _progress(self, is_new: bool) -> Progress:
        return Progress(
            elapsed=self._clock.elapsed,
            points=self._points,
            iterations=self._iterations,
            incumbent=self._record.best,
            is_new=is_new,
            bound=self._shown_bound,
            nodes=self._nodes,
        )

    def _result(self) -> SearchResult:
        stop = self._conclusion() or self._stop or Stop.FINISHED
        if stop is Stop.INFEASIBLE and self._record.incumbent is not None:
            # A proof to a smaller tolerance says nothing of points like this one.
            stop, self._reason = Stop.FINISHED, ""
        return SearchResult(
            pool=tuple(self._record.pool),
            least_violated=self._record.least_violated,
            stop=stop,
            points=self._points,
            iterations=self._iterations,
            elapsed=self._clock.elapsed,
            history=tuple(self._record.history),
            bound=self._shown_bound,
            nodes=self._nodes,
            bound_history=self._record.limited_bound_history(),
            reason=self._reason if stop in (Stop.INFEASIBLE, Stop.FINISHED) else "",
        )
