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
#: Pivots after which it is looked how much a better point can still gain.
CHECKED = 4
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
    hessian: Array,
    gradient: Array,
    rows: Array,
    upper: Array,
    prices: Array,
    multipliers: Array,
    *,
    gap: float = 0.0,
    least: float = 0.0,
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
    gap : float, optional
        Share of the gain that a point within all rows without a price may lack.
    least : float, optional
        Gain from which on a point is looked for.

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
    if not program.solve(gap, least):
        return None
    point, _ = lapack.dtrtrs(factor, program.point)
    return PricedMinimum(point, program.gain, program.multipliers) if np.isfinite(point).all() else None


class _ActiveRows:
    """Rows that hold with equality, in the order in which they came: numbers, normals and their products, multipliers.

    All are parts of larger arrays, so that a row can come and go without copies of the others.
    """

    def __init__(self, d: int) -> None:
        self._numbers, self._normals = np.zeros(d + 1, int), np.zeros((d + 1, d))
        self._products = np.zeros((d + 1, d + 1))
        self._prices, self._multipliers = np.zeros((2, d + 1))
        self.size = 0

    @property
    def numbers(self) -> Array:
        return self._numbers[: self.size]

    @property
    def normals(self) -> Array:
        return self._normals[: self.size]

    @property
    def prices(self) -> Array:
        return self._prices[: self.size]

    @property
    def multipliers(self) -> Array:
        return self._multipliers[: self.size]

    def set(self, numbers: Array, normals: Array, prices: Array) -> None:
        """Replace all of them."""
        self.size = numbers.size
        self.numbers[:], self.normals[:], self.prices[:], self.multipliers[:] = numbers, normals, prices, 0.0
        products = self._products[: self.size, : self.size]
        np.matmul(normals, normals.T, out=products)
        products.flat[:: self._products.shape[0] + 1] *= 1.0 + REGULARIZATION

    def append(self, number: int, normal: Array, price: float, multiplier: float, products: Array) -> None:
        """Add a row; `products` are those with the others."""
        at = self.size
        self._numbers[at], self._normals[at] = number, normal
        self._prices[at], self._multipliers[at] = price, multiplier
        self._products[at, :at] = self._products[:at, at] = products
        self._products[at, at] = (normal @ normal) * (1.0 + REGULARIZATION)
        self.size += 1

    def remove(self, at: int) -> None:
        """Take away a row by its place."""
        end = self.size
        for array in (self._numbers, self._normals, self._prices, self._multipliers, self._products, self._products.T):
            array[at : end - 1] = array[at + 1 : end]
        self.size -= 1

    def solved(self, right: Array) -> Array | None:
        """The solution of ``normals @ normals.T @ x = right``; None where the normals depend on each other."""
        if not self.size:
            return right
        _, x, failed = lapack.dposv(self._products[: self.size, : self.size], right)
        return None if failed else np.asarray(x)


