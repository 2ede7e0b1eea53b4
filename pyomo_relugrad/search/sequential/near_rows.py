"""Rows and bounds on outputs that hold with equality near a point, and points moved onto them by Newton's method."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from pyomo_relugrad.arrays import Array
from pyomo_relugrad.problem import Problem, ReducedObjective
from pyomo_relugrad.search.regions.region import Region

#: Slack, relative to one plus the side's size, up to which a row counts as active.
ACTIVE = 1e-7
#: Violation that a point moved onto its rows may have; where their sides are large, rounding of these besides.
CLEAN, ROUNDING = 1e-9, 1e-15
#: Corrections under one Jacobian; further points are moved with Jacobians of their own, so many at most.
CORRECTIONS, MAX_NEWTON_STEPS = 12, 12
#: Smallest singular value, relative to the largest, that a row's gradient counts with.
RANK_TOLERANCE = 1e-10
#: Entries of the gradients up to which rows are looked at.
MAX_ENTRIES = 4_000_000


@dataclass(frozen=True, eq=False)
class NearRows:
    """Rows and bounds on outputs: ``lower <= partial @ v <= upper``, linearized around a point.

    Parameters
    ----------
    problem : Problem
    columns : (d,) int array
        The columns that may move.
    unit : (d,) array
        A typical range of each.
    partial : (k, n) array
        Gradients in all columns, outputs counted as independent.
    lower, upper : (k,) arrays
    jacobian : (k, d) array
        Total derivatives in the columns that may move, in their units.
    """

    problem: Problem
    columns: Array
    unit: Array
    partial: Array
    lower: Array
    upper: Array
    jacobian: Array

    @classmethod
    def at(cls, region: Region, columns: Array, unit: Array, reach: float = ACTIVE) -> NearRows | None:
        """Equations, and what is violated at a region's point or within reach of a side; None if it is much."""
        problem, v = region.objective.problem, region.v
        activity = problem.row_activity(v[None])[0]
        rows = np.flatnonzero(_is_near(activity, problem.row_lower, problem.row_upper, reach))
        outputs = np.flatnonzero(problem.is_output & _is_near(v, problem.lower, problem.upper, reach))
        if (rows.size + outputs.size) * problem.n_columns > MAX_ENTRIES:
            return None
        partial = np.zeros((rows.size + outputs.size, problem.n_columns))
        partial[: rows.size] = problem.rows[rows].toarray()
        partial[np.arange(rows.size, len(partial)), outputs] = 1.0
        lower = np.concatenate([problem.row_lower[rows], problem.lower[outputs]])
        upper = np.concatenate([problem.row_upper[rows], problem.upper[outputs]])
        moving = np.searchsorted(region.objective.columns, columns)
        jacobian = region.pull_back(partial.copy())[:, moving] * unit
        return cls(problem, columns, unit, partial, lower, upper, jacobian)

    def holding(self, held: Array) -> NearRows:
        """The same rows, onto which columns (d,) that are held, as by their bounds, do not move points."""
        return replace(self, jacobian=np.where(held, 0.0, self.jacobian))

    @cached_property
    def _inverse(self) -> Array:
        """(d, k) the smallest step, in units, for each unit of change of the rows."""
        return np.linalg.pinv(self.jacobian, rcond=RANK_TOLERANCE)

    def residuals(self, V: Array) -> Array:
        """By how much the rows lie beyond a side at points (B, n): (B, k), positive above the upper one."""
        activity = V @ self.partial.T
        return np.maximum(activity - self.upper, 0.0) - np.maximum(self.lower - activity, 0.0)

    def moved_back(self, V: Array) -> Array:
        """Points (B, n) moved by small steps onto what they violate, with propagated outputs; best effort."""
        V, before = self.problem.propagate(V), np.full(len(V), np.inf)
        for _ in range(CORRECTIONS if len(self.partial) else 0):
            residuals = self.residuals(V)
            size = np.abs(residuals).max(axis=1)
            if not ((size > CLEAN) & (size < 0.5 * before)).any():
                break
            V, before = self.problem.propagate(self.moved(V, -residuals @ self._inverse.T)), size
        return V

    def moved(self, V: Array, steps: Array) -> Array:
        """Points after steps (B, d) in units, within the bounds; outputs stay as they are."""
        columns, V = self.columns, V.copy()
        moved = V[:, columns] + steps * self.unit
        V[:, columns] = np.clip(moved, self.problem.lower[columns], self.problem.upper[columns])
        return V


def _is_near(values: Array, lower: Array, upper: Array, reach: float) -> Array:
    """Which values are outside of their sides, or within reach of one."""
    slack = np.fmin(values - lower, upper - values)
    return np.asarray((slack <= reach * (1.0 + np.abs(values))) | (lower == upper))


def restored(objective: ReducedObjective, v: Array, columns: Array, unit: Array) -> Array | None:
    """The point (n,) to which Newton's method leads that violates nothing; None where it leads to none.

    Parameters
    ----------
    objective : ReducedObjective
    v : (n,) array
        With propagated outputs, within the bounds of the columns that no function writes.
    columns, unit : (d,) arrays
        The columns that may move, and their typical ranges. One that a step leads or leaves at a bound stays there.
    """
    problem, free = objective.problem, np.ones(columns.size, bool)
    sides = np.abs(np.concatenate([problem.row_lower, problem.row_upper]))
    clean = CLEAN + ROUNDING * float(sides[np.isfinite(sides)].max(initial=0.0))
    for _ in range(MAX_NEWTON_STEPS):
        violation = float(problem.violation(v[None])[0])
        if violation <= clean:
            return v
        region = Region.at(objective, v[objective.columns])
        moved, after = _newton_step(region, columns[free], unit[free])
        stuck = free & ((moved == problem.lower) | (moved == problem.upper))[columns]
        if not after < 0.5 * violation and not stuck.any():
            return None
        v, free = (moved if after < violation else v), free & ~stuck
    return None


def _newton_step(region: Region, columns: Array, unit: Array) -> tuple[Array, float]:
    """The less violated of two points, and its violation: rows that are near kept where they are, or not."""
    problem, v = region.objective.problem, region.v
    best, least = v, np.inf
    for reach in (ACTIVE, -CLEAN):
        rows = NearRows.at(region, columns, unit, reach)
        if rows is None:
            continue
        moved = rows.moved_back(v[None])
        violation = float(problem.violation(moved)[0])
        if violation < least:
            best, least = moved[0], violation
        if least <= CLEAN:
            break
    return best, least
