"""Bounds of a compiled model's columns: read from the variables, then told apart from what follows from the rest."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from pyomo_relugrad.arrays import Array
from pyomo_relugrad.modeling.errors import IncompatibleModel, InfeasibleModel
from pyomo_relugrad.problem import FEASIBILITY_TOLERANCE, Problem
from pyomo_relugrad.problem.presolve.implied_bounds import (
    closed_bounds,
    network_implied_bounds,
    rounded_bounds,
    row_implied_bounds,
)

#: How far, relative to its size, an output's bound may lie inside the interval bound and still say nothing new.
IMPLIED_TOLERANCE = 1e-9


def variable_domains(variables: Sequence[Any]) -> tuple[Array, Array, Array]:
    """Bounds and integrality of variables, (n,) arrays; a fixed one is a point.

    Raises
    ------
    IncompatibleModel
        If a variable is fixed without a finite value, or its domain is not an interval of the reals or of the integers.
    """
    pairs = [(v.value, v.value) if v.fixed else _bounds(v) for v in variables]
    lower = np.array([-np.inf if low is None else low for low, _ in pairs], np.float64)
    upper = np.array([np.inf if high is None else high for _, high in pairs], np.float64)
    integers = np.array([not (v.fixed or v.is_continuous()) for v in variables], bool)
    for variable, integer in zip(variables, integers, strict=True):
        if variable.fixed and variable.value is None:
            raise IncompatibleModel(f"variable '{variable.name}' is fixed but has no value")
        if variable.fixed and not np.isfinite(variable.value):
            raise IncompatibleModel(f"variable '{variable.name}' is fixed at {variable.value}, no finite number")
        if integer and not variable.is_integer():
            raise IncompatibleModel(
                f"variable '{variable.name}' has the domain {variable.domain}: relugrad handles intervals of the reals "
                "or of the integers. State the choice among separate values or intervals with binary variables"
            )
    return (*rounded_bounds(lower, upper, integers), integers)


def _bounds(variable: Any) -> tuple[float | None, float | None]:
    try:
        return variable.bounds
    except ValueError as error:
        raise IncompatibleModel(f"variable '{variable.name}' has a bound that is no number: {error}") from error


def rows_as_bounds(problem: Problem) -> tuple[Problem, Array]:
    """Turn rows over one column that no network writes into bounds of the column.

    Returns
    -------
    problem : Problem
    kept : (m,) int array
        The rows that are left.
    """
    rows = problem.rows
    single = np.flatnonzero(np.diff(rows.indptr) == 1)
    single = single[~problem.is_output[rows.indices[rows.indptr[single]]]]
    kept = np.setdiff1d(np.arange(problem.n_rows), single)
    if single.size == 0:
        return problem, kept
    column, coefficient = rows.indices[rows.indptr[single]], rows.data[rows.indptr[single]]
    sides = problem.row_lower[single] / coefficient, problem.row_upper[single] / coefficient
    lower, upper = problem.lower.copy(), problem.upper.copy()
    np.maximum.at(lower, column, np.minimum(*sides))
    np.minimum.at(upper, column, np.maximum(*sides))
    lower, upper = rounded_bounds(lower, upper, problem.integers)
    changed = replace(
        problem,
        lower=lower,
        upper=upper,
        rows=rows[kept],
        row_lower=problem.row_lower[kept],
        row_upper=problem.row_upper[kept],
        row_names=tuple(problem.row_names[row] for row in kept),
    )
    return changed, kept


def simplify_bounds(problem: Problem, variables: Sequence[Any], derived: Array) -> Problem:
    """Bound inputs that have no bounds, and make bounds of outputs infinite that follow from the inputs' bounds.

    Parameters
    ----------
    problem : Problem
    variables : sequence of VarData
        Of the columns.
    derived : (n, 2) boolean array
        Outputs' lower and upper bounds that are known to follow, though perhaps from bounds that the inputs had before.

    Raises
    ------
    InfeasibleModel
        If a variable is left without a value; names it.
    """
    lower = np.where(derived[:, 0], -np.inf, problem.lower)
    upper = np.where(derived[:, 1], np.inf, problem.upper)
    lower, upper = _checked_bounds(variables, lower, upper)
    implied = network_implied_bounds(problem, lower, upper)
    while (missing := _unbounded_inputs(problem, lower, upper)).any():
        row_lower, row_upper = row_implied_bounds(
            problem, np.maximum(lower, implied[0]), np.minimum(upper, implied[1]), missing
        )
        lower, upper = np.maximum(lower, row_lower), np.minimum(upper, row_upper)
        lower, upper = rounded_bounds(lower, upper, problem.integers)
        lower, upper = _checked_bounds(variables, lower, upper)
        implied = network_implied_bounds(problem, lower, upper)
        if (_unbounded_inputs(problem, lower, upper) == missing).all():
            break
    _checked_bounds(variables, np.maximum(lower, implied[0]), np.minimum(upper, implied[1]), " by its network")
    slack = [IMPLIED_TOLERANCE * np.maximum(1.0, np.abs(np.where(np.isfinite(side), side, 0.0))) for side in implied]
    droppable = problem.is_output & (lower < upper)
    drop_lower = droppable & (lower - slack[0] <= implied[0])
    drop_upper = droppable & (upper + slack[1] >= implied[1])
    return replace(problem, lower=np.where(drop_lower, -np.inf, lower), upper=np.where(drop_upper, np.inf, upper))


def _unbounded_inputs(problem: Problem, lower: Array, upper: Array) -> Array:
    """Which columns (n,) are read by networks, written by none, and lack a bound."""
    return problem.is_network_input & ~problem.is_output & (np.isinf(lower) | np.isinf(upper))


def _checked_bounds(variables: Sequence[Any], lower: Array, upper: Array, why: str = "") -> tuple[Array, Array]:
    """The bounds with crossings within the tolerance closed."""
    crossed = np.flatnonzero(lower > upper + FEASIBILITY_TOLERANCE)
    if crossed.size:
        first = crossed[0]
        raise InfeasibleModel(
            f"variable '{variables[first].name}' can have no value{why}: its lower bound is {lower[first]}, its upper "
            f"bound {upper[first]}"
        )
    return closed_bounds(lower, upper)
