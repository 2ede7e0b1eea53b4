"""What is computed together: operations of one kind, over the rows of an array of (nodes, B)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Self, TypeAlias

import numpy as np
import scipy.sparse as sp

from pyomo_relugrad.arrays import Array
from pyomo_relugrad.expression.contraction import Range, argument_within, factor_within, terms_within
from pyomo_relugrad.expression.envelope import ROUNDING_UNITS, downward, function_lines, function_range, outward
from pyomo_relugrad.expression.functions import Function
from pyomo_relugrad.expression.products import product_planes, product_range

#: How a gradient is multiplied by a slope.
Times: TypeAlias = Callable[[Array, Array], Array]


@dataclass(frozen=True, eq=False)
class Selection:
    """Some rows of an array of (nodes, ...), possibly the same row more than once.

    Parameters
    ----------
    index : slice or int array
    repeated : csr_array or None
        Where rows repeat, the matrix of (nodes, rows) that adds each to its place.
    """

    index: slice | Array
    repeated: sp.csr_array | None

    @classmethod
    def of(cls, numbers: Sequence[int] | Array, n_nodes: int) -> Selection:
        """The rows of the given numbers."""
        index, n = np.array(numbers, dtype=np.intp), len(numbers)
        if (np.diff(index) == 1).all():
            return cls(slice(int(index[0]), int(index[0]) + n), None) if n else cls(index, None)
        if np.unique(index).size == n:
            return cls(index, None)
        return cls(index, sp.csr_array((np.ones(n), (index, np.arange(n))), shape=(n_nodes, n)))

    def take(self, values: Array) -> Array:
        """The rows."""
        return values[self.index]

    def add(self, values: Array, terms: Array) -> None:
        """Add terms to the rows, in place."""
        if self.repeated is None:
            values[self.index] += terms
        else:
            values += (self.repeated @ terms.reshape(len(terms), -1)).reshape(values.shape)

    def narrow(self, lower: Array, upper: Array, found: Range) -> None:
        """Narrow the ranges of the rows, in place, to what they have in common with others."""
        if self.repeated is None:
            lower[self.index] = np.maximum(lower[self.index], found[0])
            upper[self.index] = np.minimum(upper[self.index], found[1])
        else:
            assert not isinstance(self.index, slice)
            np.maximum.at(lower, self.index, found[0])
            np.minimum.at(upper, self.index, found[1])


class Slopes(NamedTuple):
    """The slopes of planes below and above some nodes in one of their arguments.

    Parameters
    ----------
    argument : Selection
    owners : slice or int array
        The node of the step that each row belongs to.
    lower, upper : (rows, B) or (rows, 1) arrays
    """

    argument: Selection
    owners: slice | Array
    lower: Array
    upper: Array


class Planes(NamedTuple):
    """Linear functions of their arguments below and above the nodes of a step; infinite offsets where there are none.

    Parameters
    ----------
    slopes : tuple of Slopes
    lower, upper : (rows, B) or (rows, 1) arrays
        The offsets.
    """

    slopes: tuple[Slopes, ...]
    lower: Array
    upper: Array


#: Every node of a step, in order.
EACH = slice(None)


@dataclass(frozen=True, eq=False)
class TermGroups:
    """Nodes with some terms each that are computed together: the terms of one after those of the other.

    Parameters
    ----------
    rows : slice
        Where their values are.
    terms : Selection
    starts : (nodes,) int array
        Where the terms of each begin.
    owners : (t,) int array
        The node that each term belongs to.
    constants : (nodes, 1) array
    """

    rows: slice
    terms: Selection
    starts: Array
    owners: Array
    constants: Array

    @classmethod
    def of(cls, rows: slice, terms: Sequence[Array], constants: Sequence[float], n_nodes: int, **others: Array) -> Self:
        """The nodes of terms that are given by their rows."""
        lengths = np.array([len(each) for each in terms])
        starts, owners = np.concatenate([[0], np.cumsum(lengths)[:-1]]), np.repeat(np.arange(lengths.size), lengths)
        selection = Selection.of(np.concatenate(terms), n_nodes)
        return cls(rows, selection, starts, owners, np.array(constants)[:, None], **others)

    def _sum(self, terms: Array) -> Array:
        """For each node the sum of what stands for its terms."""
        return np.add.reduceat(terms, self.starts, axis=0)


@dataclass(frozen=True, eq=False)
class Sums(TermGroups):
    """Weighted sums.

    Parameters
    ----------
    weights : (t, 1) array
    """

    weights: Array

    def evaluate(self, values: Array) -> None:
        """Write the values of the sums, given those of their terms."""
        if self.weights.size == 0:
            values[self.rows] = self.constants
            return
        totals = self._sum(self.terms.take(values) * self.weights)
        np.add(totals, self.constants, out=values[self.rows], casting="same_kind")

    def pull_back(self, values: Array, gradient: Array, times: Times) -> None:
        """Add to the gradient of the terms what that of the sums says."""
        if self.weights.size:
            self.terms.add(gradient, times(gradient[self.rows][self.owners], self.weights[:, :, None]))

    def enclose(self, lower: Array, upper: Array) -> None:
        """Write the ranges of the sums, given those of their terms."""
        low, high = np.broadcast_to(self.constants, lower[self.rows].shape), self.constants
        if self.weights.size:
            ends = self.terms.take(lower) * self.weights, self.terms.take(upper) * self.weights
            low = self._below(np.minimum(*ends), self.constants)
            high = -self._below(-np.maximum(*ends), -self.constants)
        lower[self.rows], upper[self.rows] = low, high

    def _below(self, terms: Array, constants: Array) -> Array:
        """Sums of terms, rounded downward."""
        sums, sizes = self._sum(terms), self._sum(np.abs(terms))
        return downward(sums + constants, (sizes + np.abs(constants)) * (1 + self.weights.size / ROUNDING_UNITS))

    def contract(self, lower: Array, upper: Array) -> None:
        """Narrow the ranges of the terms by those of the sums."""
        if self.weights.size == 0:
            return
        low, high = downward(lower[self.rows] - self.constants), -downward(self.constants - upper[self.rows])
        ends = self.terms.take(lower) * self.weights, self.terms.take(upper) * self.weights
        ranges = (low[self.owners], high[self.owners]), (np.minimum(*ends), np.maximum(*ends))
        found = terms_within(*ranges, lambda terms: self._sum(terms)[self.owners])
        ends = found[0] / self.weights, found[1] / self.weights
        self.terms.narrow(lower, upper, outward(np.minimum(*ends), np.maximum(*ends)))

    def relax(self, lower: Array, upper: Array, at: Array) -> Planes:
        """The sums themselves."""
        return Planes((Slopes(self.terms, self.owners, self.weights, self.weights),), self.constants, self.constants)


@dataclass(frozen=True, eq=False)
class Products:
    """Products of two factors that are computed together."""

    rows: slice
    left: Selection
    right: Selection

    def evaluate(self, values: Array) -> None:
        """Write the values of the products, given those of their factors."""
        np.multiply(self.left.take(values), self.right.take(values), out=values[self.rows])

    def pull_back(self, values: Array, gradient: Array, times: Times) -> None:
        """Add to the gradient of the factors what that of the products says."""
        own = gradient[self.rows]
        self.left.add(gradient, times(own, self.right.take(values)[:, None]))
        self.right.add(gradient, times(own, self.left.take(values)[:, None]))

    def enclose(self, lower: Array, upper: Array) -> None:
        """Write the ranges of the products, given those of their factors."""
        lower[self.rows], upper[self.rows] = product_range(*self._ranges(lower, upper))

    def contract(self, lower: Array, upper: Array) -> None:
        """Narrow the ranges of the factors by those of the products."""
        product = lower[self.rows], upper[self.rows]
        for own, other in ((self.left, self.right), (self.right, self.left)):
            ranges = [(side.take(lower), side.take(upper)) for side in (own, other)]
            own.narrow(lower, upper, factor_within(product, *ranges))

    def relax(self, lower: Array, upper: Array, at: Array) -> Planes:
        """McCormick's planes, those that are best at the given values of the factors."""
        ranges = self._ranges(lower, upper)
        below, above = product_planes(*ranges, self.left.take(at), self.right.take(at))
        left, right = (Slopes(side, EACH, below[i], above[i]) for i, side in enumerate((self.left, self.right)))
        return Planes((left, right), below[2], above[2])

    def _ranges(self, lower: Array, upper: Array) -> tuple[Array, Array, Array, Array]:
        return self.left.take(lower), self.left.take(upper), self.right.take(lower), self.right.take(upper)


