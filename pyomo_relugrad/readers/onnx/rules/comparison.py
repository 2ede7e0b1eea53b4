"""Rules of comparisons, of truth values, and of what chooses by them: Where, and products with a mask."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
from onnx import TensorProto

from pyomo_relugrad.arrays import Array
from pyomo_relugrad.network.building import Affine, HiddenLayers, stands_for_infinity
from pyomo_relugrad.readers.onnx.gates import cut_off
from pyomo_relugrad.readers.onnx.node import Node, Rule, Value, finite
from pyomo_relugrad.readers.onnx.one_variable import OneVariable, combined, lifted, unified, wholes
from pyomo_relugrad.readers.onnx.pieces import Pieces
from pyomo_relugrad.readers.onnx.rules import arithmetic, products


def _operands(node: Node, positions: tuple[int, ...]) -> list[OneVariable]:
    """Inputs of one shape, as functions of one variable."""
    values = [_lifted(node, position) for position in positions]
    shape = np.broadcast_shapes(*(value.shape for value in values))
    return [value.broadcast(shape) for value in values]


def _lifted(node: Node, position: int) -> OneVariable:
    value = node.inputs[position]
    return value if isinstance(value, OneVariable) else lifted(node.affine(position), node.proto)


def _made(node: Node, shape: tuple[int, ...], variable: Affine, pieces: Pieces, is_truth: bool) -> OneVariable:
    rest = Affine.constant(np.zeros(variable.size))
    return OneVariable(shape, variable, pieces, rest, node.proto, is_truth)


def _sum(node: Node, left: OneVariable, right: OneVariable, hidden: HiddenLayers) -> OneVariable:
    met = unified(left.variable, left.pieces, right.variable, right.pieces)
    if met is None:
        return lifted(left.settled(hidden).plus(right.settled(hidden)), node.proto)
    variable, first, second = met
    origin = left.origin if left.pieces.knots.size else right.origin
    return OneVariable(left.shape, variable, first.plus(second), left.rest.plus(right.rest), origin)


def _times(tensor: OneVariable, factor: float) -> OneVariable:
    factors = np.full(tensor.variable.size, factor)
    return replace(
        tensor, pieces=tensor.pieces.scaled(factors), rest=tensor.rest.scaled(np.array(factor)), is_truth=False
    )


def _signs(node: Node, tensor: OneVariable, hidden: HiddenLayers) -> OneVariable:
    """Signs of the elements."""
    whole = next(wholes(tensor, hidden), None)
    if whole is None:
        return _signs(node, lifted(tensor.settled(hidden), node.proto), hidden)
    variable, pieces = whole
    if not pieces.knots.size:
        total = variable.scaled(pieces.slopes[:, 0]).shifted(pieces.offsets[:, 0])
        decided = stands_for_infinity(total.offset, total)
        if decided.all():
            zeros = np.zeros(variable.size)
            return _made(node, tensor.shape, Affine.constant(zeros), Pieces.affine(zeros, np.sign(total.offset)), False)
        if decided.any():
            raise node.unsupported("compares some elements with a number that none reaches: leave these out")
    return _made(node, tensor.shape, variable, pieces.signs(), is_truth=False)


def _compared(holds: Callable[[Array], Array]) -> Rule:
    """The rule of a comparison that holds for some signs of the difference."""

    def rule(node: Node, hidden: HiddenLayers) -> Value:
        signs = _signs(node, _added(node, hidden, -1.0), hidden)
        truth = signs.pieces.mapped(lambda values: holds(values).astype(np.float64))
        return replace(signs, pieces=truth, is_truth=True)

    return rule


def _not(node: Node, hidden: HiddenLayers) -> Value:
    truth = _lifted(node, 0)
    return _made(node, truth.shape, truth.variable, truth.pieces.mapped(lambda values: 1.0 - values), is_truth=True)


def _is_infinite(node: Node, hidden: HiddenLayers) -> Value:
    """Only constants that mask are: what depends on the network's input is finite."""
    tensor = node.settled(hidden).masked(0)
    signs = [sign for sign in ("positive", "negative") if node.attribute(f"detect_{sign}", 1)]
    infinite = [tensor.offset == (np.inf if sign == "positive" else -np.inf) for sign in signs]
    return np.any([np.zeros(tensor.size, dtype=bool), *infinite], axis=0).reshape(tensor.shape)


def _logical(function: Callable[[Pieces, Pieces], Pieces | None]) -> Rule:
    """The rule of And, Or, Xor from the arithmetic of 0 and 1."""

    def rule(node: Node, hidden: HiddenLayers) -> Value:
        left, right = _operands(node, (0, 1))
        result = combined(left, right, hidden, function)
        if result is None:
            raise node.unsupported(
                "combines comparisons of several variables, and cannot be seen to be continuous: write the choice by "
                "Max, Min, Clip or Relu"
            )
        return _made(node, left.shape, *result, is_truth=True)

    return rule


def _where(node: Node, hidden: HiddenLayers) -> Value:
    condition = node.inputs[0]
    if isinstance(condition, np.ndarray):
        return _fixed_choice(node, condition)
    if not isinstance(condition, OneVariable):
        raise node.unsupported("takes numbers that depend on the network's input for truth values")
    truth, chosen, other = _operands(node, (0, 1, 2))
    difference = _sum(node, chosen, _times(other, -1.0), hidden)
    product = combined(truth, difference, hidden, Pieces.times)
    if product is None:
        softplus = cut_off(truth, chosen, other, hidden)
        if softplus is not None:
            return softplus
        raise node.unsupported(
            "chooses by a comparison between functions that do not depend on what it compares alone, and cannot be "
            "seen to be continuous: write the choice by Max, Min, Clip or Relu"
        )
    return _sum(node, other, _made(node, truth.shape, *product, is_truth=False), hidden)


