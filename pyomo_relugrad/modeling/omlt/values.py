"""Values put into the components of a block that ``relugrad.omlt`` built."""

from __future__ import annotations

from typing import Any

import pyomo.environ as pyo

from pyomo_relugrad.arrays import Array


def assign(component: Any, values: Array) -> None:
    """Set the values of an indexed variable, where there is one; fixed variables keep theirs.

    Parameters
    ----------
    component : Var, Expression or None
        Expressions need no values.
    values : (n,) array
        Numbers or booleans.
    """
    if component is not None and component.ctype is pyo.Var:
        for variable, value in zip(component.values(), (values + 0).tolist(), strict=True):
            if not variable.fixed:
                variable.set_value(value, skip_validation=True)


def set_complementarity(conditions: Any, slacks: Array) -> None:
    """Set the slack variables that Pyomo adds to complementarity conditions, where there are some."""
    if conditions is not None:
        for condition, slack in zip(conditions.values(), slacks.tolist(), strict=True):
            condition.v.set_value(slack, skip_validation=True)
