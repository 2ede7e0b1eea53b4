"""Which facets of a region are worth crossing: the multiplier test."""

import numpy as np

from pyomo_relugrad.arrays import Array
from pyomo_relugrad.run import Budget
from pyomo_relugrad.search.regions.facets import RegionOptimum
from pyomo_relugrad.search.regions.region import Region

# Pre-activation, relative to the largest, above which a neuron's facet is not looked at.
NEAR_ZERO = 1e-6
# Distance from a facet, in units of the columns, at which a point counts as lying on it.
FACET_DISTANCE = 1e-7
# Facets whose far sides are differentiated as one batch.
FACETS_PER_BATCH = 32
# One minus the cosine between two facets that count as one.
PARALLEL_TOLERANCE = 1e-10
# Gain per distance, relative to the largest multiplier, above which a facet is worth crossing.
PROMISING = 1e-9


def promising_facets(region: Region, optimum: RegionOptimum, partial_gradient: Array, budget: Budget) -> list[Array]:
    """The neurons of each facet whose crossing promises a gain, largest first.

    Where the time is over before all facets were tested, those that were.

    Parameters
    ----------
    region : Region
        At the optimum.
    optimum : RegionOptimum
    partial_gradient : (n,) array
        Partial derivatives of the Lagrangian in the outputs.
    budget : Budget
    """
    facets, gains, largest = crossing_gains(region, optimum, partial_gradient, budget)
    order = np.argsort(-gains, kind="stable")
    return [facets[k] for k in order[gains[order] > PROMISING * largest]]


def crossing_gains(
    region: Region, optimum: RegionOptimum, partial_gradient: Array, budget: Budget
) -> tuple[list[Array], Array, float]:
    """The neurons of each binding facet, the gains of the objective per distance behind them, the largest multiplier.

    At an optimum with multiplier ``mu`` on a facet, stepping across changes the objective at the rate
    ``(g' - g) @ a - mu``, where ``a`` is the facet's unit normal out of the region and ``g``, ``g'`` are the gradients
    of the Lagrangian on this side and behind the facet. Exact to first order where the binding facets are independent.
    """
    gradients = region.gradients(optimum.binding)
    lengths = np.linalg.norm(gradients, axis=1)
    varies = lengths > 0
    binding, multipliers = optimum.binding[varies], (optimum.multipliers * lengths)[varies]
    if binding.size == 0:
        return [], np.zeros(0), 0.0
    outward = -gradients[varies] * (region.signs[binding] / lengths[varies])[:, None]
    facets = neurons_across(region, binding, outward)
    change = GradientChange(region, partial_gradient)
    gains = np.full(len(facets), -np.inf)
    for begin in range(0, len(facets), FACETS_PER_BATCH):
        if budget.is_exhausted():
            break
        some = slice(begin, begin + FACETS_PER_BATCH)
        gains[some] = multipliers[some] - change.across(facets[some], outward[some])
    return facets, gains, float(multipliers.max())


def neurons_across(region: Region, binding: Array, normals: Array) -> list[Array]:
    """For each binding facet, with its unit normal, all neurons that change their state across it.

    An absolute value, written with two ReLUs, changes both: flipping one alone would lead into an empty region.
    """
    on, directions = kinks_at(region)
    parallel = np.abs(normals @ directions.T) > 1.0 - PARALLEL_TOLERANCE
    found = [on[same] for same in parallel]
    return [own if neuron in own else np.union1d(neuron, own) for neuron, own in zip(binding, found, strict=True)]


def kinks_at(region: Region) -> tuple[Array, Array]:
    """The neurons (m,) on whose facets the region's point lies, with the unit gradients of their pre-activations."""
    distances = np.abs(region.preactivations)
    near = np.flatnonzero(distances <= NEAR_ZERO * max(1.0, float(distances.max(initial=0.0))))
    gradients = region.gradients(near)
    norms = np.linalg.norm(gradients, axis=1)
    on = (norms > 0) & (distances[near] <= FACET_DISTANCE * norms)
    return near[on], gradients[on] / norms[on, None]


class GradientChange:
    """How the gradient of a function of the outputs differs behind facets of a region.

    Parameters
    ----------
    region : Region
    partial_gradient : (n,) array
        Partial derivatives of the function in the outputs.
    """

    def __init__(self, region: Region, partial_gradient: Array) -> None:
        self.region = region
        gradient = partial_gradient[None, :].copy()
        self._seeds: list[Array] = []
        self._gradients: list[Array] = []
        for stage, state in zip(reversed(region.objective.stages), reversed(region.patterns), strict=True):
            seeds = stage.gather_outputs(gradient)
            parts = stage.adjoint(state, seeds)
            stage.scatter(gradient, parts)
            self._seeds.insert(0, seeds)
            self._gradients.insert(0, parts)

    def across(self, facets: list[Array], directions: Array) -> Array:
        """(k,) derivatives along directions (k, d) behind facets, each given by its neurons, less those before them."""
        change = np.zeros(len(facets))
        slopes = self.region.input_slopes(directions)
        facet = np.repeat(np.arange(len(facets)), [neurons.size for neurons in facets])
        neurons, first = np.concatenate(facets), 0
        stages = self.region.objective.stages
        for index, (stage, pattern) in enumerate(zip(stages, self.region.patterns, strict=True)):
            if not stage.widths:
                continue
            inside = (neurons >= first) & (neurons < first + pattern.size)
            member, neuron = np.divmod(neurons[inside] - first, max(pattern.shape[1], 1))
            own = facet[inside] * len(pattern) + member  # in order
            is_new = np.diff(own, prepend=-1) > 0
            which, member = np.divmod(own[is_new], len(pattern))
            pair = np.cumsum(is_new) - 1
            flipped = pattern[member]
            flipped[pair, neuron] ^= True
            seeds = self._seeds[index][member]
            behind = stage.adjoint(flipped, seeds)
            along = slopes[which[:, None], stage.inputs[member]]
            np.add.at(change, which, np.einsum("ki,ki->k", behind - self._gradients[index][member], along))
            first += pattern.size
        return change
