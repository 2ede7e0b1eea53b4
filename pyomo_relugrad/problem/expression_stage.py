"""Smooth expressions as stages of a problem."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Self

import numpy as np

from pyomo_relugrad.arrays import Array, DTypeLike
from pyomo_relugrad.expression import Expression
from pyomo_relugrad.network import interval_bounds
from pyomo_relugrad.problem.stages import NetworkBounds, Stage

#: Values and slopes beyond this count as not defined and as without limit: they are no use in float32.
LARGEST = 1e30


#: Stands for slopes without limit, such as that of a square root at zero.
STEEP = 1e8


@dataclass(frozen=True, eq=False)
class ExpressionStage(Stage):
    """Embeddings of a smooth expression; its state is the Jacobian (rows, n_outputs, n_inputs).

    Parameters
    ----------
    expression : Expression
    inputs : (k, n_inputs) int array
    outputs : (k, n_outputs) int array
    """

    expression: Expression
    inputs: Array
    outputs: Array

    @property
    def work(self) -> int:
        """A few for each output and input."""
        return self.inputs.shape[1] + self.outputs.shape[1]

    @property
    def n_neurons(self) -> int:
        """None."""
        return 0

    def astype(self, dtype: DTypeLike) -> ExpressionStage:
        """The same stage: expressions are evaluated in float64."""
        return self

    def part(self, chosen: Array) -> Self:
        """The stage of some of the embeddings, by number."""
        return replace(self, inputs=self.inputs[chosen], outputs=self.outputs[chosen])

    def value(self, X: Array) -> Array:
        """The expression's values (rows, n_outputs), NaN where it is not defined."""
        values = self.expression.value(X.astype(np.float64, copy=False))
        return np.where(np.abs(values) <= LARGEST, values, np.nan)

    def value_and_state(self, X: Array) -> tuple[Array, Array]:
        """The values and Jacobians."""
        return self.value(X), self.slopes(X)

    def slopes(self, X: Array) -> Array:
        """Jacobians (rows, n_outputs, n_inputs) in numbers that can be calculated with, zero where there is none."""
        jacobian = self.expression.jacobian(X.astype(np.float64, copy=False))
        slopes = np.where(np.abs(jacobian) <= LARGEST, jacobian, STEEP * np.sign(jacobian))
        return np.where(np.isnan(slopes), 0.0, slopes)

    def adjoint(self, state: Array, seeds: Array) -> Array:
        """Derivatives (rows, n_inputs) of ``seeds @ outputs`` under Jacobians."""
        return np.einsum("ro,roi->ri", seeds, state)

    def affine(self, X: Array, state: Array | None = None) -> tuple[Array, Array]:
        """The tangents at `X`, with other Jacobians if given."""
        slopes = self.slopes(X) if state is None else state
        return slopes, self.value(X) - np.einsum("roi,ri->ro", slopes, X)

    def random_state(self, random: np.random.Generator, shares: Array) -> None:
        """None: Jacobians are those at a point."""

    def random_directions(self, random: np.random.Generator, count: int) -> Array:
        """Any direction."""
        return random.standard_normal((count * len(self.inputs), self.inputs.shape[1]))

    def range(self, lower: Array, upper: Array, bounds: NetworkBounds = interval_bounds) -> tuple[Array, Array]:
        """Bounds of the expression's values."""
        return self.expression.range(lower, upper)

    def tangent(self, state: Array, D: Array) -> tuple[Array, Array]:
        """The Jacobians times the directions."""
        return np.zeros((len(D), 0)), np.einsum("roi,ri->ro", state, D)

    def jacobian_bound(self, state: Array) -> float:
        """The largest Jacobian."""
        return float(np.abs(state).max(initial=0.0))
