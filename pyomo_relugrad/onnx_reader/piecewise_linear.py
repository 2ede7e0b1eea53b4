"""Rules of the piecewise-linear functions of one variable: each is rewritten into as few ReLUs as it takes."""

from __future__ import annotations

from math import prod

import numpy as np

from pyomo_relugrad.arrays import Array
from pyomo_relugrad.onnx_reader import windows
from pyomo_relugrad.onnx_reader.affine import Affine, either, stands_for_infinity
from pyomo_relugrad.onnx_reader.convolution import image_shape, reduction_windows
from pyomo_relugrad.onnx_reader.hidden_layers import HiddenLayers, is_carried
from pyomo_relugrad.onnx_reader.maximum import LARGE
from pyomo_relugrad.onnx_reader.node import Node, Rule, Value, as_affine, finite, real


def two_slopes(tensor: Affine, slope: Array, hidden: HiddenLayers) -> Affine:
    """`tensor` where it is positive, ``slope * tensor`` where it is negative.

    One ReLU per element, ``slope * z + (1 - slope) * relu(z)``, makes later layers read what `tensor` reads as well.
    Where that would fill up sparse maps, or skips pile up, two ReLUs are cheaper: ``relu(z) - slope * relu(-z)``. With
    large slopes they are more exact.
    """
    if not slope.any() or tensor.is_at_least(0.0):
        return hidden.relu(tensor)
    if is_carried(tensor) and abs(slope).max() <= LARGE:
        return tensor.scaled(slope).plus(hidden.relu(tensor).scaled(1.0 - slope))
    halves = hidden.relu(tensor.reshaped((tensor.size,)).stacked([tensor.scaled(np.array(-1.0))]))
    positions = np.arange(2 * tensor.size).reshape(2, *tensor.shape)
    return halves.taken(positions[0]).minus(halves.taken(positions[1]).scaled(slope))


def clip(tensor: Affine, lower: float, upper: float, hidden: HiddenLayers) -> Affine:
    """`tensor` limited to ``[lower, upper]``, either of which may be infinite."""
    if lower >= upper:  # as ONNX has it: min(max(x, lower), upper)
        return as_affine(np.full(tensor.shape, upper))
    large = abs(tensor.offset) > LARGE
    settled = large & ((tensor.row_sizes == 0.0) | stands_for_infinity(tensor.offset, tensor)) if large.any() else large
    if settled.any():  # what is so large would not leave a difference of limits behind
        free = clip(tensor.elements(~settled), lower, upper, hidden)
        constants = as_affine(np.clip(tensor.offset[settled], lower, upper))
        return either(settled, constants, free).reshaped(tensor.shape)
    below_all = lower < 0.0 and stands_for_infinity(np.array(lower), tensor).all()
    above_all = upper > 0.0 and stands_for_infinity(np.array(upper), tensor).all()
    lower = -np.inf if below_all or tensor.is_at_least(lower) else lower
    upper = np.inf if above_all else upper
    return tensor if np.isinf([lower, upper]).all() else _between(tensor, lower, upper, hidden)


def _between(tensor: Affine, lower: float, upper: float, hidden: HiddenLayers) -> Affine:
    """One ReLU per element and finite limit, in one layer, added to the smaller limit.

    Where that is large too, they are added to the tensor itself, which passes exactly.
    """
    if min(abs(lower), abs(upper)) > LARGE:
        base, kinks = tensor, [(1.0, -1.0, lower), (-1.0, 1.0, upper)]
    elif abs(lower) <= abs(upper):
        base, kinks = as_affine(np.full(tensor.shape, lower)), [(1.0, 1.0, lower), (-1.0, 1.0, upper)]
    else:
        base, kinks = as_affine(np.full(tensor.shape, upper)), [(-1.0, -1.0, upper), (1.0, -1.0, lower)]
    kinks = [kink for kink in kinks if np.isfinite(kink[2])]  # (sign, slope, limit): sign * relu(slope * (x - limit))
    vector = tensor.reshaped((tensor.size,))
    arguments = [vector.shifted(np.array(-limit)).scaled(np.array(slope)) for _, slope, limit in kinks]
    activations = hidden.relu(arguments[0].stacked(arguments[1:]))
    positions = np.arange(activations.size).reshape(len(kinks), *tensor.shape)
    for (sign, _, _), own in zip(kinks, positions, strict=True):
        base = base.plus(activations.taken(own).scaled(np.array(sign)))
    return base


def _leaky_relu(node: Node, hidden: HiddenLayers) -> Value:
    return two_slopes(node.affine(0), np.array(node.attribute("alpha", 0.01)), hidden)


def _prelu(node: Node, hidden: HiddenLayers) -> Value:
    tensor, slope = node.affine(0), finite(node.constant(1, "slope"))
    return two_slopes(tensor, slope, hidden)


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


def _abs(node: Node, hidden: HiddenLayers) -> Value:
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
    magnitudes = two_slopes(node.affine(0), np.array(-1.0), hidden)
    table, shape = reduction_windows(node, magnitudes)
    return magnitudes.weighted_sums(table, 1.0, shape)


def _lp_pool(node: Node, hidden: HiddenLayers) -> Value:
    """LpPool and GlobalLpPool: sums of absolute values over windows."""
    if node.attribute("p", 2) != 1:
        raise node.unsupported(
            f"with p={node.attribute('p', 2)} takes roots of sums of powers, which is not piecewise linear: only p=1 "
            "can be read; use MaxPool or AveragePool"
        )
    magnitudes = two_slopes(node.affine(0), np.array(-1.0), hidden)
    batch, channels, spatial = image_shape(magnitudes)
    if node.operator == "GlobalLpPool":
        table, sizes = np.arange(magnitudes.size).reshape(batch * channels, -1), [1] * len(spatial)
    else:
        ceil_mode = bool(node.attribute("ceil_mode", 0))
        axes = windows.axes(node, spatial, node.attribute("kernel_shape"))
        table = windows.joined([axis.positions(ceil_mode) for axis in axes], spatial)
        table = windows.repeated(table, prod(spatial), batch * channels)
        sizes = [axis.output_size(ceil_mode) for axis in axes]
    return magnitudes.weighted_sums(table, 1.0, (batch, channels, *sizes))


RULES: dict[str, Rule] = {
    "Relu": lambda node, hidden: hidden.relu(node.affine(0)),
    "LeakyRelu": _leaky_relu,
    "PRelu": _prelu,
    "Clip": _clip,
    "HardSigmoid": _hard_sigmoid,
    "Abs": _abs,
    "ReduceL1": _reduce_l1,
    "LpPool": _lp_pool,
    "GlobalLpPool": _lp_pool,
    "Shrink": _shrink,
    "ThresholdedRelu": _thresholded_relu,
}
