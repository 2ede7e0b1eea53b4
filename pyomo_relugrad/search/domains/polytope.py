"""Polytopes of decision columns: linear programs and batched projections, held to the time of the search."""

from functools import cached_property
from typing import Self

import numpy as np
from scipy import sparse

from pyomo_relugrad.arrays import Array, Weight
from pyomo_relugrad.errors import ModelError
from pyomo_relugrad.programs import LinearProgram, LinearStatus
from pyomo_relugrad.run import Budget
from pyomo_relugrad.search.domains.admm import AlternatingProjection
from pyomo_relugrad.search.domains.domain import ROW_TOLERANCE, BoundsAndRows

# Steps of a projection's iteration.
ADMM_STEPS = 40
# Steps for points that end farther outside than this share of the box's width.
PATIENT_ADMM_STEPS, FAR = 400, 0.01
# Distance of the centre from a side below which the side is taken for an equation.
LEAST_ROOM = 1e-9
# Vertices that random points are mixed from.
SAMPLED_VERTICES = 8
# Distance from every bound and row that the centre has at most, in shares of the box's width.
CENTRE_DEPTH = 0.1
# Distance from bounds that counts at most as one: HiGHS refuses larger coefficients.
MOST_ROOM = 1e12


class Polytope:
    """``lower <= u <= upper`` with rows ``row_lower <= A u <= row_upper``.

    The projection is approximate, its result feasible: ADMM comes close, and the rest is a pull towards a centre that
    keeps a distance from every inequality. When the time is up, points are pulled from where they are, and whatever
    feasible point is known stands for a vertex.

    Parameters
    ----------
    lower, upper : (d,) arrays
        Finite.
    A : (m, d) csr_array
    row_lower, row_upper : (m,) arrays
    budget : Budget, optional
        The time that all operations together may take.
    """

    steps_by_signs = False

    def __init__(
        self,
        lower: Array,
        upper: Array,
        A: Weight,
        row_lower: Array,
        row_upper: Array,
        budget: Budget | None = None,
    ) -> None:
        self.lower, self.upper = lower, upper
        self.projection_work = lower.size * (lower.size + row_lower.size)
        self._budget = budget or Budget()
        norms = np.sqrt(np.asarray((A * A).sum(axis=1)).ravel())
        used = norms > 0
        scale = sparse.diags_array(1.0 / norms[used])
        self.A = sparse.csr_array(scale @ A[used])
        self.row_lower, self.row_upper = row_lower[used] / norms[used], row_upper[used] / norms[used]
        self._tolerance = ROW_TOLERANCE / norms[used]
        self._program = LinearProgram(
            np.zeros(lower.size), lower, upper, self.A, self.row_lower, self.row_upper, options={"presolve": "off"}
        )

    @classmethod
    def of(cls, limits: BoundsAndRows, budget: Budget) -> Self | None:
        """The polytope of any bounds and rows."""
        return cls(*limits, budget)

    @cached_property
    def centre(self) -> Array:
        """(d,) point that keeps the largest possible distance from rows and bounds, up to a depth.

        Raises
        ------
        ModelError
            If the polytope is empty.
        """
        d, width = self.lower.size, np.minimum(self.upper - self.lower, MOST_ROOM)
        row_room = (self.row_upper > self.row_lower).astype(float)[:, None]
        eye, room = sparse.eye_array(d), (width > 0).astype(float)[:, None] * width[:, None]
        rows = sparse.vstack(
            [
                sparse.hstack([self.A, row_room]), sparse.hstack([self.A, -row_room]),
                sparse.hstack([eye, room]), sparse.hstack([eye, -room]),
            ],
            format="csr",
        )  # fmt: skip
        infinite_rows, infinite = np.full(self.row_lower.size, np.inf), np.full(d, np.inf)
        row_lower = np.concatenate([-infinite_rows, self.row_lower, -infinite, self.lower])
        row_upper = np.concatenate([self.row_upper, infinite_rows, self.upper, infinite])
        used = np.isfinite(row_lower) | np.isfinite(row_upper)
        cost = np.zeros(d + 1)
        cost[-1] = -1.0
        program = LinearProgram(
            cost,
            np.concatenate([self.lower, [0.0]]),
            np.concatenate([self.upper, [CENTRE_DEPTH]]),
            rows[used],
            row_lower[used],
            row_upper[used],
        )
        solution = program.solve(self._budget.remaining)
        if solution.status is LinearStatus.LIMIT and solution.values is None:
            solution = self._program.solve(self._budget.remaining)
        if solution.status is LinearStatus.INFEASIBLE:
            raise ModelError("the rows and bounds of the model contradict each other: there is no feasible point")
        values = 0.5 * (self.lower + self.upper) if solution.values is None else solution.values[:d]
        return np.clip(values, self.lower, self.upper)

    def vertices(self, C: Array) -> Array:
        """Vertices (B, d) that minimize ``C[i] @ u``, each linear program started at the last one's basis."""
        result = np.empty((len(C), self.lower.size))
        for index, cost in enumerate(np.asarray(C, np.float64)):
            if self._is_late():
                result[index:] = self.centre
                break
            self._program.change_costs(cost)
            solution = self._program.solve(self._budget.remaining)
            result[index] = self.centre if solution.values is None else solution.values
        return np.clip(result, self.lower, self.upper)

    def sample(self, random: np.random.Generator, count: int) -> Array:
        """Random mixtures (count, d) of the vertices farthest along a few random directions."""
        directions = random.standard_normal((min(count, SAMPLED_VERTICES), self.lower.size))
        corners = self.vertices(-directions)
        return random.dirichlet(np.full(len(corners), 0.5), count) @ corners

    def project(self, U: Array) -> Array:
        """Feasible points (B, d), nearly the nearest ones to the rows of `U`."""
        U = np.asarray(U, np.float64)
        P = np.clip(U, self.lower, self.upper)
        outside = np.flatnonzero(self._excess(P) > 0)
        if outside.size:
            P[outside] = self._pulled(U[outside], ADMM_STEPS)
        return P

    def _pulled(self, U: Array, steps: int) -> Array:
        """Feasible points from ADMM, with more steps for those that it leaves far outside."""
        near = self._iteration.near(U, steps, self._is_late)
        P = self._pull_inside(near)
        far = np.abs(P - near).max(axis=1) > FAR * (self.upper - self.lower).max()
        if steps < PATIENT_ADMM_STEPS and far.any() and not self._is_late():
            P[far] = self._pulled(U[far], PATIENT_ADMM_STEPS)
        return P

    @cached_property
    def _iteration(self) -> AlternatingProjection:
        lower, upper = np.concatenate([self.row_lower, self.lower]), np.concatenate([self.row_upper, self.upper])
        return AlternatingProjection(self.A, lower, upper)

    def _is_late(self) -> bool:
        return self._budget.remaining <= 0.0

    def _pull_inside(self, P: Array) -> Array:
        """Move each point towards the centre until it satisfies every row, after equations are met exactly."""
        P = self._onto_equations(P)
        at_point, at_centre = P @ self.A.T, self.A @ self.centre
        share = np.zeros(len(P))
        for excess, room in (
            (at_point - self.row_upper, self.row_upper - at_centre),
            (self.row_lower - at_point, at_centre - self.row_lower),
            (self.lower - P, self.centre - self.lower),
            (P - self.upper, self.upper - self.centre),
        ):
            crosses = (excess > 0) & (room > LEAST_ROOM)
            whole = np.add(excess, room, out=np.ones_like(excess), where=crosses)
            needed = np.divide(excess, whole, out=np.zeros_like(excess), where=crosses)
            share = np.maximum(share, needed.max(axis=1, initial=0.0))
        return np.clip(P + np.clip(share, 0.0, 1.0)[:, None] * (self.centre - P), self.lower, self.upper)

    def _onto_equations(self, P: Array) -> Array:
        equal = np.flatnonzero(self.row_upper <= self.row_lower)
        if equal.size == 0:
            return P
        E = self.A[equal].toarray()
        correction = np.linalg.lstsq(E, (P @ E.T - self.row_upper[equal]).T, rcond=None)[0].T
        return P - correction

    def contains(self, U: Array) -> Array:
        """Whether the points satisfy the rows."""
        activity = U @ self.A.T
        inside = (activity >= self.row_lower - self._tolerance) & (activity <= self.row_upper + self._tolerance)
        return np.asarray(inside.all(axis=1))

    def _excess(self, P: Array) -> Array:
        activity = P @ self.A.T
        return np.maximum(self.row_lower - activity, activity - self.row_upper).max(axis=1, initial=0.0)
