"""The optimum of a region over a box without a linear program, where a point beside it tells what holds it there."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.linalg import LinAlgError, solve

from pyomo_relugrad.arrays import Array
from pyomo_relugrad.search.regions.facets import FACET_TOLERANCE, RegionOptimum
from pyomo_relugrad.search.regions.region import Region
from pyomo_relugrad.search.regions.unit_box import row_lengths

#: Vertices that are looked at, the first one included.
MAX_VERTICES = 5


def optimum_beside(region: Region, lower: Array, upper: Array) -> RegionOptimum | None:
    """The region's optimum, from the vertex that as many of the nearest facets make as columns are off their bounds.

    Descents end beside vertices, with most columns on their bounds: seven of ten times that vertex is the optimum,
    which its multipliers prove, and one or two times it is a pivot of the simplex method away. A linear program takes
    four times as long.

    Parameters
    ----------
    region : Region
        Of a linear objective, without rows.
    lower, upper : (d,) arrays
        Bounds of the decision columns.

    Returns
    -------
    RegionOptimum or None
        None where no such vertex is the optimum.
    """
    may_move, lengths = lower < upper, row_lengths(region.every_gradient)
    units = region.signs / np.where(lengths > 0, lengths, 1.0)  # in which facets are as far as they are in the columns
    normals = region.every_gradient * units[:, None]
    try:
        vertex = _nearest_vertex(region, normals, region.preactivations * units, (lower, upper))
        for _ in range(MAX_VERTICES):
            if vertex is None:
                break
            u, active = vertex.u, vertex.active
            multipliers = solve(normals[active][:, vertex.free].T, region.gradient[vertex.free])
            reduced = region.gradient - multipliers @ normals[active]
            if (may_move & (((u <= lower) & (reduced < 0)) | ((u >= upper) & (reduced > 0)))).any():
                break
            if (multipliers >= 0).all():
                return RegionOptimum(u, active, multipliers * np.abs(units[active]), np.zeros(0), reduced)
            vertex = vertex.without(int(multipliers.argmin()), normals, (lower, upper))
    except LinAlgError:  # parallel facets, or too few
        pass
    return None


@dataclass(frozen=True, eq=False)
class _Vertex:
    """A vertex of a region over a box.

    Parameters
    ----------
    u : (d,) array
    free : (k,) int array
        The columns that no bound holds.
    active : (k,) int array
        The neurons whose facets hold them.
    distances : (N,) array
        To all facets.
    """

    u: Array
    free: Array
    active: Array
    distances: Array

    def without(self, leaving: int, normals: Array, bounds: tuple[Array, Array]) -> _Vertex | None:
        """The vertex at the other end of the edge that leads away from one of its facets; None where there is none."""
        lower, upper = bounds
        direction, away = np.zeros(self.u.size), np.eye(self.active.size)[leaving]
        direction[self.free] = solve(normals[self.active][:, self.free], away)
        rates = normals @ direction
        rates[self.active] = away
        ends = np.where(direction > 0, upper, lower)
        facet, time_to_facet = _first(self.distances, -rates)
        column, time_to_bound = _first(np.abs(ends - self.u), np.abs(direction))
        time = min(time_to_facet, time_to_bound)
        if time == np.inf:
            return None
        u, active, free = np.clip(self.u + time * direction, lower, upper), np.delete(self.active, leaving), self.free
        if time == time_to_facet:
            active = np.append(active, facet)
        else:
            u[column], free = ends[column], free[free != column]
        return _Vertex(u, free, active, self.distances + time * rates)


def _nearest_vertex(region: Region, normals: Array, distances: Array, bounds: tuple[Array, Array]) -> _Vertex | None:
    """The vertex that the nearest facets make, None where it lies outside of the region or of the box."""
    lower, upper = bounds
    free = np.flatnonzero((lower < region.u) & (region.u < upper))
    lengths = row_lengths(normals[:, free])
    with np.errstate(divide="ignore", invalid="ignore"):
        away = np.where(lengths > 0, np.abs(distances) / lengths, np.inf)
    active, step = np.argsort(away, kind="stable")[: free.size], np.zeros(region.u.size)
    step[free] = solve(normals[active][:, free], -distances[active])
    u, distances = region.u + step, distances + normals @ step
    is_inside = (u >= lower).all() and (u <= upper).all() and (distances >= -FACET_TOLERANCE).all()
    return _Vertex(u, free, active, distances) if is_inside else None


def _first(distances: Array, speeds: Array) -> tuple[int, float]:
    """Which of these distances is passed first, and when; at infinity where none is."""
    times = np.full(distances.size, np.inf)
    np.divide(np.maximum(distances, 0.0), speeds, out=times, where=speeds > FACET_TOLERANCE)
    first = int(times.argmin())
    return first, float(times[first])
