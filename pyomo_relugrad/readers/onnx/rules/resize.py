"""Rules of Resize and Upsample: along each dimension that they change, what onnxruntime makes of a few vectors.

Which element is nearest is often decided by the last digit of a place in float32, so that a formula of our own differs.
"""

from dataclasses import dataclass
from math import ceil, prod

import numpy as np
from onnx import ModelProto, TensorProto, helper, numpy_helper
from scipy import sparse

from pyomo_relugrad.arrays import Array, Weight
from pyomo_relugrad.errors import NetworkFileError
from pyomo_relugrad.network.building import Affine, HiddenLayers, affine_map
from pyomo_relugrad.network.linear_maps import check_entries
from pyomo_relugrad.readers.onnx.evaluate import MAX_ELEMENTS
from pyomo_relugrad.readers.onnx.node import Node, Rule, Value
from pyomo_relugrad.readers.onnx.runtimes import OnnxRuntime

#: Numbers in the vectors that are resized, up to which this is done.
MAX_NUMBERS = 2**28

#: A resized element is made of fewer original ones than this, all beside each other; of more where it is their mean.
MAX_REACH = 16

_IR_VERSION = 8
_CROP = "tf_crop_and_resize"
_KEPT = ("antialias", "coordinate_transformation_mode", "cubic_coeff_a", "exclude_outside", "mode", "nearest_mode")
_KNOWN = {
    "mode": ("nearest", "linear", "cubic", "bilinear"),
    "nearest_mode": ("ceil", "floor", "round_prefer_ceil", "round_prefer_floor"),
    "coordinate_transformation_mode": (
        *("align_corners", "asymmetric", "half_pixel", "half_pixel_symmetric", "pytorch_half_pixel"),
        *("tf_half_pixel_for_nn", _CROP),
    ),
}


@dataclass(frozen=True)
class ResizedAxis:
    """A dimension of a tensor and what is made of it.

    Parameters
    ----------
    axis, size, wanted : int
        Its place, and its elements before and after.
    scale : float
    is_scaled : bool
        Whether the file gives the scale, not the size.
    region : pair of float
        The part of it that is resized, for the coordinates ``tf_crop_and_resize``.
    """

    axis: int
    size: int
    wanted: int
    scale: float
    is_scaled: bool
    region: tuple[float, float] = (0.0, 1.0)


def _resize(node: Node, hidden: HiddenLayers) -> Value:
    tensor = node.affine(0)
    if node.attribute("keep_aspect_ratio_policy", "stretch") != "stretch":
        raise node.unsupported("that keeps the aspect ratio is not supported: export it with fixed sizes")
    if node.attribute("extrapolation_value", 0.0):
        raise node.unsupported("with an extrapolation value other than zero is not supported")
    if node.attribute("antialias", 0) and node.attribute("coordinate_transformation_mode") == _CROP:
        raise node.unsupported("of a region with antialias is not supported")
    for name, known in _KNOWN.items():
        if node.attribute(name, known[0]) not in known:
            raise NetworkFileError(f"there is no {name} {node.attribute(name)!r}")
    axes = resized_axes(node, tensor.shape)
    wanted = tuple(axis.wanted for axis in axes)
    if min(wanted, default=1) < 1 or prod(wanted) > MAX_ELEMENTS:
        raise NetworkFileError(f"its output of shape {wanted} is empty or too large")
    # onnxruntime leaves a tensor as it is where no size changes, whatever the scales, and a dimension whose scale is 1
    is_changed = any(axis.wanted != axis.size for axis in axes)
    for axis in axes:
        if is_changed and axis.scale != 1.0:
            tensor = _along(axis, _matrix(node, axis), tensor)
    return tensor


def resized_axes(node: Node, shape: tuple[int, ...]) -> list[ResizedAxis]:
    """The dimensions to be resized, from scales or sizes."""
    chosen = [axis % len(shape) for axis in node.attribute("axes") or range(len(shape))]
    region, scales, sizes = (_vector(node, what) for what in ("region", "scales", "sizes"))
    if not sizes.size and not scales.size:
        raise NetworkFileError("neither scales nor sizes are given")
    result = []
    for index, axis in enumerate(chosen):
        size = np.float32(shape[axis])
        if sizes.size:
            wanted = int(sizes[index])
            scale = np.float32(wanted) / size
        else:
            scale = np.float32(scales[index])
            wanted = int(size * scale)  # as onnxruntime: 20 * 0.7 is 14 in float32 only
        crop = (float(region[index]), float(region[len(chosen) + index])) if region.size else (0.0, 1.0)
        result.append(ResizedAxis(axis, shape[axis], wanted, float(scale), not sizes.size, crop))
    return result


