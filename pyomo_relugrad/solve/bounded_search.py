"""A local search with bounds beside it, in time that it can spare."""

from __future__ import annotations

import math
from collections.abc import Iterable
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import cache, partial
from typing import Protocol

from pyomo_relugrad.problem import Incumbent, Problem
from pyomo_relugrad.problem.presolve import reduce_by, tighten_through_networks
from pyomo_relugrad.proof import (
    MAX_ENTRIES,
    HorizonProof,
    HullsFirst,
    LagrangianBound,
    LatticeTree,
    MilpProof,
    ProofInTurns,
    bound_seconds,
)
from pyomo_relugrad.run import Budget, Clock, Options, Past, Prover, Report, Route, Stop, Worker
from pyomo_relugrad.search.neighbourhoods.subproblem import is_small
from pyomo_relugrad.solve.gains import least_gain
from pyomo_relugrad.solve.portfolio import Portfolio
from pyomo_relugrad.solve.runner import PROOFS

#: Seconds of a bounder's first run at least, and of a solve in which one is that long: it has a tenth of the time.
SHORTEST, SHORTEST_SOLVE = 0.1, 1.0
#: Time in vain before a run, in units of its length, and as a share of all time; and the time that has to be left, in
#: units of the length: HiGHS looks at the clock between its steps.
VAIN_BEFORE, VAIN_SHARE, LEFT = 2.0, 0.25, 1.2
#: The share of all time that runs have, and that while the search expects to gain after it has been in vain.
SHARE, SHARE_UNSETTLED = 0.4, 0.1
#: The share up to which a bounder may go on that closes so much of its gap in a run, where the search expects nothing.
SHARE_CLOSING, CLOSING = 0.65, 0.15
#: Runs in which a bounder may come to its first bound before it is judged, and what is expected that it closes of its
#: gap in a run where that is better than what is known.
TRIALS, FIRST_GUESS = 3, 0.3
#: What is left of that from run to run, where nothing is closed: proofs advance in rounds that are longer.
FADING = 0.3
#: Share of its gap that a bounder has to close in a run so that others wait, and how much more time the one with the
#: best bound has than others where none does.
MUCH, LEADING = 0.05, 8.0
#: Seconds of the first bound above which there is no branching beside a search.
LONGEST_BOUND = 1.0
#: Gap at which HiGHS ends: less than what ends a search.
GAP = 1e-7
#: Branch and bound goes on to this share of the gap at which the run ends: tolerances lower its bound afterwards.
GAP_SHARE = 0.5


class BoundInRuns(Protocol):
    """Bounds a problem, in run after run."""

    #: Length of its first run as a share of the time limit, and in seconds at most; by how much each further one is
    #: longer.
    first_share: float
    longest_first: float
    growth: float
    #: Whether another run may prove more.
    is_open: bool

    def run(self, start: Incumbent, seconds: float) -> tuple[float, Incumbent | None]:
        """A number that no feasible point's objective is below, and a point, within some seconds."""

    def close(self) -> None:
        """Stop what runs in threads."""


@dataclass(eq=False)
class _Way:
    """A bounder, the seconds of its next run and of those so far, their number, and what they proved.

    ``closed`` is the share of its own gap that a run closes, by the last ones.
    """

    bounder: BoundInRuns
    length: float
    spent: float = 0.0
    runs: int = 0
    bound: float = -math.inf
    closed: float = 0.0

    @property
    def is_young(self) -> bool:
        """Whether it may still come to a first bound."""
        return self.bound == -math.inf and self.runs < TRIALS

    def book(self, seconds: float, bound: float, objective: float, is_best: bool) -> None:
        """Note a run: its seconds, what it proved, whether all others have less, and up to where the gap is."""
        before, now = objective - self.bound, objective - max(bound, self.bound)
        share = 1.0 - now / before if 0.0 < before < math.inf else FIRST_GUESS * is_best
        self.closed = max(share, FADING * self.closed)
        self.bound, self.runs = max(bound, self.bound), self.runs + 1
        self.spent, self.length = self.spent + seconds, self.bounder.growth * self.length

    def forecast(self, objective: float, seconds: float) -> float:
        """The gap to an objective after so many more seconds, if runs go on closing what they close."""
        gap = objective - self.bound
        return gap * (1.0 - self.closed) ** (seconds / self.length) if gap < math.inf else gap


