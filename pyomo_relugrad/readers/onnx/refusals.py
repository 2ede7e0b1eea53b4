"""What to say about operators that are not piecewise linear."""

from __future__ import annotations

from pyomo_relugrad.errors import UnsupportedOperatorError
from pyomo_relugrad.readers.onnx.node import Node

_SMOOTH = [
    "Acos",
    "Acosh",
    "Asin",
    "Asinh",
    "Atan",
    "Atanh",
    "Celu",
    "Cos",
    "Cosh",
    "Elu",
    "Erf",
    "Exp",
    "Gelu",
    "HardSwish",
    "Log",
    "LpNormalization",
    "Mish",
    "Pow",
    "Reciprocal",
    "Selu",
    "Sigmoid",
    "Sin",
    "Sinh",
    "Softplus",
    "Softsign",
    "Sqrt",
    "Swish",
    "Tan",
    "Tanh",
]
_SCORES = ["Hardmax", "LogSoftmax", "Softmax"]
_LABELS = ["ArgMax", "ArgMin", "LabelEncoder", "LinearClassifier", "OneHot", "ZipMap"]
_STEPS = [
    "BitShift",
    "Ceil",
    "Equal",
    "Floor",
    "Mod",
    "NonZero",
    "Round",
    "Sign",
    "Unique",
    "And",
    "Or",
    "Xor",
]
_NORMALISING = [
    "Attention",
    "Det",
    "DynamicQuantizeLinear",
    "GroupNormalization",
    "InstanceNormalization",
    "LRN",
    "LayerNormalization",
    "MeanVarianceNormalization",
    "Normalizer",
    "QuantizeLinear",
    "RMSNormalization",
    "ReduceL2",
    "ReduceLogSum",
    "ReduceLogSumExp",
    "ReduceProd",
    "ReduceSumSquare",
]
RANDOM = ["Bernoulli", "Multinomial", "RandomNormal", "RandomNormalLike", "RandomUniform", "RandomUniformLike"]
_LOOPS = ["GRU", "LSTM", "RNN", "SequenceMap"]
_SEQUENCES = [
    "ConcatFromSequence",
    "SequenceAt",
    "SequenceConstruct",
    "SequenceErase",
    "SequenceInsert",
    "SequenceLength",
    "SplitToSequence",
]

NOT_READABLE = frozenset(["TopK", *_SMOOTH, *_SCORES, *_LABELS, *_STEPS, *_NORMALISING, *_LOOPS, *_SEQUENCES, *RANDOM])


def refusal(node: Node, is_output: bool) -> UnsupportedOperatorError:
    """The error for a node that cannot be read; `is_output` if it computes an output of the network."""
    source = node.proto.input[0] if node.proto.input else ""
    if node.operator == "TopK":
        return node.unsupported(
            "sorts, which cannot be read: take the largest by ReduceMax or sort few numbers by Max and Min; where "
            f"labels come after it, export the network up to its scores, the tensor {source!r}"
        )
    if node.operator in _LABELS:
        return node.unsupported(f"turns scores into labels: export the network up to its scores, the tensor {source!r}")
    if is_output and node.operator in (*_SCORES, *_SMOOTH):
        return node.unsupported(
            f"at the end of the network is not piecewise linear: export the network up to what goes into it (the "
            f"logits), the tensor {source!r}"
        )
    if node.operator in _STEPS:
        return node.unsupported("is not continuous: only networks of ReLUs and the like can be read")
    if node.operator in RANDOM:
        return node.unsupported("draws random numbers: export the network in evaluation mode")
    if node.operator in _LOOPS:
        return node.unsupported("is recurrent: export the network unrolled, with piecewise-linear operators")
    if node.operator in _SEQUENCES:
        return node.unsupported(
            "works on a list of tensors, which cannot be read: export the network with fixed sizes, so that Split and "
            "Concat are written instead"
        )
    if node.operator in (*_SCORES, *_SMOOTH, *_NORMALISING):
        return node.unsupported(
            f"is not piecewise linear: train the network with ReLUs or the like, or, if only probabilities come after "
            f"it, export the network up to the tensor {source!r}"
        )
    return node.unsupported("is not an operator that can be read: export the network with standard ONNX operators")
