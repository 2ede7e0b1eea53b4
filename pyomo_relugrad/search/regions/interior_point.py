"""The optimum of a linear region with many active facets: an interior-point method, ended at a vertex."""

import numpy as np
from scipy.linalg import lapack

from pyomo_relugrad.arrays import Array
from pyomo_relugrad.run import Budget
from pyomo_relugrad.search.regions.facets import NO_MULTIPLIER, BasisGuess, RegionOptimum
from pyomo_relugrad.search.regions.primal_dual import Iterate, NewtonSystem, UnitBoxProgram
from pyomo_relugrad.search.regions.unit_box import UnitBoxRegion

# Share of the step to the box's best corner in the order of the facets, beside their distance.
CORNER_SHARE = 0.05
# The first point is at least so far from bounds, and counts as so far from facets and rows.
FIRST_MARGIN, FIRST_SLACK = 0.1, 0.05
# Shares of the way there that are tried until few facets are violated.
SHIFTS = 1.0, 0.3, 0.1, 0.03, 0.01
# Share of the way to a facet outside the program that a step may take.
FACET_SHARE = 0.7
# Influence on the Newton system below which a facet leaves the program, if as large a share of them does.
NEGLIGIBLE_INFLUENCE, LEAVING_SHARE = 0.2, 0.05
# Relative duality gap below which the vertex is tried, and the one at which iterations end without a vertex.
VERTEX_GAP, FINAL_GAP = 1e-3, 1e-10
# Relative duality gap from which there is no feasible point: the multipliers grow without end.
DIVERGED_GAP = 1e12
# Newton systems at most; 10 to 16 are usual.
MAX_ITERATIONS = 50
# Distance, in the unit box, and share of the costs' largest component, by which a vertex may miss its conditions.
FEASIBILITY, OPTIMALITY = 1e-9, 1e-9


