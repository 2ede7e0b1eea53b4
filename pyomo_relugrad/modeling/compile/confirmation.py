"""Pyomo's own evaluation of rows and objectives at a point, by which nonlinear ones are confirmed before they count."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from pyomo.common.collections import ComponentMap
from pyomo.core.base.constraint import Constraint
from pyomo.core.expr.numvalue import value

from pyomo_relugrad.problem import FEASIBILITY_TOLERANCE

#: How far, relative to its size, Pyomo's value of the objective may be from ours.
OBJECTIVE_TOLERANCE = 1e-6


@contextmanager
def values_set(solution: ComponentMap) -> Iterator[None]:
    """Variables have other values inside, and their own again afterwards."""
    before = [(variable, variable.value, variable.stale) for variable in solution]
    try:
        for variable, number in solution.items():
            variable.set_value(number, skip_validation=True)
        yield
    finally:
        for variable, number, stale in before:
            variable.set_value(number, skip_validation=True)
            variable.stale = stale


def first_refuted(components: tuple[Any, ...], objective: float) -> str:
    """What Pyomo's evaluation at the variables' values refutes, in words; empty where it confirms all.

    Parameters
    ----------
    components : tuple of ConstraintData and ObjectiveData
    objective : float
        The value that the objective should have.
    """
    for component in components:
        if component.ctype is Constraint:
            violation = abs(beyond_side(component))
            if not violation <= FEASIBILITY_TOLERANCE:
                return f"constraint '{component.name}' is violated by {violation:.3g}"
        else:
            found = _number(component.expr)
            if not abs(found - objective) <= OBJECTIVE_TOLERANCE * (1.0 + abs(objective)):
                return f"objective '{component.name}' is {found:.9g}, not {objective:.9g}"
    return ""


def beyond_side(constraint: Any) -> float:
    """By how much a constraint lies beyond a side, positive above the upper one; NaN where it has no value."""
    body = _number(constraint.body)
    above = -np.inf if constraint.ub is None else body - constraint.ub
    below = -np.inf if constraint.lb is None else constraint.lb - body
    return np.nan if np.isnan(body) else max(above, 0.0) - max(below, 0.0)


def _number(expression: Any) -> float:
    """The value of an expression, NaN where it has none."""
    try:
        return float(value(expression))
    except (ArithmeticError, TypeError, ValueError):
        return np.nan
