"""The order in which an expression is evaluated: operations of one kind that need one another not, together.

The values of B points are one array of (nodes, B), so that what is computed together is a block of its rows.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import TypeAlias

import numpy as np
import scipy.sparse as sp

from pyomo_relugrad.arrays import Array
from pyomo_relugrad.expression.functions import Function
from pyomo_relugrad.expression.operations import Application, Multiplication, Operation, WeightedSum

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


@dataclass(frozen=True, eq=False)
class Sums:
    """Weighted sums that are computed together: the terms of one after those of the other.

    Parameters
    ----------
    rows : slice
        Where their values are.
    terms : Selection
    weights : (t, 1) array
    starts : (sums,) int array
        Where the terms of each begin.
    owners : (t,) int array
        The sum that each term belongs to.
    constants : (sums, 1) array
    """

    rows: slice
    terms: Selection
    weights: Array
    starts: Array
    owners: Array
    constants: Array

    def evaluate(self, values: Array) -> None:
        """Write the values of the sums, given those of their terms."""
        if self.weights.size == 0:
            values[self.rows] = self.constants
            return
        totals = np.add.reduceat(self.terms.take(values) * self.weights, self.starts, axis=0)
        np.add(totals, self.constants, out=values[self.rows], casting="same_kind")

    def pull_back(self, values: Array, gradient: Array, times: Times) -> None:
        """Add to the gradient of the terms what that of the sums says."""
        if self.weights.size:
            self.terms.add(gradient, times(gradient[self.rows][self.owners], self.weights[:, :, None]))


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


Step: TypeAlias = Sums | Products | Applications


@dataclass(frozen=True, eq=False)
class Schedule:
    """An expression as steps over an array of (nodes, B).

    Parameters
    ----------
    n_inputs, n_nodes : int
        The first rows are the inputs.
    steps : tuple of steps
    outputs : Selection
        The rows of the outputs.
    """

    n_inputs: int
    n_nodes: int
    steps: tuple[Step, ...]
    outputs: Selection

    @classmethod
    def of(cls, n_inputs: int, operations: Sequence[Operation], outputs: Sequence[int]) -> Schedule:
        """The schedule of the operations of an expression."""
        depths = [0] * n_inputs
        for operation in operations:
            depths.append(1 + max((depths[argument] for argument in operation.arguments), default=-1))

        def together(number: int) -> tuple[int, str, str]:
            operation = operations[number]
            function = repr(operation.function) if isinstance(operation, Application) else ""
            return depths[n_inputs + number], type(operation).__name__, function

        order = sorted(range(len(operations)), key=together)
        rows = np.arange(n_inputs + len(operations))
        rows[n_inputs + np.array(order, dtype=np.intp)] = n_inputs + np.arange(len(order))
        steps, start = [], n_inputs
        for _, group in groupby(order, key=together):
            members = [operations[number] for number in group]
            steps.append(_step(members, start, rows))
            start += len(members)
        return cls(n_inputs, rows.size, tuple(steps), Selection.of(rows[list(outputs)], rows.size))

    def evaluate(self, points: Array) -> Array:
        """The values of all nodes at B points, (nodes, B); warnings are the caller's."""
        dtype = points.dtype if np.issubdtype(points.dtype, np.floating) else np.float64
        values = np.empty((self.n_nodes, len(points)), dtype=dtype)
        values[: self.n_inputs] = points.T
        for step in self.steps:
            step.evaluate(values)
        return values

    def pull_back(self, values: Array, gradient: Array) -> Array:
        """The gradient of the inputs, (inputs, K, B), for K gradients of the outputs, (outputs, K, B)."""
        pulled = self._pulled(values, gradient, np.multiply)
        if np.isfinite(pulled).all():
            return pulled
        return self._pulled(values, gradient, _no_zero_times_infinity)

    def _pulled(self, values: Array, gradient: Array, times: Times) -> Array:
        every = np.zeros((self.n_nodes, *gradient.shape[1:]), dtype=values.dtype)
        self.outputs.add(every, gradient)
        for step in reversed(self.steps):
            step.pull_back(values, every, times)
        return every[: self.n_inputs]


def _no_zero_times_infinity(gradient: Array, slope: Array) -> Array:
    """The product; zero where the gradient is, for what an output does not read does not touch its derivatives."""
    return np.where(gradient == 0, 0, gradient * slope)


def _step(members: Sequence[Operation], start: int, rows: Array) -> Step:
    """The step that computes operations of one kind into rows from `start` on."""
    own, n_nodes = slice(start, start + len(members)), rows.size
    first = members[0]
    if isinstance(first, Application):
        arguments = [rows[member.argument] for member in members if isinstance(member, Application)]
        return Applications(own, first.function, Selection.of(arguments, n_nodes))
    if isinstance(first, Multiplication):
        products = [member for member in members if isinstance(member, Multiplication)]
        left = Selection.of([rows[member.left] for member in products], n_nodes)
        return Products(own, left, Selection.of([rows[member.right] for member in products], n_nodes))
    sums = [member for member in members if isinstance(member, WeightedSum)]
    return _sums(sums, own, rows)


def _sums(members: Sequence[WeightedSum], own: slice, rows: Array) -> Sums:
    """Weighted sums in one step; either all of them have terms, or none: constants are a step of their own."""
    lengths = np.array([len(member.terms) for member in members])
    terms = [rows[term] for member in members for term in member.terms]
    weights = np.array([weight for member in members for weight in member.weights])
    constants = np.array([member.constant for member in members])
    starts = np.concatenate([[0], np.cumsum(lengths)[:-1]])
    owners = np.repeat(np.arange(len(members)), lengths)
    return Sums(own, Selection.of(terms, rows.size), weights[:, None], starts, owners, constants[:, None])
