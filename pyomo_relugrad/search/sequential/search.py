"""Sequential linear programming in the variables of the surrounding model, from many starts."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from pyomo_relugrad.arrays import Array
from pyomo_relugrad.problem import Incumbent, Problem
from pyomo_relugrad.programs import Linearization, LinearStatus
from pyomo_relugrad.run import Method, SearchContext, between
from pyomo_relugrad.search.following import Following
from pyomo_relugrad.search.relaxation import LinearRelaxation
from pyomo_relugrad.search.sequential.elite import Elite
from pyomo_relugrad.search.sequential.integers import (
    integer_descent,
    integer_neighbours,
    integer_outputs,
    nearest_targets,
    next_targets,
    with_targets,
)
from pyomo_relugrad.search.sequential.interior_point import interior_descent
from pyomo_relugrad.search.sequential.merit import Merit
from pyomo_relugrad.search.sequential.penalty_descent import penalty_descent
from pyomo_relugrad.search.sequential.smooth_polish import Polisher, polisher_of
from pyomo_relugrad.search.sequential.step_model import MAX_NODES, StepModel, column_scale

#: Sum of violations below which a point is handed to the walk over linear regions.
NEARLY_FEASIBLE = 1e-4
#: Descents in vain after which a search is done at the earliest, however soon earlier ones had their best points: with
#: fewer, answers of models solved again were up to 40 % worse.
MIN_PATIENCE = 16
#: Steps of a polish whose gain, so many times, would not reach the best point: then it ends.
RECENT_STEPS, PATIENCE = 5, 10.0
#: Relative gain of a step that does not count in a polish of what is nearly optimal.
LITTLE = 1e-7
#: Shares of a step that are compared at once: a linearization may be good for a short step alone.
SHARES = np.array([1.0, 0.5, 0.25, 0.1, 0.03])
#: By which a trust region grows.
GROWTH = 1.5
#: One in so many descents is by an interior-point method, after the first two of a model without kinks (from initial
#: values and the relaxation): at most; after it failed again and again; and where networks have kinks, which hold it
#: up, and a feasible point is known.
INTERIOR, FAILING_INTERIOR, INTERIOR_AMONG_KINKS = 2, 32, 8
#: Values that integer outputs are given in a descent.
MAX_TARGETS = 5


@dataclass(frozen=True)
class SequentialLp(Method):
    """Trust-region LP or MILP steps in the surrounding variables.

    Each step solves the surrounding model with every network replaced by its affine function at the current point,
    within a trust region on the networks' inputs; rows on outputs may be violated at a penalty. A step counts by an
    exact merit on the true networks. Where a descent ends infeasible, feasibility alone is restored. What is (nearly)
    feasible goes to `walk_regions`, by exact linear programs over regions. Starts: the user's point, the relaxation's
    point, random points, and points near the best ones.

    The classical method for nonlinear programs (Fletcher, Practical Methods of Optimization, section 14.4), here with
    piecewise-linear constraints, for which the final linear program over a region is exact.

    Parameters
    ----------
    patience : int, optional
        The search ends when so many starts in a row have brought nothing better (100); fewer where earlier searches of
        the same model had found their best points after fewer.
    tournament : int, optional
        Random points that compete, by merit, to become one start (16).
    neighbours : int, optional
        The same where there are integers: random points, or neighbours of a good one in its integers (64).
    integer_descent_share : float, optional
        How often a start with integers first goes down along its neighbours in them (0.5).
    first_order_share, batch, batch_winners : float, int and int, optional
        How often starts come from a first-order descent of a batch (0.2), its points (64), how many become starts (6).
    held_share : float, optional
        Share of the descents that keep the integers of their start: many cheap LPs rather than a few MILPs (0.8).
    elite_size, max_steps : int, optional
        Good points kept to restart near them (8); steps of one descent at most (60).
    integer_step_time : float, optional
        Seconds that one mixed-integer step may take (0.3); a good step soon beats the best step later. Where steps
        alone are limited, its nodes are.
    smallest_radius : float, optional
        Trust region, relative to the columns' ranges, at which a descent ends (0.01).
    accepted_share : float, optional
        Share of the predicted gain that a step must bring (0.1).
    initial_penalty : float, optional
        Penalty of a violation, in units of the objective's spread over the largest violation at sampled points (10).
    """

    name = "sequential-lp"
    cooperates = True
    handles_smooth = True

    patience: int = 100
    tournament: int = 16
    neighbours: int = 64
    integer_descent_share: float = between(0.5, 0, 1)
    first_order_share: float = between(0.2, 0, 1)
    batch: int = 64
    batch_winners: int = 6
    held_share: float = between(0.8, 0, 1)
    elite_size: int = 8
    max_steps: int = 60
    integer_step_time: float = 0.3
    smallest_radius: float = 0.01
    accepted_share: float = between(0.1, 0, 1)
    initial_penalty: float = 10.0

    def run(self, problem: Problem, context: SearchContext) -> Iterator[Incumbent | None]:
        """Descend from start after start."""
        yield from self.descents(problem, context, Elite(self.elite_size))

    def descents(self, problem: Problem, context: SearchContext, elite: Elite) -> Iterator[Incumbent | None]:
        """The same, also from near good points that others add."""
        budget = context.budget
        surroundings = LinearRelaxation(problem)
        if not problem.functions and context.relaxation is not None and context.relaxed is not None:
            yield problem.incumbent(context.relaxed)
            if context.relaxation.status is LinearStatus.UNBOUNDED:
                budget.stop_unbounded()
            if problem.quadratic is None or not problem.integers.any() or budget.is_exhausted():
                return
        starts = Starts(self, problem, surroundings, context, elite)
        descent = self.descent(problem, context, surroundings)
        fruitless, number = 0, 0
        patience = max(context.past.begin(self.name, self.patience), min(MIN_PATIENCE, self.patience))
        # Other solves say nothing of how long to go on where no point has been feasible.
        while fruitless < (patience if elite.points else self.patience) and not budget.is_exhausted():
            for offered in context.take_offered():
                elite.learn(offered)
            best_before = elite.best
            for point in descent.run(starts.next(descent.merit), elite.best):
                if point is not None:
                    elite.learn(point)
                yield point
            number, fruitless = number + 1, fruitless + 1
            if _is_lower(elite.best, best_before):
                context.past.note(self.name, number)
                fruitless = 0
        if not elite.points:
            context.past.note(self.name, self.patience)

    def descent(self, problem: Problem, context: SearchContext, surroundings: LinearRelaxation) -> Descent:
        """A descent whose penalties suit the problem's values at random points."""
        samples = problem.propagate(surroundings.random_points(self.batch, context.random))
        return Descent(self, problem, context, Merit.scaled_to(problem, samples, self.initial_penalty))


