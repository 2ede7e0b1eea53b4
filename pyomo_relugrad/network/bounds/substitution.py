"""The kernel of CROWN: linear functions of layers, substituted backwards until functions of the input are left.

A neuron is replaced by the line that keeps the bound valid (Zhang et al., Efficient Neural Network Robustness
Certification with General Activation Functions, 2018, arXiv 1811.00866). The arrays may be of any kind: they are those
of the layers, the lines and the boxes.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pyomo_relugrad.arrays import Array, namespace, row_products
from pyomo_relugrad.network.activations import Lines
from pyomo_relugrad.network.bounds.boxes import Boxes
from pyomo_relugrad.network.layer import Layer
from pyomo_relugrad.network.sweeps import Coefficients, backward


@dataclass(frozen=True, eq=False)
class LinearFunctions:
    """Functions ``coefficients[i] @ x + constants[i]``, each over a box.

    Parameters
    ----------
    coefficients : (R, n_inputs) array
    constants : (R,) array
    minima : (R,) array
        The smallest value of each function over its box, rounded downward.
    adjoints : tuple of (R, n_k) arrays or None, per hidden layer
        The coefficients of the activations on the way, where they were asked for; None where a layer does not occur.
    """

    coefficients: Array
    constants: Array
    minima: Array
    adjoints: tuple[Array | None, ...] = ()


@dataclass(frozen=True, eq=False)
class Substitution:
    """A network's layers, and over each of B boxes the lines around its neurons.

    Parameters
    ----------
    layers : sequence of Layer
    boxes : Boxes
    lines : list of Lines
        Of the hidden layers so far, with arrays (B, n_k).
    """

    layers: Sequence[Layer]
    boxes: Boxes
    lines: list[Lines]

    def descend(
        self,
        start: Coefficients,
        constants: Array,
        boxes: Array | None,
        lower_slopes: Sequence[Array] | None = None,
    ) -> LinearFunctions:
        """From sums of earlier activations, with coefficients (S, R, n_s), to functions of the input below them.

        Parameters
        ----------
        start : mapping from int to (S, R, n_s) arrays
        constants : (S, R) array
        boxes : (R,) int array or None
            The box of each function; None where function ``i`` is over box ``i``.
        lower_slopes : sequence of (R, n_k) arrays, optional
            By hidden layer, in place of those of the lines.
        """

        def through(index: int, adjoint: Array) -> Array:
            nonlocal constants
            lower_slope = None if lower_slopes is None else lower_slopes[index]
            adjoint, intercepts = self._through_lines(index, adjoint, boxes, lower_slope)
            constants = constants + intercepts + adjoint @ self.layers[index].bias
            return adjoint

        found = backward(self.layers, start, through)
        coefficients = found[0] if 0 in found else self._no_coefficients(constants)
        minima = self.boxes.minima(coefficients, boxes) + constants
        adjoints = tuple(found.get(source) for source in range(1, len(self.layers)))
        return LinearFunctions(coefficients, constants, minima, adjoints)

    def _no_coefficients(self, constants: Array) -> Array:
        zeros_like = namespace(constants).zeros_like
        return zeros_like(constants[..., None]) + zeros_like(self.boxes.lower[0, :])

    def _through_lines(
        self, index: int, adjoint: Array, boxes: Array | None, lower_slope: Array | None
    ) -> tuple[Array, Array]:
        """Coefficients (S, R, n_k) of a layer's pre-activations from those of its activations, and constants (S, R)."""
        xp, lines, pick = namespace(adjoint), self.lines[index], self.boxes.pick

        def sums(values: Array, intercept: Array) -> Array:
            return row_products(values, pick(intercept, boxes))

        positive = xp.maximum(adjoint, 0)
        negative = adjoint - positive
        constants = sums(positive, lines.lower_intercept)
        constants += sums(negative, lines.upper_intercept)
        if lines.unbounded is not None:
            without = xp.any((negative < 0) & pick(lines.unbounded, boxes), axis=-1)
            constants = xp.where(without, -np.inf, constants)
        positive *= pick(lines.lower_slope, boxes) if lower_slope is None else lower_slope
        negative *= pick(lines.upper_slope, boxes)
        positive += negative
        return positive, constants
