"""Matrices of three kinds under one set of operations: diagonal ones, dense arrays and CSR arrays.

Rows are what an expression's elements depend on. Diagonal matrices are kept as such, because most tensors of a network
are the activation vector itself or a multiple of it, and a map applied to them is then taken without a product.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from math import prod

import numpy as np
from scipy import sparse

from pyomo_relugrad.arrays import Array, Weight, namespace
from pyomo_relugrad.errors import NetworkFileError
from pyomo_relugrad.network.widened import MIN_ENTRIES, WidenedMatrix, blocks

MAX_ENTRIES = 2**27
"""Most entries that one matrix may have (1 GB of float64): beyond, a file is refused before the memory is asked for."""

MAX_TERMS = 2**31
"""Most products of two numbers that a product of sparse matrices may take (some ten seconds)."""

SPARSE_SIZE, SPARSE_DENSITY = 50_000, 0.1
LARGE_SIZE, LARGE_DENSITY = 2**20, 0.25
"""A layer's matrix of at least one of these sizes and at most the density that goes with it is kept as CSR.

At the first density, products with batches of 1 to 256 rows in both directions are as fast as dense ones, and below
that size they are slower at any density. Large matrices are kept sparse for their memory up to the second.
"""

FEW_ROWS, FEW_ENTRIES = 2, 2**20
"""Rows, and entries of a matrix, up to which BLAS multiplies equally fast whichever way the matrix lies."""


@dataclass(frozen=True, eq=False)
class Diagonal:
    """A square matrix that is zero but for its diagonal.

    Parameters
    ----------
    factors : (n,) array
        The diagonal.
    """

    factors: Array

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        return self.factors.size, self.factors.size


LinearMap = Diagonal | Weight


def check_entries(count: int, max_entries: int = MAX_ENTRIES) -> None:
    """Refuse a matrix that is too large to be made.

    Raises
    ------
    NetworkFileError
        If `count` is above `max_entries`.
    """
    if count > max_entries:
        raise NetworkFileError(
            f"it would need a matrix with {count:.3g} entries, and the reader stops at {max_entries:.3g}"
        )


def explicit(matrix: LinearMap) -> Weight:
    """The matrix as an array, dense or sparse, whichever suits it."""
    if isinstance(matrix, Diagonal):
        size = matrix.factors.size
        return _array(matrix) if _is_sparse(size**2, size) else np.diag(matrix.factors)
    if sparse.issparse(matrix):
        rows, columns = matrix.shape
        if _is_sparse(rows * columns, matrix.nnz):
            return matrix
        check_entries(rows * columns)
        return matrix.toarray()
    return sparse.csr_array(matrix) if _is_sparse(matrix.size, int(np.count_nonzero(matrix))) else matrix


def _is_sparse(size: int, nonzeros: int) -> bool:
    """Whether a matrix of `size` entries is better kept as CSR."""
    if size >= LARGE_SIZE and nonzeros <= LARGE_DENSITY * size:
        return True
    return size >= SPARSE_SIZE and nonzeros <= SPARSE_DENSITY * size


def dense(matrix: Weight) -> Array:
    """The matrix as a dense array."""
    return matrix.toarray() if sparse.issparse(matrix) else np.asarray(matrix)


def entries(matrix: Weight) -> Array:
    """The stored entries, as they are held."""
    if sparse.issparse(matrix):
        return matrix.data
    return matrix.held if isinstance(matrix, WidenedMatrix) else matrix


def row_blocks(matrix: Weight) -> Iterator[tuple[slice, Weight]]:
    """A few rows at a time, with their place, so that what is made of them takes little memory; CSR arrays as a whole.

    Dense rows are arrays.
    """
    if sparse.issparse(matrix):
        yield slice(None), matrix
        return
    for rows in blocks(*matrix.shape):
        yield rows, matrix[rows]


def entry_count(matrix: LinearMap) -> int:
    """Number of stored entries."""
    if isinstance(matrix, Diagonal):
        return int(matrix.factors.size)
    return int(matrix.nnz if sparse.issparse(matrix) else matrix.size)


def applied(rows: Array, matrix: Weight) -> Array:
    """``rows @ matrix`` along the last axis of `rows`, whatever the number of axes."""
    if rows.ndim == 2:
        return rows @ matrix
    *batch, width = rows.shape
    reshape = namespace(rows).reshape
    return reshape(reshape(rows, (prod(batch), width)) @ matrix, (*batch, matrix.shape[1]))


class Transposed:
    """The transpose of a matrix, for products of rows with it.

    With some rows BLAS is up to several times as fast where the transpose's own rows lie together. So in float32, in
    which points descend for hundreds of steps, a small one is copied; in products with a large one the rows are.

    Parameters
    ----------
    matrix : (m, n) array or ``scipy.sparse.csr_array``
    """

    def __init__(self, matrix: Weight) -> None:
        self._matrix = matrix
        self._is_quick = not isinstance(matrix, np.ndarray) or matrix.dtype != np.float32
        is_copied = not self._is_quick and matrix.size < MIN_ENTRIES
        self._copy = np.ascontiguousarray(matrix.T) if is_copied else None

    def after(self, rows: Array) -> Array:
        """``rows @ matrix.T`` along the last axis of `rows`."""
        matrix = self._matrix
        if self._is_quick or rows.ndim != 2 or (len(rows) <= FEW_ROWS and matrix.size <= FEW_ENTRIES):
            return applied(rows, matrix.T)
        if self._copy is not None:
            return rows @ self._copy
        return np.ascontiguousarray((matrix @ np.ascontiguousarray(rows.T)).T)


def product(left: Weight, right: LinearMap, max_entries: int = MAX_ENTRIES, max_terms: int = MAX_TERMS) -> Weight:
    """``left @ right``, if it has no more entries, and needs no more products of numbers, than that."""
    if isinstance(right, Diagonal):
        return _scaled_columns(left, right.factors)
    if sparse.issparse(left) and sparse.issparse(right):
        return _sparse_product(left, right, max_entries, max_terms)
    check_entries(left.shape[0] * right.shape[1], max_entries)
    return (dense(left) if sparse.issparse(right) else left) @ right


def _scaled_columns(matrix: Weight, factors: Array) -> Weight:
    """``matrix @ diag(factors)``; the matrix itself where all factors are one."""
    if (factors == 1.0).all():
        return matrix
    if sparse.issparse(matrix):
        return sparse.csr_array((matrix.data * factors[matrix.indices], matrix.indices, matrix.indptr), matrix.shape)
    return matrix * factors


def _sparse_product(
    left: sparse.csr_array, right: sparse.csr_array, max_entries: int, max_terms: int
) -> sparse.csr_array:
    """The product of CSR arrays, block by block where the numbers that are added up are many more than the sums."""
    terms = np.concatenate([[0], np.cumsum(np.diff(right.indptr)[left.indices], dtype=np.int64)])[left.indptr]
    if terms[-1] <= max_entries:
        return sparse.csr_array(left @ right)
    if terms[-1] > max_terms:
        raise NetworkFileError(
            f"two linear maps without a ReLU between them would be multiplied, with {terms[-1]:.3g} products of "
            f"numbers, and the reader stops at {max_terms:.3g}: export the network with the two layers merged"
        )
    starts = np.searchsorted(terms, np.arange(0, terms[-1], max_entries // 8))
    ends = [*starts[1:], left.shape[0]]
    blocks, entries = [], 0
    for start, end in zip(starts, ends, strict=True):
        blocks.append(sparse.csr_array(left[start:end] @ right))
        entries += blocks[-1].nnz
        check_entries(entries, max_entries)
    return sparse.csr_array(sparse.vstack(blocks, format="csr"))


def total(left: LinearMap, right: LinearMap) -> Weight:
    """``left + right``; sparse only if both are."""
    left, right = _array(left), _array(right)
    if sparse.issparse(left) and sparse.issparse(right):
        check_entries(left.nnz + right.nnz)
        return sparse.csr_array(left + right)
    check_entries(left.shape[0] * left.shape[1])
    return np.asarray(left + right)


def scaled_rows(factors: Array, matrix: LinearMap) -> LinearMap:
    """``diag(factors) @ matrix``."""
    if isinstance(matrix, Diagonal):
        return Diagonal(factors * matrix.factors)
    if sparse.issparse(matrix):
        data = matrix.data * np.repeat(factors, np.diff(matrix.indptr))
        return sparse.csr_array((data, matrix.indices, matrix.indptr), matrix.shape)
    return matrix * factors[:, None]


def taken_rows(indices: Array, matrix: LinearMap) -> Weight:
    """Row ``indices[i]`` of `matrix` as row ``i``; a row of zeros where the index is negative."""
    kept = indices >= 0
    if isinstance(matrix, Diagonal):
        starts, columns = np.concatenate([[0], np.cumsum(kept)]), indices[kept]
        return sparse.csr_array((matrix.factors[columns], columns, starts), (indices.size, matrix.factors.size))
    if sparse.issparse(matrix):
        check_entries(int(np.diff(matrix.indptr)[indices[kept]].sum(dtype=np.int64)))
        if kept.all():
            return sparse.csr_array(matrix[indices])
        return sparse.csr_array(product(taken_rows(indices, Diagonal(np.ones(matrix.shape[0]))), matrix))
    check_entries(indices.size * matrix.shape[1])
    result = matrix[indices]
    result[~kept] = 0.0
    return result


def row_products(left: LinearMap, right: LinearMap) -> Array:
    """Inner products of the rows of `left` with those of `right`."""
    left, right = _array(left), _array(right)
    if sparse.issparse(left) or sparse.issparse(right):
        return np.asarray(sparse.csr_array(left).multiply(right).sum(axis=1)).ravel()
    return np.einsum("ij,ij->i", left, right)


def row_norms(matrix: Weight) -> Array:
    """Euclidean norms of the rows."""
    return np.sqrt(np.concatenate([np.zeros(0), *(row_products(rows, rows) for _, rows in row_blocks(matrix))]))


def row_sizes(matrix: LinearMap, columns: Array | None = None) -> Array:
    """Sums of the absolute values of each row, of a number for each column."""
    if isinstance(matrix, Diagonal):
        return abs(matrix.factors) if columns is None else abs(matrix.factors) * columns
    return np.asarray(abs(matrix).sum(axis=1) if columns is None else abs(matrix) @ columns).ravel()


def stacked(matrices: list[LinearMap]) -> Weight:
    """Matrices above one another."""
    arrays = [_array(matrix) for matrix in matrices]
    if len(arrays) == 1:
        return arrays[0]
    check_entries(sum(entry_count(array) for array in arrays))
    if any(sparse.issparse(array) for array in arrays):
        return sparse.csr_array(sparse.vstack(arrays, format="csr"))
    return np.concatenate(arrays)


def is_nonnegative(matrix: LinearMap) -> bool:
    """Whether no entry is negative."""
    if isinstance(matrix, Diagonal):
        return bool((matrix.factors >= 0).all())
    stored = entries(matrix)
    if stored.size == 0:
        return True
    return bool(stored[0].min() >= 0) and bool(stored.min() >= 0)


def _array(matrix: LinearMap) -> Weight:
    return sparse.csr_array(sparse.diags_array(matrix.factors)) if isinstance(matrix, Diagonal) else matrix
