"""The rule for affine operators that have none of their own: find the matrix by evaluation."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate

import numpy as np
from scipy import sparse

from pyomo_relugrad.arrays import Array
from pyomo_relugrad.errors import NetworkFileError
from pyomo_relugrad.network.affine import Affine
from pyomo_relugrad.network.builder import HiddenLayers
from pyomo_relugrad.network.linear_maps import check_entries
from pyomo_relugrad.readers.onnx.evaluate import NodeEvaluator
from pyomo_relugrad.readers.onnx.node import Node, Value
from pyomo_relugrad.readers.onnx.refusals import refusal
from pyomo_relugrad.readers.onnx.rules.affine_operators import check_affine

MAX_EVALUATIONS = 20_000
"""Most inputs of an operator that is evaluated once for each."""

_MAX_ELEMENTS = {"DeformConv": 1_000, "RoiAlign": 30_000}
"""Most elements that operators which the reference implementation walks in Python may compute in all."""


def by_evaluation(node: Node, hidden: HiddenLayers) -> list[Value]:
    """The outputs of a node as affine functions, from its values at zero and at the unit vectors.

    Raises
    ------
    UnsupportedOperatorError
        If the node is not known to be affine, or it cannot be evaluated.
    NetworkFileError
        If it has too many inputs to be evaluated one by one.
    """
    check_affine(node)
    try:
        function = _NodeFunction(node)
    except NotImplementedError:  # ONNX's reference implementation lacks the operator
        raise refusal(node, is_output=False) from None
    if function.size > MAX_EVALUATIONS:
        raise NetworkFileError(f"{function.size} inputs are too many for an operator that is read by evaluation")
    offsets = function(np.zeros(function.size))
    if any(offset.dtype.kind != "f" for offset in offsets):
        raise node.unsupported("does not compute real numbers from the network's input: not piecewise linear")
    elements = function.size * sum(offset.size for offset in offsets)
    if elements > _MAX_ELEMENTS.get(node.operator, elements):
        raise node.unsupported(
            f"from {function.size} numbers is read one element at a time, which would take too long: replace it by "
            "convolutions, or put it before the network"
        )
    return [
        function.vector.mapped(matrix, offset.shape).shifted(offset)
        for matrix, offset in zip(_matrices(function, offsets), offsets, strict=True)
    ]


def _matrices(function: _NodeFunction, offsets: Sequence[Array]) -> list[sparse.csr_array]:
    """The matrix of each output, whose columns are its values at the unit vectors less those at zero."""
    rows: list[list[Array]] = [[] for _ in offsets]
    entries: list[list[Array]] = [[] for _ in offsets]
    count = 0
    unit = np.zeros(function.size)
    for i in range(function.size):
        unit[i] = 1.0
        for own_rows, own_entries, output, offset in zip(rows, entries, function(unit), offsets, strict=True):
            column = (output - offset).ravel()
            own_rows.append(np.flatnonzero(column))
            own_entries.append(column[own_rows[-1]])
            count += own_rows[-1].size
        check_entries(count)
        unit[i] = 0.0
    result = []
    for own_rows, own_entries, offset in zip(rows, entries, offsets, strict=True):
        starts = np.cumsum([0, *(own.size for own in own_rows)])
        columns = (np.concatenate(own_entries), np.concatenate(own_rows), starts)
        result.append(sparse.csr_array(sparse.csc_array(columns, shape=(offset.size, function.size))))
    return result


class _NodeFunction:
    """A node as a function of one vector, all its inputs that are not constant."""

    def __init__(self, node: Node) -> None:
        self._inputs = [
            value if isinstance(value, np.ndarray | None) else node.affine(i) for i, value in enumerate(node.inputs)
        ]
        tensors = [value for value in self._inputs if isinstance(value, Affine)]
        self.vector = tensors[0].stacked(tensors[1:])
        self.size = self.vector.size
        self._ends = list(accumulate(tensor.size for tensor in tensors))
        self._evaluator = NodeEvaluator(node.proto, node.opset, self._filled(np.zeros(self.size)))

    def _filled(self, point: Array) -> list[Array | None]:
        parts = iter(np.split(point, self._ends[:-1]))
        return [next(parts).reshape(value.shape) if isinstance(value, Affine) else value for value in self._inputs]

    def __call__(self, point: Array) -> list[Array]:
        return self._evaluator.run(self._filled(point))
