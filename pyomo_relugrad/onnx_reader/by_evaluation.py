"""The rule for affine operators that have none of their own: find the matrix by evaluation."""

from __future__ import annotations

from itertools import accumulate

import numpy as np
from scipy import sparse

from pyomo_relugrad.arrays import Array
from pyomo_relugrad.errors import NetworkFileError
from pyomo_relugrad.onnx_reader.affine import Affine
from pyomo_relugrad.onnx_reader.affine_operators import check_affine
from pyomo_relugrad.onnx_reader.evaluate import NodeEvaluator
from pyomo_relugrad.onnx_reader.hidden_layers import HiddenLayers
from pyomo_relugrad.onnx_reader.linear_maps import check_entries
from pyomo_relugrad.onnx_reader.node import Node, Value
from pyomo_relugrad.onnx_reader.refusals import refusal

MAX_EVALUATIONS = 20_000


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
    columns: list[list[sparse.csc_array]] = [[] for _ in offsets]
    unit = np.zeros(function.size)
    for i in range(function.size):
        unit[i] = 1.0
        for own, output, offset in zip(columns, function(unit), offsets, strict=True):
            own.append(sparse.csc_array((output - offset).reshape(-1, 1)))
        unit[i] = 0.0
    matrices = [sparse.csr_array(sparse.hstack(own)) for own in columns]
    check_entries(sum(matrix.nnz for matrix in matrices))
    return [
        function.vector.mapped(matrix, offset.shape).shifted(offset)
        for matrix, offset in zip(matrices, offsets, strict=True)
    ]


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
