"""A linear region seen from the unit box: coordinates between the bounds, facets as distances."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pyomo_relugrad.arrays import Array
from pyomo_relugrad.search.regions.region import Region

# Sides of rows up to which an interior-point method takes them along.
MAX_ROWS = 64
# Random directions from which the lengths of the facets' normals are estimated.
PROBES = 16
# Distance, as a share of the box, by which a point may lie beyond a facet.
FACET_TOLERANCE = 1e-9
# Error of a pre-activation by rounding, relative to its size.
ROUNDING = 1e-12


@dataclass(frozen=True, eq=False)
class BoundedSides:
    """``lower <= u <= upper`` and ``rows @ u >= sides``.

    Parameters
    ----------
    lower, upper : (d,) arrays
        Finite, and not all alike.
    rows : (r, d) array
        Rows that vary, or their negatives.
    sides : (r,) array
    origins : (r,) int array
        Which of the given rows each is.
    signs : (r,) int array
        -1 for a row at its lower side, 1 for the negative of one at its upper side.
    n_rows : int
        Rows that were given.
    """

    lower: Array
    upper: Array
    rows: Array
    sides: Array
    origins: Array
    signs: Array
    n_rows: int

    @staticmethod
    def fits(lower: Array, upper: Array, row_lower: Array, row_upper: Array) -> bool:
        """Whether bounds are finite, and rows few and no equations."""
        n_sides = np.isfinite(row_lower).sum() + np.isfinite(row_upper).sum()
        return bool(np.isfinite(upper - lower).all()) and n_sides <= MAX_ROWS and not (row_lower == row_upper).any()

    @classmethod
    def of(cls, lower: Array, upper: Array, rows: Array, row_lower: Array, row_upper: Array) -> BoundedSides | None:
        """Bounds and dense rows that fit; None where nothing moves."""
        moves = upper > lower
        if not moves.any():
            return None
        varies = (rows[:, moves] != 0).any(axis=1)
        at_lower = np.flatnonzero(np.isfinite(row_lower) & varies)
        at_upper = np.flatnonzero(np.isfinite(row_upper) & varies)
        sides = np.concatenate([row_lower[at_lower], -row_upper[at_upper]])
        signs = np.repeat([-1, 1], [at_lower.size, at_upper.size])
        origins = np.concatenate([at_lower, at_upper])
        return cls(lower, upper, -signs[:, None] * rows[origins], sides, origins, signs, len(rows))

    def row_sides(self, held: Array) -> Array:
        """(n_rows,) int array: -1 for rows held at their lower side, 1 at their upper side, 0 for the others."""
        result = np.zeros(self.n_rows, int)
        result[self.origins[held]] = self.signs[held]
        return result


class UnitBoxRegion:
    """A region in coordinates that go from 0 at the lower bounds to 1 at the upper ones; fixed columns are left out.

    The margin of a neuron is its pre-activation, signed so that it is positive inside the region.

    Attributes
    ----------
    origin : (n,) array
        The region's point.
    cost : (n,) array
        Gradient of the objective.
    margins : (N,) array
        At the origin.
    lengths : (N,) array
        Of the margins' gradients: exact for the neurons whose facets were asked for, and zero where they are constant;
        else estimated to some 20 %, and tiny where they are constant but for rounding.
    """

    def __init__(self, region: Region, limits: BoundedSides) -> None:
        self.region, self.limits = region, limits
        span = limits.upper - limits.lower
        self._moving = np.flatnonzero(span > 0)
        self._scale = span[self._moving]
        self.origin = (region.u - limits.lower)[self._moving] / self._scale
        self.cost = region.gradient[self._moving] * self._scale
        self.margins = region.signs * region.preactivations
        probes = np.random.default_rng(0).standard_normal((PROBES, self.origin.size))
        self.lengths = np.asarray(np.sqrt(np.mean(self._slopes(probes) ** 2, axis=0)))

    def slopes(self, direction: Array) -> Array:
        """(N,) change of all margins along a direction (n,)."""
        return np.asarray(self._slopes(direction[None, :])[0])

    def _slopes(self, directions: Array) -> Array:
        in_columns = np.zeros((len(directions), self.region.u.size))
        in_columns[:, self._moving] = directions * self._scale
        return self.region.signs * self.region.slopes(in_columns)

    def facets(self, neurons: Array) -> tuple[Array, Array, Array]:
        """Those of the neurons that vary (m,), with the unit normals (m, n), into the region, and offsets (m,)."""
        normals = self.region.gradients(neurons)
        if self._moving.size < normals.shape[1]:
            normals = normals[:, self._moving]
        normals *= self._scale
        self.lengths[neurons] = lengths = row_lengths(normals)
        varies = lengths > 0
        if not varies.all():
            neurons, normals, lengths = neurons[varies], normals[varies], lengths[varies]
        normals *= (self.region.signs[neurons] / lengths)[:, None]
        return neurons, normals, self.margins[neurons] / lengths - normals @ self.origin

    def rows(self) -> tuple[Array, Array]:
        """Unit normals (r, n) and offsets (r,) of the limits' rows."""
        normals = self.limits.rows[:, self._moving] * self._scale
        lengths = row_lengths(normals)
        at_lower = self.limits.rows @ self.limits.lower - self.limits.sides
        return normals / lengths[:, None], at_lower / lengths

    def contains(self, x: Array) -> bool:
        """Whether a point (n,) is on no facet's other side."""
        margins = self.margins + self.slopes(x - self.origin)
        beyond = np.flatnonzero(self._is_beyond(margins) & (self.lengths > 0))
        beyond, _, _ = self.facets(beyond)  # now without those that are constant but for rounding
        return not self._is_beyond(margins)[beyond].any()

    def _is_beyond(self, margins: Array) -> Array:
        return np.asarray(margins < -FACET_TOLERANCE * self.lengths - ROUNDING * np.abs(self.margins))

    def in_columns(self, x: Array) -> Array:
        """The point (n,) of the unit box in the decision columns (d,)."""
        u = self.limits.lower.copy()
        u[self._moving] += self._scale * np.clip(x, 0.0, 1.0)
        return np.clip(u, self.limits.lower, self.limits.upper)

    def column_sides(self, sides: Array) -> Array:
        """What is given for the columns that move (n,), for all of them (d,): -1 for the fixed ones."""
        every = np.full(self.region.u.size, -1)
        every[self._moving] = sides
        return every

    def row_duals(self, held: Array, multipliers: Array) -> Array:
        """Multipliers of all given rows, from those of the unit normals of the limits' rows that are held."""
        limits, result = self.limits, np.zeros(self.limits.n_rows)
        lengths = row_lengths(limits.rows[held][:, self._moving] * self._scale)
        np.add.at(result, limits.origins[held], -limits.signs[held] * multipliers / lengths)
        return result


def row_lengths(rows: Array) -> Array:
    """Euclidean lengths (m,) of rows (m, n)."""
    return np.asarray(np.sqrt(np.einsum("ij,ij->i", rows, rows)))
