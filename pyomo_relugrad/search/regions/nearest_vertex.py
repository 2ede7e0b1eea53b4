"""The optimum of a region over a box without a linear program, where a point beside it tells what holds it there."""

import numpy as np
from numpy.linalg import LinAlgError

from pyomo_relugrad.arrays import Array
from pyomo_relugrad.search.regions.facets import FACET_TOLERANCE, RegionOptimum
from pyomo_relugrad.search.regions.region import Region
from pyomo_relugrad.search.regions.unit_box import row_lengths


def optimum_beside(region: Region, lower: Array, upper: Array) -> RegionOptimum | None:
    """The region's optimum, where as many of the nearest facets hold it as columns are off their bounds at its point.

    Descents end beside vertices, with most columns on their bounds: two of three times the vertex that the nearest
    facets make is the optimum, which its multipliers prove. That takes a quarter of the time of a linear program.

    Parameters
    ----------
    region : Region
        Of a linear objective, without rows.
    lower, upper : (d,) arrays
        Bounds of the decision columns.

    Returns
    -------
    RegionOptimum or None
        None where that vertex is not the optimum.
    """
    may_move, gradients = lower < upper, region.every_gradient
    at_lower, at_upper = may_move & (region.u <= lower), may_move & (region.u >= upper)
    free = np.flatnonzero(may_move & ~(at_lower | at_upper))
    lengths = np.linalg.norm(gradients[:, free], axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        distances = np.where(lengths > 0, np.abs(region.preactivations) / lengths, np.inf)
    neurons = np.argsort(distances, kind="stable")[: free.size]
    active, signs, step = gradients[neurons], region.signs[neurons], np.zeros(region.u.size)
    try:
        step[free] = np.linalg.solve(active[:, free], -region.preactivations[neurons])
        multipliers = signs * np.linalg.solve(active[:, free].T, region.gradient[free])
    except LinAlgError:  # parallel facets, or too few
        return None
    u, reduced = region.u + step, region.gradient - (signs * multipliers) @ active
    margins = region.signs * (region.preactivations + gradients @ step)
    is_feasible = ((u >= lower) & (u <= upper)).all() and (margins >= -FACET_TOLERANCE * row_lengths(gradients)).all()
    is_optimal = (multipliers >= 0).all() and (reduced[at_lower] >= 0).all() and (reduced[at_upper] <= 0).all()
    return RegionOptimum(u, neurons, multipliers, np.zeros(0), reduced) if is_feasible and is_optimal else None
