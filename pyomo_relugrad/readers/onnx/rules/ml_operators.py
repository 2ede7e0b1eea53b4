"""Rules of the affine operators of ``ai.onnx.ml``, which converters write for scikit-learn's steps and estimators."""

import numpy as np

from pyomo_relugrad.arrays import Array
from pyomo_relugrad.errors import NetworkFileError
from pyomo_relugrad.network.building import HiddenLayers
from pyomo_relugrad.readers.onnx.node import Node, Rule, Value, finite


def _scaler(node: Node, hidden: HiddenLayers) -> Value:
    tensor, offset, scale = node.affine(0), _numbers(node, "offset"), _numbers(node, "scale")
    width = tensor.shape[-1] if tensor.shape else 1
    if not {offset.size, scale.size} <= {1, width}:
        raise NetworkFileError(f"{offset.size} offsets and {scale.size} scales do not fit a tensor of {width} features")
    return tensor.shifted(-offset).scaled(scale)


def _linear_regressor(node: Node, hidden: HiddenLayers) -> Value:
    transform = node.attribute("post_transform", "NONE")
    if transform != "NONE":
        raise node.unsupported(f"with post_transform={transform} is not piecewise linear: export it without")
    tensor, targets = node.affine(0), node.attribute("targets", 1)
    tensor = tensor if len(tensor.shape) == 2 else tensor.reshaped((1, tensor.size))
    rows, width = tensor.shape
    coefficients, intercepts = _numbers(node, "coefficients"), _numbers(node, "intercepts")
    if targets < 1 or coefficients.size != targets * width or intercepts.size not in (0, targets):
        raise NetworkFileError(
            f"{coefficients.size} coefficients and {intercepts.size} intercepts do not fit {targets} targets and "
            f"{width} features"
        )
    positions = np.repeat(np.arange(rows * width).reshape(rows, width), targets, axis=0)
    weights = np.tile(coefficients.reshape(targets, width), (rows, 1))
    result = tensor.weighted_sums(positions, weights, (rows, targets))
    return result.shifted(intercepts) if intercepts.size else result


def _feature_vectorizer(node: Node, hidden: HiddenLayers) -> Value:
    tensors = [node.affine(position) for position in range(len(node.inputs))]
    shapes = [tensor.shape if len(tensor.shape) == 2 else (1, tensor.size) for tensor in tensors]
    if list(node.attribute("inputdimensions", [])) != [width for _, width in shapes]:
        raise NetworkFileError("inputdimensions are not the widths of its inputs")
    ends = np.cumsum([0, *(tensor.size for tensor in tensors)])
    positions = [
        start + np.arange(np.prod(shape)).reshape(shape) for start, shape in zip(ends[:-1], shapes, strict=True)
    ]
    return tensors[0].stacked(tensors[1:]).taken(np.concatenate(positions, axis=1))


def _imputer(node: Node, hidden: HiddenLayers) -> Value:
    if not np.isnan(node.attribute("replaced_value_float", 0.0)):
        raise node.unsupported("that replaces a number jumps there: only one that replaces missing values can be read")
    return node.affine(0)


def _numbers(node: Node, name: str) -> Array:
    return finite(np.array(node.attribute(name, []), dtype=np.float64))


RULES: dict[str, Rule] = {
    "FeatureVectorizer": _feature_vectorizer,
    "Imputer": _imputer,
    "LinearRegressor": _linear_regressor,
    "Scaler": _scaler,
}
