"""Draws single nodes that compute, by operator, with odd attributes among them; see `random_graphs`."""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from onnx import TensorProto
from random_graphs import Drawer, GraphSketch, Tensor, UnsuitableError

Attributes = Callable[[GraphSketch, Tensor], dict[str, Any]]


def _one_input(operator: str, attributes: Attributes | None, minimal_rank: int, sketch: GraphSketch) -> list[Tensor]:
    tensor = sketch.variable(minimal_rank)
    return sketch.add(operator, [tensor], **(attributes(sketch, tensor) if attributes else {}))


def _slopes(sketch: GraphSketch, tensor: Tensor) -> dict[str, Any]:
    return {"alpha": sketch.choose([0.0, 0.1, 0.5, 1.0, -0.5, 2.0])} if sketch.chance(0.7) else {}


def _hard_sigmoid(sketch: GraphSketch, tensor: Tensor) -> dict[str, Any]:
    return {"alpha": sketch.choose([0.5, -1.0, 0.0]), "beta": 0.25} if sketch.chance(0.6) else {}


def _shrink(sketch: GraphSketch, tensor: Tensor) -> dict[str, Any]:
    threshold = sketch.choose([0.5, 0.0, 1.0])
    return {"lambd": threshold, "bias": threshold if sketch.chance(0.7) else 0.0}


def _axis(sketch: GraphSketch, tensor: Tensor) -> dict[str, Any]:
    return {"axis": int(sketch.rng.integers(-tensor.rank, tensor.rank + 1))} if sketch.chance(0.8) else {}


def _permutation(sketch: GraphSketch, tensor: Tensor) -> dict[str, Any]:
    return {"perm": sketch.rng.permutation(tensor.rank).tolist()} if sketch.chance(0.8) else {}


def _epsilon(sketch: GraphSketch, tensor: Tensor) -> dict[str, Any]:
    return {"epsilon": sketch.choose([1e-5, 1e-3, 0.1])} if sketch.chance(0.5) else {}


def _cast(sketch: GraphSketch, tensor: Tensor) -> dict[str, Any]:
    kinds = [sketch.kind, TensorProto.DOUBLE, TensorProto.FLOAT, TensorProto.INT64, TensorProto.BOOL]
    return {"to": int(sketch.choose(kinds))}


def _pool(sketch: GraphSketch, tensor: Tensor) -> dict[str, Any]:
    spatial = tensor.rank - 2
    kernel = [int(size) for size in sketch.rng.integers(1, 4, size=spatial)]
    result: dict[str, Any] = {"kernel_shape": kernel}
    if sketch.chance(0.6):
        result["strides"] = sketch.rng.integers(1, 4, size=spatial).tolist()
    if sketch.chance(0.5):
        result["pads"] = [int(sketch.rng.integers(0, size)) for size in kernel * 2]
    elif sketch.chance(0.5):
        result["auto_pad"] = sketch.choose(["SAME_UPPER", "SAME_LOWER", "VALID", "NOTSET"])
    if sketch.opset >= 10 and sketch.chance(0.3):
        result["ceil_mode"] = 1
    return result


def _average_pool(sketch: GraphSketch, tensor: Tensor) -> dict[str, Any]:
    result = _pool(sketch, tensor)
    if sketch.opset >= 7 and sketch.chance(0.5):
        result["count_include_pad"] = 1
    if sketch.opset >= 19 and sketch.chance(0.3):
        result["dilations"] = [2] * (tensor.rank - 2)
    return result


def _max_pool(sketch: GraphSketch, tensor: Tensor) -> dict[str, Any]:
    result = _pool(sketch, tensor)
    if sketch.opset >= 10 and sketch.chance(0.3):
        result["dilations"] = sketch.rng.integers(1, 3, size=tensor.rank - 2).tolist()
    return result


def _max_pool_with_indices(sketch: GraphSketch) -> list[Tensor]:
    tensor = sketch.variable(3)
    return sketch.add("MaxPool", [tensor], outputs=2, **_max_pool(sketch, tensor))


