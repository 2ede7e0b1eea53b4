"""Bounds of a problem's columns that follow from the networks and from the rows."""

from __future__ import annotations

import numpy as np

from pyomo_relugrad.arrays import Array
from pyomo_relugrad.network import interval_bounds
from pyomo_relugrad.problem.problem import FEASIBILITY_TOLERANCE, Problem


def rounded_bounds(lower: Array, upper: Array, integers: Array) -> tuple[Array, Array]:
    """Bounds of integer columns moved inward to integers; an integer may lie beyond its bound by the tolerance."""
    if not np.any(integers):
        return lower, upper
    return (
        np.where(integers, np.ceil(lower - FEASIBILITY_TOLERANCE), lower),
        np.where(integers, np.floor(upper + FEASIBILITY_TOLERANCE), upper),
    )


def closed_bounds(lower: Array, upper: Array) -> tuple[Array, Array]:
    """Bounds (n,) of which those that cross by no more than the tolerance meet in the middle.

    Bounds that cross by rounding alone, as those of two columns that a row sets equal, leave a value.
    """
    crossing = (lower > upper) & (lower <= upper + FEASIBILITY_TOLERANCE)
    lower, upper = lower.copy(), upper.copy()
    lower[crossing] = upper[crossing] = (lower[crossing] + upper[crossing]) / 2
    return lower, upper


def network_implied_bounds(problem: Problem, lower: Array, upper: Array) -> tuple[Array, Array]:
    """Bounds that interval arithmetic through the networks, one after another, implies for their outputs.

    Parameters
    ----------
    problem : Problem
    lower, upper : (n,) arrays
        Bounds of all columns; those of an output narrow the boxes of the networks that read it.

    Returns
    -------
    lower, upper : (n,) arrays
        What the networks alone imply for output columns, infinite for the others. Over an empty box, NaN-free but
        meaningless.
    """
    lower, upper = lower.copy(), upper.copy()
    implied_lower, implied_upper = np.full(lower.size, -np.inf), np.full(upper.size, np.inf)
    for stage in problem.stages:
        low = np.minimum(lower[stage.inputs], upper[stage.inputs])
        high = np.maximum(lower[stage.inputs], upper[stage.inputs])
        bounds = interval_bounds(stage.network, low, high)
        implied_lower[stage.outputs], implied_upper[stage.outputs] = bounds.output_lower, bounds.output_upper
        lower[stage.outputs] = np.maximum(lower[stage.outputs], bounds.output_lower)
        upper[stage.outputs] = np.minimum(upper[stage.outputs], bounds.output_upper)
    return implied_lower, implied_upper


def row_implied_bounds(problem: Problem, lower: Array, upper: Array, columns: Array) -> tuple[Array, Array]:
    """Bounds that single rows, over the bounds of their other columns, imply for some columns.

    Parameters
    ----------
    problem : Problem
    lower, upper : (n,) arrays
        Bounds of all columns.
    columns : (n,) boolean array
        The columns to bound.

    Returns
    -------
    lower, upper : (n,) arrays
        The implied bounds, infinite elsewhere and where rows imply none.
    """
    implied_lower, implied_upper = np.full(problem.n_columns, -np.inf), np.full(problem.n_columns, np.inf)
    touched = np.unique(problem.rows.tocsc()[:, np.flatnonzero(columns)].indices)
    if touched.size == 0:
        return implied_lower, implied_upper
    part = problem.rows[touched].tocoo()
    coefficient, row, column = part.data, part.coords[0], part.coords[1]
    stored = coefficient != 0
    coefficient, row, column = coefficient[stored], row[stored], column[stored]
    ends = coefficient * lower[column], coefficient * upper[column]
    others_low = _sum_of_others(np.minimum(*ends), row, touched.size)
    others_high = _sum_of_others(np.maximum(*ends), row, touched.size)
    first = (problem.row_lower[touched][row] - others_high) / coefficient
    second = (problem.row_upper[touched][row] - others_low) / coefficient
    wanted = columns[column]
    np.maximum.at(implied_lower, column[wanted], np.minimum(first, second)[wanted])
    np.minimum.at(implied_upper, column[wanted], np.maximum(first, second)[wanted])
    return implied_lower, implied_upper


def _sum_of_others(terms: Array, row: Array, n_rows: int) -> Array:
    """For each term, the sum of the other terms of its row; infinite if one of them is."""
    infinite = np.isinf(terms)
    finite = np.where(infinite, 0.0, terms)
    sums = np.bincount(row, finite, n_rows)[row] - finite
    others_infinite = np.bincount(row, infinite, n_rows)[row] - infinite > 0
    sign = np.where(np.bincount(row, np.where(infinite, np.sign(terms), 0.0), n_rows) > 0, np.inf, -np.inf)[row]
    return np.where(others_infinite, sign, sums)
