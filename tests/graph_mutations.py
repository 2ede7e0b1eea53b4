"""Mutations of ONNX models: nodes, attributes, tensors and inputs changed, or bytes of the file overwritten."""

from collections.abc import Callable, Collection

import numpy as np
from onnx import AttributeProto, GraphProto, ModelProto, NodeProto, TensorProto, helper, numpy_helper
from random_graphs import LIMITS, random_model
from random_movements import DRAWERS as MOVEMENTS
from random_nodes import DRAWERS as COMPUTATIONS

SIZES = (-(2**62), -3, -2, -1, 0, 1, 2, 3, 4, 7, 100, 5000, 2**40, 2**62)
VALUES = (0.0, 1.0, -1.0, 0.5, -2.0, 1e-3, np.nan)
ODD_OPERATORS = ("Expand", "ConstantOfShape", "Shape", "Where", "Greater", "Not", "Range", "NonZero", "Loop", "If")
OPERATORS = (*(name for name in COMPUTATIONS | MOVEMENTS if " " not in name), *ODD_OPERATORS)


def graph_content(seed: int, index: int, without: Collection[str] = ()) -> bytes:
    """The graph of a number, as a file: as drawn, with changed fields, or with changed bytes."""
    rng = np.random.default_rng([seed, index])
    model = random_model(rng, without)
    if index % 3 == 0:
        return model.SerializeToString()
    return mutated_bytes(model, rng) if index % 15 == 1 else mutated(model, rng, without).SerializeToString()


def mutated_bytes(model: ModelProto, rng: np.random.Generator) -> bytes:
    """The file with bytes overwritten, cut off, removed or doubled."""
    content = bytearray(model.SerializeToString())
    kind, place = rng.integers(4), int(rng.integers(len(content)))
    if kind == 0:
        for _ in range(rng.integers(1, 5)):
            content[rng.integers(len(content))] = rng.integers(256)
    elif kind == 1:
        del content[place:]
    elif kind == 2:
        del content[place : place + int(rng.integers(1, 20))]
    else:
        other = int(rng.integers(len(content)))
        content[place:place] = content[other : other + int(rng.integers(1, 30))]
    return bytes(content)


def mutated(model: ModelProto, rng: np.random.Generator, without: Collection[str] = ()) -> ModelProto:
    """A copy with one or two fields changed to something else; without ``limits`` no number is made very large."""
    result = ModelProto()
    result.CopyFrom(model)
    values = VALUES if "limits" in without else (*VALUES, *LIMITS, *(-limit for limit in LIMITS))
    for _ in range(rng.integers(1, 3)):
        change = _CHANGES[rng.integers(len(_CHANGES))]
        if change is _change_opset:
            _change_opset(result, rng)
        elif result.graph.node:
            change(result.graph, rng, values)
    return result


def _node(graph: GraphProto, rng: np.random.Generator) -> NodeProto:
    return graph.node[rng.integers(len(graph.node))]


def _tensors(graph: GraphProto) -> list[TensorProto]:
    constants = [a.t for node in graph.node for a in node.attribute if a.type == AttributeProto.TENSOR]
    return [*graph.initializer, *constants]


def _rewire(graph: GraphProto, rng: np.random.Generator, values: tuple[float, ...]) -> None:
    node = _node(graph, rng)
    names = [name for other in graph.node for name in (*other.input, *other.output)]
    if node.input:
        node.input[rng.integers(len(node.input))] = str(rng.choice([*names, *names, "", "missing"]))


def _swap_inputs(graph: GraphProto, rng: np.random.Generator, values: tuple[float, ...]) -> None:
    node = _node(graph, rng)
    if len(node.input) > 1:
        first, second = rng.permutation(len(node.input))[:2]
        node.input[first], node.input[second] = node.input[second], node.input[first]


def _change_operator(graph: GraphProto, rng: np.random.Generator, values: tuple[float, ...]) -> None:
    _node(graph, rng).op_type = str(rng.choice(OPERATORS))


def _change_attribute(graph: GraphProto, rng: np.random.Generator, values: tuple[float, ...]) -> None:
    node = _node(graph, rng)
    if not node.attribute:
        return
    attribute = node.attribute[rng.integers(len(node.attribute))]
    if attribute.type == AttributeProto.INTS and attribute.ints:
        attribute.ints[rng.integers(len(attribute.ints))] = int(rng.choice(SIZES))
    elif attribute.type == AttributeProto.INT:
        attribute.i = int(rng.choice(SIZES))
    elif attribute.type == AttributeProto.FLOAT:
        attribute.f = float(np.float32(rng.choice(values)))
    elif attribute.type != AttributeProto.TENSOR:
        attribute.type = int(rng.integers(0, 15))


def _drop_attribute(graph: GraphProto, rng: np.random.Generator, values: tuple[float, ...]) -> None:
    node = _node(graph, rng)
    if node.attribute:
        del node.attribute[rng.integers(len(node.attribute))]


def _drop_input(graph: GraphProto, rng: np.random.Generator, values: tuple[float, ...]) -> None:
    node = _node(graph, rng)
    if node.input:
        del node.input[rng.integers(len(node.input))]


