"""The linear surroundings of the networks: whether there is a point at all, and where good starts are."""

from __future__ import annotations

import numpy as np
from scipy import sparse

from pyomo_relugrad.arrays import Array
from pyomo_relugrad.problem import Problem
from pyomo_relugrad.problem_bounds import network_implied_bounds
from pyomo_relugrad.search.budget import Budget
from pyomo_relugrad.search.linear_program import LinearProgram, LinearSolution

#: Stands for an infinite bound where points are drawn at random.
RANDOM_RANGE = 10.0
#: Seconds, and share of the time left, that surroundings with integers may take before the search goes on without.
RELAXATION_TIME, RELAXATION_SHARE = 10.0, 0.2
#: Outputs' interval bounds are widened by this much, relative, before infeasibility is claimed from them.
INTERVAL_MARGIN = 1e-6


class Surroundings:
    """Everything of a problem but its networks, which are replaced by interval bounds on their outputs.

    Parameters
    ----------
    problem : Problem
    """

    def __init__(self, problem: Problem) -> None:
        self._problem = problem
        self.lower, self.upper = output_ranges(problem)
        self._has_quadratic_integers = problem.quadratic is not None and bool(problem.integers.any())
        self._nearest_model: LinearProgram | None = None

    @property
    def is_empty(self) -> bool:
        """Whether some output's interval bounds already exclude its bounds."""
        return bool((self.lower > self.upper).any())

    def relax(self, budget: Budget) -> LinearSolution:
        """Solve the surroundings: an infeasible answer proves the problem infeasible, a bound is valid for it.

        A mixed-integer problem with a quadratic objective is solved for its linear part, without costs.
        """
        problem = self._problem
        ignore_objective = self._has_quadratic_integers
        model = LinearProgram(
            np.zeros(problem.n_columns) if ignore_objective else problem.cost,
            self.lower,
            self.upper,
            problem.rows,
            problem.row_lower,
            problem.row_upper,
            integers=problem.integers,
            quadratic=None if ignore_objective else problem.quadratic,
        )
        limit = RELAXATION_SHARE * budget.remaining if problem.integers.any() else budget.remaining
        return model.solve(min(limit, RELAXATION_TIME) if problem.networks else budget.remaining)

    def random_points(self, count: int, random: np.random.Generator) -> Array:
        """Points (count, n) drawn uniformly between the bounds, integers rounded; rows are not regarded."""
        problem = self._problem
        anchored = np.where(np.isfinite(problem.lower), problem.lower, problem.upper - 2 * RANDOM_RANGE)
        lower = np.where(np.isfinite(anchored), anchored, -RANDOM_RANGE)
        upper = np.where(np.isfinite(problem.upper), problem.upper, lower + 2 * RANDOM_RANGE)
        points = random.uniform(lower, np.maximum(upper, lower), size=(count, problem.n_columns))
        return np.where(problem.integers, np.round(points), points)

    def nearest(self, v: Array, columns: Array, budget: Budget) -> Array | None:
        """The point of the surroundings nearest to `v` in the 1-norm of the given columns (an (n,) mask)."""
        problem, n = self._problem, self._problem.n_columns
        which = np.flatnonzero(columns)
        count = which.size
        if self._nearest_model is None:
            picks = sparse.csr_array((np.ones(count), (np.arange(count), which)), shape=(count, n))
            distance = sparse.eye_array(count, format="csr")
            self._nearest_model = LinearProgram(
                np.concatenate([np.zeros(n), np.ones(count)]),
                np.concatenate([self.lower, np.zeros(count)]),
                np.concatenate([self.upper, np.full(count, np.inf)]),
                sparse.block_array([[problem.rows, None], [picks, distance], [picks, -distance]], format="csr"),
                np.concatenate([problem.row_lower, np.zeros(count), np.full(count, -np.inf)]),
                np.concatenate([problem.row_upper, np.full(count, np.inf), np.zeros(count)]),
                integers=np.concatenate([problem.integers, np.zeros(count, bool)]),
            )
        first = problem.n_rows + np.arange(count)
        target = v[which]
        self._nearest_model.change_row_bounds(first, target, np.full(count, np.inf))
        self._nearest_model.change_row_bounds(first + count, np.full(count, -np.inf), target)
        budget.count()
        values = self._nearest_model.solve(min(budget.remaining, 1.0)).values
        return None if values is None else values[:n]


def output_ranges(problem: Problem) -> tuple[Array, Array]:
    """Bounds of all columns, those of outputs tightened by interval arithmetic through the networks."""
    lower, upper = network_implied_bounds(problem, problem.lower, problem.upper)
    margin = INTERVAL_MARGIN * (1.0 + np.abs(upper - lower))
    margin = np.where(np.isfinite(margin), margin, 0.0)
    return np.maximum(problem.lower, lower - margin), np.minimum(problem.upper, upper + margin)
