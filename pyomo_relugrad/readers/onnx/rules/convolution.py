"""Rules of convolutions, average pooling, sums and means: weighted sums over windows."""

from collections.abc import Sequence
from dataclasses import replace
from math import prod
from typing import Any

import numpy as np

from pyomo_relugrad.arrays import Array
from pyomo_relugrad.errors import NetworkFileError
from pyomo_relugrad.network.building import Affine, HiddenLayers
from pyomo_relugrad.network.linear_maps import check_entries
from pyomo_relugrad.readers.onnx import windows
from pyomo_relugrad.readers.onnx.node import Node, Rule, Value, finite
from pyomo_relugrad.readers.onnx.windows import Axis


def image_shape(tensor: Affine) -> tuple[int, int, tuple[int, ...]]:
    """Batch, channels and spatial dimensions of a tensor."""
    if len(tensor.shape) < 3:
        raise NetworkFileError(f"expected a tensor (batch, channels, ...), got shape {tensor.shape}")
    return tensor.shape[0], tensor.shape[1], tensor.shape[2:]


def _conv(node: Node, hidden: HiddenLayers) -> Value:
    tensor, weight = node.affine(0), finite(node.constant(1, "kernel"))
    _, channels, spatial = image_shape(tensor)
    groups = node.attribute("group", 1)
    _check_kernel(node, weight, channels, weight.shape[1] * groups, weight.shape[0], groups)
    axes = windows.axes(node, spatial, weight.shape[2:])
    table = windows.joined([axis.positions() for axis in axes], spatial)
    kernels = weight.reshape(groups, -1, weight.shape[1], prod(weight.shape[2:]))
    return _with_bias(node, filtered(tensor, table, kernels, [axis.output_size() for axis in axes]))


