"""Rules of the operators that only move elements: each is evaluated once, on a tensor of positions."""

from collections.abc import Sequence
from dataclasses import replace
from math import prod

import numpy as np
from onnx import helper

from pyomo_relugrad.arrays import Array
from pyomo_relugrad.errors import NetworkFileError
from pyomo_relugrad.network.building import Affine, HiddenLayers
from pyomo_relugrad.readers.onnx.evaluate import run_node
from pyomo_relugrad.readers.onnx.node import Node, Rule, Value
from pyomo_relugrad.readers.onnx.one_variable import OneVariable, lifted

_ALL = None
DATA_INPUTS: dict[str, tuple[int, ...] | None] = {
    "ArrayFeatureExtractor": (0,),
    "CenterCropPad": (0,),
    "Compress": (0,),
    "Concat": _ALL,
    "DepthToSpace": (0,),
    "Expand": (0,),
    "Flatten": (0,),
    "Gather": (0,),
    "GatherElements": (0,),
    "GatherND": (0,),
    "Identity": (0,),
    "Pad": (0, 2),
    "Reshape": (0,),
    "ReverseSequence": (0,),
    "ScatterElements": (0, 2),
    "ScatterND": (0, 2),
    "Slice": (0,),
    "SpaceToDepth": (0,),
    "Split": (0,),
    "Squeeze": (0,),
    "Tile": (0,),
    "Transpose": (0,),
    "Trilu": (0,),
    "Unsqueeze": (0,),
}
"""Which inputs hold the elements that an operator moves; the others say where to, and must be constant."""


def move(node: Node, hidden: HiddenLayers) -> list[Value]:
    """Number the elements of all data inputs 1, 2, ..., move the numbers, and look up what stands where.

    Zero is what an operator fills in by itself.
    """
    positions = DATA_INPUTS[node.proto.op_type]
    data: list[Affine | OneVariable] = []
    moved: list[Array | None] = []
    count = 0
    for position in range(len(node.inputs)):
        if node.has_input(position) and (positions is _ALL or position in positions):
            value = node.inputs[position]
            data.append(value if isinstance(value, OneVariable) else node.masked(position))
            shape = data[-1].shape
            moved.append(np.arange(count + 1.0, count + 1 + prod(shape)).reshape(shape))
            count += prod(shape)
        else:
            moved.append(node.optional_constant(position, "indices or shape"))
    vector = _stacked(node, data)
    return [vector.taken(output.astype(np.int64) - 1) for output in run_node(node.proto, node.opset, moved)]


def _stacked(node: Node, data: Sequence[Affine | OneVariable]) -> Affine | OneVariable:
    """The elements of all data inputs as one vector."""
    if len(data) == 1:
        return data[0]
    plain = [tensor for tensor in data if isinstance(tensor, Affine)]
    if len(plain) == len(data):
        return plain[0].stacked(plain[1:])
    choices = [lifted(tensor, node.proto) if isinstance(tensor, Affine) else tensor for tensor in data]
    return choices[0].stacked(choices[1:])


def _pad(node: Node, hidden: HiddenLayers) -> Value:
    """Pad in its form of version 13; negative pads, which the reference implementation lacks, are cut off first."""
    tensor = node.affine(0)
    pads, value = _pads_and_value(node, len(tensor.shape))
    mode = node.attribute("mode", "constant")
    removed, added = np.maximum(-pads, 0), np.maximum(pads, 0)
    left = np.array(tensor.shape) - removed.sum(axis=0)
    if (left < 0).any():
        raise NetworkFileError(f"its pads cut off more than a tensor of shape {tensor.shape} has")
    if mode == "wrap" and (added > left).any():
        # onnxruntime can end the process
        raise node.unsupported(f"with mode wrap and pads larger than a dimension cannot be read: {pads.tolist()}")
    cut = tuple(slice(begin, begin + size) for begin, size in zip(removed[0], left, strict=True))
    kept = tensor.taken(np.arange(tensor.size).reshape(tensor.shape)[cut])
    proto = helper.make_node("Pad", ["data", "pads", "value"], ["padded"], mode=mode)
    inputs = (kept, added.ravel(), value)
    return move(replace(node, proto=proto, opset=max(node.opset, 13), inputs=inputs), hidden)[0]


def _pads_and_value(node: Node, rank: int) -> tuple[Array, Array]:
    """Pads (2, rank), and the number to fill in: attributes before version 11, inputs since."""
    if node.opset < 11:
        return np.array(node.attribute("pads"), np.int64).reshape(2, rank), np.array(node.attribute("value", 0.0))
    value, axes = node.optional_constant(2, "value"), node.optional_constant(3, "axes")
    chosen = list(range(rank)) if axes is None else [int(axis) for axis in axes]
    pads = np.zeros((2, rank), dtype=np.int64)
    pads[:, chosen] = node.constant(1, "pads").reshape(2, len(chosen))
    return pads, np.array(0.0) if value is None else value.reshape(())


def _shape(node: Node, hidden: HiddenLayers) -> list[Value]:
    """Shape and Size know the answer from the tensor's shape."""
    value = node.inputs[0]
    shape = value.shape if isinstance(value, OneVariable) else node.affine(0).shape
    return list(run_node(node.proto, node.opset, [np.broadcast_to(0.0, shape)]))


MOVES = frozenset(DATA_INPUTS)
"""Operators that do nothing but move elements."""

RULES: dict[str, Rule] = {
    **dict.fromkeys(DATA_INPUTS, move),
    "Pad": _pad,
    "Shape": _shape,
    "Size": _shape,
}
