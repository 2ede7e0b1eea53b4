"""Networks that read one another's outputs as one network."""

from collections.abc import Sequence

import numpy as np

from pyomo_relugrad.arrays import Array
from pyomo_relugrad.deadline import checkpoint
from pyomo_relugrad.network.building.affine import Affine
from pyomo_relugrad.network.building.hidden_layers import HiddenLayers, through
from pyomo_relugrad.network.network import Network


def embed(network: Network, inputs: Affine, hidden: HiddenLayers) -> Affine:
    """The outputs of a network at inputs that are affine in a network under construction.

    Parameters
    ----------
    network : Network
    inputs : Affine
        A vector of n_inputs elements.
    hidden : HiddenLayers
        The layers so far; all hidden layers of `network` are added to them.
    """
    activations = [inputs]
    *layers, last = network.astype(np.float64).layers
    for layer in layers:
        activations.append(hidden.add(through(layer, activations), layer.activation))
    return through(last, activations)


def compose(free: Array, parts: Sequence[tuple[Network, Array, Array]], name: str = "") -> Network:
    """One network of networks that read one another's outputs.

    An output is affine in hidden layers, and what reads it is affine in that output: no neuron is added.

    Parameters
    ----------
    free : (n,) int array
        Numbers of the columns that the network reads.
    parts : sequence of (Network, inputs, outputs)
        The networks in order, with the columns that each reads, which are free or written before it, and those that it
        writes.
    name : str, optional

    Returns
    -------
    Network
        From the free columns to the outputs of the last part.

    Examples
    --------
    >>> double = Network.from_layers([[[1.0], [-1.0]], [[2.0, -2.0]]], [[0.0, 0.0], [0.0]])
    >>> twice = compose(np.array([0]), [(double, np.array([0]), np.array([1])), (double, np.array([1]), np.array([2]))])
    >>> twice, twice.value([[3.0]])
    (<Network 1-2-2-1>, array([[12.]]))
    """
    hidden = HiddenLayers()
    known = [(free, Affine.variable(0, free.shape))]
    for network, inputs, outputs in parts:
        checkpoint()
        known.append((outputs, embed(network, _gathered(inputs, known), hidden)))
    return Network(free.size, hidden.with_output(known[-1][1]), name=name)


def _gathered(columns: Array, known: Sequence[tuple[Array, Affine]]) -> Affine:
    """The vector of the given columns, from vectors whose columns are known."""
    read = [(own, tensor) for own, tensor in known if np.isin(own, columns).any()]
    place = {column: index for index, column in enumerate(np.concatenate([own for own, _ in read]).tolist())}
    first, *others = (tensor for _, tensor in read)
    return first.stacked(others).taken(np.array([place[column] for column in columns.tolist()]))
