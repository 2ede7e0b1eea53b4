"""Smooth neurons in OMLT's formulations: their functions as expressions of Pyomo, and what states them."""

from collections.abc import Callable
from math import pi, sqrt
from typing import Any

import pyomo.environ as pyo
from omlt.neuralnet import NetworkDefinition
from omlt.neuralnet.activations import (
    sigmoid_activation_function,
    softplus_activation_function,
    tanh_activation_function,
)

from pyomo_relugrad.network.curves import GELU_CUBIC

#: What OMLT calls the constraints of smooth activations.
SMOOTH_ROWS = "_smooth_monotonic_activation_constraint"

#: Smooth activations as expressions of Pyomo, by name; those with pieces or error functions cannot be written.
SMOOTH: dict[str, Callable[[Any], Any]] = {
    "sigmoid": sigmoid_activation_function,
    "softplus": softplus_activation_function,
    "tanh": tanh_activation_function,
    "silu": lambda zhat: zhat / (1 + pyo.exp(-zhat)),
    "gelutanh": lambda zhat: zhat / (1 + pyo.exp(-2 * sqrt(2 / pi) * (zhat + GELU_CUBIC * zhat**3))),
    "mish": lambda zhat: zhat * pyo.tanh(pyo.log(1 + pyo.exp(zhat))),
    "softsign": lambda zhat: zhat / (1 + abs(zhat)),
    "exp": pyo.exp,
    "square": lambda zhat: zhat**2,
    "cube": lambda zhat: zhat**3,
}

#: The same of all activations that have no rows.
EXPRESSIONS: dict[str, Callable[[Any], Any]] = {
    **SMOOTH,
    "linear": lambda zhat: zhat,
    "relu": lambda zhat: 0.5 * (zhat + abs(zhat)),
}


def smooth_constraints(net_block: Any, net: NetworkDefinition, layer_block: Any, layer: Any) -> None:
    """``z == f(zhat)``, as OMLT states smooth activations."""
    function, rows = SMOOTH[layer.activation], pyo.Constraint(range(layer.affine.width))
    layer_block.add_component(SMOOTH_ROWS, rows)
    for index, zhat in layer_block.zhat.items():
        rows[index] = layer_block.z[index] == function(zhat)


def activation_expressions(net_block: Any, net: NetworkDefinition, layer_block: Any, layer: Any) -> None:
    """``z = f(zhat)`` as expressions."""
    layer_block.del_component("z")
    layer_block.z = pyo.Expression(range(layer.affine.width))
    for index, zhat in layer_block.zhat.items():
        layer_block.z[index] = EXPRESSIONS[layer.activation](zhat)
