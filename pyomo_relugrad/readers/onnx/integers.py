"""Whole numbers that come in: they may be moved about, and count as real ones once they are cast to them."""

from dataclasses import replace

from onnx import TensorProto

from pyomo_relugrad.network.building import Affine, HiddenLayers
from pyomo_relugrad.readers.onnx.node import Integers, Node, Rule, Value
from pyomo_relugrad.readers.onnx.rules.arithmetic import FLOATING_POINT
from pyomo_relugrad.readers.onnx.rules.movement import MOVES

INTEGERS = frozenset(getattr(TensorProto, f"{kind}{bits}") for kind in ("INT", "UINT") for bits in (8, 16, 32, 64))
"""Types of the whole numbers that inputs may be."""

_WIDE = frozenset({TensorProto.INT32, TensorProto.INT64})
_REAL_RESULTS = frozenset({"Cast", "CastLike", "FeatureVectorizer", "LinearRegressor", "Scaler", "Shape", "Size"})


def with_integers(node: Node, rule: Rule, hidden: HiddenLayers) -> Value | list[Value]:
    """What a rule makes of a node of which an input is whole numbers.

    Raises
    ------
    UnsupportedOperatorError
        If the node computes with them.
    """
    if node.operator == "Cast" and node.attribute("to") in _WIDE:
        return [value for value in node.inputs if value is not None]
    real = node.operator in _REAL_RESULTS and node.attribute("to", TensorProto.FLOAT) in FLOATING_POINT
    if not real and node.operator not in MOVES:
        raise node.unsupported(
            "computes with whole numbers, whose arithmetic is not that of real ones: export the network with float "
            "inputs, or with a Cast to float before this node"
        )
    inputs = tuple(value.tensor if isinstance(value, Integers) else value for value in node.inputs)
    outputs = rule(replace(node, inputs=inputs), hidden)
    if real:
        return outputs
    moved = outputs if isinstance(outputs, list) else [outputs]
    return [Integers(value) if isinstance(value, Affine) else value for value in moved]
