"""What is embedded in a problem, evaluated and differentiated on batches of points: equal functions together."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from functools import cached_property
from typing import Self, TypeAlias

import numpy as np

from pyomo_relugrad.arrays import Array, DTypeLike, columns_or_slice
from pyomo_relugrad.network import Network, PreactivationBounds, interval_bounds

#: Bounds a network over boxes.
NetworkBounds: TypeAlias = Callable[[Network, Array, Array], PreactivationBounds]


class Stage(ABC):
    """Embeddings of one function that can be evaluated together: row ``i`` of the arrays is one of them.

    Batches of points ``V`` are (B, n). Arrays of the function's inputs, outputs or states have (B * k) rows: all
    embeddings at the first point, then all at the second one. A state is what the derivatives at a point follow from.

    Attributes
    ----------
    inputs : (k, n_inputs) int array
    outputs : (k, n_outputs) int array
    """

    inputs: Array
    outputs: Array

    # --- what a function is -------------------------------------------------------------------------------------

    @property
    @abstractmethod
    def work(self) -> int:
        """Multiplications of one evaluation of one embedding."""

    @property
    @abstractmethod
    def n_neurons(self) -> int:
        """Neurons of one embedding."""

    @abstractmethod
    def astype(self, dtype: DTypeLike) -> Stage:
        """The stage in another floating-point type."""

    @abstractmethod
    def part(self, chosen: Array) -> Self:
        """The stage of some of the embeddings, by number."""

    @abstractmethod
    def value(self, X: Array) -> Array:
        """The function's values (rows, n_outputs); NaN where it is not defined."""

    @abstractmethod
    def value_and_state(self, X: Array) -> tuple[Array, Array]:
        """The values, and the states (rows, ...)."""

    @abstractmethod
    def adjoint(self, state: Array, seeds: Array) -> Array:
        """Derivatives (rows, n_inputs) of ``seeds @ outputs`` under states, a seed (n_outputs,) for each row."""

    @abstractmethod
    def affine(self, X: Array, state: Array | None = None) -> tuple[Array, Array]:
        """The function as ``J x + t`` under states, those at `X` by default: (rows, n_outputs, n_inputs) and its t."""

    @abstractmethod
    def random_state(self, random: np.random.Generator, shares: Array) -> Array | None:
        """States of a batch with random ReLUs active, a share (B, 1) of them; None where there are no ReLUs."""

    @abstractmethod
    def random_directions(self, random: np.random.Generator, count: int) -> Array:
        """Directions (count * k, n_inputs) in which the values are likely to change."""

    @abstractmethod
    def range(self, lower: Array, upper: Array, bounds: NetworkBounds = interval_bounds) -> tuple[Array, Array]:
        """Bounds (rows, n_outputs) of the values over boxes (rows, n_inputs), rounded outward.

        Parameters
        ----------
        lower, upper : (rows, n_inputs) arrays
        bounds : callable, optional
            How networks are bounded.
        """

    # --- kinks: neurons whose states a region holds ---------------------------------------------------------------

    @property
    def widths(self) -> tuple[int, ...]:
        """Neurons of each hidden layer that have a kink; none where the function is smooth."""
        return ()

    def pattern(self, state: Array) -> Array:
        """Which neurons with a kink are active: (rows, N) booleans."""
        return np.zeros((len(state), 0), bool)

    def preactivations(self, X: Array) -> Array:
        """Pre-activations (rows, N) of the neurons with a kink."""
        return np.zeros((len(X), 0))

    def kink_gradients(self, pattern: Array, layer: int, neurons: Array) -> Array:
        """Gradients (m, n_inputs) of the pre-activations of some neurons of a layer, by number, under one pattern."""
        raise NotImplementedError

    @property
    def kink_gradient_bounds(self) -> Array:
        """(N,) bounds on the lengths of these gradients, for all patterns."""
        return np.zeros(0)

    @abstractmethod
    def tangent(self, state: Array, D: Array) -> tuple[Array, Array]:
        """Derivatives of these pre-activations (rows, N) and of the outputs along directions (rows, n_inputs)."""

    @abstractmethod
    def jacobian_bound(self, state: Array) -> float:
        """A bound on the size of the derivatives of outputs, against which rounding is judged."""

    # --- where it stands in a point -----------------------------------------------------------------------------

    @cached_property
    def members(self) -> tuple[Self, ...]:
        """Each embedding as a stage of its own."""
        return tuple(self.part(np.array([i])) for i in range(len(self.inputs)))

    @cached_property
    def _input_columns(self) -> Array | slice:
        return columns_or_slice(self.inputs.ravel())

    @cached_property
    def _output_columns(self) -> Array | slice:
        return columns_or_slice(self.outputs.ravel())

    @cached_property
    def _inputs_repeat(self) -> bool:
        return np.unique(self.inputs).size != self.inputs.size

    def gather(self, V: Array) -> Array:
        """Inputs (B * k, n_inputs) of the embeddings at the points."""
        return V[:, self._input_columns].reshape(len(V) * len(self.inputs), self.inputs.shape[1])

    def gather_outputs(self, V: Array) -> Array:
        """Output columns (B * k, n_outputs) at the points."""
        return V[:, self._output_columns].reshape(-1, self.outputs.shape[1])

    def scatter(self, total: Array, parts: Array) -> None:
        """Add numbers (B * k, n_inputs) for the inputs to their columns in `total` (B, n), in place."""
        parts = parts.reshape(len(total), self.inputs.size)
        if self._inputs_repeat:
            np.add.at(total.T, self.inputs.ravel(), parts.T)
        else:
            total[:, self._input_columns] += parts

    def set_outputs(self, V: Array, values: Array) -> None:
        """Replace the output columns of the points by values (B * k, n_outputs), in place."""
        V[:, self._output_columns] = values.reshape(len(V), self.outputs.size)

    # --- at points ----------------------------------------------------------------------------------------------

    def propagate(self, V: Array) -> None:
        """Replace the output columns by the function's values, in place."""
        self.set_outputs(V, self.value(self.gather(V)))

    def propagate_with_state(self, V: Array) -> Array:
        """`propagate`, and the states (B * k, ...)."""
        values, state = self.value_and_state(self.gather(V))
        self.set_outputs(V, values)
        return state

    def state(self, V: Array) -> Array:
        """States (B * k, ...) at the points."""
        return self.value_and_state(self.gather(V))[1]

    def pull_back(self, gradient: Array, state: Array) -> None:
        """Replace derivatives (B, n) in the output columns by what they give in the input columns, in place."""
        self.scatter(gradient, self.adjoint(state, self.gather_outputs(gradient)))
        gradient[:, self._output_columns] = 0.0

    def pull_back_rows(self, rows: Array, state: Array) -> None:
        """`pull_back` under one state (k, ...) for all rows, of which few may use many of the embeddings."""
        seeds = self.gather_outputs(rows)
        used = np.flatnonzero(seeds.any(axis=1))
        if used.size == 0:
            return
        row, member = np.divmod(used, len(self.inputs))
        parts = self.adjoint(state[member], seeds[used])
        rows[:, self._output_columns] = 0.0
        np.add.at(rows, (row[:, None], self.inputs[member]), parts)
