"""Newton steps for the objective within the rows, bounds and kinks of networks that are active at a point."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy
from scipy.linalg import null_space

from pyomo_relugrad.arrays import Array
from pyomo_relugrad.problem import Problem
from pyomo_relugrad.run import Budget
from pyomo_relugrad.search.regions.crossing import kinks_at, promising_facets
from pyomo_relugrad.search.regions.facets import RegionOptimum
from pyomo_relugrad.search.regions.region import Region
from pyomo_relugrad.search.sequential.near_rows import ACTIVE, NearRows

#: Distance from a bound, in units of the column's range, at which a column counts as being on it.
ON_BOUND = 1e-9
#: Length of the differences of gradients, in units of the columns' ranges.
DIFFERENCE = 1e-6
#: Directions within the active rows up to which second derivatives are taken, and columns up to which multipliers are.
MAX_DIRECTIONS, MAX_COLUMNS = 200, 400
#: Smallest curvature, relative to the largest, that a step is divided by.
LEAST_CURVATURE = 1e-6
#: Violation that a step may leave.
CLEAN_STEP = 1e-8
#: Shares of a step that are compared at once.
SHARES = np.concatenate([2.0 ** np.arange(1, -9, -1.0), [1e-3, 1e-4]])


@dataclass(frozen=True, eq=False)
class Face:
    """What is active at a point of a region, with its multipliers.

    Parameters
    ----------
    rows : NearRows
    kinks : (m, d) array
        Gradients, into the region, of the pre-activations that are zero.
    neurons : (m,) int array
        Whose they are.
    gradient : (d,) array
        Of the objective in the columns that may move, in their units.
    multipliers : (k,) array
        Of the rows; zero where the row does not hold the objective back.
    kink_multipliers : (m,) array
    held : (d,) booleans
        Columns that their bounds hold.
    residual : (d,) array
        What the multipliers leave of the gradient: minus the steepest descent that no active constraint forbids.
    """

    rows: NearRows
    kinks: Array
    neurons: Array
    gradient: Array
    multipliers: Array
    kink_multipliers: Array
    held: Array
    residual: Array

    @classmethod
    def at(cls, region: Region, columns: Array, unit: Array, reach: float = ACTIVE) -> Face | None:
        """The face of a region's point, of rows within reach; None where there is too much to look at."""
        problem, v = region.objective.problem, region.v
        rows = NearRows.at(region, columns, unit, reach) if columns.size <= MAX_COLUMNS else None
        if rows is None:
            return None
        moving = np.searchsorted(region.objective.columns, columns)
        gradient = region.gradient[moving] * unit
        neurons, _ = kinks_at(region)
        kinks = region.gradients(neurons)[:, moving] * unit * region.signs[neurons, None]
        activity = v @ rows.partial.T
        below = (activity - rows.lower <= rows.upper - activity) | (rows.lower == rows.upper)
        above = ~below | (rows.lower == rows.upper)
        at_lower = np.flatnonzero(v[columns] - problem.lower[columns] <= ON_BOUND * unit)
        at_upper = np.flatnonzero(problem.upper[columns] - v[columns] <= ON_BOUND * unit)
        identity = np.eye(columns.size)
        parts = rows.jacobian[below], -rows.jacobian[above], kinks, identity[at_lower], -identity[at_upper]
        weights = _nonnegative_multipliers(np.concatenate(parts), gradient)
        if weights is None:
            return None
        of_below, of_above, of_kinks, of_lower, of_upper = np.split(
            weights, np.cumsum([len(part) for part in parts[:-1]])
        )
        multipliers = np.zeros(len(rows.lower))
        multipliers[below] += of_below
        multipliers[above] -= of_above
        held = np.zeros(columns.size, bool)
        held[at_lower[of_lower > 0]] = held[at_upper[of_upper > 0]] = True
        residual = gradient - weights @ np.concatenate(parts)
        return cls(rows, kinks, neurons, gradient, multipliers, of_kinks, held, residual)

    def directions(self, problem: Problem, v: Array) -> Array:
        """Steps (s, d) in units that may lower the objective: steepest descent, Newton's, along negative curvature."""
        steps = [-self.residual]
        holds = (self.multipliers != 0) | (self.rows.lower == self.rows.upper)
        active = np.concatenate([self.rows.jacobian[holds], self.kinks[self.kink_multipliers > 0]])
        free = np.flatnonzero(~self.held)
        basis = np.zeros((self.held.size, 0))
        if free.size:
            inner = null_space(active[:, free]) if len(active) else np.eye(free.size)
            basis = np.zeros((self.held.size, inner.shape[1]))
            basis[free] = inner
        if 0 < basis.shape[1] <= MAX_DIRECTIONS:
            steps += self._curved_steps(problem, v, basis)
        steps = [step for step in steps if np.isfinite(step).all() and step.any()]
        return np.array(steps).reshape(len(steps), self.held.size)

    def promising(self, region: Region, budget: Budget) -> list[Array]:
        """The neurons of each kink whose crossing promises a gain, largest first."""
        problem = region.objective.problem
        partial = problem.objective_gradient(region.v[None])[0] - self.multipliers @ self.rows.partial
        nothing = np.zeros(0)
        binding = self.kink_multipliers > 0
        optimum = RegionOptimum(region.u, self.neurons[binding], self.kink_multipliers[binding], nothing, nothing)
        return promising_facets(region, optimum, partial, budget)

    def _curved_steps(self, problem: Problem, v: Array, basis: Array) -> list[Array]:
        """Newton's step with absolute curvatures, and the direction of the most negative one, both ways."""
        moved = np.repeat(v[None], basis.shape[1] + 1, axis=0)
        moved[1:, self.rows.columns] += DIFFERENCE * basis.T * self.rows.unit
        moved = problem.propagate(moved)
        partial = problem.objective_gradient(moved) - self.multipliers @ self.rows.partial
        gradients = problem.pull_back(moved, partial)[:, self.rows.columns] * self.rows.unit
        hessian = (gradients[1:] - gradients[0]) @ basis / DIFFERENCE
        if not np.isfinite(hessian).all():
            return []
        curvature, vectors = np.linalg.eigh(0.5 * (hessian + hessian.T))
        size, along = np.abs(curvature), vectors.T @ (basis.T @ gradients[0])
        steepest = float(np.abs(along).max())
        divisor = np.maximum(size, LEAST_CURVATURE * max(float(size.max()), steepest, np.finfo(float).tiny))
        steps = [-basis @ (vectors @ (along / divisor))]
        if curvature[0] < -LEAST_CURVATURE * size.max():
            steps += [basis @ vectors[:, 0], -basis @ vectors[:, 0]]
        return steps


