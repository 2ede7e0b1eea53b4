"""Networks with fewer or smaller parts: without stable neurons, rescaled for small big-M, pruned."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from scipy import sparse

from pyomo_relugrad.arrays import Array, Weight
from pyomo_relugrad.errors import NetworkValueError
from pyomo_relugrad.network.bounds import PreactivationBounds
from pyomo_relugrad.network.crown import crown_bounds
from pyomo_relugrad.network.layer import Layer

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from pyomo_relugrad.network.network import Network

# Matrices with fewer nonzeros than this share are kept as CSR.
SPARSE_BELOW = 0.2


def without_stable_neurons(
    network: Network, lower: ArrayLike, upper: ArrayLike, bounds: PreactivationBounds | None = None
) -> Network:
    """A network with the same values on a box, and with only those ReLUs that switch there.

    Inactive neurons vanish; active ones are affine, so they are put into the layers that read them, which may then
    read earlier layers as well. Layers that are affine on the whole box are thereby merged with the next. Over an
    unbounded box this merges what is affine everywhere.

    Parameters
    ----------
    network : Network
    lower, upper : (n_inputs,) arrays
        The box; infinite where an input has no bound.
    bounds : PreactivationBounds, optional
        Of the box, by default from CROWN.

    Examples
    --------
    >>> from pyomo_relugrad.network import Network
    >>> network = Network.from_layers([[[1.0], [1.0]], [[1.0, 1.0]], [[2.0]]], [[0.0, -5.0], [1.0], [0.5]])
    >>> smaller = without_stable_neurons(network, [0.1], [1.0])
    >>> smaller.n_relus, smaller.value([[0.25]]), network.value([[0.25]])
    (0, array([[3.]]), array([[3.]]))
    """
    box = (np.reshape(lower, (1, -1)), np.reshape(upper, (1, -1)))
    known = crown_bounds(network, *box) if bounds is None else bounds
    identity = sparse.eye_array(network.n_inputs, dtype=network.dtype, format="csr")
    activations = [_AffineMap({0: identity}, np.zeros(network.n_inputs, network.dtype))]
    layers: list[Layer] = []
    for layer, active, unstable in zip(network.layers, known.active, known.unstable, strict=False):
        value = _through(layer, activations)
        kept = np.flatnonzero(unstable[0])
        activation = value.scale_rows(active[0].astype(network.dtype))
        if kept.size:
            layers.append(value.take_rows(kept).as_layer())
            back = (np.ones(kept.size, network.dtype), (kept, np.arange(kept.size)))
            activation.weights[len(layers)] = sparse.csr_array(back, shape=(layer.width, kept.size))
        activations.append(activation)
    layers.append(_through(network.layers[-1], activations).as_layer())
    return replace(network, layers=tuple(layers))


def rescale_neurons(
    network: Network, lower: ArrayLike, upper: ArrayLike, bounds: PreactivationBounds | None = None
) -> Network:
    """A network with the same values everywhere, whose ReLUs range between -2 and 2 over a box, and beyond -1 or 1.

    A ReLU is positively homogeneous, so a neuron's incoming weights may be multiplied by a positive number that its
    outgoing weights are divided by. Big-M coefficients, the ends of these ranges, are then near one (Plate et al., An
    analysis of optimization problems involving ReLU neural networks, 2025, arXiv 2502.03016). The factors are powers
    of two: not even rounding changes.

    Parameters
    ----------
    network : Network
    lower, upper : (n_inputs,) arrays
        The box.
    bounds : PreactivationBounds, optional
        Of the box, by default from CROWN.

    Examples
    --------
    >>> from pyomo_relugrad.network import Network
    >>> network = Network.from_layers([[[8.0]], [[1.0]]], [[4.0], [0.0]])
    >>> smaller = rescale_neurons(network, [-1.0], [1.0])
    >>> smaller.layers[0].weights[0], smaller.layers[1].weights[0]
    (array([[1.]]), array([[8.]]))
    """
    box = (np.reshape(lower, (1, -1)), np.reshape(upper, (1, -1)))
    known = crown_bounds(network, *box) if bounds is None else bounds
    factors = [np.ones(network.n_inputs, network.dtype)]
    layers = []
    for index, layer in enumerate(network.layers):
        is_output = index == len(network.layers) - 1
        own = np.ones(layer.width) if is_output else _power_of_two(known.lower[index][0], known.upper[index][0])
        own = own.astype(network.dtype)
        weights = tuple(
            _scale_both(weight, own, 1 / factors[source])
            for source, weight in zip(layer.sources, layer.weights, strict=True)
        )
        layers.append(Layer(layer.sources, weights, own * layer.bias))
        factors.append(own)
    return replace(network, layers=tuple(layers))


def prune_weights(network: Network, rate: float) -> Network:
    """The network with the smallest weights of each layer set to zero.

    Magnitude pruning without finetuning, the best variant as a surrogate of the surrogate (Pham et al., Optimization
    over trained (and sparse) neural networks: A surrogate within a surrogate, 2025, arXiv 2505.01985). The values
    change: what is found on the pruned network is to be judged on the dense one.

    Parameters
    ----------
    network : Network
    rate : float
        Share of each layer's nonzero weights to set to zero, from 0 to 1. Biases stay.

    Raises
    ------
    NetworkValueError
        If the rate is not between 0 and 1.

    Examples
    --------
    >>> from pyomo_relugrad.network import Network
    >>> network = Network.from_layers([[[0.1, -2.0], [3.0, -0.2]], [[1.0, 1.0]]], [[0.0, 0.0], [0.0]])
    >>> prune_weights(network, 0.5).layers[0].weights[0].tolist()
    [[0.0, -2.0], [3.0, 0.0]]
    """
    if not 0 <= rate <= 1:
        raise NetworkValueError(f"the rate of pruning must be between 0 and 1, got {rate}")
    return replace(network, layers=tuple(_pruned(layer, rate) for layer in network.layers))


def _pruned(layer: Layer, rate: float) -> Layer:
    sizes = [np.abs(weight.data if sparse.issparse(weight) else weight.ravel()) for weight in layer.weights]
    every = np.concatenate([np.zeros(0), *sizes])
    present = np.flatnonzero(every)
    smallest = present[np.argsort(every[present], kind="stable")[: round(rate * present.size)]]
    keep = np.ones(every.size, bool)
    keep[smallest] = False
    masks = np.split(keep, np.cumsum([size.size for size in sizes])[:-1]) if sizes else []
    weights = tuple(_masked(weight, mask) for weight, mask in zip(layer.weights, masks, strict=True))
    return Layer(layer.sources, weights, layer.bias)


def _masked(weight: Weight, mask: Array) -> Weight:
    if not sparse.issparse(weight):
        return _compact(np.where(mask.reshape(weight.shape), weight, 0))
    matrix = sparse.csr_array((weight.data * mask, weight.indices, weight.indptr), shape=weight.shape)
    matrix.eliminate_zeros()
    return matrix


def _power_of_two(lower: Array, upper: Array) -> Array:
    """Powers of two by which the ranges become about one; 1 where a range is zero or infinite."""
    size = np.maximum(np.abs(lower), np.abs(upper))
    usable = np.isfinite(size) & (size > 0)
    return np.where(usable, np.exp2(-np.floor(np.log2(np.where(usable, size, 1.0)))), 1.0)


def _scale_both(weight: Weight, rows: Array, columns: Array) -> Weight:
    if not sparse.issparse(weight):
        return weight * rows[:, None] * columns
    data = weight.data * np.repeat(rows, np.diff(weight.indptr)) * columns[weight.indices]
    return sparse.csr_array((data, weight.indices, weight.indptr), shape=weight.shape)


@dataclass(frozen=True, eq=False)
class _AffineMap:
    """A vector as an affine function of the input and of new hidden layers: ``sum(weights[s] @ h_s) + bias``."""

    weights: dict[int, Weight]
    bias: Array

    def take_rows(self, rows: Array) -> _AffineMap:
        return _AffineMap({source: weight[rows] for source, weight in self.weights.items()}, self.bias[rows])

    def scale_rows(self, factor: Array) -> _AffineMap:
        ones = {source: np.ones(weight.shape[1], factor.dtype) for source, weight in self.weights.items()}
        scaled = {source: _scale_both(weight, factor, ones[source]) for source, weight in self.weights.items()}
        return _AffineMap(scaled, factor * self.bias)

    def as_layer(self) -> Layer:
        weights = {source: _compact(weight) for source, weight in sorted(self.weights.items())}
        kept = {source: weight for source, weight in weights.items() if not _is_zero(weight)}
        return Layer(tuple(kept), tuple(kept.values()), self.bias)


def _through(layer: Layer, activations: list[_AffineMap]) -> _AffineMap:
    """A layer of affine functions."""
    weights: dict[int, Weight] = {}
    bias = layer.bias
    for source, weight in zip(layer.sources, layer.weights, strict=True):
        bias = bias + weight @ activations[source].bias
        for earlier, part in activations[source].weights.items():
            product = weight @ part
            weights[earlier] = product if earlier not in weights else weights[earlier] + product
    return _AffineMap({source: _compact(weight) for source, weight in weights.items()}, bias)


def _compact(weight: Weight) -> Weight:
    """CSR where few entries are nonzero, dense otherwise."""
    if sparse.issparse(weight):
        matrix = sparse.csr_array(weight)
        matrix.eliminate_zeros()
        return matrix if matrix.nnz < SPARSE_BELOW * weight.shape[0] * weight.shape[1] else matrix.toarray()
    return sparse.csr_array(weight) if np.count_nonzero(weight) < SPARSE_BELOW * weight.size else weight


def _is_zero(weight: Weight) -> bool:
    return not (weight.data if sparse.issparse(weight) else weight).any()
