"""Scaling objects of OMLT's interface, read from the expressions that they make of variables.

An expression shows whether it is affine, which its values at some points do not.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pyomo.environ as pyo
from pyomo.common.errors import PyomoException
from pyomo.repn import generate_standard_repn

from pyomo_relugrad.arrays import Array
from pyomo_relugrad.errors import ModelError


def entrywise(expressions: Callable[[dict[Any, Any]], Any], keys: Sequence[Any]) -> tuple[Array, Array]:
    """Slopes and shifts of expressions that each are affine, and increase, in their own variable.

    Parameters
    ----------
    expressions : callable
        From variables by key to expressions by key.
    keys : sequence

    Raises
    ------
    ModelError
        If one is not, or the callable does not take variables.
    KeyError, ValueError
        If the callable does not take these keys.
    """
    model = pyo.ConcreteModel()
    model.x = pyo.Var(keys)
    try:
        scaled = expressions({key: model.x[key] for key in keys})
    except (PyomoException, TypeError, AttributeError) as error:
        raise ModelError(
            f"the scaling object cannot be applied to variables ({error}): it must make expressions of them, as "
            "omlt.OffsetScaling does"
        ) from error
    forms = [generate_standard_repn(scaled[key]) for key in keys]
    for key, form in zip(keys, forms, strict=True):
        if not form.is_linear() or [id(v) for v in form.linear_vars] != [id(model.x[key])] or form.linear_coefs[0] <= 0:
            raise ModelError(
                f"the scaling of entry {key} is not an offset and a positive factor of this entry alone, and others "
                "cannot be handled by relugrad; use omlt.OffsetScaling"
            )
    slopes = [float(pyo.value(form.linear_coefs[0])) for form in forms]
    return np.array(slopes), np.array([float(pyo.value(form.constant)) for form in forms])


def input_scaling(given: Any, keys: Sequence[Any]) -> tuple[Array, Array]:
    """Offsets and factors of the inputs: ``scaled = (value - offset) / factor``.

    Taken from the way back where the object has one, which shows them without rounding.

    Raises
    ------
    ModelError
        As `entrywise`; also if the two ways contradict each other.
    """
    slopes, shifts = entrywise(given.get_scaled_input_expressions, keys)
    if not hasattr(given, "get_unscaled_input_expressions"):
        return -shifts / slopes, 1.0 / slopes
    factors, offsets = entrywise(given.get_unscaled_input_expressions, keys)
    if not (np.allclose(factors * slopes, 1.0) and np.allclose(offsets * slopes + shifts, 0.0, atol=1e-8)):
        raise ModelError(
            "the scaling object contradicts itself: get_unscaled_input_expressions does not undo "
            "get_scaled_input_expressions"
        )
    return offsets, factors


def output_scaling(given: Any, keys: Sequence[Any]) -> tuple[Array, Array]:
    """Offsets and factors of the outputs: ``value = scaled * factor + offset``.

    Raises
    ------
    ModelError
        As `entrywise`.
    """
    factors, offsets = entrywise(given.get_unscaled_output_expressions, keys)
    return offsets, factors
