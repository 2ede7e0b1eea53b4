"""Draws several nodes at a time, as exporters write them: choices, masks, shapes, casts, functions, branches, loops."""

from functools import partial
from typing import Any

import numpy as np
from onnx import TensorProto, helper
from random_graphs import Drawer, GraphSketch, Tensor, UnsuitableError

FUNCTION_DOMAIN = "local.functions"


def _compared(operator: str, sketch: GraphSketch, tensor: Tensor, threshold: float) -> Tensor:
    """The outcome of a comparison with a number; before version 7 the sides had one shape."""
    values = np.full(tensor.shape, sketch.real(threshold)) if sketch.opset < 7 else sketch.real(threshold)
    return sketch.add(operator, [tensor, sketch.constant(values)])[0]


def _where(sketch: GraphSketch) -> list[Tensor]:
    """A choice by a comparison: of pieces that meet, of the tensor and a number, or of what does not meet."""
    tensor, threshold = sketch.variable(), float(sketch.choose([0.0, 0.5, -1.0]))
    condition = _compared(
        sketch.choose(["Greater", "Less", "GreaterOrEqual", "LessOrEqual"]), sketch, tensor, threshold
    )
    form = sketch.rng.random()
    if form < 0.4:
        sides = [tensor, sketch.constant(sketch.real(threshold))]
    elif form < 0.7:
        (shifted,) = sketch.add("Sub", [tensor, sketch.constant(sketch.real(threshold))])
        sides = [shifted, *sketch.add("Mul", [shifted, sketch.constant(sketch.real(0.1))])]
    else:
        sides = [tensor, sketch.constant(sketch.real(threshold + 0.5))]
    return sketch.add("Where", [condition, *(sides if sketch.chance(0.5) else sides[::-1])])


def _mask_product(sketch: GraphSketch) -> list[Tensor]:
    """``(x > c) * y`` by a cast truth value."""
    tensor, threshold = sketch.variable(), float(sketch.choose([0.0, 0.0, 1.0]))
    condition = _compared(sketch.choose(["Greater", "Less"]), sketch, tensor, threshold)
    (mask,) = sketch.add("Cast", [condition], to=sketch.kind)
    factor = tensor if sketch.chance(0.7) else sketch.variable(shape=tensor.shape)
    return sketch.add("Mul", [mask, factor] if sketch.chance(0.5) else [factor, mask])


def _two_choices(sketch: GraphSketch) -> list[Tensor]:
    """A function of three pieces, by two Wheres."""
    tensor = sketch.variable()
    above, below = _compared("Greater", sketch, tensor, 0.5), _compared("Less", sketch, tensor, -0.5)
    pieces = [tensor, sketch.constant(sketch.real(0.5)), sketch.constant(sketch.real(-0.5))]
    if sketch.chance(0.5):
        pieces[1:] = [sketch.add("Sub", [tensor, pieces[1]])[0], sketch.add("Sub", [tensor, pieces[2]])[0]]
        pieces[0] = sketch.constant(sketch.real(0.0))
    (inner,) = sketch.add("Where", [below, pieces[2], pieces[0]])
    return sketch.add("Where", [above, pieces[1], inner])


def _constant_mask(sketch: GraphSketch) -> list[Tensor]:
    """Elements masked out by a number that means minus infinity, before a maximum."""
    tensor = sketch.variable(1)
    mask = sketch.rng.random(tensor.shape[-1]) < 0.7
    value = sketch.constant(sketch.real(sketch.limit(-1.0)))
    (masked,) = sketch.add("Where", [sketch.constant(mask), tensor, value])
    if sketch.opset >= 18:
        return sketch.add("ReduceMax", [masked, sketch.constant(np.array([-1]))])
    return sketch.add("ReduceMax", [masked], axes=[tensor.rank - 1])


def _sign_product(sketch: GraphSketch) -> list[Tensor]:
    tensor = sketch.variable()
    (sign,) = sketch.add("Sign", [tensor])
    return sketch.add("Mul", [tensor if sketch.chance(0.7) else sketch.variable(shape=tensor.shape), sign])