def _nonnegative_multipliers(rows: Array, gradient: Array) -> Array | None:
    """Weights of the rows (k, d) whose sum is nearest to the gradient; None where that is not found."""
    if not (np.isfinite(rows).all() and np.isfinite(gradient).all()):
        return None
    if len(rows) == 0:
        return np.zeros(0)
    try:
        return np.asarray(scipy.optimize.nnls(rows.T, gradient)[0])
    except (RuntimeError, np.linalg.LinAlgError):  # SciPy 1.14 solves equations that may be singular
        return None


def best_along(problem: Problem, v: Array, rows: NearRows, steps: Array, limit: float) -> Array | None:
    """The best point (n,) without violation along steps (s, d) from a point; None where none is better.

    Parameters
    ----------
    problem : Problem
    v : (n,) array
    rows : NearRows
        What points are moved back onto.
    steps : (s, d) array
        In units of the columns' ranges.
    limit : float
        Longest step of a column, in its unit.
    """
    if steps.size == 0:
        return None
    length = np.abs(steps).max(axis=1, keepdims=True)
    steps = steps * np.minimum(1.0, limit / np.maximum(length, np.finfo(float).tiny))
    candidates = (SHARES[:, None, None] * steps).reshape(-1, steps.shape[1])
    V = rows.moved_back(rows.moved(np.repeat(v[None], len(candidates), axis=0), candidates))
    clean = problem.violation(V) <= max(float(problem.violation(v[None])[0]), CLEAN_STEP)
    values = np.where(clean, problem.objective(V), np.inf)
    best = int(values.argmin())
    return V[best] if values[best] < problem.objective(v[None])[0] else None
