"""A primal-dual interior-point method for linear programs in the unit box, to whose rows others may be added.

``min cost @ x`` over ``0 <= x <= 1`` and ``rows @ x + offsets >= 0``. Mehrotra's predictor and corrector (SIAM
J. Optim. 2, 1992) with Gondzio's further correctors (Comput. Optim. Appl. 6, 1996); the Newton systems have one
equation for each row, whatever the number of columns.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy.linalg import blas, lapack

from pyomo_relugrad.arrays import Array

# Share of the longest step that keeps everything positive.
STEP_SHARE = 0.995
# Gondzio's correctors at most; each costs two triangular solves, and is kept if it lengthens the steps by so much.
MAX_CORRECTORS = 3
LENGTHENING = 0.01
# Products of complementary pairs outside these multiples of their target are corrected.
PRODUCT_RANGE = 0.1, 10.0
# Columns whose weight in the Newton system is this far below the largest do not enter it.
NEGLIGIBLE_WEIGHT = 1e-9
# Scale of the first complementarity, against a step across the whole box.
FIRST_COMPLEMENTARITY = 0.1


@dataclass(frozen=True, eq=False)
class UnitBoxProgram:
    """``min cost @ x`` over ``0 <= x <= 1``, ``rows @ x + offsets >= 0``.

    Parameters
    ----------
    cost : (n,) array
    rows : (m, n) array
        Of unit length, so that slacks are distances.
    offsets : (m,) array
    """

    cost: Array
    rows: Array
    offsets: Array

    def slack(self, x: Array) -> Array:
        """(m,) distances of a point from the rows' hyperplanes, negative beyond."""
        return np.asarray(self.rows @ x + self.offsets)

    def with_rows(self, rows: Array, offsets: Array) -> UnitBoxProgram:
        """The program with further rows."""
        return replace(self, rows=np.concatenate([self.rows, rows]), offsets=np.concatenate([self.offsets, offsets]))

    def only_rows(self, kept: Array) -> UnitBoxProgram:
        """The program with the rows that are kept, a boolean array (m,)."""
        return replace(self, rows=self.rows[kept], offsets=self.offsets[kept])


@dataclass(frozen=True, eq=False)
class Iterate:
    """A point, the slacks of the rows, and multipliers for all of them; all positive.

    Parameters
    ----------
    primal : (2 n + m,) array
        Distances to the lower bounds, to the upper bounds, and slacks of the rows.
    dual : (2 n + m,) array
        Their multipliers.
    n : int
        Number of columns.
    """

    primal: Array
    dual: Array
    n: int

    @classmethod
    def start(cls, program: UnitBoxProgram, x: Array, smallest_slack: float) -> Iterate:
        """All products alike, and dual feasible; slacks of less than the smallest are set to it."""
        n = x.size
        slack = np.maximum(program.slack(x), smallest_slack)
        product = FIRST_COMPLEMENTARITY * float(np.abs(program.cost).sum()) / (2 * n + slack.size)
        multipliers = product / slack
        pull = program.rows.T @ multipliers - program.cost
        root = np.hypot(0.5 * pull, product / np.minimum(x, 1.0 - x))
        dual = np.concatenate([root - 0.5 * pull, root + 0.5 * pull, multipliers])
        return cls(np.concatenate([x, 1.0 - x, slack]), dual, n)

    @property
    def x(self) -> Array:
        """(n,) the point."""
        return self.primal[: self.n]

    @property
    def slack(self) -> Array:
        """(m,) slacks of the rows."""
        return self.primal[2 * self.n :]

    @property
    def multipliers(self) -> Array:
        """(m,) multipliers of the rows."""
        return self.dual[2 * self.n :]

    @property
    def gap(self) -> float:
        """Sum of the products of complementary pairs: the duality gap at a feasible point."""
        return float(self.primal @ self.dual)

    @property
    def mean_product(self) -> float:
        """Mean of the products of complementary pairs."""
        return self.gap / self.primal.size

    def moved(self, direction: Iterate, primal: float, dual: float) -> Iterate:
        """So far along a direction."""
        return Iterate(self.primal + primal * direction.primal, self.dual + dual * direction.dual, self.n)

    def longest_steps(self, direction: Iterate) -> tuple[float, float]:
        """The primal and the dual step at which something becomes zero."""
        return _longest_step(self.primal, direction.primal), _longest_step(self.dual, direction.dual)

    def with_rows(self, rows: Array, slack: Array) -> Iterate:
        """With further rows at their positive slacks; the bounds' multipliers keep the point dual feasible."""
        multipliers = self.mean_product / slack
        pull = rows.T @ multipliers
        dual = self.dual.copy()
        dual[: self.n] += np.maximum(-pull, 0.0)
        dual[self.n : 2 * self.n] += np.maximum(pull, 0.0)
        return Iterate(np.concatenate([self.primal, slack]), np.concatenate([dual, multipliers]), self.n)

    def only_rows(self, kept: Array, rows: Array) -> Iterate:
        """With the rows that are kept, of all the `rows` (m, n); the bounds' multipliers make up for the others."""
        pull = rows[~kept].T @ self.multipliers[~kept]
        every = np.concatenate([np.ones(2 * self.n, bool), kept])
        dual = self.dual.copy()
        dual[: self.n] += np.maximum(pull, 0.0)
        dual[self.n : 2 * self.n] += np.maximum(-pull, 0.0)
        return Iterate(self.primal[every], dual[every], self.n)


