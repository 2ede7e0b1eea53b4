"""Searching a pruned surrogate of the network (Pham, Ren, Tahir, Tong, Serra, arXiv 2505.01985)."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from dataclasses import replace

import numpy as np
from scipy import sparse

from pyomo_relugrad.arrays import Array, Weight
from pyomo_relugrad.network import Layer, Network
from pyomo_relugrad.problem import EmbeddedNetwork, Incumbent, Problem
from pyomo_relugrad.run.context import SearchContext
from pyomo_relugrad.search.domains.polytope import domain_of
from pyomo_relugrad.search.literature.lp_walk import walk_from
from pyomo_relugrad.search.regions.program import RegionProgram

# Shares of the weights that are set to zero, one surrogate after another (as in the paper).
RATES = (0.5, 0.8, 0.9, 0.95)


def pruned(problem: Problem, context: SearchContext) -> Iterator[Incumbent | None]:
    """Walk the linear regions of magnitude-pruned copies of the networks; judge each point on the dense ones.

    Magnitude, unstructured, without finetuning: the paper's best variant. Decided here: the rates take turns, one LP
    walk each from a uniform start; from a walk's end the dense network's walk goes on (the paper's option to solve the
    dense region's LP), so that the answer is a vertex of the dense network. Weights are compared after every neuron's
    row has been scaled to length one, so that rescaling the network does not change what is pruned.
    """
    dense, domain = RegionProgram(problem), domain_of(problem, context.budget)
    surrogates: dict[float, RegionProgram] = {}
    while not context.budget.is_exhausted():
        for rate in RATES:
            u = domain.sample(context.random, 1)[0]
            yield dense.incumbent(u)
            if rate not in surrogates:
                surrogates[rate] = RegionProgram(with_pruned_networks(problem, rate))
            if context.budget.is_exhausted():
                return
            end = yield from _judged(walk_from(surrogates[rate], u, context), dense)
            yield from walk_from(dense, end, context)


def _judged(
    walk: Generator[Incumbent | None, None, Array], dense: RegionProgram
) -> Generator[Incumbent | None, None, Array]:
    """The walk's points as points of the dense problem; returns the last optimum of the walk."""
    while True:
        try:
            point = next(walk)
        except StopIteration as end:
            return np.asarray(end.value)
        yield None if point is None else dense.problem.incumbent(point.values)


def with_pruned_networks(problem: Problem, rate: float) -> Problem:
    """The problem with every network pruned; networks that are shared stay shared."""
    copies = {id(part.network): prune_by_magnitude(part.network, rate) for part in problem.networks}
    networks = tuple(
        EmbeddedNetwork(copies[id(part.network)], part.inputs, part.outputs, part.name) for part in problem.networks
    )
    return replace(problem, networks=networks)


def prune_by_magnitude(network: Network, rate: float) -> Network:
    """The network with rows of length one and, in each layer, a share of the smallest weights set to zero."""
    layers, scales = [], [np.ones(network.n_inputs)]
    for index, layer in enumerate(network.astype(np.float64).layers):
        weights = [weight * scales[source] for source, weight in zip(layer.sources, layer.weights, strict=True)]
        norms = np.ones(layer.width)
        if index < len(network.layers) - 1:
            norms = np.sqrt(sum((np.asarray((w * w).sum(axis=1)).ravel() for w in weights), np.zeros(layer.width)))
            norms = np.where(norms > 0, norms, 1.0)
        kept = [_without_smallest(_scaled_rows(weight, 1.0 / norms), rate) for weight in weights]
        layers.append(Layer(layer.sources, tuple(kept), layer.bias / norms))
        scales.append(norms)
    return replace(network, layers=tuple(layers))


def _scaled_rows(weight: Weight, factor: Array) -> Weight:
    return (
        sparse.csr_array(sparse.diags_array(factor) @ weight) if sparse.issparse(weight) else weight * factor[:, None]
    )


def _without_smallest(weight: Weight, rate: float) -> Weight:
    data = weight.data if sparse.issparse(weight) else weight
    magnitudes = np.abs(data)
    threshold = np.quantile(magnitudes, rate) if magnitudes.size else 0.0
    kept = np.where(magnitudes >= threshold, data, 0.0)
    if sparse.issparse(weight):
        return sparse.csr_array((kept, weight.indices, weight.indptr), shape=weight.shape)
    return kept
