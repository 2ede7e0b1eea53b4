"""The bound of a node for given multipliers: the dual function of beta-CROWN.

The objective, with multipliers of the splits (``beta``) and of the problem's rows (``gamma``) in it, is substituted
backwards through the network, each undecided ReLU by a line that keeps it a bound from below; the slope of the lower
lines (``alpha``) is free. What is left is linear in the columns that no network writes, and its minimum over their box
is the bound (Wang et al., Beta-CROWN, 2021, arXiv 2103.06624).
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from pyomo_relugrad.arrays import Array, DTypeLike, row_products
from pyomo_relugrad.network.bounds import Boxes, Relaxation
from pyomo_relugrad.network.sweeps import backward, coefficients_of, forward
from pyomo_relugrad.problem import FEASIBILITY_TOLERANCE, Problem
from pyomo_relugrad.proof.relus.nodes import Multipliers


@dataclass(frozen=True, eq=False)
class DualPoint:
    """What multipliers give at N nodes.

    Parameters
    ----------
    bound : (N,) array
    adjoints : (N, n_relus) array
        The coefficients of the activations.
    slopes : (N, n) array
        The linear function of the columns that no network writes.
    columns : (N, n) array
        Where the linear function of the columns is smallest; outputs have the values that the lines give.
    gradient : Multipliers
        Derivatives of the bound, zero where a multiplier does not count.
    """

    bound: Array
    adjoints: Array
    slopes: Array
    columns: Array
    gradient: Multipliers


@dataclass(frozen=True, eq=False)
class _Lines:
    """What stands for each ReLU at N nodes, by hidden layer.

    Parameters
    ----------
    undecided : (N, n_relus) boolean array
    below, above : tuples of (N, n_k) arrays
        Slopes of the lines below and above; the line below goes through zero.
    intercepts : tuple of (N, n_k) arrays
        Of the lines above.
    pushed, beta : tuples of (N, n_k) arrays
        What splits add to the coefficients of the pre-activations, and its size.
    """

    undecided: Array
    below: tuple[Array, ...]
    above: tuple[Array, ...]
    intercepts: tuple[Array, ...]
    pushed: tuple[Array, ...]
    beta: tuple[Array, ...]


class Dual:
    """The dual function of a problem around one network.

    Parameters
    ----------
    problem : Problem
        With a linear objective, one network, and finite bounds on all columns that it does not write.
    relaxation : Relaxation
        Of the network over the boxes of its inputs: one for all nodes, or one for each.
    dtype : floating-point type, optional
        Bounds are safe in float64 alone; multipliers may be looked for in float32.
    boxes : Boxes, optional
        Of all columns, as many as the relaxation has; by default that of the problem.
    """

    def __init__(
        self, problem: Problem, relaxation: Relaxation, dtype: DTypeLike = np.float64, boxes: Boxes | None = None
    ) -> None:
        embedded = problem.networks[0]
        self._network, self._inputs, self._outputs = embedded.network.astype(dtype), embedded.inputs, embedded.outputs
        self._cost, self._constant = problem.cost.astype(dtype), problem.constant
        self.rows, self.row_lower, self.row_upper = _rows_and_output_bounds(problem, dtype)
        sides = (problem.lower[None], problem.upper[None]) if boxes is None else (boxes.lower, boxes.upper)
        self._boxes = Boxes(*(np.where(problem.is_output, 0.0, side).astype(dtype) for side in sides))
        self.states = relaxation.states()
        self.lower, self.upper, self._margin = (
            np.concatenate([np.zeros((relaxation.n_boxes, 0)), *parts], axis=1).astype(dtype)
            for parts in (relaxation.lower, relaxation.upper, [-lines.lower_intercept for lines in relaxation.lines])
        )
        self._output_margin = relaxation.output_margin.astype(dtype)
        undecided = self.states == 0
        width = np.where(undecided, self.upper - self.lower, 1)
        self.upper_slope = np.where(undecided, self.upper / width, 0).astype(dtype)
        self.upper_intercept = np.where(undecided, -self.upper_slope * self.lower, 0).astype(dtype)

    @property
    def dtype(self) -> np.dtype[np.floating]:
        """The type of all numbers."""
        return self._cost.dtype

    @cached_property
    def gamma_range(self) -> tuple[Array, Array]:
        """Bounds (m,) of the rows' multipliers: a side that is infinite has none."""
        return np.where(np.isfinite(self.row_lower), -np.inf, 0), np.where(np.isfinite(self.row_upper), np.inf, 0)

    @property
    def n_relus(self) -> int:
        """Number of ReLUs."""
        return int(self.states.shape[1])

    @property
    def n_rows(self) -> int:
        """Number of rows, bounds on outputs counted."""
        return int(self.row_lower.size)

    def is_undecided(self, splits: Array) -> Array:
        """(N, n_relus) booleans: the ReLUs that neither bounds nor splits decide."""
        return (self.states == 0) & (splits == 0)

    def __call__(self, splits: Array, multipliers: Multipliers) -> DualPoint:
        """Bounds of nodes with splits (N, n_relus), and their derivatives in the multipliers."""
        used = multipliers.astype(self.dtype)
        lines = self._lines(splits, used)
        costs = self._cost + used.gamma @ self.rows
        slopes, constants, adjoints = self._substitute(costs, lines)
        constants = constants + self._constant - self._row_sides(used.gamma)
        bound = self._boxes.minima(slopes) + constants
        columns, preactivations = self._along_lines(self._boxes.minimizers(slopes), adjoints, lines)
        joined = self._joined(adjoints, len(splits))
        gradient = Multipliers(
            np.where(lines.undecided, np.maximum(joined, 0) * preactivations, 0),
            -splits * preactivations,
            self._row_excess(columns, used.gamma),
        )
        return DualPoint(bound, joined, slopes, columns, gradient)

    def minima(self, costs: Array) -> Array:
        """Bounds (K,) below linear functions of the columns (K, n) over one box, whatever the rows say."""
        no_splits = np.zeros((len(costs), self.n_relus), np.int8)
        lines = self._lines(no_splits, self.first_multipliers(len(costs)))
        slopes, constants, _ = self._substitute(costs.astype(self.dtype), lines)
        return np.asarray(self._boxes.minima(slopes) + constants)

    def first_multipliers(self, count: int) -> Multipliers:
        """Multipliers of so many nodes to begin with: the lower lines with the smaller areas, and no others."""
        zeros = np.zeros((count, self.n_relus), self.dtype)
        steep = np.where(self.upper > -self.lower, 1, 0).astype(self.dtype)
        return Multipliers(zeros + steep, zeros, np.zeros((count, self.n_rows), self.dtype))

    def _lines(self, splits: Array, multipliers: Multipliers) -> _Lines:
        undecided, split = self.is_undecided(splits), self._network.split_pattern
        active = (np.where(splits != 0, splits, self.states) > 0).astype(self.dtype)
        beta = multipliers.beta * (splits != 0)
        return _Lines(
            undecided,
            split(np.where(undecided, multipliers.alpha, active)),
            split(np.where(undecided, self.upper_slope, active)),
            split(np.where(undecided, self.upper_intercept, 0)),
            split(-splits * beta),
            split(beta),
        )

    def _substitute(self, costs: Array, lines: _Lines) -> tuple[Array, Array, list[Array]]:
        """A function of the decision columns below costs (N, n): its slopes and constants; and the adjoints."""
        network, count = self._network, len(costs)
        margins = network.split_pattern(self._margin)
        adjoints = [np.zeros((count, width), self.dtype) for width in network.widths]
        last, on_outputs = network.layers[-1], costs[:, self._outputs]
        constants = on_outputs @ last.bias - row_products(np.abs(on_outputs), self._output_margin)

        def through(index: int, adjoint: Array) -> Array:
            nonlocal constants
            adjoints[index] = adjoint
            positive = np.maximum(adjoint, 0)
            negative = adjoint - positive
            passed = positive * lines.below[index] + negative * lines.above[index] + lines.pushed[index]
            constants = constants + np.einsum("ij,ij->i", negative, lines.intercepts[index])
            constants += passed @ network.layers[index].bias
            # A split holds, as a line does, up to the rounding of the pre-activation.
            constants -= row_products(np.abs(adjoint) + 2 * lines.beta[index], margins[index])
            return passed

        found = backward(network.layers, coefficients_of(last, on_outputs), through)
        slopes = costs.copy()
        slopes[:, self._outputs] = 0
        if 0 in found:
            np.add.at(slopes.T, self._inputs, found[0].T)
        return slopes, constants, adjoints

    def _along_lines(self, columns: Array, adjoints: list[Array], lines: _Lines) -> tuple[Array, Array]:
        """The points with outputs, and pre-activations (N, n_relus), as the lines that were chosen give them."""
        gates, shifts = [], []
        for adjoint, below, above, intercept in zip(adjoints, lines.below, lines.above, lines.intercepts, strict=True):
            gates.append(np.where(adjoint > 0, below, above))
            shifts.append(np.where(adjoint > 0, 0, intercept))
        *hidden, (outputs, _) = forward(self._network.layers, columns[:, self._inputs], gates, shifts)
        columns[:, self._outputs] = outputs
        return columns, self._joined([values for values, _ in hidden], len(columns))

    def _joined(self, parts: list[Array], count: int) -> Array:
        """Arrays (N, n_k) of the hidden layers side by side."""
        return np.concatenate([np.zeros((count, 0), self.dtype), *parts], axis=1)

    def _row_sides(self, gamma: Array) -> Array:
        """What multipliers (N, m) take from the bound for the sides of their rows."""
        lower, upper = (np.where(np.isfinite(side), side, 0) for side in (self.row_lower, self.row_upper))
        return (gamma * np.where(gamma > 0, upper, lower)).sum(axis=1)

    def _row_excess(self, columns: Array, gamma: Array) -> Array:
        """Derivatives (N, m) in the multipliers: by how much points miss the sides, zero inside where it is zero."""
        activity = columns @ self.rows.T
        above, below = activity - self.row_upper, activity - self.row_lower
        idle = np.where(above > 0, above, np.where(below < 0, below, 0))
        return np.where(gamma > 0, above, np.where(gamma < 0, below, idle))


def _rows_and_output_bounds(problem: Problem, dtype: DTypeLike) -> tuple[Array, Array, Array]:
    """The rows and the bounds of outputs as rows (m, n), with their sides; points may miss these by the tolerance."""
    bounded = np.flatnonzero(problem.is_output & (np.isfinite(problem.lower) | np.isfinite(problem.upper)))
    matrix = np.concatenate([problem.rows.toarray(), np.eye(problem.n_columns)[bounded]])
    lower = np.concatenate([problem.row_lower, problem.lower[bounded]]) - FEASIBILITY_TOLERANCE
    upper = np.concatenate([problem.row_upper, problem.upper[bounded]]) + FEASIBILITY_TOLERANCE
    return matrix.astype(dtype), lower.astype(dtype), upper.astype(dtype)
