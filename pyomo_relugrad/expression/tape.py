"""The order in which an expression is evaluated: operations of one kind that do not need each other, together.

The values of B points are one array of (nodes, B), so that what is computed together is a block of its rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import TypeAlias

import numpy as np

from pyomo_relugrad.arrays import Array
from pyomo_relugrad.expression.norms import Norms
from pyomo_relugrad.expression.operations import Application, Multiplication, Norm, Operation, WeightedSum, arguments_of
from pyomo_relugrad.expression.steps import Applications, Products, Selection, Sums, Times

TapeStep: TypeAlias = Sums | Products | Applications | Norms


@dataclass(frozen=True, eq=False)
class Tape:
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
    steps: tuple[TapeStep, ...]
    outputs: Selection

    @classmethod
    def of(cls, n_inputs: int, operations: Sequence[Operation], outputs: Sequence[int]) -> Tape:
        """The tape of the operations of an expression."""
        depths = [0] * n_inputs
        for operation in operations:
            depths.append(1 + max((depths[argument] for argument in arguments_of(operation)), default=-1))

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

    def enclose(self, lower: Array, upper: Array) -> tuple[Array, Array]:
        """Ranges of all nodes over B boxes by interval arithmetic, two (nodes, B) arrays; warnings are the caller's."""
        ranges = np.empty((2, self.n_nodes, len(lower)))
        ranges[:, : self.n_inputs] = lower.T, upper.T
        for step in self.steps:
            step.enclose(*ranges)
        return ranges[0], ranges[1]

    def contract(self, lower: Array, upper: Array) -> None:
        """Narrow ranges of all nodes by those of what they are arguments of, two (nodes, B) arrays, in place."""
        for step in reversed(self.steps):
            step.contract(lower, upper)

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


def _step(members: Sequence[Operation], start: int, rows: Array) -> TapeStep:
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
    grouped = [member for member in members if isinstance(member, Norm | WeightedSum)]
    groups = own, [rows[list(each.terms)] for each in grouped], [each.constant for each in grouped], n_nodes
    if isinstance(first, Norm):
        return Norms.of(*groups)
    # Either all sums of a step have terms, or none: constants are a step of their own.
    weights = np.array([weight for each in grouped if isinstance(each, WeightedSum) for weight in each.weights])
    return Sums.of(*groups, weights=weights[:, None])
