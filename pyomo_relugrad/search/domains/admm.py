"""Points of a polytope near given ones, for a whole batch, by the alternating direction method of multipliers."""

from collections.abc import Callable

import numpy as np
from scipy import linalg, sparse
from scipy.sparse.linalg import splu

from pyomo_relugrad.arrays import Array, Weight

# Penalty (rows and columns have length one), the residual at which it ends early, its relaxation.
PENALTY = 1.0
TOLERANCE = 1e-4
OVER_RELAXATION = 1.6
# Number of columns up to which dense products are faster than sparse ones.
DENSE_COLUMNS = 1000
# Share of entries that are not zero up to which larger systems are factorised as sparse ones.
SPARSE_SHARE = 0.01


class AlternatingProjection:
    """``min |u - p|^2 / 2`` over ``z = (A u, u)`` within sides, split between u and z (Boyd et al., 2011, section 5).

    Parameters
    ----------
    A : (m, d) csr_array
        Rows of length one.
    lower, upper : (m + d,) arrays
        Sides of the rows, then bounds of the columns.
    """

    def __init__(self, A: Weight, lower: Array, upper: Array) -> None:
        self._A: Weight = A.toarray() if A.shape[1] <= DENSE_COLUMNS else A
        self._lower, self._upper, self._n_rows = lower, upper, A.shape[0]
        self._solve = normal_equations(self._A)

    def near(self, P: Array, steps: int, is_over: Callable[[], bool]) -> Array:
        """Points (B, d) that satisfy the bounds, and nearly the rows, near the rows of `P`.

        Parameters
        ----------
        P : (B, d) array
        steps : int
            At most so many steps, fewer where the points settle.
        is_over : callable
            Whether the time is up; asked between any two steps.
        """
        Z = np.clip(self._stacked(P), self._lower, self._upper)
        dual = np.zeros_like(Z)
        for _ in range(steps):
            reached = self._stacked(self._solve(P + PENALTY * self._stacked_transposed(Z - dual)))
            residual = np.abs(reached - Z).max()
            reached = OVER_RELAXATION * reached + (1.0 - OVER_RELAXATION) * Z
            Z = np.clip(reached + dual, self._lower, self._upper)
            dual += reached - Z
            if residual < TOLERANCE or is_over():
                break
        return Z[:, self._n_rows :]

    def _stacked(self, U: Array) -> Array:
        return np.concatenate([U @ self._A.T, U], axis=1)

    def _stacked_transposed(self, Z: Array) -> Array:
        return Z[:, : self._n_rows] @ self._A + Z[:, self._n_rows :]


def normal_equations(A: Weight) -> Callable[[Array], Array]:
    """The map ``R -> R K^-1`` on batches (B, d), ``K = (1 + PENALTY) I + PENALTY A'A``, factorised once.

    Large sparse rows: a sparse factorisation of ``[[(1 + PENALTY) I, A'], [A, -I / PENALTY]]``, which does not fill in
    where A has a dense row. Otherwise the inverse of K, or of the smaller system by Woodbury's formula.
    """
    m, d = A.shape
    if sparse.issparse(A) and A.nnz <= SPARSE_SHARE * m * d:
        return _sparse_solve(A)
    shift = 1.0 + PENALTY
    if m >= d:
        inverse = linalg.inv(_dense(PENALTY * (A.T @ A)) + shift * np.eye(d))
        return lambda R: R @ inverse
    small = PENALTY * linalg.inv(_dense(PENALTY * (A @ A.T)) + shift * np.eye(m))
    return lambda R: (R - ((R @ A.T) @ small) @ A) / shift


def _sparse_solve(A: Weight) -> Callable[[Array], Array]:
    m, d = A.shape
    system = sparse.block_array(
        [[(1.0 + PENALTY) * sparse.eye_array(d), A.T], [A, -sparse.eye_array(m) / PENALTY]], format="csc"
    )
    factors = splu(system, permc_spec="MMD_AT_PLUS_A", diag_pivot_thresh=0.0, options={"SymmetricMode": True})

    def solve(R: Array) -> Array:
        padded = np.concatenate([R, np.zeros((len(R), m))], axis=1)
        return np.asarray(factors.solve(padded.T).T[:, :d])

    return solve


def _dense(matrix: Weight) -> Array:
    return matrix.toarray() if sparse.issparse(matrix) else matrix
