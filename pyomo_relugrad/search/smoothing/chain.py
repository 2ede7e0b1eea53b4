"""The networks of a problem, sharp or rounded off at their kinks, as one function of the columns that move."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple, cast

import numpy as np

from pyomo_relugrad.arrays import Array
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
        return self.value_and_slope(z)[0]

    def value_and_slope(self, z: Array) -> tuple[Array, Array]:
        """Activations and derivatives."""
        slope = np.clip(0.5 * z + 0.5, 0.0, 1.0)
        return slope * slope + np.maximum(z - 1.0, 0.0), slope


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
    """One network in the chain: its place among those of the same weights, its inputs and its outputs."""

    stage: int
    member: int
    inputs: Array
    outputs: Array


class QuadraticModel(NamedTuple):
    """The objective around a point: its gradient (d,), its Hessian (d, d), and the slopes (n, d) of all columns."""

    gradient: Array
    hessian: Array
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
        In the order in which they can be evaluated.
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
        links = tuple(
            Link(*place[int(outputs[0])], inputs, outputs)
            for stage in problem.relu_stages
            for inputs, outputs in zip(stage.inputs, stage.outputs, strict=True)
        )
        return cls(problem, moving, problem.relu_stages, together, links)

    def rounded(self, share: float, V: Array) -> Chain:
        """The chain with ReLUs that are rounded off at a share of how much their pre-activations vary at points."""
        networks = {}
        for stage in self.together:
            values = stage.network.preactivations(stage.gather(V))
            widths = [share * np.maximum(layer.std(axis=0), 1e-3 * layer.std() + 1e-9) for layer in values]
            networks[stage.network] = rounded(stage.network, widths)
        stages, together = (
            tuple(replace(stage, network=networks[stage.network]) for stage in own)
            for own in (self.stages, self.together)
        )
        return replace(self, stages=stages, together=together)

    def propagate(self, V: Array) -> Array:
        """A copy of points (B, n) in which every output is its network's value."""
        V = V.copy()
        for stage in self.stages:
            stage.propagate(V)
        return V

    def model(self, v: Array) -> QuadraticModel:
        """The objective around a point (n,), with the curvature that holds it in the valleys of rounded kinks."""
        problem = self.problem
        slopes = [sweeps.evaluate_with_slopes(s.network.layers, v[s.inputs])[1] for s in self.together]
        outward = [_derivatives_of_outputs(s, own) for s, own in zip(self.together, slopes, strict=True)]
        S = np.zeros((v.size, self.moving.size))
        S[self.moving, np.arange(self.moving.size)] = 1.0
        for stage, member, inputs, outputs in self.links:
            S[outputs] = outward[stage][0][member] @ S[inputs]
        gradient = problem.objective_gradient(v[None])[0]
        hessian = np.zeros((self.moving.size,) * 2) if problem.quadratic is None else S.T @ (problem.quadratic @ S)
        weights = gradient.copy()
        for stage, member, inputs, outputs in reversed(self.links):
            np.add.at(weights, inputs, weights[outputs] @ outward[stage][0][member])
        for each, own, out in zip(self.together, slopes, outward, strict=True):
            bends = _bends(each, S, weights, own, out)
            hessian += bends.T @ bends
        return QuadraticModel(gradient @ S, hessian, S)


def _derivatives_of_outputs(stage: NetworkStage, slopes: list[Array]) -> dict[int, Array]:
    """Of all outputs of a stage's networks in their inputs, under 0, and in their activations (k, n_outputs, n_s)."""
    network = stage.network
    seeds = np.broadcast_to(np.eye(network.n_outputs), (len(stage.inputs), network.n_outputs, network.n_outputs))
    start = sweeps.coefficients_of(network.layers[-1], seeds)
    found = sweeps.adjoint(network.layers, start, [own[:, None] for own in slopes])
    found.setdefault(0, np.zeros((*seeds.shape[:2], network.n_inputs)))
    return found


def _bends(stage: NetworkStage, S: Array, weights: Array, slopes: list[Array], outward: dict[int, Array]) -> Array:
    """Gradients (m, d) of the pre-activations at rounded kinks, scaled so that their squares are the curvature.

    Only kinks at which the objective has a valley: the curvature of others would make the model indefinite.
    """
    chosen, sizes = list[tuple[Array, ...]](), list[Array]()
    for layer, own in enumerate(slopes):
        out = outward.get(layer + 1)
        effect = np.zeros(own.shape) if out is None else np.einsum("ko,kon->kn", weights[stage.outputs], out)
        valley = np.nonzero((own > 0) & (own < 1) & (effect > 0))
        chosen.append(valley)
        sizes.append(np.sqrt(CURVATURE * effect[valley]))
    rows = [np.zeros((0, S.shape[1]))]
    if any(size.size for size in sizes):
        directions = S[stage.inputs].transpose(0, 2, 1)
        tangents = sweeps.tangent(stage.network.layers, directions, [own[:, None] for own in slopes])
        for (member, neuron), size, tangent in zip(chosen, sizes, tangents, strict=False):
            rows.append(size[:, None] * tangent[member, :, neuron])
    return np.concatenate(rows)
