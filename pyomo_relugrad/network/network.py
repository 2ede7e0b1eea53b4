"""A trained network in one canonical form: affine maps and activations, ReLUs or smooth ones."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from pyomo_relugrad.arrays import Array, ArrayLike, DTypeLike
from pyomo_relugrad.checks import as_list, numbers, vector
from pyomo_relugrad.errors import NetworkValueError
from pyomo_relugrad.network.activations import RELU, Activation
from pyomo_relugrad.network.choices import Choice, column_names, encoded
from pyomo_relugrad.network.layer import Layer, TensorSpec
from pyomo_relugrad.network.layered import LayeredFunction
from pyomo_relugrad.network.names import by_name, checked_names, rows_by_name, tensor_names
from pyomo_relugrad.network.region import LinearRegion
from pyomo_relugrad.words import shown


def check_network(given: Any) -> None:
    """Refuse what is no network.

    Raises
    ------
    NetworkValueError
        Says how a network is read.
    """
    if not isinstance(given, LayeredFunction):
        raise NetworkValueError(f"the network is {shown(given)}: give a Network, such as load_network reads from it")


def input_box(network: Network, lower: ArrayLike, upper: ArrayLike) -> tuple[Array, Array]:
    """Bounds (n_inputs,) of one box, from numbers, arrays, or what has the inputs' names as its keys.

    Raises
    ------
    NetworkValueError
        If it is no network, or the bounds do not fit it.
    """
    check_network(network)
    low, high = (
        vector(by_name(side, network.input_names, "input", name), name, network.n_inputs, NetworkValueError)
        for name, side in (("lower", lower), ("upper", upper))
    )
    return low, high


@dataclass(frozen=True, eq=False)
class Network(LayeredFunction):
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

    inputs: tuple[TensorSpec, ...] = ()
    outputs: tuple[TensorSpec, ...] = ()
    name: str = ""
    input_names: tuple[str, ...] = None  # type: ignore[assignment]  # set on creation
    output_names: tuple[str, ...] = None  # type: ignore[assignment]
    choices: tuple[Choice, ...] = ()

    def __post_init__(self) -> None:
        super().__post_init__()
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
        chains = [
            as_list(given, f"the {what}", "a list of arrays, one for each layer", NetworkValueError)
            for what, given in (("weights", weights), ("biases", biases))
        ]
        counts = [len(chain) for chain in chains]
        if counts[0] != counts[1] or counts[0] == 0:
            raise NetworkValueError(
                f"there are {counts[0]} weights and {counts[1]} biases: give one of each for each layer"
            )
        layers = []
        for index, pair in enumerate(zip(*chains, strict=True)):
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

    @cached_property
    def remembered_ranges(self) -> dict[bytes, tuple[Array, Array]]:
        """Bounds of the outputs over a few boxes, as `interval_range` keeps them."""
        return {}

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
        pairs = [*zip(self.layers, other.layers, strict=True)]
        if "_float32" in vars(self):
            pairs += zip(self._float32.layers, other._float32.layers, strict=True)
        for own, others in pairs:
            own.hold(others)

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

    def batch(self, points: ArrayLike, width: int | None = None) -> Array:
        """Check a batch of rows and cast it to the network's type; a data frame's columns are taken by their names.

        Raises
        ------
        NetworkValueError
            If the batch is not (B, width), by default (B, n_inputs), or its columns have other names.
        """
        if width is None and self.choices:
            points = encoded(points, self.input_names, self.choices)
        if width is None and self.input_names and hasattr(points, "columns"):
            points = rows_by_name(points, np.asarray(points), self.input_names)
        return super().batch(points, width)

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
