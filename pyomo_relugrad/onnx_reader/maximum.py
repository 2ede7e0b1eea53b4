"""Rules of maxima and minima: of tensors, over windows, over axes."""

from __future__ import annotations

from math import prod

import numpy as np

from pyomo_relugrad.arrays import Array
from pyomo_relugrad.errors import NetworkFileError
from pyomo_relugrad.onnx_reader import windows
from pyomo_relugrad.onnx_reader.affine import Affine, stands_for_infinity
from pyomo_relugrad.onnx_reader.convolution import image_shape, reduction_windows
from pyomo_relugrad.onnx_reader.hidden_layers import HiddenLayers
from pyomo_relugrad.onnx_reader.node import Node, Rule, Value

LARGE = 1e4
"""A constant above this is not added to a variable and taken off again: that costs digits of the variable."""


def maximum(left: Affine, right: Affine, hidden: HiddenLayers) -> Affine:
    """Element-wise maximum ``right + relu(left - right)``; the side with fewer coefficients is carried along.

    Where one side's offset is large, the other side is carried, and passes exactly. An offset that stands for infinity
    decides alone: that is how elements are masked out.
    """
    if max(abs(left.offset).max(initial=0.0), abs(right.offset).max(initial=0.0)) > LARGE:
        shape = np.broadcast_shapes(left.shape, right.shape)
        left, right = (side.broadcast(shape).reshaped((prod(shape),)) for side in (left, right))
        return _maximum_with_large_offsets(left, right, hidden).reshaped(shape)
    if left.entry_count < right.entry_count:
        left, right = right, left
    return right.plus(hidden.relu(left.minus(right)))


def _maximum_with_large_offsets(left: Affine, right: Affine, hidden: HiddenLayers) -> Affine:
    """Maximum of two vectors. Where one side stands for infinity, the larger offset wins."""
    n = left.size
    decided = stands_for_infinity(np.maximum(abs(left.offset), abs(right.offset)), left, right)
    if not decided.any():
        return _ordered_maximum(left, right, hidden)
    source = np.where(left.offset >= right.offset, np.arange(n), n + np.arange(n))
    kept = np.flatnonzero(~decided)
    source[kept] = 2 * n + np.arange(kept.size)
    merged = maximum(left.taken(kept), right.taken(kept), hidden)
    return left.stacked([right, merged]).taken(source)


def _ordered_maximum(left: Affine, right: Affine, hidden: HiddenLayers) -> Affine:
    """Maximum of two vectors, of which the element with the smaller offset is carried along."""
    n = left.size
    both, own = left.stacked([right]), np.arange(n)
    left_is_carried = abs(left.offset) < abs(right.offset)
    carried = both.taken(np.where(left_is_carried, own, own + n))
    other = both.taken(np.where(left_is_carried, own + n, own))
    return carried.plus(hidden.relu(other.minus(carried)))


def largest(tensor: Affine, table: Array, hidden: HiddenLayers) -> Affine:
    """Largest element of each window, (n,), by a tree of pairwise maxima.

    `table` is (n, k_1, ..., k_d), -1 where a window has no element. It is reduced axis by axis, last first, and pairs
    that several windows share are computed once.
    """
    vector = tensor.reshaped((tensor.size,))
    while table.ndim > 1:
        if table.shape[-1] == 1:
            table = table[..., 0]
            continue
        vector, table = _paired(vector, table, hidden)
    if (table < 0).any():
        raise NetworkFileError("a window lies in the padding alone")
    return vector.taken(table)


def _paired(vector: Affine, table: Array, hidden: HiddenLayers) -> tuple[Affine, Array]:
    """One level of the tree: neighbours along the last axis are replaced by their maximum."""
    if table.shape[-1] % 2:
        table = np.concatenate([table, np.full((*table.shape[:-1], 1), -1)], axis=-1)
    left, right = table[..., 0::2], table[..., 1::2]
    both = (left >= 0) & (right >= 0) & (left != right)
    pairs, pair_of = np.unique(np.stack([left[both], right[both]]), axis=1, return_inverse=True)
    single = np.maximum(left, right)
    used = np.unique(single[~both & (single >= 0)])
    result = np.where(single >= 0, np.searchsorted(used, single), -1)
    result[both] = used.size + pair_of.ravel()
    merged = maximum(vector.taken(pairs[0]), vector.taken(pairs[1]), hidden)
    return (vector.taken(used).stacked([merged]) if used.size else merged), result


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
