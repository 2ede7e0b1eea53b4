"""Networks as stages of a problem."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Self

import numpy as np

from pyomo_relugrad.arrays import Array, DTypeLike
from pyomo_relugrad.network import Network, interval_bounds
from pyomo_relugrad.network.bounds import interval_range
from pyomo_relugrad.network.sweeps import tangent
from pyomo_relugrad.problem.stages import NetworkBounds, Stage


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
        return (random.random(rows) < shares).reshape(len(shares) * len(self.inputs), self.network.n_neurons)

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
            return self._interval_range(lower, upper)
        found = bounds(self.network, lower, upper)
        return found.output_lower, found.output_upper

    def _interval_range(self, lower: Array, upper: Array) -> tuple[Array, Array]:
        """Bounds by intervals. Those over the last boxes are kept: where few numbers of a problem change, they stay."""
        last = vars(self).get("_last_range")
        if last is None or not (np.array_equal(last[0], lower) and np.array_equal(last[1], upper)):
            last = lower.copy(), upper.copy(), *interval_range(self.network, lower, upper)
            object.__setattr__(self, "_last_range", last)
        return last[2].copy(), last[3].copy()

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
