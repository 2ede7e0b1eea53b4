"""The measure that the sequential method lowers."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from pyomo_relugrad.arrays import Array
from pyomo_relugrad.problem import Problem, without_nan

#: Sum of violations below which a point is handed to what makes it feasible: walks over linear regions, a polish.
NEARLY_FEASIBLE = 1e-4
#: Largest spread of the objective that prices follow, and least one of a column: exponentials have others.
MAX_SPREAD, LEAST_SPREAD = 1e100, 1e-100


@dataclass(frozen=True, eq=False)
class Merit:
    """``weight * objective + penalties @ violations`` of rows and of bounds on outputs.

    Parameters
    ----------
    weight : float
        1, or 0 to restore feasibility alone.
    row_penalties : (m,) array
    output_penalties : (n,) array
        For violated bounds of output columns; zero for the others.
    """

    weight: float
    row_penalties: Array
    output_penalties: Array

    @classmethod
    def scaled_to(cls, problem: Problem, V: Array, penalty: float) -> Merit:
        """Penalties that suit the units of the rows and of the objective, by some points (B, n) of the problem.

        `penalty` is that of the largest violation, in units of the objective's spread. Points where something is not
        defined do not count.
        """
        V = V[np.isfinite(V).all(axis=1)] if np.isfinite(V).all(axis=1).any() else np.zeros((1, problem.n_columns))
        objective = problem.objective(V)
        spread = float(objective.max() - objective.min()) + float(np.abs(problem.cost).max(initial=0.0))
        price = penalty * (min(spread, MAX_SPREAD) if spread > 0 else 1.0)
        rows = _typical(problem.row_violations(V), problem.row_activity(V))
        outputs = _typical(_output_violations(problem, V), V)
        return cls(1.0, price / rows, problem.is_output * price / outputs)

    @property
    def restoring(self) -> Merit:
        """The merit that counts violations alone."""
        return replace(self, weight=0.0)

    def sharpened(self, factor: float) -> Merit:
        """The merit with larger penalties."""
        return replace(self, row_penalties=factor * self.row_penalties, output_penalties=factor * self.output_penalties)

    def of(self, problem: Problem, V: Array) -> Array:
        """Merit (B,) of points with propagated outputs, infinite where something is not defined."""
        violations = problem.row_violations(V) @ self.row_penalties
        beyond = _output_violations(problem, V) @ self.output_penalties
        with np.errstate(invalid="ignore"):  # infinite values times no weight
            value = self.weight * problem.objective(V) + violations + beyond
        return value if problem.is_defined_everywhere else without_nan(value)

    def gradient(self, problem: Problem, V: Array) -> Array:
        """Subgradients (B, n) in the columns that no network writes, at points with propagated outputs."""
        activity = problem.row_activity(V)
        outside = (activity > problem.row_upper) * 1.0 - (activity < problem.row_lower)
        beyond = ((problem.upper < V) * 1.0 - (problem.lower > V)) * self.output_penalties
        partial = self.weight * problem.objective_gradient(V) + (outside * self.row_penalties) @ problem.rows + beyond
        return problem.pull_back(V, partial)


def _output_violations(problem: Problem, V: Array) -> Array:
    """How far each output column is outside its bounds: (B, n), zero for other columns."""
    return np.maximum(np.maximum(problem.lower - V, V - problem.upper), 0.0) * problem.is_output


def _typical(violations: Array, values: Array) -> Array:
    """Largest violation in each column (B, k), at least a share of its values' spread; one where both are tiny."""
    typical = np.maximum(violations.max(axis=0), 0.01 * (values.max(axis=0) - values.min(axis=0)))
    return np.where(typical > LEAST_SPREAD, typical, 1.0)
