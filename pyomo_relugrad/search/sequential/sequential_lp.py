"""Sequential linear programming in the variables of the surrounding model, from many starts."""

from __future__ import annotations

from collections.abc import Generator, Iterator

import numpy as np

from pyomo_relugrad.arrays import Array
from pyomo_relugrad.problem import Incumbent, Problem
from pyomo_relugrad.programs.linear_program import LinearStatus
from pyomo_relugrad.programs.linearization import Linearization
from pyomo_relugrad.run.context import SearchContext
from pyomo_relugrad.search.dynamic_programming.iterative import IterativeDynamicProgramming
from pyomo_relugrad.search.regions.program import RegionProgram
from pyomo_relugrad.search.regions.walk import walk_regions
from pyomo_relugrad.search.relaxation import Surroundings
from pyomo_relugrad.search.sequential.integer_moves import NEIGHBOURS, integer_descent, integer_neighbours
from pyomo_relugrad.search.sequential.merit import Merit
from pyomo_relugrad.search.sequential.penalty_descent import penalty_descent
from pyomo_relugrad.search.sequential.step_model import StepModel

#: The search ends when so many starts in a row have brought nothing better.
PATIENCE = 100
#: Random points that compete, by merit, to become one start.
TOURNAMENT = 16
#: How often a start with integers first goes down along its neighbours in them.
INTEGER_DESCENT_SHARE = 0.5
#: How often a start is looked for by a first-order descent of a batch rather than by drawing alone.
FIRST_ORDER_SHARE = 0.2
#: How often a start comes from dynamic programming, in problems that fall into stages.
STAGEWISE_SHARE = 0.5
#: Points that descend together to first order, and how many of them become starts.
BATCH, BATCH_WINNERS = 64, 6
#: Share of the descents that keep the integers of their start: many cheap LPs rather than a few MILPs.
HELD_SHARE = 0.8
#: Good points kept to restart near them.
ELITE_SIZE = 8
#: Steps of one descent at most.
MAXIMAL_STEPS = 60
#: Trust region, relative to the columns' ranges, at which a descent ends.
SMALLEST_RADIUS = 1e-2
#: Share of the predicted gain that a step must bring.
ACCEPTED_SHARE = 0.1
#: Sum of violations below which a point is handed to the walk over linear regions.
NEARLY_FEASIBLE = 1e-4


def sequential_lp(problem: Problem, context: SearchContext) -> Iterator[Incumbent | None]:
    """Trust-region LP (or MILP, or QP) steps on linearized networks, then exact linear programs over linear regions.

    Each step solves the surrounding model with every network replaced by its affine function at the current point,
    within a trust region on the networks' inputs; rows on outputs may be violated at a penalty. A step counts by an
    exact merit on the true networks. Where a descent ends infeasible, feasibility alone is restored. What is (nearly)
    feasible goes to `walk_regions`. Starts: the user's point, the relaxation's point, random points, and points near
    the best ones.

    The classical method for nonlinear programs (Fletcher, Practical Methods of Optimization, section 14.4), here with
    piecewise-linear constraints, for which the final linear program over a region is exact.
    """
    budget = context.budget
    surroundings = Surroundings(problem)
    relaxed = None if context.relaxation is None else context.relaxation.values
    if not problem.networks and context.relaxation is not None and relaxed is not None:
        yield problem.incumbent(relaxed)
        if context.relaxation.status is LinearStatus.UNBOUNDED:
            budget.stop_unbounded()
        if problem.quadratic is None or not problem.integers.any() or budget.is_exhausted():
            return
    starts = Starts(problem, surroundings, context, relaxed)
    samples = problem.propagate(surroundings.random_points(BATCH, context.random))
    descent = Descent(problem, context, Merit.scaled_to(problem, samples))
    fruitless = 0
    while fruitless < PATIENCE and not budget.is_exhausted():
        best_before = starts.best
        for v in starts.stage_by_stage(descent.merit):
            yield starts.learn(problem.incumbent(v))
        for point in descent.run(starts.next(descent.merit), starts.best):
            if point is not None:
                starts.learn(point)
            yield point
        fruitless = 0 if _is_lower(starts.best, best_before) else fruitless + 1


