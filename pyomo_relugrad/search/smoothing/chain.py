"""The networks of a problem, sharp or rounded off at their kinks, as one function of the columns that move."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import NamedTuple, cast

import numpy as np

from pyomo_relugrad.arrays import Array, Weight
from pyomo_relugrad.network import Layer, Network, sweeps
from pyomo_relugrad.network.curves import Curve
from pyomo_relugrad.problem import NetworkStage, Problem, are_same, stacked
from pyomo_relugrad.search.smoothing.recurrence import Outputs, Recurrence, Sensitivities

#: Second derivative of a rounded ReLU where it is neither zero nor the identity.
CURVATURE = 0.5
#: Kinks that are sides of a step: pre-activations this near to zero, in shares of how much they vary, so many in a
#: layer at most, with more than this share of the largest effect on the objective.
REACH, MAX_KINKS, LEAST_EFFECT = 0.05, 100, 1e-9


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


class Kinks(NamedTuple):
    """Kinks near a point at which the objective has a valley, as sides that may be crossed at a price.

    With a step x each adds ``prices * max(normals @ x - distances, 0)`` to the objective's linear model.
    """

    normals: Array
    distances: Array
    prices: Array
    #: Of the neurons, among those of all networks.
    numbers: Array


class QuadraticModels(NamedTuple):
    """The objective around points: gradients (B, d), Hessians (B, d, d), slopes (B, n, d) of all columns, and kinks."""

    gradients: Array
    hessians: Array
    slopes: Array
    kinks: list[Kinks]


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
    outputs : Outputs
    sensitivities : Sensitivities
    recurrence : Recurrence, optional
        Where networks are such that it suits them.
    spreads : tuple of lists of (n_k,) arrays
        How much the pre-activations of each of `together` vary, by hidden layer.
    """

    problem: Problem
    moving: Array
    stages: tuple[NetworkStage, ...]
    together: tuple[NetworkStage, ...]
    outputs: Outputs
    sensitivities: Sensitivities
    recurrence: Recurrence | None
    spreads: tuple[list[Array], ...]

    @classmethod
    def of(cls, problem: Problem, moving: Array, V: Array) -> Chain:
        """The chain of a problem as it is; how much pre-activations vary is measured at points (B, n)."""
        together = cast(tuple[NetworkStage, ...], stacked(problem.networks, [0] * len(problem.networks)))
        place = {
            int(outputs[0]): (index, member)
            for index, stage in enumerate(together)
            for member, outputs in enumerate(stage.outputs)
        }
        outputs = Outputs(together, [place[first] for stage in problem.relu_stages for first in stage.outputs[:, 0]])
        values = [stage.network.preactivations(stage.gather(V)) for stage in together]
        spreads = tuple([np.maximum(z.std(axis=0), 1e-3 * z.std() + 1e-9) for z in layers] for layers in values)
        sensitivities = Sensitivities(together, outputs, moving)
        recurrence = Recurrence(together, outputs) if Recurrence.suits(together) else None
        return cls(problem, moving, problem.relu_stages, together, outputs, sensitivities, recurrence, spreads)

    def fits(self, problem: Problem, moving: Array) -> bool:
        """Whether a problem has the same networks between the same columns, of which the same move."""
        is_as_wide = self.problem.n_columns == problem.n_columns
        return is_as_wide and np.array_equal(self.moving, moving) and are_same(self.problem.networks, problem.networks)

    def rounded(self, share: float) -> Chain:
        """The chain with ReLUs that are rounded off at a share of how much their pre-activations vary."""
        networks = {
            stage.network: rounded(stage.network, [share * spread for spread in own])
            for stage, own in zip(self.together, self.spreads, strict=True)
        }
        stages, together = (
            tuple(replace(stage, network=networks[stage.network]) for stage in own)
            for own in (self.stages, self.together)
        )
        recurrence = self.recurrence and Recurrence(together, self.outputs)
        return replace(self, stages=stages, together=together, recurrence=recurrence)

    def propagate(self, V: Array) -> Array:
        """A copy of points (B, n) in which every output is its network's value."""
        V = V.copy()
        if self.recurrence is not None:
            self.recurrence.propagate(V)
            return V
        for stage in self.stages:
            stage.propagate(V)
        return V

    @cached_property
    def is_sharp(self) -> bool:
        """Whether no ReLU is rounded off."""
        return all(stage.network.is_piecewise_linear for stage in self.together)

    @property
    def n_neurons(self) -> int:
        """Of all networks."""
        return sum(stage.network.n_neurons * len(stage.inputs) for stage in self.together)

    def models(self, V: Array, pull: Array) -> QuadraticModels:
        """The objective around points (B, n), with what holds it in the valleys of kinks.

        These are its own valleys, and those of what sides cost, of which the derivatives in the columns are `pull`
        (B, n). Kinks that are rounded off have a curvature; near ones that are sharp are sides with prices.
        """
        problem, d = self.problem, self.moving.size
        hidden = [
            [z.reshape(len(V), len(each.inputs), -1) for z in each.network.preactivations(each.gather(V))]
            for each in self.together
        ]
        slopes = [
            [layer.activation.slope(z) for layer, z in zip(each.network.layers, own, strict=False)]
            for each, own in zip(self.together, hidden, strict=True)
        ]
        outward = [_derivatives_of_outputs(s, len(V), own) for s, own in zip(self.together, slopes, strict=True)]
        S = np.zeros((*V.shape, d))
        S[:, self.moving, np.arange(d)] = 1.0
        matrices, S[:, self.outputs.columns] = self.sensitivities.of([out[0] for out in outward])
        weights = problem.objective_gradient(V)
        gradients = (weights[:, None] @ S)[:, 0]
        hessians = np.zeros((len(V), d, d))
        if problem.quadratic is not None:
            hessians += S.transpose(0, 2, 1) @ product(problem.quadratic, S)
        weights += pull
        weights[:, self.outputs.columns] = self.sensitivities.pulled_back(matrices, weights[:, self.outputs.columns])
        kinks: list[Kinks] = []
        if self.is_sharp:
            kinks = [self._kinks_near(point, S, weights, hidden, slopes, outward) for point in range(len(V))]
        else:
            for each, own, out in zip(self.together, slopes, outward, strict=True):
                _add_bends(hessians, each, S, weights, own, out)
        return QuadraticModels(gradients, hessians, S, kinks)

    def _kinks_near(
        self,
        point: int,
        S: Array,
        weights: Array,
        hidden: list[list[Array]],
        slopes: list[list[Array]],
        outward: list[dict[int, Array]],
    ) -> Kinks:
        """Those near one of the points, with a positive effect on the objective of what its weights are."""
        found, first = [no_kinks(self.moving.size)], 0
        parts = zip(self.together, hidden, slopes, outward, self.spreads, strict=True)
        for each, own, gates, out, spreads in parts:
            layers = each.network.layers
            for index, z in enumerate(own):
                size, first = z[point].size, first + z[point].size
                if index + 1 not in out:
                    continue
                effect = (weights[point, each.outputs][:, None] @ out[index + 1][point])[:, 0]
                member, neuron = nearest = _nearest(
                    np.abs(z[point]) / spreads[index], effect > LEAST_EFFECT * np.abs(effect).max()
                )
                inward = sweeps.adjoint(
                    layers, sweeps.coefficients_of_neurons(layers[index], neuron), [g[point, member] for g in gates]
                )
                if not neuron.size or 0 not in inward:  # neurons that no input reaches
                    continue
                normals = (inward[0][:, None] @ S[point, each.inputs[member]])[:, 0]
                normals[z[point][nearest] > 0] *= -1.0
                numbers = first - size + np.ravel_multi_index(nearest, z[point].shape)
                found.append(Kinks(normals, np.abs(z[point][nearest]), effect[nearest], numbers))
        return Kinks(*map(np.concatenate, zip(*found, strict=True)))


def no_kinks(d: int) -> Kinks:
    """None, for steps of so many columns."""
    return Kinks(np.zeros((0, d)), np.zeros(0), np.zeros(0), np.zeros(0, int))


def _nearest(distance: Array, chosen: Array) -> tuple[Array, Array]:
    """Networks and neurons of the kinks within reach among those chosen, the nearest ones, by distances (k, n)."""
    members, neurons = np.nonzero(chosen & (distance < REACH))
    if members.size > MAX_KINKS:
        order = np.argpartition(distance[members, neurons], MAX_KINKS)[:MAX_KINKS]
        members, neurons = members[order], neurons[order]
    return members, neurons


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
