"""Rules of Resize and Upsample: sums over few elements along each dimension that they change."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import prod

import numpy as np
from onnx import helper

from pyomo_relugrad.arrays import Array
from pyomo_relugrad.errors import NetworkFileError
from pyomo_relugrad.network.building import Affine, HiddenLayers
from pyomo_relugrad.network.linear_maps import check_entries
from pyomo_relugrad.readers.onnx.evaluate import MAX_ELEMENTS, NodeEvaluator
from pyomo_relugrad.readers.onnx.node import Node, Rule, Value
from pyomo_relugrad.readers.onnx.rules.interpolation import OLD_NEAREST, Dimension, interpolated


@dataclass(frozen=True)
class ResizedAxis:
    """A dimension of a tensor and what is made of it; `is_scaled` if the file gives the scale, not the size."""

    axis: int
    dimension: Dimension
    is_scaled: bool

    @property
    def inputs(self) -> list[Array | None]:
        """The node's inputs after the data, for this dimension alone."""
        if self.is_scaled:
            return [None, np.array([self.dimension.scale], dtype=np.float32), None]
        return [None, None, np.array([self.dimension.wanted], dtype=np.int64)]


def _resize(node: Node, hidden: HiddenLayers) -> Value:
    tensor = node.affine(0)
    if node.attribute("keep_aspect_ratio_policy", "stretch") != "stretch":
        raise node.unsupported("that keeps the aspect ratio is not supported: export it with fixed sizes")
    if node.attribute("extrapolation_value", 0.0):
        raise node.unsupported("with an extrapolation value other than zero is not supported")
    axes = resized_axes(node, tensor.shape)
    wanted = tuple(axis.dimension.wanted for axis in axes)
    if min(wanted, default=1) < 1 or prod(wanted) > MAX_ELEMENTS:
        raise NetworkFileError(f"its output of shape {wanted} is empty or too large")
    # onnxruntime leaves a tensor as it is where no size changes, whatever the scales, and a dimension whose scale is 1
    is_changed = any(axis.dimension.wanted != axis.dimension.size for axis in axes)
    for axis in axes:
        if is_changed and axis.dimension.scale != 1.0:
            tensor = _resized(tensor, axis, _in_later_words(node))
    return tensor


def resized_axes(node: Node, shape: tuple[int, ...]) -> list[ResizedAxis]:
    """The dimensions to be resized, from scales or sizes."""
    node = _in_later_words(node)
    rank = len(shape)
    chosen = [axis % rank for axis in node.attribute("axes") or range(rank)]
    region, scales, sizes = (
        _vector(node, position, what) for position, what in ((1, "region"), (2, "scales"), (3, "sizes"))
    )
    coordinates = node.attribute("coordinate_transformation_mode")
    result = []
    for index, axis in enumerate(chosen):
        size = np.float32(shape[axis])
        is_scaled = sizes is None or not sizes.size
        if sizes is None or not sizes.size:
            if scales is None or not scales.size:
                raise NetworkFileError("neither scales nor sizes are given")
            scale = np.float32(scales[index])
            wanted = int(size * scale)  # as onnxruntime: 20 * 0.7 is 14 in float32 only
        else:
            wanted = int(sizes[index])
            scale = np.float32(wanted) / size
        crop = None
        if coordinates == "tf_crop_and_resize" and region is not None:
            crop = (float(region[index]), float(region[len(chosen) + index]))
        result.append(ResizedAxis(axis, Dimension(shape[axis], wanted, float(scale), crop), is_scaled))
    return result


def _vector(node: Node, position: int, what: str) -> Array | None:
    """An input that is one number per dimension; runtimes take it in any shape."""
    value = node.optional_constant(position, what)
    return None if value is None else value.ravel()


def _resized(tensor: Affine, axis: ResizedAxis, node: Node) -> Affine:
    """The tensor resized along one dimension."""
    table, weights = (
        _smoothed(axis, node) if node.attribute("antialias", 0) else interpolated(axis.dimension, node.attributes)
    )
    wanted, terms = table.shape
    check_entries(tensor.size // axis.dimension.size * wanted * terms)
    shape = (*tensor.shape[: axis.axis], wanted, *tensor.shape[axis.axis + 1 :])
    # positions[..., j, k]: the k-th element that output j of this dimension reads
    positions = np.moveaxis(np.arange(tensor.size).reshape(tensor.shape), axis.axis, -1)[..., table]
    positions = np.where(table >= 0, positions, -1)
    indices = np.moveaxis(positions, -2, axis.axis).reshape(-1, terms)
    factors = np.moveaxis(np.broadcast_to(weights, positions.shape), -2, axis.axis).reshape(-1, terms)
    return tensor.weighted_sums(indices, factors, shape)


_SMOOTHED = ("mode", "coordinate_transformation_mode", "cubic_coeff_a", "exclude_outside", "antialias")
_MAX_MATRIX = 2**17


def _smoothed(axis: ResizedAxis, node: Node) -> tuple[Array, Array]:
    """Positions and weights of an antialiased dimension, from the operator's values at the unit vectors."""
    size = axis.dimension.size
    if axis.dimension.wanted * size > _MAX_MATRIX:
        raise NetworkFileError(f"resizing {size} elements to {axis.dimension.wanted} along one dimension is too much")
    if axis.dimension.region is not None:
        raise node.unsupported("of a region with antialias is not supported")
    kept = {name: node.attributes[name] for name in _SMOOTHED if name in node.attributes}
    proto = helper.make_node("Resize", ["data", "roi", "scales", "sizes"], ["resized"], **kept)
    evaluator = NodeEvaluator(proto, node.opset, [np.zeros(size), *axis.inputs])
    matrix = np.stack([evaluator.run([unit, *axis.inputs])[0] for unit in np.eye(size)], axis=1)
    terms = max(1, int((matrix != 0.0).sum(axis=1).max()))
    table = np.argsort(matrix == 0.0, axis=1, kind="stable")[:, :terms]
    return table, np.take_along_axis(matrix, table, axis=1)


def _in_later_words(node: Node) -> Node:
    """Upsample (scales as an attribute, later as an input) and Resize 10 (scales as an input) as Resize 13."""
    if node.operator == "Resize" and node.opset >= 11:
        return node
    scales = np.array(node.attribute("scales") or node.constant(1, "scales"))
    mode = {"bilinear": "linear"}.get(node.attribute("mode", "nearest"), node.attribute("mode", "nearest"))
    later = {"coordinate_transformation_mode": "asymmetric", "nearest_mode": OLD_NEAREST, "mode": mode}
    return replace(node, opset=13, attributes=later, inputs=(node.inputs[0], None, scales))


RULES: dict[str, Rule] = {"Resize": _resize, "Upsample": _resize}
