"""The trust-region subproblem of the sequential method: networks linearized, rows on outputs elastic."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import sparse

from pyomo_relugrad.arrays import Array, SparseRows, Weight
from pyomo_relugrad.problem import Problem
from pyomo_relugrad.programs import Linearization, LinearProgram, LinearStatus
from pyomo_relugrad.run import Budget
from pyomo_relugrad.search.sequential.merit import Merit

#: Options of HiGHS for steps that are linear programs.
LP_OPTIONS = {"presolve": "off", "solver": "simplex"}
#: Nodes of a mixed-integer program where steps alone are limited, so that a seed gives the same answer again.
MAX_NODES = 300


@dataclass(frozen=True, eq=False)
class Step:
    """A trial point of the sequential method.

    Parameters
    ----------
    values : (n,) array
        With propagated outputs and rounded integers.
    predicted : float
        Merit that the linearization promises.
    is_unbounded : bool
        The subproblem improves without end although the networks' inputs are bounded in it.
    """

    values: Array
    predicted: float
    is_unbounded: bool = False


class StepModel:
    """One HiGHS model whose linking rows, trust region and costs change from step to step.

    Rows without outputs are hard; rows and bounds on outputs have slacks, at a penalty each. The columns are those of
    the problem, then two slacks per elastic row.

    Parameters
    ----------
    problem : Problem
    linearization : Linearization
    integer_step_time : float
        Seconds that one mixed-integer step may take, where time is limited.
    holds_integers : bool, optional
        Keep integer columns at their values in the current point, so that steps are LPs.
    integer_options : dict, optional
        Of HiGHS, for steps that are MILPs.
    """

    def __init__(
        self,
        problem: Problem,
        linearization: Linearization,
        integer_step_time: float,
        holds_integers: bool = False,
        integer_options: dict[str, Any] | None = None,
    ) -> None:
        self._problem = problem
        self._linearization = linearization
        self._integer_step_time, self._holds_integers = integer_step_time, holds_integers
        n = problem.n_columns
        bounded = np.flatnonzero(problem.is_output & (np.isfinite(problem.lower) | np.isfinite(problem.upper)))
        elastic, hard = np.flatnonzero(problem.rows_touch_output), np.flatnonzero(~problem.rows_touch_output)
        picks = sparse.csr_array((np.ones(bounded.size), (np.arange(bounded.size), bounded)), shape=(bounded.size, n))
        slacks = sparse.eye_array(elastic.size + bounded.size, format="csr")
        rows = sparse.block_array(
            [
                [problem.rows[hard], None, None],
                [sparse.vstack([problem.rows[elastic], picks]), slacks, -slacks],
            ],
            format="csr",
        )
        order = np.concatenate([hard, elastic])
        self._elastic, self._bounded = elastic, bounded
        self._n_slacks = 2 * slacks.shape[0]
        self._n_rows = rows.shape[0]
        self._lower = np.where(problem.is_output, -np.inf, problem.lower)
        self._upper = np.where(problem.is_output, np.inf, problem.upper)
        # HiGHS solves no mixed-integer quadratic programs: there the objective is linearized as well.
        has_integers = bool(problem.integers.any()) and not holds_integers
        self._linearizes_objective = problem.quadratic is not None and has_integers
        self._trusted = problem.is_input & ~problem.is_output
        if self._linearizes_objective:
            self._trusted[problem.quadratic.indices] = True
        self._quadratic, self._hessian_weight = self._hessian(), 1.0
        self._model = LinearProgram(
            np.concatenate([problem.cost, np.ones(self._n_slacks)]),
            np.concatenate([self._lower, np.zeros(self._n_slacks)]),
            np.concatenate([self._upper, np.full(self._n_slacks, np.inf)]),
            rows,
            np.concatenate([problem.row_lower[order], problem.lower[bounded]]),
            np.concatenate([problem.row_upper[order], problem.upper[bounded]]),
            integers=np.concatenate([problem.integers, np.zeros(self._n_slacks, bool)]) if has_integers else None,
            quadratic=self._quadratic,
            options=integer_options if has_integers or problem.quadratic is not None else LP_OPTIONS,
        )

    def _hessian(self) -> sparse.csr_array | None:
        quadratic = self._problem.quadratic
        if quadratic is None or self._linearizes_objective:
            return None
        nothing = sparse.csr_array((self._n_slacks, self._n_slacks))
        return sparse.block_diag([quadratic, nothing], format="csr")

    def step(self, v: Array, radius: float, merit: Merit, scale: Array, budget: Budget) -> Step | None:
        """Solve the subproblem around a point.

        Parameters
        ----------
        v : (n,) array
            With propagated outputs.
        radius : float
            Half-width of the trust region, in units of `scale`.
        merit : Merit
        scale : (n,) array
            Typical range of each column.
        budget : Budget

        Returns
        -------
        Step or None
            None where the subproblem has no solution: hard rows exclude the trust region, or the solver failed.
        """
        problem, n = self._problem, self._problem.n_columns
        self._weigh_hessian(merit.weight)
        self._model.change_costs(self._costs(v, merit))
        lower, upper = self._trust_region(v, radius, scale)
        self._model.change_bounds(lower, upper, np.arange(n))
        self._model.replace_tail(self._n_rows, *self._links(v, radius))
        budget.count(points=1)
        is_short = self._model.has_integers and budget.is_timed
        solution = self._model.solve(min(budget.remaining, self._integer_step_time) if is_short else budget.remaining)
        if solution.values is None:
            return None
        values = np.clip(solution.values[:n], self._lower, self._upper)
        values = problem.completed(np.where(problem.integers, np.round(values), values)[None, :])[0]
        if solution.status is LinearStatus.UNBOUNDED:
            return Step(values, -np.inf, is_unbounded=True)
        return Step(values, solution.objective + self._constant(v, merit))

    def _links(self, v: Array, radius: float) -> tuple[Weight | SparseRows, Array, Array]:
        """The rows of a step below those of the problem, with their sides."""
        links, right = self._linearization.links(v)
        return links, right, right

    def _weigh_hessian(self, weight: float) -> None:
        if self._quadratic is not None and weight != self._hessian_weight:
            self._model.change_quadratic(weight * self._quadratic)
            self._hessian_weight = weight

    def _costs(self, v: Array, merit: Merit) -> Array:
        problem = self._problem
        cost = problem.objective_gradient(v[None, :])[0] if self._linearizes_objective else problem.cost
        penalties = np.concatenate([merit.row_penalties[self._elastic], merit.output_penalties[self._bounded]])
        return np.concatenate([merit.weight * cost, penalties, penalties])

    def _constant(self, v: Array, merit: Merit) -> float:
        if not self._linearizes_objective:
            return merit.weight * self._problem.constant
        gradient = self._problem.objective_gradient(v[None, :])[0]
        return merit.weight * float(self._problem.objective(v[None, :])[0] - gradient @ v)

    def _trust_region(self, v: Array, radius: float, scale: Array) -> tuple[Array, Array]:
        """Bounds of all columns: integer columns may always move by one, unless the radius is zero."""
        reach = radius * scale
        reach = np.where(self._problem.integers & (radius > 0), np.maximum(np.ceil(reach), 1.0), reach)
        lower = np.where(self._trusted, np.maximum(self._lower, v - reach), self._lower)
        upper = np.where(self._trusted, np.minimum(self._upper, v + reach), self._upper)
        held = self._problem.integers & self._holds_integers
        return np.where(held, v, np.minimum(lower, self._upper)), np.where(held, v, np.maximum(upper, self._lower))


def column_scale(problem: Problem) -> Array:
    """(n,) typical ranges of the columns: the distance of the bounds, 2 where one is infinite."""
    ranges = problem.upper - problem.lower
    return np.where(np.isfinite(ranges), ranges, 2.0)
