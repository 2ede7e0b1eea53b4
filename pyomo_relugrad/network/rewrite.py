"""Networks rewritten as other networks."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from scipy import sparse

from pyomo_relugrad.arrays import Array, Weight
from pyomo_relugrad.errors import NetworkValueError
from pyomo_relugrad.network.layer import Layer
from pyomo_relugrad.network.network import Network


def fold_scaling(
    network: Network, input_offset: Array, input_factor: Array, output_offset: Array, output_factor: Array
) -> Network:
    """The network with its scaling inside: ``y = output_offset + output_factor * network((x - offset) / factor)``.

    Parameters
    ----------
    network : Network
        In scaled units.
    input_offset, input_factor : (n_inputs,) arrays
    output_offset, output_factor : (n_outputs,) arrays
        Factors are positive.

    Returns
    -------
    Network
        In the units of ``x`` and ``y``, with the same hidden layers' widths.

    Raises
    ------
    NetworkValueError
        If shapes disagree, or a factor is not positive.

    Examples
    --------
    >>> network = Network.from_layers([[[1.0]], [[1.0]]], [[0.0], [0.0]])
    >>> fold_scaling(network, [10.0], [2.0], [100.0], [5.0]).value([[14.0], [8.0]])
    array([[110.],
           [100.]])
    """
    offset, factor = _scaling(input_offset, input_factor, network.n_inputs, "input")
    output_offset, output_factor = _scaling(output_offset, output_factor, network.n_outputs, "output")
    layers = [_with_scaled_input(layer, offset, factor) for layer in network.astype(np.float64).layers]
    last = layers[-1]
    layers[-1] = Layer(
        last.sources,
        tuple(_scale_rows(weight, output_factor) for weight in last.weights),
        output_offset + output_factor * last.bias,
    )
    return replace(network, layers=tuple(layer.astype(network.dtype) for layer in layers))


def substitute_inputs(network: Network, matrix: Array, offset: Array) -> Network:
    """The network of an affine map: ``z -> network(matrix @ z + offset)``.

    Parameters
    ----------
    network : Network
    matrix : (n_inputs, k) array
    offset : (n_inputs,) array

    Returns
    -------
    Network
        With k inputs and the same ReLUs; the names of the inputs are dropped.

    Examples
    --------
    >>> network = Network.from_layers([[[1.0, -1.0]], [[1.0]]], [[0.0], [0.0]])
    >>> substitute_inputs(network, [[2.0], [1.0]], [0.5, 0.0]).value([[3.0]])
    array([[3.5]])
    """
    matrix, offset = np.asarray(matrix, np.float64), np.asarray(offset, np.float64)
    if matrix.ndim != 2 or offset.shape != (network.n_inputs,) or len(matrix) != network.n_inputs:
        raise NetworkValueError(
            f"a matrix of shape {matrix.shape} and an offset of shape {offset.shape} do not give {network.n_inputs} "
            "inputs"
        )
    layers = [_after_map(layer, matrix, offset) for layer in network.astype(np.float64).layers]
    return replace(network, n_inputs=matrix.shape[1], layers=tuple(layers), inputs=(), input_names=())


def _after_map(layer: Layer, matrix: Array, offset: Array) -> Layer:
    """The layer with the network's input replaced by the affine map."""
    if layer.sources[:1] != (0,):  # sources increase
        return layer
    first, *others = layer.weights
    return Layer(layer.sources, (first @ matrix, *others), layer.bias + first @ offset)


def _scaling(offset: Array, factor: Array, size: int, what: str) -> tuple[Array, Array]:
    offset, factor = np.asarray(offset, np.float64), np.asarray(factor, np.float64)
    if offset.shape != (size,) or factor.shape != (size,):
        raise NetworkValueError(f"the {what} scaling needs {size} offsets and factors")
    if not (np.isfinite(offset).all() and np.isfinite(factor).all() and (factor > 0).all()):
        raise NetworkValueError(f"the {what} scaling needs finite offsets and positive finite factors")
    return offset, factor


def _with_scaled_input(layer: Layer, offset: Array, factor: Array) -> Layer:
    if 0 not in layer.sources:
        return layer
    scaled = _divide_columns(layer.weights[0], factor)  # sources increase, so the input comes first
    return Layer(layer.sources, (scaled, *layer.weights[1:]), layer.bias - scaled @ offset)


def _divide_columns(weight: Weight, factor: Array) -> Weight:
    if sparse.issparse(weight):
        data = weight.data / factor[weight.indices]
        return sparse.csr_array((data, weight.indices, weight.indptr), shape=weight.shape)
    return weight / factor


def _scale_rows(weight: Weight, factor: Array) -> Weight:
    if sparse.issparse(weight):
        data = weight.data * np.repeat(factor, np.diff(weight.indptr))
        return sparse.csr_array((data, weight.indices, weight.indptr), shape=weight.shape)
    return weight * factor[:, None]
