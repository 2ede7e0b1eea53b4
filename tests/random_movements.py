"""Draws single nodes that move, pick or sum up elements, by operator, with odd attributes; see `random_graphs`."""

from functools import partial
from typing import Any

import numpy as np
from random_graphs import Drawer, GraphSketch, Tensor, UnsuitableError


def _reduce(operator: str, sketch: GraphSketch) -> list[Tensor]:
    tensor = sketch.variable(1)
    count = int(sketch.rng.integers(1, tensor.rank + 1))
    low = -tensor.rank if sketch.opset >= 11 else 0
    axes = sorted({int(axis) % tensor.rank for axis in sketch.rng.integers(low, tensor.rank, size=count)})
    axes = [axis - tensor.rank if low and sketch.chance(0.3) else axis for axis in axes]
    attributes: dict[str, Any] = {"keepdims": int(sketch.rng.integers(2))} if sketch.chance(0.8) else {}
    is_input = sketch.opset >= (13 if operator == "ReduceSum" else 18)
    if is_input and sketch.chance(0.2):
        attributes["noop_with_empty_axes"] = int(sketch.rng.integers(2))
    if sketch.chance(0.15):
        return sketch.add(operator, [tensor], **attributes)
    if is_input:
        return sketch.add(operator, [tensor, sketch.constant(np.array(axes))], **attributes)
    return sketch.add(operator, [tensor], axes=axes, **attributes)


def _slice(sketch: GraphSketch) -> list[Tensor]:
    tensor = sketch.variable(1)
    axes = sketch.rng.permutation(tensor.rank)[: sketch.rng.integers(1, tensor.rank + 1)]
    starts = sketch.rng.integers(-3, 3, size=axes.size)
    ends = np.array([sketch.choose([-1, 1, 2, 4, 2**31 - 1, 2**62]) for _ in axes])
    if sketch.opset < 10:
        return sketch.add("Slice", [tensor], axes=axes.tolist(), starts=starts.tolist(), ends=ends.tolist())
    steps = np.array([sketch.choose([1, 1, 2, -1]) for _ in axes])
    ends = np.where(steps < 0, np.array([sketch.choose([-(2**62), -4, 0]) for _ in axes]), ends)
    inputs = [sketch.constant(values) for values in (starts, ends, axes, steps)]
    return sketch.add("Slice", [tensor, *inputs[: 4 if (steps != 1).any() else 3]])


def _gather(operator: str, sketch: GraphSketch) -> list[Tensor]:
    tensor = sketch.variable(1)
    axis = int(sketch.rng.integers(-tensor.rank if sketch.opset >= 11 else 0, tensor.rank))
    size = tensor.shape[axis]
    low = -size if sketch.opset >= 11 else 0
    if operator == "GatherElements":
        indices = sketch.rng.integers(low, size, size=tensor.shape)
    else:
        indices = sketch.rng.integers(low, size, size=sketch.choose([(), (1,), (2,), (2, 2)]))
    kind = sketch.choose([np.int64, np.int64, np.int32])
    return sketch.add(operator, [tensor, sketch.constant(indices.astype(kind))], axis=axis)


def _gather_nd(sketch: GraphSketch) -> list[Tensor]:
    tensor = sketch.variable(1)
    depth = int(sketch.rng.integers(1, tensor.rank + 1))
    indices = np.stack([sketch.rng.integers(-size, size, size=2) for size in tensor.shape[:depth]], axis=-1)
    return sketch.add("GatherND", [tensor, sketch.constant(indices)])


def _scatter(operator: str, sketch: GraphSketch) -> list[Tensor]:
    """Elements written over; with a reduction in newer operator sets."""
    tensor = sketch.variable(1)
    attributes: dict[str, Any] = {}
    if operator == "ScatterND":
        index = np.array([[int(sketch.rng.integers(size)) for size in tensor.shape]])
        updates = (1,)
    else:
        axis = int(sketch.rng.integers(0, tensor.rank))
        shape = [1] * tensor.rank
        index, updates, attributes["axis"] = sketch.rng.integers(0, tensor.shape[axis], size=shape), tuple(shape), axis
    if sketch.opset >= 16 and sketch.chance(0.5) and "scatter reduction" not in sketch.without:
        attributes["reduction"] = sketch.choose(["none", "add", "mul"] + ["min", "max"] * (sketch.opset >= 18))
    other = [tensor for tensor in sketch.tensors if tensor.shape == updates and tensor.kind == sketch.kind]
    update = sketch.choose(other) if other and sketch.chance(0.3) else sketch.constant(3 * sketch.weights(*updates))
    data = tensor if sketch.chance(0.85) else sketch.constant(sketch.weights(*tensor.shape))
    return sketch.add(operator, [data, sketch.constant(index), update], **attributes)