def _lp_pool(sketch: GraphSketch, tensor: Tensor) -> dict[str, Any]:
    result = _pool(sketch, tensor)
    result.pop("ceil_mode", None)
    return {**result, "p": int(sketch.rng.integers(1, 3))}


def _two_inputs(operator: str, sketch: GraphSketch) -> list[Tensor]:
    """A tensor and a constant that broadcasts, or another tensor; in operator sets before 7 by attributes."""
    tensor, other = sketch.variable(), ""
    if operator in ("Add", "Sub", "Mul", "Div") and sketch.opset < 7:
        return _old_broadcast(operator, tensor, sketch)
    if operator in ("Max", "Min") and sketch.opset < 8:
        other = sketch.constant(sketch.weights(*tensor.shape))
    elif operator not in ("Div", "Mul") and sketch.chance(0.3):
        other = sketch.variable()
    else:
        values = sketch.weights(*_broadcasting(sketch, tensor))
        if operator in ("Max", "Min") and sketch.chance(0.5):
            values = sketch.real(sketch.limit(-1.0 if operator == "Max" else 1.0))
        if operator == "Div":
            values = np.where(values == 0.0, values.dtype.type(0.5), values)
        other = sketch.constant(values)
    is_turned = operator != "Div" and sketch.chance(0.3)
    return sketch.add(operator, [other, tensor] if is_turned else [tensor, other])


def _broadcasting(sketch: GraphSketch, tensor: Tensor) -> tuple[int, ...]:
    """A shape that broadcasts with the tensor's: trailing sizes, some of them 1, sometimes more dimensions."""
    rank = int(sketch.rng.integers(0, tensor.rank + 1))
    trailing = tensor.shape[tensor.rank - rank :]
    shape = tuple(1 if sketch.chance(0.3) else size for size in trailing)
    return (int(sketch.rng.integers(1, 3)), *shape) if sketch.chance(0.05) else shape


def _old_broadcast(operator: str, tensor: Tensor, sketch: GraphSketch) -> list[Tensor]:
    if "old broadcast" in sketch.without or not tensor.rank or sketch.chance(0.3):
        return sketch.add(operator, [tensor, sketch.constant(sketch.weights(*tensor.shape))])
    axis = int(sketch.rng.integers(0, tensor.rank))
    end = int(sketch.rng.integers(axis, tensor.rank)) + 1
    attributes: dict[str, Any] = {"broadcast": 1}
    if end != tensor.rank or sketch.chance(0.5):
        attributes["axis"] = axis
    values = abs(sketch.weights(*tensor.shape[axis:end])) + sketch.real(0.1)
    return sketch.add(operator, [tensor, sketch.constant(values)], **attributes)


def _several_inputs(operator: str, sketch: GraphSketch) -> list[Tensor]:
    tensor = sketch.variable()
    inputs: list[Tensor | str] = [tensor]
    for _ in range(sketch.rng.integers(0, 3)):
        shape = tensor.shape if sketch.opset < 8 else _broadcasting(sketch, tensor)
        inputs.append(sketch.constant(sketch.weights(*shape)) if sketch.chance(0.5) else sketch.variable())
    return sketch.add(operator, inputs)


def _matmul(sketch: GraphSketch) -> list[Tensor]:
    tensor = sketch.variable(1)
    size = int(sketch.rng.integers(1, 6))
    if sketch.chance(0.75):
        stack = tensor.shape[:-2] if sketch.chance(0.2) else ()
        return sketch.add("MatMul", [tensor, sketch.constant(sketch.weights(*stack, tensor.shape[-1], size))])
    rows = tensor.shape[-2] if tensor.rank > 1 else tensor.shape[0]
    return sketch.add("MatMul", [sketch.constant(sketch.weights(size, rows)), tensor])


