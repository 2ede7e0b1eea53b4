"""Networks and layers side by side: as one, the networks' mean, and the value that some of them reach."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from pyomo_relugrad.network.activations import Activation
from pyomo_relugrad.network.building.affine import Affine
from pyomo_relugrad.network.building.hidden_layers import HiddenLayers, smallest, through
from pyomo_relugrad.network.layer import Layer
from pyomo_relugrad.network.network import Network


def mean_of(networks: Sequence[Network]) -> Network:
    """The network whose outputs are the means of the networks' outputs.

    Examples
    --------
    >>> networks = [Network.from_layers([[[slope]]], [[0.0]]) for slope in (1.0, 2.0, 6.0)]
    >>> mean_of(networks).value([[2.0]]).tolist()
    [[6.0]]
    """
    hidden, outputs = _beside(networks)
    total = outputs[0]
    for output in outputs[1:]:
        total = total.plus(output)
    return _network(networks, hidden, total.scaled(np.array(1.0 / len(networks))))


def ranked(networks: Sequence[Network], rank: int) -> Network:
    """The network whose outputs are those of the networks that stand at a rank: 0 is the smallest value.

    Two values are put in order by one ReLU, ``min(a, b) = a - relu(a - b)`` and ``max(a, b) = b + relu(a - b)``.

    Examples
    --------
    >>> networks = [Network.from_layers([[[slope]]], [[0.0]]) for slope in (6.0, 1.0, 2.0)]
    >>> ranked(networks, 1).value([[2.0], [-2.0]]).tolist()
    [[4.0], [-4.0]]
    """
    hidden, values = _beside(networks)
    sign = np.array(1.0 if 2 * rank < len(networks) else -1.0)  # from the end that is nearer
    values, passes = [value.scaled(sign) for value in values], rank if sign > 0 else len(networks) - 1 - rank
    for _ in range(passes):  # the smallest value of each output is left out
        carried, rest = values[0], []
        for value in values[1:]:
            excess = hidden.relu(carried.minus(value))
            rest.append(value.plus(excess))
            carried = carried.minus(excess)
        values = rest
    stacked, size = values[0].stacked(values[1:]), values[0].size
    table = np.arange(stacked.size).reshape(len(values), size).T
    return _network(networks, hidden, smallest(stacked, table, hidden).scaled(sign))


def side_by_side(networks: Sequence[Network], inputs: Sequence[Affine]) -> tuple[HiddenLayers, list[Affine]]:
    """The hidden layers of all networks, those of one depth and activation as one layer, and the networks' outputs.

    Parameters
    ----------
    networks : sequence of Network
    inputs : sequence of Affine
        What each network reads, as functions of the inputs that all have in common.
    """
    hidden, depth = HiddenLayers(), max(len(network.widths) for network in networks)
    known = [[own] for own in inputs]
    for level in range(depth):
        deep = [place for place, network in enumerate(networks) if level < len(network.widths)]
        kinds = {place: networks[place].hidden_activations[level] for place in deep}
        for activation in dict.fromkeys(kinds.values()):
            own = [place for place in deep if kinds[place] == activation]
            values = [through(networks[place].layers[level], known[place]) for place in own]
            for place, activations in zip(own, _in_one_layer(values, activation, hidden), strict=True):
                known[place].append(activations)
    return hidden, [through(network.layers[-1], own) for network, own in zip(networks, known, strict=True)]


def with_merged_layers(layers: Sequence[Layer], n_inputs: int) -> tuple[Layer, ...]:
    """The layers of a network, the hidden ones of one depth and activation as one layer."""
    depths, groups = [0], dict[tuple[int, Activation], list[int]]()
    for position, layer in enumerate(layers[:-1], start=1):
        depths.append(1 + max((depths[source] for source in layer.sources), default=0))
        groups.setdefault((depths[position], layer.activation), []).append(position)
    if len(groups) == len(layers) - 1:
        return tuple(layers)
    hidden, known = HiddenLayers(), {0: Affine.variable(0, (n_inputs,))}
    for (_, activation), group in sorted(groups.items(), key=lambda item: item[0][0]):
        values = [through(layers[position - 1], known) for position in group]
        known.update(zip(group, _in_one_layer(values, activation, hidden), strict=True))
    return hidden.with_output(through(layers[-1], known))


def _in_one_layer(values: Sequence[Affine], activation: Activation, hidden: HiddenLayers) -> list[Affine]:
    """The activation of each of some tensors, all of them a layer."""
    layer = hidden.add(values[0].stacked(values[1:]), activation)
    ends = np.cumsum([value.size for value in values])
    return [layer.taken(places) for places in np.split(np.arange(layer.size), ends[:-1])]


def _beside(networks: Sequence[Network]) -> tuple[HiddenLayers, list[Affine]]:
    """Networks that read the same inputs."""
    return side_by_side(networks, [Affine.variable(0, (network.n_inputs,)) for network in networks])


def _network(networks: Sequence[Network], hidden: HiddenLayers, output: Affine) -> Network:
    first = networks[0]
    return replace(first, layers=hidden.with_output(output, first.dtype), name=f"{first.name} x{len(networks)}".strip())