@dataclass(frozen=True, eq=False)
class Applications:
    """Applications of one function that are computed together."""

    rows: slice
    function: Function
    argument: Selection

    def evaluate(self, values: Array) -> None:
        """Write the values of the function, given those of its arguments."""
        values[self.rows] = self.function.value(self.argument.take(values))

    def pull_back(self, values: Array, gradient: Array, times: Times) -> None:
        """Add to the gradient of the arguments what that of the function's values says."""
        slope = self.function.slope(self.argument.take(values))
        self.argument.add(gradient, times(gradient[self.rows], slope[:, None]))

    def enclose(self, lower: Array, upper: Array) -> None:
        """Write the ranges of the function, given those of its arguments."""
        ends = self.argument.take(lower), self.argument.take(upper)
        lower[self.rows], upper[self.rows] = function_range(self.function, *ends)

    def contract(self, lower: Array, upper: Array) -> None:
        """Narrow the ranges of the arguments by those of the function's values, and to where it is defined."""
        argument = self.argument.take(lower), self.argument.take(upper)
        found = argument_within(self.function, (lower[self.rows], upper[self.rows]), argument)
        self.argument.narrow(lower, upper, found)

    def relax(self, lower: Array, upper: Array, at: Array) -> Planes:
        """The lines that are best at the given values of the arguments."""
        ends = self.argument.take(lower), self.argument.take(upper)
        lines = function_lines(self.function, *ends, self.argument.take(at))
        slopes = Slopes(self.argument, EACH, lines.lower_slope, lines.upper_slope)
        return Planes((slopes,), lines.lower_offset, lines.upper_offset)
