"""Descents in decisions beside a level that some of many rows allow, by linear programs."""

from __future__ import annotations

from collections.abc import Generator

import numpy as np

from pyomo_relugrad.arrays import Array
from pyomo_relugrad.programs import Linearization
from pyomo_relugrad.run import Budget
from pyomo_relugrad.search.decisions.decisions import Decisions
from pyomo_relugrad.search.decisions.landscape import Landscape
from pyomo_relugrad.search.decisions.steps import Quantile
from pyomo_relugrad.search.regions.walk import is_lower
from pyomo_relugrad.search.sequential.merit import Merit
from pyomo_relugrad.search.sequential.step_model import StepModel, column_scale

#: The trust region in the beginning, in ranges of the decisions, the largest one, and that at which a descent ends.
FIRST_RADIUS, LARGEST_RADIUS, LAST_RADIUS = 0.15, 0.5, 1e-6
#: Shares of a step that are compared, and the share of what it promises that a good one brings.
SHARES = np.array([1.0, 0.5, 0.25, 0.1, 0.03])
GOOD_SHARE = 0.1
#: By which the trust region grows after a good step, and shrinks after one in vain.
GROWTH, SHRINKAGE = 2.0, 0.2


class LevelDescent:
    """Trust-region steps with networks linearized, in which the rows that count are those that do at the point.

    After each step they are chosen anew, so that a step may go on where others begin to bind.

    Parameters
    ----------
    decisions : Decisions
        Continuous ones, from which levels follow.
    landscape : Landscape
        What is lowered.
    X : (B, d) array
        Decisions by which penalties are scaled.
    penalty : float
    budget : Budget
    """

    def __init__(self, decisions: Decisions, landscape: Landscape, X: Array, penalty: float, budget: Budget) -> None:
        problem = decisions.problem
        self._decisions, self._landscape, self._budget = decisions, landscape, budget
        self._merit = Merit.scaled_to(problem, decisions.points(X), penalty)
        self._model = StepModel(problem, Linearization(problem), np.inf, holds_integers=True)
        self._scale = column_scale(problem)

    @staticmethod
    def suits(decisions: Decisions) -> bool:
        """Whether decisions are of this kind."""
        has_levels = any(isinstance(step, Quantile) for step in decisions.steps)
        return has_levels and not decisions.problem.integers[decisions.columns].any()

    def run(self, x: Array) -> Generator[tuple[Array, float], None, None]:
        """Yield some decisions (d,) and those after each step from there, with merits, while there is more to gain."""
        columns, budget, radius = self._decisions.columns, self._budget, FIRST_RADIUS
        v, value = self._lowest(x[None])
        yield v[columns], value
        while radius > LAST_RADIUS and not budget.is_exhausted():
            step = self._model.step(v, radius, self._merit, self._scale, budget)
            if step is None or not is_lower(step.predicted, value):
                return
            moves = SHARES[:, None] * (step.values - v)[columns]
            budget.count(points=SHARES.size)
            to, lowest = self._lowest(self._decisions.rounded(v[columns] + moves))
            gain = value - lowest
            if gain > 0:
                v, value = to, lowest
            is_good = gain > GOOD_SHARE * (value + gain - step.predicted)
            radius = min(GROWTH * radius, LARGEST_RADIUS) if is_good else SHRINKAGE * radius
            yield v[columns], value

    def _lowest(self, X: Array) -> tuple[Array, float]:
        """The best (n,) of the points with decisions (B, d), and its merit."""
        V = self._decisions.points(X)
        merits = self._landscape.merit(V)
        best = int(merits.argmin())
        return V[best], float(merits[best])
