"""Rules of smooth functions: one neuron per element; softmax by way of the logarithm of a sum of exponentials."""

from functools import partial
from math import prod

import numpy as np

from pyomo_relugrad.arrays import Array
from pyomo_relugrad.network import Activation, curves
from pyomo_relugrad.network.building import Affine, HiddenLayers
from pyomo_relugrad.readers.onnx import windows
from pyomo_relugrad.readers.onnx.node import Node, Rule, Value, finite
from pyomo_relugrad.readers.onnx.rules.convolution import reduction_windows


def _smooth(activation: Activation, node: Node, hidden: HiddenLayers) -> Value:
    return hidden.smooth(node.affine(0), activation)


def _elu(alpha: float, gamma: float, node: Node, hidden: HiddenLayers) -> Value:
    """Elu and Selu, by the defaults of their attributes."""
    alpha, gamma = node.attribute("alpha", alpha), node.attribute("gamma", gamma)
    if alpha < 0.0:
        raise node.unsupported("with a negative alpha is not read: export the network without it")
    return hidden.smooth(node.affine(0), curves.Elu(alpha)).scaled(np.array(gamma))


def _celu(node: Node, hidden: HiddenLayers) -> Value:
    """``alpha * elu(x / alpha)``."""
    alpha = node.attribute("alpha", 1.0)
    if alpha <= 0.0:
        raise node.unsupported("without a positive alpha is not read: export the network without it")
    return hidden.smooth(node.affine(0).scaled(np.array(1.0 / alpha)), curves.ELU).scaled(np.array(alpha))


def _gelu(node: Node, hidden: HiddenLayers) -> Value:
    is_approximate = node.attribute("approximate", "none") == "tanh"
    return _smooth(curves.GELU_TANH if is_approximate else curves.GELU, node, hidden)


def _swish(node: Node, hidden: HiddenLayers) -> Value:
    """``x * sigmoid(alpha * x)``."""
    alpha = node.attribute("alpha", 1.0)
    if alpha == 0.0:
        return node.affine(0).scaled(np.array(0.5))
    return hidden.smooth(node.affine(0).scaled(np.array(alpha)), curves.SILU).scaled(np.array(1.0 / alpha))


def _softmax(node: Node, hidden: HiddenLayers) -> Value:
    """``exp(x - log(sum(exp(x))))``: no exponential is of a positive number. Of two it is a logistic function."""
    tensor = _finite(node)
    table = _normalised(node, tensor.shape)
    if table.shape[1] == 2 and node.operator == "Softmax":
        others = tensor.taken(_in_place(table, table[:, ::-1])).reshaped(tensor.shape)
        return hidden.smooth(tensor.minus(others), curves.SIGMOID)
    sums = _log_sum_exp(tensor, table, hidden)
    rows = np.broadcast_to(np.arange(len(table))[:, None], table.shape)
    difference = tensor.minus(sums.taken(_in_place(table, rows)).reshaped(tensor.shape))
    return difference if node.operator == "LogSoftmax" else hidden.smooth(difference, curves.EXP)


def _finite(node: Node) -> Affine:
    """The input, of which no element may be masked out by an infinite number."""
    tensor = node.affine(0)
    finite(tensor.offset)
    return tensor


def _normalised(node: Node, shape: tuple[int, ...]) -> Array:
    """Positions (n, k) of the elements that are normalised together: along one axis, before set 13 all from it on."""
    rank = len(shape)
    axis = node.attribute("axis", -1 if node.opset >= 13 else 1)
    first = axis + rank if axis < 0 else axis
    if node.opset >= 13:
        return windows.reduction(shape, [first])
    return np.arange(prod(shape)).reshape(prod(shape[:first]), -1)


def _in_place(table: Array, values: Array) -> Array:
    """Values (n, k) of positions (n, k) in the order of the positions."""
    result = np.empty(table.size, np.int64)
    result[table.ravel()] = values.ravel()
    return result


def _reduce_log_sum_exp(node: Node, hidden: HiddenLayers) -> Value:
    tensor = _finite(node)
    table, shape = reduction_windows(node, tensor)
    return _log_sum_exp(tensor, table, hidden).reshaped(shape)


def _log_sum_exp(tensor: Affine, table: Array, hidden: HiddenLayers) -> Affine:
    """Of each row (n, k) of positions: a tree of ``log(exp(a) + exp(b)) = b + softplus(a - b)``."""
    columns = [tensor.taken(column) for column in table.T]
    while len(columns) > 1:
        half = len(columns) // 2
        left, right = (columns[begin].stacked(columns[begin + 1 : begin + half]) for begin in (0, half))
        sums = right.plus(hidden.smooth(left.minus(right), curves.SOFTPLUS))
        parts = np.arange(sums.size).reshape(half, -1)
        columns = [*(sums.taken(part) for part in parts), *columns[2 * half :]]
    return columns[0]


RULES: dict[str, Rule] = {
    "Celu": _celu,
    "Elu": partial(_elu, 1.0, 1.0),
    "Erf": partial(_smooth, curves.ERF),
    "Exp": partial(_smooth, curves.EXP),
    "Gelu": _gelu,
    "HardSwish": partial(_smooth, curves.HARD_SWISH),
    "LogSoftmax": _softmax,
    "Mish": partial(_smooth, curves.MISH),
    "ReduceLogSumExp": _reduce_log_sum_exp,
    "Selu": partial(_elu, 1.6732632423543772, 1.0507009873554804),
    "Sigmoid": partial(_smooth, curves.SIGMOID),
    "Softmax": _softmax,
    "Softplus": partial(_smooth, curves.SOFTPLUS),
    "Softsign": partial(_smooth, curves.SOFTSIGN),
    "Swish": _swish,
    "Tanh": partial(_smooth, curves.TANH),
}
