"""Rules of sums, products, powers and Gemm: affine where all but one of the inputs are constant."""

from functools import reduce
from math import prod

import numpy as np
from onnx import TensorProto

from pyomo_relugrad.arrays import Array
from pyomo_relugrad.errors import NetworkFileError
from pyomo_relugrad.network import Activation
from pyomo_relugrad.network.building import Affine, HiddenLayers
from pyomo_relugrad.network.curves import CUBE, SQUARE
from pyomo_relugrad.network.linear_maps import check_entries
from pyomo_relugrad.readers.onnx.node import Node, Rule, Value, finite
from pyomo_relugrad.readers.onnx.refusals import refusal
from pyomo_relugrad.readers.onnx.rules.products import product, sums_of_products

_POWERS: dict[float, Activation | None] = {1.0: None, 2.0: SQUARE, 3.0: CUBE}

FLOATING_POINT = frozenset({TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.DOUBLE, TensorProto.BFLOAT16})


def _matrix_product(left: Array | Affine, right: Array | Affine, hidden: HiddenLayers) -> Affine:
    """The product of matrices (or stacks of them), as NumPy's ``matmul``."""
    if isinstance(left, Affine):
        if isinstance(right, Affine):
            places = _factors(*(np.arange(side.size).reshape(side.shape) for side in (left, right)))
            return sums_of_products(left, right, places, matmul_shape(left.shape, right.shape), hidden)
        tensor, weight = left, finite(right)
    else:
        tensor, weight = right if isinstance(right, Affine) else Affine.constant(finite(right)), finite(left)
    shape = matmul_shape(left.shape, right.shape)
    if weight.ndim == 2 and tensor.size == left.shape[-1]:
        return tensor.mapped(weight.T if tensor is left else weight, shape)
    check_entries(prod(shape) * left.shape[-1])
    positions = np.arange(tensor.size).reshape(tensor.shape)
    indices, weights = _factors(positions, weight) if tensor is left else _factors(weight, positions)[::-1]
    terms = indices.shape[-1]
    return tensor.weighted_sums(indices.reshape(-1, terms), weights.reshape(-1, terms), shape)


def _factors(left: Array, right: Array) -> list[Array]:
    """What is multiplied and summed over the last axis of (..., i, j, k): ``left[..., i, k], right[..., k, j]``."""
    rows = left[None, :] if left.ndim == 1 else left
    columns = right[:, None] if right.ndim == 1 else right
    return list(np.broadcast_arrays(rows[..., :, None, :], np.swapaxes(columns, -1, -2)[..., None, :, :]))


def matmul_shape(left: tuple[int, ...], right: tuple[int, ...]) -> tuple[int, ...]:
    """Shape of the product of matrices (or stacks of them) of the given shapes."""
    if not left or not right:
        raise NetworkFileError("a matrix product needs matrices, but one side is a scalar")
    rows, inner = (left[-2:-1], left[-1]) if len(left) > 1 else ((), left[0])
    if inner != (right[-2] if len(right) > 1 else right[0]):
        raise NetworkFileError(f"shapes {left} and {right} do not fit a matrix product")
    columns = right[-1:] if len(right) > 1 else ()
    return np.broadcast_shapes(left[:-2], right[:-2]) + rows + columns


def _transposed(value: Array | Affine) -> Array | Affine:
    if isinstance(value, Affine):
        return value.taken(np.arange(value.size).reshape(value.shape).T)
    return value.T


def _pow(node: Node, hidden: HiddenLayers) -> Value:
    """The first power, which exporters write for norms and pools of that order, and squares and cubes."""
    exponent, tensor = node.constant(1, "exponent"), node.affine(0)
    power = float(exponent.flat[0])
    if power not in _POWERS or (exponent != power).any():
        raise refusal(node, is_output=False)
    wide, curve = tensor.broadcast(np.broadcast_shapes(tensor.shape, exponent.shape)), _POWERS[power]
    return wide if curve is None else hidden.smooth(wide, curve)


def _gemm(node: Node, hidden: HiddenLayers) -> Value:
    left, right = node.value(0), node.value(1)
    if len(left.shape) != 2 or len(right.shape) != 2:
        raise NetworkFileError(f"Gemm multiplies matrices, but its inputs have shapes {left.shape} and {right.shape}")
    left = _transposed(left) if node.attribute("transA", 0) else left
    right = _transposed(right) if node.attribute("transB", 0) else right
    result = _matrix_product(left, right, hidden).scaled(np.array(node.attribute("alpha", 1.0)))
    if not node.has_input(2):
        return result
    added = node.affine(2)
    if np.broadcast_shapes(added.shape, result.shape) != result.shape:
        raise NetworkFileError(f"Gemm cannot add C of shape {added.shape} to a product of shape {result.shape}")
    return result.plus(added.scaled(np.array(node.attribute("beta", 1.0))))


def _sum(node: Node, hidden: HiddenLayers) -> Affine:
    return reduce(Affine.plus, (node.affine(position) for position in range(len(node.inputs))))


def _batch_normalization(node: Node, hidden: HiddenLayers) -> Value:
    tensor = node.affine(0)
    if node.attribute("training_mode", 0) or sum(bool(name) for name in node.proto.output) > 1:
        raise node.unsupported("is in training mode: export the network in evaluation mode (model.eval())")
    per_element = node.attribute("spatial", 1) == 0
    trailing = (1,) * max(len(tensor.shape) - 2, 0)
    parameters = [finite(node.constant(i, "statistics")) for i in range(1, 5)]
    shapes = {parameter.shape for parameter in parameters}
    if len(shapes) > 1 or (not per_element and shapes != {tensor.shape[1:2]}):
        raise NetworkFileError(f"statistics of shapes {sorted(shapes)} do not fit a tensor of shape {tensor.shape}")
    if not per_element:
        parameters = [parameter.reshape(parameter.shape + trailing) for parameter in parameters]
    scale, bias, mean, variance = parameters
    with np.errstate(all="ignore"):
        factor = finite(scale / np.sqrt(variance + node.attribute("epsilon", 1e-5)))
    result = tensor.scaled(factor).shifted(bias - factor * mean)
    if result.shape != tensor.shape:
        raise NetworkFileError(f"statistics of shape {scale.shape} do not fit a tensor of shape {tensor.shape}")
    return result


def _dropout(node: Node, hidden: HiddenLayers) -> Value | list[Value]:
    training = node.optional_constant(2, "training mode")
    if training is not None and bool(training.any()):
        raise node.unsupported("is in training mode: export the network in evaluation mode (model.eval())")
    tensor = node.affine(0)
    return [tensor, np.ones(tensor.shape, dtype=bool)]


RULES: dict[str, Rule] = {
    "Add": lambda node, hidden: node.masked(0).plus(node.masked(1)),
    "Sub": lambda node, hidden: node.masked(0).minus(node.masked(1)),
    "Mul": lambda node, hidden: product(node.affine(0), node.affine(1), hidden),
    "Neg": lambda node, hidden: node.affine(0).scaled(np.array(-1.0)),
    "Sum": _sum,
    "Mean": lambda node, hidden: _sum(node, hidden).scaled(np.array(1.0 / len(node.inputs))),
    "Pow": _pow,
    "MatMul": lambda node, hidden: _matrix_product(node.value(0), node.value(1), hidden),
    "Gemm": _gemm,
    "BatchNormalization": _batch_normalization,
    "Dropout": _dropout,
}
