"""Networks with fewer or smaller parts: without stable neurons, rescaled for small big-M, pruned."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
from scipy import sparse

from pyomo_relugrad.arrays import Array, ArrayLike, Weight
from pyomo_relugrad.checks import check_number
from pyomo_relugrad.errors import NetworkValueError
from pyomo_relugrad.network.bounds import PreactivationBounds, crown_bounds
from pyomo_relugrad.network.building.affine import Affine
from pyomo_relugrad.network.building.hidden_layers import HiddenLayers, through
from pyomo_relugrad.network.layer import Layer
from pyomo_relugrad.network.linear_maps import Diagonal, explicit, product, scaled_rows
from pyomo_relugrad.network.network import Network, check_network, input_box


def without_stable_neurons(
    network: Network, lower: ArrayLike, upper: ArrayLike, bounds: PreactivationBounds | None = None
) -> Network:
    """A network with the same values on a box, and with only those ReLUs that switch there, and all smooth neurons.

    Inactive neurons vanish; active ones are affine, so they are put into the layers that read them, which may then
    read earlier layers as well. Layers that are affine on the whole box are thereby merged with the next. Over an
    unbounded box this merges what is affine everywhere.

    Parameters
    ----------
    network : Network
    lower, upper : float or (n_inputs,) array
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
    known = _bounds_over_box(network, lower, upper) if bounds is None else bounds
    hidden, activations = HiddenLayers(), [Affine.variable(0, (network.n_inputs,))]
    *layers, last = network.astype(np.float64).layers
    for layer, (active,), (inactive,) in zip(layers, known.active, known.inactive, strict=True):
        values = through(layer, activations)
        unstable = ~(active | inactive)
        activation = values.scaled(active.astype(np.float64)) if active.any() else Affine.constant(0.0 * layer.bias)
        if unstable.any():
            switching = hidden.add(values.elements(unstable), layer.activation)
            activation = activation.plus(switching.taken(np.where(unstable, np.cumsum(unstable) - 1, -1)))
        activations.append(activation)
    return replace(network, layers=hidden.with_output(through(last, activations), network.dtype))


def rescale_neurons(
    network: Network, lower: ArrayLike, upper: ArrayLike, bounds: PreactivationBounds | None = None
) -> Network:
    """A network with the same values everywhere, whose ReLUs range between -2 and 2 over a box, and beyond -1 or 1.

    A ReLU is positively homogeneous, so a neuron's incoming weights may be multiplied by a positive number that its
    outgoing weights are divided by. Big-M coefficients, the ends of these ranges, are then near one (Plate et al., An
    analysis of optimization problems involving ReLU neural networks, 2025, arXiv 2502.03016). The factors are powers
    of two: not even rounding changes. Smooth neurons stay as they are.

    Parameters
    ----------
    network : Network
    lower, upper : float or (n_inputs,) array
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
    known = _bounds_over_box(network, lower, upper) if bounds is None else bounds
    factors = [_power_of_two(low[0], high[0]) for low, high in zip(known.lower, known.upper, strict=True)]
    return _rescaled(network, lambda index, layer: factors[index])


def _bounds_over_box(network: Network, lower: ArrayLike, upper: ArrayLike) -> PreactivationBounds:
    """Bounds by CROWN over one box."""
    low, high = input_box(network, lower, upper)
    return crown_bounds(network, low[None], high[None])


def with_unit_rows(network: Network) -> Network:
    """A network with the same values everywhere, each ReLU's weights of Euclidean length one, or zero."""

    def factors(index: int, layer: Layer) -> Array:
        return 1.0 / np.where(layer.row_norms > 0, layer.row_norms, 1.0)

    return _rescaled(network, factors)


def _rescaled(network: Network, factors: Callable[[int, Layer], Array]) -> Network:
    """The network with pre-activations times positive factors, which are taken off what reads the activations.

    ``factors(k, layer)`` are those of hidden layer `k`, given as it is when the layers before it are rescaled.
    """
    layers: list[Layer] = []
    inverses = [Diagonal(np.ones(network.n_inputs))]
    for index, layer in enumerate(network.layers):
        weights = tuple(product(own, inverses[source]) for source, own in layer.terms)
        layers.append(replace(layer, weights=weights))
        if index < len(network.widths):
            own = factors(index, layers[-1]).astype(network.dtype)
            own = own if layer.activation.is_piecewise_linear else np.ones_like(own)
            scaled = tuple(scaled_rows(own, weight) for weight in weights)
            layers[-1] = replace(layer, weights=scaled, bias=own * layer.bias)
            inverses.append(Diagonal(1.0 / own))
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
    check_network(network)
    check_number(rate, "the rate of pruning", "a number from 0 to 1", lambda own: 0 <= own <= 1, NetworkValueError)
    return replace(network, layers=tuple(_pruned(layer, rate) for layer in network.layers))


def _pruned(layer: Layer, rate: float) -> Layer:
    sizes = [np.abs(weight.data if sparse.issparse(weight) else np.ravel(weight)) for weight in layer.weights]
    kept = _largest(np.concatenate([np.zeros(0), *sizes]), rate)
    masks = np.split(kept, np.cumsum([size.size for size in sizes])[:-1]) if sizes else []
    weights = tuple(_masked(weight, mask) for weight, mask in zip(layer.weights, masks, strict=True))
    return replace(layer, weights=weights)


def _largest(sizes: Array, rate: float) -> Array:
    """Which positive numbers are not among a share of the smallest; of equal ones the first count as smaller."""
    positive = sizes[sizes > 0]
    count = round(rate * positive.size)
    if not count:
        return sizes > 0
    limit = np.partition(positive, count - 1)[count - 1]
    equal = np.flatnonzero(sizes == limit)
    kept = sizes > limit
    kept[equal[count - np.count_nonzero(positive < limit) :]] = True
    return kept


def _masked(weight: Weight, mask: Array) -> Weight:
    if not sparse.issparse(weight):
        return explicit(np.where(mask.reshape(weight.shape), weight, 0))
    matrix = sparse.csr_array((weight.data * mask, weight.indices, weight.indptr), shape=weight.shape)
    matrix.eliminate_zeros()
    return matrix


def _power_of_two(lower: Array, upper: Array) -> Array:
    """Powers of two by which the ranges become about one; 1 where a range is zero or infinite."""
    size = np.maximum(np.abs(lower), np.abs(upper))
    usable = np.isfinite(size) & (size > 0)
    return np.where(usable, np.exp2(-np.floor(np.log2(np.where(usable, size, 1.0)))), 1.0)
