"""Nodes whose inputs are all constant: their outputs as arrays."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from onnx import TensorProto, numpy_helper

from pyomo_relugrad.arrays import Array
from pyomo_relugrad.errors import NetworkFileError
from pyomo_relugrad.network.building import Affine, HiddenLayers
from pyomo_relugrad.readers.onnx.evaluate import normalised, run_node
from pyomo_relugrad.readers.onnx.node import Node, Value, real
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

# In these the reference implementation differs from onnxruntime, lacks earlier versions, or goes through the elements
# one by one, in Python.
_BY_RULE = {
    **{name: convolution.RULES[name] for name in ("AveragePool", "Conv", "ConvTranspose")},
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
    if node.operator in _BY_RULE and data is not None and len(node.proto.output) == 1:
        inputs = (Affine.constant(real(data)), *node.inputs[1:])
        result = _BY_RULE[node.operator](replace(node, inputs=inputs), HiddenLayers())
        assert isinstance(result, Affine)  # these operators have one output
        return [result.offset.reshape(result.shape).astype(data.dtype)]
    if node.operator == "Scatter":
        node = scatter.as_scatter_elements(node)
    return list(run_node(node.proto, max(node.opset, _FIRST_EVALUATED.get(node.operator, 0)), constants))


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
