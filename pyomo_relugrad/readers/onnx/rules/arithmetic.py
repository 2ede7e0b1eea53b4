"""Rules of the operators that are affine when all but one of their inputs are constant: sums, products, Gemm."""

from __future__ import annotations

from functools import reduce
from math import prod

import numpy as np
from onnx import TensorProto

from pyomo_relugrad.arrays import Array
from pyomo_relugrad.errors import NetworkFileError
from pyomo_relugrad.network.affine import Affine
from pyomo_relugrad.network.builder import HiddenLayers
from pyomo_relugrad.network.linear_maps import check_entries
from pyomo_relugrad.readers.onnx.node import Node, Rule, Value, finite
from pyomo_relugrad.readers.onnx.refusals import refusal

FLOATING_POINT = frozenset({TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.DOUBLE, TensorProto.BFLOAT16})


def add(left: Array | Affine, right: Array | Affine) -> Affine:
    """The sum of two tensors, at least one of which is affine; both broadcast."""
    if isinstance(left, Affine):
        return left.plus(right) if isinstance(right, Affine) else left.shifted(finite(right))
    if isinstance(right, Affine):
        return right.shifted(finite(left))
    return add(Affine(left.shape, {}, finite(left).ravel()), right)


def multiply(node: Node, left: Array | Affine, right: Array | Affine) -> Affine:
    """The product, element by element, of an affine tensor and a constant one; both broadcast."""
    if isinstance(left, Affine):
        if isinstance(right, Affine):
            raise node.unsupported("multiplies two tensors that both depend on the network's input: not linear")
        return left.scaled(finite(right))
    if isinstance(right, Affine):
        return right.scaled(finite(left))
    return multiply(node, Affine(left.shape, {}, finite(left).ravel()), right)


def matrix_product(node: Node, left: Array | Affine, right: Array | Affine) -> Affine:
    """The product of matrices (or stacks of them) of which one is constant, as NumPy's ``matmul``."""
    if isinstance(left, Affine):
        if isinstance(right, Affine):
            raise node.unsupported("multiplies two tensors that both depend on the network's input: not linear")
        return _times_constant(left, finite(right))
    if isinstance(right, Affine):
        return _constant_times(finite(left), right)
    return matrix_product(node, Affine(left.shape, {}, finite(left).ravel()), right)


def _times_constant(tensor: Affine, weight: Array) -> Affine:
    shape = matmul_shape(tensor.shape, weight.shape)
    if weight.ndim == 2 and tensor.size == weight.shape[0]:
        return tensor.mapped(weight.T, shape)
    matrix = weight[:, None] if weight.ndim == 1 else weight
    positions = np.arange(tensor.size).reshape(tensor.shape)
    rows = positions[None, :] if positions.ndim == 1 else positions
    check_entries(prod(shape) * matrix.shape[-2])
    # out[..., i, j] = sum_k tensor[..., i, k] weight[..., k, j]
    indices, weights = np.broadcast_arrays(rows[..., :, None, :], np.swapaxes(matrix, -1, -2)[..., None, :, :])
    terms = indices.shape[-1]
    return tensor.weighted_sums(indices.reshape(-1, terms), weights.reshape(-1, terms), shape)


def _constant_times(weight: Array, tensor: Affine) -> Affine:
    shape = matmul_shape(weight.shape, tensor.shape)
    if weight.ndim == 2 and tensor.size == weight.shape[1]:
        return tensor.mapped(weight, shape)
    matrix = weight[None, :] if weight.ndim == 1 else weight
    positions = np.arange(tensor.size).reshape(tensor.shape)
    columns = positions[:, None] if positions.ndim == 1 else positions
    check_entries(prod(shape) * matrix.shape[-1])
    # out[..., i, j] = sum_k weight[..., i, k] tensor[..., k, j]
    indices, weights = np.broadcast_arrays(np.swapaxes(columns, -1, -2)[..., None, :, :], matrix[..., :, None, :])
    terms = indices.shape[-1]
    return tensor.weighted_sums(indices.reshape(-1, terms), weights.reshape(-1, terms), shape)


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
    """The first power, which exporters write for norms and pools of that order."""
    exponent, tensor = node.constant(1, "exponent"), node.affine(0)
    if (exponent != 1).any():
        raise refusal(node, is_output=False)
    return tensor.broadcast(np.broadcast_shapes(tensor.shape, exponent.shape))


def _gemm(node: Node, hidden: HiddenLayers) -> Value:
    left, right = node.value(0), node.value(1)
    if len(left.shape) != 2 or len(right.shape) != 2:
        raise NetworkFileError(f"Gemm multiplies matrices, but its inputs have shapes {left.shape} and {right.shape}")
    left = _transposed(left) if node.attribute("transA", 0) else left
    right = _transposed(right) if node.attribute("transB", 0) else right
    result = matrix_product(node, left, right).scaled(np.array(node.attribute("alpha", 1.0)))
    if not node.has_input(2):
        return result
    added, beta = node.value(2), node.attribute("beta", 1.0)
    if np.broadcast_shapes(added.shape, result.shape) != result.shape:
        raise NetworkFileError(f"Gemm cannot add C of shape {added.shape} to a product of shape {result.shape}")
    return add(result, added if beta == 1.0 else multiply(node, added, np.array(beta)))


def _div(node: Node, hidden: HiddenLayers) -> Value:
    with np.errstate(divide="ignore"):
        return multiply(node, node.value(0), 1.0 / finite(node.constant(1, "divisor")))


def _add(node: Node, hidden: HiddenLayers) -> Value:
    return node.masked(0).plus(node.masked(1))


def _sub(node: Node, hidden: HiddenLayers) -> Value:
    return node.masked(0).minus(node.masked(1))


def _sum(node: Node, hidden: HiddenLayers) -> Value:
    values = [node.value(position) for position in range(len(node.inputs))]
    return values[0] if len(values) == 1 else reduce(add, values)


def _mean(node: Node, hidden: HiddenLayers) -> Value:
    total = _sum(node, hidden)
    assert isinstance(total, Affine)  # a rule is called only if some input is
    return total.scaled(np.array(1.0 / len(node.inputs)))


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


def _cast(node: Node, hidden: HiddenLayers) -> Value:
    return _as_real(node, node.attribute("to") in FLOATING_POINT)


def _cast_like(node: Node, hidden: HiddenLayers) -> Value:
    """CastLike: a tensor that depends on the network's input is a real one."""
    value, like = node.inputs[:2]
    if isinstance(value, np.ndarray):
        return value.astype(np.float64)
    return _as_real(node, isinstance(like, Affine) or (isinstance(like, np.ndarray) and like.dtype.kind == "f"))


def _as_real(node: Node, is_real: bool) -> Value:
    """The first input, which is real already; `is_real` says whether it is cast to real numbers."""
    value = node.inputs[0]
    if not is_real:
        raise node.unsupported("rounds a tensor that depends on the network's input: not piecewise linear")
    assert isinstance(value, Affine)  # a rule is called only if some input is
    return value


RULES: dict[str, Rule] = {
    "Add": _add,
    "Sub": _sub,
    "Div": _div,
    "Neg": lambda node, hidden: node.affine(0).scaled(np.array(-1.0)),
    "Sum": _sum,
    "Mean": _mean,
    "Pow": _pow,
    "MatMul": lambda node, hidden: matrix_product(node, node.value(0), node.value(1)),
    "Gemm": _gemm,
    "BatchNormalization": _batch_normalization,
    "Dropout": _dropout,
    "Cast": _cast,
    "CastLike": _cast_like,
}
