"""Small dense convex quadratic programs, with hard rows and rows that have prices: by guesses, or else by pivots."""

from __future__ import annotations

import numpy as np
import scipy
from scipy.linalg import LinAlgError, cholesky, lapack, solve_triangular

from pyomo_relugrad.arrays import Array

#: What rows are at a minimum: free, active, or violated at their price.
FREE, ACTIVE, PAID = 0, 1, 2
#: Guesses of the active rows, after which they are taken to go in a circle; and pivots after them.
MAX_GUESSES, MAX_PIVOTS = 6, 400
MAX_HARD_GUESSES = 12
#: Distance, relative to its scale, below which a least-distance program has no feasible point.
NO_POINT = 1e-12
#: Violation of a row, or of a multiplier's sign relative to the gradient, that counts; and the share by which products
#: of active rows with themselves are raised.
TOLERANCE, REGULARIZATION = 1e-9, 1e-12
#: In place of zero under a fraction.
TINY = 1e-30
#: Square of the sine of the angle to the active rows below which a row depends on them.
DEPENDENT = 1e-10


def dense_quadratic_minimum(
    hessian: Array, gradient: Array, rows: Array, upper: Array, prices: Array | None = None, states: Array | None = None
) -> Array | None:
    """The point (d,) that minimizes ``gradient @ x + x @ hessian @ x / 2`` where ``rows @ x <= upper``.

    Rows with a price may be violated: a unit costs that much. First by a primal-dual active set (Hintermüller, Ito,
    Kunisch, "The primal-dual active set strategy as a semismooth Newton method", SIAM Journal on Optimization 13,
    2002), from the rows that are active at zero, or were at the minimum of a similar program: where these are nearly
    right, it takes two or three small systems. It may go in a circle. Then row after row by the dual method of Goldfarb
    and Idnani ("A numerically stable dual method for solving strictly convex quadratic programs", Mathematical
    Programming 27, 1983), here with multipliers that end at the prices. With a few dozen columns it takes half a
    millisecond to a few, where HiGHS takes several. Without prices the program ends, after such guesses, as that of the
    point of a polyhedron nearest to the origin (Lawson and Hanson, "Solving Least Squares Problems", 1974, chapter 23).

    Parameters
    ----------
    hessian : (d, d) array
        Symmetric positive definite.
    gradient : (d,) array
    rows : (m, d) array
    upper : (m,) array
    prices : (m,) array, optional
        Infinite where a row may not be violated (all).
    states : (m,) int array, optional
        Of the rows at the minimum of a similar program, where the guesses begin; zeros where there is none. Those of
        this one are written into it.

    Returns
    -------
    (d,) array or None
        None where no point is found. With rows of very different scales the point may violate them: measure it.
    """
    if prices is None:
        point = _by_active_sets(hessian, gradient, rows, upper)
        return _by_least_squares(hessian, gradient, rows, upper) if point is None else point
    factor, failed = lapack.dpotrf(hessian)
    if failed or not np.isfinite(gradient).all():
        return None
    begin = states_at_zero(upper, prices) if states is None or not states.any() else states
    gradient, _ = lapack.dtrtrs(factor, gradient, trans=1)
    normals, _ = lapack.dtrtrs(factor, rows.T, trans=1)
    program = _DualProgram(gradient, normals.T, upper, prices, begin)
    found = program.by_guesses() or program.by_pivots()
    if states is not None:
        states[:] = program.states
    point, _ = lapack.dtrtrs(factor, program.point)
    return np.asarray(point) if found and np.isfinite(point).all() else None


def states_at_zero(upper: Array, prices: Array) -> Array:
    """The states (m,) of rows at the point zero."""
    is_paid = np.isfinite(prices) & (upper < -TOLERANCE)
    return np.where(is_paid, PAID, np.where(upper <= TOLERANCE, ACTIVE, FREE)).astype(np.int8)


