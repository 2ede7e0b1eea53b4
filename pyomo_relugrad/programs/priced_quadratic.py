"""Small dense convex quadratic programs with rows that may be violated at a price, by pivots."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.linalg import lapack

from pyomo_relugrad.arrays import Array

#: Pivots after which a program is given up.
MAX_PIVOTS = 400
#: Violation of a row, or of a multiplier's sign relative to the gradient, that counts; and the share by which products
#: of active rows with themselves are raised.
TOLERANCE, REGULARIZATION = 1e-9, 1e-12
#: In place of zero under a fraction.
TINY = 1e-30
#: Square of the sine of the angle to the active rows below which a row depends on them.
DEPENDENT = 1e-10


class PricedMinimum(NamedTuple):
    """A minimum (d,), how much less it costs than zero, and the multipliers (m,) of the rows.

    A multiplier is 0 where a row is free, and its price where it is paid.
    """

    point: Array
    gain: float
    multipliers: Array


def priced_quadratic_minimum(
    hessian: Array, gradient: Array, rows: Array, upper: Array, prices: Array, multipliers: Array
) -> PricedMinimum | None:
    """Minimize ``gradient @ x + x @ hessian @ x / 2`` where ``rows @ x <= upper`` may be violated at prices.

    Row after row by the dual method of Goldfarb and Idnani ("A numerically stable dual method for solving strictly
    convex quadratic programs", Mathematical Programming 27, 1983), here with multipliers that end at the prices. It
    begins with the rows that were active or paid at the minimum of a similar program. With a few dozen columns it takes
    half a millisecond to a few, where HiGHS takes several.

    Parameters
    ----------
    hessian : (d, d) array
        Symmetric positive definite.
    gradient : (d,) array
    rows : (m, d) array
    upper, prices : (m,) arrays
        A unit of violation costs the price; infinite where a row may not be violated.
    multipliers : (m,) array
        Of the rows at the minimum of a similar program; zeros where there is none.

    Returns
    -------
    PricedMinimum or None
        None where no point is found. With rows of very different scales the point may violate them: measure it.
    """
    factor, failed = lapack.dpotrf(hessian)
    if failed or not np.isfinite(gradient).all():
        return None
    gradient, _ = lapack.dtrtrs(factor, gradient, trans=1)
    normals, _ = lapack.dtrtrs(factor, rows.T, trans=1)
    program = _DualProgram(gradient, normals.T, upper, prices, multipliers)
    if not program.solve():
        return None
    point, _ = lapack.dtrtrs(factor, program.point)
    return PricedMinimum(point, program.gain, program.multipliers) if np.isfinite(point).all() else None


class _DualProgram:
    """The program in coordinates in which the Hessian is the identity, and its multipliers.

    A row is free with the multiplier 0, paid with its price as the multiplier, or active, with one in between.
    """

    def __init__(self, gradient: Array, normals: Array, upper: Array, prices: Array, multipliers: Array) -> None:
        self._gradient, self._normals, self._upper, self._prices = gradient, normals, upper, prices
        if multipliers.any():
            # Multipliers may be those of an earlier program: a row without a finite price cannot be paid.
            self._paid, is_active = np.isfinite(prices) & (multipliers >= prices), multipliers > 0
        else:
            self._paid, is_active = np.isfinite(prices) & (upper < -TOLERANCE), upper <= TOLERANCE
        self._active = np.flatnonzero(is_active & ~self._paid)
        self._tolerance = TOLERANCE * (1.0 + np.abs(gradient).max(initial=0.0))
        self.point = -gradient

    @property
    def multipliers(self) -> Array:
        """Those of all rows (m,)."""
        multipliers = np.where(self._paid, self._prices, 0.0)
        multipliers[self._active] = self._multipliers
        return multipliers

    @property
    def gain(self) -> float:
        """What the point costs less than zero."""
        may = np.isfinite(self._prices)
        saved = np.maximum(-self._upper[may], 0.0) - np.maximum(self._excess[may], 0.0)
        return float(self._prices[may] @ saved - self.point @ (self._gradient + self.point / 2))

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

    def solve(self) -> bool:
        """Whether pivots led to the optimum, from rows whose multipliers may be as they are."""
        self._active = self._active[: self._gradient.size]
        while not self._solve():
            self._active = self._active[:-1]
        while True:
            is_low = self._multipliers < -self._tolerance
            is_high = self._multipliers > self._prices[self._active] + self._tolerance
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
