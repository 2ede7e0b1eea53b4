"""A trained network in one canonical form: affine maps and activations, ReLUs or smooth ones."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import accumulate, islice, pairwise
from math import prod
from typing import Any

import numpy as np

from pyomo_relugrad.arrays import Array, ArrayLike, DTypeLike
from pyomo_relugrad.checks import numbers
from pyomo_relugrad.errors import NetworkValueError
from pyomo_relugrad.network import sweeps
from pyomo_relugrad.network.activations import RELU, Activation
from pyomo_relugrad.network.choices import Choice, column_names, encoded
from pyomo_relugrad.network.layer import Layer, TensorSpec, check_layers
from pyomo_relugrad.network.names import checked_names, rows_by_name, tensor_names
from pyomo_relugrad.network.region import LinearRegion, gradient_bounds
from pyomo_relugrad.words import shown


@dataclass(frozen=True, eq=False)
class Network:
    r"""A network as layers of ReLUs or smooth neurons, each affine in what came before it.

    ``h_k = relu(sum_s W_ks h_s + b_k)`` with ``h_0 = x``, or another activation than the ReLU, and the output ``y`` is
    affine in the ``h``. Every method works on a batch of rows: a point is one row, ``X`` is (B, n_inputs).

    Parameters
    ----------
    n_inputs : int
    layers : tuple of Layer
        The hidden layers in order, then one last layer without an activation, the output.
    inputs, outputs : tuple of TensorSpec, optional
        Names and shapes of the file's tensors; several are concatenated, flattened row by row.
    name : str, optional
        Shown in messages and statistics.
    input_names, output_names : tuple of str, optional
        A name for each input and each output, or none: those of a data frame's columns, for example. Where they are
        not given, they are the tensors' names, if each of several tensors holds one number. Whoever gives values under
        names is answered by name, whatever the order.
    choices : tuple of Choice, optional
        Categorical inputs: inputs that are 0 or 1 in groups, of each of which exactly one is 1. They need names.

    Notes
    -----
    Networks are immutable, compared by identity, and shared by copies: ``copy.deepcopy`` returns the same object, so
    a cloned model does not copy weights.

    Raises
    ------
    NetworkValueError
        If the layers do not fit each other, or names do not fit or are repeated.

    Examples
    --------
    >>> import numpy as np
    >>> network = Network.from_layers([[[1.0, -1.0]], [[2.0]]], [[0.5], [1.0]])
    >>> network.value([[1.0, 0.0], [0.0, 1.0]])
    array([[4.],
           [1.]])
    >>> network.jacobian([[1.0, 0.0]])
    array([[[ 2., -2.]]])
    """

    n_inputs: int
    layers: tuple[Layer, ...]
    inputs: tuple[TensorSpec, ...] = ()
    outputs: tuple[TensorSpec, ...] = ()
    name: str = ""
    input_names: tuple[str, ...] = None  # type: ignore[assignment]  # set on creation
    output_names: tuple[str, ...] = None  # type: ignore[assignment]
    choices: tuple[Choice, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "layers", tuple(self.layers))
        check_layers(self.n_inputs, self.layers)
        self._check_specs(self.inputs, self.n_inputs, "input")
        self._check_specs(self.outputs, self.n_outputs, "output")
        input_names = tensor_names(self.inputs) if self.input_names is None else self.input_names
        output_names = tensor_names(self.outputs) if self.output_names is None else self.output_names
        object.__setattr__(self, "input_names", checked_names(input_names, self.n_inputs, "input"))
        object.__setattr__(self, "output_names", checked_names(output_names, self.n_outputs, "output"))
        if self.choices and not self.input_names:
            raise NetworkValueError(
                "a network with categorical inputs has no names: give a name for each input as input_names"
            )

    @staticmethod
    def _check_specs(specs: tuple[TensorSpec, ...], size: int, what: str) -> None:
        if specs and sum(spec.size for spec in specs) != size:
            raise NetworkValueError(
                f"the {what} tensors {specs} have {sum(spec.size for spec in specs)} entries in all: give {size}"
            )

    @classmethod
    def from_layers(
        cls,
        weights: Sequence[ArrayLike],
        biases: Sequence[ArrayLike],
        name: str = "",
        activation: Activation = RELU,
    ) -> Network:
        """A chain of dense layers with an activation, by default a ReLU, after each but the last.

        Parameters
        ----------
        weights : sequence of (n_k, n_{k-1}) arrays
            As ``torch.nn.Linear.weight``: rows are outputs.
        biases : sequence of (n_k,) arrays
        name : str, optional
        activation : Activation, optional
            Such as ``TANH`` of `pyomo_relugrad.network.curves`.

        Raises
        ------
        NetworkValueError
            If shapes disagree, or an entry is NaN or infinite.
        """
        for what, given in (("weights", weights), ("biases", biases)):
            if not hasattr(given, "__len__"):
                raise NetworkValueError(f"{what} is {shown(given)}: give a list of arrays, one for each layer")
        if len(weights) != len(biases) or len(weights) == 0:
            raise NetworkValueError(
                f"there are {len(weights)} weights and {len(biases)} biases: give one of each for each layer"
            )
        layers = []
        for index, pair in enumerate(zip(weights, biases, strict=True)):
            parts = [
                numbers(given, f"{what}[{index}]", "a table of numbers", NetworkValueError)
                for what, given in zip(("weights", "biases"), pair, strict=True)
            ]
            layers.append(Layer((index,), (np.array(parts[0], ndmin=2),), np.array(parts[1], ndmin=1), activation))
        return cls(layers[0].weights[0].shape[1], tuple(layers), name=name)

    def __reduce__(self) -> tuple[Any, ...]:
        names = self.input_names, self.output_names, self.choices
        made = {name: vars(self)[name] for name in ("_float32",) if name in vars(self)}
        return Network, (self.n_inputs, self.layers, self.inputs, self.outputs, self.name, *names), made

    def __copy__(self) -> Network:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> Network:
        return self

    def __repr__(self) -> str:
        shape = "-".join(str(width) for width in (self.n_inputs, *self.widths, self.n_outputs))
        return f"<Network {self.name + ' ' if self.name else ''}{shape}>"

    @property
    def column_names(self) -> tuple[str, ...]:
        """Names of the columns of a table of inputs: the inputs' names, with one column for each categorical input."""
        return column_names(self.input_names, self.choices)

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

    @cached_property
    def _float32(self) -> Network:
        return replace(self, layers=tuple(layer.astype(np.float32) for layer in self.layers))

    def astype(self, dtype: DTypeLike) -> Network:
        """The network in another floating-point type; the float32 copy is made once and kept."""
        if np.dtype(dtype) == self.dtype:
            return self
        if np.dtype(dtype) == np.float32:
            return self._float32
        return replace(self, layers=tuple(layer.astype(dtype) for layer in self.layers))

    def hold(self, other: Network) -> None:
        """Hold the arrays of an equal network, which others hold as well, in place of its own."""
        object.__setattr__(self, "layers", other.layers)
        if "_float32" in vars(self):
            object.__setattr__(self._float32, "layers", other._float32.layers)

    def with_names(self, inputs: Iterable[str] | None = None, outputs: Iterable[str] | None = None) -> Network:
        """The network with names for its inputs or outputs; None leaves them as they are, an empty list drops them.

        Examples
        --------
        >>> network = Network.from_layers([[[1.0, -1.0]], [[2.0]]], [[0.5], [1.0]])
        >>> network.with_names(inputs=["width", "height"]).input_names
        ('width', 'height')
        """
        own = {"input_names": inputs, "output_names": outputs}
        return replace(self, **{side: names for side, names in own.items() if names is not None})  # type: ignore[arg-type]

    # --- evaluation ---------------------------------------------------------------------------------------------

    def batch(self, points: ArrayLike, width: int | None = None) -> Array:
        """Check a batch of rows and cast it to the network's type; a data frame's columns are taken by their names.

        Raises
        ------
        NetworkValueError
            If the batch is not (B, width), by default (B, n_inputs), or its columns have other names.
        """
        if width is None and self.choices:
            points = encoded(points, self.input_names, self.choices)
        array = np.asarray(numbers(points, "points", "a table of numbers", NetworkValueError), self.dtype)
        if width is None and self.input_names and array is not points:
            array = rows_by_name(points, array, self.input_names)
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
        return self.activations(X)[-1]

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
        return gradient_bounds(self.layers)

    def value_and_gradient(self, X: ArrayLike, output_weights: ArrayLike) -> tuple[Array, Array]:
        """Outputs (B, n_outputs), and the gradient (B, n_inputs) of ``output_weights @ y`` at the rows of `X`.

        `output_weights` is (n_outputs,) or one row per point, (B, n_outputs). At a kink the derivative is that of the
        inactive side.
        """
        outputs, slopes = sweeps.evaluate_with_slopes(self.layers, self.batch(X))
        seeds = np.atleast_2d(np.asarray(output_weights, dtype=self.dtype))
        found = sweeps.adjoint(self.layers, sweeps.coefficients_of(self.layers[-1], seeds), slopes)
        return outputs, self._gradients(found, (len(outputs),))

    def vjp(self, X: ArrayLike, V: ArrayLike) -> Array:
        """Vector-Jacobian products ``V[i] @ J(X[i])``: `V` is (B, n_outputs), the result (B, n_inputs)."""
        return self.value_and_gradient(X, self.batch(V, self.n_outputs))[1]

    def jvp(self, X: ArrayLike, D: ArrayLike) -> Array:
        """Jacobian-vector products ``J(X[i]) @ D[i]``: `D` is (B, n_inputs), the result (B, n_outputs)."""
        return self.linearize(X, D)[1][-1]

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

    def region(self, x: ArrayLike, pattern: Array | None = None) -> LinearRegion:
        """The linear region of an activation pattern; networks with smooth neurons have none.

        Parameters
        ----------
        x : (n_inputs,) or (1, n_inputs) array
            A point of the region.
        pattern : (n_relus,) boolean array, optional
            By default the pattern at `x`. With another one, `x` should lie on the boundary of its region.

        Raises
        ------
        NetworkValueError
            If the network has smooth neurons.
        """
        point = self.batch(np.reshape(np.asarray(x), (1, -1)))
        self._check_regions()
        return LinearRegion(self, self.activation_pattern(point)[0] if pattern is None else pattern, point[0])

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
