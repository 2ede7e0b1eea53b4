"""What is embedded in a problem, evaluated and differentiated on batches of points: equal functions together."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Self, TypeAlias

import numpy as np

from pyomo_relugrad.arrays import Array, DTypeLike, columns_or_slice
from pyomo_relugrad.expression import Expression
from pyomo_relugrad.network import Network, PreactivationBounds, interval_bounds
from pyomo_relugrad.network.bounds import interval_range
from pyomo_relugrad.network.sweeps import tangent

#: Values and slopes beyond this count as not defined and as without limit: they are no use in float32.
LARGEST = 1e30
#: Stands for slopes without limit, such as that of a square root at zero.
STEEP = 1e8

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


@dataclass(frozen=True, eq=False)
class NetworkStage(Stage):
    """Embeddings of a network; its state is the activation pattern (rows, n_neurons).

    Parameters
    ----------
    network : Network
    inputs : (k, n_inputs) int array
    outputs : (k, n_outputs) int array
    """

    network: Network
    inputs: Array
    outputs: Array

    @property
    def work(self) -> int:
        """The weights."""
        return self.network.n_weights

    @property
    def n_neurons(self) -> int:
        """The network's."""
        return self.network.n_neurons

    def astype(self, dtype: DTypeLike) -> NetworkStage:
        """The stage with its network in another floating-point type."""
        return replace(self, network=self.network.astype(dtype))

    def part(self, chosen: Array) -> Self:
        """The stage of some of the embeddings, by number."""
        return replace(self, inputs=self.inputs[chosen], outputs=self.outputs[chosen])

    def value(self, X: Array) -> Array:
        """The network's values (rows, n_outputs)."""
        return self.network.value(X)

    def value_and_state(self, X: Array) -> tuple[Array, Array]:
        """The values, and which ReLUs pass their input on, or the slopes of all neurons."""
        return self.network.value_and_pattern(X)

    def adjoint(self, state: Array, seeds: Array) -> Array:
        """Derivatives (rows, n_inputs) of ``seeds @ outputs`` under activation patterns."""
        return self.network.pull_back(state, len(self.network.layers) - 1, seeds)

    def affine(self, X: Array, state: Array | None = None) -> tuple[Array, Array]:
        """What the network is on the linear regions of its patterns; tangents where it is smooth."""
        return self.network.affine(X, state)

    def random_state(self, random: np.random.Generator, shares: Array) -> Array:
        """Random patterns."""
        rows = (len(shares), len(self.inputs) * self.network.n_neurons)
        return (random.random(rows) < shares).reshape(-1, self.network.n_neurons)

    def random_directions(self, random: np.random.Generator, count: int) -> Array:
        """``u @ W`` for random ``u >= 0``, W the first layer's weights with rows of length one."""
        weights = self.random_neurons(random, count)
        nothing = np.zeros((len(weights), self.network.n_neurons), bool)
        return self.network.pull_back(nothing, 0, weights.astype(self.network.dtype))

    def random_neurons(self, random: np.random.Generator, count: int) -> Array:
        """Weights (count * k, n_1) of the first layer's pre-activations, as if their gradients had length one."""
        norms = self.network.layers[0].row_norms
        return random.random((count * len(self.inputs), norms.size)) ** 4 / np.where(norms > 0, norms, 1.0)

    def range(self, lower: Array, upper: Array, bounds: NetworkBounds = interval_bounds) -> tuple[Array, Array]:
        """Bounds of the outputs, by intervals unless told otherwise."""
        if bounds is interval_bounds:
            return interval_range(self.network, lower, upper)
        found = bounds(self.network, lower, upper)
        return found.output_lower, found.output_upper

    # --- kinks ----------------------------------------------------------------------------------------------------

    @property
    def widths(self) -> tuple[int, ...]:
        """ReLUs of each hidden layer; none where the network has smooth neurons."""
        return self.network.widths if self.network.is_piecewise_linear else ()

    def pattern(self, state: Array) -> Array:
        """The activation patterns themselves."""
        return state if self.widths else super().pattern(state)

    def preactivations(self, X: Array) -> Array:
        """Pre-activations (rows, n_relus), layer after layer."""
        if not self.widths:
            return super().preactivations(X)
        return np.concatenate([np.zeros((len(X), 0)), *self.network.preactivations(X)], axis=1)

    def tangent(self, state: Array, D: Array, injected: Array | None = None) -> tuple[Array, Array]:
        """Derivatives with the neurons held; `injected` (rows, n_relus) are those of activations that come on top."""
        network = self.network
        extra = None if injected is None else network.split_pattern(injected)
        *slopes, outputs = tangent(network.layers, D, network.gates(state), extra)
        slopes = slopes if self.widths else []
        return np.concatenate([np.zeros((len(D), 0)), *slopes], axis=1), outputs

    def kink_gradients(self, pattern: Array, layer: int, neurons: Array) -> Array:
        """Gradients (m, n_inputs) of some pre-activations of a layer."""
        return self.network.preactivation_gradients(pattern, layer, neurons)

    @property
    def kink_gradient_bounds(self) -> Array:
        """(n_relus,) bounds, for all patterns."""
        return self.network.gradient_bounds if self.widths else super().kink_gradient_bounds

    def jacobian_bound(self, state: Array) -> float:
        """For all patterns."""
        return self.network.jacobian_bound


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
