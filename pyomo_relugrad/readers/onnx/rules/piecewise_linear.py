"""Rules of the piecewise-linear functions of one variable: each is rewritten into as few ReLUs as it takes."""

import numpy as np

from pyomo_relugrad.arrays import Array
from pyomo_relugrad.network.building import Affine, HiddenLayers, clip, two_slopes
from pyomo_relugrad.readers.onnx.node import Node, Rule, Value, finite, real
from pyomo_relugrad.readers.onnx.rules.convolution import pooling_windows, reduction_windows


def _clip(node: Node, hidden: HiddenLayers) -> Value:
    if node.opset < 11:
        limits = [np.array(node.attribute(name)) if name in node.attributes else None for name in ("min", "max")]
    else:
        limits = [node.optional_constant(1, "limit"), node.optional_constant(2, "limit")]
    return clip(node.affine(0), _limit(limits[0], -np.inf), _limit(limits[1], np.inf), hidden)


def _limit(value: Array | None, default: float) -> float:
    """A limit of Clip, possibly infinite."""
    return default if value is None else float(real(value.reshape(())))


def _hard_sigmoid(node: Node, hidden: HiddenLayers) -> Value:
    alpha, beta = node.attribute("alpha", 0.2), node.attribute("beta", 0.5)
    return clip(node.affine(0).scaled(np.array(alpha)).shifted(np.array(beta)), 0.0, 1.0, hidden)


def _abs(node: Node, hidden: HiddenLayers) -> Affine:
    return two_slopes(node.affine(0), np.array(-1.0), hidden)


def _thresholded_relu(node: Node, hidden: HiddenLayers) -> Value:
    if node.attribute("alpha", 1.0) != 0.0:
        raise node.unsupported("with a threshold other than zero jumps there: it is not continuous")
    return hidden.relu(node.affine(0))


def _shrink(node: Node, hidden: HiddenLayers) -> Value:
    bias, threshold = node.attribute("bias", 0.0), node.attribute("lambd", 0.5)
    if bias != threshold or threshold < 0.0:
        raise node.unsupported("jumps where bias and lambd differ: it is not continuous")
    tensor = node.affine(0)
    return tensor.minus(clip(tensor, -threshold, threshold, hidden))


def _reduce_l1(node: Node, hidden: HiddenLayers) -> Value:
    magnitudes = _abs(node, hidden)
    table, shape = reduction_windows(node, magnitudes)
    return magnitudes.weighted_sums(table, 1.0, shape)


def _lp_pool(node: Node, hidden: HiddenLayers) -> Value:
    """LpPool and GlobalLpPool: sums of absolute values over windows."""
    if node.attribute("p", 2) != 1:
        raise node.unsupported(
            f"with p={node.attribute('p', 2)} takes roots of sums of powers, which is not piecewise linear: only p=1 "
            "can be read; use MaxPool or AveragePool"
        )
    magnitudes = _abs(node, hidden)
    table, shape = pooling_windows(node, magnitudes)
    return magnitudes.weighted_sums(table, 1.0, shape)


RULES: dict[str, Rule] = {
    "Relu": lambda node, hidden: hidden.relu(node.affine(0)),
    "LeakyRelu": lambda node, hidden: two_slopes(node.affine(0), np.array(node.attribute("alpha", 0.01)), hidden),
    "PRelu": lambda node, hidden: two_slopes(node.affine(0), finite(node.constant(1, "slope")), hidden),
    "Clip": _clip,
    "HardSigmoid": _hard_sigmoid,
    "Abs": _abs,
    "ReduceL1": _reduce_l1,
    "LpPool": _lp_pool,
    "GlobalLpPool": _lp_pool,
    "Shrink": _shrink,
    "ThresholdedRelu": _thresholded_relu,
}
