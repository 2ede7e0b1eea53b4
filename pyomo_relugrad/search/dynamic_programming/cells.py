"""Which states go on, and what is known of the costs that await them."""

from dataclasses import dataclass

import numpy as np
import scipy

from pyomo_relugrad.arrays import Array

#: Cells in which the cheapest states are looked for: small ones, times the states that are kept, and large ones.
SMALL_CELLS, LARGE_CELLS = 4, 16


@dataclass(frozen=True, eq=False)
class CostToGo:
    """What the stages after a state cost, as known at some states.

    Parameters
    ----------
    features : (d, k) array
        The states.
    values : (k,) array
    """

    features: Array
    values: Array

    def at(self, features: Array) -> Array:
        """Costs (B,) at states (d, B): interpolated where a state is one number, else those of the nearest state."""
        if len(self.features) == 0:
            return np.full(features.shape[1], self.values.min())
        if len(self.features) == 1:
            order = np.argsort(self.features[0])
            return np.interp(features[0], self.features[0, order], self.values[order])
        spread = np.ptp(self.features, axis=1)[:, None]
        scale = np.where(spread > 0, spread, 1.0)
        nearest = scipy.spatial.KDTree((self.features / scale).T).query((features / scale).T)[1]
        return self.values[nearest]


def kept_states(features: Array, cost: Array, count: int, random: np.random.Generator) -> Array:
    """Numbers of the candidates that go on: the cheapest of many small cells, and of a few large ones.

    The large cells keep the costs known far from where they are small.

    Parameters
    ----------
    features : (d, B) array
    cost : (B,) array
        Of everything before the candidates and after them.
    count : int
        Candidates from the small cells, at most.
    random : numpy.random.Generator
        Shifts the cells.

    Returns
    -------
    (k,) int array
        Candidate 0 is always the first.
    """
    least = features.min(axis=1, keepdims=True, initial=np.inf)
    spread = features.max(axis=1, keepdims=True, initial=-np.inf) - least
    moves = spread[:, 0] > 1e-9 * (1.0 + np.abs(least[:, 0]))
    if not moves.any():
        return np.unique([0, cost.argmin()])
    places = (features[moves] - least[moves]) / spread[moves]
    small = _cheapest_of_cells(places, cost, SMALL_CELLS * count, random)[:count]
    kept = np.union1d(small, _cheapest_of_cells(places, cost, LARGE_CELLS, random))
    return np.append(0, kept[kept > 0])


def _cheapest_of_cells(places: Array, cost: Array, count: int, random: np.random.Generator) -> Array:
    """The cheapest candidate of each of about so many cells, cheapest first."""
    parts = max(round(count ** (1.0 / len(places))), 2)
    shifted = np.floor(parts * places + random.random((len(places), 1))).astype(np.int64)
    cell = np.ravel_multi_index(tuple(shifted), (parts + 2,) * len(places))
    order = np.lexsort((cost, cell))
    is_first = np.ones(order.size, bool)
    is_first[1:] = cell[order][1:] != cell[order][:-1]
    kept = order[is_first]
    return kept[np.argsort(cost[kept], kind="stable")]
