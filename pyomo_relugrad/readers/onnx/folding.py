"""Nodes whose inputs are all constant: their outputs as arrays."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from onnx import TensorProto, numpy_helper

from pyomo_relugrad.arrays import Array
from pyomo_relugrad.errors import NetworkFileError
from pyomo_relugrad.network.building import Affine, HiddenLayers
from pyomo_relugrad.network.linear_maps import explicit
from pyomo_relugrad.readers.onnx.evaluate import normalised, run_node
from pyomo_relugrad.readers.onnx.node import Node, Value, finite, real
from pyomo_relugrad.readers.onnx.refusals import RANDOM
from pyomo_relugrad.readers.onnx.rules import (
    arithmetic,
    convolution,
    maximum,
    movement,
    piecewise_linear,
    resize,
    sampling,
    scatter,
)
from pyomo_relugrad.readers.onnx.rules.arithmetic import FLOATING_POINT

NOT_CONSTANT = frozenset(RANDOM)
"""Operators whose outputs are not constant even if their inputs are."""

_FIRST_EVALUATED = {"DequantizeLinear": 19}
"""The reference implementation lacks earlier versions; this one means the same by what they have."""

# The reference implementation walks these in Python, element by element.
_ROW_BY_ROW = {name: convolution.RULES[name] for name in ("AveragePool", "Conv", "ConvTranspose")}
# In these it differs from onnxruntime, or lacks earlier versions.
_WHOLE = {
    "MaxPool": maximum.RULES["MaxPool"],
    "LpPool": piecewise_linear.RULES["LpPool"],
    "Mean": arithmetic.RULES["Mean"],
    "Pad": movement.RULES["Pad"],
    **resize.RULES,
    **sampling.RULES,
}


def fold(node: Node, constants: Sequence[Array | None]) -> list[Value]:
    """Outputs of a node on constant inputs."""
    data = constants[0] if constants else None
    if node.operator == "Cast" and node.attribute("to") in FLOATING_POINT and data is not None:
        return [data.astype(np.float64)]
    if node.operator == "Constant" and isinstance(node.attribute("value"), TensorProto):
        return [to_array(node.attribute("value"))]
    if node.operator in _ROW_BY_ROW and data is not None:
        return [_filtered(node, finite(data))]
    if node.operator in _WHOLE and data is not None and len(node.proto.output) == 1:
        inputs = (Affine.constant(real(data)), *node.inputs[1:])
        result = _WHOLE[node.operator](replace(node, inputs=inputs), HiddenLayers())
        assert isinstance(result, Affine)  # these operators have one output
        return [result.offset.reshape(result.shape).astype(data.dtype)]
    if node.operator == "Scatter":
        node = scatter.as_scatter_elements(node)
    return list(run_node(node.proto, max(node.opset, _FIRST_EVALUATED.get(node.operator, 0)), constants))


def _filtered(node: Node, data: Array) -> Array:
    """A convolution or the like on a batch: its matrix for one row, applied to all."""
    row = Affine.variable(0, (1, *data.shape[1:]))
    result = _ROW_BY_ROW[node.operator](replace(node, inputs=(row, *node.inputs[1:])), HiddenLayers())
    assert isinstance(result, Affine)  # these operators have one output
    values = data.reshape(len(data), -1) @ explicit(result.terms[0]).T + result.offset
    return np.asarray(values).reshape(len(data), *result.shape[1:])


def to_array(tensor: TensorProto) -> Array:
    """A tensor of the file; floating-point numbers as float64.

    Raises
    ------
    NetworkFileError
        If its shape and its content disagree.
    """
    try:
        return normalised(numpy_helper.to_array(tensor))
    except Exception as error:
        raise NetworkFileError(f"the tensor {tensor.name!r} is corrupt: {error}") from error
