"""Rules of maxima and minima: of tensors, over windows, over axes."""

from math import prod

import numpy as np

from pyomo_relugrad.network.building import HiddenLayers, largest, maximum, smallest
from pyomo_relugrad.readers.onnx.node import Node, Rule, Value
from pyomo_relugrad.readers.onnx.rules.convolution import pooling_windows, reduction_windows


def _extreme(node: Node, hidden: HiddenLayers, sign: float) -> Value:
    """Max (sign 1) or Min (sign -1) of any number of tensors that broadcast."""
    tensors = [node.masked(position).scaled(np.array(sign)) for position in range(len(node.inputs))]
    if len(tensors) == 2:
        return maximum(tensors[0], tensors[1], hidden).scaled(np.array(sign))
    shape = np.broadcast_shapes(*(tensor.shape for tensor in tensors))
    vectors = [tensor.broadcast(shape) for tensor in tensors]
    table = np.arange(len(vectors) * prod(shape)).reshape(len(vectors), -1).T
    return largest(vectors[0].stacked(vectors[1:]), table, hidden).reshaped(shape).scaled(np.array(sign))


def _max_pool(node: Node, hidden: HiddenLayers) -> Value:
    """MaxPool and GlobalMaxPool."""
    tensor = node.affine(0)
    if sum(bool(name) for name in node.proto.output) > 1:
        raise node.unsupported("with its second output, the positions of the maxima, is not continuous")
    table, shape = pooling_windows(node, tensor)
    return largest(tensor, table.reshape(len(table), *node.attribute("kernel_shape", [-1])), hidden).reshaped(shape)


def _reduce(node: Node, hidden: HiddenLayers) -> Value:
    tensor = node.affine(0)
    table, shape = reduction_windows(node, tensor)
    chosen = largest if node.operator == "ReduceMax" else smallest
    return chosen(tensor, table, hidden).reshaped(shape)


RULES: dict[str, Rule] = {
    "Max": lambda node, hidden: _extreme(node, hidden, 1.0),
    "Min": lambda node, hidden: _extreme(node, hidden, -1.0),
    "MaxPool": _max_pool,
    "GlobalMaxPool": _max_pool,
    "ReduceMax": _reduce,
    "ReduceMin": _reduce,
}