def while_promising(
    polish: Iterator[Incumbent | None], best: float, recent: int = RECENT_STEPS, patience: float = PATIENCE
) -> Iterator[Incumbent | None]:
    """The points of a polish, as long as the gain of its recent steps, so many times, may bring it to `best`."""
    values = list[float]()
    for point in polish:
        yield point
        values.append(values[-1] if point is None and values else np.inf if point is None else point.objective)
        missing = values[-1] - best
        window = values[-recent:]
        is_behind = len(window) == recent and _is_lower(best, values[-1])
        if is_behind and missing > patience * (window[0] - window[-1]):
            return


def while_gaining(polish: Iterator[Incumbent | None]) -> Iterator[Incumbent | None]:
    """The points of a polish of what is nearly optimal, until a step after the first brings little."""
    before = np.inf
    for number, point in enumerate(polish):
        yield point
        if number and (point is None or not point.objective < before - LITTLE * (1.0 + abs(before))):
            return
        before = np.inf if point is None else point.objective


class InteriorTurns:
    """Which descents of a smooth problem are by an interior-point method."""

    def __init__(self, problem: Problem) -> None:
        self.has_kinks = any(stage.widths for stage in problem.stages)
        self._suits = not problem.is_piecewise_linear and not bool(problem.integers.any())
        self._number, self._next, self._interval = 0, 2 if self.has_kinks else 1, INTERIOR
        self._taken = 0

    def is_next(self, has_point: bool) -> bool:
        """Whether the next descent is one."""
        self._number += 1
        return self._suits and self._number >= self._next and not (self.has_kinks and has_point and self._is_early)

    @property
    def is_first(self) -> bool:
        """Whether the present descent is the first of all."""
        return self._number == 1

    @property
    def barrier(self) -> int:
        """Which barrier the present one has: the usual one from the first two starts, then others in turns."""
        return max(0, self._taken - 1)

    @property
    def _is_early(self) -> bool:
        return self._number % INTERIOR_AMONG_KINKS != 0

    def note(self, is_feasible: bool) -> None:
        """Whether one came to a feasible point: otherwise the next one is later."""
        self._taken += 1
        self._interval = INTERIOR if is_feasible else min(2 * self._interval, FAILING_INTERIOR)
        self._next = self._number + (1 if self.is_first else self._interval)


