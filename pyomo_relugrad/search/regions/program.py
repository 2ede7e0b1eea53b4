"""The linear programs over linear regions: which method solves each, and what one leaves to the next."""

from __future__ import annotations

from functools import cached_property

import numpy as np

from pyomo_relugrad.arrays import Array
from pyomo_relugrad.problem import Incumbent, Problem, ReducedObjective, Shape
from pyomo_relugrad.run import Budget
from pyomo_relugrad.search.regions.facets import FEW_FACETS, NO_NEURONS, FacetProgram, RegionOptimum
from pyomo_relugrad.search.regions.interior_point import InteriorPointProgram
from pyomo_relugrad.search.regions.layout import layout_of
from pyomo_relugrad.search.regions.nearest_vertex import optimum_beside
from pyomo_relugrad.search.regions.region import Region
from pyomo_relugrad.search.regions.unit_box import BoundedSides, UnitBoxRegion

# Violation of a row that a point outside the program's vertices may have.
ROW_TOLERANCE = 1e-7
# Active facets from which on an interior-point method is faster than the simplex method.
MANY_FACETS = 40
# Share of the neurons with whose facets an interior-point method begins, and bounds on how many; after a first region,
# half as many again as were active there.
FIRST_SHARE, FEWEST_FIRST, MOST_FIRST = 0.25, 100, 300
# Share of the facets, new in the region before, up to which the simplex method is faster from the last basis.
FEW_NEW_FACETS = 0.05
# Degenerate optima one after another from which on the interior-point method is not tried.
MAX_FAILURES = 3
# Coefficients of facets beyond which HiGHS would take too long.
MAX_COEFFICIENTS = 2_000_000
# Share of the way to the inside of the bounds at which the states of neurons are looked at.
NUDGE = 1e-9
# Pre-activation beyond zero, relative to how far it was from there, at which a point counts as outside a region.
TOUCHING = 1e-6


