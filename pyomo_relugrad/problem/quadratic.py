"""A quadratic function of all columns of a problem."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import numpy as np
from scipy import sparse
from scipy.sparse.csgraph import connected_components
from scipy.sparse.linalg import splu

from pyomo_relugrad.arrays import Array, DTypeLike, Weight

#: How far, relative to the largest entry, an eigenvalue of a convex quadratic part may be below zero by rounding.
CONVEXITY_TOLERANCE = 1e-9

#: Entries up to which the quadratic part is multiplied as a dense matrix.
SMALL_ENTRIES = 100_000

#: Size up to which a connected part of the quadratic part is factorised as a dense matrix.
DENSE_SIZE = 2000


@dataclass(frozen=True, eq=False)
class QuadraticFunction:
    """``linear @ v + v @ matrix @ v / 2 + constant``.

    Parameters
    ----------
    linear : (n,) array
    matrix : (n, n) csr_array or None
        Symmetric.
    constant : float
    """

    linear: Array
    matrix: Weight
    constant: float

    def astype(self, dtype: DTypeLike) -> QuadraticFunction:
        """The function in another floating-point type."""
        matrix = None if self.matrix is None else self.matrix.astype(dtype)
        return QuadraticFunction(self.linear.astype(dtype), matrix, self.constant)

    def value(self, V: Array) -> Array:
        """Values (B,) at the rows of `V`."""
        values = V @ self.linear + self.constant
        return values if self.matrix is None else values + 0.5 * np.einsum("bi,bi->b", V, V @ self._small_matrix)

    def gradient(self, V: Array) -> Array:
        """Gradients (B, n) at the rows of `V`."""
        gradient = np.repeat(self.linear[None, :], len(V), axis=0)
        return gradient if self.matrix is None else gradient + V @ self._small_matrix

    @cached_property
    def _small_matrix(self) -> Weight:
        """The matrix, dense where it is small: SciPy's overhead is felt in searches over small models."""
        return self.matrix.toarray() if self.linear.size**2 <= SMALL_ENTRIES else self.matrix


def is_positive_semidefinite(matrix: Weight) -> bool:
    """Whether a symmetric sparse matrix has no negative eigenvalue, up to rounding.

    Each connected part of its pattern is factorised after a small shift of the diagonal.
    """
    scale = np.abs(matrix.data).max(initial=0.0)
    shift = CONVEXITY_TOLERANCE * scale
    if (matrix.diagonal() < -shift).any():
        return False
    coupled = sparse.coo_array(matrix)
    off_diagonal = coupled.coords[0] != coupled.coords[1]
    used = np.unique(coupled.coords[0][off_diagonal & (coupled.data != 0)])
    if used.size == 0:
        return True
    part = sparse.csr_array(matrix[used][:, used])
    n_parts, label = connected_components(part, directed=False)
    order = np.argsort(label, kind="stable")
    starts = np.searchsorted(label[order], np.arange(n_parts + 1))
    members = (order[start:stop] for start, stop in pairwise(starts))
    return all(_is_positive_definite(part[rows][:, rows], shift) for rows in members)


def _is_positive_definite(matrix: Weight, shift: float) -> bool:
    """Whether ``matrix + shift * identity`` has a Cholesky factorisation."""
    size = matrix.shape[0]
    if size <= DENSE_SIZE:
        try:
            np.linalg.cholesky(matrix.toarray() + shift * np.eye(size))
        except np.linalg.LinAlgError:
            return False
        return True
    shifted = sparse.csc_array(matrix + shift * sparse.eye_array(size))
    try:
        # With pivots taken from the diagonal this is L D L': the signs of D are those of the eigenvalues.
        factors = splu(shifted, permc_spec="MMD_AT_PLUS_A", diag_pivot_thresh=0.0, options={"SymmetricMode": True})
    except RuntimeError:  # exactly singular
        return False
    return bool((factors.perm_r == factors.perm_c).all() and (factors.U.diagonal() > 0).all())