class _DualProgram:
    """The program in coordinates in which the Hessian is the identity, and its multipliers.

    A row is free with the multiplier 0, paid with its price as the multiplier, or active, with one in between. Rows are
    scaled to normals of length one.
    """

    def __init__(self, gradient: Array, normals: Array, upper: Array, prices: Array, multipliers: Array) -> None:
        self._sizes = np.maximum(np.sqrt(np.einsum("ij,ij->i", normals, normals)), TINY)
        self._gradient, self._normals, self._upper = gradient, normals / self._sizes[:, None], upper / self._sizes
        self._prices = prices * self._sizes
        self._has_price = np.isfinite(prices)
        self._finite_prices = np.where(self._has_price, self._prices, 0.0)
        if multipliers.any():
            # Multipliers may be those of an earlier program: a row without a finite price cannot be paid.
            self._paid, is_active = self._has_price & (multipliers >= prices), multipliers > 0
        else:
            self._paid, is_active = self._has_price & (upper < -TOLERANCE), ~self._has_price & (upper <= TOLERANCE)
        self._first = np.flatnonzero(is_active & ~self._paid)[: gradient.size]
        self._tolerance = TOLERANCE * (1.0 + np.abs(gradient).max(initial=0.0))
        self._active = _ActiveRows(gradient.size)
        self.point = -gradient

    @property
    def multipliers(self) -> Array:
        """Those of all rows (m,)."""
        multipliers = np.where(self._paid, self._prices, 0.0)
        multipliers[self._active.numbers] = self._active.multipliers
        return multipliers / self._sizes

    @property
    def gain(self) -> float:
        """What the point costs less than zero."""
        saved = np.maximum(-self._upper, 0.0) - np.maximum(self._excess, 0.0)
        return float(self._finite_prices @ saved - self.point @ (self._gradient + self.point / 2))

    def _solve(self, numbers: Array) -> bool:
        """Set the point and the multipliers at which rows are active; False where they depend on each other."""
        active = self._active
        self.point = -(self._gradient + self._prices[self._paid] @ self._normals[self._paid])
        active.set(numbers, self._normals[numbers], self._prices[numbers])
        multipliers = active.solved(active.normals @ self.point - self._upper[numbers])
        if multipliers is None:
            return False
        active.multipliers[:] = multipliers
        self.point -= multipliers @ active.normals
        return True

    def solve(self, gap: float, least: float) -> bool:
        """Whether pivots led to a point that is good enough, from rows whose multipliers may be as they are."""
        active, numbers = self._active, self._first
        while not self._solve(numbers):
            numbers = numbers[:-1]
        while True:
            tolerance = self._tolerance * self._sizes[numbers]
            is_low, is_high = active.multipliers < -tolerance, active.multipliers > active.prices + tolerance
            if not (is_low.any() or is_high.any()):
                break
            self._paid[numbers[is_high]] = True
            numbers = numbers[~is_low & ~is_high]
            if not self._solve(numbers):
                return False
        np.clip(active.multipliers, 0.0, active.prices, out=active.multipliers)
        self._excess = self._normals @ self.point - self._upper
        # What a row's violation counts with: 1 if it is free, -1 if it is paid, 0 if it is active.
        self._senses = np.where(self._paid, -1.0, 1.0)
        self._senses[active.numbers] = 0.0
        tolerance = TOLERANCE / self._sizes
        if not tolerance.size:
            return True
        for pivot in range(MAX_PIVOTS):
            wrong = self._senses * self._excess
            row = int((wrong - tolerance).argmax())
            if wrong[row] <= tolerance[row]:
                return True
            if pivot % CHECKED == CHECKED - 1 and self._is_good(wrong, tolerance, gap, least):
                return True
            if not self._enter(row):
                return False
        return False

    def _is_good(self, wrong: Array, tolerance: Array, gap: float, least: float) -> bool:
        """Whether no point gains the least, or none much more than this one, by what the multipliers prove."""
        lacking = float(self._finite_prices @ np.maximum(wrong, 0.0))
        most = self.gain + lacking
        return most <= least or (lacking <= gap * most and not ((wrong > tolerance) & ~self._has_price).any())

    def _enter(self, row: int) -> bool:
        """Change a row's multiplier until it holds, or ends at its other bound; False where neither is possible."""
        sense, left, done = float(self._senses[row]), float(self._prices[row]), 0.0
        normal, active = self._normals[row], self._active
        for _ in range(MAX_PIVOTS):
            products = active.normals @ normal
            change = active.solved(products)
            if change is None:
                return False
            change *= -sense
            step = change @ active.normals
            step += sense * normal
            length = float(step @ step)
            full = abs(float(self._excess[row])) / length if length > DEPENDENT else np.inf
            share, first = min(full, left), -1
            if active.size:
                room = np.where(change < 0, active.multipliers, active.prices - active.multipliers)
                room /= np.maximum(np.abs(change), TINY)
                first = int(room.argmin())
                share = min(share, float(room[first]))
            if not share < np.inf:
                return False
            step *= share
            self.point -= step
            self._excess -= self._normals @ step
            change *= share
            active.multipliers[:] += change
            left, done = left - share, done + share
            if share == full:
                self._senses[row], self._paid[row] = 0.0, False
                active.append(row, normal, self._prices[row], done if sense > 0 else left, products)
                return True
            if left <= 0.0:
                self._senses[row], self._paid[row] = -sense, sense > 0
                return True
            leaving = active.numbers[first]
            self._paid[leaving] = change[first] > 0
            self._senses[leaving] = -1.0 if self._paid[leaving] else 1.0
            active.remove(first)
        return False