def _gemm(sketch: GraphSketch) -> list[Tensor]:
    tensor = sketch.variable(2)
    if tensor.rank != 2:
        raise UnsuitableError
    turned, weight_turned, size = sketch.chance(0.15), sketch.chance(0.5), int(sketch.rng.integers(1, 6))
    inner, rows = tensor.shape[0 if turned else 1], tensor.shape[1 if turned else 0]
    weight = sketch.weights(*((size, inner) if weight_turned else (inner, size)))
    inputs: list[Tensor | str] = [tensor, sketch.constant(weight)]
    attributes: dict[str, Any] = {"transB": int(weight_turned)} | ({"transA": 1} if turned else {})
    if sketch.chance(0.8) or sketch.opset < 11:
        shape = sketch.choose([(size,), (1, size), (rows, size), (rows, 1), ()])
        inputs.append(sketch.constant(sketch.weights(*(shape if sketch.opset >= 7 else (rows, size)))))
    if sketch.chance(0.3):
        attributes |= {"alpha": 0.5, "beta": sketch.choose([2.0, 0.0])}
    return sketch.add("Gemm", inputs, **attributes)


def _conv(operator: str, sketch: GraphSketch) -> list[Tensor]:
    tensor = sketch.variable(3)
    spatial, channels = tensor.rank - 2, tensor.shape[1]
    group = channels if sketch.chance(0.2) else 1
    kernel = [int(size) for size in sketch.rng.integers(1, 4, size=spatial)]
    own, other = channels // group, int(sketch.rng.integers(1, 4))
    is_conv = operator == "Conv"
    shape = (other * group, own, *kernel) if is_conv else (channels, other, *kernel)
    inputs: list[Tensor | str] = [tensor, sketch.constant(sketch.weights(*shape))]
    if sketch.chance(0.5):
        inputs.append(sketch.constant(sketch.weights(other * group)))
    attributes = _pool(sketch, tensor) | {"group": group}
    attributes.pop("ceil_mode", None)
    attributes["kernel_shape"] = kernel
    if "pads" in attributes:
        attributes["pads"] = [int(sketch.rng.integers(0, 3)) for _ in kernel * 2]
    if sketch.chance(0.3):
        attributes["dilations"] = sketch.rng.integers(1, 3, size=spatial).tolist()
    if not is_conv and sketch.chance(0.3):
        attributes["output_padding"] = sketch.rng.integers(0, 2, size=spatial).tolist()
    return sketch.add(operator, inputs, **attributes)


def _batch_normalization(sketch: GraphSketch) -> list[Tensor]:
    tensor = sketch.variable(2)
    statistics = [sketch.weights(tensor.shape[1]) for _ in range(4)]
    statistics[3] = abs(statistics[3])
    extra = {"epsilon": sketch.choose([1e-5, 0.1])} | ({"is_test": 1} if sketch.opset < 7 else {})
    return sketch.add("BatchNormalization", [tensor, *map(sketch.constant, statistics)], **extra)


def _prelu(sketch: GraphSketch) -> list[Tensor]:
    tensor = sketch.variable(1)
    if sketch.opset < 7:
        if "old broadcast" in sketch.without:
            raise UnsuitableError
        channels = tensor.shape[1] if tensor.rank > 1 else 1
        return sketch.add("PRelu", [tensor, sketch.constant(sketch.weights(sketch.choose([1, channels])))])
    shape = tensor.shape[1:] if sketch.chance(0.3) else _broadcasting(sketch, tensor)
    return sketch.add("PRelu", [tensor, sketch.constant(sketch.weights(*shape))])


def _clip(sketch: GraphSketch) -> list[Tensor]:
    tensor = sketch.variable()
    low, high = sketch.limit(-1.0), sketch.limit()
    if sketch.chance(0.1):
        low, high = high, low
    given = sketch.choose([(True, True), (True, False), (False, True), (False, False)])
    if sketch.opset < 11:
        return sketch.add("Clip", [tensor], **({"min": low} if given[0] else {}), **({"max": high} if given[1] else {}))
    limits = [sketch.constant(sketch.real(v)) if g else "" for v, g in zip((low, high), given, strict=True)]
    return sketch.add("Clip", [tensor, *limits])


