"""HiGHS objects that print nothing, and their models from arrays."""

from collections.abc import Callable
from typing import Any

import highspy
import numpy as np

from pyomo_relugrad.arrays import Array, RowBlock, SparseRows, Weight
from pyomo_relugrad.errors import ModelError, RelugradError

#: Name of every thread of this package that runs HiGHS beside the main one.
HIGHS_THREAD = "pyomo_relugrad HiGHS"
#: Coefficients and sides of rows from which HiGHS refuses a model.
HUGE_COEFFICIENT, HUGE_SIDE = 1e15, 1e20
#: Larger coefficients of rows are not put to its quadratic solver: its factors then may lack rows, and HiGHS 1.16
#: prints "error" and writes in front of an array, by which the process may end.
MAX_QP_COEFFICIENT = 1e9
# HiGHS leaves out coefficients below this, by itself those below 1e-9: times a column of 10000 they matter.
SMALLEST_COEFFICIENT = 1e-12
# Reduced costs of the wrong sign that it takes for zero, by itself up to 1e-7: over a range of 10000 they matter. It
# knows no smaller number.
DUAL_TOLERANCE = 1e-10
# A bit for each reduction of its presolve that it leaves out. Here "dual-fixing probing": HiGHS 1.16 cuts off optima by
# it where binaries follow from others, and calls what is left optimal.
WRONG_PRESOLVE_RULES = 1 << 20


class _SilentHighs(highspy.Highs):
    """HiGHS without output, also while it is constructed."""

    def enableCallbacks(self) -> None:  # noqa: N802
        """Turn the output off first: the constructor enables callbacks, and HiGHS 1.16 prints its banner then."""
        self.silent()
        super().enableCallbacks()


def release_highs_threads() -> None:
    """End the worker threads that HiGHS keeps for this thread of ours, so that another number of them can begin."""
    highspy.Highs.resetGlobalScheduler(True)


def silent_highs(options: dict[str, Any] | None = None) -> Any:
    """A HiGHS object with these options that prints nothing.

    With ``output_flag`` among them, its log goes to Python's standard output: a notebook shows what is written there,
    but not what HiGHS itself writes.

    Raises
    ------
    ModelError
        If HiGHS does not know an option, or does not take its value.
    """
    highs = _SilentHighs()
    highs.setOptionValue("small_matrix_value", SMALLEST_COEFFICIENT)
    highs.setOptionValue("dual_feasibility_tolerance", DUAL_TOLERANCE)
    given = dict(options or {})
    if given.get("threads") not in (None, 0, 1):
        release_highs_threads()
    if given.get("output_flag") and given.get("log_to_console", True):
        given = {"log_to_console": False} | given | {"log_to_console": False}
        highs.cbLogging.subscribe(lambda event: print(event.message, end="", flush=True))
    for name, value in given.items():
        if highs.setOptionValue(name, value) == highspy.HighsStatus.kError:
            raise ModelError(f"HiGHS does not take the option {name} = {value!r}: give one that HiGHS's manual lists")
    _, left_out = highs.getOptionValue("presolve_rule_off")
    highs.setOptionValue("presolve_rule_off", left_out | WRONG_PRESOLVE_RULES)
    return highs


def confirm_infeasible(highs: Any, run: Callable[[], None]) -> None:
    """Run a model again without presolve if HiGHS takes it for infeasible.

    Its presolve says so too of models whose feasible points have next to no room.
    """
    presolve = highs.getOptionValue("presolve")[1]
    if highs.getModelStatus() == highspy.HighsModelStatus.kInfeasible and presolve != "off":
        highs.setOptionValue("presolve", "off")
        run()
        highs.setOptionValue("presolve", presolve)


def huge_rows(rows: Weight | SparseRows, lower: Array, upper: Array) -> Array:
    """(m,) booleans: rows with numbers that HiGHS refuses."""
    huge: Array = np.maximum(lower, -upper) >= HUGE_SIDE
    large = np.abs(rows.data) >= HUGE_COEFFICIENT
    if large.any():
        huge |= np.diff(np.concatenate([[0], np.cumsum(large)])[rows.indptr]) > 0
    return huge


def free_huge_rows(block: RowBlock) -> RowBlock:
    """Rows with those that HiGHS would refuse made free: planes and tangents far out, of which no digit counts."""
    (indptr, indices, data), lower, upper = block
    huge = huge_rows(*block)
    if not huge.any():
        return block
    kept = np.where(np.repeat(huge, np.diff(indptr)), 0.0, data)
    return RowBlock(SparseRows(indptr, indices, kept), np.where(huge, -np.inf, lower), np.where(huge, np.inf, upper))


def highs_with_model(
    cost: Array,
    lower: Array,
    upper: Array,
    rows: Weight,
    row_lower: Array,
    row_upper: Array,
    integers: Array | None = None,
    options: dict[str, Any] | None = None,
) -> Any:
    """A silent HiGHS object with ``min cost @ v`` over rows, bounds and integrality in it.

    Parameters
    ----------
    cost, lower, upper : (n,) arrays
    rows : (m, n) csr_array
    row_lower, row_upper : (m,) arrays
    integers : (n,) boolean array, optional
    options : dict, optional
        HiGHS options.

    Raises
    ------
    ModelError
        If HiGHS does not know an option, or does not take its value.
    RelugradError
        If HiGHS refuses the model.
    """
    lp = highspy.HighsLp()
    lp.num_col_, lp.num_row_ = len(cost), len(row_lower)
    lp.col_cost_, lp.col_lower_, lp.col_upper_ = (np.asarray(part, np.float64) for part in (cost, lower, upper))
    lp.row_lower_, lp.row_upper_ = (np.asarray(part, np.float64) for part in (row_lower, row_upper))
    lp.a_matrix_.format_ = highspy.MatrixFormat.kRowwise
    lp.a_matrix_.start_, lp.a_matrix_.index_ = rows.indptr.astype(np.int32), rows.indices.astype(np.int32)
    lp.a_matrix_.value_ = rows.data
    if integers is not None and np.any(integers):
        kinds = (highspy.HighsVarType.kContinuous, highspy.HighsVarType.kInteger)
        lp.integrality_ = [kinds[int(flag)] for flag in np.asarray(integers)]
    highs = silent_highs(options)
    if highs.passModel(lp) == highspy.HighsStatus.kError:
        largest = np.abs(rows.data).max(initial=0.0)
        raise RelugradError(
            f"HiGHS refused a model of {lp.num_col_} columns and {lp.num_row_} rows with coefficients up to "
            f"{largest:.0e}; it takes those below 1e15: choose other units for the variables"
        )
    return highs
