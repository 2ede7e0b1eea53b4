"""Large matrices of float64 whose numbers float32 holds as well: they are held in float32, at half the memory."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.lib.mixins import NDArrayOperatorsMixin

from pyomo_relugrad.arrays import Array, DTypeLike

#: Entries from which a matrix is held in float32 where that loses nothing.
MIN_ENTRIES = 2**22
#: Entries that are widened at a time.
BLOCK_ENTRIES = 2**19


class WidenedMatrix(NDArrayOperatorsMixin):
    """A matrix for products in float64, held in float32: its entries are widened a block at a time, on the way.

    A product with few rows waits for memory, and takes no longer than with the matrix in float64; one with hundreds of
    rows takes twice as long. Everything else that NumPy does with it, it does with a copy in float64.

    Parameters
    ----------
    held : (m, n) float32 array
        Rows or columns lie together.
    """

    dtype = np.dtype(np.float64)
    ndim = 2

    def __init__(self, held: Array) -> None:
        self.held = held

    @classmethod
    def of(cls, matrix: Array) -> WidenedMatrix | Array:
        """The matrix, held in float32 if it is large, in float64, and that loses nothing."""
        if matrix.ndim != 2 or matrix.dtype != np.float64 or matrix.size < MIN_ENTRIES:
            return matrix
        with np.errstate(over="ignore", under="ignore"):
            held = np.ascontiguousarray(matrix, np.float32)
        for rows in blocks(*matrix.shape):
            if not np.array_equal(held[rows], matrix[rows]):
                return matrix
        held.flags.writeable = False
        return cls(held)

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        rows, columns = self.held.shape
        return rows, columns

    @property
    def size(self) -> int:
        """Number of entries."""
        return self.held.size

    @property
    def T(self) -> WidenedMatrix:  # noqa: N802 - as NumPy's
        """The transpose."""
        return WidenedMatrix(self.held.T)

    def __getitem__(self, rows: Any) -> Array:
        return self.held[rows].astype(np.float64)

    def astype(self, dtype: DTypeLike) -> Array:
        """The matrix as an array; in float32 what is held."""
        return self.held if np.dtype(dtype) == np.float32 else self.held.astype(dtype)

    def __array__(self, dtype: DTypeLike | None = None, copy: bool | None = None) -> Array:
        return self.held.astype(np.float64 if dtype is None else dtype)

    def __array_ufunc__(self, function: np.ufunc, method: str, *inputs: Any, **named: Any) -> Any:
        if function is np.matmul and not named:
            left, right = inputs
            if right is self and np.ndim(left) == 2:
                return self._after(np.asarray(left))
            if left is self and np.ndim(right) == 2:
                return self.T._after(np.asarray(right).T).T
        arrays = (np.asarray(each) if isinstance(each, WidenedMatrix) else each for each in inputs)
        return getattr(function, method)(*arrays, **named)

    def _after(self, rows: Array) -> Array:
        """``rows @ self``."""
        count, (n_rows, n_columns) = len(rows), self.shape
        if self.held.flags.c_contiguous:
            result = np.zeros((count, n_columns))
            for some in blocks(n_rows, n_columns):
                result += rows[:, some] @ self[some]
            return result
        result = np.empty((count, n_columns))
        for some in blocks(n_columns, n_rows):
            result[:, some] = rows @ self[:, some]
        return result


def blocks(n_rows: int, n_columns: int) -> Iterator[slice]:
    """The rows of a matrix in blocks of so many that are handled at a time."""
    step = max(BLOCK_ENTRIES // max(n_columns, 1), 1)
    return (slice(begin, begin + step) for begin in range(0, n_rows, step))
