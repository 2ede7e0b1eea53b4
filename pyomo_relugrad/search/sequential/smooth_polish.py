"""A point made locally optimal where functions are smooth: linear programs and Newton steps in shrinking regions."""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import TypeAlias

import numpy as np

from pyomo_relugrad.arrays import Array
from pyomo_relugrad.problem import Incumbent, Problem
from pyomo_relugrad.programs.linearization import Linearization
from pyomo_relugrad.run.budget import Budget
from pyomo_relugrad.search.regions.program import RegionProgram
from pyomo_relugrad.search.regions.walk import walk_regions
from pyomo_relugrad.search.relaxation import LinearRelaxation
from pyomo_relugrad.search.sequential.merit import Merit
from pyomo_relugrad.search.sequential.near_rows import NearRows, restored
from pyomo_relugrad.search.sequential.newton import Face, best_along
from pyomo_relugrad.search.sequential.step_model import StepModel, column_scale

#: Makes a point locally optimal: yields better points, and None after steps that bring none.
Polisher: TypeAlias = Callable[[Array, Budget], Generator[Incumbent | None, None, Incumbent]]

#: First and last trust region of the linear programs, in shares of the columns' ranges.
FIRST_RADIUS, LAST_RADIUS = 0.1, 1e-6
#: Relative gain below which a step counts as none.
LEAST_GAIN = 1e-10
#: Steps of one polish.
MAX_STEPS = 100
#: Points by which the penalties of rows on outputs are scaled, and how large these are.
N_SAMPLES, PENALTY = 64, 30.0


def polisher_of(problem: Problem) -> Polisher:
    """By linear programs over regions where the problem is piecewise linear, else by `SmoothPolish`."""
    if not problem.is_piecewise_linear:
        return SmoothPolish(problem).run
    program = RegionProgram(problem)
    return lambda v, budget: walk_regions(program, v[program.columns], budget)


class SmoothPolish:
    """Goes from points to local optima, on one HiGHS model; integers are held.

    Each step takes the best point along a linear program's step and along Newton's, moved back onto the rows. The
    former finds out which rows are active, the latter makes use of curvature: sequential linear programming with second
    steps under equality constraints (Byrd, Gould, Nocedal, Waltz, 2004).

    Parameters
    ----------
    problem : Problem
    """

    def __init__(self, problem: Problem) -> None:
        self._problem = problem
        self._model = StepModel(problem, Linearization(problem), np.inf, holds_integers=True)
        self._scale = column_scale(problem)
        self._columns = np.flatnonzero(~problem.is_output & ~problem.integers & (problem.lower < problem.upper))
        self._unit = self._scale[self._columns]
        samples = problem.propagate(LinearRelaxation(problem).random_points(N_SAMPLES, np.random.default_rng(0)))
        self._merit = Merit.scaled_to(problem, samples, PENALTY)

    def run(self, v: Array, budget: Budget) -> Generator[Incumbent | None, None, Incumbent]:
        """Yield better points, and None after steps that bring none; returns the last one."""
        problem = self._problem
        start = restored(problem, v, self._columns, self._unit)
        point = problem.incumbent(v if start is None else start)
        yield point
        radius, steps = FIRST_RADIUS, 0
        while point.is_feasible and radius >= LAST_RADIUS and steps < MAX_STEPS and not budget.is_exhausted():
            steps += 1
            before = point.objective
            for find in (self._by_newton, self._by_program):
                values = find(point.values, radius, budget)
                found = None if values is None else problem.incumbent(values)
                if found is not None and found.is_feasible and found.objective < point.objective:
                    point = found
            gain = before - point.objective
            if gain <= LEAST_GAIN * (1.0 + abs(before)):
                radius *= 0.1
            elif gain <= 1e-4 * (1.0 + abs(before)):
                radius *= 0.5
            yield point if gain > 0 else None
        return point

    def _by_newton(self, v: Array, radius: float, budget: Budget) -> Array | None:
        """The best point along steps within what is active."""
        face = Face.at(self._problem, v, self._columns, self._unit)
        if face is None:
            return None
        budget.count(points=1, iterations=0)
        return best_along(self._problem, v, face.rows, face.directions(self._problem, v), max(10 * radius, 1e-3))

    def _by_program(self, v: Array, radius: float, budget: Budget) -> Array | None:
        """The best point along the step of a linear program, moved onto what is active at its end."""
        problem, columns = self._problem, self._columns
        step = self._model.step(v, radius, self._merit, self._scale, budget)
        if step is None or step.is_unbounded:
            return None
        rows = NearRows.at(problem, step.values, columns, self._unit)
        if rows is None or not np.isfinite(rows.jacobian).all():
            return None
        direction = (step.values - v)[columns] / self._unit
        return best_along(problem, v, rows, direction[None], np.inf)
