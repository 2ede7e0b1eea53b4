"""Tensors whose elements are functions of one variable each, so that choices between them can be followed.

A comparison jumps, and what is chosen by it need not: ``where(x > 1, 1, where(x < -1, -1, x))``. As long as only
comparisons, choices, sums and products meet, the functions are kept as such, jumps and all. The first other operator
gets ReLUs in their place, or the refusal that the function is not continuous.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from math import prod

import numpy as np
from onnx import NodeProto
from scipy import sparse

from pyomo_relugrad.arrays import Array
from pyomo_relugrad.errors import UnsupportedOperatorError
from pyomo_relugrad.network.building import LARGE, Affine, HiddenLayers, affine_of, is_carried
from pyomo_relugrad.network.linear_maps import Diagonal, LinearMap
from pyomo_relugrad.readers.onnx.labels import label, node_name
from pyomo_relugrad.readers.onnx.pieces import TOLERANCE, Pieces, choose

MAX_UNITS = 4
"""An element that reads more ReLUs of one layer than this is taken as a variable of its own."""

MAX_DEPTH = 8
"""ReLUs inside ReLUs that are followed back to one variable."""


@dataclass(frozen=True, eq=False)
class OneVariable:
    """A tensor with the elements ``pieces[i](variable[i]) + rest[i]``.

    Parameters
    ----------
    shape : tuple of int
    variable : Affine
        Of the same number of elements, as a vector.
    pieces : Pieces
    rest : Affine
        Of the same number of elements, as a vector.
    origin : NodeProto
        The node that messages about jumps name.
    is_truth : bool
        Whether it is of the type bool in the file.
    """

    shape: tuple[int, ...]
    variable: Affine
    pieces: Pieces
    rest: Affine
    origin: NodeProto
    is_truth: bool = False

    def reshaped(self, shape: Sequence[int]) -> OneVariable:
        """The same elements under another shape."""
        return replace(self, shape=tuple(shape))

    def taken(self, indices: Array) -> OneVariable:
        """Elements at the given positions, see `Affine.taken`."""
        rows = indices.ravel()
        return replace(
            self,
            shape=indices.shape,
            variable=self.variable.taken(rows),
            pieces=self.pieces.taken(rows),
            rest=self.rest.taken(rows),
        )

    def broadcast(self, shape: tuple[int, ...]) -> OneVariable:
        """The tensor repeated to a shape that it broadcasts to."""
        if shape == self.shape:
            return self
        return self.taken(np.broadcast_to(np.arange(prod(self.shape)).reshape(self.shape), shape))

    def stacked(self, others: Sequence[OneVariable]) -> OneVariable:
        """The elements of this tensor, followed by those of the others, as one vector."""
        variable = self.variable.stacked([other.variable for other in others])
        return replace(
            self,
            shape=variable.shape,
            variable=variable,
            pieces=self.pieces.stacked([other.pieces for other in others]),
            rest=self.rest.stacked([other.rest for other in others]),
        )

    def settled(self, hidden: HiddenLayers) -> Affine:
        """The tensor as a piecewise-linear one: its functions are written as sums of ReLUs.

        Raises
        ------
        UnsupportedOperatorError
            If it is not continuous.
        """
        whole = next(wholes(self, hidden), None)
        variable, pieces = whole or (self.variable, self.pieces)
        if pieces.jumps(np.sqrt(variable.row_products(variable))).any():
            raise UnsupportedOperatorError(
                f"{label(self.origin)}: {self.origin.op_type} jumps where its condition changes: a function that is "
                "not continuous is not piecewise linear",
                node_name(self.origin),
                self.origin.op_type,
            )
        sums = _sum_of_relus(variable, pieces, hidden)
        return (sums if whole else sums.plus(self.rest)).reshaped(self.shape)


def lifted(tensor: Affine, origin: NodeProto) -> OneVariable:
    """An affine tensor as functions of one variable: zero, and the tensor as the rest."""
    vector = tensor.reshaped((tensor.size,))
    zero = np.zeros(tensor.size)
    return OneVariable(tensor.shape, Affine.constant(zero), Pieces.affine(zero, zero), vector, origin)


def wholes(tensor: OneVariable, hidden: HiddenLayers) -> Iterator[tuple[Affine, Pieces]]:
    """The tensor without a rest, in the ways in which the rest is a function of its variable in all elements."""
    if not tensor.rest.terms:
        zero = np.zeros(tensor.rest.size)
        yield tensor.variable, tensor.pieces.plus(Pieces.affine(zero, tensor.rest.offset))
        return
    for variable, pieces in (_resolved(tensor.rest, hidden, MAX_DEPTH), (tensor.rest, identity(tensor.rest.size))):
        met = unified(tensor.variable, tensor.pieces, variable, pieces)
        if met is not None:
            yield met[0], met[1].plus(met[2])


def combined(
    left: OneVariable, right: OneVariable, hidden: HiddenLayers, function: Callable[[Pieces, Pieces], Pieces | None]
) -> tuple[Affine, Pieces] | None:
    """A function of the elements of two tensors of one shape, or None if it is none of one variable each."""
    for variable, pieces in wholes(left, hidden):
        for other, other_pieces in wholes(right, hidden):
            met = unified(variable, pieces, other, other_pieces)
            result = None if met is None else function(met[1], met[2])
            if met is not None and result is not None:
                return met[0], result
    return None


def _resolved(tensor: Affine, hidden: HiddenLayers, depth: int) -> tuple[Affine, Pieces]:
    """Variables and functions of them that make up a vector; the vector itself where its ReLUs read several."""
    unresolved = tensor, identity(tensor.size)
    source = max(tensor.terms, default=0)
    is_followed = source and depth and hidden.layers[source - 1].activation.is_piecewise_linear
    slots = entries_by_row(tensor.terms[source]) if is_followed else None
    if slots is None:
        return unresolved
    units, weights = slots
    terms = {own: matrix for own, matrix in tensor.terms.items() if own != source}
    variable, pieces = _resolved(Affine(tensor.shape, terms, tensor.offset), hidden, depth - 1)
    before = affine_of(hidden.layers[source - 1])
    for column in range(units.shape[1]):
        inner, function = _resolved(before.taken(units[:, column]), hidden, depth - 1)
        met = unified(variable, pieces, inner, function.relu().scaled(weights[:, column]))
        if met is None:
            return unresolved
        variable, first, second = met
        pieces = first.plus(second)
    return variable, pieces


def entries_by_row(matrix: LinearMap) -> tuple[Array, Array] | None:
    """Columns (n, k) of each row's entries, -1 where a row has fewer, and the entries; None if a row has many."""
    if isinstance(matrix, Diagonal):
        columns = np.where(matrix.factors != 0.0, np.arange(matrix.factors.size), -1)
        return columns[:, None], matrix.factors[:, None]
    rows = sparse.csr_array(matrix, copy=True)
    rows.eliminate_zeros()
    counts = np.diff(rows.indptr)
    width = int(counts.max(initial=0))
    if width > MAX_UNITS:
        return None
    columns, entries = np.full((len(counts), width), -1), np.zeros((len(counts), width))
    row = np.repeat(np.arange(len(counts)), counts)
    place = np.arange(rows.nnz) - np.repeat(rows.indptr[:-1], counts)
    columns[row, place], entries[row, place] = rows.indices, rows.data
    return columns, entries


