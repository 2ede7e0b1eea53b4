"""One local search of a presolved problem, step by step: try what is at hand, then run a method."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from contextlib import suppress
from copy import copy
from dataclasses import replace
from functools import cached_property

import numpy as np

from pyomo_relugrad.arrays import Array
from pyomo_relugrad.deadline import OutOfTime
from pyomo_relugrad.errors import ModelError
from pyomo_relugrad.problem import Incumbent, Problem, Shape
from pyomo_relugrad.programs import LinearSolution, LinearStatus
from pyomo_relugrad.proof import BoundKeeper
from pyomo_relugrad.run import Budget, Clock, Options, Past, Report, SearchContext, Stop, Worker
from pyomo_relugrad.search import find_method
from pyomo_relugrad.search.descent.on_device import refuse_device
from pyomo_relugrad.search.first_points import FirstPoints
from pyomo_relugrad.search.infeasibility import conflict
from pyomo_relugrad.search.relaxation import LinearRelaxation

#: Why a problem is infeasible whose relaxation is.
NO_POINT = "no point satisfies bounds and constraints, whatever the networks' outputs within their ranges are"

#: Points of others that wait for a method to take them.
MAX_OFFERED = 16


class LocalSearch(Worker):
    """A search that can wait between any two steps, so that others may have their turn.

    Parameters
    ----------
    problem : Problem
        As `presolve` leaves it.
    options : Options
        Method, seed and the limit of iterations count.
    clock : Clock
    start : (n,) array, optional
        A warm start, NaN where a column has no value.
    past : Past, optional
        What earlier searches of the same model left.
    beside : bool, optional
        Whether another search of the problem is under way, which does what is done once: try what is at hand, run
        methods that begin from nothing, and bound the problem.
    solves_whole : bool, optional
        Whether methods may solve the problem as a whole by HiGHS: not where it does so beside the search.

    Raises
    ------
    ModelError
        If the method is unknown, or the problem lacks what it needs.
    """

    def __init__(
        self,
        problem: Problem,
        options: Options,
        clock: Clock,
        start: Array | None = None,
        past: Past | None = None,
        *,
        beside: bool = False,
        solves_whole: bool = True,
    ) -> None:
        self.problem, self._solves_whole = problem, solves_whole
        self._options, self._clock, self._past = options, clock, past or Past()
        self._method = find_method(options.method, problem)
        if options.device is not None:
            refuse_device(problem, self._method, options.device)
        self._relaxation: LinearSolution | None = None
        self._is_prepared, self._is_first, self._beside = False, not beside, beside
        self._begin(options.seed, start)
        self._keeper = BoundKeeper(problem, self.budget, options.device)

    @cached_property
    def _surroundings(self) -> LinearRelaxation:
        return LinearRelaxation(self.problem)

    def _begin(self, seed: int, start: Array | None) -> None:
        self.budget = Budget(self._clock.remaining, self._options.iteration_limit)
        self.is_done = self._has_feasible = False
        self._reported = (0, 0)
        self._best = np.inf
        self._offered: deque[Incumbent] = deque(maxlen=MAX_OFFERED)
        self._points = self._search(start, np.random.default_rng(seed))

    def again(self, seed: int, start: Array | None = None) -> LocalSearch:
        """A new search with another seed; what was prepared for this one is kept."""
        search = copy(self)
        search._is_first = False
        search._begin(seed, start)
        return search

    def step(self) -> Report:
        """Go on to the next point or sign of life; bound the problem where the time for that has come."""
        self.budget.resume()
        try:
            return self._step()
        finally:
            self.budget.pause()

    def _step(self) -> Report:
        if self._has_feasible and self._bounds():
            return self._report()
        try:
            point = next(self._points)
        except StopIteration:
            return self._ended(self.budget.stop or Stop.FINISHED)
        except OutOfTime:
            return self._ended(self.budget.stop or Stop.TIME_LIMIT)
        except MemoryError as reason:
            told = f"method '{self._method}' needs more memory than there is ({reason})"
            raise ModelError(f"{told}: give a method that moves fewer points at once, such as 'auto'") from reason
        if point is not None and point.is_feasible:
            self._has_feasible = True
            self._best = min(self._best, point.objective)
        return self._report(() if point is None else (point,))

    def offer(self, point: Incumbent) -> bool:
        """Hand a point to the method if others found it, and it is better than all of its own."""
        is_better = point.is_feasible and point.objective < self._best
        if is_better:
            self._offered.append(point)
        return is_better

    def bound_at_once(self) -> Report:
        """Compute the bound now, if that has not been done and there is time."""
        self._bounds(finished=True)
        return self._report()

    def close(self) -> tuple[Report, ...]:
        """What a method has in hand when its time is over."""
        points = list[Incumbent]()
        if self.budget.is_exhausted():
            with suppress(OutOfTime):
                points.extend(point for point in self._points if point is not None)
        return (self._report(tuple(points)),)

    def _bounds(self, finished: bool = False) -> bool:
        """Whether there is a better bound now."""
        if self._beside:
            return False
        before = self._keeper.value
        self._keeper.update(finished)
        return self._keeper.value > before

    def _ended(self, stop: Stop) -> Report:
        self.is_done = True
        if stop in (Stop.FINISHED, Stop.ITERATION_LIMIT):
            self._bounds(finished=self._past.solves <= 1)
        return self._report(stop=stop)

    def _report(self, points: tuple[Incumbent, ...] = (), stop: Stop | None = None) -> Report:
        evaluated, iterations = self._reported
        self._reported = now = self.budget.points, self.budget.iterations
        reason = self._no_point if self.budget.stop is Stop.INFEASIBLE else ""
        return Report(points, self._keeper.value, now[0] - evaluated, now[1] - iterations, stop=stop, reason=reason)

    @cached_property
    def _no_point(self) -> str:
        """Why there is no point, with the rows that contradict each other."""
        rows = conflict(self.problem, self._surroundings.lower, self._surroundings.upper)
        return f"{NO_POINT}; in conflict are {rows}" if rows else NO_POINT

    # --- points -------------------------------------------------------------------------------------------------

    def _search(self, start: Array | None, random: np.random.Generator) -> Iterator[Incumbent | None]:
        """The points that the search comes to: first ones, then what the method yields."""
        first = FirstPoints(self.problem, self._surroundings, self.budget, start)
        yield from first.given()
        if self._seeks_feasibility() and not first.is_started:
            yield from first.trivial()
        if not (first.is_started and self._past.solves > 1 and self.problem.networks):
            self._prepare()
        if self.budget.stop is Stop.INFEASIBLE:
            return
        yield from first.completed(None if self._relaxation is None else self._relaxation.values)
        context = SearchContext(
            self.budget,
            random,
            first.start,
            self._relaxation,
            given=start,
            is_first=self._is_first,
            beside=self._beside,
            solves_whole=self._solves_whole,
            take_bound=self._keeper.raise_to,
            solutions=self._options.solutions,
            device=self._options.device,
            offered=self._offered,
            past=self._past,
        )
        yield from first.repaired(context)
        yield from self._method.run(self.problem, replace(context, known=first.known, near=first.near))

    def _seeks_feasibility(self) -> bool:
        """Whether feasible points may be hard to find, and none has been looked for."""
        problem = self.problem
        return not self._is_prepared and not self._beside and problem.shape is Shape.GENERAL and bool(problem.functions)

    def _prepare(self) -> None:
        """Solve the linear part of the problem, once, and book where that proves that there is no feasible point."""
        if self._is_prepared or (self.problem.shape is Shape.BOX and self.problem.functions):
            return
        self._is_prepared = True
        relaxation = self._surroundings.relax(self.budget)
        # Beside a point that is feasible within its larger tolerance, HiGHS's verdict says nothing of points like it.
        if relaxation.status is LinearStatus.INFEASIBLE and not self._has_feasible:
            self.budget.stop = Stop.INFEASIBLE
            self._keeper.raise_to(np.inf)
        self._relaxation = relaxation
        self._keeper.take(relaxation)
