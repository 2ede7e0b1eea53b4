"""A quadratic function of all columns of a problem."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pyomo_relugrad.arrays import Array, DTypeLike, Weight


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
        return values if self.matrix is None else values + 0.5 * np.einsum("bi,bi->b", V, V @ self.matrix)

    def gradient(self, V: Array) -> Array:
        """Gradients (B, n) at the rows of `V`."""
        gradient = np.repeat(self.linear[None, :], len(V), axis=0)
        return gradient if self.matrix is None else gradient + V @ self.matrix
