"""Smooth expressions over the boxes of nodes: functions below them, and the rows that they are in linear programs."""

from __future__ import annotations

from functools import cached_property

import numpy as np

from pyomo_relugrad.arrays import Array, RowBlock, SparseRows
from pyomo_relugrad.expression import Expression, LinearBounds
from pyomo_relugrad.network.bounds import Boxes, LinearFunctions
from pyomo_relugrad.problem import ExpressionStage, Problem
from pyomo_relugrad.programs import LinkRows, two_sided

# Where in a box planes are to be close, by odd and even inputs: of McCormick's four planes of a product, two are best
# at the first place, the others at the second one.
PLACES = ((0.25, 0.2), (0.75, 0.8))
NO_ROWS = RowBlock(SparseRows(np.zeros(1, int), np.zeros(0, int), np.zeros(0)), np.zeros(0), np.zeros(0))
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


class ExpressionRows:
    """The rows of a linear program that enclose all expressions over a node's box, close at given points."""

    def __init__(self, problem: Problem) -> None:
        self._stages = [stage for stage in problem.stages if isinstance(stage, ExpressionStage)]
        self._rows = LinkRows(problem, copies=2, stages=self._stages)

    def first(self, lower: Array, upper: Array) -> list[RowBlock]:
        """The rows of N nodes with boxes (N, n), close at places that suit products and convex functions."""
        if not self._stages:
            return [NO_ROWS] * len(lower)
        with np.errstate(invalid="ignore"):
            points = [lower + (upper - lower) * self._shares(place, lower.shape[1]) for place in PLACES]
        blocks = [self.at(lower, upper, point) for point in points]
        return [RowBlock.stacked(list(parts)) for parts in zip(*blocks, strict=True)]

    def _shares(self, place: tuple[float, float], n_columns: int) -> Array:
        """(n,) shares of a box's width, different ones for neighbouring inputs of an expression."""
        shares = np.full(n_columns, place[0])
        for stage in self._stages:
            shares[stage.inputs[:, 1::2]] = place[1]
        return shares

    def at(self, lower: Array, upper: Array, points: Array) -> list[RowBlock]:
        """The rows of N nodes with boxes (N, n), close at points (N, n)."""
        bounds = []
        for stage, used in zip(self._stages, self._rows.used, strict=True):
            box = stage.gather(lower), stage.gather(upper)
            found = stage.expression.relaxation(*box, at=stage.gather(points))
            shape = (len(lower), len(stage.inputs), used.size)
            bounds.append([part[:, used].reshape(*shape, *part.shape[2:]) for part in found])
        return [self._block([[part[node] for part in parts] for parts in bounds]) for node in range(len(lower))]

    def errors(self, points: Array) -> Array:
        """Largest relative differences (N,) between columns and the expressions' values for them at points (N, n)."""
        largest = np.zeros(len(points))
        for stage in self._stages:
            columns, values = stage.gather_outputs(points), stage.value(stage.gather(points))
            error = np.nan_to_num(np.abs(columns - values) / (1 + np.abs(values)), nan=np.inf)
            largest = np.maximum(largest, error.reshape(len(points), -1).max(axis=1, initial=0.0))
        return largest

    def _block(self, bounds: list[list[Array]]) -> RowBlock:
        below, above = ([(part[side], part[side + 1]) for part in bounds] for side in (0, 2))
        coefficients, constants = zip(*below, *above, strict=True) if bounds else ((), ())
        return two_sided(*self._rows.build(list(coefficients), list(constants)))
