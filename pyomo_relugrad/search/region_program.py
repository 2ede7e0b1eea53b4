"""The linear program over a linear region, with facets generated only as they are crossed."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy import sparse

from pyomo_relugrad.arrays import Array
from pyomo_relugrad.problem import Incumbent, Problem
from pyomo_relugrad.search.budget import Budget
from pyomo_relugrad.search.composite_region import CompositeRegion
from pyomo_relugrad.search.landscape import Landscape
from pyomo_relugrad.search.linear_program import LinearProgram, LinearStatus

# Facets added to the program at once, those that the step crosses first.
CHUNK = 64
# Distance, in units of the columns, by which a solution may lie beyond a facet.
FACET_TOLERANCE = 1e-9
# Violation of a row that a point outside the program's vertices may have.
ROW_TOLERANCE = 1e-7
# LPs per region; each adds facets that the one before crossed.
MAX_ROUNDS = 200


NO_NEURONS = np.zeros(0, np.int64)


@dataclass(frozen=True, eq=False)
class RegionOptimum:
    """The highest point of a closed linear region.

    Parameters
    ----------
    u : (d,) array
    active : (k,) int array
        Neurons whose facets hold with equality and have a positive multiplier.
    multipliers : (k,) array
        Gain of the height per unit by which each active facet gives way.
    binding : (m,) int array
        All neurons whose facets are in the final basis, degenerate ones too.
    is_exact : bool
        Whether the program was solved to the end; otherwise `u` is only a better point of the region.
    is_unbounded : bool
        Whether the height grows without limit on the region.
    """

    u: Array
    active: Array
    multipliers: Array
    binding: Array
    is_exact: bool
    is_unbounded: bool = False


class RegionProgram:
    """One HiGHS model for the regions of one problem, changed from region to region.

    The columns are the decision columns, the fixed rows those of the problem; facets are appended as they are
    needed, beginning with those that were active in the region before. Facets are told apart by distances, and
    ordered by where the step crosses them, so that a rescaled network gives the same program.

    Parameters
    ----------
    problem : Problem
        A box, or a polytope in the decision columns.
    """

    def __init__(self, problem: Problem) -> None:
        self.problem = problem
        self.landscape = Landscape(problem, np.float64)
        self.columns = self.landscape.columns
        self.lower, self.upper = problem.lower[self.columns], problem.upper[self.columns]
        rows = sparse.csr_array(problem.rows[:, self.columns])
        self.rows, self._n_fixed = rows, rows.shape[0]
        self._program = self._model()
        self._working = np.zeros(0, np.int64)

    def _model(self) -> LinearProgram:
        zero = np.zeros(self.columns.size)
        sides = self.problem.row_lower, self.problem.row_upper
        return LinearProgram(zero, self.lower, self.upper, self.rows, *sides, options={"presolve": "off"})

    @cached_property
    def _steps(self) -> LinearProgram:
        """The rows and bounds alone, for trust-region steps."""
        return self._model()

    def satisfies_rows(self, U: Array) -> Array:
        """(B,) booleans: whether the points satisfy the problem's rows."""
        activity = U @ self.rows.T
        inside = (activity >= self.problem.row_lower - ROW_TOLERANCE) & (
            activity <= self.problem.row_upper + ROW_TOLERANCE
        )
        return inside.all(axis=1)

    def incumbent(self, u: Array) -> Incumbent:
        """The point `u` of the decision columns, measured."""
        return self.problem.incumbent(self.landscape.points(u[None, :])[0])

    def warm_start(self, start: Array | None) -> Array | None:
        """The decision columns of the user's start, None if it lacks one or is not feasible."""
        if start is None or np.isnan(start[self.columns]).any():
            return None
        u = np.clip(start[self.columns], self.lower, self.upper)
        return u if self.satisfies_rows(u[None, :])[0] else None

    def gradient_step(self, region: CompositeRegion, radius: Array, budget: Budget) -> Array:
        """Maximise the region's gradient over rows and bounds within distances (d,) of its point, without facets."""
        self._steps.change_costs(-region.gradient)
        self._steps.change_bounds(np.maximum(self.lower, region.u - radius), np.minimum(self.upper, region.u + radius))
        solution = self._steps.solve(budget.remaining)
        budget.count()
        return region.u if solution.values is None else np.clip(solution.values, self.lower, self.upper)

    def solve(self, region: CompositeRegion, budget: Budget) -> RegionOptimum:
        """Maximise the height over the closed region.

        Each LP over the facets known so far counts as an iteration of the budget.
        """
        self._open(region)
        u = region.u
        for _ in range(MAX_ROUNDS):
            solution = self._program.solve(budget.remaining)
            budget.count()
            if solution.status is LinearStatus.UNBOUNDED:
                return self._unbounded(region)
            if solution.values is None or not solution.is_optimal:
                break
            step = solution.values - region.u
            crossed, reach = self._crossings(region, step)
            if crossed.size == 0:
                return self._optimum(solution.values, solution.row_duals)
            u = region.u + max(reach, 0.0) * step
            if budget.is_exhausted():
                break
        return RegionOptimum(np.clip(u, self.lower, self.upper), NO_NEURONS, np.zeros(0), NO_NEURONS, False)

    def _open(self, region: CompositeRegion) -> None:
        """Set the program up for a region, with the working facets of the last one."""
        self._program.change_costs(-region.gradient)
        rows, sides, kept = self._facets(region, self._working)
        self._working = kept
        self._program.replace_tail(self._n_fixed, rows, sides, np.full(len(sides), np.inf))

    def _facets(self, region: CompositeRegion, neurons: Array) -> tuple[Array, Array, Array]:
        """Unit rows and lower sides of the neurons' half-spaces, and the neurons whose pre-activation varies."""
        gradients = region.gradients(neurons)
        norms = np.linalg.norm(gradients, axis=1)
        varies = norms > 0
        signs = region.signs[neurons[varies]] / norms[varies]
        rows = gradients[varies] * signs[:, None]
        slack = np.maximum(region.preactivations[neurons[varies]] * signs, 0.0)
        return rows, rows @ region.u - slack, neurons[varies]

    def _crossings(self, region: CompositeRegion, step: Array) -> tuple[Array, float]:
        """Append the first facets that the step crosses; return their neurons and how far the step stays inside."""
        margin = region.signs * region.preactivations
        slope = region.signs * region.slopes(step)
        beyond = np.flatnonzero((margin + slope < 0) & (slope < 0))
        beyond = beyond[~np.isin(beyond, self._working)]
        ratio = np.maximum(margin[beyond], 0.0) / -slope[beyond]
        order = np.argsort(ratio, kind="stable")
        beyond, ratio = beyond[order], ratio[order]
        for begin in range(0, beyond.size, CHUNK):
            chunk = beyond[begin : begin + CHUNK]
            rows, sides, kept = self._facets(region, chunk)
            violated = rows @ (region.u + step) - sides < -FACET_TOLERANCE
            if violated.any():
                self._program.append_rows(rows[violated], sides[violated], np.full(int(violated.sum()), np.inf))
                self._working = np.concatenate([self._working, kept[violated]])
                return kept[violated], float(ratio[begin + int(np.isin(chunk, kept[violated]).argmax())])
        return beyond[:0], 1.0

    def _optimum(self, u: Array, row_duals: Array | None) -> RegionOptimum:
        duals = np.zeros(self._working.size) if row_duals is None else row_duals[self._n_fixed :]
        held = duals > 1e-12 * max(float(np.abs(duals).max(initial=0.0)), 1e-300)
        active, multipliers = self._working[held], duals[held]
        self._working = self._working[self._program.drop_basic_rows(self._n_fixed)]
        return RegionOptimum(np.clip(u, self.lower, self.upper), active, multipliers, self._working, True)

    def _unbounded(self, region: CompositeRegion) -> RegionOptimum:
        return RegionOptimum(region.u, NO_NEURONS, np.zeros(0), NO_NEURONS, False, is_unbounded=True)
