"""One affine map of a network, and the names of the tensors around it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from scipy import sparse

from pyomo_relugrad.arrays import Array, DTypeLike, Weight, namespace
from pyomo_relugrad.errors import NetworkValueError
from pyomo_relugrad.network.activations import RELU, Activation
from pyomo_relugrad.network.linear_maps import Transposed, entries, row_norms
from pyomo_relugrad.network.widened import WidenedMatrix, blocks


@dataclass(frozen=True)
class TensorSpec:
    """Name and shape of one input or output tensor of the network's file.

    Parameters
    ----------
    name : str
        The tensor's name in the file.
    shape : tuple of int
        Its shape without the batch dimension.
    """

    name: str
    shape: tuple[int, ...]

    @property
    def size(self) -> int:
        """Number of entries."""
        return int(np.prod(self.shape, dtype=np.int64))


@dataclass(frozen=True, eq=False)
class Layer:
    """One affine map of earlier activations, ``sum(weights[i] @ h[sources[i]]) + bias``, and the activation after it.

    Parameters
    ----------
    sources : tuple of int
        The vectors that the map reads, strictly increasing: 0 is the network's input, ``k`` the activation of its
        ``k``-th layer. Empty for a constant.
    weights : tuple of (n_k, n_source) arrays
        One linear map per source, a dense array or a ``scipy.sparse.csr_array``. They are not copied.
    bias : (n_k,) array
    activation : Activation, optional
        What a network applies to the map, element by element, unless it is its last layer; by default a ReLU.

    Raises
    ------
    NetworkValueError
        If shapes disagree, or an entry is NaN or infinite.
    """

    sources: tuple[int, ...]
    weights: tuple[Weight, ...]
    bias: Array
    activation: Activation = RELU

    def __post_init__(self) -> None:
        bias = _frozen(np.atleast_1d(self.bias))
        weights = tuple(_frozen(weight) for weight in self.weights)
        if len(weights) != len(self.sources):
            raise NetworkValueError(
                f"a layer has {len(self.sources)} sources but {len(weights)} weights: give a weight for each source"
            )
        if (
            any(a >= b for a, b in zip(self.sources, self.sources[1:], strict=False))
            or min(self.sources, default=0) < 0
        ):
            raise NetworkValueError(
                f"a layer has the sources {self.sources}: give numbers of 0 or more, each above the last"
            )
        for weight in weights:
            if weight.ndim != 2 or bias.ndim != 1 or weight.shape[0] != bias.shape[0]:
                raise NetworkValueError(
                    f"a weight of shape {weight.shape} does not fit a bias of shape {bias.shape}: give weights of "
                    "shape (outputs, inputs), as torch.nn.Linear has them, and a bias of shape (outputs,)"
                )
            if weight.dtype != bias.dtype:
                raise NetworkValueError(
                    f"a weight has type {weight.dtype}, but its bias has {bias.dtype}: give both in one type"
                )
        for what, array in (("bias", bias), *(("weight", weight) for weight in weights)):
            if not _is_finite(array):
                raise NetworkValueError(
                    f"in a layer of {bias.shape[0]} values, a {what} of shape {array.shape} has an entry that is NaN "
                    "or infinite: give finite numbers, or train again where the training diverged"
                )
        object.__setattr__(self, "sources", tuple(int(source) for source in self.sources))
        object.__setattr__(self, "weights", weights)
        object.__setattr__(self, "bias", bias)

    def __reduce__(self) -> tuple[type, tuple[Any, ...]]:
        return Layer, (self.sources, self.weights, self.bias, self.activation)

    @property
    def width(self) -> int:
        """Number of values that the layer computes."""
        return int(self.bias.shape[0])

    @cached_property
    def terms(self) -> tuple[tuple[int, Weight], ...]:
        """The sources, each with its weights."""
        return tuple(zip(self.sources, self.weights, strict=True))

    @cached_property
    def row_norms(self) -> Array:
        """(n_k,) Euclidean norms of each value's weights, over all sources."""
        return np.sqrt(sum((row_norms(weight) ** 2 for weight in self.weights), np.zeros(self.width)))

    def hold(self, other: Layer) -> None:
        """Hold the arrays of an equal layer in place of its own, wherever this layer is in use."""
        object.__setattr__(self, "weights", other.weights)
        object.__setattr__(self, "bias", other.bias)
        for name in ("terms", "_transposed"):
            vars(self).pop(name, None)

    def apply(self, activations: Sequence[Array]) -> Array:
        """Affine map of the batch; ``activations[s]`` is (..., n_s), the result (..., n_k)."""
        result = self.apply_linear(activations)
        result += self.bias
        return result

    def apply_linear(self, directions: Sequence[Array]) -> Array:
        """Linear part of the map of the batch: `apply` without the bias."""
        if not self.sources:
            shape = (*directions[0].shape[:-1], self.width)
            return namespace(directions[0]).zeros(shape, dtype=self.bias.dtype)
        result = self._transposed[0].after(directions[self.sources[0]])
        for source, weight in zip(self.sources[1:], self._transposed[1:], strict=True):
            result += weight.after(directions[source])
        return result

    @cached_property
    def _transposed(self) -> tuple[Transposed, ...]:
        return tuple(Transposed(weight) for weight in self.weights)

    def astype(self, dtype: DTypeLike) -> Layer:
        """The layer with weights and bias of the given type."""
        if self.bias.dtype == dtype:
            return self
        weights = tuple(weight.astype(dtype) for weight in self.weights)
        return replace(self, weights=weights, bias=self.bias.astype(dtype))


