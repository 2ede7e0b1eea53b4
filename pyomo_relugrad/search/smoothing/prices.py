"""What a descent lowers: the objective, and prices of violations."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from pyomo_relugrad.arrays import Array
from pyomo_relugrad.problem import Problem
from pyomo_relugrad.search.sequential.merit import Merit
from pyomo_relugrad.search.soft_rows import SoftRows


@dataclass(frozen=True, eq=False)
class Prices:
    """The prices of violations: penalties, and those of slack columns.

    Parameters
    ----------
    below, above : (m,) arrays
        Of rows below their lower and above their upper sides.
    is_hard : (2, m) boolean array
        Whether a side is to be kept to in every step: a row of decisions alone that nothing loosens.
    is_paid : (2, m) boolean array
        Whether a side is loosened by a slack.
    outputs : (n,) array
        Of bounds of output columns; zero for the others.
    """

    below: Array
    above: Array
    is_hard: Array
    is_paid: Array
    outputs: Array

    @classmethod
    def of_problem(cls, problem: Problem, merit: Merit, soft: SoftRows) -> Prices:
        """Those of the slacks, and else penalties."""
        paid = np.stack([soft.below, soft.above])
        below, above = np.where(paid > 0, paid, merit.row_penalties)
        return cls(below, above, (paid == 0) & ~problem.rows_touch_output, paid > 0, merit.output_penalties)

    @property
    def repairable(self) -> Prices:
        """The prices where rows of decisions alone can be kept to later."""
        below, above = np.where(self.is_hard, 0.0, [self.below, self.above])
        return replace(self, below=below, above=above)

    @property
    def of_rows(self) -> Array:
        """(2, m): below and above, infinite for what is kept to in every step."""
        return np.where(self.is_hard, np.inf, [self.below, self.above])

    def of(self, problem: Problem, V: Array) -> Array:
        """Objective and costs (B,) of points with propagated outputs."""
        activity = problem.row_activity(V)
        rows = np.maximum(problem.row_lower - activity, 0.0) @ self.below
        rows += np.maximum(activity - problem.row_upper, 0.0) @ self.above
        beyond = np.maximum(np.maximum(problem.lower - V, V - problem.upper), 0.0) @ self.outputs
        return problem.objective(V) + rows + beyond
