"""Rules of Resize and Upsample: along each dimension a matrix, found by evaluating the operator in one dimension."""

from __future__ import annotations

from typing import Any

import numpy as np
from onnx import helper

from pyomo_relugrad.arrays import Array
from pyomo_relugrad.errors import NetworkFileError
from pyomo_relugrad.onnx_reader.affine import Affine
from pyomo_relugrad.onnx_reader.evaluate import NodeEvaluator
from pyomo_relugrad.onnx_reader.hidden_layers import HiddenLayers
from pyomo_relugrad.onnx_reader.node import Node, Rule, Value

_ALIGNED = {"coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}
"""What Resize 10 and Upsample do, in the words of later versions."""


def _resize(node: Node, hidden: HiddenLayers) -> Value:
    tensor = node.affine(0)
    rank = len(tensor.shape)
    if node.attribute("keep_aspect_ratio_policy", "stretch") != "stretch":
        raise node.unsupported("that keeps the aspect ratio is not supported: export it with fixed sizes")
    if node.attribute("extrapolation_value", 0.0):
        raise node.unsupported("with an extrapolation value other than zero is not supported")
    chosen = [axis % rank for axis in node.attribute("axes") or range(rank)]
    scales, sizes = node.optional_constant(2, "scales"), node.optional_constant(3, "sizes")
    region = node.optional_constant(1, "region")
    kept = {name: node.attributes[name] for name in _ONE_DIMENSIONAL if name in node.attributes}
    for index, axis in enumerate(chosen):
        parts: list[Array | None] = [None, None, None]
        if region is not None and region.size:
            parts[0] = np.array([region[index], region[len(chosen) + index]], dtype=np.float32)
        if sizes is not None and sizes.size:
            parts[2] = np.array([sizes[index]], dtype=np.int64)
        elif scales is not None and scales.size and kept.get("coordinate_transformation_mode") == "align_corners":
            parts[2] = np.array([int(tensor.shape[axis] * scales[index])], dtype=np.int64)
        elif scales is not None and scales.size:
            parts[1] = np.array([scales[index]], dtype=np.float32)
        else:
            raise NetworkFileError("neither scales nor sizes are given")
        tensor = _resized(tensor, axis, max(node.opset, 13), kept, parts)
    return tensor


_ONE_DIMENSIONAL = (
    "mode",
    "coordinate_transformation_mode",
    "nearest_mode",
    "cubic_coeff_a",
    "exclude_outside",
    "antialias",
)


def _resized(tensor: Affine, axis: int, opset: int, kept: dict[str, Any], parts: list[Array | None]) -> Affine:
    """The tensor resized along one axis; `parts` are region, scales and sizes of that axis."""
    size = tensor.shape[axis]
    scale = parts[1]
    if (scale is not None and scale[0] == 1.0) or (parts[2] is not None and parts[2][0] == size):
        return tensor
    proto = helper.make_node("Resize", ["data", "roi", "scales", "sizes"], ["resized"], **kept)
    evaluator = NodeEvaluator(proto, opset, [np.zeros(size), *parts])
    columns = np.stack([evaluator.run([unit, *parts])[0] for unit in np.eye(size)], axis=1)
    used = np.argsort(columns == 0.0, axis=1, kind="stable")[:, : max(1, int((columns != 0.0).sum(axis=1).max()))]
    weights = np.take_along_axis(columns, used, axis=1)
    shape = (*tensor.shape[:axis], len(columns), *tensor.shape[axis + 1 :])
    # positions[..., j, k, ...]: the k-th element that output j of this axis reads
    positions = np.moveaxis(np.arange(tensor.size).reshape(tensor.shape), axis, -1)[..., used]
    terms = used.shape[1]
    indices = np.moveaxis(positions, -2, axis).reshape(-1, terms)
    factors = np.moveaxis(np.broadcast_to(weights, positions.shape), -2, axis).reshape(-1, terms)
    return tensor.weighted_sums(indices, factors, shape)


def _resize_10(node: Node, hidden: HiddenLayers) -> Value:
    if node.opset >= 11:
        return _resize(node, hidden)
    return _upsample(node, hidden)


def _upsample(node: Node, hidden: HiddenLayers) -> Value:
    """Upsample (scales as an attribute, later as an input) and Resize 10 (scales as an input)."""
    scales = np.array(node.attribute("scales") or node.constant(1, "scales"))
    mode = {"bilinear": "linear"}.get(node.attribute("mode", "nearest"), node.attribute("mode", "nearest"))
    modern = Node(node.proto, 13, {**_ALIGNED, "mode": mode}, (node.inputs[0], None, scales))
    return _resize(modern, hidden)


RULES: dict[str, Rule] = {"Resize": _resize_10, "Upsample": _upsample}