class RegionProgram:
    """The linear programs over the regions of one problem.

    A region with many active facets is solved by an interior-point method, unless it hardly differs from the one
    before, or optima are degenerate one after another; then, and where there are few facets, unbounded columns or
    equations, by HiGHS's simplex method.

    Parameters
    ----------
    problem : Problem
        Integer columns are held at the point that a region is seen from.
    max_coefficients : int, optional
        Coefficients of facets up to which HiGHS takes over where the interior-point method finds no vertex.
    before : RegionProgram, optional
        That of the same model with other numbers: its HiGHS model is changed rather than built anew where that is
        possible. It must not be used any more.
    """

    def __init__(
        self,
        problem: Problem,
        max_coefficients: int = MAX_COEFFICIENTS,
        before: RegionProgram | None = None,
    ) -> None:
        self.problem = problem
        self.objective = ReducedObjective(problem)
        self.columns = self.objective.columns
        self.lower, self.upper = problem.lower[self.columns], problem.upper[self.columns]
        self._layout = layout_of(self.objective)
        self._max_coefficients = max_coefficients
        self._before: FacetProgram | None = None if before is None else vars(before).get("_simplex", before._before)
        self._is_box = problem.shape is Shape.BOX and problem.quadratic is None and problem.is_piecewise_linear
        self._share_inside = np.random.default_rng(0).uniform(0.4, 0.6, self.columns.size)
        self._last: RegionOptimum | None = None
        self._n_new, self._n_failures, self._setup_seconds = 0, 0, 0.0

    @property
    def is_interrupted(self) -> bool:
        """Whether Ctrl-C ended a run of HiGHS, whose model is not to be used any more."""
        return "_simplex" in vars(self) and self._simplex.is_interrupted

    @cached_property
    def _simplex(self) -> FacetProgram:
        return FacetProgram(self._layout, self.lower, self.upper, self._before)

    def region_at(self, u: Array) -> Region:
        """The region that contains the point `u` of the decision columns.

        Of several that meet there, the one towards a fixed point inside the bounds: at a vertex the signs of the
        pre-activations are rounding.
        """
        near = u + NUDGE * (self._inside(u) - u)
        return Region.at(self.objective, u, self.objective.patterns(near[None, :]))

    def _inside(self, u: Array) -> Array:
        """A point (d,) inside the bounds on no facet but by chance; near `u` where a column has no bound."""
        lower = np.where(np.isfinite(self.lower), self.lower, np.minimum(u, self.upper) - 1.0)
        upper = np.where(np.isfinite(self.upper), self.upper, np.maximum(u, self.lower) + 1.0)
        return lower + self._share_inside * (upper - lower)

    def feasible_values(self, U: Array) -> Array:
        """(B,) objective values at the rows of `U`, infinite where rows, or bounds on outputs, are violated."""
        V = self.objective.points(U)
        return np.where(self.problem.violation(V) <= ROW_TOLERANCE, self.problem.objective(V), np.inf)

    def partial_gradient(self, region: Region, optimum: RegionOptimum) -> Array:
        """(n,) partial derivatives, in the outputs, of the Lagrangian of rows and bounds on them, at the optimum."""
        return self._layout.partial_gradient(region, optimum.row_duals, optimum.column_duals)

    def row_multipliers(self, optimum: RegionOptimum) -> Array | None:
        """(m,) derivatives of the optimum in the rows' sides that hold; None where they are not known.

        They are negative where an upper side holds, and positive where a lower one does.
        """
        is_known = optimum.is_exact and optimum.row_duals.size >= self.problem.n_rows
        return self._layout.row_multipliers(optimum.row_duals) if is_known else None

    def incumbent(self, u: Array) -> Incumbent:
        """The point `u` of the decision columns, measured."""
        v = np.zeros(self.problem.n_columns)
        v[self.columns] = u
        return self.problem.incumbent(v)

    def solve(self, region: Region, budget: Budget, reach: Array | None = None) -> RegionOptimum:
        """Minimize the objective over the closed region, or over the part of it within reach (d,) of its point.

        A region counts as an iteration of the budget, or as several where HiGHS solves it more than once.
        """
        is_small_box = reach is None and self._is_box and region.signs.size <= FEW_FACETS
        optimum = optimum_beside(region, self.lower, self.upper) if is_small_box else None
        if optimum is not None:
            budget.count()
            self._remember(optimum)
            return optimum
        limits = self._layout.limits(region) if reach is None and self._is_far(region) else None
        if limits is not None:
            optimum = self._by_interior_point(region, limits, budget)
        else:
            optimum = self._simplex.solve(region, budget, reach)
        self._remember(optimum)
        return optimum

    def _by_interior_point(self, region: Region, limits: BoundedSides, budget: Budget) -> RegionOptimum:
        """The optimum by an interior-point method; by HiGHS from where that ends, if it has no vertex, and time."""
        budget.count()
        begin = budget.elapsed
        if budget.remaining < self._setup_seconds:
            return RegionOptimum.unfinished(region.u)
        interior = InteriorPointProgram(UnitBoxRegion(region, limits), self._n_facets(region))
        self._setup_seconds = budget.elapsed - begin
        optimum = interior.solve(budget)
        self._n_failures = 0 if optimum is not None else self._n_failures + 1
        if optimum is not None:
            self._simplex.start_with(optimum.binding)
            return optimum
        is_large = interior.neurons.size * region.u.size > self._max_coefficients
        if is_large or budget.remaining < budget.elapsed - begin:  # HiGHS may take as long, and look at the clock late
            return interior.so_far()
        self._simplex.start_with(interior.neurons, interior.guess())
        return self._simplex.solve(region, budget)

    def _is_far(self, region: Region) -> bool:
        """Whether the optimum is likely to be many pivots away from the last one."""
        if self._last is None:
            return min(region.signs.size, self.columns.size) >= MANY_FACETS
        binding = self._last.binding.size
        if binding < MANY_FACETS:
            return False
        is_new = self._n_new > FEW_NEW_FACETS * binding and self._n_failures < MAX_FAILURES
        return is_new or not self._touches(region, self._last.u)

    def _touches(self, region: Region, u: Array) -> bool:
        """Whether a point belongs to the closed region."""
        change = region.slopes((u - region.u)[None, :])[0]
        rounding = TOUCHING * np.maximum(np.abs(region.preactivations), np.abs(change))
        return bool((region.signs * (region.preactivations + change) >= -rounding).all())

    def _n_facets(self, region: Region) -> int:
        """Facets with which an interior-point method begins."""
        return first_facets(region.signs.size) if self._last is None else self._last.binding.size * 3 // 2

    def _remember(self, optimum: RegionOptimum) -> None:
        before = NO_NEURONS if self._last is None else self._last.binding
        self._n_new = int((~np.isin(optimum.binding, before)).sum())
        self._last = optimum if optimum.is_exact else None


def first_facets(n_neurons: int) -> int:
    """Facets in the first program over a region: an eighth of the neurons, or fewer, are active at most optima."""
    return min(n_neurons, int(np.clip(FIRST_SHARE * n_neurons, FEWEST_FIRST, MOST_FIRST)))
