"""A point made locally optimal where functions are smooth: linear programs and Newton steps in shrinking regions."""

from collections.abc import Callable, Generator, Iterator
from typing import TypeAlias

import numpy as np

from pyomo_relugrad.arrays import Array
from pyomo_relugrad.problem import Incumbent, Problem
from pyomo_relugrad.run import Budget, Past
from pyomo_relugrad.search.regions.program import RegionProgram
from pyomo_relugrad.search.regions.region import Region
from pyomo_relugrad.search.regions.walk import walk_regions
from pyomo_relugrad.search.sequential.last_digits import with_last_digits
from pyomo_relugrad.search.sequential.near_rows import ACTIVE, NearRows, restored
from pyomo_relugrad.search.sequential.newton import Face, best_along
from pyomo_relugrad.search.sequential.step_model import column_scale

#: Makes a point locally optimal: yields better points, and None after steps that bring none.
Polisher: TypeAlias = Callable[[Array, Budget], Generator[Incumbent | None, None, Incumbent]]

#: First, last and largest trust region of the linear programs, in shares of the columns' ranges, and by what it
#: shrinks. Columns without bounds may have to go farther than what counts as their range.
FIRST_RADIUS, LAST_RADIUS, LARGEST_RADIUS, SHRINKAGE = 0.1, 1e-6, 10.0, 0.1
#: Relative gain below which a step counts as none, below which the trust region shrinks a little, and above which it
#: grows.
LEAST_GAIN, SMALL_GAIN, SMALL_SHRINKAGE, LARGE_GAIN, GROWTH = 1e-10, 1e-4, 0.5, 1e-3, 2.0
#: Slack of rows, in trust regions no larger than the first one, that steps within what is active do not cross.
NEARBY = 0.01
#: Longest Newton step, in trust regions.
NEWTON_REACH = 10.0
#: Steps of one polish, and kinks whose far sides one of them looks at.
MAX_STEPS, MAX_CROSSINGS = 100, 8


def polisher_of(problem: Problem, past: Past | None = None) -> Polisher:
    """By linear programs over regions where the problem is piecewise linear, else by `SmoothPolish`.

    What earlier searches of the same model left of such programs is used again, and left to the next one.
    """
    program = None if past is None else past.region_program
    if program is None or program.is_interrupted or program.problem is not problem:
        program = RegionProgram(problem, before=program)
    if past is not None:
        past.region_program = program
    if problem.is_piecewise_linear:
        return lambda v, budget: walk_regions(program, v[program.columns], budget)
    return SmoothPolish(program).run


class SmoothPolish:
    """Goes from points to local optima; integers are held.

    Each step takes the best point along a linear program's step and along Newton's, moved back onto the rows. The
    former finds out which rows and kinks of networks are active, the latter makes use of curvature: sequential linear
    programming with second steps under equality constraints (Byrd, Gould, Nocedal, Waltz, 2004). Where neither is
    better, steps on the far sides of kinks are tried, those first that their multipliers promise most of.
    """

    def __init__(self, program: RegionProgram) -> None:
        problem = self._problem = program.problem
        self._program, self._scale = program, column_scale(problem)
        self._columns = np.flatnonzero(~problem.is_output & ~problem.integers & (problem.lower < problem.upper))
        self._unit = self._scale[self._columns]

    def run(self, v: Array, budget: Budget) -> Generator[Incumbent | None, None, Incumbent]:
        """Yield better points, and None after steps that bring none; returns the last one."""
        problem = self._problem
        start = restored(self._program.objective, v, self._columns, self._unit)
        point = problem.incumbent(v if start is None else start)
        if not point.is_feasible:
            settled = with_last_digits(problem, point.values, self._columns)
            point = point if settled is None else problem.incumbent(settled)
        yield point
        radius = FIRST_RADIUS
        for _ in range(MAX_STEPS):
            if not point.is_feasible or radius < LAST_RADIUS or budget.is_exhausted():
                break
            better = self._better(point, radius, budget)
            gain = 0.0 if better is None else (point.objective - better.objective) / (1.0 + abs(point.objective))
            point = point if better is None else better
            radius = _next(radius, gain)
            yield better
        return point

    def _better(self, point: Incumbent, radius: float, budget: Budget) -> Incumbent | None:
        """The best point that the steps from a point lead to; None where none is better."""
        region = self._program.region_at(point.values[self._program.columns])
        reach = max(ACTIVE, NEARBY * min(radius, FIRST_RADIUS))
        face = Face.at(region, self._columns, self._unit, reach)
        found = [self._by_newton(region, face, radius), self._by_program(region, radius, budget)]
        if all(values is None for values in found) and face is not None:
            found += self._beyond_kinks(region, face, radius, budget)
        points = [self._problem.incumbent(values) for values in found if values is not None]
        points = [better for better in points if better.is_feasible and better.objective < point.objective]
        return min(points, key=lambda better: better.objective, default=None)

    def _by_newton(self, region: Region, face: Face | None, radius: float) -> Array | None:
        """The best point along steps within what is active."""
        if face is None:
            return None
        steps = face.directions(self._problem, region.v)
        return best_along(self._problem, region.v, face.rows.holding(face.held), steps, NEWTON_REACH * radius)

    def _by_program(self, region: Region, radius: float, budget: Budget) -> Array | None:
        """The best point along the step of a linear program, moved onto what is active at its end."""
        reach = radius * self._scale[self._program.columns]
        optimum = self._program.solve(region, budget, reach)
        there = region.moved_to(optimum.u)
        rows = NearRows.at(there, self._columns, self._unit) if np.isfinite(there.v).all() else None
        if rows is None:
            return None
        step = (there.v - region.v)[self._columns] / self._unit
        at_bounds = ((there.v <= self._problem.lower) | (there.v >= self._problem.upper))[self._columns]
        return best_along(self._problem, region.v, rows.holding(at_bounds), step[None], np.inf)

    def _beyond_kinks(self, region: Region, face: Face, radius: float, budget: Budget) -> Iterator[Array]:
        """The first better point on the far side of a kink."""
        for neurons in face.promising(region, budget)[:MAX_CROSSINGS]:
            beyond = region.flipped(neurons)
            values = self._by_newton(beyond, Face.at(beyond, self._columns, self._unit), radius)
            if values is not None:
                yield values
                return


def _next(radius: float, gain: float) -> float:
    """The trust region after a step of a relative gain."""
    if gain > LARGE_GAIN:
        return min(GROWTH * radius, LARGEST_RADIUS)
    return radius * (SHRINKAGE if gain <= LEAST_GAIN else SMALL_SHRINKAGE if gain <= SMALL_GAIN else 1.0)
