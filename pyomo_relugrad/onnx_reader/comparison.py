"""Rules of comparisons, and of what chooses by them: Where, and products with a mask."""

from __future__ import annotations

import numpy as np

from pyomo_relugrad.arrays import Array
from pyomo_relugrad.onnx_reader import arithmetic
from pyomo_relugrad.onnx_reader.affine import Affine
from pyomo_relugrad.onnx_reader.hidden_layers import HiddenLayers
from pyomo_relugrad.onnx_reader.node import Comparison, Node, Rule, Value

TOLERANCE = 1e-6
"""Relative to the coefficients of the two sides: what the float32 constants of a file leave of a continuous choice."""


def _greater(node: Node, hidden: HiddenLayers) -> Value:
    return Comparison(node.affine(0).minus(node.affine(1)))


def _less(node: Node, hidden: HiddenLayers) -> Value:
    return Comparison(node.affine(1).minus(node.affine(0)))


def _not(node: Node, hidden: HiddenLayers) -> Value:
    return Comparison(node.comparison(0).margin.scaled(np.array(-1.0)))


def _where(node: Node, hidden: HiddenLayers) -> Value:
    condition = node.inputs[0]
    if isinstance(condition, np.ndarray):
        return _fixed_choice(condition, node.masked(1), node.masked(2))
    return _choice(node, node.comparison(0).margin, node.affine(1), node.affine(2), hidden)


def _fixed_choice(condition: Array, chosen: Affine, other: Affine) -> Affine:
    shape = np.broadcast_shapes(condition.shape, chosen.shape, other.shape)
    chosen, other = chosen.broadcast(shape), other.broadcast(shape)
    positions = np.arange(chosen.size).reshape(shape)
    return chosen.stacked([other]).taken(np.where(condition, positions, positions + chosen.size))


def _choice(node: Node, margin: Affine, chosen: Affine, other: Affine, hidden: HiddenLayers) -> Affine:
    """`chosen` where `margin` is positive, else `other`: continuous if ``chosen - other = slope * margin``."""
    shape = np.broadcast_shapes(margin.shape, chosen.shape, other.shape)
    margin, difference = margin.broadcast(shape), chosen.minus(other).broadcast(shape)
    squares = margin.row_products(margin)
    slope = difference.row_products(margin) / np.where(squares > 0.0, squares, 1.0)
    gap = difference.minus(margin.scaled(slope.reshape(shape)))
    if (gap.row_products(gap) > TOLERANCE**2 * difference.row_products(difference)).any():
        raise node.unsupported("jumps where its comparison changes: only continuous choices are piecewise linear")
    return other.broadcast(shape).plus(hidden.relu(margin).scaled(slope.reshape(shape)))


def _mul(node: Node, hidden: HiddenLayers) -> Value:
    """A product; one with a mask, ``(x > 0) * x``, chooses between the other factor and zero."""
    for mask, factor in ((0, 1), (1, 0)):
        value = node.inputs[mask]
        if isinstance(value, Comparison):
            return _choice(node, value.margin, node.affine(factor), Affine((), {}, np.zeros(1)), hidden)
    return arithmetic.multiply(node, node.value(0), node.value(1))


RULES: dict[str, Rule] = {
    "Greater": _greater,
    "GreaterOrEqual": _greater,
    "Less": _less,
    "LessOrEqual": _less,
    "Not": _not,
    "Where": _where,
    "Mul": _mul,
}
