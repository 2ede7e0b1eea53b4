"""Local searches one after another, each of them continued from turn to turn."""

from __future__ import annotations

import numpy as np

from pyomo_relugrad.arrays import Array
from pyomo_relugrad.problem import Incumbent, Problem
from pyomo_relugrad.run.budget import Budget, Stop
from pyomo_relugrad.run.options import Options
from pyomo_relugrad.solve.local_search import LocalSearch

# Seconds that a second search has until its first success, and its time as a multiple of the first search's.
SECOND_SECONDS, SECOND_SHARE = 0.5, 0.5
# It has been in vain after this many times the time that it had taken to its last success, and those seconds.
SECOND_PATIENCE = 3.0


class Searches:
    """A local search, and when it has ended another one with a new seed from the best point.

    Where others found a better point, a second search begins there and takes a third of the time: what is far from that
    point may still be better. A later point replaces the second search, never the first; the second ends when it
    has been in vain for long.

    Parameters
    ----------
    problem : Problem
    options : Options
    budget : Budget
        Of the whole solve; the searches book their points and steps there.
    seed : int
        Of the first search.
    start : (n,) array or None
        The user's warm start.
    """

    def __init__(self, problem: Problem, options: Options, budget: Budget, seed: int, start: Array | None) -> None:
        self._options, self._budget, self._seed = options, budget, seed
        # Without networks the first step of a search is all that there is to find.
        self._repeats = bool(problem.networks)
        self._best: Incumbent | None = None
        self._is_outdone = False
        self._search = LocalSearch(problem, options.method, self._search_budget(), seed, start)
        self._second: LocalSearch | None = None
        # Seconds of the first search since the second began, of the second, and of the second until its last success.
        self._first_seconds = self._second_seconds = self._success_seconds = 0.0

    def _search_budget(self) -> Budget:
        return Budget(self._budget.remaining, self._options.iteration_limit)

    @property
    def bound(self) -> float:
        """No feasible point has a smaller objective, by the relaxations that searches use."""
        return self._search.bound

    @property
    def has_ended(self) -> bool:
        """Whether the present searches have ended; `step` begins the next one."""
        return self._search.is_done and (self._second is None or self._second.is_done)

    @property
    def stop(self) -> Stop | None:
        """INFEASIBLE or UNBOUNDED where a search has found that."""
        stops = [search.budget.stop for search in (self._search, self._second) if search is not None]
        return next((stop for stop in stops if stop in (Stop.INFEASIBLE, Stop.UNBOUNDED)), None)

    def offer(self, point: Incumbent) -> None:
        """Take note of the best point; where others found it, the next step begins a second search from there."""
        own = [search.record.incumbent for search in (self._search, self._second) if search is not None]
        self._is_outdone = not any(point is found for found in own)
        self._best = point

    def bound_at_once(self) -> None:
        """Compute the relaxation's bound, if that has not been done and there is time."""
        self._search.bound_at_once()

    def step(self) -> list[Incumbent]:
        """Go on by one step.

        Returns
        -------
        list of Incumbent
            The point that is new, and those kept in the pool when a search ends.
        """
        search, begin = self._next(), self._budget.elapsed
        before = search.budget.points, search.budget.iterations
        goes_on = search.step()
        after = search.budget.points, search.budget.iterations
        self._budget.count(*np.subtract(after, before).tolist())
        self._book(search, self._budget.elapsed - begin)
        if not goes_on:
            return search.record.pool
        return [search.record.best] if search.is_new and search.record.best is not None else []

    def _book(self, search: LocalSearch, seconds: float) -> None:
        """Note the time of a step; end a second search that has been in vain for long."""
        if search is self._search:
            self._first_seconds += seconds
            return
        self._second_seconds += seconds
        found = search.record.incumbent
        if search.is_new and found is not None and (self._best is None or found.objective < self._best.objective):
            self._success_seconds = self._second_seconds
        if self._second_seconds > SECOND_SECONDS + SECOND_PATIENCE * self._success_seconds:
            self._second = None

    def _next(self) -> LocalSearch:
        """The search whose turn it is."""
        if self._repeats and self._is_outdone:
            self._second, self._is_outdone = self._begin_again(), False
            self._first_seconds = self._second_seconds = self._success_seconds = 0.0
        elif self._repeats and self._search.is_done:
            self._search = self._begin_again()
        if self._second is None or self._second.is_done:
            return self._search
        return self._second if self._second_seconds <= SECOND_SHARE * self._first_seconds else self._search

    def _begin_again(self) -> LocalSearch:
        """A search with another seed from the best point."""
        self._seed += 1
        start = None if self._best is None else self._best.values
        return self._search.again(self._search_budget(), self._seed, start)
