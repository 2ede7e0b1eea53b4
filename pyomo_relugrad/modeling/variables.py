"""Bounds, integrality and values of a model's variables as arrays."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from pyomo_relugrad.arrays import Array
from pyomo_relugrad.modeling.errors import IncompatibleModel


def bounds_of(variable: Any) -> tuple[float, float]:
    """Bounds of a variable, infinite where there is none.

    Raises
    ------
    IncompatibleModel
        If a bound is no number.
    """
    try:
        low, high = variable.bounds
    except (ArithmeticError, TypeError, ValueError) as error:
        raise IncompatibleModel(
            f"variable '{variable.name}' has a bound that is no number, {str(error).rstrip('.')}: give one, or None"
        ) from error
    return -np.inf if low is None else low, np.inf if high is None else high


def bounds_of_all(variables: Sequence[Any]) -> tuple[Array, Array]:
    """Bounds (n,) of variables, see `bounds_of`; one that is fixed is a point."""
    pairs = [(v.value, v.value) if v.fixed and v.value is not None else bounds_of(v) for v in variables]
    lower, upper = np.array(pairs, np.float64).reshape(-1, 2).T
    return lower, upper


def bounds_and_integrality(variables: Sequence[Any]) -> tuple[Array, Array, Array]:
    """Bounds and integrality of variables, (n,) arrays; a fixed one is a point.

    Raises
    ------
    IncompatibleModel
        If a variable is fixed without a finite value, or its domain is not an interval of the reals or of the integers.
    """
    lower, upper = bounds_of_all(variables)
    integers = are_integers(variables)
    for variable, integer in zip(variables, integers, strict=True):
        if variable.fixed and variable.value is None:
            raise IncompatibleModel(f"variable '{variable.name}' is fixed but has no value: give it one")
        if variable.fixed and not np.isfinite(variable.value):
            raise IncompatibleModel(
                f"variable '{variable.name}' is fixed at {variable.value}: fix it at a finite number"
            )
        if integer and not variable.is_integer():
            raise IncompatibleModel(
                f"variable '{variable.name}' has the domain {variable.domain}: relugrad handles intervals of the reals "
                "or of the integers. State the choice among separate values or intervals with binary variables"
            )
    return lower, upper, integers


def are_integers(variables: Sequence[Any]) -> Array:
    """Which variables (n,) are neither fixed nor continuous."""
    return np.array([not (v.fixed or v.is_continuous()) for v in variables], bool)


def nearest_values(variables: Sequence[Any], wanted: Array) -> Array:
    """Values (n,) as near to the wanted ones as the bounds, domains and fixed values of variables allow."""
    lower, upper = bounds_of_all(variables)
    return np.minimum(np.maximum(np.where(are_integers(variables), np.round(wanted), wanted), lower), upper)


def nearest_to_zero(variable: Any) -> float:
    """The value of a variable; where it has none, the one nearest to 0 that its bounds and its domain allow."""
    if variable.value is not None:
        return variable.value
    lower, upper = variable.bounds
    if not variable.is_continuous():
        lower, upper = (None if lower is None else math.ceil(lower)), (None if upper is None else math.floor(upper))
    value = 0 if lower is None else max(lower, 0)
    return value if upper is None else min(value, upper)
