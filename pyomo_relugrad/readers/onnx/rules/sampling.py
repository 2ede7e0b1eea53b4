"""Rules of GridSample with a constant grid and of Col2Im: weighted sums over few elements each."""

from __future__ import annotations

from itertools import product
from math import prod

import numpy as np

from pyomo_relugrad.arrays import Array
from pyomo_relugrad.errors import NetworkFileError
from pyomo_relugrad.network.building import HiddenLayers
from pyomo_relugrad.network.linear_maps import check_entries
from pyomo_relugrad.readers.onnx import windows
from pyomo_relugrad.readers.onnx.node import Node, Rule, Value, finite
from pyomo_relugrad.readers.onnx.rules.convolution import image_shape
from pyomo_relugrad.readers.onnx.rules.interpolation import neighbours
from pyomo_relugrad.readers.onnx.windows import Axis

_MODES = {"bilinear": "linear", "bicubic": "cubic"}
"""What versions before 20 call modes."""


def _grid_sample(node: Node, hidden: HiddenLayers) -> Value:
    tensor, grid = node.affine(0), finite(node.constant(1, "grid"))
    batch, channels, spatial = image_shape(tensor)
    rank = len(spatial)
    if grid.shape[0] != batch or grid.ndim != rank + 2 or grid.shape[-1] != rank:
        raise NetworkFileError(f"a grid of shape {grid.shape} does not fit a tensor of shape {tensor.shape}")
    places = grid.reshape(batch, -1, rank)[..., ::-1]  # the grid names the last dimension first
    mode = node.attribute("mode", "linear")
    near = [_neighbours(node, places[..., axis], size, _MODES.get(mode, mode)) for axis, size in enumerate(spatial)]
    corners = list(product(*(range(positions.shape[-1]) for positions, _ in near)))
    check_entries(tensor.size * len(corners))
    indices = np.full((*places.shape[:2], len(corners)), -1)
    weights = np.ones(indices.shape)
    for column, corner in enumerate(corners):
        inside = np.ones(places.shape[:2], dtype=bool)
        position = np.zeros(places.shape[:2], dtype=np.int64)
        for (positions, shares), place, size in zip(near, corner, spatial, strict=True):
            own = positions[..., place]
            inside &= (own >= 0) & (own < size)
            position = position * size + own
            weights[..., column] *= shares[..., place]
        indices[..., column] = np.where(inside, position, -1)
    starts = (np.arange(batch * channels) * prod(spatial)).reshape(batch, channels, 1, 1)
    table = np.where(indices[:, None] >= 0, indices[:, None] + starts, -1)
    shares = np.broadcast_to(weights[:, None], table.shape)
    shape = (batch, channels, *grid.shape[1:-1])
    return tensor.weighted_sums(table.reshape(-1, len(corners)), shares.reshape(-1, len(corners)), shape)


def _neighbours(node: Node, places: Array, size: int, mode: str) -> tuple[Array, Array]:
    """Positions (..., k) along one dimension that a sample reads, negative or too large outside, and their weights."""
    aligned = bool(node.attribute("align_corners", 0))
    padding = node.attribute("padding_mode", "zeros")
    at = (places + 1.0) / 2.0 * (size - 1) if aligned else ((places + 1.0) * size - 1.0) / 2.0
    first, last = (0.0, size - 1.0) if aligned else (-0.5, size - 0.5)
    if mode != "cubic":  # whose neighbours are moved inside one by one
        at = _inside(at, padding, first, last, size)
    if mode == "nearest":
        positions, weights = np.rint(at)[..., None], np.ones((*at.shape, 1))
    elif mode in ("linear", "cubic"):
        positions, weights = neighbours(at, mode)
    else:
        raise NetworkFileError(f"there is no mode {mode!r}")
    if mode == "cubic":
        positions = _inside(positions, padding, first, last, size)
    return np.clip(positions, -1, size).astype(np.int64), weights


def _inside(at: Array, padding: str, first: float, last: float, size: int) -> Array:
    """Places outside the image as its padding has them."""
    if padding == "border":
        return np.clip(at, 0.0, size - 1.0)
    if padding == "reflection":
        width = last - first
        if width <= 0.0:
            return np.zeros_like(at)
        rest = np.mod(at - first, 2.0 * width)
        return np.clip(first + np.minimum(rest, 2.0 * width - rest), 0.0, size - 1.0)
    if padding == "zeros":
        return at
    raise NetworkFileError(f"there is no padding_mode {padding!r}")


def _col2im(node: Node, hidden: HiddenLayers) -> Value:
    """Blocks that are added up where they overlap: the transposed convolution with kernels of ones and zeros."""
    tensor = node.affine(0)
    spatial = [int(size) for size in node.constant(1, "image_shape").ravel()]
    block = [int(size) for size in node.constant(2, "block_shape").ravel()]
    if len(tensor.shape) != 3 or len(spatial) != len(block):
        raise NetworkFileError(f"a tensor of shape {tensor.shape} holds no blocks of shape {block}")
    axes = windows.axes(node, spatial, block)
    tables = [_places(axis) for axis in axes]
    counts = [axis.output_size() for axis in axes]
    batch, rows, blocks = tensor.shape
    channels = rows // prod(block)
    if channels * prod(block) != rows or prod(counts) != blocks:
        raise NetworkFileError(f"a tensor of shape {tensor.shape} does not hold {counts} blocks of shape {block}")
    table = _joined(tables, block, counts)
    table = windows.repeated(table, prod(block) * blocks, batch * channels)
    return tensor.weighted_sums(table, 1.0, (batch, channels, *spatial))


def _places(axis: Axis) -> tuple[Array, Array]:
    """For each element of a dimension the elements of blocks, and the blocks (size, kernel), that lie on it."""
    reached = np.arange(axis.size)[:, None] + axis.pad_begin - np.arange(axis.kernel) * axis.dilation
    blocks, rest = np.divmod(reached, axis.stride)
    is_block = (rest == 0) & (blocks >= 0) & (blocks < axis.output_size())
    return np.broadcast_to(np.arange(axis.kernel), blocks.shape), np.where(is_block, blocks, -1)


def _joined(tables: list[tuple[Array, Array]], block: list[int], counts: list[int]) -> Array:
    """Positions (elements, K) in a channel's (elements of a block, blocks)."""
    elements = windows.joined([np.where(blocks >= 0, inner, -1) for inner, blocks in tables], block)
    places = windows.joined([blocks for _, blocks in tables], counts)
    return np.where(places >= 0, elements * prod(counts) + places, -1)


RULES: dict[str, Rule] = {"Col2Im": _col2im, "GridSample": _grid_sample}