class NewtonSystem:
    """The linearized optimality conditions at an iterate, factored once.

    Raises
    ------
    numpy.linalg.LinAlgError
        If the matrix is not numerically positive definite.
    """

    def __init__(self, program: UnitBoxProgram, iterate: Iterate) -> None:
        self.program, self.iterate = program, iterate
        n, ratio = iterate.n, iterate.dual / iterate.primal
        self._weight = 1.0 / (ratio[:n] + ratio[n : 2 * n])
        self._row_weight = ratio[2 * n :]
        duals = iterate.dual
        pull = program.rows.T @ iterate.multipliers - program.cost
        self._dual_residual = pull + duals[:n] - duals[n : 2 * n]
        self._row_residual = program.slack(iterate.x) - iterate.slack
        self._curvature, self._factor = self._factorise()

    def _factorise(self) -> tuple[Array, Array]:
        """Curvature of each row (m,), and the Cholesky factor of ``rows W rows' + diag(slack / multipliers)``."""
        if self._row_weight.size == 0:  # BLAS refuses empty matrices
            return np.zeros(0), np.zeros((0, 0))
        heavy = self._weight > NEGLIGIBLE_WEIGHT * self._weight.max()
        rows, weight = self.program.rows, self._weight
        scaled = rows * np.sqrt(weight) if heavy.mean() > 0.7 else rows[:, heavy] * np.sqrt(weight[heavy])
        matrix = blas.dsyrk(1.0, scaled.T, trans=1, lower=1)
        diagonal = np.einsum("ii->i", matrix)
        curvature = diagonal.copy()
        diagonal += 1.0 / self._row_weight
        factor, info = lapack.dpotrf(matrix, lower=1, overwrite_a=1, clean=0)
        if info != 0:
            raise np.linalg.LinAlgError("Newton system of the interior-point method is not positive definite")
        return curvature, factor

    @property
    def influence(self) -> Array:
        """(m,) how much each row weighs in the system: the inverse square of its distance in the local metric."""
        return self._curvature * self._row_weight

    def direction(self, change: Array) -> Iterate:
        """The Newton direction that changes the products of the pairs (2 n + m,) by so much."""
        n, rows, iterate = self.iterate.n, self.program.rows, self.iterate
        relative = change / iterate.primal
        force = self._dual_residual + relative[:n] - relative[n : 2 * n]
        bending = change[2 * n :] / iterate.multipliers
        right = bending - self._row_residual - rows @ (self._weight * force)
        multipliers = lapack.dpotrs(self._factor, right, lower=1)[0] if right.size else right
        x = self._weight * (force + rows.T @ multipliers)
        primal = np.concatenate([x, -x, bending - multipliers / self._row_weight])
        dual = relative - iterate.dual / iterate.primal * primal
        dual[2 * n :] = multipliers
        return Iterate(primal, dual, n)

    def step(self, max_correctors: int = MAX_CORRECTORS) -> tuple[Iterate, float, float]:
        """Predictor, corrector and further correctors: a direction with its primal and dual step, at most 1."""
        iterate, products = self.iterate, self.iterate.primal * self.iterate.dual
        predictor = self.direction(-products)
        primal, dual = (min(step, 1.0) for step in iterate.longest_steps(predictor))
        shrinkage = iterate.moved(predictor, primal, dual).gap / iterate.gap
        target = shrinkage**3 * iterate.mean_product
        change = target - products - predictor.primal * predictor.dual
        direction = self.direction(change)
        primal, dual = iterate.longest_steps(direction)
        for _ in range(max_correctors):
            further = change + self._correction(direction, primal, dual, target)
            other = self.direction(further)
            longer = iterate.longest_steps(other)
            if sum(min(step, 1.0) for step in longer) < min(primal, 1.0) + min(dual, 1.0) + LENGTHENING:
                break
            change, direction, (primal, dual) = further, other, longer
        return direction, min(1.0, STEP_SHARE * primal), min(1.0, STEP_SHARE * dual)

    def _correction(self, direction: Iterate, primal: float, dual: float, target: float) -> Array:
        """What would bring the products after a somewhat longer step nearer to their target."""
        longer = self.iterate.moved(direction, min(1.0, 1.1 * primal + 0.1), min(1.0, 1.1 * dual + 0.1))
        products = longer.primal * longer.dual
        low, high = PRODUCT_RANGE
        return np.maximum(np.clip(products, low * target, high * target) - products, -high * target)


def _longest_step(values: Array, change: Array) -> float:
    """The step at which the first of the positive values becomes zero."""
    rate = float((-change / values).max(initial=0.0))
    return np.inf if rate <= 0.0 else 1.0 / rate
