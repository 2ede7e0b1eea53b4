"""Networks that feed networks, rewritten so that each reads columns that no network writes."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy import sparse

from pyomo_relugrad.arrays import Array, Weight
from pyomo_relugrad.deadline import checkpoint
from pyomo_relugrad.network import Layer, Network
from pyomo_relugrad.problem.embedding import EmbeddedNetwork
from pyomo_relugrad.problem.problem import Problem


def without_chains(problem: Problem) -> Problem:
    """The same problem, every network that reads another's outputs replaced by both in one.

    A network's output is affine in its hidden layers, and the next network's first layer is affine in that output, so
    the two join without a new neuron. Relaxations of the joined network keep what an interval between the two would
    lose. Problems without chains are returned as they are.
    """
    if not any(problem.is_output[embedded.inputs].any() for embedded in problem.networks):
        return problem
    writers = {int(column): embedded for embedded in problem.networks for column in embedded.outputs}
    joined = tuple(
        _joined(embedded, writers) if problem.is_output[embedded.inputs].any() else embedded
        for embedded in problem.networks
    )
    return replace(problem, networks=joined)


@dataclass(frozen=True, eq=False)
class _AffineMap:
    """A vector as an affine function of hidden layers: ``sum(weights[s] @ h_s) + bias``, ``h_0`` the input."""

    weights: dict[int, Weight]
    bias: Array

    def rows(self, rows: Array) -> _AffineMap:
        return _AffineMap({source: weight[rows] for source, weight in self.weights.items()}, self.bias[rows])


def _joined(last: EmbeddedNetwork, writers: dict[int, EmbeddedNetwork]) -> EmbeddedNetwork:
    """The network with everything that it reads, as one network of the columns that no network writes."""
    order = _ancestors(last, writers)
    columns = np.concatenate([embedded.inputs for embedded in order])
    free = np.array(sorted({int(column) for column in columns} - set(writers)), dtype=np.int64)
    layers: list[Layer] = []
    outputs: dict[int, _AffineMap] = {}
    for embedded in order:
        checkpoint()
        inputs = _input_map(embedded, free, writers, outputs)
        first = len(layers)
        for layer in embedded.network.layers[:-1]:
            layers.append(_as_layer(_through(layer, inputs, first)))
        outputs[id(embedded)] = _through(embedded.network.layers[-1], inputs, first)
    layers.append(_as_layer(outputs[id(last)]))
    return EmbeddedNetwork(Network(free.size, tuple(layers), name=last.network.name), free, last.outputs, last.name)


def _ancestors(embedded: EmbeddedNetwork, writers: dict[int, EmbeddedNetwork]) -> list[EmbeddedNetwork]:
    """The networks that the given one needs, itself last, each after those it reads."""
    order: list[EmbeddedNetwork] = []

    def visit(current: EmbeddedNetwork) -> None:
        if any(current is seen for seen in order):
            return
        for column in current.inputs.tolist():
            if column in writers:
                visit(writers[column])
        order.append(current)

    visit(embedded)
    return order


def _input_map(
    embedded: EmbeddedNetwork, free: Array, writers: dict[int, EmbeddedNetwork], outputs: dict[int, _AffineMap]
) -> _AffineMap:
    """The network's input vector as an affine function of the free columns and of the hidden layers so far."""
    size = embedded.inputs.size
    total = _AffineMap({}, np.zeros(size))
    position = {int(column): index for index, column in enumerate(free)}
    for row, column in enumerate(embedded.inputs.tolist()):
        place = sparse.csr_array(([1.0], ([row], [0])), shape=(size, 1))
        if column in position:
            unit = sparse.csr_array(([1.0], ([0], [position[column]])), shape=(1, free.size))
            total = _add(total, {0: place @ unit}, np.zeros(size))
            continue
        writer = writers[column]
        value = outputs[id(writer)].rows(np.flatnonzero(writer.outputs == column))
        parts = {source: place @ weight for source, weight in value.weights.items()}
        total = _add(total, parts, place @ value.bias)
    return total


def _through(layer: Layer, inputs: _AffineMap, first: int) -> _AffineMap:
    """A layer of an embedded network, its input replaced; ``first`` hidden layers lie before the network's own."""
    result = _AffineMap({}, layer.bias)
    for source, weight in zip(layer.sources, layer.weights, strict=True):
        if source > 0:
            result = _add(result, {source + first: weight}, np.zeros(layer.width))
        else:
            parts = {earlier: weight @ part for earlier, part in inputs.weights.items()}
            result = _add(result, parts, weight @ inputs.bias)
    return result


def _add(total: _AffineMap, parts: dict[int, Weight], bias: Array) -> _AffineMap:
    weights = dict(total.weights)
    for source, part in parts.items():
        weights[source] = part if source not in weights else weights[source] + part
    return _AffineMap(weights, total.bias + bias)


def _as_layer(value: _AffineMap) -> Layer:
    sources = tuple(sorted(value.weights))
    return Layer(sources, tuple(_compact(value.weights[source]) for source in sources), value.bias)


def _compact(weight: Weight) -> Weight:
    """Dense unless the matrix is sparse in more than form."""
    if not sparse.issparse(weight):
        return np.asarray(weight)
    return weight.toarray() if weight.nnz > 0.2 * weight.shape[0] * weight.shape[1] else sparse.csr_array(weight)
