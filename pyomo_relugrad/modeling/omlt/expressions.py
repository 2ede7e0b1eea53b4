"""Reduced-space formulations: whether nested expressions are the layers of a network."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyomo.environ as pyo
from pyomo.core.expr.visitor import StreamBasedExpressionVisitor

from pyomo_relugrad.arrays import Array
from pyomo_relugrad.modeling.errors import NotANetwork
from pyomo_relugrad.modeling.omlt.steps import Step
from pyomo_relugrad.network import Activation

#: Largest difference, relative to the sizes of what is added, at which two values count as equal.
VALUE_TOLERANCE = 1e-9

#: Arguments of activations where they are compared with a ReLU, besides the ends of their range and some inside of it.
NEAR_THE_KINK = (0.0, 1e-6, -1e-6, 1e-3, -1e-3)

#: Smooth activations are compared up to here: as they are written, some overflow with large arguments.
MAX_SMOOTH_ARGUMENT = 30.0

#: At how many points the affine maps are compared.
N_POINTS = 3


def demand_layer_expressions(layer_block: Any, step: Step, sources: Sequence[Sequence[Any]], bounds: Array) -> None:
    """Refuse a layer whose expressions `zhat` and `z` are not what it computes.

    Parameters
    ----------
    layer_block : BlockData
    step : AffineStep
        What the layer computes.
    sources : sequence of sequences of VarData or ExpressionData
        The activations of the earlier layers.
    bounds : (2, n) array
        Lower and upper bounds of `zhat`.

    Raises
    ------
    NotANetwork
        If a value differs.
    """
    random = np.random.default_rng(0)
    zhat, z = (_expressions(layer_block, name, bounds.shape[1]) for name in ("zhat", "z"))
    for _ in range(N_POINTS):
        values = [random.normal(size=len(variables)) for variables in sources]
        known = {
            id(variable): value
            for variables, numbers in zip(sources, values, strict=True)
            for variable, value in zip(variables, numbers.tolist(), strict=True)
        }
        for expression, expected in zip(zhat, step.preactivation(values).tolist(), strict=True):
            _demand_value(expression, known, expected)
    for expression, before, sides in zip(z, zhat, bounds.T, strict=True):
        demand_activation(expression, before, step.activation, sides)


def demand_activation(expression: Any, argument: Any, activation: Activation | None, bounds: Array) -> None:
    """Refuse an expression that is not the activation of its argument, a variable or expression with bounds (2,).

    Raises
    ------
    NotANetwork
        If a value differs.
    """
    widest = 1e3 if activation is None or activation.is_piecewise_linear else MAX_SMOOTH_ARGUMENT
    low, high = np.where(np.isfinite(bounds), bounds, [-widest, widest]).clip(-widest, widest)
    points = np.array([low, high, *NEAR_THE_KINK, *np.random.default_rng(0).uniform(low, high, N_POINTS)])
    expected = points if activation is None else activation.value(points)
    for value, wanted in zip(points.tolist(), expected.tolist(), strict=True):
        _demand_value(expression, {id(argument): value}, wanted)


def _expressions(block: Any, name: str, size: int) -> list[Any]:
    component = block.component(name)
    members = [] if component is None or component.ctype is not pyo.Expression else list(component.values())
    if len(members) != size:
        raise NotANetwork(f"'{block.name}' has not the expressions '{name}' any more that OMLT built")
    return members


def _demand_value(expression: Any, known: Mapping[int, float], expected: float) -> None:
    found = _evaluated(expression, known)
    size = 1.0 + abs(expected) + sum(map(abs, known.values()))
    if not abs(found - expected) <= VALUE_TOLERANCE * size:  # also where it is NaN
        name = getattr(expression, "name", expression)
        raise NotANetwork(f"its expression '{name}' is not the layer of the network definition")


def _evaluated(expression: Any, known: Mapping[int, float]) -> float:
    """The value of an expression in which only `known` parts may vary; NaN where it holds others."""

    def before(_: Any, child: Any, __: int) -> tuple[bool, Any]:
        if id(child) in known:
            return False, known[id(child)]
        if child.__class__ in pyo.native_types or not child.is_potentially_variable():
            return False, float(pyo.value(child))  # NumPy's float32, as files hold it, rounds what it meets
        if child.is_variable_type():
            raise _UnknownPartError
        return True, None

    visitor = StreamBasedExpressionVisitor(
        beforeChild=before, exitNode=lambda node, values: node._apply_operation(values)
    )
    try:
        return float(visitor.walk_expression(expression))
    except (_UnknownPartError, TypeError, ValueError, ArithmeticError):
        return np.nan


class _UnknownPartError(Exception):
    """An expression holds a variable that it should not."""