def _change_number(graph: GraphProto, rng: np.random.Generator, values: tuple[float, ...]) -> None:
    """A number of a stored tensor replaced, or all of them."""
    tensors = [tensor for tensor in _tensors(graph) if tensor.raw_data]
    if not tensors:
        return
    tensor = tensors[rng.integers(len(tensors))]
    try:
        array = numpy_helper.to_array(tensor).copy()
    except (TypeError, ValueError):  # a mutation before has spoilt it
        return
    if not array.size or array.dtype.kind not in "fi":
        return
    with np.errstate(all="ignore"):
        value = array.dtype.type(rng.choice(values if array.dtype.kind == "f" else SIZES[1:-3]))
    places = slice(None) if rng.random() < 0.3 else slice(*sorted(rng.integers(0, array.size + 1, size=2)))
    array.reshape(-1)[places] = value
    tensor.CopyFrom(numpy_helper.from_array(array, tensor.name))


def _change_dimension(graph: GraphProto, rng: np.random.Generator, values: tuple[float, ...]) -> None:
    tensors = [tensor for tensor in _tensors(graph) if tensor.dims]
    if tensors:
        tensor = tensors[rng.integers(len(tensors))]
        tensor.dims[rng.integers(len(tensor.dims))] = int(rng.choice(SIZES))


def _reshape_tensor(graph: GraphProto, rng: np.random.Generator, values: tuple[float, ...]) -> None:
    """A stored tensor with a dimension of 1 more or less, or two of them exchanged."""
    tensors = _tensors(graph)
    if not tensors:
        return
    tensor = tensors[rng.integers(len(tensors))]
    dimensions = list(tensor.dims)
    if rng.random() < 0.4:
        dimensions.insert(int(rng.integers(len(dimensions) + 1)), 1)
    elif 1 in dimensions:
        dimensions.remove(1)
    else:
        dimensions = dimensions[::-1]
    del tensor.dims[:]
    tensor.dims.extend(dimensions)


def _change_type(graph: GraphProto, rng: np.random.Generator, values: tuple[float, ...]) -> None:
    tensors = _tensors(graph)
    if tensors:
        tensors[rng.integers(len(tensors))].data_type = int(rng.integers(0, 24))


def _change_input(graph: GraphProto, rng: np.random.Generator, values: tuple[float, ...]) -> None:
    dimensions = graph.input[0].type.tensor_type.shape.dim
    if len(dimensions):
        dimensions[rng.integers(len(dimensions))].dim_value = int(rng.choice(SIZES))


def _change_input_type(graph: GraphProto, rng: np.random.Generator, values: tuple[float, ...]) -> None:
    kinds = (TensorProto.FLOAT, TensorProto.DOUBLE, TensorProto.FLOAT16, TensorProto.INT64, TensorProto.INT32)
    graph.input[0].type.tensor_type.elem_type = int(rng.choice(kinds))


def _remove_node(graph: GraphProto, rng: np.random.Generator, values: tuple[float, ...]) -> None:
    """A node taken out, and its readers put behind its input, if it has one."""
    index = int(rng.integers(len(graph.node)))
    node = NodeProto()
    node.CopyFrom(graph.node[index])
    del graph.node[index]
    if not node.input or not node.output or rng.random() < 0.2:
        return
    for other in graph.node:
        for place, name in enumerate(other.input):
            if name == node.output[0]:
                other.input[place] = node.input[0]


def _double_node(graph: GraphProto, rng: np.random.Generator, values: tuple[float, ...]) -> None:
    """A node applied to its own output: readers read the second."""
    index = int(rng.integers(len(graph.node)))
    node = NodeProto()
    node.CopyFrom(graph.node[index])
    if not node.input or not node.output:
        return
    first = f"{node.output[0]}_first"
    graph.node[index].output[0] = first
    node.input[0] = first
    graph.node.insert(index + 1, node)


def _change_outputs(graph: GraphProto, rng: np.random.Generator, values: tuple[float, ...]) -> None:
    """Another tensor as an output, in addition."""
    names = [name for node in graph.node for name in node.output if name]
    if names:
        graph.output.append(helper.make_tensor_value_info(str(rng.choice(names)), TensorProto.FLOAT, None))


def _change_opset(model: ModelProto, rng: np.random.Generator) -> None:
    entry = model.opset_import[rng.integers(len(model.opset_import))]
    if rng.random() < 0.7:
        entry.version = max(1, entry.version + int(rng.choice([-6, -3, -1, 1, 3, 6])))
    else:
        entry.domain = str(rng.choice(["", "ai.onnx", "ai.onnx.ml", "other"]))


_CHANGES: tuple[Callable[..., None], ...] = (
    _rewire,
    _swap_inputs,
    _change_operator,
    _change_attribute,
    _drop_attribute,
    _drop_input,
    _change_number,
    _change_number,
    _change_dimension,
    _reshape_tensor,
    _change_type,
    _change_input,
    _change_input_type,
    _remove_node,
    _double_node,
    _change_outputs,
    _change_opset,
)
