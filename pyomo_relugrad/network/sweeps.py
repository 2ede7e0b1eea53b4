"""Sweeps through a network's layers: values forward, derivatives forward, derivatives backward.

A gate is the number that a neuron's pre-activation is multiplied by: 0 or 1 under an activation pattern, the slope of
a line in a relaxation, or that of a smooth neuron at a point. Gates are given by hidden layer, as arrays that broadcast
against the (..., n_k) values of that layer. With fixed gates a network is affine; `tangent` and `adjoint` are its
linear part and the transpose of that.

The sweeps write into no array that they are given, and use no functions but those of the arrays' own namespace.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence

from pyomo_relugrad.arrays import Array
from pyomo_relugrad.network.layer import Layer
from pyomo_relugrad.network.linear_maps import applied, dense

#: Coefficients (..., n_s) of the vectors that a layer may read: 0 is the network's input, ``k`` the activation of its
#: ``k``-th layer. What is not read has none.
Coefficients = dict[int, Array]


def evaluate(layers: Sequence[Layer], X: Array) -> list[Array]:
    """The input, each hidden layer's activations and the outputs: `forward` where pre-activations are not wanted."""
    activations = [X]
    for layer in layers[:-1]:
        activations.append(layer.activation.value_in_place(layer.apply(activations)))
    activations.append(layers[-1].apply(activations))
    return activations


def evaluate_with_slopes(layers: Sequence[Layer], X: Array) -> tuple[Array, list[Array]]:
    """The outputs, and by hidden layer the derivatives of the activations: gates of the other sweeps."""
    activations, slopes = [X], []
    for layer in layers[:-1]:
        value, slope = layer.activation.value_and_slope(layer.apply(activations))
        activations.append(value)
        slopes.append(slope)
    return layers[-1].apply(activations), slopes


def forward(
    layers: Sequence[Layer], X: Array, gates: Sequence[Array] | None = None, intercepts: Sequence[Array] | None = None
) -> Iterator[tuple[Array, Array]]:
    """Pre-activations and activations (..., n_k), layer by layer; those of the last layer are both the outputs.

    Parameters
    ----------
    layers : sequence of Layer
    X : (..., n_inputs) array
    gates : sequence of arrays, optional
        By hidden layer; by default the neurons are what they are.
    intercepts : sequence of arrays, optional
        What is added to the gated pre-activations.
    """
    activations = [X]
    for index, layer in enumerate(layers):
        values = layer.apply(activations)
        if index == len(layers) - 1:
            activations.append(values)
        elif gates is None:
            activations.append(layer.activation.value(values))
        else:
            gated = values * gates[index]
            activations.append(gated if intercepts is None else gated + intercepts[index])
        yield values, activations[-1]


def tangent(
    layers: Sequence[Layer], D: Array, gates: Sequence[Array], injected: Sequence[Array] | None = None
) -> Iterator[Array]:
    """Derivatives (..., n_k) of each layer's values along directions (..., n_inputs), the outputs' last.

    Parameters
    ----------
    layers : sequence of Layer
    D : (..., n_inputs) array
    gates : sequence of arrays
        By hidden layer.
    injected : sequence of arrays, optional
        Derivatives of the activations that are added to those which the gates pass on.
    """
    directions = [D]
    for index, layer in enumerate(layers):
        slopes = layer.apply_linear(directions)
        yield slopes
        if index < len(layers) - 1:
            passed = slopes * gates[index]
            directions.append(passed if injected is None else passed + injected[index])


def coefficients_of(layer: Layer, weights: Array) -> Coefficients:
    """Coefficients of what a layer reads in the sums ``weights @ values`` of its values, weights (..., n_k)."""
    return {source: applied(weights, weight) for source, weight in layer.terms}


def coefficients_of_neurons(layer: Layer, neurons: Array) -> Coefficients:
    """Coefficients (m, n_s) of what a layer reads in each of some of its values, given by index."""
    return {source: dense(weight[neurons]) for source, weight in layer.terms}


def adjoint(layers: Sequence[Layer], coefficients: Mapping[int, Array], gates: Sequence[Array]) -> Coefficients:
    """Replace the activations in a sum by the layers that compute them, down to the network's input.

    Parameters
    ----------
    layers : sequence of Layer
    coefficients : mapping from int to (..., n_s) arrays
        Of the activations in the sum, as from `coefficients_of`.
    gates : sequence of arrays
        By hidden layer.

    Returns
    -------
    dict of int to arrays
        Derivatives of the sum in the network's input, under 0, and in the activations on the way.
    """
    return backward(layers, coefficients, lambda index, own: own * gates[index])


def backward(
    layers: Sequence[Layer], coefficients: Mapping[int, Array], through: Callable[[int, Array], Array]
) -> Coefficients:
    """`adjoint`, with ``through(k, coefficients)`` in place of gates.

    It turns coefficients of the activations of ``layers[k]`` into those of its pre-activations.
    """
    result = dict(coefficients)
    for source in range(max(result, default=0), 0, -1):
        if source in result:
            passed = through(source - 1, result[source])
            for earlier, part in coefficients_of(layers[source - 1], passed).items():
                result[earlier] = result[earlier] + part if earlier in result else part
    return result
