"""Which operators without a rule of their own are affine, and in which inputs.

Values at points do not tell: what clips or jumps far from the points that are tried looks affine there.
"""

from __future__ import annotations

from pyomo_relugrad.network.building import Affine
from pyomo_relugrad.readers.onnx.node import Node
from pyomo_relugrad.readers.onnx.rules.arithmetic import BOTH_VARY

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


def check_affine(node: Node) -> None:
    """Check that a node of one of these operators is affine in those of its inputs that are not constant.

    Raises
    ------
    UnsupportedOperatorError
        If it is not.
    """
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
