"""The linear program over a linear region by the simplex method, with facets generated only as they are crossed."""

from __future__ import annotations

import numpy as np
from scipy import sparse

from pyomo_relugrad.arrays import Array
from pyomo_relugrad.problem import Problem
from pyomo_relugrad.programs.linear_program import LinearProgram, LinearStatus
from pyomo_relugrad.run.budget import Budget
from pyomo_relugrad.search.regions.composite import CompositeRegion
from pyomo_relugrad.search.regions.optimum import NO_MULTIPLIER, NO_NEURONS, BasisGuess, RegionOptimum

# Facets added to the program at once, those that the step crosses first.
CHUNK = 64
# Distance, in units of the columns, by which a solution may lie beyond a facet.
FACET_TOLERANCE = 1e-9
# LPs per region; each adds facets that the one before crossed.
MAX_ROUNDS = 200


class RegionSimplex:
    """One HiGHS model for the regions of one problem, changed from region to region.

    The columns are the decision columns, the fixed rows those of the problem; facets are appended as they are
    needed, beginning with those that were active in the region before. Facets are told apart by distances, and
    ordered by where the step crosses them, so that a rescaled network gives the same program.

    Parameters
    ----------
    problem : Problem
    columns : (d,) int array
        The decision columns.
    """

    def __init__(self, problem: Problem, columns: Array) -> None:
        self.lower, self.upper = problem.lower[columns], problem.upper[columns]
        rows = sparse.csr_array(problem.rows[:, columns])
        self._n_fixed = rows.shape[0]
        zero, sides = np.zeros(columns.size), (problem.row_lower, problem.row_upper)
        self._program = LinearProgram(zero, self.lower, self.upper, rows, *sides, options={"presolve": "off"})
        self._working, self._cost_scale = NO_NEURONS, 1.0
        self._guess: BasisGuess | None = None

    def start_with(self, neurons: Array, guess: BasisGuess | None = None) -> None:
        """Begin the next region with the facets of these neurons (m,), and from a guessed basis."""
        self._working, self._guess = neurons, guess

    def solve(self, region: CompositeRegion, budget: Budget) -> RegionOptimum:
        """Minimize over the closed region; each LP over the facets known so far counts as an iteration."""
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
        # HiGHS's tolerances are absolute: a small gradient must not be within them
        self._cost_scale = float(np.abs(region.gradient).max(initial=0.0)) or 1.0
        self._program.change_costs(region.gradient / self._cost_scale)
        rows, sides, kept = self._facets(region, self._working)
        self._working = kept
        self._program.replace_tail(self._n_fixed, rows, sides, np.full(len(sides), np.inf))
        if self._guess is not None:
            facets = -np.isin(self._working, self._guess.neurons).astype(int)
            self._program.start_from_basis(self._guess.columns, np.concatenate([self._guess.rows, facets]))
            self._guess = None

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
        slope = region.signs * region.slopes(step[None, :])[0]
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
        held = duals > NO_MULTIPLIER * max(float(np.abs(duals).max(initial=0.0)), 1e-300)
        active, multipliers = self._working[held], duals[held] * self._cost_scale
        self._working = self._working[self._program.drop_basic_rows(self._n_fixed)]
        return RegionOptimum(np.clip(u, self.lower, self.upper), active, multipliers, self._working, True)

    def _unbounded(self, region: CompositeRegion) -> RegionOptimum:
        return RegionOptimum(region.u, NO_NEURONS, np.zeros(0), NO_NEURONS, False, is_unbounded=True)