def _is_lower(objective: float, before: float) -> bool:
    """Whether the best objective fell by more than rounding; the first feasible point counts."""
    return objective < before - (1e-9 * (1.0 + abs(before)) if np.isfinite(before) else 0.0)


class Starts:
    """Where descents begin, and the good points that they found.

    Parameters
    ----------
    problem : Problem
    surroundings : Surroundings
    context : SearchContext
    relaxed : (n,) array or None
        The solution of the surroundings.
    """

    def __init__(
        self, problem: Problem, surroundings: Surroundings, context: SearchContext, relaxed: Array | None
    ) -> None:
        self._problem = problem
        self._surroundings = surroundings
        self._context = context
        self._elite: list[Incumbent] = []
        self._tried: set[bytes] = set()
        for point in context.known:
            self.learn(point)
        self._stages = IterativeDynamicProgramming.of(problem, surroundings)
        self._decided = ~problem.is_output & (problem.is_network_input | problem.integers)
        self._queue = [] if relaxed is None else [relaxed]
        if context.start is not None:
            self._queue.insert(0, context.start)

    @property
    def best(self) -> float:
        """Objective of the best feasible point so far, infinite before there is one."""
        return self._elite[0].objective if self._elite else np.inf

    def learn(self, point: Incumbent) -> Incumbent:
        """Remember the point if it is feasible, and return it."""
        if point.is_feasible and all(point.objective != other.objective for other in self._elite):
            self._elite = sorted([*self._elite, point], key=lambda member: member.objective)[:ELITE_SIZE]
        return point

    def stage_by_stage(self, merit: Merit) -> Iterator[Array]:
        """Yield points (n,) that dynamic programming comes to; the last and best one becomes the next start."""
        stages, context = self._stages, self._context
        if stages is None or (self._elite and context.random.random() > STAGEWISE_SHARE):
            return
        known = [*(point.values for point in self._elite), *self._problem.propagate(np.array(self._queue[:1]).reshape(-1, self._problem.n_columns))]
        best = np.inf
        for v in stages.cycle(known, merit, context.random, context.budget):
            if merit.of(self._problem, v[None])[0] < best:
                best, start = merit.of(self._problem, v[None])[0], v
            yield v
        if np.isfinite(best):
            self._queue.insert(0, start)

    def next(self, merit: Merit) -> Array:
        """The next start: an (n,) array in the surroundings, with propagated outputs."""
        problem = self._problem
        if not self._queue and self._context.random.random() < FIRST_ORDER_SHARE:
            self._queue = self._first_order_starts(merit)
        v = self._queue.pop(0) if self._queue else self._draw(merit)
        v = np.clip(v, problem.lower, problem.upper)
        V = problem.propagate(np.where(problem.integers, np.round(v), v)[None, :])
        hard_rows = problem.row_violations(V)[0, ~problem.rows_touch_output]
        if hard_rows.max(initial=0.0) > NEARLY_FEASIBLE:
            nearest = self._surroundings.nearest(V[0], self._decided, self._context.budget)
            V = V if nearest is None else problem.propagate(nearest[None, :])
        return V[0]

    def _first_order_starts(self, merit: Merit) -> list[Array]:
        """The best of a batch of random points after a first-order descent."""
        problem = self._problem
        V = problem.propagate(self._surroundings.random_points(BATCH, self._context.random))
        V = penalty_descent(problem, V, merit, column_scale(problem), self._context.budget)
        return list(V[np.argsort(merit.of(problem, V), kind="stable")[:BATCH_WINNERS]])

    def _draw(self, merit: Merit) -> Array:
        """The point of smallest merit among some drawn ones whose integer part is new."""
        problem = self._problem
        V = problem.propagate(self._candidates())
        self._context.budget.count(points=len(V))
        for index in np.argsort(merit.of(problem, V), kind="stable"):
            integer_part = V[index, problem.integers].tobytes()
            if integer_part not in self._tried:
                break
        if not problem.integers.any():
            return V[index]
        self._tried.add(integer_part)
        if self._context.random.random() > INTEGER_DESCENT_SHARE:
            return V[index]
        return integer_descent(problem, V[index], merit, self._context.random, self._context.budget)

    def _candidates(self) -> Array:
        problem, random = self._problem, self._context.random
        has_integers = bool(problem.integers.any())
        points = self._surroundings.random_points(NEIGHBOURS if has_integers else TOURNAMENT, random)
        if not self._elite or random.random() < 0.5:
            return points
        centre = self._elite[random.integers(len(self._elite))].values
        if has_integers and random.random() < 0.7:
            neighbours = integer_neighbours(problem, centre, random, NEIGHBOURS)
            if len(neighbours):
                return neighbours
        spread = 10.0 ** random.uniform(-2, 0)
        moved = random.random(points.shape) < random.uniform(0.1, 1.0)
        points = np.where(moved, centre + spread * (points - centre), centre)
        return np.where(problem.integers, np.round(points), points)


