"""Rules of GridSample with a constant grid and of Col2Im: weighted sums over few elements each."""

from dataclasses import replace
from itertools import product
from math import prod

import numpy as np

from pyomo_relugrad.arrays import Array
from pyomo_relugrad.errors import NetworkFileError
from pyomo_relugrad.network.building import HiddenLayers
from pyomo_relugrad.network.linear_maps import check_entries
from pyomo_relugrad.readers.onnx import windows
from pyomo_relugrad.readers.onnx.node import Node, Rule, Value, finite
from pyomo_relugrad.readers.onnx.rules.convolution import filtered, image_shape

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
        positions, weights = _around(at, mode)
    else:
        raise NetworkFileError(f"there is no mode {mode!r}")
    if mode == "cubic":
        positions = _inside(positions, padding, first, last, size)
    return np.clip(positions, -1, size).astype(np.int64), weights


def _around(places: Array, mode: str) -> tuple[Array, Array]:
    """Positions (..., K) on both sides of places (...), and their weights in a linear or a cubic interpolation."""
    reach, a = (1 if mode == "linear" else 2), -0.75
    positions = np.floor(places)[..., None] + np.arange(1.0 - reach, 1.0 + reach)
    distances = abs(positions - places[..., None])
    if mode == "linear":
        return positions, 1.0 - distances
    inner = (a + 2.0) * distances**3 - (a + 3.0) * distances**2 + 1.0
    outer = a * (distances**3 - 5.0 * distances**2 + 8.0 * distances - 4.0)
    return positions, np.where(distances <= 1.0, inner, outer)


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
    counts = [axis.output_size() for axis in axes]
    batch, rows, blocks = tensor.shape
    channels = rows // prod(block)
    if channels * prod(block) != rows or prod(counts) != blocks:
        raise NetworkFileError(f"a tensor of shape {tensor.shape} does not hold {counts} blocks of shape {block}")
    tables = [
        replace(axis, size=count).transposed_positions(size)
        for axis, count, size in zip(axes, counts, spatial, strict=True)
    ]
    kernels = np.broadcast_to(np.eye(prod(block)), (channels, 1, prod(block), prod(block)))
    return filtered(tensor.reshaped((batch, rows, *counts)), windows.joined(tables, counts), kernels, spatial)


RULES: dict[str, Rule] = {"Col2Im": _col2im, "GridSample": _grid_sample}
