"""Types of the arrays that pass between packages, and the functions on them."""

from importlib import import_module
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import ArrayLike as ArrayLike
from numpy.typing import DTypeLike as DTypeLike

Array: TypeAlias = np.ndarray[Any, np.dtype[Any]]

#: A linear map: a dense (rows, columns) array or a ``scipy.sparse.csr_array``.
Weight: TypeAlias = Any


def namespace(array: Any) -> Any:
    """The module of the functions on an array: NumPy, or that of another array type."""
    if isinstance(array, np.ndarray):
        return np
    if hasattr(array, "__array_namespace__"):
        return array.__array_namespace__()
    return import_module("array_api_compat").array_namespace(array)  # PyTorch's have none of their own


def at_home(array: Any) -> Array:
    """An array of any kind as one of NumPy."""
    if isinstance(array, np.ndarray):
        return array
    if hasattr(array, "cpu"):  # PyTorch
        return array.cpu().numpy()
    return array.get() if hasattr(array, "get") else np.array(array)  # CuPy and others


def shuffled(parts: list[Any], random: np.random.Generator) -> Any:
    """The rows of arrays of one kind, in random order."""
    order = random.permutation(sum(part.shape[0] for part in parts))
    if isinstance(parts[0], np.ndarray):
        return np.concatenate(parts)[order]
    xp = namespace(parts[0])
    return xp.take(xp.concat(parts), xp.asarray(order, device=parts[0].device), axis=0)


def row_products(left: Any, right: Any) -> Any:
    """Inner products (..., m) of the rows of `left` (..., m, n) with those of `right` (m or 1, n) or as many."""
    if isinstance(left, np.ndarray):
        return np.einsum("...ij,...ij->...i", left, right)
    return namespace(left).sum(left * right, axis=-1)


def row_sums(array: Any) -> Any:
    """The sums (B, 1) of the rows of an array; NumPy's own function for it takes longer than the sums do."""
    if isinstance(array, np.ndarray):
        return np.add.reduce(array, axis=1, keepdims=True)
    return namespace(array).sum(array, axis=1, keepdims=True)


def columns_or_slice(columns: Array) -> Array | slice:
    """Numbers of columns, or rows, as a slice where they are consecutive, which indexes faster."""
    if columns.size and np.array_equal(columns, np.arange(columns[0], columns[0] + columns.size)):
        return slice(int(columns[0]), int(columns[0]) + columns.size)
    return columns


def stable_order(values: Any) -> Any:
    """The indices that sort values (n,), equal ones in their order."""
    return np.argsort(values, kind="stable") if isinstance(values, np.ndarray) else namespace(values).argsort(values)


class SparseRows(NamedTuple):
    """Rows in compressed form, without the checks and the cost of a SciPy matrix; it has the same attributes.

    Parameters
    ----------
    indptr : (m + 1,) int array
    indices : (nonzeros,) int array
    data : (nonzeros,) array
    """

    indptr: Array
    indices: Array
    data: Array

    @classmethod
    def of(cls, rows: Array) -> "SparseRows":
        """Dense rows (m, n) without their zeros."""
        which, columns = np.nonzero(rows)
        begins = np.searchsorted(which, np.arange(len(rows) + 1))
        return cls(begins.astype(np.int32), columns.astype(np.int32), rows[which, columns])

    @classmethod
    def stacked(cls, parts: "list[SparseRows]") -> "SparseRows":
        """The rows of several parts below each other."""
        ends = np.cumsum([0] + [part.data.size for part in parts])
        starts = [part.indptr[:-1] + end for part, end in zip(parts, ends, strict=False)]
        return cls(
            np.concatenate([*starts, ends[-1:]]).astype(np.int32),
            np.concatenate([part.indices for part in parts]).astype(np.int32),
            np.concatenate([part.data for part in parts]),
        )


class RowBlock(NamedTuple):
    """Rows of a linear program with their sides.

    Parameters
    ----------
    rows : SparseRows
    lower, upper : (m,) arrays
    """

    rows: SparseRows
    lower: Array
    upper: Array

    @classmethod
    def stacked(cls, parts: "list[RowBlock]") -> "RowBlock":
        """The rows of several parts below each other."""
        lower, upper = (np.concatenate([getattr(part, side) for part in parts]) for side in ("lower", "upper"))
        return cls(SparseRows.stacked([part.rows for part in parts]), lower, upper)
