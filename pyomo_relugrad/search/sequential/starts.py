"""Where descents of sequential linear programming begin."""

from __future__ import annotations

import numpy as np

from pyomo_relugrad.arrays import Array
from pyomo_relugrad.problem import Problem
from pyomo_relugrad.run import SearchContext
from pyomo_relugrad.search.following import Following
from pyomo_relugrad.search.relaxation import LinearRelaxation
from pyomo_relugrad.search.sequential.elite import Elite
from pyomo_relugrad.search.sequential.integers import integer_descent, integer_neighbours
from pyomo_relugrad.search.sequential.merit import NEARLY_FEASIBLE, Merit
from pyomo_relugrad.search.sequential.penalty_descent import penalty_descent
from pyomo_relugrad.search.sequential.settings import SequentialSettings
from pyomo_relugrad.search.sequential.step_model import column_scale


class Starts:
    """Where descents begin, also near the elite."""

    def __init__(
        self,
        method: SequentialSettings,
        problem: Problem,
        surroundings: LinearRelaxation,
        context: SearchContext,
        elite: Elite,
    ) -> None:
        self._method, self._problem = method, problem
        self._surroundings, self._context = surroundings, context
        self._elite, self._following = elite, Following(problem)
        self._tried: set[bytes] = set()
        for point in context.known:
            elite.learn(point)
        self._decided = ~problem.is_output & (problem.is_input | problem.integers)
        near = [point.values for point in context.near]
        first = (*near,) if context.beside else (context.start, *near, context.relaxed)
        self._queue = [point for point in first if point is not None]

    def next(self, merit: Merit) -> Array:
        """The next start: an (n,) array in the surroundings, with propagated outputs."""
        problem = self._problem
        if not self._queue and self._context.random.random() < self._method.first_order_share:
            self._queue = self._first_order_starts(merit)
        v = self._queue.pop(0) if self._queue else self._draw(merit)
        v = np.clip(v, problem.lower, problem.upper)
        V = self._following.moved(np.where(problem.integers, np.round(v), v)[None, :])
        hard_rows = problem.row_violations(V)[0, ~problem.rows_touch_output]
        if hard_rows.max(initial=0.0) > NEARLY_FEASIBLE:
            nearest = self._surroundings.nearest(V[0], self._decided, self._context.budget)
            V = V if nearest is None else problem.propagate(nearest[None, :])
        return V[0]

    def _first_order_starts(self, merit: Merit) -> list[Array]:
        """The best of a batch of random points after a first-order descent."""
        problem = self._problem
        V = problem.propagate(self._surroundings.random_points(self._method.batch, self._context.random))
        V = penalty_descent(problem, V, merit, column_scale(problem), self._context.budget)
        return list(V[np.argsort(merit.of(problem, V), kind="stable")[: self._method.batch_winners]])

    def _draw(self, merit: Merit) -> Array:
        """The point of smallest merit among some drawn ones whose integer part is new."""
        problem = self._problem
        V = self._following.moved(self._candidates())
        self._context.budget.count(points=len(V))
        for index in np.argsort(merit.of(problem, V), kind="stable"):
            integer_part = V[index, problem.integers].tobytes()
            if integer_part not in self._tried:
                break
        if not problem.integers.any():
            return V[index]
        self._tried.add(integer_part)
        if self._context.random.random() > self._method.integer_descent_share:
            return V[index]
        return integer_descent(problem, self._following, V[index], merit, self._method.neighbours, self._context)

    def _candidates(self) -> Array:
        method, problem, random = self._method, self._problem, self._context.random
        has_integers = bool(problem.integers.any())
        points = self._surroundings.random_points(method.neighbours if has_integers else method.tournament, random)
        if not self._elite.points or random.random() < 0.5:
            return points
        centre = self._elite.points[random.integers(len(self._elite.points))].values
        if has_integers and random.random() < 0.7:
            neighbours = integer_neighbours(problem, self._following, centre, random, method.neighbours)
            if len(neighbours):
                return neighbours
        spread = 10.0 ** random.uniform(-2, 0)
        moved = random.random(points.shape) < random.uniform(0.1, 1.0)
        points = np.where(moved, centre + spread * (points - centre), centre)
        return np.where(problem.integers, np.round(points), points)
