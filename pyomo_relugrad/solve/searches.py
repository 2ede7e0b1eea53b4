"""Local searches one after another, each of them continued from turn to turn."""

from dataclasses import replace

from pyomo_relugrad.arrays import Array
from pyomo_relugrad.problem import Incumbent, Problem
from pyomo_relugrad.run import Clock, Options, Report, Stop, Worker
from pyomo_relugrad.solve.local_search import LocalSearch
from pyomo_relugrad.solve.portfolio import Portfolio


class Searches(Worker):
    """A local search, and when it has ended another one with a new seed from the best point.

    Where others found a better point, a second search begins there and takes a tenth of the time: what is far from
    that point may still be better. A later point replaces the second search, never the first; the second ends when it
    has been in vain for long.

    Parameters
    ----------
    problem : Problem
    options : Options
        The seed is that of the first search; the limit of iterations holds for each.
    portfolio : Portfolio
    clock : Clock
    start : (n,) array, optional
        The user's warm start.
    """

    def __init__(
        self, problem: Problem, options: Options, portfolio: Portfolio, clock: Clock, start: Array | None = None
    ) -> None:
        self._portfolio, self._clock, self._seed = portfolio, clock, options.seed
        # Without functions the first step of a search is all that there is to find.
        self._repeats = bool(problem.functions)
        self._best: Incumbent | None = None
        self._is_outdone = False
        self._first = LocalSearch(problem, options, clock, start)
        self._second: LocalSearch | None = None
        # Seconds of the first search since the second began, of the second, and of the second until its last success.
        self._first_seconds = self._second_seconds = self._success_seconds = 0.0

    @property
    def has_ended(self) -> bool:
        """Whether the present searches have ended; `step` begins the next one."""
        return self._first.is_done and (self._second is None or self._second.is_done)

    @property
    def can_go_on(self) -> bool:
        """Whether there is anything left to search."""
        return self._repeats or not self.has_ended

    def offer(self, point: Incumbent) -> bool:
        """Take note of the incumbent that others found: the next step begins a second search from there."""
        self._best, self._is_outdone = point, True
        return True

    def tell(self, point: Incumbent) -> None:
        """Hand the incumbent to the searches, if it is better than all of their own."""
        for search in (self._first, self._second):
            if search is not None:
                search.offer(point)

    def note_success(self, point: Incumbent) -> None:
        """Take note of the incumbent that the last step found."""
        self._best = point
        self._success_seconds = self._second_seconds

    def bound_at_once(self) -> Report:
        """Compute the relaxation's bound, if that has not been done and there is time."""
        return self._first.bound_at_once()

    def step(self) -> Report:
        """Go on by one step of the search whose turn it is; its end is not that of the searches."""
        search, begin = self._next(), self._clock.elapsed
        report = search.step()
        seconds = self._clock.elapsed - begin
        if search is self._first:
            self._first_seconds += seconds
        else:
            self._second_seconds += seconds
        return replace(report, stop=report.stop if report.stop in (Stop.INFEASIBLE, Stop.UNBOUNDED) else None)

    def close(self) -> tuple[Report, ...]:
        """What the searches have in hand."""
        return (*self._first.close(), *(() if self._second is None else self._second.close()))

    def _next(self) -> LocalSearch:
        """The search whose turn it is."""
        asked = self._portfolio
        if self._second_seconds > asked.second_seconds + asked.second_patience * self._success_seconds:
            self._second = None  # in vain
        if self._repeats and self._is_outdone:
            self._second, self._is_outdone = self._begin_again(), False
            self._first_seconds = self._second_seconds = self._success_seconds = 0.0
        elif self._repeats and self._first.is_done:
            self._first = self._begin_again()
        if self._second is None or self._second.is_done:
            return self._first
        return self._second if self._second_seconds <= asked.second_share * self._first_seconds else self._first

    def _begin_again(self) -> LocalSearch:
        """A search with another seed from the best point."""
        self._seed += 1
        return self._first.again(self._seed, None if self._best is None else self._best.values)
