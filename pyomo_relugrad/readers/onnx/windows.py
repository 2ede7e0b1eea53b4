"""Windows: for every output element the positions of the input elements that it is computed from.

Convolutions, pooling and reductions differ only in their windows and in what they do with them. A table of windows is
an integer array (outputs, K) of row-major positions in the input, -1 where a window has none (padding).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, prod

import numpy as np

from pyomo_relugrad.arrays import Array
from pyomo_relugrad.errors import NetworkFileError, UnsupportedOperatorError
from pyomo_relugrad.network.linear_maps import check_entries
from pyomo_relugrad.readers.onnx.evaluate import MAX_ELEMENTS
from pyomo_relugrad.readers.onnx.node import Node

_MAX_TABLE = 4 * MAX_ELEMENTS

_POOLS = frozenset({"AveragePool", "LpPool", "MaxPool"})
"""Operators whose auto_pad onnxruntime computes for the undilated kernel; the specification does not."""


@dataclass(frozen=True)
class Axis:
    """How a kernel slides along one spatial axis of `size` elements."""

    size: int
    kernel: int
    stride: int
    dilation: int
    pad_begin: int
    pad_end: int

    def __post_init__(self) -> None:
        if min(self.size, self.kernel, self.stride, self.dilation) < 1 or min(self.pad_begin, self.pad_end) < 0:
            raise NetworkFileError(f"kernel sizes, strides and dilations must be positive, got {self}")

    @property
    def extent(self) -> int:
        """Elements from the first to the last that the kernel touches."""
        return (self.kernel - 1) * self.dilation + 1

    def output_size(self, ceil_mode: bool = False) -> int:
        """Number of places where the kernel is put down."""
        steps = (self.size + self.pad_begin + self.pad_end - self.extent) / self.stride
        count = (ceil(steps) if ceil_mode else int(np.floor(steps))) + 1
        if ceil_mode and (count - 1) * self.stride >= self.size + self.pad_begin:
            count -= 1  # a window that starts in the padding at the end is left out
        return _checked_size(count)

    def positions(self, ceil_mode: bool = False) -> Array:
        """Positions (outputs, kernel) under the kernel, also those in the padding."""
        _check_table(self.output_size(ceil_mode) * self.kernel)
        starts = np.arange(self.output_size(ceil_mode)) * self.stride - self.pad_begin
        return starts[:, None] + np.arange(self.kernel) * self.dilation

    def transposed_output_size(self, output_padding: int) -> int:
        """Number of elements that a transposed convolution makes of this axis."""
        grown = (self.size - 1) * self.stride + output_padding + self.extent
        return _checked_size(grown - self.pad_begin - self.pad_end)

    def transposed_positions(self, output_size: int) -> Array:
        """Positions (outputs, kernel) that a transposed convolution takes each output from, -1 where there is none."""
        _check_table(output_size * self.kernel)
        reached = np.arange(output_size)[:, None] + self.pad_begin - np.arange(self.kernel) * self.dilation
        positions, rest = np.divmod(reached, self.stride)
        return np.where((rest == 0) & (positions >= 0) & (positions < self.size), positions, -1)


def axes(node: Node, spatial: Sequence[int], kernel: Sequence[int]) -> list[Axis]:
    """The axes of a convolution or pooling node, from its attributes."""
    rank = len(spatial)
    strides = node.attribute("strides") or [1] * rank
    dilations = node.attribute("dilations") or [1] * rank
    pads = list(node.attribute("pads") or [0] * 2 * rank)
    if not len(kernel) == len(strides) == len(dilations) == rank or len(pads) != 2 * rank:
        raise NetworkFileError(f"kernel, strides, dilations or pads do not fit {rank} spatial dimensions")
    auto_pad = node.attribute("auto_pad", "NOTSET")
    result = []
    for i in range(rank):
        begin, end = pads[i], pads[rank + i]
        if auto_pad == "VALID":
            begin = end = 0
        elif auto_pad in ("SAME_UPPER", "SAME_LOWER") and node.operator != "ConvTranspose":
            dilation = 1 if node.operator in _POOLS else dilations[i]
            begin, end = _automatic_padding(node, Axis(spatial[i], kernel[i], strides[i], dilation, 0, 0))
        result.append(Axis(int(spatial[i]), int(kernel[i]), strides[i], dilations[i], begin, end))
    return result


def _automatic_padding(node: Node, axis: Axis) -> tuple[int, int]:
    """Padding with which there are ceil(size / stride) outputs."""
    missing = (ceil(axis.size / axis.stride) - 1) * axis.stride + axis.extent - axis.size
    # onnxruntime leaves out elements, and its operators differ in which; one at the end makes no difference
    if missing < (0 if node.operator in _POOLS else -1):
        raise node.unsupported("has auto_pad and strides larger than its kernel: export the network with explicit pads")
    return split_padding(max(missing, 0), node.attribute("auto_pad"))


def split_padding(total: int, auto_pad: str) -> tuple[int, int]:
    """Padding at the beginning and at the end: an odd one goes to the end for SAME_UPPER, else to the beginning."""
    small, large = total // 2, total - total // 2
    return (small, large) if auto_pad == "SAME_UPPER" else (large, small)


def joined(tables: Sequence[Array], spatial: Sequence[int]) -> Array:
    """Windows (outputs, K) in several dimensions from the positions (outputs_i, kernel_i) along each."""
    outputs, kernels = prod(len(table) for table in tables), prod(table.shape[1] for table in tables)
    _check_table(outputs * kernels)
    result = np.zeros((1, 1), dtype=np.int64)
    for table, size in zip(tables, spatial, strict=True):
        inside = (table >= 0) & (table < size)
        moved = np.where(
            (result >= 0)[:, None, :, None] & inside[None, :, None, :],
            result[:, None, :, None] * size + table[None, :, None, :],
            -1,
        )
        result = moved.reshape(result.shape[0] * table.shape[0], -1)
    return result


def repeated(windows: Array, size: int, copies: int) -> Array:
    """The windows for `copies` tensors of `size` elements that lie behind one another: channels, batches."""
    check_entries(windows.size * copies)
    starts = np.arange(copies)[:, None, None] * size
    return np.where(windows >= 0, windows + starts, -1).reshape(-1, windows.shape[1])


def reduction(shape: tuple[int, ...], reduced: Sequence[int]) -> Array:
    """Windows of a reduction over the given axes: one row per element that is left.

    Raises
    ------
    UnsupportedOperatorError
        If there is nothing to be reduced.
    """
    positions = np.arange(prod(shape)).reshape(shape)
    kept = [axis for axis in range(len(shape)) if axis not in reduced]
    count = prod(shape[axis] for axis in reduced)
    if not count:
        raise UnsupportedOperatorError("a reduction of no elements is not read: export the network without it")
    return positions.transpose([*kept, *reduced]).reshape(-1, count)


def _check_table(entries: int) -> None:
    if entries > _MAX_TABLE:
        raise NetworkFileError(f"its windows would have {entries:.3g} elements in all, too many to be listed")


def _checked_size(size: int) -> int:
    if not 1 <= size <= MAX_ELEMENTS:
        raise NetworkFileError(f"its output would have {size} elements along one dimension")
    return size
