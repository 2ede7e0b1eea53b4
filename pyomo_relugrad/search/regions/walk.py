"""From region to region, each by its linear program, until no neighbour across a binding facet is better."""

from collections.abc import Generator
from dataclasses import dataclass

import numpy as np

from pyomo_relugrad.arrays import Array
from pyomo_relugrad.problem import Incumbent
from pyomo_relugrad.run import Budget
from pyomo_relugrad.search.regions.crossing import promising_facets
from pyomo_relugrad.search.regions.facets import RegionOptimum
from pyomo_relugrad.search.regions.program import RegionProgram
from pyomo_relugrad.search.regions.region import Region

# Relative gain below which two values count as equally good.
GAIN_TOLERANCE = 1e-9
# Continuations of a step beyond its region that are tried, in shares of the step.
LOOK_AHEAD = np.concatenate([[1e-3], np.geomspace(0.01, 4.0, 15)])


@dataclass(frozen=True, eq=False)
class Vertex:
    """The optimum of a region.

    Parameters
    ----------
    region : Region
        At the point that its program was solved from.
    optimum : RegionOptimum
    point : Incumbent
        The optimum, measured.
    """

    region: Region
    optimum: RegionOptimum
    point: Incumbent


def walk_regions(program: RegionProgram, u: Array, budget: Budget) -> Generator[Incumbent | None, None, Incumbent]:
    """Solve the region's program, look further along the step, cross to better neighbours; stop where none is better.

    Yields each better point, and None after programs that bring none; returns the best point. A point on a ray that
    improves without end makes the budget stop as unbounded.

    Parameters
    ----------
    program : RegionProgram
    u : (d,) array
        Decision columns of the first point. Where it violates rows or bounds on outputs, the first better point is the
        first feasible one.
    budget : Budget
    """
    best = program.incumbent(u)
    vertex = _solved(program, program.region_at(u), budget)
    while True:
        is_better = improves(vertex.point, best)
        best = vertex.point if is_better else best
        yield best if is_better else None
        if vertex.optimum.is_unbounded and vertex.point.is_feasible:
            budget.stop_unbounded()
        if budget.is_exhausted() or not vertex.optimum.is_exact or not vertex.point.is_feasible:
            return best
        further = look_ahead(program, vertex)
        if further is None:
            neighbour = yield from _better_neighbour(program, vertex, budget)
            if neighbour is None:
                return best
            best = neighbour.point
            yield best
            further = neighbour.optimum.u
        vertex = _solved(program, program.region_at(further), budget)


def look_ahead(program: RegionProgram, vertex: Vertex) -> Array | None:
    """The best feasible point (d,) beyond the optimum along the step that led to it; None where none is better."""
    u = vertex.optimum.u
    step = u - vertex.region.u
    if not step.any():
        return None
    beyond = np.clip(u + LOOK_AHEAD[:, None] * step, program.lower, program.upper)
    values = program.feasible_values(beyond)
    best = int(values.argmin())
    return np.asarray(beyond[best]) if is_lower(float(values[best]), vertex.point.objective) else None


def _better_neighbour(program: RegionProgram, vertex: Vertex, budget: Budget) -> Generator[None, None, Vertex | None]:
    """A better vertex in a region across one of the binding facets, None where there is none."""
    region = vertex.region.moved_to(vertex.optimum.u)
    for neurons in promising_facets(region, vertex.optimum, program.partial_gradient(region, vertex.optimum), budget):
        if budget.is_exhausted():
            return None
        neighbour = _solved(program, region.flipped(neurons), budget)
        if improves(neighbour.point, vertex.point):
            return neighbour
        yield None
    return None


def _solved(program: RegionProgram, region: Region, budget: Budget) -> Vertex:
    optimum = program.solve(region, budget)
    return Vertex(region, optimum, program.incumbent(optimum.u))


def improves(point: Incumbent, other: Incumbent) -> bool:
    """Whether a point is feasible, and better by more than rounding than the other one, if that is feasible."""
    return point.is_feasible and (not other.is_feasible or is_lower(point.objective, other.objective))


def is_lower(value: float, other: float) -> bool:
    """Whether a value is smaller by more than rounding."""
    return not np.isfinite(other) or value < other - GAIN_TOLERANCE * max(1e-3, abs(other))