def _pad(sketch: GraphSketch) -> list[Tensor]:
    tensor = sketch.variable(1)
    pads = sketch.rng.integers(-1 if sketch.chance(0.3) else 0, 3, size=2 * tensor.rank)
    mode = sketch.choose(["constant", "constant", "reflect", "edge", *(["wrap"] if sketch.opset >= 19 else [])])
    attributes = {"mode": mode} if mode != "constant" or sketch.chance(0.3) else {}
    value = sketch.limit(-1.0)
    if sketch.opset < 11:
        return sketch.add("Pad", [tensor], pads=pads.tolist(), value=value, **attributes)
    inputs = [tensor, sketch.constant(pads)]
    if sketch.chance(0.6):
        inputs.append(sketch.constant(sketch.real(value)))
    return sketch.add("Pad", inputs, **attributes)


def _reshape(sketch: GraphSketch) -> list[Tensor]:
    tensor = sketch.variable(1)
    total = int(np.prod(tensor.shape))
    divisors = [size for size in range(1, total + 1) if total % size == 0]
    first = sketch.choose(divisors)
    shape = sketch.choose([[-1], [1, -1], [first, -1], [first, total // first], [0, -1], [1, first, -1]])
    return sketch.add("Reshape", [tensor, sketch.constant(np.array(shape))])


def _with_axes(operator: str, sketch: GraphSketch) -> list[Tensor]:
    """Squeeze and Unsqueeze."""
    tensor = sketch.variable(1)
    ones = [axis for axis, size in enumerate(tensor.shape) if size == 1]
    axes = ones[:1] if operator == "Squeeze" else [int(sketch.rng.integers(0, tensor.rank + 1))]
    if not axes:
        raise UnsuitableError
    if operator == "Squeeze" and sketch.chance(0.2):
        return sketch.add(operator, [tensor])
    if sketch.opset < 13:
        return sketch.add(operator, [tensor], axes=axes)
    return sketch.add(operator, [tensor, sketch.constant(np.array(axes))])


def _split(sketch: GraphSketch) -> list[Tensor]:
    tensor = sketch.variable(1)
    axis = int(sketch.rng.integers(0, tensor.rank))
    size = tensor.shape[axis]
    if size < 2:
        raise UnsuitableError
    first = int(sketch.rng.integers(1, size))
    if sketch.chance(0.3):
        extra = {"num_outputs": 2} if sketch.opset >= 18 else {}
        return sketch.add("Split", [tensor], outputs=2, axis=axis, **extra)
    if sketch.opset < 13:
        return sketch.add("Split", [tensor], outputs=2, axis=axis, split=[first, size - first])
    return sketch.add("Split", [tensor, sketch.constant(np.array([first, size - first]))], outputs=2, axis=axis)


def _repeated(operator: str, sketch: GraphSketch) -> list[Tensor]:
    """Tile and Expand."""
    tensor = sketch.variable(1)
    if operator == "Tile":
        return sketch.add("Tile", [tensor, sketch.constant(sketch.rng.integers(1, 3, size=tensor.rank))])
    shape = [2 if size == 1 and sketch.chance(0.5) else size for size in tensor.shape]
    return sketch.add("Expand", [tensor, sketch.constant(np.array([1, *shape] if sketch.chance(0.3) else shape))])


def _depth_to_space(sketch: GraphSketch) -> list[Tensor]:
    extra = {"mode": sketch.choose(["DCR", "CRD"])} if sketch.opset >= 11 else {}
    return sketch.add("DepthToSpace", [sketch.variable(4)], blocksize=sketch.choose([1, 2]), **extra)


def _trilu(sketch: GraphSketch) -> list[Tensor]:
    offset = sketch.constant(np.array(sketch.choose([-1, 0, 1])))
    return sketch.add("Trilu", [sketch.variable(2), offset], upper=int(sketch.rng.integers(2)))


def _compress(sketch: GraphSketch) -> list[Tensor]:
    tensor = sketch.variable(1)
    axis = int(sketch.rng.integers(0, tensor.rank))
    kept = sketch.rng.random(tensor.shape[axis]) < 0.7
    (output,) = sketch.add("Compress", [tensor, sketch.constant(kept)], axis=axis)
    return [output]


def _reverse_sequence(sketch: GraphSketch) -> list[Tensor]:
    tensor = sketch.variable(2)
    lengths = sketch.rng.integers(1, tensor.shape[0] + 1, size=tensor.shape[1])
    return sketch.add("ReverseSequence", [tensor, sketch.constant(lengths)])


def _concat(sketch: GraphSketch) -> list[Tensor]:
    tensor = sketch.variable(1)
    axis = int(sketch.rng.integers(-tensor.rank if sketch.opset >= 11 else 0, tensor.rank))
    size = [*tensor.shape]
    size[axis] = int(sketch.rng.integers(1, 3))
    other = sketch.constant(sketch.weights(*size)) if sketch.chance(0.4) else sketch.variable(1)
    return sketch.add("Concat", [tensor, other] if sketch.chance(0.5) else [other, tensor], axis=axis)


def _resize(sketch: GraphSketch) -> list[Tensor]:
    tensor = sketch.variable(3)
    scales = np.float32([1.0, 1.0, *(sketch.choose([1.0, 2.0, 1.5, 0.5, 0.7]) for _ in tensor.shape[2:])])
    mode = sketch.choose(["nearest", "linear", "cubic"])
    if sketch.opset < 10:
        return sketch.add("Upsample", [tensor, sketch.constant(np.maximum(scales, 1))], mode=mode)
    if sketch.opset < 11:
        return sketch.add("Resize", [tensor, sketch.constant(scales)], mode=mode)
    attributes: dict[str, Any] = {"mode": mode}
    transformations = ["half_pixel", "pytorch_half_pixel", "align_corners", "asymmetric"]
    transformations += ["half_pixel_symmetric"] * (sketch.opset >= 19)
    if sketch.chance(0.7):
        attributes["coordinate_transformation_mode"] = sketch.choose(transformations)
    if mode == "nearest" and sketch.chance(0.7):
        rounding = ["round_prefer_floor", "round_prefer_ceil", "floor", "ceil"]
        attributes["nearest_mode"] = sketch.choose(rounding)
    if sketch.opset >= 18 and sketch.chance(0.2):
        attributes["antialias"] = 1
    if mode == "cubic" and sketch.chance(0.5):
        attributes |= {"cubic_coeff_a": -0.5, "exclude_outside": 1}
    empty = sketch.constant(np.float32([]))
    if sketch.chance(0.3):
        sizes = [*tensor.shape[:2], *(int(size) for size in sketch.rng.integers(1, 6, size=tensor.rank - 2))]
        return sketch.add(
            "Resize",
            [tensor, empty, empty if sketch.opset < 13 else "", sketch.constant(np.array(sizes))],
            **attributes,
        )
    return sketch.add("Resize", [tensor, empty, sketch.constant(scales)], **attributes)


def _grid_sample(sketch: GraphSketch) -> list[Tensor]:
    tensor = sketch.variable(4)
    if tensor.rank != 4:
        raise UnsuitableError
    grid = sketch.real(*sketch.rng.uniform(-1.2, 1.2, size=tensor.shape[0] * 8)).reshape(tensor.shape[0], 2, 2, 2)
    mode = sketch.choose(["linear", "nearest"] if sketch.opset >= 20 else ["bilinear", "nearest"])
    attributes = {"mode": mode, "padding_mode": sketch.choose(["zeros", "border", "reflection"])}
    return sketch.add("GridSample", [tensor, sketch.constant(grid)], **attributes)


def _cumulative_sum(sketch: GraphSketch) -> list[Tensor]:
    tensor = sketch.variable(1)
    axis = sketch.constant(np.array(int(sketch.rng.integers(-tensor.rank, tensor.rank))))
    flags = {"exclusive": int(sketch.rng.integers(2)), "reverse": int(sketch.rng.integers(2))}
    return sketch.add("CumSum", [tensor, axis], **flags)


_REDUCTIONS = ("Mean", "Sum", "Max", "Min", "L1", "L2", "Prod", "SumSquare")

DRAWERS: dict[str, Drawer] = {
    **{f"Reduce{name}": partial(_reduce, f"Reduce{name}") for name in _REDUCTIONS},
    **{name: partial(_gather, name) for name in ("Gather", "GatherElements")},
    **{name: partial(_scatter, name) for name in ("Scatter", "ScatterElements", "ScatterND")},
    **{name: partial(_with_axes, name) for name in ("Squeeze", "Unsqueeze")},
    **{name: partial(_repeated, name) for name in ("Tile", "Expand")},
    "Concat": _concat,
    "Slice": _slice,
    "GatherND": _gather_nd,
    "Pad": _pad,
    "Reshape": _reshape,
    "Split": _split,
    "DepthToSpace": _depth_to_space,
    "Trilu": _trilu,
    "Compress": _compress,
    "ReverseSequence": _reverse_sequence,
    "Resize": _resize,
    "GridSample": _grid_sample,
    "CumSum": _cumulative_sum,
}
"""By operator."""
