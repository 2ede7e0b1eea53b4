"""One HiGHS model that is changed rather than rebuilt."""

from __future__ import annotations

import time
from dataclasses import dataclass
from enum import Enum
from typing import Any

import highspy
import numpy as np
from scipy import sparse

from pyomo_relugrad.arrays import Array, SparseRows, Weight
from pyomo_relugrad.deadline import remaining
from pyomo_relugrad.errors import RelugradError
from pyomo_relugrad.problem import FEASIBILITY_TOLERANCE
from pyomo_relugrad.programs.highs import MAX_QP_COEFFICIENT, confirm_infeasible, highs_with_model
from pyomo_relugrad.programs.interruptible import LOOK_SECONDS, run_interruptibly
from pyomo_relugrad.programs.threads import keep_highs_alone

# Seconds that every solve gets: HiGHS takes a limit of zero for none at all in some of its solvers.
SHORTEST_LIMIT = 1e-3
# A run may take long, and Ctrl-C ends it, where there are integers, more coefficients, or the last run took longer.
QUICK_COEFFICIENTS, QUICK_SECONDS = 100_000, 0.02

# What HiGHS adds to the diagonal of a quadratic objective, in one attempt after the other, and iterations per row and
# column: its own 1e-7 makes it go round in circles at degenerate vertices; nothing fails where there is no bound.
QP_ATTEMPTS = ((0.0, 10), (1e-7, 50))
LEAST_QP_ITERATIONS = 200
# HiGHS's own tolerance of multipliers: these programs prove nothing, and a smaller one may keep them from their end.
QP_DUAL_TOLERANCE = 1e-7


class LinearStatus(Enum):
    """How a solve ended."""

    OPTIMAL = "optimal"
    INFEASIBLE = "infeasible"
    UNBOUNDED = "unbounded"
    LIMIT = "limit"
    FAILED = "failed"


_STATUS = {
    highspy.HighsModelStatus.kOptimal: LinearStatus.OPTIMAL,
    highspy.HighsModelStatus.kInfeasible: LinearStatus.INFEASIBLE,
    highspy.HighsModelStatus.kUnbounded: LinearStatus.UNBOUNDED,
    highspy.HighsModelStatus.kUnboundedOrInfeasible: LinearStatus.UNBOUNDED,
    highspy.HighsModelStatus.kTimeLimit: LinearStatus.LIMIT,
    highspy.HighsModelStatus.kIterationLimit: LinearStatus.LIMIT,
    highspy.HighsModelStatus.kSolutionLimit: LinearStatus.LIMIT,
    highspy.HighsModelStatus.kInterrupt: LinearStatus.LIMIT,
}


@dataclass(frozen=True, eq=False)
class LinearSolution:
    """What one solve gave.

    Parameters
    ----------
    status : LinearStatus
    values : (n,) array or None
        The primal point; None where there is none. Feasible if the status is optimal, or a limit met with a point.
    objective : float
        Of `values`; infinite where there is no point.
    bound : float
        Lower bound on the optimum, as HiGHS tells it: the objective itself for an LP (see `certified`), the dual
        bound for a MILP. There is none for a quadratic program: a point that HiGHS takes for its optimum may be far
        above it where numbers are large.
    row_duals, column_duals : arrays or None
        Multipliers and reduced costs (LPs only); the multiplier of a row at its lower side is not negative.
    iterations : int
        Simplex (or QP) iterations of this solve.
    ray : array or None
        Of an infeasible LP, multipliers of the rows that show it.
    """

    status: LinearStatus
    values: Array | None
    objective: float
    bound: float
    row_duals: Array | None
    column_duals: Array | None
    iterations: int
    ray: Array | None = None

    @property
    def is_optimal(self) -> bool:
        """Whether the solve ended with a proven optimum."""
        return self.status is LinearStatus.OPTIMAL


_NOT_STATED = LinearSolution(LinearStatus.FAILED, None, np.inf, -np.inf, None, None, 0)