class Descent:
    """One local search after another on shared HiGHS models.

    Parameters
    ----------
    problem : Problem
    context : SearchContext
    merit : Merit
        Its penalties grow where they lead to no feasible point.
    """

    def __init__(self, problem: Problem, context: SearchContext, merit: Merit) -> None:
        self._problem = problem
        self._context = context
        linearization = Linearization(problem)
        self._model = StepModel(problem, linearization)
        self._held_model = StepModel(problem, linearization, holds_integers=True) if problem.integers.any() else None
        self._program = RegionProgram(problem)
        self._scale = column_scale(problem)
        self._largest_gain = 0.0
        self.merit = merit

    def run(self, v: Array, best: float = np.inf) -> Iterator[Incumbent | None]:
        """Yield the points that a descent from `v` comes to, which may be infeasible.

        The walk over regions is spared where the largest gain of any walk so far, three times, would not reach the
        objective `best`.
        """
        budget = self._context.budget
        holds_integers = self._held_model is not None and self._context.random.random() < HELD_SHARE
        model = self._held_model if holds_integers and self._held_model is not None else self._model
        v = yield from self._descend(model, v, self.merit)
        if self._violation(v) > NEARLY_FEASIBLE and not budget.is_exhausted():
            v = yield from self._descend(model, v, self.merit.restoring)
            if self._violation(v) <= NEARLY_FEASIBLE:
                # Feasible points exist where the penalty did not lead: it was too small.
                self.merit = self.merit.sharpened(3.0)
                v = yield from self._descend(model, v, self.merit)
        point = self._problem.incumbent(v)
        yield point
        hopeless = point.is_feasible and point.objective - 3.0 * self._largest_gain > best
        if self._violation(v) > NEARLY_FEASIBLE or hopeless or budget.is_exhausted():
            return
        for better in walk_regions(self._program, point.values[self._program.columns], budget):
            yield better
            if point.is_feasible and better is not None:
                self._largest_gain = max(self._largest_gain, point.objective - better.objective)

    def _violation(self, v: Array) -> float:
        return float(self._problem.violation(v[None, :])[0])

    def _descend(self, model: StepModel, v: Array, merit: Merit) -> Generator[None, None, Array]:
        """Trust-region steps, with a sign of life after each, until the region is small or no gain is predicted."""
        problem, budget = self._problem, self._context.budget
        radius = 10.0 ** self._context.random.uniform(-1.0, 0.0)
        value = float(merit.of(problem, v[None, :])[0])
        for _ in range(MAXIMAL_STEPS):
            if budget.is_exhausted() or radius < SMALLEST_RADIUS:
                break
            step = model.step(v, radius, merit, self._scale, budget)
            yield None
            if step is None:
                break
            trial, predicted = step.values, value - step.predicted
            gained = value - float(merit.of(problem, trial[None, :])[0])
            if step.is_unbounded:
                return trial
            if predicted <= 1e-9 * (1.0 + abs(value)):
                break
            if gained > ACCEPTED_SHARE * predicted:
                v, value = trial, value - gained
                radius = min(1.5 * radius, 1.0) if gained > 0.5 * predicted else radius
            else:
                radius *= 0.3
        return v


def column_scale(problem: Problem) -> Array:
    """(n,) typical ranges of the columns: the distance of the bounds, 2 where one is infinite."""
    ranges = problem.upper - problem.lower
    return np.where(np.isfinite(ranges), ranges, 2.0)
