"""Proofs that take turns: each runs for a slice of time, and takes the others' incumbents when its turn comes."""

import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial

import numpy as np

from pyomo_relugrad.problem import Incumbent, Problem
from pyomo_relugrad.proof import (
    REPORT_INTERVAL,
    BlockTree,
    ChainTree,
    HorizonProof,
    HullsFirst,
    LagrangianBound,
    LatticeTree,
    MilpProof,
    OuterApproximation,
    ReluTree,
    SearchTree,
)
from pyomo_relugrad.run import Options, Prover, Report, Route, Stop, Worker
from pyomo_relugrad.solve.forecast import GapForecast
from pyomo_relugrad.solve.portfolio import Portfolio


def _by_milp(problem: Problem, options: Options, start: Incumbent | None) -> Prover:
    """HiGHS is told how much time is left, and does not always look at its clock; curves are hulls first."""
    if problem.quadratic is not None or problem.expressions:
        return OuterApproximation(problem, options, start)
    told = {"time_limit": options.time_limit, **options.highs_options}
    proof = HullsFirst if HullsFirst.suits(problem) else MilpProof
    return proof(problem, replace(options, highs_options=told), start, gives_way=True)


def _by_branching(problem: Problem, options: Options, start: Incumbent | None) -> Prover:
    """Smooth problems that fall apart into blocks are bounded block by block first; few integers by themselves."""
    if LatticeTree.suits(problem):
        return LatticeTree(problem, options, start)
    is_apart = not problem.is_piecewise_linear and BlockTree.suits(problem)
    if is_apart:
        return BlockTree(problem, options, start)
    return (ChainTree if ChainTree.suits(problem) else SearchTree)(problem, options, start)


#: The proof of each route, made of problem, options and a point to begin with.
PROOFS: dict[Route, Callable[[Problem, Options, Incumbent | None], Prover]] = {
    Route.STAGES: HorizonProof,
    Route.BRANCH: _by_branching,
    Route.RELUS: ReluTree,
    Route.MILP: _by_milp,
    Route.BLOCKS: LagrangianBound,
}


class Runner(Worker):
    """One proof on its way, whose end is not that of the solve.

    Parameters
    ----------
    route : Route
    problem : Problem
    options : Options
        With the time that is left.
    portfolio : Portfolio
    start : Incumbent, optional
    bound : float, optional
        What is known of the problem.
    prover : Prover, optional
        The proof, where it has been made before.
    """

    def __init__(
        self,
        route: Route,
        problem: Problem,
        options: Options,
        portfolio: Portfolio,
        start: Incumbent | None = None,
        bound: float = -np.inf,
        prover: Prover | None = None,
    ) -> None:
        self.route = route
        self.is_done = False
        self._begin_proof = partial(PROOFS[route], problem, options)
        self._prover = prover or self._begin_proof(start)
        #: Whether it works while others do: on a single core all of them take turns.
        self.works_beside = self._prover.works_beside and options.cores > 1
        self._options = options
        # What only bounds parts of the problem is judged from its beginning.
        portfolio = replace(portfolio, young_seconds=0.0) if route is Route.BLOCKS else portfolio
        self._forecast = GapForecast(portfolio, options.time_limit, bound, self._prover.works_in_rounds)
        self._booked = time.perf_counter()
        self._is_begun = self.is_paused = False
        self._next_seconds = self._prover.first_seconds

    @property
    def worked(self) -> float:
        """Seconds that the proof has worked."""
        return self._forecast.worked

    @property
    def bound(self) -> float:
        """What it has proven, or was known before."""
        return self._forecast.bound

    @property
    def cores_beside(self) -> int:
        """Cores that the proof keeps busy beside the main thread."""
        return 1 if self.works_beside else self._prover.cores_beside

    def spare(self, cores: int) -> None:
        """Let a proof that works in the main thread keep so many others busy."""
        self._prover.spare_cores = cores

    @property
    def is_due(self) -> bool:
        """Whether a proof that works beside is to begin, or has something to report without being waited for."""
        waits = time.perf_counter() - self._booked < REPORT_INTERVAL
        return self._prover.has_news or (not self.is_paused and not (self._is_begun and waits))

    def keep_others_busy(self) -> None:
        """Let processes of the proof go on while a search is under way here, where it does not stand still."""
        if not self.is_paused:
            self._prover.keep_others_busy()

    def pause(self, paused: bool) -> None:
        """Let the proof stand still, also where it works in a thread of its own, or go on again."""
        if paused is not self.is_paused:
            (self._prover.pause if paused else self._prover.resume)()
            self.is_paused, self._booked = paused, time.perf_counter()

    def fits(self, seconds: float) -> bool:
        """Whether the next step is likely to end within so much time: it may take as long as the one before."""
        return self._next_seconds <= seconds

    def step(self) -> Report:
        """One step of the proof, which is given up where the step outlasts the `deadline` around it."""
        begin = self._booked if self.works_beside and self._is_begun else time.perf_counter()
        self._is_begun = True
        report = self._prover.step()
        self.is_done = report.stop is not None
        self._booked = time.perf_counter()
        self._forecast.book(self._booked - begin, report.bound)
        is_brief = self.works_beside or self.route is Route.BLOCKS  # they wait for HiGHS, a tenth of a second
        self._next_seconds = 0.0 if is_brief else self._booked - begin
        if report.stop is Stop.TIME_LIMIT and not self._prover.nodes:
            self._begin_anew()
        return replace(report, stop=None)

    def _begin_anew(self) -> None:
        """Try a first step that took too long again when there is twice as much time for it."""
        self._prover.close()
        self._prover = self._begin_proof(self._prover.incumbent)
        self.is_done, self._next_seconds = False, 2.0 * self._next_seconds

    def offer(self, point: Incumbent) -> bool:
        """Hand over a feasible point that others found."""
        return self._prover.offer(point)

    def close(self) -> tuple[Report, ...]:
        """Stop; HiGHS runs in a thread of its own until then."""
        return self._prover.close()

    def is_far(self, seconds: float, objective: float) -> bool:
        """Whether the gap is large, and the proof is not about to close it within so much more time for it."""
        return self._forecast.is_far(seconds, objective, self._options.allowed_gap(objective))

    def has_large_gap(self, objective: float) -> bool:
        """Whether the gap counts as large beside the objective."""
        return self._forecast.has_large_gap(objective)

    def ends_within(self, seconds: float, objective: float) -> bool:
        """Whether the proof, however young, is expected to close the gap within so much more time for it."""
        return not self.is_done and self._forecast.ends_within(seconds, objective, self._options.allowed_gap(objective))

    def seconds_to_end(self, objective: float) -> float:
        """After how many more seconds of work the proof is expected to close the gap."""
        return self._forecast.seconds_to_end(objective, self._options.allowed_gap(objective))

    def closes_within(self, seconds: float, objective: float) -> bool:
        """Whether the proof goes on and is about to close the gap to an objective within so much more time for it."""
        return not self.is_done and self._forecast.closes_within(
            seconds, objective, self._options.allowed_gap(objective)
        )
