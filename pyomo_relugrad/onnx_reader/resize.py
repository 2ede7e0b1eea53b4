"""Rules of Resize and Upsample: along each dimension a matrix, found by evaluating the operator in one dimension."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

import numpy as np
from onnx import helper

from pyomo_relugrad.arrays import Array
from pyomo_relugrad.errors import NetworkFileError
from pyomo_relugrad.onnx_reader.affine import Affine
from pyomo_relugrad.onnx_reader.evaluate import MAX_ELEMENTS, NodeEvaluator
from pyomo_relugrad.onnx_reader.hidden_layers import HiddenLayers
from pyomo_relugrad.onnx_reader.node import Node, Rule, Value

_ALIGNED = {"coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}
"""What Resize 10 and Upsample do, in the words of later versions."""


@dataclass(frozen=True)
class _Axis:
    """What one dimension of `size` elements is resized by: a scale, or the size that is wanted."""

    axis: int
    size: int
    scale: float | None
    wanted: int
    region: tuple[float, float] | None

    @property
    def inputs(self) -> list[Array | None]:
        """The node's inputs after the data, for this dimension alone."""
        region = None if self.region is None else np.array(self.region, dtype=np.float32)
        if self.scale is None:
            return [region, None, np.array([self.wanted], dtype=np.int64)]
        return [region, np.array([self.scale], dtype=np.float32), None]

    @property
    def is_unchanged(self) -> bool:
        """Whether the dimension stays as it is."""
        return self.region is None and (self.wanted == self.size if self.scale is None else self.scale == 1.0)


def _resize(node: Node, hidden: HiddenLayers) -> Value:
    tensor = node.affine(0)
    if node.attribute("keep_aspect_ratio_policy", "stretch") != "stretch":
        raise node.unsupported("that keeps the aspect ratio is not supported: export it with fixed sizes")
    if node.attribute("extrapolation_value", 0.0):
        raise node.unsupported("with an extrapolation value other than zero is not supported")
    kept = {name: node.attributes[name] for name in _ONE_DIMENSIONAL if name in node.attributes}
    proto = helper.make_node("Resize", ["data", "roi", "scales", "sizes"], ["resized"], **kept)
    axes = _axes(node, tensor.shape)
    if prod(axis.wanted for axis in axes) > MAX_ELEMENTS:
        raise NetworkFileError(f"its output of shape {tuple(axis.wanted for axis in axes)} is too large")
    for axis in axes:
        if not axis.is_unchanged:
            tensor = _resized(
                tensor, axis, NodeEvaluator(proto, max(node.opset, 13), [np.zeros(axis.size), *axis.inputs])
            )
    return tensor


def _axes(node: Node, shape: tuple[int, ...]) -> list[_Axis]:
    """The dimensions to be resized, from scales or sizes."""
    rank = len(shape)
    chosen = [axis % rank for axis in node.attribute("axes") or range(rank)]
    scales, sizes = node.optional_constant(2, "scales"), node.optional_constant(3, "sizes")
    region = node.optional_constant(1, "region")
    coordinates = node.attribute("coordinate_transformation_mode", "half_pixel")
    result = []
    for index, axis in enumerate(chosen):
        size, scale = shape[axis], None
        if sizes is not None and sizes.size:
            wanted = int(sizes[index])
        elif scales is not None and scales.size:
            wanted = int(np.float32(size) * np.float32(scales[index]))  # as onnxruntime: 20 * 0.7 is 14 in float32 only
            is_exact = wanted == int(size * float(scales[index])) and coordinates != "align_corners"
            scale = float(scales[index]) if is_exact else None
        else:
            raise NetworkFileError("neither scales nor sizes are given")
        crop = None
        if coordinates == "tf_crop_and_resize" and region is not None:
            crop = (float(region[index]), float(region[len(chosen) + index]))
        result.append(_Axis(axis, size, scale, wanted, crop))
    return result


_ONE_DIMENSIONAL = (
    "mode",
    "coordinate_transformation_mode",
    "nearest_mode",
    "cubic_coeff_a",
    "exclude_outside",
    "antialias",
)
"""Attributes that mean the same for one dimension alone."""

_MAX_MATRIX = 2**17


def _resized(tensor: Affine, axis: _Axis, evaluator: NodeEvaluator) -> Affine:
    """The tensor resized along one dimension, whose matrix comes from the operator's values at the unit vectors."""
    if axis.wanted * axis.size > _MAX_MATRIX:
        raise NetworkFileError(f"resizing {axis.size} elements to {axis.wanted} along one dimension is too much")
    columns = np.stack([evaluator.run([unit, *axis.inputs])[0] for unit in np.eye(axis.size)], axis=1)
    terms = max(1, int((columns != 0.0).sum(axis=1).max()))
    used = np.argsort(columns == 0.0, axis=1, kind="stable")[:, :terms]
    weights = np.take_along_axis(columns, used, axis=1)
    shape = (*tensor.shape[: axis.axis], len(columns), *tensor.shape[axis.axis + 1 :])
    # positions[..., j, k]: the k-th element that output j of this dimension reads
    positions = np.moveaxis(np.arange(tensor.size).reshape(tensor.shape), axis.axis, -1)[..., used]
    indices = np.moveaxis(positions, -2, axis.axis).reshape(-1, terms)
    factors = np.moveaxis(np.broadcast_to(weights, positions.shape), -2, axis.axis).reshape(-1, terms)
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