def check_layers(n_inputs: int, layers: Sequence[Layer]) -> None:
    """Refuse layers that do not fit each other, or no network.

    Raises
    ------
    NetworkValueError
        Says which layer does not fit.
    """
    if n_inputs < 1 or not layers:
        raise NetworkValueError(
            f"a network of {n_inputs} inputs and {len(layers)} layers: give one input or more, and an output layer"
        )
    widths = [n_inputs, *(layer.width for layer in layers[:-1])]
    for index, layer in enumerate(layers):
        for source, weight in layer.terms:
            if source > index:
                raise NetworkValueError(
                    f"layer {index + 1} reads layer {source}, which does not come before it: give the layers in order"
                )
            if weight.shape[1] != widths[source]:
                raise NetworkValueError(
                    f"layer {index + 1} expects {weight.shape[1]} values from layer {source}, which has "
                    f"{widths[source]}: give a weight of shape ({weight.shape[0]}, {widths[source]})"
                )
    if len({layer.bias.dtype for layer in layers}) > 1:
        raise NetworkValueError(
            "the layers of a network have several floating-point types: give all in one, such as float64"
        )


def _frozen(array: Any) -> Any:
    """A read-only view (dense) or a sorted CSR array over a read-only view; float32 and float64 are kept.

    The caller's array is not copied, and must not be changed afterwards; but see `WidenedMatrix`.
    """
    if isinstance(array, WidenedMatrix):
        return array
    if sparse.issparse(array):
        matrix = sparse.csr_array(array)
        if matrix.dtype not in (np.float32, np.float64):
            matrix = matrix.astype(np.float64)
        if not matrix.has_canonical_format:
            matrix = matrix.copy()
            matrix.sum_duplicates()
        matrix.data = matrix.data.view()
        matrix.data.flags.writeable = False
        return matrix
    array = np.asarray(array)
    if array.dtype not in (np.float32, np.float64):
        array = array.astype(np.float64)
    array = WidenedMatrix.of(array)
    if isinstance(array, WidenedMatrix) or not array.flags.writeable:
        return array
    view = array.view()
    view.flags.writeable = False
    return view


def _is_finite(array: Weight) -> bool:
    stored = entries(array)
    parts = [stored] if stored.ndim == 1 else [stored[rows] for rows in blocks(*stored.shape)]
    return all(np.isfinite(part).all() for part in parts)
