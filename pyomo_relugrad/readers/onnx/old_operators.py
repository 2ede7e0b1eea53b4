"""Operators of the sets 1 to 6 in the form that they have in set 7, whose rules are the reader's own.

Old sets broadcast by the attributes `broadcast` and `axis`, keep weights of channels as vectors, know a training mode
of their own, and hold in attributes what are inputs today.
"""

from collections.abc import Callable, Iterable
from copy import deepcopy
from dataclasses import replace
from math import prod
from typing import Any

import numpy as np
from onnx import TensorProto, helper

from pyomo_relugrad.errors import NetworkFileError
from pyomo_relugrad.readers.onnx.node import Node, Value

FIRST_MODERN = 7
"""The first operator set with NumPy's broadcasting."""


def modern(node: Node) -> Node:
    """The node as operator set 7 writes it; a node of a later set, or of another domain, is returned as it is.

    Raises
    ------
    NetworkFileError
        If its inputs do not fit the operator's definition in its own set.
    UnsupportedOperatorError
        If it is in training mode.
    """
    if node.proto.domain or node.opset >= FIRST_MODERN:
        return node
    change = _CHANGES.get(node.operator)
    return change(node) if change else _rewritten(node)


def _rewritten(
    node: Node, inputs: Iterable[Value | None] | None = None, opset: int = FIRST_MODERN, **attributes: Any
) -> Node:
    """The node with other inputs and attributes; one that is None, and the hints for old runtimes, are left out."""
    values = tuple(node.inputs if inputs is None else inputs)
    kept = {**node.attributes, **attributes, "consumed_inputs": None}
    kept = {name: value for name, value in kept.items() if value is not None}
    proto = deepcopy(node.proto)
    del proto.attribute[:], proto.input[:]
    proto.attribute.extend(helper.make_attribute(name, value) for name, value in kept.items())
    proto.input.extend("" if value is None else f"input_{i}" for i, value in enumerate(values))
    return replace(node, proto=proto, opset=opset, attributes=kept, inputs=values)


def _reshaped(value: Value, shape: tuple[int, ...]) -> Value:
    return value.reshape(shape) if isinstance(value, np.ndarray) else value.reshaped(shape)


def _broadcast(node: Node) -> Node:
    """The second input of an arithmetic operator, with the ones in its shape that the attribute `axis` stands for."""
    left, right = node.inputs[:2]
    if left is None or right is None:
        raise NetworkFileError(f"{node.operator} needs two inputs")
    shape = left.shape
    if prod(right.shape) == 1:
        fitted: tuple[int, ...] = ()
    else:
        default = len(shape) - len(right.shape)
        axis = int(node.attribute("axis", default)) if node.attribute("broadcast", 0) else default
        axis += len(shape) if axis < 0 else 0
        end = axis + len(right.shape)
        fits = axis >= 0 and end <= len(shape)
        if not fits or any(own not in (1, size) for own, size in zip(right.shape, shape[axis:end], strict=True)):
            raise NetworkFileError(
                f"in operator set {node.opset}, {node.operator} broadcasts by its attributes broadcast and axis, and a "
                f"tensor of shape {right.shape} does not fit {shape} at axis {axis}: convert the file to operator set "
                f"{FIRST_MODERN} or later (onnx.version_converter)"
            )
        fitted = right.shape + (1,) * (len(shape) - end)
    return _rewritten(node, (left, _reshaped(right, fitted)), broadcast=None, axis=None)


def _prelu(node: Node) -> Node:
    tensor, slope = node.value(0), node.constant(1, "slope")
    if slope.size == 1:
        slope = slope.reshape(())
    elif slope.ndim == 1 and len(tensor.shape) > 1:
        if slope.size != tensor.shape[1]:
            raise NetworkFileError(
                f"in operator set {node.opset}, PRelu has one slope per channel, and {slope.size} slopes do not fit a "
                f"tensor of shape {tensor.shape}: convert the file to operator set {FIRST_MODERN} or later"
            )
        slope = slope.reshape(-1, *(1,) * (len(tensor.shape) - 2))
    return _rewritten(node, (tensor, slope))


def _evaluated(node: Node) -> Node:
    """BatchNormalization and Dropout. One output means evaluation mode, unless the node says that it is not."""
    if not node.attribute("is_test", sum(map(bool, node.proto.output)) == 1):
        raise node.unsupported(
            "is in training mode (its attribute is_test is not 1): export the network in evaluation mode "
            f"(model.eval()), or convert the file to operator set {FIRST_MODERN} or later (onnx.version_converter)"
        )
    return _rewritten(node, is_test=None)


def _upsample(node: Node) -> Node:
    if node.attribute("scales") is not None:
        return _rewritten(node)
    scales = [1.0, 1.0, node.attribute("height_scale"), node.attribute("width_scale")]
    return _rewritten(node, scales=scales, height_scale=None, width_scale=None)


def _split(node: Node) -> Node:
    sizes = node.optional_constant(1, "sizes")
    given = node.attribute("split") if sizes is None else [int(size) for size in sizes.ravel()]
    return _rewritten(node, node.inputs[:1], split=given, axis=node.attribute("axis", 0))


def _reshape(node: Node) -> Node:
    if node.has_input(1):
        return _rewritten(node)
    return _rewritten(node, (node.inputs[0], np.array(node.attribute("shape"), dtype=np.int64)), shape=None)


def _tile(node: Node) -> Node:
    """Tile 1, which takes how often to repeat along which one axis."""
    if not node.has_input(2):
        return _rewritten(node)
    tiles, axis = node.constant(1, "repeats"), node.constant(2, "axis")
    repeats = np.ones(len(node.value(0).shape), dtype=np.int64)
    repeats[int(axis.ravel()[0])] = int(tiles.ravel()[0])
    return _rewritten(node, (node.inputs[0], repeats))


def _cast(node: Node) -> Node:
    """Cast before set 6, which names its type."""
    to = node.attribute("to")
    return _rewritten(node, to=TensorProto.DataType.Value(to.upper()) if isinstance(to, str) else to)


_CHANGES: dict[str, Callable[[Node], Node]] = {
    **dict.fromkeys(("Add", "And", "Div", "Equal", "Greater", "Less", "Mul", "Or", "Pow", "Sub", "Xor"), _broadcast),
    "BatchNormalization": _evaluated,
    "Cast": _cast,
    "Concat": lambda node: _rewritten(node, axis=node.attribute("axis", 1)),
    "Dropout": _evaluated,
    "Gemm": lambda node: _rewritten(node, broadcast=None),
    **dict.fromkeys(("GlobalLpPool", "LpPool"), lambda node: _rewritten(node, p=int(node.attribute("p", 2)))),
    "PRelu": _prelu,
    "Pad": lambda node: _rewritten(node, pads=node.attribute("pads", node.attribute("paddings")), paddings=None),
    "Reshape": _reshape,
    "Split": _split,
    "Tile": _tile,
    "Upsample": _upsample,
}