def _fixed_choice(node: Node, condition: Array) -> Value:
    chosen, other = (
        value if isinstance(value, OneVariable) else node.masked(position)
        for position, value in ((1, node.inputs[1]), (2, node.inputs[2]))
    )
    shape = np.broadcast_shapes(condition.shape, chosen.shape, other.shape)
    positions = np.arange(int(np.prod(shape))).reshape(shape)
    taken = np.where(condition, positions, positions + positions.size)
    if isinstance(chosen, Affine) and isinstance(other, Affine):
        return chosen.broadcast(shape).stacked([other.broadcast(shape)]).taken(taken)
    first, second = _lifted(node, 1).broadcast(shape), _lifted(node, 2).broadcast(shape)
    return first.stacked([second]).taken(taken)


def _mul(node: Node, hidden: HiddenLayers) -> Value:
    """A product; one with a mask, ``(x > 0) * x``, chooses between the other factor and zero."""
    left, right = _operands(node, (0, 1))
    product = combined(left, right, hidden, Pieces.times)
    if product is not None:
        return _made(node, left.shape, *product, is_truth=False)
    return products.product(left.settled(hidden), right.settled(hidden), hidden)


def _added(node: Node, hidden: HiddenLayers, factor: float) -> OneVariable:
    """The first input plus a factor times the second."""
    left, right = _operands(node, (0, 1))
    return _sum(node, left, right if factor == 1.0 else _times(right, factor), hidden)


def _cast_like(node: Node, hidden: HiddenLayers) -> Value:
    like = node.inputs[1]
    if isinstance(like, np.ndarray):
        kinds = {"b": TensorProto.BOOL, "f": TensorProto.FLOAT}
        return _converted(node, kinds.get(like.dtype.kind, TensorProto.INT64), hidden)
    is_truth = isinstance(like, OneVariable) and like.is_truth
    return _converted(node, TensorProto.BOOL if is_truth else TensorProto.FLOAT, hidden)


def _converted(node: Node, kind: int, hidden: HiddenLayers) -> Value:
    """A tensor as numbers of another type, or as truth values: whether it is not zero."""
    if kind == TensorProto.BOOL:
        signs = _signs(node, _lifted(node, 0), hidden)
        return replace(signs, pieces=signs.pieces.mapped(abs), is_truth=True)
    tensor = node.inputs[0]
    if isinstance(tensor, np.ndarray):
        return tensor.astype(np.float64)
    if kind not in arithmetic.FLOATING_POINT and not (isinstance(tensor, OneVariable) and _is_whole(tensor)):
        raise node.unsupported("rounds a tensor that depends on the network's input: not piecewise linear")
    return replace(tensor, is_truth=False) if isinstance(tensor, OneVariable) else node.affine(0)


def _is_whole(tensor: OneVariable) -> bool:
    """Whether all values are whole numbers."""
    values = (tensor.pieces.at, tensor.pieces.offsets, tensor.rest.offset)
    is_constant = not tensor.rest.terms and not tensor.pieces.slopes.any()
    return is_constant and all(np.array_equal(np.round(array), array) for array in values)


def _if_any(rule: Rule, plain: Rule) -> Rule:
    """The first rule where an input is a function of one variable, else the plain one."""

    def chosen(node: Node, hidden: HiddenLayers) -> Value | list[Value]:
        is_choice = any(isinstance(value, OneVariable) for value in node.inputs)
        return rule(node, hidden) if is_choice else plain(node, hidden)

    return chosen


def _div(node: Node, hidden: HiddenLayers) -> Value | list[Value]:
    with np.errstate(divide="ignore"):
        inverse = finite(1.0 / finite(node.constant(1, "divisor")))
    return RULES["Mul"](replace(node, inputs=(node.inputs[0], inverse)), hidden)


RULES: dict[str, Rule] = {
    "Greater": _compared(lambda signs: signs > 0.0),
    "GreaterOrEqual": _compared(lambda signs: signs >= 0.0),
    "Less": _compared(lambda signs: signs < 0.0),
    "LessOrEqual": _compared(lambda signs: signs <= 0.0),
    "Equal": _compared(lambda signs: signs == 0.0),
    "Sign": lambda node, hidden: _signs(node, _lifted(node, 0), hidden),
    "Not": _not,
    "And": _logical(Pieces.times),
    "Or": _logical(lambda left, right: left.plus(right).mapped(lambda values: np.minimum(values, 1.0))),
    "Xor": _logical(lambda left, right: left.plus(right).mapped(lambda values: (values == 1.0).astype(np.float64))),
    # None is: constants are checked as they are met.
    "IsNaN": lambda node, hidden: np.zeros(node.settled(hidden).masked(0).shape, dtype=bool),
    "IsInf": _is_infinite,
    "Where": _where,
    "Mul": _if_any(_mul, arithmetic.RULES["Mul"]),
    "Add": _if_any(lambda node, hidden: _added(node, hidden, 1.0), arithmetic.RULES["Add"]),
    "Sub": _if_any(lambda node, hidden: _added(node, hidden, -1.0), arithmetic.RULES["Sub"]),
    "Div": _div,
    "Neg": _if_any(lambda node, hidden: _times(_lifted(node, 0), -1.0), arithmetic.RULES["Neg"]),
    "Cast": lambda node, hidden: _converted(node, node.attribute("to"), hidden),
    "CastLike": _cast_like,
}
