"""Workers that prove: what all of them have, and the run of one of them alone."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Generator
from functools import cached_property

import numpy as np

from pyomo_relugrad.deadline import OutOfTime
from pyomo_relugrad.problem import Incumbent, Problem
from pyomo_relugrad.programs import solver_threads
from pyomo_relugrad.run.budget import Clock, Stop
from pyomo_relugrad.run.driver import Driver, Report, Worker
from pyomo_relugrad.run.options import Options
from pyomo_relugrad.run.repair import repaired
from pyomo_relugrad.run.result import Callback, SearchResult


class Prover(Worker):
    """The state of one proof.

    Parameters
    ----------
    problem : Problem
    options : Options
    start : Incumbent, optional
        A point to begin with; ignored where it is not feasible.
    """

    #: Whether the proof works in a thread of its own, so that a step only reports.
    works_beside = False
    #: Whether it goes on in rounds that take ever longer.
    works_in_rounds = False
    #: About how many seconds the first step takes; 0 where that is not known.
    first_seconds: float = 0.0
    #: Cores beside its own thread that the proof may keep busy, if the options leave it so many.
    spare_cores: float = np.inf

    def __init__(self, problem: Problem, options: Options, start: Incumbent | None = None) -> None:
        self.problem, self.options = problem, options
        self.incumbent = repaired(problem, start) if start is not None and start.is_feasible else None
        self.nodes = 0
        self._told_point, self._told_nodes = self.incumbent, 0

    @property
    def incumbent_value(self) -> float:
        """Objective of the incumbent; infinite where there is none."""
        return np.inf if self.incumbent is None else self.incumbent.objective

    @property
    @abstractmethod
    def bound(self) -> float:
        """No feasible point has a smaller objective."""

    @property
    def bound_if_empty(self) -> float:
        """The bound where programs have no point.

        Beside an incumbent, which is feasible within a tolerance larger than theirs, it is none: there may be more
        points like it, and better ones, so that it is not called optimal.
        """
        return np.inf if self.incumbent is None else -np.inf

    @property
    def has_news(self) -> bool:
        """Whether a proof that works beside has ended, or has something else that should be taken at once."""
        return False

    def get_ahead(self) -> None:
        """Let another process begin, where one is there, while a search is under way here."""

    def keep_others_busy(self) -> None:
        """Let other processes go on that have nothing left to do, while a search is under way here."""

    def pause(self) -> None:
        """Let a thread of the proof's own stand still as soon as it can."""

    def resume(self) -> None:
        """Let it go on."""

    @abstractmethod
    def steps(self) -> Generator[None, None, None]:
        """Go on step by step until nothing is left to prove."""

    @cached_property
    def _running(self) -> Generator[None, None, None]:
        return self.steps()

    def step(self) -> Report:
        """Go on by one step; the proof is given up where that outlasts the `deadline`, and its bound stays."""
        try:
            return self._report(None if next(self._running, False) is None else Stop.FINISHED)
        except OutOfTime:
            return self._report(Stop.TIME_LIMIT)

    def close(self) -> tuple[Report, ...]:
        """Stop what runs, in threads of its own too; return what was not reported yet."""
        self._running.close()
        return (self._report(None),)

    def offer(self, point: Incumbent) -> bool:
        """Take a feasible point as incumbent if it is better, free of violation where that can be; whether it was."""
        if not point.is_feasible or point.objective >= self.incumbent_value:
            return False
        point = repaired(self.problem, point)  # what is proven is what is shown
        if point.objective >= self.incumbent_value:
            return False
        self.incumbent = point
        return True

    def conclusion(self) -> Stop | None:
        """OPTIMAL or INFEASIBLE where that is proven."""
        return self.options.conclusion(self.incumbent, self.bound)

    def _report(self, stop: Stop | None) -> Report:
        point, nodes = self.incumbent, self.nodes
        new = () if point is None or point is self._told_point else (point,)
        report = Report(new, self.bound, nodes=nodes - self._told_nodes, stop=stop)
        self._told_point, self._told_nodes = point, nodes
        return report


@solver_threads()
def run_proof(
    prover: Prover,
    *,
    time_limit: float = np.inf,
    node_limit: int | None = None,
    callback: Callback | None = None,
) -> SearchResult:
    """Run a proof until it concludes or is stopped by a limit, the callback or Ctrl-C."""
    driver = Driver(prover.problem, prover.options, Clock(time_limit), callback, node_limit=node_limit)
    return driver.run(prover, prover.incumbent)
