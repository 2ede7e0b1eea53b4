"""Products of tensors that both depend on the network's input: gates, bilinear layers, branch times trunk, powers."""

from functools import reduce

import numpy as np

from pyomo_relugrad.network import curves
from pyomo_relugrad.network.building import Affine, HiddenLayers
from pyomo_relugrad.network.linear_maps import check_entries
from pyomo_relugrad.readers.onnx.gates import gated
from pyomo_relugrad.readers.onnx.node import Node, Rule, Value
from pyomo_relugrad.readers.onnx.rules.convolution import reduction_windows


def product(left: Affine, right: Affine, hidden: HiddenLayers) -> Affine:
    """The product, element by element, of tensors that broadcast: one activation, or ``((u + v)**2 - (u - v)**2) / 4``.

    Multiples ``u`` and ``v`` of the factors are alike in size, as the squares' rounding and relaxation ask for.
    """
    shape = np.broadcast_shapes(left.shape, right.shape)
    left, right = (side.broadcast(shape) for side in (left, right))
    if not (left.terms and right.terms):
        varying, constant = (left, right) if left.terms else (right, left)
        return varying.scaled(constant.offset.reshape(shape))
    gate = gated(left, right, hidden)
    if gate is not None:
        return gate
    sizes = [side.row_products(side) for side in (left, right)]
    ratios = np.divide(sizes[1], sizes[0], out=np.ones(left.size), where=(sizes[0] > 0.0) & (sizes[1] > 0.0)) ** 0.25
    u, v = left.scaled(ratios.reshape(shape)), right.scaled(1.0 / ratios.reshape(shape))
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
    return sums_of_products(left.taken(wide[0]), right.taken(wide[1]), wide[0].shape[: len(kept)], hidden)


def sums_of_products(left: Affine, right: Affine, shape: tuple[int, ...], hidden: HiddenLayers) -> Affine:
    """Sums over the last axes of a product, as many elements as the shape has."""
    check_entries(left.size)
    rows = int(np.prod(shape))
    return product(left, right, hidden).weighted_sums(np.arange(left.size).reshape(rows, left.size // rows), 1.0, shape)


def _columns(node: Node) -> tuple[list[Affine], tuple[int, ...]]:
    """What is reduced, a vector for each place in the windows, and the shape of the result."""
    tensor = node.affine(0)
    table, shape = reduction_windows(node, tensor)
    return [tensor.taken(column) for column in table.T], shape


def _reduce_prod(node: Node, hidden: HiddenLayers) -> Value:
    columns, shape = _columns(node)
    return reduce(lambda left, right: product(left, right, hidden), columns).reshaped(shape)


def _reduce_sum_square(node: Node, hidden: HiddenLayers) -> Value:
    columns, shape = _columns(node)
    return reduce(Affine.plus, (hidden.smooth(column, curves.SQUARE) for column in columns)).reshaped(shape)


RULES: dict[str, Rule] = {"ReduceProd": _reduce_prod, "ReduceSumSquare": _reduce_sum_square}
