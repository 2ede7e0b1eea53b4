"""A tensor as an affine function of a network's input and hidden activations."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

import numpy as np
from scipy import sparse

from pyomo_relugrad.arrays import Array, Weight
from pyomo_relugrad.network import linear_maps
from pyomo_relugrad.network.linear_maps import Diagonal, LinearMap

NO_LIMIT = 1e20
"""Constants of at least this size stand for infinity, as in mixed-integer solvers: no variable reaches them."""

_REACH = 1e10
"""Larger values of the network's input and of its ReLUs are not foreseen."""


@dataclass(frozen=True, eq=False)
class Affine:
    """A tensor whose elements are affine in the activation vectors: ``sum_s terms[s] @ h_s + offset``, row-major.

    Parameters
    ----------
    shape : tuple of int
    terms : dict of int to (size, n_s) matrices
        By source: 0 is the network's input, ``k`` the activation of its ``k``-th hidden layer.
    offset : (size,) array
    """

    shape: tuple[int, ...]
    terms: dict[int, LinearMap]
    offset: Array

    @classmethod
    def variable(cls, source: int, shape: tuple[int, ...]) -> Affine:
        """The activation vector of a source itself."""
        size = prod(shape)
        return cls(shape, {source: Diagonal(np.ones(size))}, np.zeros(size))

    @classmethod
    def constant(cls, values: Array) -> Affine:
        """A tensor that depends on nothing."""
        return cls(values.shape, {}, values.ravel())

    @property
    def size(self) -> int:
        """Number of elements."""
        return int(self.offset.size)

    @property
    def entry_count(self) -> int:
        """Number of stored coefficients."""
        return sum(linear_maps.entry_count(matrix) for matrix in self.terms.values())

    def reshaped(self, shape: Sequence[int]) -> Affine:
        """The same elements under another shape."""
        return Affine(tuple(shape), self.terms, self.offset)

    def elements(self, mask: Array) -> Affine:
        """The elements (row-major) where the mask holds, as a vector."""
        return self.reshaped((self.size,)).taken(np.flatnonzero(mask))

    def mapped(self, matrix: Weight, shape: Sequence[int]) -> Affine:
        """``matrix @ self`` as a tensor of the given shape."""
        terms = {source: linear_maps.product(matrix, own) for source, own in self.terms.items()}
        return Affine(tuple(shape), terms, np.asarray(matrix @ self.offset))

    def weighted_sums(self, indices: Array, weights: Array | float, shape: Sequence[int]) -> Affine:
        """Element ``i`` of the result is ``sum_k weights[i, k] * self[indices[i, k]]``.

        `indices` is (n, K), negative where there is nothing to add; `weights` broadcasts against it.
        """
        rows, terms = indices.shape
        linear_maps.check_entries(indices.size)
        data = np.where(indices >= 0, weights, 0.0).ravel()
        columns = np.maximum(indices, 0).astype(np.int32).ravel()
        starts = np.arange(rows + 1, dtype=np.int32) * np.int32(terms)
        matrix = sparse.csr_array((data, columns, starts), shape=(rows, self.size))
        matrix.eliminate_zeros()  # first: the padding's positions are what is out of order
        matrix.sum_duplicates()
        return self.mapped(matrix, shape)

    def taken(self, indices: Array) -> Affine:
        """Elements `indices` (any shape, row-major positions) of the tensor; zero where the index is negative."""
        flat = indices.ravel()
        if np.array_equal(flat, np.arange(self.size)):
            return self.reshaped(indices.shape)
        terms = {source: linear_maps.taken_rows(flat, own) for source, own in self.terms.items()}
        terms = {source: matrix for source, matrix in terms.items() if linear_maps.entry_count(matrix)}
        offset = np.where(flat >= 0, self.offset[flat], 0.0)
        return Affine(indices.shape, terms, offset)

    def broadcast(self, shape: tuple[int, ...]) -> Affine:
        """The tensor repeated to a shape that it broadcasts to."""
        if shape == self.shape:
            return self
        linear_maps.check_entries(prod(shape))
        return self.taken(np.broadcast_to(np.arange(self.size).reshape(self.shape), shape))

    def shifted(self, constant: Array) -> Affine:
        """The tensor plus a constant; both broadcast."""
        shape = np.broadcast_shapes(self.shape, constant.shape)
        own = self.broadcast(shape)
        return Affine(shape, own.terms, own.offset + np.broadcast_to(constant, shape).ravel())

    def scaled(self, factor: Array) -> Affine:
        """The tensor times a constant, element by element; both broadcast."""
        shape = np.broadcast_shapes(self.shape, factor.shape)
        own = self.broadcast(shape)
        factors = np.broadcast_to(factor, shape).ravel()
        if (factors == 1.0).all():
            return own
        terms = {source: linear_maps.scaled_rows(factors, matrix) for source, matrix in own.terms.items()}
        return Affine(shape, terms, own.offset * factors)

    def plus(self, other: Affine) -> Affine:
        """The sum of two tensors; both broadcast."""
        shape = np.broadcast_shapes(self.shape, other.shape)
        left, right = self.broadcast(shape), other.broadcast(shape)
        terms = dict(left.terms)
        for source, matrix in right.terms.items():
            terms[source] = linear_maps.total(terms[source], matrix) if source in terms else matrix
        return Affine(shape, terms, left.offset + right.offset)

    def minus(self, other: Affine) -> Affine:
        """The difference of two tensors; both broadcast."""
        return self.plus(other.scaled(np.array(-1.0)))

    def row_products(self, other: Affine) -> Array:
        """Inner products (size,) of the coefficients, offsets not included, of the elements of two tensors."""
        result = np.zeros(self.size)
        for source, matrix in self.terms.items():
            if source in other.terms:
                result = result + linear_maps.row_products(matrix, other.terms[source])
        return result

    def stacked(self, others: Sequence[Affine]) -> Affine:
        """The elements of this tensor, followed by those of the others, as one vector."""
        tensors = [self, *others]
        sources = sorted({source for tensor in tensors for source in tensor.terms})
        terms: dict[int, LinearMap] = {}
        for source in sources:
            width = next(tensor.terms[source].shape[1] for tensor in tensors if source in tensor.terms)
            empty = [sparse.csr_array((tensor.size, width)) for tensor in tensors]
            blocks = [tensor.terms.get(source, zero) for tensor, zero in zip(tensors, empty, strict=True)]
            terms[source] = linear_maps.stacked(blocks)
        offset = np.concatenate([tensor.offset for tensor in tensors])
        return Affine((offset.size,), terms, offset)

    @property
    def row_sizes(self) -> Array:
        """(size,) sums of the absolute values of each element's coefficients."""
        return sum((linear_maps.row_sizes(matrix) for matrix in self.terms.values()), np.zeros(self.size))


def either(mask: Array, chosen: Affine, other: Affine) -> Affine:
    """The vector with the elements of `chosen`, one after the other, where the mask holds, and of `other` elsewhere."""
    positions = np.where(mask, np.cumsum(mask) - 1, chosen.size + np.cumsum(~mask) - 1)
    return chosen.stacked([other]).taken(positions)


def stands_for_infinity(constants: Array, *tensors: Affine) -> Array:
    """Which constants (size,) no element of the tensors beside them reaches: infinite ones, and very large ones."""
    sizes = abs(constants)
    unreached = sizes >= NO_LIMIT
    if unreached.any():
        unreached = unreached & (_REACH * sum(tensor.row_sizes for tensor in tensors) <= sizes)
    return np.asarray(unreached)