def unified(
    left: Affine, left_pieces: Pieces, right: Affine, right_pieces: Pieces
) -> tuple[Affine, Pieces, Pieces] | None:
    """Two vectors of functions with one vector of variables, or None where their variables are not multiples."""
    squares, others = left.row_products(left), right.row_products(right)
    fixed = squares == 0.0
    if fixed.any():
        rows = np.arange(left.size)
        variable = left.stacked([right]).taken(np.where(fixed, rows + left.size, rows))
        values = left_pieces.substituted(np.zeros(left.size), left.offset)
        left_pieces = choose(fixed[:, None], values, left_pieces)
        left, squares = variable, np.where(fixed, others, squares)
    scale = left.row_products(right) / np.where(squares > 0.0, squares, 1.0)
    gap = right.minus(left.scaled(scale))
    if (gap.row_products(gap) > TOLERANCE**2 * others).any():
        return None
    scale = np.where(others > 0.0, scale, 0.0)
    shift = right.offset - scale * left.offset
    return left, left_pieces, right_pieces.substituted(scale, shift)


def identity(size: int) -> Pieces:
    """The variables themselves."""
    return Pieces.affine(np.ones(size), np.zeros(size))


def _sum_of_relus(variable: Affine, pieces: Pieces, hidden: HiddenLayers) -> Affine:
    """Continuous functions as sums of ReLUs in one layer.

    They begin at the piece that is flat in most rows, so that few elements carry their variable along; not at one with
    a large constant, which the sums would have to take off again, if there is another.
    """
    used = np.isfinite(pieces.knots)
    steps = np.diff(pieces.slopes, axis=1)
    sizes = np.maximum(abs(pieces.slopes[:, :-1]), abs(pieces.slopes[:, 1:]))
    used &= abs(steps) > 1e-12 * sizes
    is_large = (abs(pieces.offsets) > LARGE).any(axis=0)
    first = int(np.lexsort(((pieces.slopes != 0.0).sum(axis=0), is_large))[0])
    bent = used.any(axis=1)
    if pieces.slopes[:, first].any() and bent.all() and not is_carried(variable):
        pivots = np.where(used, np.where(abs(pieces.knots) > LARGE, 1, 0), 2).argmin(axis=1)
        return _sum_from_knots(variable, pieces, pivots, np.where(used, steps, 0.0), hidden)
    rows, columns = np.nonzero(used)
    carried = variable.scaled(pieces.slopes[:, first]).shifted(pieces.offsets[:, first])
    if not rows.size:
        return carried
    signs = np.where(columns >= first, 1.0, -1.0)
    arguments = variable.taken(rows).shifted(-pieces.knots[rows, columns]).scaled(signs)
    table = np.full(used.shape, -1)
    table[rows, columns] = np.arange(rows.size)
    sums = hidden.relu(arguments).weighted_sums(table, np.where(used, steps, 0.0), (variable.size,))
    return carried.plus(sums)


