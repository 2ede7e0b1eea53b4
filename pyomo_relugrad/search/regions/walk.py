"""From region to region, each by its linear program, until no neighbour across an active facet is better."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass

import numpy as np

from pyomo_relugrad.arrays import Array
from pyomo_relugrad.problem import ReducedObjective
from pyomo_relugrad.run.budget import Budget
from pyomo_relugrad.search.regions.composite import CompositeRegion
from pyomo_relugrad.search.regions.optimum import RegionOptimum
from pyomo_relugrad.search.regions.program import RegionProgram

# Relative difference of values below which two points count as equally good.
GAIN_TOLERANCE = 1e-9
# Continuations of a step beyond its region that are tried, in shares of the step.
LOOK_AHEAD = np.concatenate([[1e-3], np.geomspace(0.01, 4.0, 15)])
# Pre-activation, relative to the largest, above which a neuron's facet is not looked at.
NEAR_ZERO = 1e-6
# Distance from a facet, in units of the columns, at which a point counts as lying on it.
FACET_DISTANCE = 1e-7
# Facets whose far sides are differentiated as one batch.
FACETS_AT_ONCE = 32
# One minus the cosine between two facets that count as one.
PARALLEL_TOLERANCE = 1e-10


@dataclass(frozen=True, eq=False)
class Vertex:
    """Where a walk ended.

    Parameters
    ----------
    u : (d,) array
    value : float
    region : CompositeRegion
        The region that was solved last.
    optimum : RegionOptimum
        Its optimum.
    """

    u: Array
    value: float
    region: CompositeRegion
    optimum: RegionOptimum


def walk_regions(program: RegionProgram, u: Array, budget: Budget) -> Generator[None, None, Vertex]:
    """Solve the region's LP, look further along the step, cross to better neighbours; stop where none is better.

    At an LP vertex the multiplier of an active facet is what the objective would gain per unit if the facet gave way,
    and the region across it has another gradient: facets with a positive balance of the two are crossed and the LP
    solved on the other side, best balance first.
    """
    objective = program.objective
    region = CompositeRegion.at(objective, u)
    value = value_at(objective, u)
    while True:
        optimum = program.solve(region, budget)
        yield None
        reached = value_at(objective, optimum.u)
        vertex = Vertex(optimum.u, reached, region, optimum) if reached <= value else Vertex(u, value, region, optimum)
        if budget.is_exhausted() or not optimum.is_exact:
            return vertex
        further = look_ahead(objective, program, u, optimum.u, reached)
        if further is None:
            better = yield from cross_facets(program, vertex, budget)
            if better is None:
                return vertex
            further = better.u
        u, region = further, CompositeRegion.at(objective, further)
        value = value_at(objective, u)


def look_ahead(
    objective: ReducedObjective, program: RegionProgram, start: Array, end: Array, value: float
) -> Array | None:
    """The best point beyond `end` on the line from `start`, if it is better than `end`; rows are respected."""
    step = end - start
    if not step.any():
        return None
    beyond = np.clip(end + LOOK_AHEAD[:, None] * step, program.lower, program.upper)
    beyond = beyond[program.satisfies_rows(beyond)]
    if not beyond.size:
        return None
    values = objective.value(beyond)
    if not improves(float(values.min()), value):
        return None
    return np.asarray(beyond[int(values.argmin())])


def cross_facets(program: RegionProgram, vertex: Vertex, budget: Budget) -> Generator[None, None, Vertex | None]:
    """A better vertex in a region across one of the active facets, None where there is none."""
    region = vertex.region.moved_to(vertex.u)
    for neurons in promising_facets(region, vertex.optimum, budget):
        if budget.is_exhausted():
            return None
        neighbour = region.flipped(neurons)
        optimum = program.solve(neighbour, budget)
        yield None
        value = value_at(program.objective, optimum.u)
        if improves(value, vertex.value):
            return Vertex(optimum.u, value, neighbour, optimum)
    return None


def promising_facets(region: CompositeRegion, optimum: RegionOptimum, budget: Budget) -> list[Array]:
    """The neurons of each active facet whose crossing promises a gain, largest first (the multiplier test).

    Where the time is over before all facets were tested, those that were.
    """
    active = optimum.active
    if active.size == 0:
        return []
    rows = unit_rows(region, active)
    facets = neurons_across(region, active, rows)
    balance = np.full(len(facets), -np.inf)
    for begin in range(0, len(facets), FACETS_AT_ONCE):
        if budget.is_exhausted():
            break
        some = slice(begin, begin + FACETS_AT_ONCE)
        change = gradients_across(region, facets[some]) - region.gradient
        balance[some] = optimum.multipliers[some] + np.einsum("ki,ki->k", change, rows[some])
    order = np.argsort(-balance, kind="stable")
    return [facets[k] for k in order[balance[order] > 1e-9 * np.abs(optimum.multipliers).max()]]


def gradients_across(region: CompositeRegion, facets: list[Array]) -> Array:
    """(k, d) gradients of the value behind facets, each given by its neurons."""
    flipped = [region.flipped(neurons).patterns for neurons in facets]
    patterns = tuple(np.concatenate(stage) for stage in zip(*flipped, strict=True))
    objective = region.objective
    return objective.pull_back(patterns, objective.partial_gradient(np.repeat(region.v[None, :], len(facets), axis=0)))


def unit_rows(region: CompositeRegion, neurons: Array) -> Array:
    """(k, d) unit normals, into the region, of the facets of neurons whose pre-activation varies."""
    rows = region.gradients(neurons)
    rows *= (region.signs[neurons] / np.linalg.norm(rows, axis=1))[:, None]
    return rows


def neurons_across(region: CompositeRegion, active: Array, rows: Array) -> list[Array]:
    """For each active facet, with its unit normal, all neurons that change their state across it.

    An absolute value, written with two ReLUs, changes both: flipping one alone would lead into an empty region.
    """
    distances = np.abs(region.preactivations)
    near = np.flatnonzero(distances <= NEAR_ZERO * max(1.0, float(distances.max(initial=0.0))))
    gradients = region.gradients(near)
    norms = np.linalg.norm(gradients, axis=1)
    on = (norms > 0) & (distances[near] <= FACET_DISTANCE * norms)
    parallel = np.abs(rows @ (gradients[on] / norms[on, None]).T) > 1.0 - PARALLEL_TOLERANCE
    return [np.union1d(neuron, near[on][same]) for neuron, same in zip(active, parallel, strict=True)]


def value_at(objective: ReducedObjective, u: Array) -> float:
    """Height of one point."""
    return float(objective.value(u[None, :])[0])


def improves(value: float, other: float) -> bool:
    """Whether a value is smaller by more than rounding."""
    return not np.isfinite(other) or value < other - GAIN_TOLERANCE * max(1e-3, abs(other))
