"""What to say about operators that cannot be read."""

import re

from pyomo_relugrad.errors import UnsupportedOperatorError
from pyomo_relugrad.readers.onnx.node import Node

RANDOM = ("Bernoulli", "Multinomial", "RandomNormal", "RandomNormalLike", "RandomUniform", "RandomUniformLike")

_OUTPUT_FUNCTIONS = frozenset(
    [
        *("Acos", "Acosh", "Asin", "Asinh", "Atan", "Atanh", "Cos", "Cosh", "Hardmax", "Log", "LpNormalization"),
        *("Pow", "Reciprocal", "Sin", "Sinh", "Sqrt", "Tan"),
    ]
)
"""Smooth functions and scores: at the end of a network, what goes into them tells as much."""

_ADVICE = re.compile(r"\b(export|convert|load|upgrade|report|give|store|write|truncated)", re.IGNORECASE)
"""What messages that say what to do have in them."""

_NORMALISING = (
    *("Attention", "Det", "GroupNormalization", "InstanceNormalization", "LRN", "LayerNormalization"),
    *("MeanVarianceNormalization", "Normalizer", "RMSNormalization", "ReduceL2", "ReduceLogSum"),
)
_QUANTISED = (
    *("ConvInteger", "DynamicQuantizeLinear", "MatMulInteger", "QGemm", "QLinearConv", "QLinearMatMul"),
    "QuantizeLinear",
)
_STEPS = ("And", "BitShift", "Ceil", "Equal", "Floor", "Mod", "NonZero", "Or", "Round", "Sign", "Unique", "Xor")
_SEQUENCES = (
    *("ConcatFromSequence", "SequenceAt", "SequenceConstruct", "SequenceErase", "SequenceInsert", "SequenceLength"),
    "SplitToSequence",
)

_REASONS: dict[str, str] = {
    "TopK": "sorts, which cannot be read: take the largest by ReduceMax or sort few numbers by Max and Min; where "
    "labels come after it, export the network up to its scores, the tensor {source!r}",
    **dict.fromkeys(
        ("ArgMax", "ArgMin", "LabelEncoder", "LinearClassifier", "OneHot", "ZipMap"),
        "turns scores into labels: export the network up to its scores, the tensor {source!r}",
    ),
    **dict.fromkeys(_STEPS, "is not continuous: only networks of ReLUs and the like can be read"),
    **dict.fromkeys(
        _QUANTISED, "rounds to integers and is not continuous: give the network as it was before it was quantised"
    ),
    **dict.fromkeys(
        ("TreeEnsemble", "TreeEnsembleClassifier", "TreeEnsembleRegressor"),
        "is made of decision trees and is not continuous: give them as rows, by OMLT's GradientBoostedTreeModel",
    ),
    **dict.fromkeys(RANDOM, "draws random numbers: export the network in evaluation mode"),
    **dict.fromkeys(
        ("GRU", "LSTM", "RNN", "SequenceMap"),
        "is recurrent: export the network unrolled, as cells (LSTMCell, GRUCell) in a loop are",
    ),
    **dict.fromkeys(
        _SEQUENCES,
        "works on a list of tensors, which cannot be read: export the network with fixed sizes, so that Split and "
        "Concat are written instead",
    ),
    **dict.fromkeys(
        (*_OUTPUT_FUNCTIONS, *_NORMALISING),
        "is not piecewise linear, and no smooth activation that can be read: train the network with ReLUs, sigmoids or "
        "the like, or, if only scores are made of it, export the network up to the tensor {source!r}",
    ),
}
"""Why an operator cannot be read, and what to do; the source is the tensor that it reads first."""

_AT_THE_END = (
    "at the end of the network is not piecewise linear, and no smooth activation that can be read: export the network "
    "up to what goes into it (the scores), the tensor {source!r}"
)
_UNKNOWN = "is not an operator that can be read: export the network with standard ONNX operators"


def refusal(node: Node, is_output: bool) -> UnsupportedOperatorError:
    """The error for a node that cannot be read; `is_output` if it computes an output of the network."""
    ends = is_output and node.operator in _OUTPUT_FUNCTIONS
    reason = _AT_THE_END if ends else _REASONS.get(node.operator, _UNKNOWN)
    return node.unsupported(reason.format(source=node.proto.input[0] if node.proto.input else ""))


def with_advice(error: Exception) -> str:
    """What is wrong with a file, and what to do, where the error does not say it."""
    message = str(error)
    return message if _ADVICE.search(message) else f"{message}. Export the network again; onnx.checker may say more"