def _conv_transpose(node: Node, hidden: HiddenLayers) -> Value:
    tensor, weight = node.affine(0), finite(node.constant(1, "kernel"))
    _, channels, spatial = image_shape(tensor)
    groups = node.attribute("group", 1)
    _check_kernel(node, weight, channels, weight.shape[0], weight.shape[0], groups)
    axes, sizes = _transposed_axes(node, spatial, weight.shape[2:])
    tables = [axis.transposed_positions(size) for axis, size in zip(axes, sizes, strict=True)]
    kernels = weight.reshape(groups, channels // groups, weight.shape[1], -1).swapaxes(1, 2)
    return _with_bias(node, filtered(tensor, windows.joined(tables, spatial), kernels, sizes))


def _check_kernel(node: Node, weight: Array, channels: int, expected: int, divided: int, groups: int) -> None:
    if groups < 1 or channels != expected or channels % groups or divided % groups:
        raise NetworkFileError(f"a kernel of shape {weight.shape} in {groups} groups does not fit {channels} channels")


def _transposed_axes(node: Node, spatial: Sequence[int], kernel: Sequence[int]) -> tuple[list[Axis], list[int]]:
    """Axes and output sizes of a transposed convolution; a wanted output shape decides the padding."""
    rank = len(spatial)
    extra = node.attribute("output_padding") or [0] * rank
    auto_pad = node.attribute("auto_pad", "NOTSET")
    wanted = node.attribute("output_shape")
    is_same = wanted is None and auto_pad in ("SAME_UPPER", "SAME_LOWER")
    axes = windows.axes(node, spatial, kernel)
    if is_same:
        wanted = [axis.size * axis.stride for axis in axes]
    if wanted is not None:
        side = "SAME_UPPER" if auto_pad == "SAME_UPPER" else "SAME_LOWER"
        axes = [_padded_to(axis, size, pad, side) for axis, size, pad in zip(axes, wanted[-rank:], extra, strict=True)]
    # where the wanted size is beyond reach, auto_pad has the size that is reached, as in onnxruntime
    if wanted is None or is_same:
        return axes, [axis.transposed_output_size(pad) for axis, pad in zip(axes, extra, strict=True)]
    return axes, list(wanted[-rank:])


def _padded_to(axis: Axis, size: int, extra: int, side: str) -> Axis:
    """The axis with the padding that leaves `size` elements of a transposed convolution."""
    unpadded = replace(axis, pad_begin=0, pad_end=0)
    begin, end = windows.split_padding(max(unpadded.transposed_output_size(extra) - size, 0), side)
    return replace(axis, pad_begin=begin, pad_end=end)


def filtered(tensor: Affine, table: Array, kernels: Array, sizes: Sequence[int]) -> Affine:
    """Sums over windows and channels: `kernels` is (groups, outputs, inputs, K), all of one group."""
    batch, _, spatial = image_shape(tensor)
    groups, outputs, inputs, terms = kernels.shape
    places, size = table.shape[0], prod(spatial)
    check_entries(batch * groups * outputs * places * inputs * terms)
    # one row per (batch, group, output channel, place), one column per (input channel, kernel element)
    starts = np.arange(batch * groups * inputs).reshape(batch, groups, 1, 1, inputs, 1) * size
    indices = np.where(table[:, None, :] >= 0, table[:, None, :] + starts, -1).astype(np.int32)
    indices = np.broadcast_to(indices, (batch, groups, outputs, places, inputs, terms)).reshape(-1, inputs * terms)
    weights = np.broadcast_to(kernels[None, :, :, None], (batch, groups, outputs, places, inputs, terms))
    shape = (batch, groups * outputs, *sizes)
    return tensor.weighted_sums(indices, weights.reshape(-1, inputs * terms), shape)


def _with_bias(node: Node, tensor: Affine) -> Affine:
    bias = node.optional_constant(2, "bias")
    if bias is None:
        return tensor
    if bias.shape != tensor.shape[1:2]:
        raise NetworkFileError(f"a bias of shape {bias.shape} does not fit {tensor.shape[1]} channels")
    return tensor.shifted(finite(bias).reshape(-1, *(1,) * (len(tensor.shape) - 2)))


def pooling_windows(node: Node, tensor: Affine) -> tuple[Array, tuple[int, ...]]:
    """Windows and output shape of a pooling node; a global one has one window for each image and channel."""
    batch, channels, spatial = image_shape(tensor)
    if node.operator.startswith("Global"):
        return np.arange(tensor.size).reshape(batch * channels, -1), (batch, channels, *(1,) * len(spatial))
    axes, ceil_mode = windows.axes(node, spatial, node.attribute("kernel_shape")), bool(node.attribute("ceil_mode", 0))
    table = windows.joined([axis.positions(ceil_mode) for axis in axes], spatial)
    shape = (batch, channels, *(axis.output_size(ceil_mode) for axis in axes))
    return windows.repeated(table, prod(spatial), batch * channels), shape


def _average_pool(node: Node, hidden: HiddenLayers) -> Value:
    """AveragePool and GlobalAveragePool."""
    tensor = node.affine(0)
    table, shape = pooling_windows(node, tensor)
    counts = (table >= 0).sum(axis=1)
    if node.attribute("count_include_pad", 0):
        counts = np.tile(_counts_with_padding(node, tensor.shape[2:]), tensor.shape[0] * tensor.shape[1])
    return tensor.weighted_sums(table, 1.0 / np.maximum(counts, 1)[:, None], shape)


def _counts_with_padding(node: Node, spatial: Sequence[int]) -> Array:
    """Elements of each window of one image: padding counts as zeros in an average, but not what lies beyond it."""
    counts = np.ones(1, np.int64)
    for axis in windows.axes(node, spatial, node.attribute("kernel_shape")):
        positions = axis.positions(bool(node.attribute("ceil_mode", 0)))
        inside = (positions >= -axis.pad_begin) & (positions < axis.size + axis.pad_end)
        counts = np.multiply.outer(counts, inside.sum(axis=1)).ravel()
    return counts


def reduction_windows(node: Node, tensor: Affine) -> tuple[Array, tuple[int, ...]]:
    """Windows and output shape of a reduction node, whose axes are an attribute or, later, an input."""
    given = node.optional_constant(1, "axes") if node.has_input(1) else node.attribute("axes")
    reduced = reduced_axes(node, tensor.shape, given)
    keep = node.attribute("keepdims", 1)
    shape = [1 if axis in reduced else size for axis, size in enumerate(tensor.shape) if keep or axis not in reduced]
    return windows.reduction(tensor.shape, reduced), tuple(shape)


def reduced_axes(node: Node, shape: tuple[int, ...], given: Any) -> list[int]:
    """The axes of a tensor that a reduction node takes together, from those that it is given."""
    rank = len(shape)
    chosen = [] if given is None else [int(axis) for axis in np.ravel(given)]
    if any(not -rank <= axis < rank for axis in chosen):
        raise NetworkFileError(f"axes {chosen} do not exist in a tensor of shape {shape}")
    if not chosen and not node.attribute("noop_with_empty_axes", 0):
        chosen = list(range(rank))
    return sorted({axis % rank for axis in chosen})


def _reduce(node: Node, hidden: HiddenLayers) -> Value:
    tensor = node.affine(0)
    table, shape = reduction_windows(node, tensor)
    weight = 1.0 / table.shape[1] if node.operator == "ReduceMean" else 1.0
    return tensor.weighted_sums(table, weight, shape)


RULES: dict[str, Rule] = {
    "Conv": _conv,
    "ConvTranspose": _conv_transpose,
    "AveragePool": _average_pool,
    "GlobalAveragePool": _average_pool,
    "ReduceMean": _reduce,
    "ReduceSum": _reduce,
}