class LinearProgram:
    """``min cost @ v + v @ quadratic @ v / 2`` over rows, bounds and integrality, kept in one HiGHS model.

    Every change keeps the basis where it can, so that the next solve starts warm. A change with numbers that HiGHS
    does not take (NaN, coefficients from 1e15 on, a lower side from 1e20 on, ...) is not made; solves fail until it is
    replaced: costs, bounds and sides by the next change of the same ones, rows once they are deleted.

    Parameters
    ----------
    cost, lower, upper : (n,) arrays
    rows : (m, n) csr_array or dense array, optional
    row_lower, row_upper : (m,) arrays, optional
    integers : (n,) boolean array, optional
    quadratic : (n, n) csr_array, optional
        Symmetric positive semidefinite. HiGHS has no mixed-integer quadratic solver: not together with `integers`.
    options : dict, optional
        HiGHS options.

    Raises
    ------
    ModelError
        If HiGHS does not know an option, or does not take its value.
    RelugradError
        If HiGHS refuses the model.
    """

    def __init__(
        self,
        cost: Array,
        lower: Array,
        upper: Array,
        rows: Weight = None,
        row_lower: Array | None = None,
        row_upper: Array | None = None,
        integers: Array | None = None,
        quadratic: Weight = None,
        options: dict[str, Any] | None = None,
    ) -> None:
        self.n_columns = len(cost)
        self.has_integers = integers is not None and bool(np.any(integers))
        # The number of threads stays HiGHS's choice: it is one for the whole process, and another one is refused.
        defaults = {"mip_rel_gap": 1e-6} if self.has_integers else {}
        matrix = sparse.csr_array((0, self.n_columns)) if rows is None else sparse.csr_array(rows)
        sides = _sides(row_lower, matrix.shape[0], -np.inf), _sides(row_upper, matrix.shape[0], np.inf)
        self._highs = highs_with_model(cost, lower, upper, matrix, *sides, integers, {**defaults, **(options or {})})
        self._chooses_threads = "threads" in (options or {})
        self._columns = np.arange(self.n_columns, dtype=np.int32)
        self._refused: set[tuple[str, bytes]] = set()
        self._run_seconds, self._longest = 0.0, np.inf  # of the last run, and the limit of the next
        self._is_quadratic = quadratic is not None
        if quadratic is not None:
            self.change_quadratic(quadratic)

    def change_quadratic(self, quadratic: Weight) -> None:
        """Replace the quadratic part of the objective."""
        lower_triangle = sparse.csc_array(sparse.tril(quadratic, format="csc"))
        hessian = highspy.HighsHessian()
        hessian.dim_ = self.n_columns
        hessian.format_ = highspy.HessianFormat.kTriangular
        hessian.start_ = lower_triangle.indptr.astype(np.int32)
        hessian.index_ = lower_triangle.indices.astype(np.int32)
        hessian.value_ = lower_triangle.data
        self._highs.setOptionValue("dual_feasibility_tolerance", QP_DUAL_TOLERANCE)
        _check(self._highs.passHessian(hessian), "the quadratic objective")

    @property
    def n_rows(self) -> int:
        """Number of rows now in the model."""
        return int(self._highs.getNumRow())

    def change_costs(self, cost: Array) -> None:
        """Replace the linear costs of all columns."""
        status = self._highs.changeColsCost(self.n_columns, self._columns, np.asarray(cost, np.float64))
        self._note("costs", _is_taken(status) and bool(np.isfinite(cost).all()))

    def change_bounds(self, lower: Array, upper: Array, columns: Array | None = None) -> None:
        """Replace the bounds of all columns, or of those given."""
        which = self._columns if columns is None else np.asarray(columns, np.int32)
        sides = np.asarray(lower, np.float64), np.asarray(upper, np.float64)
        self._note("bounds", _is_taken(self._highs.changeColsBounds(which.size, which, *sides)), which)

    def change_row_bounds(self, rows: Array, lower: Array, upper: Array) -> None:
        """Replace the sides of the rows with the given numbers."""
        which = np.asarray(rows, np.int32)
        sides = np.asarray(lower, np.float64), np.asarray(upper, np.float64)
        self._note("sides", _is_taken(self._highs.changeRowsBounds(which.size, which, *sides)), which)

    def append_columns(self, cost: Array, lower: Array, upper: Array, columns: Weight) -> None:
        """Add columns beside the present ones; `columns` (m, k) are their entries in the rows."""
        matrix, count = sparse.csc_array(columns), len(cost)
        status = self._highs.addCols(
            count,
            np.asarray(cost, np.float64),
            np.asarray(lower, np.float64),
            np.asarray(upper, np.float64),
            matrix.nnz,
            matrix.indptr[:-1].astype(np.int32),
            matrix.indices.astype(np.int32),
            np.asarray(matrix.data, np.float64),
        )
        _check(status if np.isfinite(matrix.data).all() else highspy.HighsStatus.kError, "more columns")
        self.n_columns += count
        self._columns = np.arange(self.n_columns, dtype=np.int32)

    def append_rows(self, rows: Weight | SparseRows, row_lower: Array, row_upper: Array) -> None:
        """Add rows below the present ones."""
        matrix = _compressed(rows)
        count = matrix.indptr.size - 1
        if count == 0:
            return
        status = self._highs.addRows(
            count,
            np.asarray(row_lower, np.float64),
            np.asarray(row_upper, np.float64),
            matrix.data.size,
            matrix.indptr.astype(np.int32),
            matrix.indices.astype(np.int32),
            np.asarray(matrix.data, np.float64),
        )
        is_too_large = self._is_quadratic and np.abs(matrix.data).max(initial=0.0) > MAX_QP_COEFFICIENT
        # HiGHS takes a coefficient that is NaN for none at all.
        if not _is_taken(status) or np.isnan(matrix.data).any() or is_too_large:
            self._note("rows", is_taken=False)

    def truncate_rows(self, n_keep: int) -> None:
        """Delete all rows but the first `n_keep`."""
        surplus = np.arange(n_keep, self.n_rows, dtype=np.int32)
        if surplus.size:
            self._highs.deleteRows(surplus.size, surplus)
        self._note("rows", is_taken=True)

    def _note(self, what: str, is_taken: bool, which: Array | None = None) -> None:
        """Remember whether HiGHS has the program as it was last changed, in the columns or rows given."""
        change = what, b"" if which is None else which.tobytes()
        if is_taken:
            self._refused.discard(change)
        else:
            self._refused.add(change)

    def replace_tail(self, n_keep: int, rows: Weight | SparseRows, row_lower: Array, row_upper: Array) -> None:
        """Replace all rows after the first `n_keep`; the basis stays where the number of rows does."""
        matrix = _compressed(rows)
        same_size = self.n_rows == n_keep + matrix.indptr.size - 1
        basis = self._highs.getBasis() if same_size and not self.has_integers else None
        self.truncate_rows(n_keep)
        self.append_rows(matrix, row_lower, row_upper)
        if basis is not None and basis.valid and not self._refused:
            self._highs.setBasis(basis)

    def drop_basic_rows(self, n_keep: int) -> Array:
        """Delete the rows after the first `n_keep` that do not bind, which leaves the basis valid.

        Returns
        -------
        (n_rows - n_keep,) boolean array
            The rows, counted from `n_keep`, that are kept: those that were not basic. All of them without a basis.
        """
        statuses = self._highs.getBasis().row_status[n_keep:]
        kept = np.array([status != highspy.HighsBasisStatus.kBasic for status in statuses], bool)
        surplus = (n_keep + np.flatnonzero(~kept)).astype(np.int32)
        if surplus.size:
            self._highs.deleteRows(surplus.size, surplus)
        return kept

    def start_from_basis(self, columns: Array, rows: Array) -> None:
        """Start the simplex from a guessed basis, which HiGHS completes where it is none.

        Parameters
        ----------
        columns, rows : (n,) and (m,) int arrays
            -1 where the value is at its lower side, 1 at its upper side, 0 where it is basic.
        """
        kinds = {
            -1: highspy.HighsBasisStatus.kLower,
            0: highspy.HighsBasisStatus.kBasic,
            1: highspy.HighsBasisStatus.kUpper,
        }
        if self._refused:
            return
        basis = highspy.HighsBasis()
        basis.valid, basis.alien = True, True
        basis.col_status = [kinds[side] for side in columns.tolist()]
        basis.row_status = [kinds[side] for side in rows.tolist()]
        _check(self._highs.setBasis(basis), "the guessed basis")

    def start_from_values(self, values: Array) -> None:
        """Begin the next solve of a MILP with a point (n,); HiGHS leaves out one that is not feasible."""
        self._highs.setSolution(self.n_columns, self._columns, np.asarray(values, np.float64))

    def solve(self, time_limit: float = np.inf) -> LinearSolution:
        """Solve the model as it stands.

        Parameters
        ----------
        time_limit : float, optional
            Seconds for this solve, which also ends by the `deadline` around it.
        """
        if self._refused:
            return _NOT_STATED
        end = time.perf_counter() + time_limit
        self._limit_time(time_limit)
        self._run()
        confirm_infeasible(self._highs, lambda: self._run_within(end - time.perf_counter()))
        status = _STATUS.get(self._highs.getModelStatus(), LinearStatus.FAILED)
        if self._highs.getModelStatus() == highspy.HighsModelStatus.kUnboundedOrInfeasible:
            status = self._unbounded_or_infeasible(end - time.perf_counter())
        info = self._highs.getInfo()
        feasible = info.primal_solution_status == highspy.SolutionStatus.kSolutionStatusFeasible
        solution = self._highs.getSolution() if feasible else None
        duals = solution is not None and solution.dual_valid and not self.has_integers
        return LinearSolution(
            status=status,
            values=None if solution is None else np.array(solution.col_value),
            objective=float(info.objective_function_value) if feasible else np.inf,
            bound=self._bound(status, info),
            row_duals=np.array(solution.row_dual) if duals and solution is not None else None,
            column_duals=np.array(solution.col_dual) if duals and solution is not None else None,
            iterations=max(int(info.simplex_iteration_count), 0) + max(int(info.qp_iteration_count), 0),
            ray=self._ray() if status is LinearStatus.INFEASIBLE else None,
        )

    def _run(self) -> None:
        """Let HiGHS solve the model, a quadratic one in several attempts."""
        if not self._is_quadratic:
            self._run_once()
            return
        for number, (added, iterations) in enumerate(QP_ATTEMPTS):
            if number:
                self._highs.clearSolver()
            limit = max(iterations * (self.n_columns + self.n_rows), LEAST_QP_ITERATIONS)
            self._highs.setOptionValue("qp_regularization_value", added)
            self._highs.setOptionValue("qp_iteration_limit", limit)
            self._run_once()
            status = self._highs.getModelStatus()
            if _STATUS.get(status) is not None and status != highspy.HighsModelStatus.kIterationLimit:
                return

    @property
    def is_interrupted(self) -> bool:
        """Whether Ctrl-C ended a run, after which HiGHS may still be at work on the model."""
        return ("interrupted", b"") in self._refused

    def _run_within(self, seconds: float) -> None:
        self._limit_time(seconds)
        self._run_once()

    def _run_once(self) -> None:
        """One run, which Ctrl-C ends where it may take long."""
        if not self._chooses_threads:
            keep_highs_alone()
        begin = time.perf_counter()
        is_long = self.has_integers or self._run_seconds > QUICK_SECONDS or self._highs.getNumNz() > QUICK_COEFFICIENTS
        if not is_long or self._longest < LOOK_SECONDS:
            self._highs.run()
        else:
            self._refused.add(("interrupted", b""))
            run_interruptibly(self._highs)
            self._refused.discard(("interrupted", b""))
        self._run_seconds = time.perf_counter() - begin

    def _limit_time(self, seconds: float) -> None:
        """Set HiGHS's time limit: for a MILP it counts from each run, for other models on a clock that runs on."""
        self._longest = seconds = max(min(float(seconds), remaining()), SHORTEST_LIMIT)
        already = 0.0 if self.has_integers else self._highs.getRunTime()
        self._highs.setOptionValue("time_limit", already + seconds)

    def _ray(self) -> Array | None:
        if self.has_integers:
            return None
        _, has_ray, ray = self._highs.getDualRay()
        return np.array(ray) if has_ray else None

    def _bound(self, status: LinearStatus, info: Any) -> float:
        if status is LinearStatus.INFEASIBLE:
            return np.inf
        if status not in (LinearStatus.OPTIMAL, LinearStatus.LIMIT) or self._is_quadratic:
            return -np.inf
        if self.has_integers:
            return float(info.mip_dual_bound)
        return float(info.objective_function_value) if status is LinearStatus.OPTIMAL else -np.inf

    def _unbounded_or_infeasible(self, seconds: float) -> LinearStatus:
        """Tell infeasible from unbounded by a solve without costs."""
        costs = np.array(self._highs.getLp().col_cost_)
        self.change_costs(np.zeros(self.n_columns))
        end = time.perf_counter() + seconds
        self._run_within(seconds)
        confirm_infeasible(self._highs, lambda: self._run_within(end - time.perf_counter()))
        status = _STATUS.get(self._highs.getModelStatus(), LinearStatus.FAILED)
        self.change_costs(costs)
        told = {LinearStatus.OPTIMAL: LinearStatus.UNBOUNDED, LinearStatus.INFEASIBLE: LinearStatus.INFEASIBLE}
        return told.get(status, LinearStatus.FAILED)


def below_tolerance(bound: float) -> float:
    """A bound of a program, lowered by what the tolerances of HiGHS may have added."""
    return bound - 0.1 * FEASIBILITY_TOLERANCE * (1 + abs(bound))


def _compressed(rows: Weight | SparseRows) -> Any:
    """Rows as something with indptr, indices and data."""
    return SparseRows.of(rows) if isinstance(rows, np.ndarray) else rows


def _sides(sides: Array | None, size: int, default: float) -> Array:
    return np.full(size, default) if sides is None else sides


def _is_taken(status: Any) -> bool:
    return bool(status != highspy.HighsStatus.kError)


def _check(status: Any, what: str) -> None:
    if not _is_taken(status):
        raise RelugradError(f"HiGHS refused {what}")
