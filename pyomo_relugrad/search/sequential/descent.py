"""Descents by trust-region steps, restoration and polish, one after another on shared HiGHS models."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from dataclasses import replace
from functools import cached_property

import numpy as np

from pyomo_relugrad.arrays import Array
from pyomo_relugrad.problem import Incumbent, Problem
from pyomo_relugrad.programs import Linearization
from pyomo_relugrad.run import SearchContext
from pyomo_relugrad.search.sequential.integers import (
    integer_outputs,
    nearest_targets,
    next_targets,
    with_targets,
)
from pyomo_relugrad.search.sequential.interior_point import interior_descent
from pyomo_relugrad.search.sequential.interior_turns import InteriorTurns
from pyomo_relugrad.search.sequential.merit import NEARLY_FEASIBLE, Merit
from pyomo_relugrad.search.sequential.polish_ends import while_gaining, while_promising
from pyomo_relugrad.search.sequential.settings import SequentialSettings
from pyomo_relugrad.search.sequential.smooth_polish import Polisher, polisher_of
from pyomo_relugrad.search.sequential.step_model import MAX_NODES, StepModel, column_scale

#: Shares of a step that are compared at once: a linearization may be good for a short step alone.
SHARES = np.array([1.0, 0.5, 0.25, 0.1, 0.03])
#: By which a trust region grows.
GROWTH = 1.5
#: Values that integer outputs are given in a descent.
MAX_TARGETS = 5


class Descent:
    """One local search after another on shared HiGHS models.

    The penalties of `merit` grow where they lead to no feasible point.
    """

    def __init__(self, method: SequentialSettings, problem: Problem, context: SearchContext, merit: Merit) -> None:
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
