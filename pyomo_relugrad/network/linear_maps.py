"""Matrices of three kinds under one set of operations: the identity, dense arrays and CSR arrays.

Rows are what an expression's elements depend on. The identity is kept as such, because most tensors of a network are
the activation vector itself, and a map applied to it is then taken without a product or a copy.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import sparse

from pyomo_relugrad.arrays import Array, Weight
from pyomo_relugrad.errors import NetworkFileError

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


@dataclass(frozen=True)
class Identity:
    """The identity matrix of a given size."""

    size: int

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        return self.size, self.size


LinearMap = Identity | Weight


def check_entries(count: int) -> None:
    """Refuse a matrix that is too large to be made.

    Raises
    ------
    NetworkFileError
        If `count` is above `MAX_ENTRIES`.
    """
    if count > MAX_ENTRIES:
        raise NetworkFileError(
            f"it would need a matrix with {count:.3g} entries, and the reader stops at {MAX_ENTRIES:.3g}"
        )


def explicit(matrix: LinearMap) -> Weight:
    """The matrix as an array, dense or sparse, whichever suits it."""
    if isinstance(matrix, Identity):
        is_sparse = _is_sparse(matrix.size**2, matrix.size)
        return sparse.eye_array(matrix.size, format="csr") if is_sparse else np.eye(matrix.size)
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


def entry_count(matrix: LinearMap) -> int:
    """Number of stored entries."""
    if isinstance(matrix, Identity):
        return matrix.size
    return int(matrix.nnz if sparse.issparse(matrix) else matrix.size)


def product(left: Weight, right: LinearMap) -> Weight:
    """``left @ right``."""
    if isinstance(right, Identity):
        return left
    if sparse.issparse(left) and sparse.issparse(right):
        return _sparse_product(left, right)
    check_entries(left.shape[0] * right.shape[1])
    return left @ right


def _sparse_product(left: sparse.csr_array, right: sparse.csr_array) -> sparse.csr_array:
    """The product of CSR arrays, block by block where the numbers that are added up are many more than the sums."""
    terms = np.concatenate([[0], np.cumsum(np.diff(right.indptr)[left.indices], dtype=np.int64)])[left.indptr]
    if terms[-1] <= MAX_ENTRIES:
        return _csr(left @ right)
    if terms[-1] > MAX_TERMS:
        raise NetworkFileError(
            f"two linear maps without a ReLU between them would be multiplied, with {terms[-1]:.3g} products of "
            f"numbers, and the reader stops at {MAX_TERMS:.3g}: export the network with the two layers merged"
        )
    starts = np.searchsorted(terms, np.arange(0, terms[-1], MAX_ENTRIES // 8))
    ends = [*starts[1:], left.shape[0]]
    blocks, entries = [], 0
    for start, end in zip(starts, ends, strict=True):
        blocks.append(_csr(left[start:end] @ right))
        entries += blocks[-1].nnz
        check_entries(entries)
    return _csr(sparse.vstack(blocks, format="csr"))


def total(left: LinearMap, right: LinearMap) -> Weight:
    """``left + right``; sparse only if both are."""
    left, right = _array(left), _array(right)
    if sparse.issparse(left) and sparse.issparse(right):
        check_entries(left.nnz + right.nnz)
        return _csr(left + right)
    check_entries(left.shape[0] * left.shape[1])
    return np.asarray(left + right)


def scaled_rows(factors: Array, matrix: LinearMap) -> LinearMap:
    """``diag(factors) @ matrix``."""
    if isinstance(matrix, Identity):
        return _csr(sparse.diags_array(factors))
    if sparse.issparse(matrix):
        repeats = np.repeat(factors, np.diff(matrix.indptr))
        return _csr(sparse.csr_array((matrix.data * repeats, matrix.indices, matrix.indptr), shape=matrix.shape))
    return matrix * factors[:, None]


def taken_rows(indices: Array, matrix: LinearMap) -> Weight:
    """Row ``indices[i]`` of `matrix` as row ``i``; a row of zeros where the index is negative."""
    kept = indices >= 0
    if isinstance(matrix, Identity):
        starts = np.concatenate([[0], np.cumsum(kept)])
        return sparse.csr_array((np.ones(starts[-1]), indices[kept], starts), shape=(indices.size, matrix.size))
    if sparse.issparse(matrix):
        check_entries(int(np.diff(matrix.indptr)[indices[kept]].sum(dtype=np.int64)))
        if kept.all():
            return _csr(matrix[indices])
        return _csr(product(taken_rows(indices, Identity(matrix.shape[0])), matrix))
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


def row_sizes(matrix: LinearMap) -> Array:
    """Sums of the absolute values of each row."""
    return np.ones(matrix.size) if isinstance(matrix, Identity) else np.asarray(abs(matrix).sum(axis=1)).ravel()


def stacked(matrices: list[LinearMap]) -> Weight:
    """Matrices above one another."""
    arrays = [_array(matrix) for matrix in matrices]
    if len(arrays) == 1:
        return arrays[0]
    check_entries(sum(entry_count(array) for array in arrays))
    if any(sparse.issparse(array) for array in arrays):
        return _csr(sparse.vstack(arrays, format="csr"))
    return np.concatenate(arrays)


def is_nonnegative(matrix: LinearMap) -> bool:
    """Whether no entry is negative."""
    if isinstance(matrix, Identity):
        return True
    entries = matrix.data if sparse.issparse(matrix) else matrix
    if entries.size == 0:
        return True
    return bool(entries[0].min() >= 0) and bool(entries.min() >= 0)


def _array(matrix: LinearMap) -> Weight:
    return sparse.eye_array(matrix.size, format="csr") if isinstance(matrix, Identity) else matrix


def _csr(matrix: sparse.sparray) -> sparse.csr_array:
    return sparse.csr_array(matrix)