def _sum_from_knots(variable: Affine, pieces: Pieces, pivots: Array, steps: Array, hidden: HiddenLayers) -> Affine:
    """The same, begun at one knot of each row: one ReLU more per row, and no variable that is carried along."""
    rows = np.arange(variable.size)
    places = pieces.knots[rows, pivots]
    left, _ = pieces.sides
    columns = np.arange(steps.shape[1])
    others = np.where(columns == pivots[:, None], 0.0, steps)
    own_rows, own_columns = np.nonzero(others)
    signs = np.where(own_columns > pivots[own_rows], 1.0, -1.0)
    distances = variable.shifted(-places)
    arguments = distances.stacked(
        [
            distances.scaled(np.array(-1.0)),
            variable.taken(own_rows).shifted(-pieces.knots[own_rows, own_columns]).scaled(signs),
        ]
    )
    table = np.full((variable.size, steps.shape[1] + 2), -1)
    table[:, 0], table[:, 1] = rows, variable.size + rows
    table[own_rows, own_columns + 2] = 2 * variable.size + np.arange(own_rows.size)
    slopes = np.stack([pieces.slopes[rows, pivots + 1], -pieces.slopes[rows, pivots]], axis=1)
    weights = np.concatenate([slopes, others], axis=1)
    return hidden.relu(arguments).weighted_sums(table, weights, (variable.size,)).shifted(left[rows, pivots])