class BoundedSearch(Worker):
    """A search that bounders interrupt now and then; they may also come to points of their own.

    A search that goes on gaining much is left alone: a run comes when all has been in vain for twice as long, and for a
    quarter of the time. All bounders are tried; then the one goes on that promises the smallest gap at the end, by what
    its last runs have closed of its own. Where none has closed much, it is the one that has had least time; the one
    that has brought the best bound, the first one if none has, has several times as much as others. Where only steps
    are limited, there is none, so that the answer of a seed does not depend on the machine.

    Parameters
    ----------
    own : Worker
        The search.
    bounders : iterable of BoundInRuns
        As of `bounders_for`.
    options : Options
    clock : Clock
        Of the whole run.
    budget : Budget, optional
        The search's, which says whether it expects to gain.
    """

    def __init__(
        self,
        own: Worker,
        bounders: Iterable[BoundInRuns],
        options: Options,
        clock: Clock,
        budget: Budget | None = None,
    ) -> None:
        self._own, self._clock, self._budget = own, clock, budget
        is_timed = options.iteration_limit is None and clock.has_time_limit
        ways = [_Way(each, min(each.first_share * clock.time_limit, each.longest_first)) for each in bounders]
        self._ways = [way for way in ways if is_timed and way.length >= SHORTEST]
        self._best: Incumbent | None = None
        self._leader: _Way | None = None
        self._bound, self._worth = -math.inf, math.inf
        self._spent = self._last_gain = 0.0

    def step(self) -> Report:
        """A step of the search, or a run of a bounder."""
        if self._best is not None and (way := self._due(VAIN_BEFORE)):
            return self._run(way, self._best)
        report = self._own.step()
        self._bound = max(self._bound, report.bound)
        if self._best is not None and report.stop is Stop.FINISHED and (way := self._due(0.0)):
            return report.with_work([self._run(way, self._best)])
        return report

    def offer(self, point: Incumbent) -> bool:
        """Take note of the incumbent."""
        self._best = point
        gain = self._worth - point.objective
        if gain > least_gain(point.objective, self._bound):
            self._worth, self._last_gain = point.objective, self._clock.elapsed
        return self._own.offer(point)

    def close(self) -> tuple[Report, ...]:
        """Stop the search."""
        with ExitStack() as stack:  # the search is stopped too where a bounder fails
            for way in self._ways:
                stack.callback(way.bounder.close)
            return self._own.close()

    @property
    def _share(self) -> float:
        return SHARE_UNSETTLED if self._budget is not None and self._budget.is_unsettled else SHARE

    def _share_of(self, way: _Way) -> float:
        is_closing = way.runs > 1 and way.closed >= CLOSING  # what the first run closes is a guess
        return SHARE_CLOSING if is_closing and self._share == SHARE else self._share

    def _due(self, vain_before: float) -> _Way | None:
        """The bounder whose run may begin, if any."""
        way = self._next_way()
        if way is None:
            return None
        now, length = self._clock.elapsed, way.length
        has_time = self._spent + length <= self._share_of(way) * now and LEFT * length <= self._clock.remaining
        least_vain = max(vain_before * length, min(vain_before, VAIN_SHARE) * now)
        is_in_vain = now - self._last_gain >= least_vain
        return way if has_time and is_in_vain else None

    def _next_way(self) -> _Way | None:
        """The bounder whose turn it is."""
        ways, best = [way for way in self._ways if way.bounder.is_open], self._best
        if not ways or best is None:
            return None
        seconds = min(max(self._share * self._clock.time_limit - self._spent, 0.0), self._clock.remaining)
        young = [way for way in ways if way.is_young]
        for least in (FIRST_GUESS, MUCH):
            good = [way for way in ways if way.closed >= least]
            if good:
                return min(good, key=lambda way: way.forecast(best.objective, seconds))
            if young:
                return young[0]
        leader = self._leader if self._leader in ways else ways[0]
        return min(ways, key=lambda way: way.spent / LEADING if way is leader else way.spent)

    def _run(self, way: _Way, best: Incumbent) -> Report:
        begin = self._clock.elapsed
        bound, point = way.bounder.run(best, way.length)
        seconds = self._clock.elapsed - begin
        is_best = bound > self._bound
        way.book(seconds, bound, best.objective, is_best)
        self._leader = way if is_best else self._leader
        self._spent, self._bound = self._spent + seconds, max(self._bound, bound)
        return Report(() if point is None else (point,), bound)


def bounders_for(problem: Problem, options: Options, past: Past, has_highs: bool = False) -> list[BoundInRuns]:
    """What bounds a presolved problem: blocks and stages by themselves, branching where it goes first, and HiGHS.

    HiGHS is left out where it has a core of its own. There are none where the time is too short for a first run of any:
    what suits a problem takes a while to tell.
    """
    if options.time_limit < SHORTEST_SOLVE:
        return []
    bounders: list[BoundInRuns] = []
    if LagrangianBound.suits(problem):
        bounders.append(ProofInTurns(lambda start: LagrangianBound(problem, options, start, past)))
    if len(problem.networks) > 1:
        bounders.append(ProofInTurns(lambda start: HorizonProof(problem, options, start)))
    has_hulls = HullsFirst.suits(problem)
    programs: list[BoundInRuns] = []
    routes = cache(partial(Portfolio().routes_for, problem))
    if not has_highs and _is_small_milp(problem) and Route.MILP in routes():
        programs.append(ProofInTurns(partial(milp_beside, problem, options)))
    is_quick = problem.functions and bound_seconds(problem) <= LONGEST_BOUND and not LatticeTree.suits(problem)
    if is_quick and routes()[0] is Route.BRANCH:
        alone = replace(  # searches have the other cores
            options,
            threads=1,
            relative_gap=GAP_SHARE * options.relative_gap,
            absolute_gap=GAP_SHARE * options.absolute_gap,
        )
        boxes = ProofInTurns(lambda start: PROOFS[Route.BRANCH](problem, alone, start))
        programs = [*programs, boxes] if has_hulls else [boxes, *programs]
    return [*bounders, *programs]


def suits_milp(problem: Problem) -> bool:
    """Whether HiGHS can bound the networks, and may prove something in seconds."""
    return _is_small_milp(problem) and Route.MILP in Portfolio().routes_for(problem)


def _is_small_milp(problem: Problem) -> bool:
    return bool(problem.networks) and problem.is_piecewise_linear and is_small(problem, MAX_ENTRIES)


def milp_beside(problem: Problem, options: Options, start: Incumbent) -> Prover:
    """HiGHS on the big-M formulation, columns tightened through networks first."""
    tightened = reduce_by(problem, (tighten_through_networks,)).problem
    proof = HullsFirst if HullsFirst.suits(tightened) else MilpProof
    return proof(tightened, replace(options, relative_gap=GAP, absolute_gap=GAP), start)