class _DualProgram:
    """The program in coordinates in which the Hessian is the identity, and its multipliers.

    A row is free with the multiplier 0, paid with its price as the multiplier, or active, with one in between.
    """

    def __init__(self, gradient: Array, normals: Array, upper: Array, prices: Array, states: Array) -> None:
        self._gradient, self._normals, self._upper, self._prices = gradient, normals, upper, prices
        # States may be those of an earlier program: a row without a finite price cannot be paid.
        self._paid = (states == PAID) & np.isfinite(prices)
        self._active = np.flatnonzero((states == ACTIVE) | ((states == PAID) & ~self._paid))
        self._tolerance = TOLERANCE * (1.0 + np.abs(gradient).max(initial=0.0))
        self.point = -gradient

    @property
    def states(self) -> Array:
        """What the rows are (m,)."""
        states = np.where(self._paid, PAID, FREE)
        states[self._active] = ACTIVE
        return states

    def by_guesses(self) -> bool:
        """Whether a few guesses of the active rows led to the optimum."""
        for _ in range(MAX_GUESSES):
            if self._active.size > self._gradient.size or not self._solve():
                return False
            excess = self._normals @ self.point - self._upper
            crossed = ~self._paid & (excess > TOLERANCE)
            crossed[self._active] = False
            kept = self._paid & (excess < -TOLERANCE)
            is_low, is_high = self._beyond()
            if not (is_low.any() or is_high.any() or crossed.any() or kept.any()):
                return True
            self._paid &= ~kept
            self._paid[self._active[is_high]] = True
            self._active = np.concatenate([self._active[~is_low & ~is_high], np.flatnonzero(crossed | kept)])
        return False

    def _solve(self) -> bool:
        """Set the point and the multipliers at which the active rows hold; False where they depend on each other."""
        self.point = -(self._gradient + self._prices[self._paid] @ self._normals[self._paid])
        self._multipliers = np.zeros(self._active.size)
        if self._active.size:
            normals = self._normals[self._active]
            multipliers = _solved(normals, normals @ self.point - self._upper[self._active])
            if multipliers is None:
                return False
            self._multipliers = multipliers
            self.point = self.point - multipliers @ normals
        return True

    def _beyond(self) -> tuple[Array, Array]:
        """Which of the active rows have multipliers below zero, and which above their prices."""
        prices = self._prices[self._active]
        return self._multipliers < -self._tolerance, self._multipliers > prices + self._tolerance

    def by_pivots(self) -> bool:
        """Whether pivots led to the optimum, from the last guess as far as its multipliers may be as they are."""
        self._active = self._active[: self._gradient.size]
        while not self._solve():
            self._active = self._active[:-1]
        while True:
            is_low, is_high = self._beyond()
            if not (is_low.any() or is_high.any()):
                break
            self._paid[self._active[is_high]] = True
            self._active = self._active[~is_low & ~is_high]
            self._solve()
        self._multipliers = np.clip(self._multipliers, 0.0, self._prices[self._active])
        self._sizes = np.maximum(np.linalg.norm(self._normals, axis=1), TINY)
        self._excess = self._normals @ self.point - self._upper
        for _ in range(MAX_PIVOTS):
            wrong = np.where(self._paid, -self._excess, self._excess)
            wrong[self._active] = 0.0
            wrong[wrong <= TOLERANCE] = 0.0
            row = int((wrong / self._sizes).argmax())
            if wrong[row] <= 0.0:
                return True
            if not self._enter(row):
                return False
        return False

    def _enter(self, row: int) -> bool:
        """Change a row's multiplier until it holds, or ends at its other bound; False where neither is possible."""
        sense, left, done = (-1.0 if self._paid[row] else 1.0), self._prices[row], 0.0
        normal = self._normals[row]
        for _ in range(MAX_PIVOTS):
            active = self._normals[self._active]
            change = np.zeros(0)
            if self._active.size:
                solved = _solved(active, active @ normal)
                if solved is None:
                    return False
                change = -sense * solved
            step = -(sense * normal + change @ active)
            length = step @ step
            full = abs(self._excess[row]) / length if length > DEPENDENT * self._sizes[row] ** 2 else np.inf
            room = np.where(change < 0, self._multipliers, self._prices[self._active] - self._multipliers)
            shares = room / np.maximum(np.abs(change), TINY)
            first = int(shares.argmin()) if shares.size else -1
            share = min(full, left, shares[first] if shares.size else np.inf)
            if not np.isfinite(share):
                return False
            self.point = self.point + share * step
            self._excess = self._excess + share * (self._normals @ step)
            self._multipliers = self._multipliers + share * change
            left, done = left - share, done + share
            if share == full:
                self._active = np.append(self._active, row)
                self._multipliers = np.append(self._multipliers, done if sense > 0 else left)
                self._paid[row] = False
                return True
            if left <= 0.0:
                self._paid[row] = sense > 0
                return True
            self._paid[self._active[first]] = change[first] > 0
            self._active, self._multipliers = np.delete(self._active, first), np.delete(self._multipliers, first)
        return False


def _solved(normals: Array, right: Array) -> Array | None:
    """The solution of ``normals @ normals.T @ x = right``; None where the normals depend on each other."""
    products = normals @ normals.T
    products.flat[:: len(products) + 1] *= 1.0 + REGULARIZATION
    _, x, failed = lapack.dposv(products, right)
    return None if failed else np.asarray(x)


def _by_active_sets(hessian: Array, gradient: Array, rows: Array, upper: Array) -> Array | None:
    """The point; None where the guesses go in a circle, or something is singular."""
    factor, failed = lapack.dpotrf(hessian)
    if failed or not np.isfinite(gradient).all():
        return None
    shift, _ = lapack.dtrtrs(factor, gradient, trans=1)
    active = np.flatnonzero(upper <= TOLERANCE)
    least = -TOLERANCE * np.abs(gradient).max(initial=0.0)
    for _ in range(MAX_HARD_GUESSES):
        if active.size > gradient.size:
            return None
        multipliers = np.zeros(0)
        step = shift
        if active.size:
            normals, _ = lapack.dtrtrs(factor, rows[active].T, trans=1)
            products = normals.T @ normals
            products.flat[:: active.size + 1] *= 1.0 + REGULARIZATION
            _, multipliers, failed = lapack.dposv(products, -(upper[active] + shift @ normals))
            if failed:
                return None
            step = shift + normals @ multipliers
        point, _ = lapack.dtrtrs(factor, -step)
        crossed = rows @ point > upper + TOLERANCE
        crossed[active] = False
        holds = multipliers >= least
        if holds.all() and not crossed.any():
            return np.asarray(point)
        active = np.concatenate([active[holds], np.flatnonzero(crossed)])
    return None


def _by_least_squares(hessian: Array, gradient: Array, rows: Array, upper: Array) -> Array | None:
    """The point; None where there is none."""
    try:
        factor = cholesky(hessian)
        shift = solve_triangular(factor, gradient, trans="T")
        normals = solve_triangular(factor, rows.T, trans="T")
        system = np.vstack([-normals, -(upper + shift @ normals)])
        target = np.append(np.zeros(len(gradient)), 1.0)
        multipliers, _ = scipy.optimize.nnls(system, target)
    except (LinAlgError, RuntimeError, ValueError):  # not definite, too many iterations, not finite
        return None
    residual = system @ multipliers - target
    if not abs(residual[-1]) > NO_POINT:
        return None
    return np.asarray(solve_triangular(factor, -residual[:-1] / residual[-1] - shift))
