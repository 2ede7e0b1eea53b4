"""The measure that the sequential method lowers."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pyomo_relugrad.arrays import Array
from pyomo_relugrad.problem import Problem


@dataclass(frozen=True, eq=False)
class Merit:
    """``weight * objective + penalty * sum of violations`` of rows and of bounds on outputs.

    Parameters
    ----------
    weight : float
        1, or 0 to restore feasibility alone.
    penalty : float
    """

    weight: float
    penalty: float

    def of(self, problem: Problem, V: Array) -> Array:
        """Merit (B,) of points with propagated outputs."""
        violations = problem.row_violations(V).sum(axis=1)
        outputs = problem.is_output
        lower, upper = problem.lower[outputs], problem.upper[outputs]
        beyond = np.maximum(np.maximum(lower - V[:, outputs], V[:, outputs] - upper), 0.0).sum(axis=1)
        return self.weight * problem.objective(V) + self.penalty * (violations + beyond)

    def gradient(self, problem: Problem, V: Array) -> Array:
        """Subgradients (B, n) in the columns that no network writes, at points with propagated outputs."""
        activity = problem.row_activity(V)
        outside = (activity > problem.row_upper) * 1.0 - (activity < problem.row_lower)
        beyond = ((problem.upper < V) * 1.0 - (problem.lower > V)) * problem.is_output
        partial = self.weight * problem.objective_gradient(V) + self.penalty * (outside @ problem.rows + beyond)
        return problem.pull_back(V, partial)
