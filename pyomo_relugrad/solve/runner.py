"""Proofs that take turns: each runs for a slice of time, and takes the others' incumbents when its turn comes."""

from __future__ import annotations

import time
from dataclasses import replace

from pyomo_relugrad.deadline import OutOfTime
from pyomo_relugrad.problem import Incumbent, Problem
from pyomo_relugrad.proof import SearchTree
from pyomo_relugrad.proof.milp import REPORT_INTERVAL, MilpProof
from pyomo_relugrad.proof.outer_approximation import OuterApproximation
from pyomo_relugrad.run.options import Options
from pyomo_relugrad.run.result import Route
from pyomo_relugrad.run.worker import Prover
from pyomo_relugrad.solve.forecast import GapForecast


class Runner:
    """One proof on its way.

    Parameters
    ----------
    route : Route
    problem : Problem
    options : Options
    start : Incumbent or None
    time_limit : float
        Seconds that are left; HiGHS is told, and does not always look at its clock.
    """

    def __init__(
        self, route: Route, problem: Problem, options: Options, start: Incumbent | None, time_limit: float
    ) -> None:
        self.route = route
        self.is_done = False
        self._prover = _make_prover(route, problem, replace(options, time_limit=time_limit), start)
        self._options, self._forecast = options, GapForecast()
        self._booked = time.perf_counter()
        self._is_begun = False
        self._next_seconds = self._prover.first_seconds if isinstance(self._prover, SearchTree) else 0.0

    @property
    def works_beside(self) -> bool:
        """Whether the proof works in a thread of its own, and a step only reports."""
        return self.route is Route.MILP

    @property
    def is_due(self) -> bool:
        """Whether a proof that works beside is to begin, or has something to report without being waited for."""
        return not self._is_begun or time.perf_counter() - self._booked >= REPORT_INTERVAL

    def fits(self, seconds: float) -> bool:
        """Whether the next step is likely to end within so much time: it may take as long as the one before."""
        return self._next_seconds <= seconds

    @property
    def bound(self) -> float:
        """No feasible point has a smaller objective."""
        return self._prover.bound

    @property
    def nodes(self) -> int:
        """Nodes bounded so far."""
        return self._prover.nodes

    @property
    def incumbent(self) -> Incumbent | None:
        """The best feasible point of this proof."""
        return self._prover.incumbent

    def offer(self, point: Incumbent | None) -> None:
        """Hand over a feasible point that others found; ignored where it is not better."""
        if point is not None:
            self._prover.offer(point)

    def step(self) -> None:
        """One step of the proof, which is given up where the step outlasts the `deadline` around it."""
        self._is_begun = True
        begin = self._booked if self.works_beside else time.perf_counter()
        try:
            self.is_done = self.is_done or not self._prover.step()
        except OutOfTime:
            self.is_done = True
        self._booked = time.perf_counter()
        self._forecast.book(self._booked - begin, self.bound)
        self._next_seconds = 0.0 if self.works_beside else self._booked - begin

    def closes_within(self, seconds: float, objective: float) -> bool:
        """Whether the proof goes on and is about to close the gap to an objective within so much more time for it."""
        return not self.is_done and self._forecast.closes_within(
            seconds, objective, self._options.allowed_gap(objective)
        )

    def close(self) -> None:
        """Stop; HiGHS runs in a thread of its own until then."""
        self._prover.close()


def _make_prover(route: Route, problem: Problem, options: Options, start: Incumbent | None) -> Prover:
    if route is Route.BRANCH:
        return SearchTree(problem, options, start)
    if problem.quadratic is not None:
        return OuterApproximation(problem, options, start)
    told = {"time_limit": options.time_limit, **options.highs_options}
    return MilpProof(problem, replace(options, highs_options=told), start, gives_way=True)
