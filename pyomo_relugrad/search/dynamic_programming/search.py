"""Iterative dynamic programming: sweeps over decisions all over their ranges, then ever closer to the best ones."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from pyomo_relugrad.arrays import Array
from pyomo_relugrad.problem import Incumbent, Problem
from pyomo_relugrad.run import Method, SearchContext, between
from pyomo_relugrad.search.dynamic_programming.stages import HorizonStage, stages_in_order
from pyomo_relugrad.search.dynamic_programming.sweep import Sweeps
from pyomo_relugrad.search.relaxation import LinearRelaxation
from pyomo_relugrad.search.sequential.descent import Descent
from pyomo_relugrad.search.sequential.merit import Merit
from pyomo_relugrad.search.sequential.search import SequentialLp

#: Gain, relative to 1 + |merit|, that counts.
GAIN = 1e-7


#: Cycles in vain of a search of which nothing is known.
MAX_CYCLES = 1_000_000


@dataclass(frozen=True)
class DynamicProgramming(Method):
    """Decisions stage by stage, for horizons and chains of networks.

    A sweep goes through the stages once and puts the decisions of many points together (`Sweeps`). A cycle begins with
    sweeps over points all over the columns' ranges and goes on with sweeps over points ever closer to the best one; a
    descent of sequential linear programming from there ends at a vertex of a linear region. Every other cycle begins
    anew, without the points known before. A cycle that brings nothing is followed by one with twice as many points.

    After Luus, "Optimal control by dynamic programming using systematic reduction in grid size" (International Journal
    of Control 51, 1990), with states that are reached instead of a grid of them.

    Parameters
    ----------
    first_points : int, optional
        Points of a sweep before all others: an answer in the shortest time (8).
    points : int, optional
        Points of the first cycle's sweeps (32).
    max_points : int, optional
        Points of any cycle's (128).
    states : int, optional
        States that are kept after a stage (64).
    work : float, optional
        Multiplications of a sweep in the first cycle, above which fewer states are kept (1e9).
    wide_sweeps : int, optional
        Sweeps of a cycle over the whole ranges (2).
    spreads : tuple of float, optional
        Distances from the best point in the sweeps after those, in shares of the columns' ranges (0.1 to 0.001).
    near_share : float, optional
        Share of the points that is near the best one in these (0.75).
    flipped_share : float, optional
        How often such a point changes an integer (0.1).
    elite_size : int, optional
        Ends of cycles whose decisions take part in every other one (8).
    patience : int, optional
        Cycles of the most points that end the search when they bring nothing (4); fewer cycles where earlier searches
        of the same model had found their best points after fewer.
    sequential : SequentialLp, optional
        The descents.
    """

    name = "dynamic-programming"

    first_points: int = 12
    points: int = 32
    max_points: int = 128
    states: int = 64
    work: float = 1e9
    wide_sweeps: int = 2
    spreads: tuple[float, ...] = (0.1, 0.05, 0.02, 0.01, 0.005, 0.002, 0.001)
    near_share: float = between(0.75, 0, 1)
    flipped_share: float = between(0.1, 0, 1)
    elite_size: int = 8
    patience: int = 4
    sequential: SequentialLp = SequentialLp()

    def run(self, problem: Problem, context: SearchContext) -> Iterator[Incumbent | None]:
        """Search where the problem has stages; yield nothing where it has none."""
        stages = stages_in_order(problem)
        if stages:
            yield from self.search(problem, stages, context)

    def search(
        self, problem: Problem, stages: tuple[HorizonStage, ...], context: SearchContext
    ) -> Iterator[Incumbent | None]:
        """Run cycles until several in a row have brought nothing."""
        return _Search(self, problem, stages, context).run()


class _Search:
    """The state of one search: its best point by merit, and how many points the next cycle takes."""

    def __init__(
        self, method: DynamicProgramming, problem: Problem, stages: tuple[HorizonStage, ...], context: SearchContext
    ) -> None:
        self._method, self._problem, self._context = method, problem, context
        self._surroundings = LinearRelaxation(problem)
        samples = problem.propagate(self._surroundings.random_points(method.sequential.batch, context.random))
        self._merit = Merit.scaled_to(problem, samples, method.sequential.initial_penalty)
        work = method.points * sum(stage.network.network.n_weights for stage in stages)
        states = int(np.clip(method.work / work, 1, method.states))
        self._sweeps = Sweeps(problem, stages, self._surroundings.lower, self._surroundings.upper, states)
        self._is_first = True
        self._known = [point.values for point in context.known]
        if context.start is not None:
            self._known.append(problem.propagate(context.start[None])[0])

    def run(self) -> Iterator[Incumbent | None]:
        """Yield the points of all sweeps and descents."""
        method, budget = self._method, self._context.budget
        best, best_objective = self._best(self._known), np.inf
        n_points, fruitless, cycles, record = method.points, 0, 0, 0
        past = self._context.past
        longest = past.begin(method.name, MAX_CYCLES)
        descent: Descent | None = None
        while fruitless < method.patience and cycles - record <= longest and not budget.is_exhausted():
            before = self._value(best)
            found = list[Array]()
            for v in self._cycle(n_points, self._known if cycles % 2 == 0 else []):
                found.append(v)
                yield self._problem.incumbent(v)
            last = self._best(found)
            if last is None or budget.is_exhausted():
                return
            descent = descent or Descent(method.sequential, self._problem, self._context, self._merit)
            for point in descent.run(last, best_objective):
                if point is not None:
                    found.append(point.values)
                    best_objective = min(best_objective, point.objective if point.is_feasible else np.inf)
                yield point
            self._known = sorted([*self._known, min(found, key=self._value)], key=self._value)[: method.elite_size]
            best, cycles = self._known[0], cycles + 1
            if self._value(best) < before - (GAIN * (1.0 + abs(before)) if np.isfinite(before) else 0.0):
                fruitless, record = 0, cycles
                past.note(method.name, cycles - 1)
            else:
                fruitless += n_points == method.max_points
                n_points = min(2 * n_points, method.max_points)

    def _cycle(self, n_points: int, known: Sequence[Array]) -> Iterator[Array]:
        """Yield the point (n,) of each sweep."""
        method, context = self._method, self._context
        best = self._best(known)
        quick = [np.inf if best is None else spread for spread in method.spreads[:2]] if self._is_first else []
        sweeps = (*quick, *[np.inf] * method.wide_sweeps, *method.spreads)
        self._is_first = False
        for index, spread in enumerate(sweeps):
            count = method.first_points if index < len(quick) else n_points
            points = self._points(count, [] if best is None else [best, *known], spread)
            v = self._sweeps.recombine(points, self._merit, context.random, context.budget)
            if v is None:
                return
            best = self._best([v] if best is None else [best, v])
            yield v

    def _points(self, count: int, good: Sequence[Array], spread: float) -> Array:
        """Points spread evenly over the columns' ranges, but for the good ones and those near the first of them."""
        method, random = self._method, self._context.random
        points = self._surroundings.stratified_points(count, random)
        if not good:
            return points
        if np.isfinite(spread):
            near = int(method.near_share * count)
            steps = spread * np.ptp(points, axis=0) * random.standard_normal((near, good[0].size))
            flipped = random.random(steps.shape) < method.flipped_share
            changed = np.where(flipped, points[:near], good[0])
            points[:near] = np.where(self._problem.integers, changed, good[0] + steps)
        points[: len(good)] = good[:count]
        return points

    def _value(self, v: Array | None) -> float:
        return np.inf if v is None else float(self._merit.of(self._problem, v[None])[0])

    def _best(self, points: Sequence[Array]) -> Array | None:
        return min(points, key=self._value, default=None)
