"""Local searches one after another, each of them continued from turn to turn."""

from __future__ import annotations

import numpy as np

from pyomo_relugrad.arrays import Array
from pyomo_relugrad.exact.runner import ExactOptions
from pyomo_relugrad.problem import Incumbent, Problem
from pyomo_relugrad.search.budget import Budget, Stop
from pyomo_relugrad.search.local_search import LocalSearch


class Searches:
    """A local search, and when it has ended another one with a new seed from the best point.

    Parameters
    ----------
    problem : Problem
    options : ExactOptions
    budget : Budget
        Of the whole solve; the searches book their points and steps there.
    seed : int
        Of the first search.
    start : (n,) array or None
        The user's warm start.
    """

    def __init__(self, problem: Problem, options: ExactOptions, budget: Budget, seed: int, start: Array | None) -> None:
        self._options, self._budget, self._seed = options, budget, seed
        # Without networks the first step of a search is all that there is to find.
        self._repeats = bool(problem.networks)
        self._best: Incumbent | None = None
        self._is_outdone = False
        self._search = LocalSearch(problem, options.method, self._search_budget(), seed, start)

    def _search_budget(self) -> Budget:
        return Budget(self._budget.remaining, self._options.iteration_limit)

    @property
    def bound(self) -> float:
        """No feasible point has a smaller objective, by the relaxations that searches use."""
        return self._search.bound

    @property
    def has_ended(self) -> bool:
        """Whether the present search has ended; `step` begins the next one."""
        return self._search.is_done

    @property
    def stop(self) -> Stop | None:
        """INFEASIBLE or UNBOUNDED where the search has found that."""
        stop = self._search.budget.stop
        return stop if stop in (Stop.INFEASIBLE, Stop.UNBOUNDED) else None

    def offer(self, point: Incumbent) -> None:
        """Take note of the best point; where others found it, the next step begins a search from there."""
        self._is_outdone = point is not self._search.record.incumbent
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
        if self._search.is_done or self._is_outdone:
            self._begin_again()
        before = self._search.budget.points, self._search.budget.iterations
        goes_on = self._search.step()
        after = self._search.budget.points, self._search.budget.iterations
        self._budget.count(*np.subtract(after, before).tolist())
        record = self._search.record
        if not goes_on:
            return record.pool
        return [record.best] if self._search.is_new and record.best is not None else []

    def _begin_again(self) -> None:
        if not self._repeats:
            return
        self._seed += 1
        self._is_outdone = False
        start = None if self._best is None else self._best.values
        self._search = self._search.again(self._search_budget(), self._seed, start)
