"""Layers as a function of arrays: its values, derivatives and activation patterns, by the sweeps."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate, islice, pairwise
from math import prod
from typing import Any

import numpy as np

from pyomo_relugrad.arrays import Array, ArrayLike
from pyomo_relugrad.checks import numbers
from pyomo_relugrad.errors import NetworkValueError
from pyomo_relugrad.network import sweeps
from pyomo_relugrad.network.activations import Activation
from pyomo_relugrad.network.layer import Layer, check_layers
from pyomo_relugrad.network.linear_maps import row_norms
from pyomo_relugrad.network.relu_chain import ReluChain


@dataclass(frozen=True, eq=False)
class LayeredFunction:
    """What `Network` is apart from its names: ``h_k = relu(sum_s W_ks h_s + b_k)`` with ``h_0 = x``, and its outputs.

    Parameters
    ----------
    n_inputs : int
    layers : tuple of Layer
        The hidden layers in order, then the output.
    """

    n_inputs: int
    layers: tuple[Layer, ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "layers", tuple(self.layers))
        check_layers(self.n_inputs, self.layers)

    @property
    def n_outputs(self) -> int:
        """Number of outputs."""
        return self.layers[-1].width

    @cached_property
    def widths(self) -> tuple[int, ...]:
        """Number of neurons in each hidden layer."""
        return tuple(layer.width for layer in self.layers[:-1])

    @property
    def hidden_activations(self) -> tuple[Activation, ...]:
        """The activation of each hidden layer."""
        return tuple(layer.activation for layer in self.layers[:-1])

    @cached_property
    def n_neurons(self) -> int:
        """Number of neurons in all hidden layers."""
        return sum(self.widths)

    @cached_property
    def n_relus(self) -> int:
        """Number of ReLUs."""
        return sum(layer.width for layer in self.layers[:-1] if layer.activation.is_piecewise_linear)

    @cached_property
    def is_piecewise_linear(self) -> bool:
        """Whether all neurons are ReLUs, so that the network has linear regions."""
        return self.n_relus == self.n_neurons

    @cached_property
    def smooth_activations(self) -> tuple[str, ...]:
        """Names of the activations that are not piecewise linear, in order of their first layers."""
        return tuple(dict.fromkeys(own.name for own in self.hidden_activations if not own.is_piecewise_linear))

    @property
    def n_weights(self) -> int:
        """Number of stored weights, biases not counted."""
        return sum(int(weight.size) for layer in self.layers for weight in layer.weights)

    @cached_property
    def bounding_work(self) -> float:
        """Multiplications that bounds of all pre-activations over one box take, each substituted back to the inputs."""
        entries = np.cumsum([sum(weight.size for weight in layer.weights) for layer in self.layers])
        return float(np.array(self.widths[1:]) @ entries[: max(len(self.widths) - 1, 0)])

    @cached_property
    def dtype(self) -> np.dtype[Any]:
        """Floating-point type of the weights."""
        return self.layers[-1].bias.dtype

    # --- values -------------------------------------------------------------------------------------------------

    def batch(self, points: ArrayLike, width: int | None = None) -> Array:
        """Check a batch of rows and cast it to the network's type.

        Raises
        ------
        NetworkValueError
            If the batch is not (B, width), by default (B, n_inputs).
        """
        array = points
        if not isinstance(array, np.ndarray) or array.dtype != self.dtype:
            array = np.asarray(numbers(points, "points", "a table of numbers", NetworkValueError), self.dtype)
        width = self.n_inputs if width is None else width
        if array.ndim != 2 or array.shape[1] != width:
            raise NetworkValueError(
                f"the points have shape {array.shape}: give a batch of shape (B, {width}), a point to a row"
            )
        return array

    def activations(self, X: ArrayLike) -> tuple[Array, ...]:
        """``(h_0, h_1, ..., h_L, y)``: the input, each hidden layer's activation and the output, each (B, n_k)."""
        return tuple(sweeps.evaluate(self.layers, self.batch(X)))

    def value(self, X: ArrayLike) -> Array:
        """Outputs (B, n_outputs) at the rows of `X`."""
        return self.activations(X)[-1] if self._chain is None else self._chain.value(self.batch(X))

    def preactivations(self, X: ArrayLike, pattern: Array | None = None) -> tuple[Array, ...]:
        """What enters the neurons: one (B, n_k) array per hidden layer.

        With a `pattern`, a (B, n_relus) boolean array, the affine functions that they are on its region.
        """
        if pattern is not None:
            self._check_regions()
        gates = None if pattern is None else self.gates(pattern)
        sweep = sweeps.forward(self.layers, self.batch(X), gates)
        return tuple(values for values, _ in islice(sweep, len(self.widths)))

    def activation_pattern(self, X: ArrayLike) -> Array:
        """Which ReLUs are active (pre-activation > 0): (B, n_relus) booleans, layer after layer.

        Of a network with smooth neurons the slopes of all neurons, (B, n_neurons) numbers; those of ReLUs are 0 or 1.
        """
        return self.value_and_pattern(X)[1]

    def value_and_pattern(self, X: ArrayLike) -> tuple[Array, Array]:
        """Outputs (B, n_outputs) and `activation_pattern` at the rows of `X`."""
        if self.is_piecewise_linear:
            *hidden, outputs = self.activations(X)
            pattern = np.empty((len(outputs), self.n_neurons), bool)
            for part, activations in zip(self.split_pattern(pattern), hidden[1:], strict=True):
                np.greater(activations, 0, out=part)
            return outputs, pattern
        outputs, slopes = sweeps.evaluate_with_slopes(self.layers, self.batch(X))
        return outputs, np.concatenate(slopes, axis=1)

    def split_pattern(self, pattern: Array) -> tuple[Array, ...]:
        """An activation pattern (..., n_neurons) as one (..., n_k) array per hidden layer."""
        return tuple(pattern[..., begin:end] for begin, end in pairwise(self._layer_begins))

    def gates(self, pattern: Array) -> tuple[Array, ...]:
        """An activation pattern (..., n_neurons) as the `sweeps` take it: by layer, in the network's type."""
        return tuple(part.astype(self.dtype, copy=False) for part in self.split_pattern(pattern))

    def _check_regions(self) -> None:
        """Refuse networks that have no linear regions."""
        if not self.is_piecewise_linear:
            raise NetworkValueError(
                f"{self!r} has {', '.join(self.smooth_activations)} neurons, and so no linear regions: take its values "
                "and derivatives at points instead"
            )

    @cached_property
    def _layer_begins(self) -> tuple[int, ...]:
        """Place of each hidden layer's first neuron among all, then the number of all."""
        return tuple(accumulate(self.widths, initial=0))

    @cached_property
    def gradient_bounds(self) -> Array:
        """(n_relus,) bounds on the Euclidean norms of the pre-activations' gradients, over all inputs."""
        return np.concatenate([np.zeros(0), *self._gradient_bounds[:-1]])

    @property
    def jacobian_bound(self) -> float:
        """Bound on the Frobenius norm of the Jacobian, over all inputs."""
        return float(np.linalg.norm(self._gradient_bounds[-1]))

    @cached_property
    def _gradient_bounds(self) -> list[Array]:
        """Bounds (n_k,) on the norms of the gradients of each layer's values."""
        norms, result = [1.0], []
        for layer in self.layers:
            bounds = np.zeros(layer.width)
            for source, weight in layer.terms:
                bounds += row_norms(weight) * norms[source]
            result.append(bounds)
            norms.append(float(np.linalg.norm(bounds)))
        return result

    def value_and_gradient(self, X: ArrayLike, output_weights: ArrayLike) -> tuple[Array, Array]:
        """Outputs (B, n_outputs), and the gradient (B, n_inputs) of ``output_weights @ y`` at the rows of `X`.

        `output_weights` is (n_outputs,) or one row per point, (B, n_outputs). At a kink the derivative is that of the
        inactive side.
        """
        points, seeds = self.batch(X), np.atleast_2d(np.asarray(output_weights, dtype=self.dtype))
        if self._chain is not None:
            return self._chain.value_and_gradient(points, seeds)
        outputs, slopes = sweeps.evaluate_with_slopes(self.layers, points)
        found = sweeps.adjoint(self.layers, sweeps.coefficients_of(self.layers[-1], seeds), slopes)
        return outputs, self._gradients(found, (len(outputs),))

    @cached_property
    def _chain(self) -> ReluChain | None:
        return ReluChain.of(self.layers)

    def linearize(
        self, X: ArrayLike, D: ArrayLike, pattern: Array | None = None
    ) -> tuple[tuple[Array, ...], tuple[Array, ...]]:
        """Pre-activations and outputs at the rows of `X`, and their derivatives along the rows of `D`.

        Parameters
        ----------
        X, D : (B, n_inputs) arrays
        pattern : (B, n_neurons) array, optional
            Which ReLUs pass their input on, or the slopes of all neurons; by default those at `X`.

        Returns
        -------
        values, slopes : tuples of (B, n_k) arrays
            Hidden layers' pre-activations in order, then the outputs. On the linear region of the pattern of ReLUs,
            ``values + t * slopes`` is exact along ``X[i] + t * D[i]``.
        """
        values, gates = self._values_and_gates(X, pattern)
        return values, tuple(sweeps.tangent(self.layers, self.batch(D), gates))

    def jacobian(self, X: ArrayLike) -> Array:
        """Jacobians (B, n_outputs, n_inputs) at the rows of `X`."""
        return self.affine(X)[0]

    def affine(self, X: ArrayLike, pattern: Array | None = None) -> tuple[Array, Array]:
        """The affine function that the network is around each row of `X`, or the tangent where it is smooth.

        Parameters
        ----------
        X : (B, n_inputs) array
        pattern : (B, n_neurons) array, optional
            Which ReLUs pass their input on, or the slopes of all neurons; by default those at `X`.

        Returns
        -------
        jacobians : (B, n_outputs, n_inputs) array
        offsets : (B, n_outputs) array
            ``y = jacobians[i] @ x + offsets[i]`` on the linear region of the pattern.
        """
        points = self.batch(X)
        values, gates = self._values_and_gates(points, pattern)
        shared = gates if len(points) == 1 else [gate[:, None] for gate in gates]  # a point's serve all its outputs
        seeds = np.eye(self.n_outputs, dtype=self.dtype)
        found = sweeps.adjoint(self.layers, sweeps.coefficients_of(self.layers[-1], seeds), shared)
        jacobians = self._gradients(found, (len(points), self.n_outputs))
        return jacobians, values[-1] - np.einsum("bij,bj->bi", jacobians, points)

    def pull_back(self, pattern: Array, layer: int, V: ArrayLike) -> Array:
        """Gradients of pre-activations under given activation patterns.

        Parameters
        ----------
        pattern : (B, n_neurons) array
            Which ReLUs pass their input on, as booleans, or the slopes of all neurons.
        layer : int
            Index into `layers` of the pre-activation to differentiate; ``len(layers) - 1`` is the output.
        V : (B, n_k) array
            Weights of that layer's values.

        Returns
        -------
        (B, n_inputs) array
            Row ``i`` is the gradient of ``V[i] @ z_layer(x)`` with the ReLUs held as ``pattern[i]``.
        """
        seeds = self.batch(V, self.layers[layer].width)
        found = sweeps.adjoint(self.layers, sweeps.coefficients_of(self.layers[layer], seeds), self.gates(pattern))
        return self._gradients(found, (max(len(seeds), len(pattern)),))

    def preactivation_gradients(self, pattern: Array, layer: int, neurons: Array) -> Array:
        """Gradients of the pre-activations of some neurons of one layer, under one activation pattern.

        Parameters
        ----------
        pattern : (n_relus,) boolean array
        layer : int
            Index into `layers`.
        neurons : (m,) int array
            Rows of that layer.

        Returns
        -------
        (m, n_inputs) array
        """
        start = sweeps.coefficients_of_neurons(self.layers[layer], neurons)
        return self._gradients(sweeps.adjoint(self.layers, start, self.gates(pattern)), neurons.shape)

    def _values_and_gates(self, X: ArrayLike, pattern: Array | None) -> tuple[tuple[Array, ...], Sequence[Array]]:
        """Pre-activations and outputs at the rows of `X`, and the gates of a pattern, by default of that at `X`."""
        gates = None if pattern is None else self.gates(pattern)
        held = gates if self.is_piecewise_linear else None
        values = tuple(values for values, _ in sweeps.forward(self.layers, self.batch(X), held))
        if gates is not None:
            return values, gates
        return values, [own.slope(z) for own, z in zip(self.hidden_activations, values[:-1], strict=True)]

    def _gradients(self, found: sweeps.Coefficients, batch: tuple[int, ...]) -> Array:
        """The input's coefficients (*batch, n_inputs) that a backward sweep found; what it broadcasts is repeated."""
        gradients, shape = found.get(0), (*batch, self.n_inputs)
        if gradients is None:
            return np.zeros(shape, self.dtype)
        return gradients.reshape(shape) if gradients.size == prod(shape) else np.broadcast_to(gradients, shape).copy()
