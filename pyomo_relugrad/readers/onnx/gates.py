"""Smooth activations that exporters write by the functions that they are made of: ``x * sigmoid(x)`` and its like.

Element by element, one factor of a product is a multiple of a variable, the other a smooth neuron of the same variable;
the product is an activation of its own.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt

import numpy as np

from pyomo_relugrad.arrays import Array
from pyomo_relugrad.network import Activation, curves
from pyomo_relugrad.network.building import Affine, HiddenLayers, affine_of
from pyomo_relugrad.readers.onnx.one_variable import OneVariable, entries_by_row, identity, unified
from pyomo_relugrad.readers.onnx.pieces import Pieces

#: Relative differences that are rounding: of vectors that are multiples of one another, of constants in float32.
ROUNDING, SINGLE_ROUNDING = 1e-9, 1e-6
#: From here on a softplus is its argument, as far as float32 can tell.
STRAIGHT = 15.0


def gated(left: Affine, right: Affine, hidden: HiddenLayers) -> Affine | None:
    """The product, element by element, of two tensors that broadcast; None where it is no activation."""
    shape = np.broadcast_shapes(left.shape, right.shape)
    first, second = (side.broadcast(shape).reshaped((int(np.prod(shape)),)) for side in (left, right))
    share = _multiple(first, second)
    if share is not None:
        return hidden.smooth(second, curves.SQUARE).scaled(share).reshaped(shape)
    for factor, other in ((first, second), (second, first)):
        neuron = _Neuron.of(other, hidden)
        product = None if neuron is None else neuron.times(factor, hidden)
        if product is not None:
            return product.reshaped(shape)
    return None


def cut_off(truth: OneVariable, chosen: OneVariable, other: OneVariable, hidden: HiddenLayers) -> Affine | None:
    """``where(x > 20, x, softplus(x))``, as PyTorch has it: the softplus alone. None where it is something else."""
    sides = [side.settled(hidden).reshaped((side.variable.size,)) for side in (chosen, other)]
    neuron = _Neuron.of(sides[1], hidden)
    if neuron is None or not isinstance(neuron.activation, curves.Softplus):
        return None
    share = _multiple(sides[0].shifted(-neuron.offset), neuron.argument)
    met = unified(truth.variable, truth.pieces, neuron.argument, identity(neuron.argument.size))
    if share is None or met is None or not np.allclose(share, neuron.weight, rtol=SINGLE_ROUNDING, atol=0.0):
        return None
    _, holds, argument = met
    zero = np.zeros(holds.n)
    missing = holds.times(argument.scaled(zero - 1.0).plus(Pieces.affine(zero, zero + STRAIGHT)).relu())
    is_beyond = missing is not None and not (missing.at.any() or missing.slopes.any() or missing.offsets.any())
    return sides[1].reshaped(other.shape) if is_beyond else None


@dataclass(frozen=True, eq=False)
class _Neuron:
    """A vector ``weight * activation(argument) + offset``."""

    activation: Activation
    argument: Affine
    weight: Array
    offset: Array

    @classmethod
    def of(cls, vector: Affine, hidden: HiddenLayers) -> _Neuron | None:
        """The vector in this form; None where an element reads another number of smooth neurons than one."""
        source = max(vector.terms, default=0)
        if len(vector.terms) != 1 or not source or hidden.layers[source - 1].activation.is_piecewise_linear:
            return None
        found = entries_by_row(vector.terms[source])
        if found is None or found[0].shape[1] != 1 or (found[0] < 0).any():
            return None
        layer = hidden.layers[source - 1]
        return cls(layer.activation, affine_of(layer).taken(found[0][:, 0]), found[1][:, 0], vector.offset)

    def times(self, factor: Affine, hidden: HiddenLayers) -> Affine | None:
        """The product with a vector, where that is a multiple of the variable."""
        for activation, inner, scale, shift in self._products(hidden):
            share = _multiple(factor, inner)
            if share is not None:
                made = hidden.smooth(inner.scaled(np.array(scale)), activation)
                own = made.scaled(self.weight * share * (1.0 + shift) / scale)
                return own.plus(factor.scaled(self.offset - shift * self.weight))
        return None

    def _products(self, hidden: HiddenLayers) -> list[tuple[Activation, Affine, float, float]]:
        """Activations ``f``, variables ``z``, numbers ``s``, ``c``: ``s * z * (self + c) = (1 + c) * f(s * z)``."""
        match self.activation:
            case curves.Sigmoid():
                return [(curves.SILU, self.argument, 1.0, 0.0)]
            case curves.Square():
                return [(curves.CUBE, self.argument, 1.0, 0.0)]
            case curves.Erf():
                return [(curves.GELU, self.argument, sqrt(2.0), 1.0)]
            case curves.Tanh():
                return [(curves.SILU, self.argument, 2.0, 1.0), *self._of_two(hidden)]
        return []

    def _of_two(self, hidden: HiddenLayers) -> list[tuple[Activation, Affine, float, float]]:
        """The same where the tanh's argument is a neuron: a softplus in Mish, a cube beside the variable in GELU."""
        inner = _Neuron.of(self.argument, hidden)
        if inner is not None and isinstance(inner.activation, curves.Softplus):
            is_plain = np.array_equal(inner.weight, np.ones(inner.weight.size)) and not inner.offset.any()
            return [(curves.MISH, inner.argument, 1.0, 0.0)] if is_plain else []
        source = max(self.argument.terms, default=0)
        rest = {own: matrix for own, matrix in self.argument.terms.items() if own != source}
        zero = np.zeros(self.argument.size)
        last = Affine(self.argument.shape, {source: self.argument.terms[source]}, zero)
        cube = _Neuron.of(last, hidden)
        if cube is None or not isinstance(cube.activation, curves.Cube):
            return []
        linear = Affine(self.argument.shape, rest, self.argument.offset)
        share = _multiple(linear, cube.argument)
        wanted = sqrt(2.0 / np.pi) * np.array([[1.0], [curves.GELU_CUBIC]])
        is_gelu = share is not None and np.allclose([share, cube.weight], wanted, rtol=SINGLE_ROUNDING, atol=0.0)
        return [(curves.GELU_TANH, cube.argument, 1.0, 1.0)] if is_gelu else []


def _multiple(vector: Affine, other: Affine) -> Array | None:
    """The factors by which one vector is the other one, element by element; None where it is not."""
    squares = other.row_products(other)
    factors = vector.row_products(other) / np.where(squares > 0.0, squares, 1.0)
    gap = vector.minus(other.scaled(factors))
    size = np.sqrt(vector.row_products(vector)) + abs(vector.offset)
    is_equal = np.sqrt(gap.row_products(gap)) + abs(gap.offset) <= ROUNDING * size
    return factors if (is_equal & (squares > 0.0)).all() else None