def _einsum(sketch: GraphSketch) -> list[Tensor]:
    tensor = sketch.variable(2)
    if tensor.rank != 2:
        raise UnsuitableError
    weight = sketch.constant(sketch.weights(tensor.shape[1], int(sketch.rng.integers(1, 5))))
    return sketch.add("Einsum", [tensor, weight], equation=sketch.choose(["ij,jk->ik", "ij,jk", "ab,bc->ca"]))


def _dropout(sketch: GraphSketch) -> list[Tensor]:
    if sketch.opset < 12:
        return sketch.add("Dropout", [sketch.variable()], ratio=0.3, **({"is_test": 1} if sketch.opset < 7 else {}))
    return sketch.add("Dropout", [sketch.variable()], outputs=int(sketch.rng.integers(1, 3)))


def _top_k(sketch: GraphSketch) -> list[Tensor]:
    count = sketch.constant(np.array([1]))
    return sketch.add("TopK", [sketch.variable(1), count], outputs=2, largest=int(sketch.rng.integers(2)))


def _scaler(sketch: GraphSketch) -> list[Tensor]:
    tensor = sketch.variable(2)
    values = {name: sketch.rng.normal(size=tensor.shape[-1]).tolist() for name in ("offset", "scale")}
    return sketch.add("Scaler", [tensor], domain="ai.onnx.ml", **values)


_ONE_INPUT: dict[str, tuple[Attributes | None, int]] = {
    **dict.fromkeys(
        ["Relu", "Abs", "Neg", "Identity", "Sigmoid", "Floor", "Sign", "Exp", "Sqrt", "Softplus"], (None, 0)
    ),
    **dict.fromkeys(["GlobalAveragePool", "GlobalMaxPool"], (None, 3)),
    **dict.fromkeys(["LeakyRelu", "Elu", "ThresholdedRelu", "Selu", "Celu"], (_slopes, 0)),
    **dict.fromkeys(["Softmax", "Flatten", "Hardmax", "LogSoftmax"], (_axis, 1)),
    "HardSigmoid": (_hard_sigmoid, 0),
    "HardSwish": (None, 0),
    "Shrink": (_shrink, 0),
    "Transpose": (_permutation, 1),
    "Cast": (_cast, 0),
    "MaxPool": (_max_pool, 3),
    "AveragePool": (_average_pool, 3),
    "LpPool": (_lp_pool, 3),
    "SpaceToDepth": (lambda sketch, tensor: {"blocksize": sketch.choose([1, 2])}, 4),
    "MeanVarianceNormalization": (None, 4),
    "LpNormalization": (None, 1),
}

DRAWERS: dict[str, Drawer] = {
    **{name: partial(_one_input, name, attributes, rank) for name, (attributes, rank) in _ONE_INPUT.items()},
    **{name: partial(_two_inputs, name) for name in ("Add", "Sub", "Mul", "Div", "Max", "Min", "Pow")},
    **{f"{name} of several": partial(_several_inputs, name) for name in ("Sum", "Mean", "Max", "Min")},
    **{name: partial(_conv, name) for name in ("Conv", "ConvTranspose")},
    "MaxPool with indices": _max_pool_with_indices,
    "MatMul": _matmul,
    "Gemm": _gemm,
    "BatchNormalization": _batch_normalization,
    "PRelu": _prelu,
    "Clip": _clip,
    "Einsum": _einsum,
    "Dropout": _dropout,
    "TopK": _top_k,
    "Scaler": _scaler,
}
"""By operator, or by what is odd about it."""

_SMOOTH = ("Sigmoid", "Exp", "Sqrt", "Softplus", "Elu", "Selu", "Celu", "Softmax", "LogSoftmax", "HardSwish", "Pow")
_OTHER = ("Hardmax", "Floor", "Sign", "ReduceL2", "ReduceProd", "ReduceSumSquare", "LpPool", "LpNormalization", "TopK")
SELDOM = (*_SMOOTH, *_OTHER, "MeanVarianceNormalization", "MaxPool with indices", "Scatter", "loop")
"""What the reader refuses as a rule: graphs with them say little else."""
