"""Walking from a region's best point across its active facets, while that improves the objective."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from pyomo_relugrad.arrays import Array
from pyomo_relugrad.problem import Incumbent, Problem
from pyomo_relugrad.search.budget import Budget
from pyomo_relugrad.search.linearisation import Linearisation, Patterns
from pyomo_relugrad.search.region_model import RegionModel, RegionOptimum

#: Relative gain below which a step across a facet does not count.
GAIN_TOLERANCE = 1e-9
#: At most so many facets are tried from one point, the most promising ones.
CROSSINGS = 24


class RegionWalk:
    """Exact ascent over linear regions: the optimum of a region, then of a neighbour, until no neighbour is better.

    The neighbours tried are those behind active facets whose multiplier test promises a gain: at an optimum with
    multiplier ``mu_j`` on facet ``j``, stepping across changes the objective at the rate
    ``-mu_j - (g' - g) @ a_j / (a_j @ a_j)``, where ``a_j`` is the facet's normal into the region and ``g``, ``g'`` are
    the gradients of the Lagrangian on this side and behind the facet. Exact to first order where the active facets
    are independent.

    Parameters
    ----------
    problem : Problem
    linearisation : Linearisation
    """

    def __init__(self, problem: Problem, linearisation: Linearisation) -> None:
        self._problem = problem
        self._linearisation = linearisation
        self._model = RegionModel(problem, linearisation)

    def improve(self, v: Array, budget: Budget) -> Iterator[Incumbent]:
        """Yield better and better points, from a point that is feasible or nearly so.

        The first one may have a larger objective than `v`, if `v` violates rows. A point on a ray that
        improves without end makes the budget stop as unbounded.
        """
        patterns = self._linearisation.patterns(v)
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
        for facet in self._promising_facets(optimum):
            if budget.is_exhausted():
                return None
            patterns = _flipped(optimum, facet)
            neighbour = self._model.optimum(optimum.values, patterns, budget)
            if neighbour is not None and _is_better(self._problem.incumbent(neighbour.values), best):
                return neighbour
        return None

    def _promising_facets(self, optimum: RegionOptimum) -> Array:
        """Active facets with a negative rate of the objective behind them, the steepest first."""
        if optimum.facet_multipliers.size == 0:
            return np.zeros(0, np.int64)
        slack = optimum.facets.rows @ optimum.values - optimum.facets.lower
        active = np.flatnonzero(slack < 1e-7)
        rates = self._rates(optimum, active)
        order = np.argsort(rates, kind="stable")[:CROSSINGS]
        scale = 1e-9 * (1.0 + float(optimum.facet_multipliers.max(initial=0.0)))
        return active[order[rates[order] < -scale]]

    def _rates(self, optimum: RegionOptimum, active: Array) -> Array:
        """Rates of the objective behind the active facets, one batch for each embedded network."""
        facets = optimum.facets
        weights = self._linearisation.link_weights(optimum.link_multipliers)
        rates = -optimum.facet_multipliers[active]
        for index, member in sorted(set(zip(facets.stages[active], facets.members[active], strict=True))):
            stage = self._problem.stages[index]
            places = np.flatnonzero((facets.stages[active] == index) & (facets.members[active] == member))
            patterns = np.tile(optimum.patterns[index][member], (places.size + 1, 1))
            patterns[np.arange(places.size), facets.neurons[active[places]]] ^= True
            seeds = np.tile(weights[index][member], (places.size + 1, 1))
            gradients = stage.network.pull_back(patterns, len(stage.network.layers) - 1, seeds)
            changes = np.zeros((places.size, self._problem.n_columns))
            np.add.at(changes.T, stage.inputs[member], (gradients[:-1] - gradients[-1]).T)
            normals = facets.rows[active[places]].toarray()
            rates[places] -= (changes * normals).sum(axis=1) / (normals * normals).sum(axis=1)
        return rates


def _flipped(optimum: RegionOptimum, facet: int) -> Patterns:
    facets = optimum.facets
    patterns = [pattern.copy() for pattern in optimum.patterns]
    patterns[int(facets.stages[facet])][int(facets.members[facet]), int(facets.neurons[facet])] ^= True
    return tuple(patterns)


def _is_better(point: Incumbent, other: Incumbent) -> bool:
    return point.is_feasible and point.objective < other.objective - GAIN_TOLERANCE * (1.0 + abs(other.objective))