def _is_old(node: Node) -> bool:
    """Whether the node is an Upsample, whose scales are an attribute, later an input, or a Resize 10 (an input)."""
    return node.operator == "Upsample" or node.opset < 11


def _vector(node: Node, what: str) -> Array:
    """An input that is one number per dimension, empty where there is none; runtimes take it in any shape."""
    places = {"scales": 1} if _is_old(node) else {"region": 1, "scales": 2, "sizes": 3}
    if what not in places or (what == "region" and node.attribute("coordinate_transformation_mode") != _CROP):
        return np.zeros(0)
    if what == "scales" and node.attribute("scales"):
        return np.array(node.attribute("scales"))
    value = node.optional_constant(places[what], what)
    return np.zeros(0) if value is None else value.ravel()


def _matrix(node: Node, axis: ResizedAxis) -> Weight:
    """What each resized element of a dimension is of the original ones: (wanted, size).

    Vectors with a one at every so many elements, further apart than an element reaches, give its weights, and their
    mean, the value of 0, 1, 2, ..., gives where they lie.
    """
    reach = MAX_REACH * (ceil(axis.size / axis.wanted) if node.attribute("antialias", 0) else 1)
    period = min(reach, axis.size)
    if period * max(axis.size, axis.wanted) > MAX_NUMBERS:
        raise NetworkFileError(f"resizing {axis.size} elements to {axis.wanted} along one dimension is too much")
    runtime = OnnxRuntime(_model(node, axis))

    def function(rows: Array) -> Array:
        feeds = {"data": rows.astype(np.float32)[:, None, None, :]}
        sizes = {} if axis.is_scaled else {"sizes": np.array([len(rows), 1, 2, axis.wanted])}
        return np.asarray(runtime(feeds | sizes)[0][:, 0, 0], np.float64)

    elements = np.arange(axis.size)
    weights = sparse.coo_array(affine_map(lambda rows: function(rows[:, elements % period]), period, step=1.0)[0])
    means = function(elements[None])[0, weights.row]
    periods = np.rint((means - weights.col) / period) if period < axis.size else 0.0
    columns = np.clip(weights.col + period * periods, 0, axis.size - 1).astype(np.int64)
    return sparse.csr_array((weights.data, (weights.row, columns)), shape=(axis.wanted, axis.size))


def _model(node: Node, axis: ResizedAxis) -> ModelProto:
    """The node's operator for rows (rows, 1, 1, size), in its own version.

    One of the dimensions of one element becomes two: where no size changes at all, onnxruntime would do nothing.
    """
    scales = np.array([1.0, 1.0, 2.0, axis.scale] if axis.is_scaled else [], np.float32)
    region = np.array([0.0, 0.0, 0.0, axis.region[0], 1.0, 1.0, 1.0, axis.region[1]], np.float32)
    stored = {"region": region, "scales": scales}
    attributes = {name: node.attributes[name] for name in _KEPT if name in node.attributes}
    names = ["data", "scales"] if _is_old(node) else ["data", "region", "scales"]
    names += [] if axis.is_scaled else ["sizes"]
    if node.attribute("scales"):
        names, attributes["scales"] = ["data"], scales.tolist()
    values = [
        helper.make_tensor_value_info("data", TensorProto.FLOAT, [None, 1, 1, axis.size]),
        helper.make_tensor_value_info("sizes", TensorProto.INT64, [4]),
    ]
    outputs = [helper.make_tensor_value_info("resized", TensorProto.FLOAT, None)]
    proto = helper.make_node(node.operator, names, ["resized"], **attributes)
    weights = [numpy_helper.from_array(array, name) for name, array in stored.items() if name in names]
    graph = helper.make_graph([proto], "resize", [own for own in values if own.name in names], outputs, weights)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", node.opset)], ir_version=_IR_VERSION)


def _along(axis: ResizedAxis, matrix: Weight, tensor: Affine) -> Affine:
    """A matrix (wanted, size) applied to a tensor along one dimension."""
    before, after = tensor.shape[: axis.axis], tensor.shape[axis.axis + 1 :]
    check_entries(prod(before) * prod(after) * matrix.nnz)
    inner = sparse.kron(matrix, sparse.eye_array(prod(after)))
    whole = sparse.csr_array(sparse.kron(sparse.eye_array(prod(before)), inner))
    return tensor.mapped(whole, (*before, axis.wanted, *after))


RULES: dict[str, Rule] = {"Resize": _resize, "Upsample": _resize}
