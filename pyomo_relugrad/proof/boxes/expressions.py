"""Smooth expressions over the boxes of nodes: functions below them."""

from __future__ import annotations

from functools import cached_property

import numpy as np

from pyomo_relugrad.arrays import Array
from pyomo_relugrad.expression import Expression, LinearBounds
from pyomo_relugrad.network.bounds import Boxes, LinearFunctions

# The largest error that counts in scores.
MAX_ERROR = 1e50
# Rounding of a sum of products, relative to its terms.
ROUNDING = 1e-15


class ExpressionRelaxation:
    """A smooth expression between linear functions over each of B boxes.

    It has what a network's `Relaxation` has, but nothing to choose: no ReLUs, and no slopes.

    Parameters
    ----------
    expression : Expression
    lower, upper : (B, n_inputs) arrays
        The boxes; they may be infinite.
    """

    def __init__(self, expression: Expression, lower: Array, upper: Array) -> None:
        self.expression = expression
        self.boxes = Boxes(lower, upper)
        self._bounds = expression.relaxation(lower, upper)
        low, high = expression.range(lower, upper)
        #: (B,) booleans: where the expression is not defined at all.
        self.nowhere: Array = np.any(low > high, axis=1)
        self._range = np.where(self.nowhere[:, None], -np.inf, low), np.where(self.nowhere[:, None], np.inf, high)

    @property
    def n_boxes(self) -> int:
        """Number of boxes."""
        return self.boxes.count

    def take(self, boxes: Array) -> ExpressionRelaxation:
        """The relaxation over some of the boxes, given by index."""
        chosen = object.__new__(ExpressionRelaxation)
        chosen.expression = self.expression
        chosen.boxes = Boxes(self.boxes.lower[boxes], self.boxes.upper[boxes])
        chosen._bounds = LinearBounds(*(part[boxes] for part in self._bounds))
        chosen._range = self._range[0][boxes], self._range[1][boxes]
        chosen.nowhere = self.nowhere[boxes]
        return chosen

    def states(self) -> Array:
        """(B, 0): nothing is known of ReLUs, there are none."""
        return np.zeros((self.n_boxes, 0), np.int8)

    def output_range(self) -> tuple[Array, Array]:
        """Bounds (B, n_outputs) of the outputs; infinite where the expression is not defined."""
        return self._range

    def substitute(self, weights: Array, boxes: Array | None, keep_adjoints: bool = False) -> LinearFunctions:
        """Linear functions of the inputs below functions ``weights[i] @ y`` of the outputs.

        Parameters
        ----------
        weights : (R, n_outputs) array
        boxes : (R,) int array or None
            The box of each function; None where function ``i`` is over box ``i``.
        keep_adjoints : bool, optional
            Whether the result has the weights as its `adjoints`.
        """
        lower_slopes, lower, upper_slopes, upper = (self.boxes.pick(part, boxes) for part in self._bounds)
        positive = np.maximum(weights, 0)
        negative = weights - positive
        coefficients = (positive[:, :, None] * lower_slopes + negative[:, :, None] * upper_slopes).sum(axis=1)
        with np.errstate(invalid="ignore"):
            parts = np.where(positive > 0, positive * lower, 0.0) + np.where(negative < 0, negative * upper, 0.0)
        constants = parts.sum(axis=1) - ROUNDING * len(weights.T) * np.abs(parts).sum(axis=1)
        constants = np.where(self.boxes.pick(self.nowhere, boxes), np.inf, constants)
        minima = self.boxes.minima(coefficients, boxes)
        minima = np.where(np.isposinf(constants), np.inf, minima + np.where(np.isposinf(constants), 0.0, constants))
        return LinearFunctions(coefficients, constants, minima, (weights,) if keep_adjoints else ())

    def gap_by_input(self, functions: LinearFunctions, boxes: Array | None) -> Array:
        """How much of the distance between functions and expression each input is answerable for: (R, n_inputs).

        Errors are those at the ends and in the middle of a box's diagonal. They come from inputs in which the slope
        changes over the box.
        """
        (weights,) = functions.adjoints
        assert weights is not None
        below, above = (self.boxes.pick(part, boxes) for part in self._errors)
        error = (np.maximum(weights, 0) * below + np.maximum(-weights, 0) * above)[:, :, None]
        gap: Array = (error * self.boxes.pick(self._shares, boxes)).sum(axis=1)
        return gap

    @cached_property
    def _diagonal(self) -> Array:
        """(3, B, n_inputs): two corners of each box, and its middle."""
        with np.errstate(invalid="ignore"):
            return np.stack([self.boxes.lower, self.boxes.lower / 2 + self.boxes.upper / 2, self.boxes.upper])

    @cached_property
    def _errors(self) -> tuple[Array, Array]:
        """(B, n_outputs) largest distances from the planes below and above, finite numbers."""
        bounds, points = self._bounds, self._diagonal
        with np.errstate(all="ignore"):
            values = np.stack([self.expression.value(part) for part in points])
            below = values - np.einsum("boi,sbi->sbo", bounds.lower_slopes, points) - bounds.lower_offsets
            above = np.einsum("boi,sbi->sbo", bounds.upper_slopes, points) + bounds.upper_offsets - values
        return _finite(below).max(axis=0), _finite(above).max(axis=0)

    @cached_property
    def _shares(self) -> Array:
        """(B, n_outputs, n_inputs) shares of the inputs in the errors, by each input's width."""
        with np.errstate(all="ignore"):
            slopes = np.stack([self.expression.jacobian(part) for part in self._diagonal])
            change = _finite(slopes.max(axis=0) - slopes.min(axis=0))
            width = np.maximum(self.boxes.upper - self.boxes.lower, 0.0)[:, None]
            parts = _finite(change * width)
            return _finite(parts / parts.sum(axis=2, keepdims=True) / width)


def _finite(values: Array) -> Array:
    """Numbers that scores can be calculated with."""
    return np.nan_to_num(values, nan=0.0, posinf=0.0, neginf=0.0).clip(-MAX_ERROR, MAX_ERROR)
