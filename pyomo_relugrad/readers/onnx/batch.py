"""Which dimension of a graph's tensors is the batch, and reading the network of one row.

A first dimension that is symbolic or 1 is the batch, unless it is the only dimension and fixed. A fixed first dimension
N > 1 is one if the graph treats its N rows alike and apart, see `rows`. If it does not, the network is that of all N
rows together.
"""

from collections.abc import Sequence
from math import prod

import numpy as np
from onnx import GraphProto, TensorProto, ValueInfoProto, numpy_helper

from pyomo_relugrad.arrays import Array
from pyomo_relugrad.errors import NetworkFileError
from pyomo_relugrad.network import TensorSpec
from pyomo_relugrad.readers.onnx.evaluate import MAX_ELEMENTS, normalised

_MAX_RANK = 16


def input_shape(value: ValueInfoProto) -> tuple[int, ...]:
    """Shape of an input of the graph, with one row where the batch is symbolic.

    Raises
    ------
    NetworkFileError
        If there is no shape, or a dimension after the first is symbolic.
    """
    tensor = value.type.tensor_type
    if not value.type.HasField("tensor_type") or not tensor.HasField("shape"):
        raise NetworkFileError(f"the input {value.name!r} is no tensor with a shape: export the network with one")
    sizes = [dimension.dim_value for dimension in tensor.shape.dim]
    if sizes and has_symbolic_batch(value):
        sizes[0] = 1
    if min(sizes, default=1) < 1:
        names = [dimension.dim_param or dimension.dim_value or "?" for dimension in tensor.shape.dim]
        raise NetworkFileError(
            f"the input {value.name!r} has the shape {names}: export the network with fixed sizes after the batch"
        )
    if len(sizes) > _MAX_RANK or prod(sizes) > MAX_ELEMENTS:
        raise NetworkFileError(f"the input {value.name!r} of shape {sizes} is too large")
    return tuple(sizes)


def has_symbolic_batch(value: ValueInfoProto) -> bool:
    """Whether the first dimension has no fixed size."""
    dimensions = value.type.tensor_type.shape.dim
    return bool(dimensions) and dimensions[0].dim_value == 0


def spec(value: ValueInfoProto, shape: tuple[int, ...], batched: bool) -> TensorSpec:
    """Name and shape of an input or output without its batch dimension; `batched` if rows were reduced to one."""
    has_batch = shape[:1] == (1,) and (len(shape) > 1 or batched)
    return TensorSpec(value.name, shape[1:] if has_batch else shape)


def fixed_rows(shapes: Sequence[tuple[int, ...]]) -> int:
    """The first dimension if it is fixed, above 1 and the same for all inputs; else 1."""
    firsts = {shape[0] if len(shape) > 1 else 0 for shape in shapes}
    return max(firsts.pop(), 1) if len(firsts) == 1 else 1


def constants_of_one_row(graph: GraphProto, rows: int) -> dict[str, Array]:
    """Constants that are written for the number of rows, with one row in its place.

    These are the shapes of Reshape and the like that begin with the number, and stacks of that many equal rows.
    """
    places = ((node.input, _SHAPE_INPUT.get(node.op_type, len(node.input))) for node in graph.node)
    shapes = {inputs[place] for inputs, place in places if place < len(inputs)}
    result = {}
    for name, tensor in _stored_tensors(graph).items():
        if name in shapes:
            shape = numpy_helper.to_array(tensor)
            if shape.ndim == 1 and shape.size and shape[0] == rows:
                result[name] = np.concatenate([[1], shape[1:]])
        elif len(tensor.dims) > 1 and tensor.dims[0] == rows:
            stack = normalised(numpy_helper.to_array(tensor))
            if (stack == stack[:1]).all():
                result[name] = stack[:1]
    return result


_SHAPE_INPUT = {"Reshape": 1, "Expand": 1, "ConstantOfShape": 0}


def _stored_tensors(graph: GraphProto) -> dict[str, TensorProto]:
    stored = {tensor.name: tensor for tensor in graph.initializer}
    for node in graph.node:
        if node.op_type == "Constant" and node.output and node.attribute and node.attribute[0].name == "value":
            stored[node.output[0]] = node.attribute[0].t
    return stored
