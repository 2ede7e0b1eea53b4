"""Sequential quadratic programming in the columns that move, on a chain that is rounded off."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from pyomo_relugrad.arrays import Array
from pyomo_relugrad.problem import Problem
from pyomo_relugrad.programs import dense_quadratic_minimum
from pyomo_relugrad.run import Budget
from pyomo_relugrad.search.sequential.merit import Merit
from pyomo_relugrad.search.smoothing.chain import Chain, QuadraticModel

#: Shares of a step that are compared at once.
SHARES = np.array([1.0, 0.5, 0.25, 0.1, 0.03, 0.01])
#: Curvature, relative to the largest, that every direction has at least.
LEAST_CURVATURE = 1e-8
#: Gain, relative to 1 + |merit|, below which a descent ends.
LEAST_GAIN = 1e-7
#: Programs of one step; each adds the rows on states that the one before violated.
MAX_PROGRAMS = 4
#: Violation of a row up to which a program's point is taken.
ROW_TOLERANCE = 1e-9


class ChainDescent:
    """Steps by quadratic programs over the moving columns; states follow from them.

    Parameters
    ----------
    problem : Problem
    moving : (d,) int array
    merit : Merit
        What a step must lower.
    budget : Budget
    """

    def __init__(self, problem: Problem, moving: Array, merit: Merit, budget: Budget) -> None:
        self._problem, self._moving, self._merit, self._budget = problem, moving, merit, budget
        self._hard = np.flatnonzero(~problem.rows_touch_output)
        self._elastic = np.flatnonzero(problem.rows_touch_output)
        self._rows = problem.rows[self._hard][:, moving].toarray()
        self._elastic_rows = problem.rows[self._elastic].toarray()
        self._bounded = np.flatnonzero(problem.is_output & (np.isfinite(problem.lower) | np.isfinite(problem.upper)))

    def run(self, chain: Chain, v: Array) -> Iterator[Array]:
        """Yield the point (n,) after each step from a point, until none lowers the merit much."""
        problem, moving = self._problem, self._moving
        (v,) = chain.propagate(v[None])
        value = self._values(v[None])[0]
        while not self._budget.is_exhausted():
            step = self._step(chain.model(v), v)
            self._budget.count(points=SHARES.size)
            if step is None:
                return
            V = np.repeat(v[None], SHARES.size, axis=0)
            moved = V[:, moving] + SHARES[:, None] * step
            V[:, moving] = np.clip(moved, problem.lower[moving], problem.upper[moving])
            V = chain.propagate(V)
            values = self._values(V)
            best = int(values.argmin())
            gain = value - values[best]
            if gain > 0:
                v, value = V[best], values[best]
                yield v
            if not gain > LEAST_GAIN * (1.0 + abs(value)):
                return

    def _values(self, V: Array) -> Array:
        return self._merit.of(self._problem, V)

    def _step(self, model: QuadraticModel, v: Array) -> Array | None:
        """The step (d,) to the model's minimum within bounds and linearized rows; None where none is found."""
        hessian = model.hessian + LEAST_CURVATURE * _scale(model) * np.eye(self._moving.size)
        rows, upper = self._plain_sides(v)
        more, limits = self._state_sides(v, model.slopes)
        for _ in range(MAX_PROGRAMS):
            step = dense_quadratic_minimum(hessian, model.gradient, rows, upper)
            if step is None or not len(more):
                return step
            crossed = more @ step > limits + ROW_TOLERANCE
            if not crossed.any():
                return step
            rows, upper = np.concatenate([rows, more[crossed]]), np.concatenate([upper, limits[crossed]])
            more, limits = more[~crossed], limits[~crossed]
        return step

    def _plain_sides(self, v: Array) -> tuple[Array, Array]:
        """Bounds of the moving columns, and rows without outputs, as ``rows @ step <= upper``."""
        problem, moving = self._problem, self._moving
        identity = np.eye(moving.size)
        rows = np.concatenate([identity, self._rows])
        activity = np.concatenate([v[moving], problem.row_activity(v[None])[0, self._hard]])
        lower = np.concatenate([problem.lower[moving], problem.row_lower[self._hard]])
        upper = np.concatenate([problem.upper[moving], problem.row_upper[self._hard]])
        return _one_sided(rows, activity, lower, upper)

    def _state_sides(self, v: Array, slopes: Array) -> tuple[Array, Array]:
        """Bounds of outputs and rows on them, linearized, in the same form."""
        problem, bounded, elastic = self._problem, self._bounded, self._elastic
        rows = np.concatenate([slopes[bounded], self._elastic_rows @ slopes])
        activity = np.concatenate([v[bounded], problem.row_activity(v[None])[0, elastic]])
        lower = np.concatenate([problem.lower[bounded], problem.row_lower[elastic]])
        upper = np.concatenate([problem.upper[bounded], problem.row_upper[elastic]])
        return _one_sided(rows, activity, lower, upper)


def _scale(model: QuadraticModel) -> float:
    """What a small curvature is measured by."""
    return float(np.abs(model.hessian).max(initial=0.0)) or float(np.abs(model.gradient).max(initial=0.0)) or 1.0


def _one_sided(rows: Array, activity: Array, lower: Array, upper: Array) -> tuple[Array, Array]:
    """``lower <= activity + rows @ step <= upper`` as ``rows @ step <= limits``."""
    below, above = np.isfinite(lower), np.isfinite(upper)
    sides = np.concatenate([(upper - activity)[above], (activity - lower)[below]])
    return np.concatenate([rows[above], -rows[below]]), sides
