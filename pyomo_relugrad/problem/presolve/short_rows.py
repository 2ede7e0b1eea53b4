"""Rows over one column as bounds of the column, rows over none left out: a box is a box however it is written."""

from dataclasses import replace

import numpy as np

from pyomo_relugrad.arrays import Array, Weight
from pyomo_relugrad.errors import InfeasibleProblemError
from pyomo_relugrad.problem.incumbent import FEASIBILITY_TOLERANCE
from pyomo_relugrad.problem.presolve.integer_bounds import rounded_bounds
from pyomo_relugrad.problem.presolve.reduction import Reduced, same_columns
from pyomo_relugrad.problem.problem import Problem

# What rounding leaves of coefficients that cancel, as of 0.1 x + 0.2 x - 0.3 x, and by what it moves a row at most.
NOISE, MOVED_BY_NOISE = 1e-13, 1e-3 * FEASIBILITY_TOLERANCE


def turn_short_rows_into_bounds(problem: Problem) -> Reduced | None:
    """Turn rows over one column that no network writes into bounds of the column, and leave out rows without columns.

    Points within the bounds satisfy the rows: in floating point, and those of integers within the tolerance.
    Coefficients that are rounding alone count as zero.

    Raises
    ------
    InfeasibleProblemError
        If a row without columns cannot hold; names it.
    """
    if not problem.n_rows:
        return None
    given, problem = problem, _without_noise(problem)
    rows = _without_zeros(problem.rows)
    lengths = np.diff(rows.indptr)
    single = np.flatnonzero(lengths == 1)
    single = single[~problem.is_output[rows.indices[rows.indptr[single]]]]
    empty = np.flatnonzero(lengths == 0)
    if single.size + empty.size == 0:
        return None if problem is given else same_columns(problem)
    _check_empty_rows(problem, empty)
    lower, upper = problem.lower.copy(), problem.upper.copy()
    column, coefficient = rows.indices[rows.indptr[single]], rows.data[rows.indptr[single]]
    low, high = _bounds(coefficient, problem.row_lower[single], problem.row_upper[single])
    tolerance = FEASIBILITY_TOLERANCE / np.maximum(1.0, np.abs(coefficient))
    low, high = rounded_bounds(low, high, problem.integers[column], tolerance)
    np.maximum.at(lower, column, low)
    np.minimum.at(upper, column, high)
    kept = np.setdiff1d(np.arange(problem.n_rows), np.concatenate([single, empty]))
    return same_columns(replace(with_rows(problem, kept), lower=lower, upper=upper))


def _without_noise(problem: Problem) -> Problem:
    """Coefficients that are nothing but rounding are zero; a bound of their column by them would be any number."""
    rows, sizes = problem.rows, np.abs(problem.rows.data)
    if not ((sizes > 0.0) & (sizes <= NOISE)).any():
        return problem
    largest = np.maximum(np.abs(problem.lower), np.abs(problem.upper))[rows.indices]
    largest[np.isinf(largest)] = 0.0  # such a row would bound its column by some huge number
    is_noise = (sizes > 0.0) & (sizes <= NOISE) & (sizes * largest <= MOVED_BY_NOISE)
    # Huge values may satisfy a row that has no other coefficients: without them it could not hold.
    of_entry = np.repeat(np.arange(problem.n_rows), np.diff(rows.indptr))
    asks = np.maximum(problem.row_lower, -problem.row_upper) > FEASIBILITY_TOLERANCE
    asks[of_entry[~is_noise & (sizes > 0.0)]] = False
    is_endless = np.isinf(problem.lower) | np.isinf(problem.upper)
    is_noise &= ~(asks[of_entry] & is_endless[rows.indices])
    rows = rows.copy()
    rows.data[is_noise] = 0.0
    return replace(problem, rows=rows) if is_noise.any() else problem


def _without_zeros(rows: Weight) -> Weight:
    if rows.data.all():
        return rows
    rows = rows.copy()
    rows.eliminate_zeros()
    return rows


def _check_empty_rows(problem: Problem, empty: Array) -> None:
    violated = np.maximum(problem.row_lower[empty], -problem.row_upper[empty]) > FEASIBILITY_TOLERANCE
    if violated.any():
        row = empty[np.argmax(violated)]
        raise InfeasibleProblemError(
            f"{problem.describe_row(int(row))} cannot hold: nothing is left of it but {problem.row_lower[row]} <= 0 <= "
            f"{problem.row_upper[row]}"
        )


def _bounds(coefficient: Array, row_lower: Array, row_upper: Array) -> tuple[Array, Array]:
    """The values for which ``coefficient * value`` is between the sides, also in floating point."""
    positive = coefficient > 0
    low = np.where(positive, row_lower, row_upper) / coefficient
    high = np.where(positive, row_upper, row_lower) / coefficient
    low = np.where(_is_outside(coefficient * low, row_lower, row_upper), np.nextafter(low, np.inf), low)
    high = np.where(_is_outside(coefficient * high, row_lower, row_upper), np.nextafter(high, -np.inf), high)
    return low, high


def _is_outside(activity: Array, row_lower: Array, row_upper: Array) -> Array:
    return np.isfinite(activity) & ((activity < row_lower) | (activity > row_upper))


def with_rows(problem: Problem, kept: Array) -> Problem:
    """The problem with some of its rows."""
    return replace(
        problem,
        rows=problem.rows[kept],
        row_lower=problem.row_lower[kept],
        row_upper=problem.row_upper[kept],
        row_names=tuple(problem.row_names[row] for row in kept.tolist()) if problem.row_names else (),
    )
