"""The points that are tried before any method runs: the start, trivial ones, and what is completed or dived to."""

from collections.abc import Iterator
from contextlib import suppress

import numpy as np

from pyomo_relugrad.arrays import Array
from pyomo_relugrad.deadline import OutOfTime
from pyomo_relugrad.problem import Incumbent, Problem
from pyomo_relugrad.run import Budget, SearchContext
from pyomo_relugrad.search.completion import Completion
from pyomo_relugrad.search.neighbourhoods.dive import dives
from pyomo_relugrad.search.relaxation import LinearRelaxation


class FirstPoints:
    """Tries points in stages, cheap ones first. The stages are run in the order in which they stand here.

    Parameters
    ----------
    problem : Problem
    surroundings : LinearRelaxation
    budget : Budget
    start : (n,) array, optional
        A warm start, NaN where a column has no value. After `completed_start` it is completed.
    """

    def __init__(
        self, problem: Problem, surroundings: LinearRelaxation, budget: Budget, start: Array | None = None
    ) -> None:
        self._problem = problem
        self._completion = Completion(problem, surroundings, budget)
        self._tried, self._dived = list[Incumbent](), list[Incumbent]()
        self._targets = list[Array]()
        self.start = start
        #: Whether the start gives a feasible point, without a program being solved.
        self.is_started = False

    @property
    def known(self) -> tuple[Incumbent, ...]:
        """Those that are feasible."""
        return tuple(point for point in self._tried if point.is_feasible)

    @property
    def near(self) -> tuple[Incumbent, ...]:
        """Where none is feasible: points that only networks keep from being it."""
        return () if self.known else tuple(self._dived)

    def given(self) -> Iterator[Incumbent]:
        """The start as it is, or with the states that its decisions lead to, where it leaves nothing to be chosen."""
        start, problem = self.start, self._problem
        if start is None:
            return
        if not np.isnan(start[~problem.is_output]).any():
            point = problem.incumbent(self._completion.with_slacks(start))
            yield point
            if point.is_feasible and self._completion.is_whole(start):
                self._tried.append(point)
        if not self._tried and self._completion.is_decided(start):
            with suppress(OutOfTime):
                self._tried.append(problem.incumbent(self._completion.start(start, None)))
            yield from self._tried
        self.is_started = bool(self.known)

    def trivial(self) -> Iterator[Incumbent]:
        """Every column at zero or at a bound: for problems whose feasible points may be hard to find."""
        self._targets = trivial_targets(self._problem)
        yield from map(self._try, self._targets)

    def completed(self, relaxed: Array | None) -> Iterator[Incumbent]:
        """The relaxation's point (n,), where trivial ones were tried, and the start with what it lacks."""
        if self._targets and relaxed is not None:
            yield self._try(relaxed)
            self._targets.append(relaxed)
        if self.start is None:
            return
        if self.is_started:
            self.start = self._tried[0].values
            return
        completed = list[Incumbent]()
        for values in self._completion.starts(self.start, relaxed):
            completed.append(self._try(values))
            yield completed[-1]
            if completed[-1].is_feasible:
                break
        self.start = completed[-1 if completed[-1].is_feasible else 0].values

    def repaired(self, context: SearchContext) -> Iterator[Incumbent]:
        """Where trivial points were tried and none is feasible: ends of dives, then what is nearest to those points."""
        if self._targets and not self.known:
            for point in dives(self._problem, context):
                self._dived.append(point)
                yield point
                if point.is_feasible:
                    break
            self._tried += self._dived
        for target in self._targets:
            if self.known:
                break
            yield self._try(self._completion.nearest(target))

    def _try(self, values: Array) -> Incumbent:
        self._tried.append(self._problem.incumbent(values))
        return self._tried[-1]


def trivial_targets(problem: Problem) -> list[Array]:
    """Points (n,) that often are feasible, or nearly: every column at zero, at its lower bound, at its upper bound."""
    zero = np.clip(0.0, problem.lower, problem.upper)
    return [zero, *(np.where(np.isfinite(side), side, zero) for side in (problem.lower, problem.upper))]
