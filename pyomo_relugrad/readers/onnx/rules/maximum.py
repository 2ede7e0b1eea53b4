"""Rules of maxima and minima: of tensors, over windows, over axes."""

from __future__ import annotations

from math import prod

import numpy as np

from pyomo_relugrad.network.builder import HiddenLayers, largest, maximum
from pyomo_relugrad.readers.onnx import windows
from pyomo_relugrad.readers.onnx.node import Node, Rule, Value
from pyomo_relugrad.readers.onnx.rules.convolution import image_shape, reduction_windows


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
    tensor = node.affine(0)
    if sum(bool(name) for name in node.proto.output) > 1:
        raise node.unsupported("with its second output, the positions of the maxima, is not continuous")
    batch, channels, spatial = image_shape(tensor)
    kernel = node.attribute("kernel_shape")
    ceil_mode = bool(node.attribute("ceil_mode", 0))
    axes = windows.axes(node, spatial, kernel)
    table = windows.joined([axis.positions(ceil_mode) for axis in axes], spatial)
    table = windows.repeated(table, prod(spatial), batch * channels).reshape(-1, *kernel)
    shape = (batch, channels, *(axis.output_size(ceil_mode) for axis in axes))
    return largest(tensor, table, hidden).reshaped(shape)


def _global_max_pool(node: Node, hidden: HiddenLayers) -> Value:
    tensor = node.affine(0)
    batch, channels, spatial = image_shape(tensor)
    table = np.arange(tensor.size).reshape(batch * channels, -1)
    return largest(tensor, table, hidden).reshaped((batch, channels, *(1,) * len(spatial)))


def _reduce(node: Node, hidden: HiddenLayers) -> Value:
    sign = np.array(1.0 if node.operator == "ReduceMax" else -1.0)
    tensor = node.affine(0)
    table, shape = reduction_windows(node, tensor)
    return largest(tensor.scaled(sign), table, hidden).reshaped(shape).scaled(sign)


RULES: dict[str, Rule] = {
    "Max": lambda node, hidden: _extreme(node, hidden, 1.0),
    "Min": lambda node, hidden: _extreme(node, hidden, -1.0),
    "MaxPool": _max_pool,
    "GlobalMaxPool": _global_max_pool,
    "ReduceMax": _reduce,
    "ReduceMin": _reduce,
}
