"""Walking from a region's best point across its active facets, while that improves the objective."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from pyomo_relugrad.arrays import Array
from pyomo_relugrad.network import Facets, Network
from pyomo_relugrad.problem import Incumbent, Problem
from pyomo_relugrad.programs.linearization import Linearization, Patterns
from pyomo_relugrad.run.budget import Budget
from pyomo_relugrad.search.sequential.region_model import RegionModel, RegionOptimum

#: Relative gain below which a step across a facet does not count.
GAIN_TOLERANCE = 1e-9
#: At most so many facets are tried from one point, the most promising ones.
CROSSINGS = 24
#: Distance from a facet, in the space of the inputs, at which a point counts as lying on it.
ACTIVE_TOLERANCE = 1e-7
#: One minus the cosine between two facets that count as one.
PARALLEL_TOLERANCE = 1e-10


@dataclass(frozen=True, eq=False)
class Crossing:
    """A step across one facet of a region.

    Parameters
    ----------
    stage, member : int
        The embedded network.
    neurons : int array
        All ReLUs that change their state there.
    rate : float
        First-order change of the objective per unit of distance.
    """

    stage: int
    member: int
    neurons: Array
    rate: float


class RegionWalk:
    """Exact ascent over linear regions: the optimum of a region, then of a neighbour, until no neighbour is better.

    The neighbours tried are those behind active facets whose multiplier test promises a gain: at an optimum with
    multiplier ``mu_j`` on facet ``j``, stepping across changes the objective at the rate ``-mu_j - (g' - g) @ a_j``,
    where ``a_j`` is the facet's unit normal into the region and ``g``, ``g'`` are the gradients of the Lagrangian on
    this side and behind the facet. Exact to first order where the active facets
    are independent.

    Parameters
    ----------
    problem : Problem
    linearization : Linearization
    """

    def __init__(self, problem: Problem, linearization: Linearization) -> None:
        self._problem = problem
        self._linearization = linearization
        self._model = RegionModel(problem, linearization)

    def improve(self, v: Array, budget: Budget) -> Iterator[Incumbent]:
        """Yield better and better points, from a point that is feasible or nearly so.

        The first one may have a larger objective than `v`, if `v` violates rows. A point on a ray that
        improves without end makes the budget stop as unbounded.
        """
        patterns = self._linearization.patterns(v)
        optimum = self._model.optimum(v, patterns, budget)
        best: Incumbent | None = None
        while optimum is not None:
            point = self._problem.incumbent(optimum.values)
            if not point.is_feasible or (best is not None and not _is_better(point, best)):
                return
            yield point
            best = point
            if optimum.is_unbounded:
                budget.stop_unbounded()
                return
            optimum = self._better_neighbour(optimum, best, budget)

    def _better_neighbour(self, optimum: RegionOptimum, best: Incumbent, budget: Budget) -> RegionOptimum | None:
        for crossing in self._promising_crossings(optimum):
            if budget.is_exhausted():
                return None
            neighbour = self._model.optimum(optimum.values, _flipped(optimum.patterns, crossing), budget)
            if neighbour is not None and _is_better(self._problem.incumbent(neighbour.values), best):
                return neighbour
        return None

    def _promising_crossings(self, optimum: RegionOptimum) -> list[Crossing]:
        """Active facets with a negative rate of the objective behind them, the steepest first."""
        if optimum.facet_multipliers.size == 0:
            return []
        facets = optimum.facets
        active = np.flatnonzero(facets.rows @ optimum.values - facets.lower < ACTIVE_TOLERANCE)
        crossings: list[Crossing] = []
        for index, member in sorted(set(zip(facets.stages[active], facets.members[active], strict=True))):
            places = active[(facets.stages[active] == index) & (facets.members[active] == member)]
            crossings += self._crossings_of(optimum, int(index), int(member), places)
        steepness = 1e-9 * (1.0 + float(optimum.facet_multipliers.max()))
        promising = [crossing for crossing in crossings if crossing.rate < -steepness]
        return sorted(promising, key=lambda crossing: crossing.rate)[:CROSSINGS]

    def _crossings_of(self, optimum: RegionOptimum, index: int, member: int, places: Array) -> list[Crossing]:
        """The crossings of one embedded network's active facets, their rates from one batch."""
        stage = self._problem.stages[index]
        network, pattern = stage.network, optimum.patterns[index][member]
        x = optimum.values[stage.inputs[member]]
        zero = _facets_at(network, x, pattern)
        rows = network.region(x, pattern).facets(optimum.facets.neurons[places])
        groups = [zero.neurons[np.abs(zero.rows @ row) > 1.0 - PARALLEL_TOLERANCE] for row in rows.rows]
        patterns = np.tile(pattern, (len(groups) + 1, 1))
        for place, group in enumerate(groups):
            patterns[place, group] ^= True
        weights = self._linearization.link_weights(optimum.link_multipliers)[index][member]
        gradients = network.pull_back(patterns, len(network.layers) - 1, np.tile(weights, (len(patterns), 1)))
        rates = -np.einsum("fi,fi->f", gradients[:-1] - gradients[-1], rows.rows)
        multipliers = optimum.facet_multipliers[places][np.isin(optimum.facets.neurons[places], rows.neurons)]
        return [
            Crossing(index, member, group, float(rate)) for group, rate in zip(groups, rates - multipliers, strict=True)
        ]


def _facets_at(network: Network, x: Array, pattern: Array) -> Facets:
    """The facets of a region on which the point lies; several ReLUs may share one (an absolute value has two)."""
    point = x[None, :]
    small = []
    for z, layer in zip(network.preactivations(point, pattern[None, :]), network.layers, strict=False):
        has_facet = layer.row_norms >= np.finfo(float).tiny
        relative = np.divide(np.abs(z[0]), layer.row_norms, out=np.full(z[0].size, np.inf), where=has_facet)
        small.append(np.flatnonzero(relative <= 1e-6 * max(1.0, relative[has_facet].max(initial=0.0))))
    starts = np.cumsum([0, *network.widths])[:-1]
    candidates = np.concatenate([part + first for part, first in zip(small, starts, strict=True)])
    facets = network.region(x, pattern).facets(candidates)
    on = np.abs(facets.slack(point)[0]) < ACTIVE_TOLERANCE
    return Facets(facets.neurons[on], facets.rows[on], facets.offsets[on])


def _flipped(patterns: Patterns, crossing: Crossing) -> Patterns:
    flipped = [pattern.copy() for pattern in patterns]
    flipped[crossing.stage][crossing.member, crossing.neurons] ^= True
    return tuple(flipped)


def _is_better(point: Incumbent, other: Incumbent) -> bool:
    return point.is_feasible and point.objective < other.objective - GAIN_TOLERANCE * (1.0 + abs(other.objective))
