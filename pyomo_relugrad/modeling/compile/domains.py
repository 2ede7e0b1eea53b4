"""Bounds and integrality of a model's variables as arrays."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from pyomo_relugrad.arrays import Array
from pyomo_relugrad.modeling.errors import IncompatibleModel


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
    return lower, upper, integers


def _bounds(variable: Any) -> tuple[float | None, float | None]:
    try:
        return variable.bounds
    except ValueError as error:
        raise IncompatibleModel(f"variable '{variable.name}' has a bound that is no number: {error}") from error


def nearest_to_zero(variable: Any) -> float:
    """The value of a variable; where it has none, the one nearest to 0 that its bounds and its domain allow."""
    if variable.value is not None:
        return variable.value
    lower, upper = variable.bounds
    if not variable.is_continuous():
        lower, upper = (None if lower is None else math.ceil(lower)), (None if upper is None else math.floor(upper))
    value = 0 if lower is None else max(lower, 0)
    return value if upper is None else min(value, upper)
