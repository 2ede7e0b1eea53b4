"""A local search with bounds beside it, in time that it can spare."""

from __future__ import annotations

import math
from collections.abc import Iterable
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import Protocol

from pyomo_relugrad.problem import Incumbent, Problem
from pyomo_relugrad.problem.presolve import reduce_by, tighten_through_networks
from pyomo_relugrad.proof import MAX_ENTRIES, HorizonProof, LagrangianBound, MilpProof, ProofInTurns, bound_seconds
from pyomo_relugrad.run import Clock, Options, Past, Report, Route, Stop, Worker
from pyomo_relugrad.search.neighbourhoods.subproblem import is_small
from pyomo_relugrad.solve.portfolio import Portfolio
from pyomo_relugrad.solve.runner import PROOFS

#: Seconds of a bounder's first run at least.
SHORTEST = 0.1
#: Time in vain before a run, in units of its length, and as a share of all time; the share of all time that runs have;
#: and the time that has to be left, in units of the length: HiGHS looks at the clock between its steps.
VAIN_BEFORE, VAIN_SHARE, SHARE, LEFT = 2.0, 0.25, 0.4, 1.2
#: Share of the gap that a bounder has to close in its last run so that others wait, and how much more time the one with
#: the best bound has than others.
MUCH, LEADING = 0.05, 4.0
#: Seconds of the first bound above which there is no branching beside a search.
LONGEST_BOUND = 1.0
#: Gap at which HiGHS ends: less than what ends a search.
GAP = 1e-7


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


@dataclass
class _Way:
    """A bounder, the seconds of its next run and of those so far, what the last one proved and closed of the gap."""

    bounder: BoundInRuns
    length: float
    spent: float = 0.0
    bound: float = -math.inf
    closed: float = 0.0

    def priority(self, best: float) -> float:
        """The way with the least comes first; the best bound of all is given."""
        return self.spent / LEADING if self.bound >= best else self.spent


class BoundedSearch(Worker):
    """A search that bounders interrupt now and then; they may also come to points of their own.

    A search that goes on gaining is left alone: a run comes when all has been in vain for twice as long, and for a
    quarter of the time. A bounder that closes much of the gap goes on, else the one that has had least time; the one
    with the best bound has several times as much as others. Where only steps are limited, there is none, so that the
    answer of a seed does not depend on the machine.

    Parameters
    ----------
    own : Worker
        The search.
    bounders : iterable of BoundInRuns
        As of `bounders_for`.
    options : Options
    clock : Clock
        Of the whole run.
    """

    def __init__(self, own: Worker, bounders: Iterable[BoundInRuns], options: Options, clock: Clock) -> None:
        self._own, self._clock = own, clock
        is_timed = options.iteration_limit is None and math.isfinite(clock.time_limit)
        ways = [_Way(each, min(each.first_share * clock.time_limit, each.longest_first)) for each in bounders]
        self._ways = [way for way in ways if is_timed and way.length >= SHORTEST]
        self._best: Incumbent | None = None
        self._bound = -math.inf
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
        self._best, self._last_gain = point, self._clock.elapsed
        return self._own.offer(point)

    def close(self) -> tuple[Report, ...]:
        """Stop the search."""
        with ExitStack() as stack:  # the search is stopped too where a bounder fails
            for way in self._ways:
                stack.callback(way.bounder.close)
            return self._own.close()

    def _due(self, vain_before: float) -> _Way | None:
        """The bounder whose run may begin, if any."""
        open_ways = [way for way in self._ways if way.bounder.is_open]
        good = [way for way in open_ways if way.closed >= MUCH]
        way = min(good or open_ways, key=lambda way: way.priority(self._bound), default=None)
        if way is None:
            return None
        now, length = self._clock.elapsed, way.length
        has_time = self._spent + length <= SHARE * now and LEFT * length <= self._clock.remaining
        least_vain = max(vain_before * length, min(vain_before, VAIN_SHARE) * now)
        is_in_vain = now - self._last_gain >= least_vain
        return way if has_time and is_in_vain else None

    def _run(self, way: _Way, best: Incumbent) -> Report:
        begin = self._clock.elapsed
        bound, point = way.bounder.run(best, way.length)
        way.bound = bound
        seconds = self._clock.elapsed - begin
        self._spent, way.spent, way.length = self._spent + seconds, way.spent + seconds, way.bounder.growth * way.length
        if math.isfinite(self._bound) and self._bound < best.objective:
            way.closed = max(bound - self._bound, 0.0) / (best.objective - self._bound)
        self._bound = max(self._bound, bound)
        return Report(() if point is None else (point,), bound)


def bounders_for(problem: Problem, options: Options, past: Past, has_highs: bool = False) -> list[BoundInRuns]:
    """What bounds a presolved problem: blocks and stages by themselves, branching where it goes first, and HiGHS.

    HiGHS is left out where it has a core of its own.
    """
    bounders: list[BoundInRuns] = [LagrangianBound(problem, past)]
    if len(problem.networks) > 1:
        bounders.append(ProofInTurns(lambda start: HorizonProof(problem, options, start)))
    is_quick = problem.functions and bound_seconds(problem) <= LONGEST_BOUND
    if is_quick and Portfolio().routes_for(problem)[0] is Route.BRANCH:
        alone = replace(options, threads=1)  # searches have the other cores
        bounders.append(ProofInTurns(lambda start: PROOFS[Route.BRANCH](problem, alone, start)))
    if suits_milp(problem) and not has_highs:
        bounders.append(ProofInTurns(lambda start: milp_beside(problem, options, start)))
    return bounders


def suits_milp(problem: Problem) -> bool:
    """Whether HiGHS can bound the networks, and may prove something in seconds."""
    is_milp = bool(problem.networks) and problem.is_piecewise_linear and is_small(problem, MAX_ENTRIES)
    return is_milp and Route.MILP in Portfolio().routes_for(problem)


def milp_beside(problem: Problem, options: Options, start: Incumbent) -> MilpProof:
    """HiGHS on the big-M formulation, columns tightened through networks first."""
    tightened = reduce_by(problem, (tighten_through_networks,)).problem
    return MilpProof(tightened, replace(options, relative_gap=GAP, absolute_gap=GAP), start)
