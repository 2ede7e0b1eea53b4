"""Rules of ScatterElements and ScatterND: updates that replace elements, or are put together with them."""

from collections.abc import Callable
from copy import deepcopy
from dataclasses import replace
from math import prod

import numpy as np

from pyomo_relugrad.arrays import Array
from pyomo_relugrad.errors import NetworkFileError
from pyomo_relugrad.network.building import Affine, HiddenLayers, largest, smallest
from pyomo_relugrad.network.linear_maps import check_entries
from pyomo_relugrad.readers.onnx.node import Node, Rule, Value
from pyomo_relugrad.readers.onnx.rules.affine_operators import BOTH_VARY
from pyomo_relugrad.readers.onnx.rules.movement import move


def _scatter(node: Node, hidden: HiddenLayers) -> Value | list[Value]:
    reduction = node.attribute("reduction", "none")
    if reduction == "none":
        return move(node, hidden)
    if reduction not in _REDUCTIONS:
        raise NetworkFileError(f"{node.operator} has no reduction {reduction!r}")
    data, updates = node.masked(0), node.masked(2)
    targets = _TARGETS[node.operator](node, data.shape, node.constant(1, "indices"))
    if targets.size != updates.size:
        raise NetworkFileError(f"updates of shape {updates.shape} do not fit the indices")
    table = _hits(targets, data.size)
    return _REDUCTIONS[reduction](node, data.stacked([updates]), table, hidden).reshaped(data.shape)


def _targets_of_elements(node: Node, shape: tuple[int, ...], indices: Array) -> Array:
    """The row-major position in the data that each update of ScatterElements goes to."""
    axis = node.attribute("axis", 0) % len(shape)
    places = list(np.indices(indices.shape))
    places[axis] = _counted_from_zero(indices, shape[axis])
    return np.ravel_multi_index(places, shape).ravel()


def _targets_of_slices(node: Node, shape: tuple[int, ...], indices: Array) -> Array:
    """The same for ScatterND, whose indices (..., k) each name a slice of the data."""
    depth = indices.shape[-1]
    places = [_counted_from_zero(indices[..., axis], shape[axis]).ravel() for axis in range(depth)]
    slices = np.ravel_multi_index(places, shape[:depth])
    rest = prod(shape[depth:])
    check_entries(slices.size * rest)
    return (slices[:, None] * rest + np.arange(rest)).ravel()


def _counted_from_zero(indices: Array, size: int) -> Array:
    if ((indices < -size) | (indices >= size)).any():
        raise NetworkFileError(f"an index lies outside a dimension of size {size}")
    return np.where(indices < 0, indices + size, indices)


def _hits(targets: Array, size: int) -> Array:
    """Windows (size, K): each element of the data, then the updates, numbered from `size` on, that go to it."""
    order = np.argsort(targets, kind="stable")
    sorted_targets = targets[order]
    starts = np.searchsorted(sorted_targets, sorted_targets)
    ranks = np.arange(targets.size) - starts
    depth = int(ranks.max(initial=-1)) + 2
    check_entries(size * depth)
    table = np.full((size, depth), -1)
    table[:, 0] = np.arange(size)
    table[sorted_targets, ranks + 1] = size + order
    return table


def _product(node: Node, vector: Affine, table: Array, hidden: HiddenLayers) -> Affine:
    """Products of which at most one factor depends on the network's input."""
    varies = (table >= 0) & (vector.row_sizes > 0.0)[table]
    if (varies.sum(axis=1) > 1).any():
        raise node.unsupported(BOTH_VARY)
    factors = np.where((table >= 0) & ~varies, vector.offset[table], 1.0).prod(axis=1)
    variable = np.where(varies.any(axis=1), table[np.arange(len(table)), varies.argmax(axis=1)], -1)
    products = vector.taken(variable).scaled(factors)
    return products.shifted(np.where(variable < 0, factors, 0.0))


def as_scatter_elements(node: Node) -> Node:
    """Scatter under the name that it has had since version 11."""
    proto = deepcopy(node.proto)
    proto.op_type = "ScatterElements"
    return replace(node, proto=proto, opset=11)


_TARGETS: dict[str, Callable[[Node, tuple[int, ...], Array], Array]] = {
    "ScatterElements": _targets_of_elements,
    "ScatterND": _targets_of_slices,
}

_REDUCTIONS: dict[str, Callable[[Node, Affine, Array, HiddenLayers], Affine]] = {
    "add": lambda node, vector, table, hidden: vector.weighted_sums(table, 1.0, table.shape[:1]),
    "mul": _product,
    "max": lambda node, vector, table, hidden: largest(vector, table, hidden),
    "min": lambda node, vector, table, hidden: smallest(vector, table, hidden),
}

RULES: dict[str, Rule] = {
    "ScatterElements": _scatter,
    "ScatterND": _scatter,
    "Scatter": lambda node, hidden: move(as_scatter_elements(node), hidden),
}
