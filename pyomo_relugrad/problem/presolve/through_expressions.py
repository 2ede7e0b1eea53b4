"""Bounds through smooth expressions, both ways: from what is asked of their values, and from where they are defined."""

from contextlib import suppress

import numpy as np

from pyomo_relugrad.arrays import Array
from pyomo_relugrad.deadline import OutOfTime, checkpoint
from pyomo_relugrad.problem.expression_stage import ExpressionStage
from pyomo_relugrad.problem.incumbent import FEASIBILITY_TOLERANCE
from pyomo_relugrad.problem.presolve.implied_bounds import function_implied_bounds
from pyomo_relugrad.problem.presolve.integer_bounds import rounded_bounds
from pyomo_relugrad.problem.presolve.reduction import Reduced, with_bounds
from pyomo_relugrad.problem.presolve.row_tightening import RowTightening, Tightening, shrinks
from pyomo_relugrad.problem.problem import Problem

# Rounds over rows and expressions; the last one where no range shrinks by more than this share.
MAX_ROUNDS, LEAST_SHRINKAGE = 10, 0.05


class ExpressionTightening(Tightening):
    """Tightening through the expressions of a problem."""

    def __init__(self, problem: Problem) -> None:
        self._stages = [stage for stage in problem.stages if isinstance(stage, ExpressionStage)]

    def rounds(self, lower: Array, upper: Array) -> tuple[Array, Array]:
        """One round over the expressions."""
        lower, upper = lower.copy(), upper.copy()
        for stage in self._stages:
            checkpoint()
            asked = _widened(stage.gather_outputs(lower), -1), _widened(stage.gather_outputs(upper), 1)
            found = stage.expression.contracted(stage.gather(lower), stage.gather(upper), asked)
            for columns, low, high in ((stage.inputs, *found[:2]), (stage.outputs, *found[2:])):
                shape = (len(lower), *columns.shape)
                np.maximum.at(lower.T, columns, low.reshape(shape).transpose(1, 2, 0))
                np.minimum.at(upper.T, columns, high.reshape(shape).transpose(1, 2, 0))
        return lower, upper


def _widened(bounds: Array, direction: int) -> Array:
    """Bounds moved outward by what a point may violate."""
    return bounds + direction * FEASIBILITY_TOLERANCE * (1 + np.abs(bounds))


def tighten_through_expressions(problem: Problem) -> Reduced | None:
    """Tighten decisions by rows and through expressions, in turn: also to where logarithms and roots are defined.

    Where there is no feasible point, the problem is left to those who prove it.
    """
    if not problem.expressions:
        return None
    by_expressions, by_rows = ExpressionTightening(problem), RowTightening(problem)
    decisions = ~problem.is_output
    lower, upper = problem.lower, problem.upper
    with suppress(OutOfTime):
        for _ in range(MAX_ROUNDS):
            implied = function_implied_bounds(problem, lower, upper)
            box = np.maximum(lower, implied[0])[None], np.minimum(upper, implied[1])[None]
            low, high, possible = by_rows(*box)
            if not possible[0]:
                return None
            low, high, possible = by_expressions(low, high)
            if not possible[0]:
                return None
            before, (low, high) = (lower, upper), rounded_bounds(low, high, problem.integers)
            lower, upper = np.where(decisions, low[0], lower), np.where(decisions, high[0], upper)
            if not shrinks(before, (lower, upper), decisions, LEAST_SHRINKAGE):
                break
    return with_bounds(problem, lower, upper)