def _padded_maximum(sketch: GraphSketch) -> list[Tensor]:
    tensor = sketch.variable(3)
    spatial, value = tensor.rank - 2, sketch.limit(-1.0)
    pads = [0, 0, *[1] * spatial] * 2
    if sketch.opset < 11:
        (padded,) = sketch.add("Pad", [tensor], pads=pads, value=value)
    else:
        inputs = [tensor, sketch.constant(np.array(pads)), sketch.constant(sketch.real(value))]
        (padded,) = sketch.add("Pad", inputs)
    return sketch.add("MaxPool", [padded], kernel_shape=[3] * spatial, strides=[2] * spatial)


def _clip_by_maxima(sketch: GraphSketch) -> list[Tensor]:
    low = sketch.constant(sketch.real(sketch.limit(-1.0)))
    (above,) = sketch.add("Max", [sketch.variable(), low])
    return sketch.add("Min", [above, sketch.constant(sketch.real(sketch.limit()))])


def _residual(sketch: GraphSketch) -> list[Tensor]:
    tensor = sketch.variable(2)
    weight = sketch.constant(sketch.weights(tensor.shape[-1], tensor.shape[-1]))
    (product,) = sketch.add("MatMul", [tensor, weight])
    (hidden,) = sketch.add("Relu", [product])
    return sketch.add("Add", [tensor, hidden])


def _shape_of_reshape(sketch: GraphSketch) -> list[Tensor]:
    """Flatten as older exporters write it: the batch from Shape, joined with the rest."""
    tensor = sketch.variable(2)
    sketch.add("Shape", [tensor])
    shape = sketch.tensors.pop()
    name = sketch.name("t")
    sketch.constants[name] = np.array(tensor.shape[0])
    sketch.nodes.append(helper.make_node("Gather", [shape.name, sketch.constant(np.array(0))], [name]))
    rows = sketch.name("t")
    sketch.constants[rows] = np.array([tensor.shape[0]])
    if sketch.opset < 13:
        sketch.nodes.append(helper.make_node("Unsqueeze", [name], [rows], axes=[0]))
    else:
        sketch.nodes.append(helper.make_node("Unsqueeze", [name, sketch.constant(np.array([0]))], [rows]))
    joined = sketch.name("t")
    sketch.constants[joined] = np.array([tensor.shape[0], -1])
    sketch.nodes.append(helper.make_node("Concat", [rows, sketch.constant(np.array([-1]))], [joined], axis=0))
    return sketch.add("Reshape", [tensor, joined])


def _there_and_back(sketch: GraphSketch) -> list[Tensor]:
    """A cast to another floating-point type and back."""
    (other,) = sketch.add("Cast", [sketch.variable()], to=int(TensorProto.DOUBLE))
    return sketch.add("Cast", [other], to=sketch.kind)


def _integer_input(sketch: GraphSketch) -> list[Tensor]:
    """An integer input that is moved, then cast; or scaled by a node that takes integers."""
    tensor = sketch.variable(2, is_real=False)
    form = sketch.rng.random()
    if form < 0.2 and sketch.kind == TensorProto.FLOAT and tensor.kind == TensorProto.INT64 and tensor.rank == 2:
        return sketch.add("Scaler", [tensor], domain="ai.onnx.ml", offset=[1.0], scale=[0.5])
    if form < 0.6:
        (tensor,) = sketch.add("Flatten", [tensor]) if form < 0.4 else sketch.add("Transpose", [tensor])
    return sketch.add("Cast", [tensor], to=sketch.kind)


_FUNCTIONS: tuple[tuple[str, str, float], ...] = (
    ("LeakyRelu", "alpha", 0.3),
    ("HardSigmoid", "beta", 0.25),
    ("ThresholdedRelu", "alpha", 0.0),
    ("Elu", "alpha", 0.5),
)


