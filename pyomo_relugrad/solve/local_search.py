"""One local search of a presolved problem, step by step: try what is at hand, run a method, keep what it yields."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from copy import copy
from functools import cached_property

import numpy as np

from pyomo_relugrad.arrays import Array
from pyomo_relugrad.deadline import OutOfTime
from pyomo_relugrad.problem import Incumbent, Problem, Shape
from pyomo_relugrad.programs.linear_program import LinearSolution, LinearStatus
from pyomo_relugrad.proof.root_bound import BoundKeeper
from pyomo_relugrad.run.budget import Budget, Stop
from pyomo_relugrad.run.context import SearchContext
from pyomo_relugrad.run.method import Method
from pyomo_relugrad.run.record import Record
from pyomo_relugrad.run.repair import repaired
from pyomo_relugrad.search.completion import Completion, trivial_targets
from pyomo_relugrad.search.methods import find_method
from pyomo_relugrad.search.relaxation import Surroundings


class LocalSearch:
    """A search that can wait between any two steps, so that others may have their turn.

    Parameters
    ----------
    problem : Problem
        As `presolve` leaves it.
    method : str or Method
    budget : Budget
    seed : int, optional
    start : (n,) array, optional
        A warm start, NaN where a column has no value.

    Raises
    ------
    ModelError
        If the method is unknown, or the problem lacks what it needs.
    """

    def __init__(
        self, problem: Problem, method: str | Method, budget: Budget, seed: int = 0, start: Array | None = None
    ) -> None:
        self.problem = problem
        self._method = find_method(method, problem)
        self._keeper = BoundKeeper(problem, budget)
        self._relaxation: LinearSolution | None = None
        self._is_prepared = False
        self._begin(budget, seed, start)

    @cached_property
    def _surroundings(self) -> Surroundings:
        return Surroundings(self.problem)

    def _begin(self, budget: Budget, seed: int, start: Array | None) -> None:
        self.budget, self.record = budget, Record()
        self.is_new = self.is_done = False
        self._points = self._search(start, np.random.default_rng(seed))

    def again(self, budget: Budget, seed: int, start: Array | None = None) -> LocalSearch:
        """A new search with another seed; what was prepared for this one is kept."""
        search = copy(self)
        search._begin(budget, seed, start)
        return search

    @property
    def bound(self) -> float:
        """No feasible point has a smaller objective."""
        return self._keeper.value

    def step(self) -> bool:
        """Go on to the next point or sign of life, and keep it in `record`; False where the search has ended."""
        if self.is_done:
            return False
        try:
            self.is_done = self._is_proven()
            point = None if self.is_done else next(self._points)
        except StopIteration:
            self.is_done = True
        except OutOfTime:
            self.budget.stop, self.is_done = self.budget.stop or Stop.TIME_LIMIT, True
        if self.is_done:
            return False
        if point is not None and self.record.is_promising(point):
            point = repaired(self.problem, point, self.budget)
        self.is_new = point is not None and self.record.add(point, self.budget.elapsed)
        self.record.add_bound(self.bound, self.budget.elapsed)
        return True

    def _is_proven(self) -> bool:
        best = self.record.incumbent
        if best is None:
            return False
        self._keeper.update()
        return self._keeper.proves(best.objective)

    def bound_at_once(self) -> None:
        """Compute the bound now, if that has not been done and there is time."""
        self._keeper.update(finished=True)
        self.record.add_bound(self.bound, self.budget.elapsed)

    # --- points -------------------------------------------------------------------------------------------------

    def _search(self, start: Array | None, random: np.random.Generator) -> Iterator[Incumbent | None]:
        """The points that the search comes to: trivial ones, the start completed, then what the method yields."""
        problem = self.problem
        if start is not None and not np.isnan(start[~problem.is_output]).any():
            yield problem.incumbent(start)
        completion, tried = Completion(problem, self._surroundings, self.budget), list[Incumbent]()
        if start is not None and completion.is_decided(start):
            with suppress(OutOfTime):
                tried.append(problem.incumbent(completion.start(start, None)))
            yield from tried
        is_started = bool(tried) and tried[0].is_feasible
        targets = trivial_targets(problem) if self._seeks_feasibility() and not is_started else []
        for target in targets:
            tried.append(problem.incumbent(target))
            yield tried[-1]
        self._prepare()
        if self.budget.stop is Stop.INFEASIBLE:
            return
        relaxed = None if self._relaxation is None else self._relaxation.values
        if start is not None:
            completed = tried[:1] if is_started else []
            for values in completion.starts(start, relaxed) if not is_started else ():
                completed.append(problem.incumbent(values))
                yield completed[-1]
                if completed[-1].is_feasible:
                    break
            start = completed[-1 if completed[-1].is_feasible else 0].values
            tried += completed
        for target in [*targets, relaxed] if targets and relaxed is not None else targets:
            if any(point.is_feasible for point in tried):
                break
            tried.append(problem.incumbent(completion.nearest(target)))
            yield tried[-1]
        known = tuple(point for point in tried if point.is_feasible)
        yield from self._method.run(problem, SearchContext(self.budget, random, start, self._relaxation, known))

    def _seeks_feasibility(self) -> bool:
        """Whether feasible points may be hard to find, and none has been looked for."""
        problem = self.problem
        return not self._is_prepared and problem.shape is Shape.GENERAL and bool(problem.networks)

    def _prepare(self) -> None:
        """Solve the linear part of the problem, once, and book where that proves that there is no feasible point."""
        if self._is_prepared or (self.problem.shape is Shape.BOX and self.problem.networks):
            return
        self._is_prepared = True
        relaxation = self._surroundings.relax(self.budget)
        if relaxation.status is LinearStatus.INFEASIBLE:
            self.budget.stop = Stop.INFEASIBLE
        self._relaxation = relaxation
        self._keeper.take(relaxation)
