"""Searches and proofs that take turns, as a portfolio says, until the gap is closed."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from contextlib import ExitStack
from dataclasses import replace

import numpy as np

from pyomo_relugrad import deadline
from pyomo_relugrad.arrays import Array
from pyomo_relugrad.problem import FEASIBILITY_TOLERANCE, Incumbent, Problem, Shape
from pyomo_relugrad.proof import LagrangianBound
from pyomo_relugrad.run import Clock, Options, Past, Prover, Report, Route, Stop, Worker
from pyomo_relugrad.solve.gains import least_gain
from pyomo_relugrad.solve.portfolio import Portfolio
from pyomo_relugrad.solve.runner import PROOFS, Runner
from pyomo_relugrad.solve.searches import Searches
from pyomo_relugrad.solve.shares import TimeShares


class Team(Worker):
    """A short search, then proofs and searches in turn; all of them share the incumbent.

    Parameters
    ----------
    problem : Problem
        As `presolve` leaves it.
    options : Options
    portfolio : Portfolio
    clock : Clock
        Of the whole solve.
    start : (n,) array, optional
        A warm start, NaN where a column has no value.
    """

    # Shorter proofs gain nothing from searches beside them, which take as long to begin; proofs that are to be short
    # have no large gap left after a while.
    short_proof, short_far_proof = 1.0, 0.2
    # Seconds of the first search after which a process that is there begins the proof of a box.
    short_search = 0.01

    def __init__(
        self, problem: Problem, options: Options, portfolio: Portfolio, clock: Clock, start: Array | None = None
    ) -> None:
        portfolio = portfolio.within(clock.time_limit)
        self._problem, self._options, self._portfolio, self._clock = problem, options, portfolio, clock
        self._past = Past()
        self._searches = Searches(problem, options, clock, start, self._past)
        self._shares = TimeShares(portfolio)
        self._has_few_relus = portfolio.has_few_relus(problem)
        self._runners: list[Runner] = []
        self._waiting: list[Route] = []
        self._join_at = 0.0
        self._best: Incumbent | None = None
        self._root_bound = -np.inf
        self._ahead: Prover | None = None
        self._turns = self._take_turns()

    @property
    def routes(self) -> tuple[Route, ...]:
        """The proofs that have begun, in their order."""
        return tuple(runner.route for runner in self._runners)

    @property
    def seconds_alone(self) -> float:  # type: ignore[override]
        """Seconds of a proof before searches work beside it: none where they are at it still, or it is not to end."""
        are_at_it = self._shares.are_gaining_late or self._shares.are_seeking
        if are_at_it or not self._shares.is_closing:
            return 0.0
        are_far = bool(self._unfinished) and all(runner.has_large_gap(self._value) for runner in self._unfinished)
        return self.short_far_proof if are_far else self.short_proof

    @property
    def cores_beside(self) -> int:
        """Those that proofs have for themselves."""
        return sum(runner.cores_beside for runner in self._unfinished if self._has_cores(runner))

    def _has_cores(self, runner: Runner) -> bool:
        """Whether a proof has cores for itself.

        It has none that has had its time and is not about to close the gap, or that is far from its end while searches
        go on gaining. A small MILP has its core for all of the time that searches are in vain.
        """
        own_seconds = self._portfolio.core_share * self._clock.time_limit
        if runner.works_beside:
            if self._has_few_relus and (self._is_early or not self._shares.are_gaining):
                return True
            if runner.has_large_gap(self._value) and not runner.ends_within(self._clock.remaining, self._value):
                return False
        else:
            own_seconds = min(own_seconds, self._portfolio.young_seconds)
        return not self._is_in_the_way(runner) and (
            runner.worked < own_seconds or runner.closes_within(self._clock.remaining, self._value)
        )

    def step(self) -> Report:
        """One step of whoever's turn it is."""
        self._shares.searches_beside = self.searches_beside
        self._shares.expect_gains = self._searches.expect_gains
        self._leave_cores_to_searches()
        report = next(self._turns, None)
        return report or Report(stop=Stop.TIME_LIMIT if self._clock.is_over else Stop.FINISHED)

    def offer(self, point: Incumbent) -> bool:
        """Take note of the incumbent, whoever found it; proofs take it when their turn comes."""
        self._best = point
        self._searches.offer(point)
        return True

    def close(self) -> tuple[Report, ...]:
        """Stop all of them."""
        reports: list[Report] = []

        def close(worker: Worker | Runner) -> None:
            reports.extend(worker.close())

        with ExitStack() as stack:  # the others are stopped too where one fails
            for worker in (*reversed(self._runners), *filter(None, [self._ahead]), self._searches):
                stack.callback(close, worker)
        return tuple(reports)

    def _take_turns(self) -> Iterator[Report]:
        """Proofs, then searches if they are owed time, until nothing is left to do."""
        for report in self._search_for(self._portfolio.lead_of_search(self._problem, self._clock.time_limit)):
            yield report
            if self._clock.elapsed >= self.short_search:
                self._get_ahead()
        # A relaxation of the whole problem: HiGHS has no bound until its presolve ends.
        report = self._searches.bound_at_once()
        self._root_bound = report.bound
        yield report
        self._waiting = list(self._portfolio.routes_for(self._problem))
        lead = self._portfolio.lead_of(self._waiting[0], self._problem, self._options.cores)
        self._join_at = self._clock.elapsed + lead
        while not self._clock.is_over:
            is_proving = yield from self._prove()
            if not is_proving and self._searches.has_ended and not self._may_search_on():
                return
            yield from self._search_for(self._search_seconds(is_proving))

    def _search_seconds(self, is_proving: bool) -> float:
        """How long the searches may work now."""
        if not is_proving:
            return self._portfolio.proof_turn
        if all(runner.works_beside for runner in self._active):
            return self._portfolio.proof_turn * self._share_beside
        seconds = self._shares.search_seconds()
        return 0.0 if seconds <= self._portfolio.owed_seconds and self._is_ending(seconds) else seconds

    def _is_ending(self, seconds: float) -> bool:
        """Whether an incumbent is about to be proven: searches wait for that a little.

        They wait three times these seconds at most, and three times what a proof's forecast is made of; behind a short
        proof they wait as long as its gap falls, as it often falls faster in the end. They do not wait for proofs with
        a large gap, of which only the beginning is known.
        """
        is_short, value = self._shares.proved < self.short_proof, self._value
        return self._best is not None and any(
            runner.ends_within(np.inf if is_short else 3.0 * min(seconds, runner.worked), value)
            for runner in self._active
            if not runner.has_large_gap(value)
        )

    @property
    def _active(self) -> list[Runner]:
        """The proofs that are on their way; not those whose next step would take the searches' share."""
        active = [r for r in self._unfinished if not r.is_paused and r.fits(self._longest_step(r))]
        return [r for r in active if r.route is not Route.BLOCKS or self._may_bound_blocks(r)]

    @property
    def _unfinished(self) -> list[Runner]:
        return [runner for runner in self._runners if not runner.is_done]

    @property
    def _value(self) -> float:
        """Objective of the incumbent; infinite where there is none."""
        return np.inf if self._best is None else self._best.objective

    @property
    def _least_gain(self) -> float:
        """What a search has to gain so that proofs wait for it: little early, where it may end of a sudden."""
        allowed = self._options.allowed_gap(self._value)
        if self._is_early:
            return allowed
        bound = max((runner.bound for runner in self._runners), default=self._root_bound)
        return max(allowed, least_gain(self._value, bound))

    def _may_search_on(self) -> bool:
        """Whether to search with other seeds after the last proof has given up: never without a time limit."""
        return self._clock.has_time_limit and bool(self._problem.functions)

    @property
    def _share_beside(self) -> float:
        """The share of searches beside proofs in threads of their own; these are waited for where no search goes on."""
        return self._shares.share_beside if self._searches.can_go_on else 0.0

    def _is_in_the_way(self, runner: Runner) -> bool:
        """Whether searches go on gaining, and a proof has a large gap or takes a core, and is not about to end.

        Small MILPs keep their core, unless the gap is large after a while: HiGHS often ends of a sudden there. Bounds
        of blocks have little time as it is.
        """
        is_small = runner.works_beside and self._has_few_relus
        if self._searches.has_ended or not self._shares.are_gaining_late or (is_small and self._is_early):
            return False
        if runner.route is Route.BLOCKS:
            return False
        remaining, value = self._clock.remaining, self._value
        takes_core = runner.works_beside and not is_small
        return (takes_core and not runner.closes_within(remaining, value)) or runner.is_far(remaining, value)

    @property
    def _is_early(self) -> bool:
        """Whether a small MILP, or a search, may still end of a sudden, whatever the gap is."""
        return self._clock.elapsed < self._portfolio.late_seconds[1]

    def _leave_cores_to_searches(self) -> None:
        """Let such proofs stand still; not those in threads of their own where there is a core to spare."""
        has_core = self._options.cores > 2
        for runner in self._unfinished:
            runner.pause(self._is_in_the_way(runner) and not (runner.works_beside and has_core))
        in_threads = [runner for runner in self._unfinished if runner.works_beside]
        spare = self._options.cores - 1 - sum(map(self._has_cores, in_threads))
        for runner in self._unfinished:
            runner.spare(spare if self._has_cores(runner) else 0)

    # --- local search -------------------------------------------------------------------------------------------

    def _search_for(self, seconds: float) -> Iterator[Report]:
        """Let the searches go on for so long, or until a process that got ahead waits for more to do."""
        begin = booked = self._clock.elapsed
        beside = bool(self._unfinished) and all(runner.works_beside for runner in self._unfinished)
        gain = 0.0
        while self._clock.elapsed - begin < seconds and not (self._ahead and self._ahead.has_news):
            before = self._value
            yield self._searches.step()
            if self._best is not None and self._value < before:
                gain += before - self._value
                if gain > self._least_gain:  # noted at once: who gains is left alone
                    self._shares.book_search(self._clock.elapsed - booked, True, True, beside)
                    gain, booked = 0.0, self._clock.elapsed
            if self._searches.has_ended:
                break
            for runner in self._unfinished:
                runner.keep_others_busy()
            yield from self._look_beside()
        self._shares.book_search(self._clock.elapsed - booked, False, self._best is not None, beside)

    # --- proofs -------------------------------------------------------------------------------------------------

    def _get_ahead(self) -> None:
        """Let another process begin the proof of a box while the first search goes on."""
        if self._ahead is not None or self._options.cores == 1 or self._searches.has_ended:
            return
        if self._problem.shape is Shape.BOX and self._portfolio.routes_for(self._problem)[0] is Route.BRANCH:
            self._ahead = PROOFS[Route.BRANCH](self._problem, self._options, self._best)
            self._ahead.get_ahead()

    def _prove(self) -> Generator[Report, None, bool]:
        """A turn of each proof that runs; whether there is one."""
        begin = self._clock.elapsed
        if any(runner.is_paused for runner in self._unfinished):  # the others wait, which bounds of blocks need not
            self._waiting.sort(key=lambda route: route is not Route.BLOCKS)
        while self._may_open(begin):
            self._open(self._waiting.pop(0))
        active = self._active
        alone = [runner for runner in active if not runner.works_beside]
        yield from self._look_beside(0.0 if alone else self._portfolio.proof_turn * (1.0 - self._share_beside))
        for runner in self._in_turn(alone):
            is_tried = runner.route is Route.BLOCKS and not self._is_leading(runner)
            yield from self._turn(runner, 0.0 if is_tried else self._shares.proof_seconds())
        if alone:
            self._shares.book_proofs(self._clock.elapsed - begin, self._best is not None)
        remaining = self._clock.remaining
        self._shares.is_closing = any(
            runner.closes_within(self._most_seconds(runner), self._value) or self._is_raising(runner)
            for runner in active
        )
        by_stages = [runner.seconds_to_end(self._value) for runner in alone if runner.route is Route.STAGES]
        needed = min(by_stages, default=np.inf)
        self._shares.needed_share = needed / remaining if needed < remaining < np.inf else 0.0
        return bool(active or self._waiting)

    def _in_turn(self, alone: list[Runner]) -> list[Runner]:
        """Those that may close the gap some day, else the one that leads; others while they have had little time."""
        good = [runner for runner in alone if self._is_raising(runner)]
        good = good or [runner for runner in alone if runner.closes_within(np.inf, self._value)]
        best = [runner for runner in alone if all(_reaches(runner.bound, other.bound) for other in alone)]
        blocks = [runner for runner in best if runner.route is Route.BLOCKS]
        leaders = good or (blocks or best)[:1]
        little = self._portfolio.others_share * sum(runner.worked for runner in leaders)
        return [runner for runner in alone if runner in leaders or runner.worked <= little]

    def _may_open(self, now: float) -> bool:
        """Whether the next proof may join: where none is active or it is time, and searches have not stopped one.

        Blocks are bounded where no proof of the whole problem is young or about to close the gap.
        """
        if not self._waiting:
            return False
        is_time = not self._active or now >= self._join_at
        if self._waiting[0] is Route.BLOCKS:
            return is_time and not self._shares.is_closing
        return is_time and not any(runner.is_paused for runner in self._unfinished)

    def _may_bound_blocks(self, runner: Runner) -> bool:
        """Whether bounds of blocks have a turn: none beside a proof that is about to end, few beside a better bound."""
        others = [other for other in self._unfinished if other is not runner]
        if any(other.closes_within(self._clock.remaining, self._value) for other in others):
            return False
        is_owed = runner.worked <= self._portfolio.blocks_share * self._clock.elapsed
        return not others or is_owed or self._is_leading(runner)

    def _is_leading(self, runner: Runner) -> bool:
        """Whether no other proof has a better bound."""
        return all(_reaches(runner.bound, other.bound) for other in self._runners)

    def _is_raising(self, runner: Runner) -> bool:
        """Whether these are bounds of blocks, no worse than others, and rise or have hardly been tried."""
        if runner.route is not Route.BLOCKS or runner.is_done or not self._is_leading(runner):
            return False
        asked = self._portfolio
        trial = min(asked.young_seconds, asked.blocks_share * self._clock.time_limit)
        return runner.worked < trial or runner.seconds_to_end(self._value) < np.inf

    def _most_seconds(self, runner: Runner) -> float:
        """What a proof may have of the time that is left: by stages no more than the searches' share leaves."""
        share = 1.0 - self._portfolio.search_share if runner.route is Route.STAGES else 1.0
        return share * self._clock.remaining

    def _open(self, route: Route) -> None:
        left = replace(self._options, time_limit=self._clock.remaining)
        made: Prover | None = None
        if route is Route.BRANCH:
            made, self._ahead = self._ahead, None
        elif route is Route.BLOCKS:
            made = LagrangianBound(self._problem, left, self._best, self._past)
        self._runners.append(Runner(route, self._problem, left, self._portfolio, self._best, self._root_bound, made))

    def _look_beside(self, seconds: float = 0.0) -> Iterator[Report]:
        """Take what proofs report that work in threads of their own, and wait for them for so long."""
        for runner in self._unfinished:
            if runner.works_beside and (runner.is_due or (seconds > 0.0 and not runner.is_paused)):
                yield from self._turn(runner, seconds)

    def _turn(self, runner: Runner, seconds: float) -> Iterator[Report]:
        """One turn of a proof, step by step."""
        if self._best is not None:
            runner.offer(self._best)
        end = self._clock.elapsed + seconds
        while not runner.is_done and runner.fits(longest := self._longest_step(runner)):
            with deadline.time_limit(longest):
                report = runner.step()
            yield report
            if not runner.works_beside:
                yield from self._look_beside()
            if self._clock.elapsed >= end:
                return

    def _longest_step(self, runner: Runner) -> float:
        """Seconds after which a single step of a proof is given up."""
        if runner.works_beside:  # begun once, it needs no time of this thread
            return (1.0 - self._portfolio.search_share) * self._clock.remaining
        return self._shares.longest_step(self._clock.remaining, not self._searches.has_ended)


def _reaches(bound: float, other: float) -> bool:
    """Whether a bound is no worse than another one: relaxations are lowered by tolerances."""
    return other <= bound or other - bound <= FEASIBILITY_TOLERANCE * (1.0 + abs(bound))