def _function(sketch: GraphSketch) -> list[Tensor]:
    """A local function of one node, its attribute given by the call, by a default, or by neither."""
    if sketch.opset < 10:
        raise UnsuitableError
    tensor = sketch.variable()
    operator, attribute, default = sketch.choose(_FUNCTIONS)
    has_default, is_given = sketch.chance(0.5), sketch.chance(0.6)
    if "function defaults" in sketch.without:
        has_default, is_given = False, True
    inner = helper.make_node(operator, ["a"], ["b"])
    inner.attribute.add(name=attribute, ref_attr_name=attribute, type=helper.make_attribute(attribute, default).type)
    name = sketch.name("Function")
    known: dict[str, Any] = {"attribute_protos": [helper.make_attribute(attribute, default)]}
    function = helper.make_function(
        FUNCTION_DOMAIN, name, ["a"], ["c"], [inner, helper.make_node("Neg", ["b"], ["c"])],
        [helper.make_opsetid("", sketch.opset)], **(known if has_default else {"attributes": [attribute]}),
    )  # fmt: skip
    result = Tensor(sketch.name("t"), tensor.kind, tensor.shape)
    given = {attribute: 0.125 if operator != "ThresholdedRelu" else 0.0} if is_given else {}
    sketch.nodes.append(helper.make_node(name, [tensor.name], [result.name], domain=FUNCTION_DOMAIN, **given))
    sketch.functions.append(function)
    sketch.domains[FUNCTION_DOMAIN] = 1
    sketch.tensors.append(result)
    return [result]


def _branch(sketch: GraphSketch) -> list[Tensor]:
    """If with a constant condition; its branches read tensors from outside."""
    if sketch.opset < 11:
        raise UnsuitableError
    tensor = sketch.variable()
    result = Tensor(sketch.name("t"), tensor.kind, tensor.shape)
    info = helper.make_tensor_value_info
    branches = {}
    for name, operator in (("then_branch", "Relu"), ("else_branch", sketch.choose(["Neg", "Abs", "Sigmoid"]))):
        inner = sketch.name("t")
        node = helper.make_node(operator, [tensor.name], [inner])
        branches[name] = helper.make_graph([node], name, [], [info(inner, tensor.kind, tensor.shape)])
    condition = sketch.constant(np.array(sketch.chance(0.5)))
    sketch.nodes.append(helper.make_node("If", [condition], [result.name], **branches))
    sketch.tensors.append(result)
    return [result]


def _loop(sketch: GraphSketch) -> list[Tensor]:
    """A loop of a fixed number of steps that adds a tensor from outside."""
    if sketch.opset < 11:
        raise UnsuitableError
    tensor = sketch.variable()
    added = tensor.name if sketch.chance(0.5) else sketch.constant(sketch.weights(*tensor.shape))
    info = helper.make_tensor_value_info
    names = [sketch.name("t") for _ in range(5)]
    step, condition, before, after, kept = names
    nodes = [helper.make_node("Add", [before, added], [after]), helper.make_node("Identity", [condition], [kept])]
    inputs = [info(step, TensorProto.INT64, ()), info(condition, TensorProto.BOOL, ())]
    body = helper.make_graph(
        nodes, "body", [*inputs, info(before, tensor.kind, tensor.shape)],
        [info(kept, TensorProto.BOOL, ()), info(after, tensor.kind, tensor.shape)],
    )  # fmt: skip
    count, start = sketch.constant(np.array(3)), sketch.constant(sketch.weights(*tensor.shape))
    result = Tensor(sketch.name("t"), tensor.kind, tensor.shape)
    sketch.nodes.append(helper.make_node("Loop", [count, "", start], [result.name], body=body))
    sketch.tensors.append(result)
    return [result]


def _quantised(sketch: GraphSketch) -> list[Tensor]:
    """A weight stored as integers with a scale."""
    tensor = sketch.variable(1)
    weight = sketch.rng.integers(-128, 128, size=(tensor.shape[-1], 3)).astype(np.int8)
    if sketch.opset < 10 or sketch.kind != TensorProto.FLOAT:
        raise UnsuitableError
    name = sketch.name("t")
    inputs = [sketch.constant(weight), sketch.constant(np.float32(0.02)), sketch.constant(np.int8(3))]
    sketch.nodes.append(helper.make_node("DequantizeLinear", inputs, [name]))
    sketch.constants[name] = np.float32(0.02) * (weight.astype(np.float32) - 3)
    return sketch.add("MatMul", [tensor, name])


DRAWERS: dict[str, Drawer] = {
    "choice": _where,
    "mask product": _mask_product,
    "two choices": _two_choices,
    "constant mask": _constant_mask,
    "sign product": _sign_product,
    "padded maximum": _padded_maximum,
    "clip by maxima": _clip_by_maxima,
    "residual": _residual,
    "shape of reshape": _shape_of_reshape,
    "cast and back": partial(_there_and_back),
    "integer input": _integer_input,
    "function": _function,
    "branch": _branch,
    "loop": _loop,
    "quantised": _quantised,
}
"""By what they draw."""