def _is_lower(objective: float, before: float) -> bool:
    """Whether the best objective fell by more than rounding; the first feasible point counts."""
    return objective < before - (1e-9 * (1.0 + abs(before)) if np.isfinite(before) else 0.0)


class Starts:
    """Where descents begin, also near the elite."""

    def __init__(
        self,
        method: SequentialLp,
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


class Descent:
    """One local search after another on shared HiGHS models.

    The penalties of `merit` grow where they lead to no feasible point.
    """

    def __init__(self, method: SequentialLp, problem: Problem, context: SearchContext, merit: Merit) -> None:
        self._method, self._problem, self._context = method, problem, context
        linearization = Linearization(problem)
        step_time, has_integers = method.integer_step_time, bool(problem.integers.any())
        options = None if context.budget.is_timed else {"mip_max_nodes": MAX_NODES}
        self._model = StepModel(problem, linearization, step_time, integer_options=options)
        self._held_model = StepModel(problem, linearization, step_time, holds_integers=True) if has_integers else None
        self._scale = column_scale(problem)
        self._largest_gain, self._interior = 0.0, InteriorTurns(problem)
        self._is_first = context.past.solves > 1 and context.start is not None
        self._given = context.given
        self.merit = merit

    @cached_property
    def _polish(self) -> Polisher:
        return polisher_of(self._problem)

    def run(self, v: Array, best: float = np.inf) -> Iterator[Incumbent | None]:
        """Yield the points that a descent from `v` comes to, which may be infeasible.

        The walk over regions is spared where the largest gain of any walk so far, three times, would not reach the
        objective `best`.
        """
        if self._aims:
            yield from self._aimed(v, best)
            return
        budget = self._context.budget
        holds_integers = self._held_model is not None and self._context.random.random() < self._method.held_share
        model = self._held_model if holds_integers and self._held_model is not None else self._model
        by_interior = self._interior.is_next(np.isfinite(best))
        if by_interior:
            given = self._given_values(np.isfinite(best))
            v = yield from interior_descent(self._problem, v, budget, given, self._interior.barrier)
            self._interior.note(self._violation(v) <= NEARLY_FEASIBLE)
        else:
            v = yield from self._descend(model, v, self.merit, self._first_radius())
        if not by_interior and self._violation(v) > NEARLY_FEASIBLE and not budget.is_exhausted():
            v = yield from self._descend(model, v, self.merit.restoring, self._first_radius())
            if self._violation(v) <= NEARLY_FEASIBLE:
                # Feasible points exist where the penalty did not lead: it was too small.
                self.merit = self.merit.sharpened(3.0)
                v = yield from self._descend(model, v, self.merit, self._first_radius())
            elif holds_integers and not np.isfinite(best):
                # Starts are chosen by merit: these integers looked better than such as leave room to be feasible.
                self.merit = self.merit.sharpened(3.0)
        point = self._problem.incumbent(v)
        yield point
        hopeless = point.is_feasible and point.objective - 3.0 * self._largest_gain > best
        is_far = self._problem.is_piecewise_linear and self._violation(v) > NEARLY_FEASIBLE
        if is_far or hopeless or budget.is_exhausted():
            return
        polish: Iterator[Incumbent | None] = self._polish(point.values, budget)
        if by_interior and not self._interior.has_kinks:
            polish = while_gaining(polish)
        for better in polish if self._problem.is_piecewise_linear else while_promising(polish, best):
            yield better
            if point.is_feasible and better is not None and better.is_feasible:
                self._largest_gain = max(self._largest_gain, point.objective - better.objective)

    def _given_values(self, has_point: bool) -> Array | None:
        """Where the next interior-point descent begins, once: the second one where the start itself is feasible."""
        if has_point and self._interior.is_first:
            return None
        given, self._given = self._given, None
        return given

    @property
    def _aims(self) -> bool:
        """Whether integer outputs get values now: no step that holds or rounds them leads to any."""
        has_integer_outputs = integer_outputs(self._problem).size > 0
        return has_integer_outputs and self._context.random.random() < self._method.held_share

    def _aimed(self, v: Array, best: float) -> Iterator[Incumbent | None]:
        """Descents with values for the integer outputs: the nearest, then others where these were missed."""
        method, problem = replace(self._method, held_share=1.0), self._problem
        targets = nearest_targets(problem, v)
        for _ in range(MAX_TARGETS):
            aimed = with_targets(problem, targets)
            for point in Descent(method, aimed, self._context, self.merit).run(v, best):
                v = v if point is None else point.values
                yield None if point is None else problem.incumbent(point.values)
            before, targets = targets, next_targets(problem, v, targets)
            if self._context.budget.is_exhausted() or (before == targets).all():
                return

    def _violation(self, v: Array) -> float:
        return float(self._problem.violation(v[None, :])[0])

    def settle(self, v: Array, target: float) -> Generator[None, None, Array]:
        """The point where steps from `v` end that hold its integers; the first one goes as far as it may.

        They end early where what the second or a later one promises is not below a merit `target`.
        """
        return self._descend(self._held_model or self._model, v, self.merit, 1.0, target)

    def _first_radius(self) -> float:
        """Random; from the start of a model that was solved before about that of the last step then."""
        if self._is_first:
            self._is_first = False
            return min(GROWTH * self._context.past.radius, 1.0)
        return float(10.0 ** self._context.random.uniform(-1.0, 0.0))

    def _descend(
        self, model: StepModel, v: Array, merit: Merit, radius: float, target: float = np.inf
    ) -> Generator[None, None, Array]:
        """Trust-region steps, with a sign of life after each, until the region is small or no gain is predicted."""
        method, problem, budget = self._method, self._problem, self._context.budget
        value, smallest = float(merit.of(problem, v[None, :])[0]), min(method.smallest_radius, 0.1 * radius)
        for number in range(method.max_steps):
            if budget.is_exhausted() or radius < smallest:
                break
            step = model.step(v, radius, merit, self._scale, budget)
            yield None
            if step is None:
                break
            if step.is_unbounded:
                return step.values
            predicted = value - step.predicted
            share, trial, trial_value = self._along(v, step.values, merit)
            if predicted <= 1e-9 * (1.0 + abs(value)) or (number > 0 and step.predicted >= target):
                break
            if value - trial_value <= method.accepted_share * share * predicted and self._has_linear_columns:
                trial, trial_value = self._corrected(model, trial, trial_value, merit)
                yield None
            gained = value - trial_value
            if gained > method.accepted_share * share * predicted:
                v, value = trial, value - gained
                radius *= share
                self._context.past.radius = radius
                radius = min(GROWTH * radius, 1.0) if gained > 0.5 * share * predicted else radius
            else:
                radius *= 0.3
        return v

    def _corrected(self, model: StepModel, trial: Array, value: float, merit: Merit) -> tuple[Array, float]:
        """A trial point with the best values of what functions do not read, and the merit there.

        Steps along tangents violate curved rows, by which such columns are bounded, to the second order; penalties
        then outweigh all but tiny gains.
        """
        step = model.step(trial, 0.0, merit, self._scale, self._context.budget)
        corrected = np.inf if step is None else float(merit.of(self._problem, step.values[None])[0])
        return (trial, value) if step is None or corrected >= value else (step.values, corrected)

    @cached_property
    def _has_linear_columns(self) -> bool:
        """Whether there are smooth functions, and continuous columns that none reads or writes."""
        problem = self._problem
        linear = ~problem.is_output & ~problem.is_input & ~problem.integers & (problem.lower < problem.upper)
        return not problem.is_piecewise_linear and bool(linear.any())

    def _along(self, v: Array, trial: Array, merit: Merit) -> tuple[float, Array, float]:
        """The best of several shares of a step from `v`, where it leads, and the merit there."""
        problem = self._problem
        # A part of a step seldom meets integers, or the rows on smooth functions that its end meets.
        is_plain = problem.is_piecewise_linear and not problem.integers.any()
        shares = SHARES if is_plain else SHARES[:1]
        V = problem.completed(v + shares[:, None] * (trial - v))
        values = merit.of(problem, V)
        best = int(values.argmin())
        return float(shares[best]), V[best], float(values[best])
