"""The networks of a problem, sharp or rounded off at their kinks, as one function of the columns that move."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple, cast

import numpy as np

from pyomo_relugrad.arrays import Array, Weight
from pyomo_relugrad.network import Layer, Network, sweeps
from pyomo_relugrad.network.curves import Curve
from pyomo_relugrad.problem import NetworkStage, Problem, stacked

#: Second derivative of a rounded ReLU where it is neither zero nor the identity.
CURVATURE = 0.5


@dataclass(frozen=True)
class RoundedRelu(Curve):
    """A ReLU that is a parabola between -1 and 1."""

    is_nonnegative = True

    def value(self, z: Array) -> Array:
        """Activations at pre-activations of any shape."""
        return self.value_in_place(np.array(z))

    def value_in_place(self, z: Array) -> Array:
        """Activations in the memory of the pre-activations."""
        return self.value_and_slope(z)[0]

    def value_and_slope(self, z: Array) -> tuple[Array, Array]:
        """Activations and derivatives; the pre-activations are lost."""
        slope = 0.5 * z
        slope += 0.5
        np.maximum(slope, 0.0, out=slope)
        np.minimum(slope, 1.0, out=slope)
        z += 1.0
        z -= slope
        z *= slope
        return z, slope


ROUNDED_RELU = RoundedRelu()


def rounded(network: Network, widths: Sequence[Array]) -> Network:
    """The network with each of its ReLUs rounded off at the distance from zero that `widths` has for it.

    Parameters
    ----------
    network : Network
        Piecewise linear.
    widths : sequence of (n_k,) arrays
        Positive, one array for each hidden layer. Neurons are measured in these units.
    """
    layers = []
    for layer, own in zip(network.layers, [*widths, np.ones(network.n_outputs)], strict=True):
        weights = tuple(
            (weight * widths[source - 1] if source else weight) / own[:, None] for source, weight in layer.terms
        )
        layers.append(Layer(layer.sources, weights, layer.bias / own, ROUNDED_RELU))
    return Network(network.n_inputs, tuple(layers))


class Link(NamedTuple):
    """Equal networks of one depth, and where they stand among all networks of the same weights."""

    networks: NetworkStage
    stage: int
    members: Array


class QuadraticModels(NamedTuple):
    """The objective around points: gradients (B, d), Hessians (B, d, d), and the slopes (B, n, d) of all columns."""

    gradients: Array
    hessians: Array
    slopes: Array


@dataclass(frozen=True, eq=False)
class Chain:
    """The networks of a problem in order, sharp or rounded off.

    Parameters
    ----------
    problem : Problem
        Piecewise linear, without integers.
    moving : (d,) int array
        The columns that move.
    stages : tuple of NetworkStage
        As `Problem.stages`.
    together : tuple of NetworkStage
        All networks of the same weights together, whatever their depth: at a point they are differentiated at once.
    links : tuple of Link
        In the order in which they can be evaluated: `stages`, with their places in `together`.
    """

    problem: Problem
    moving: Array
    stages: tuple[NetworkStage, ...]
    together: tuple[NetworkStage, ...]
    links: tuple[Link, ...]

    @classmethod
    def of(cls, problem: Problem, moving: Array) -> Chain:
        """The chain of a problem as it is."""
        together = cast(tuple[NetworkStage, ...], stacked(problem.networks, [0] * len(problem.networks)))
        place = {
            int(outputs[0]): (index, member)
            for index, stage in enumerate(together)
            for member, outputs in enumerate(stage.outputs)
        }
        links = []
        for stage in problem.relu_stages:
            places = np.array([place[first] for first in stage.outputs[:, 0].tolist()])
            links.append(Link(stage, int(places[0, 0]), places[:, 1]))
        return cls(problem, moving, problem.relu_stages, together, tuple(links))

    def rounded(self, share: float, V: Array, kept: dict[tuple[Network, float], Network]) -> Chain:
        """The chain with ReLUs that are rounded off at a share of how much their pre-activations vary at points.

        Networks that are `kept` already are taken as they are; others are kept.
        """
        for stage in self.together:
            if (stage.network, share) not in kept:
                values = stage.network.preactivations(stage.gather(V))
                widths = [share * np.maximum(layer.std(axis=0), 1e-3 * layer.std() + 1e-9) for layer in values]
                kept[stage.network, share] = rounded(stage.network, widths)
        stages, together = (
            tuple(replace(stage, network=kept[stage.network, share]) for stage in own)
            for own in (self.stages, self.together)
        )
        links = tuple(link._replace(networks=stage) for link, stage in zip(self.links, stages, strict=True))
        return replace(self, stages=stages, together=together, links=links)

    def propagate(self, V: Array) -> Array:
        """A copy of points (B, n) in which every output is its network's value."""
        V = V.copy()
        for stage in self.stages:
            stage.propagate(V)
        return V

    def models(self, V: Array) -> QuadraticModels:
        """The objective around points (B, n), with the curvature that holds it in the valleys of rounded kinks."""
        problem, d = self.problem, self.moving.size
        slopes = [sweeps.evaluate_with_slopes(s.network.layers, V[:, s.inputs])[1] for s in self.together]
        outward = [_derivatives_of_outputs(s, len(V), own) for s, own in zip(self.together, slopes, strict=True)]
        S = np.zeros((*V.shape, d))
        S[:, self.moving, np.arange(d)] = 1.0
        for at, stage, members in self.links:
            S[:, at.outputs] = outward[stage][0][:, members] @ S[:, at.inputs]
        weights = problem.objective_gradient(V)
        gradients = (weights[:, None] @ S)[:, 0]
        hessians = np.zeros((len(V), d, d))
        if problem.quadratic is not None:
            hessians += S.transpose(0, 2, 1) @ product(problem.quadratic, S)
        for at, stage, members in reversed(self.links):
            passed = weights[:, at.outputs][:, :, None] @ outward[stage][0][:, members]
            at.scatter(weights, passed.reshape(-1, at.inputs.shape[1]))
        for each, own, out in zip(self.together, slopes, outward, strict=True):
            _add_bends(hessians, each, S, weights, own, out)
        return QuadraticModels(gradients, hessians, S)