class InteriorPointProgram:
    """The linear program of one region, with only the facets that matter.

    Facets enter when a step would come close to them, and leave when they have lost their influence. The optimum is
    the vertex of the basis to which the iterates point, and its conditions are checked for all facets, so that it is
    exact. At degenerate vertices there may be no such basis; then the simplex method can begin at what is nearest.

    Parameters
    ----------
    region : UnitBoxRegion
    n_facets : int
        Facets of the first program.

    Attributes
    ----------
    neurons : (m,) int array
        Whose facets are in the program now.
    """

    def __init__(self, region: UnitBoxRegion, n_facets: int) -> None:
        self.region = region
        self._cost_scale = float(np.abs(region.cost).max())
        start, self._margins = self._first_point(n_facets)
        rows, row_offsets = region.rows()
        self.neurons, normals, offsets = region.facets(self._first_facets(n_facets))
        self._n_rows = len(rows)
        constraints = np.concatenate([rows, normals]), np.concatenate([row_offsets, offsets])
        self._program = UnitBoxProgram(region.cost, *constraints)
        self._iterate = Iterate.start(self._program, start, FIRST_SLACK)

    def _first_point(self, n_facets: int) -> tuple[Array, Array]:
        """A point away from the bounds, but not so far that it violates more than so many facets, and its margins."""
        region = self.region
        shift = np.clip(region.origin, FIRST_MARGIN, 1.0 - FIRST_MARGIN) - region.origin
        slopes = region.slopes(shift)
        for share in SHIFTS:
            margins = region.margins + share * slopes
            if ((margins <= 0) & (region.lengths > 0)).sum() <= n_facets:
                break
        return region.origin + share * shift, margins

    def _first_facets(self, n_facets: int) -> Array:
        """The nearest facets, and those that the first point violates."""
        region = self.region
        to_corner = region.slopes(np.where(region.cost < 0, 1.0 - region.origin, -region.origin))
        varying = np.flatnonzero(region.lengths > 0)
        distance = (region.margins + CORNER_SHARE * to_corner)[varying] / region.lengths[varying]
        nearest = varying[np.argsort(distance, kind="stable")[:n_facets]]
        return np.union1d(nearest, varying[self._margins[varying] <= 0])

    def solve(self, budget: Budget) -> RegionOptimum | None:
        """The optimum; None where no basis meets the conditions."""
        for _ in range(MAX_ITERATIONS):
            gap = self._relative_gap()
            if gap < VERTEX_GAP:
                optimum = self._vertex()
                if optimum is not None:
                    return optimum
            if gap < FINAL_GAP or not gap < DIVERGED_GAP:
                return None
            if budget.remaining <= 0.0:
                return self.so_far()
            try:
                self._advance()
            except np.linalg.LinAlgError:
                return None
        return None

    def _relative_gap(self) -> float:
        value = abs(float(self._program.cost @ self._iterate.x))
        return self._iterate.gap / max(value, 1e-3 * self._cost_scale, 1e-300)

    def _advance(self) -> None:
        """One step, cut short before facets outside the program, which then enter it."""
        system = NewtonSystem(self._program, self._iterate)
        direction, primal, dual = system.step()
        slopes = self.region.slopes(direction.x)
        entering, normals, offsets = self.region.facets(self._approached(primal * slopes))
        if entering.size:
            primal = min(primal, float((FACET_SHARE * self._margins[entering] / -slopes[entering]).min()))
        self._iterate = self._iterate.moved(direction, primal, dual)
        self._margins = self._margins + primal * slopes
        self._drop_idle(system.influence[self._n_rows :])
        if entering.size:
            self._add(entering, normals, offsets)

    def _approached(self, change: Array) -> Array:
        """Neurons outside the program of whose margins too little would be left."""
        near = (self._margins + change < (1.0 - FACET_SHARE) * self._margins) & (change < 0) & (self.region.lengths > 0)
        near[self.neurons] = False
        return np.flatnonzero(near)

    def _drop_idle(self, influence: Array) -> None:
        idle = (influence < NEGLIGIBLE_INFLUENCE) & (self._margins[self.neurons] > 0)
        if idle.sum() <= LEAVING_SHARE * idle.size:
            return
        kept = np.concatenate([np.ones(self._n_rows, bool), ~idle])
        self._iterate = self._iterate.only_rows(kept, self._program.rows)
        self._program = self._program.only_rows(kept)
        self.neurons = self.neurons[~idle]

    def _add(self, neurons: Array, normals: Array, offsets: Array) -> None:
        self._program = self._program.with_rows(normals, offsets)
        self._iterate = self._iterate.with_rows(normals, self._margins[neurons] / self.region.lengths[neurons])
        self.neurons = np.concatenate([self.neurons, neurons])

    def so_far(self) -> RegionOptimum:
        """As far towards the last iterate as the region reaches; its own point if that is no gain."""
        region, x = self.region, self._iterate.x
        share = 0.0
        if region.cost @ (x - region.origin) < 0:
            from_origin = np.concatenate([region.margins, self._program.slack(region.origin)])
            at_end = np.concatenate([self._margins, self._program.slack(x)])
            crossed = at_end < 0
            shares = np.maximum(from_origin[crossed], 0.0) / (np.maximum(from_origin, 0.0) - at_end)[crossed]
            share = float(shares.min(initial=1.0))
        u = region.in_columns(region.origin + share * (x - region.origin))
        return RegionOptimum.unfinished(u)

    def _basis(self) -> tuple[Array, Array]:
        """Sides of the columns (-1 lower, 0 free, 1 upper) and which constraints are held, by the larger of a pair."""
        iterate, n = self._iterate, self._iterate.n
        binding = iterate.dual > self._cost_scale * iterate.primal
        return binding[n : 2 * n].astype(int) - binding[:n].astype(int), binding[2 * n :]

    def guess(self) -> BasisGuess:
        """The basis to which the iterates point."""
        sides, held = self._basis()
        rows, facets = held[: self._n_rows], held[self._n_rows :]
        return BasisGuess(self.region.column_sides(sides), self.region.limits.row_sides(rows), self.neurons[facets])

    def _vertex(self) -> RegionOptimum | None:
        """The vertex that the iterates point to, if it is feasible and optimal."""
        sides, held = self._basis()
        solution = _basic_solution(self._program, sides, held)
        if solution is None:
            return None
        if not self._is_optimal(solution[1], sides, held) or not self._is_feasible(solution[0], held):
            return None
        x, multipliers = solution
        rows, facets = held[: self._n_rows], held[self._n_rows :]
        of_rows, of_facets = np.split(multipliers, [int(rows.sum())])
        binding = self.neurons[facets]
        of_facets = np.where(of_facets > NO_MULTIPLIER * of_facets.max(initial=0.0), of_facets, 0.0)
        gains, row_duals = of_facets / self.region.lengths[binding], self.region.row_duals(rows, of_rows)
        return RegionOptimum(self.region.in_columns(x), binding, gains, row_duals, np.zeros(0))

    def _is_optimal(self, multipliers: Array, sides: Array, held: Array) -> bool:
        reduced = self._program.rows[held].T @ multipliers - self._program.cost
        wrong = np.concatenate([-multipliers, np.where(sides == 0, np.abs(reduced), -sides * reduced)])
        return bool(wrong.max() <= OPTIMALITY * self._cost_scale)

    def _is_feasible(self, x: Array, held: Array) -> bool:
        slack = self._program.slack(x)
        wrong = np.concatenate([-x, x - 1.0, np.where(held, np.abs(slack), -slack)])
        return bool(wrong.max() <= FEASIBILITY) and self.region.contains(x)


def _basic_solution(program: UnitBoxProgram, sides: Array, held: Array) -> tuple[Array, Array] | None:
    """Point (n,) and multipliers where the free columns meet the held rows; None where that is not one point."""
    rows, free = program.rows[held], sides == 0
    x = (sides > 0).astype(float)
    if len(rows) != free.sum():
        return None
    if len(rows) == 0:
        return x, np.zeros(0)
    factor, pivots, singular = lapack.dgetrf(rows[:, free])
    if singular:
        return None
    x[free] = lapack.dgetrs(factor, pivots, -program.offsets[held] - rows @ x)[0]
    return x, lapack.dgetrs(factor, pivots, program.cost[free], trans=1)[0]
