"""Products of tensors that both depend on the network's input: gates, bilinear layers, branch times trunk, powers."""

from collections.abc import Sequence
from math import prod

import numpy as np

from pyomo_relugrad.arrays import Array
from pyomo_relugrad.network import curves
from pyomo_relugrad.network.building import Affine, HiddenLayers, either
from pyomo_relugrad.network.linear_maps import check_entries
from pyomo_relugrad.readers.onnx.gates import gated
from pyomo_relugrad.readers.onnx.node import Node, Rule, Value
from pyomo_relugrad.readers.onnx.rules.convolution import reduction_windows


def product(left: Affine, right: Affine, hidden: HiddenLayers) -> Affine:
    """The product, element by element, of tensors that broadcast; elements of which one is constant stay affine."""
    shape = np.broadcast_shapes(left.shape, right.shape)
    left, right = (side.broadcast(shape) for side in (left, right))
    if not (left.terms and right.terms):
        varying, constant = (left, right) if left.terms else (right, left)
        return varying.scaled(constant.offset.reshape(shape))
    for side, other in ((left, right), (right, left)):
        is_constant = side.row_sizes == 0.0
        if is_constant.any():
            linear = other.elements(is_constant).scaled(side.offset[is_constant])
            rest = product(left.elements(~is_constant), right.elements(~is_constant), hidden)
            return either(is_constant, linear, rest).reshaped(shape)
    gate = gated(left, right, hidden)
    return _by_squares(left, right, hidden) if gate is None else gate


def _by_squares(left: Affine, right: Affine, hidden: HiddenLayers) -> Affine:
    """``((u + v)**2 - (u - v)**2) / 4`` of multiples ``u`` and ``v`` of the factors that move as far as one another.

    So the squares lose no digits, and their relaxation is the tightest over factors that move apart.
    """
    spans = hidden.spans(left), hidden.spans(right)
    is_known = (spans[0] > 0.0) & (spans[1] > 0.0)
    ratios = np.sqrt(np.divide(spans[1], spans[0], out=np.ones(left.size), where=is_known)).reshape(left.shape)
    u, v = left.scaled(ratios), right.scaled(1.0 / ratios)
    of_sum, of_difference = (
        hidden.smooth(side, curves.SQUARE).scaled(np.array(0.25)) for side in (u.plus(v), u.minus(v))
    )
    return of_sum.minus(of_difference)


def einsum(node: Node, left: Affine, right: Affine, hidden: HiddenLayers) -> Affine | None:
    """Einsum of two tensors; None where the equation has an ellipsis, or a letter twice in one of them."""
    equation = node.attribute("equation", b"")
    text = (equation.decode() if isinstance(equation, bytes) else equation).replace(" ", "")
    given, _, kept = text.partition("->")
    letters = given.split(",")
    if "->" not in text:
        kept = "".join(sorted(letter for letter in {*given} - {","} if given.count(letter) == 1))
    if "." in text or len(letters) != 2 or any(len({*own}) < len(own) for own in letters):
        return None
    order = kept + "".join(sorted({*given} - {",", *kept}))
    places = []
    for side, own in zip((left, right), letters, strict=True):
        there = (
            np.arange(side.size).reshape(side.shape).transpose([own.index(letter) for letter in order if letter in own])
        )
        places.append(np.expand_dims(there, [axis for axis, letter in enumerate(order) if letter not in own]))
    wide = np.broadcast_arrays(*places)
    return sums_of_products(left, right, wide, wide[0].shape[: len(kept)], hidden)


def sums_of_products(
    left: Affine, right: Affine, places: Sequence[Array], shape: tuple[int, ...], hidden: HiddenLayers
) -> Affine:
    """Products of the elements at these places, summed over the last axes: as many sums as the shape has elements."""
    count, rows = places[0].size, prod(shape)
    check_entries(count)
    made = product(left.taken(places[0]), right.taken(places[1]), hidden)
    return made.weighted_sums(np.arange(count).reshape(rows, count // max(rows, 1)), 1.0, shape)


def _reduce_prod(node: Node, hidden: HiddenLayers) -> Value:
    """A tree of products, whose factors are of one degree."""
    tensor = node.affine(0)
    table, shape = reduction_windows(node, tensor)
    factors = tensor.taken(table.T)
    while factors.shape[0] > 1:
        count, half = factors.shape[0], factors.shape[0] // 2
        places = np.split(np.arange(factors.size).reshape(factors.shape), [half, 2 * half])
        first, second, rest = (factors.taken(part) for part in places)
        factors = product(first, second, hidden).stacked([rest]).reshaped((count - half, *factors.shape[1:]))
    return factors.reshaped(shape)


def _reduce_sum_square(node: Node, hidden: HiddenLayers) -> Value:
    tensor = node.affine(0)
    table, shape = reduction_windows(node, tensor)
    return hidden.smooth(tensor, curves.SQUARE).weighted_sums(table, 1.0, shape)


RULES: dict[str, Rule] = {"ReduceProd": _reduce_prod, "ReduceSumSquare": _reduce_sum_square}
