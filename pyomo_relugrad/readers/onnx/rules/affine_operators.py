"""The rule for affine operators that have none of their own: which they are, and the matrix by evaluation.

Values at points do not tell whether one is affine: what clips or jumps far from them looks affine there.
"""

from itertools import accumulate, pairwise

import numpy as np

from pyomo_relugrad.arrays import Array
from pyomo_relugrad.errors import NetworkFileError
from pyomo_relugrad.network.building import Affine, HiddenLayers, affine_map
from pyomo_relugrad.readers.onnx.evaluate import NodeEvaluator
from pyomo_relugrad.readers.onnx.node import Node, Value
from pyomo_relugrad.readers.onnx.refusals import refusal
from pyomo_relugrad.readers.onnx.rules.products import einsum

BOTH_VARY = "multiplies two tensors that both depend on the network's input: not linear"

_AFFINE_INPUTS: dict[str, tuple[int, ...]] = {
    "AffineGrid": (0,),
    "CumSum": (0,),
    "DFT": (0,),
    "DeformConv": (0,),
    "DequantizeLinear": (1,),
    "EyeLike": (0,),
    "MaxUnpool": (0,),
    "NegativeLogLikelihoodLoss": (0,),
    "RoiAlign": (0,),
    "RotaryEmbedding": (0,),
    "STFT": (0,),
    "TensorScatter": (0, 1),
}
"""The inputs that an operator is affine in, all together, when the others are constant."""

_MULTILINEAR = frozenset({"Einsum"})
"""Operators that are linear in each input when all others are constant."""

AFFINE = _MULTILINEAR | _AFFINE_INPUTS.keys()
"""All of these operators."""

MAX_EVALUATIONS = 20_000
"""Most inputs of an operator that is evaluated once for each."""

_MAX_ELEMENTS = {"DeformConv": 1_000, "RoiAlign": 30_000}
"""Most elements that operators which the reference implementation evaluates in Python may compute in all."""


def by_evaluation(node: Node, hidden: HiddenLayers) -> list[Value]:
    """The outputs of a node as affine functions, from its values at zero and at the unit vectors.

    Raises
    ------
    UnsupportedOperatorError
        If the node is not known to be affine, or it cannot be evaluated.
    NetworkFileError
        If it has too many inputs to be evaluated one by one.
    """
    if node.operator == "Einsum" and len(node.inputs) == 2 and all(isinstance(one, Affine) for one in node.inputs):
        made = einsum(node, node.affine(0), node.affine(1), hidden)
        if made is not None:
            return [made]
    _check_affine(node)
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
    matrix, _ = affine_map(function.rows, function.size, step=1.0)
    ends = accumulate((offset.size for offset in offsets), initial=0)
    return [
        function.vector.mapped(matrix[begin:end], offset.shape).shifted(offset)
        for (begin, end), offset in zip(pairwise(ends), offsets, strict=True)
    ]


def _check_affine(node: Node) -> None:
    """Check that a node of one of these operators is affine in those of its inputs that are not constant."""
    varying = [position for position, value in enumerate(node.inputs) if isinstance(value, Affine)]
    if node.operator in _MULTILINEAR:
        if len(varying) > 1:
            raise node.unsupported(BOTH_VARY)
        return
    if node.operator == "RoiAlign" and node.attribute("mode", "avg") != "avg":
        raise node.unsupported("with mode=max cannot be read: export it with mode=avg, or use MaxPool")
    others = [position for position in varying if position not in _AFFINE_INPUTS[node.operator]]
    if others:
        raise node.unsupported(f"takes its input {others[0]} from the network's input: it is not affine in that one")


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

    def rows(self, points: Array) -> Array:
        """All outputs, flattened, at each of some points."""
        return np.stack([np.concatenate([output.ravel() for output in self(point)]) for point in points])
