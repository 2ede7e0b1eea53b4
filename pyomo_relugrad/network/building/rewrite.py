"""Networks rewritten as other networks."""

from dataclasses import replace

import numpy as np

from pyomo_relugrad.arrays import Array
from pyomo_relugrad.errors import NetworkValueError
from pyomo_relugrad.network.building.affine import Affine
from pyomo_relugrad.network.building.composition import embed
from pyomo_relugrad.network.building.hidden_layers import HiddenLayers, affine_of, as_layer
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
    hidden, inputs = HiddenLayers(), Affine.variable(0, offset.shape)
    outputs = embed(network, inputs.shifted(-offset).scaled(1.0 / factor), hidden)
    outputs = outputs.scaled(output_factor).shifted(output_offset)
    return replace(network, layers=hidden.with_output(outputs, network.dtype))


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
            f"inputs: give a matrix of shape ({network.n_inputs}, k) and an offset of shape ({network.n_inputs},)"
        )
    hidden, inputs = HiddenLayers(), Affine.variable(0, matrix.shape[1:])
    outputs = embed(network, inputs.mapped(matrix, offset.shape).shifted(offset), hidden)
    layers = hidden.with_output(outputs, network.dtype)
    return replace(network, n_inputs=matrix.shape[1], layers=layers, inputs=(), input_names=(), choices=())


def map_outputs(network: Network, matrix: Array, offset: Array) -> Network:
    """The network with an affine map after it: ``x -> matrix @ network(x) + offset``.

    Parameters
    ----------
    network : Network
    matrix : (m, n_outputs) array
    offset : (m,) array

    Examples
    --------
    >>> network = Network.from_layers([[[1.0, -1.0]], [[1.0]]], [[0.0], [0.0]])
    >>> map_outputs(network, np.array([[10.0]]), np.array([1.0])).value([[3.0, 1.0]])
    array([[21.]])
    """
    *layers, last = network.layers
    outputs = affine_of(last).mapped(matrix, offset.shape).shifted(offset)
    return replace(network, layers=(*layers, as_layer(outputs).astype(network.dtype)), outputs=(), output_names=())


def _scaling(offset: Array, factor: Array, size: int, what: str) -> tuple[Array, Array]:
    offset, factor = np.asarray(offset, np.float64), np.asarray(factor, np.float64)
    if offset.shape != (size,) or factor.shape != (size,):
        raise NetworkValueError(
            f"the {what} scaling has {offset.size} offsets and {factor.size} factors: give {size} of each"
        )
    if not (np.isfinite(offset).all() and np.isfinite(factor).all() and (factor > 0).all()):
        raise NetworkValueError(
            f"the {what} scaling has an offset that is not finite, or a factor that is not positive and finite: give "
            "such numbers"
        )
    return offset, factor