def product(matrix: Weight, S: Array) -> Array:
    """A matrix (m, n) times each of some arrays (B, n, d)."""
    flat = matrix @ S.transpose(1, 0, 2).reshape(S.shape[1], -1)
    return np.asarray(flat).reshape(-1, len(S), S.shape[2]).transpose(1, 0, 2)


def _derivatives_of_outputs(stage: NetworkStage, count: int, slopes: list[Array]) -> dict[int, Array]:
    """Of all outputs of a stage's networks in their inputs, under 0, and in activations (B, k, n_outputs, n_s)."""
    network = stage.network
    shape = count, len(stage.inputs), network.n_outputs, network.n_outputs
    seeds = np.broadcast_to(np.eye(network.n_outputs), shape)
    start = sweeps.coefficients_of(network.layers[-1], seeds)
    found = sweeps.adjoint(network.layers, start, [own[:, :, None] for own in slopes])
    found.setdefault(0, np.zeros((*shape[:3], network.n_inputs)))
    return found


def _add_bends(
    hessians: Array, stage: NetworkStage, S: Array, weights: Array, slopes: list[Array], outward: dict[int, Array]
) -> None:
    """Add the curvature of the rounded kinks of a stage's networks to Hessians (B, d, d), in place.

    Only of kinks at which the objective has a valley: the curvature of others would make the model indefinite.
    """
    layers = stage.network.layers
    for index, own in enumerate(slopes):
        if index + 1 not in outward:
            continue
        effect = (weights[:, stage.outputs][:, :, None] @ outward[index + 1])[:, :, 0]
        point, member, neuron = valley = np.nonzero((own > 0) & (own < 1) & (effect > 0))
        if not point.size:
            continue
        start = sweeps.coefficients_of_neurons(layers[index], neuron)
        found = sweeps.adjoint(layers, start, [each[point, member] for each in slopes])
        if 0 not in found:  # neurons that no input reaches
            continue
        bends = np.sqrt(CURVATURE * effect[valley])[:, None] * found[0]
        rows = (bends[:, None] @ S[point[:, None], stage.inputs[member]])[:, 0]
        ends = np.searchsorted(point, np.arange(len(hessians) + 1))
        for hessian, begin, end in zip(hessians, ends, ends[1:], strict=False):
            hessian += rows[begin:end].T @ rows[begin:end]
