"""Evaluation of one node on arrays by ONNX's reference implementation, guarded against outputs that are too large."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

import numpy as np
from onnx import NodeProto, TensorProto, TypeProto, defs, helper, numpy_helper, shape_inference
from onnx.reference import ReferenceEvaluator

from pyomo_relugrad.arrays import Array
from pyomo_relugrad.errors import NetworkFileError

MAX_ELEMENTS = 2**24
"""Most elements of a tensor that is computed rather than stored in the file."""

_SHAPE_DATA = 4096


def run_node(node: NodeProto, opset: int, inputs: Sequence[Array | None]) -> list[Array]:
    """Outputs of a node of an ONNX operator set on the given inputs; floating-point numbers are float64 throughout.

    Raises
    ------
    NetworkFileError
        If an output would have more than `MAX_ELEMENTS` elements.
    """
    renamed = _with_distinct_inputs(node, inputs)
    feeds = {name: array for name, array in zip(renamed.input, inputs, strict=True) if array is not None}
    _check_output_sizes(renamed, opset, feeds)
    values = [helper.make_tensor_value_info(name, _element_type(array), None) for name, array in feeds.items()]
    outputs = [helper.make_tensor_value_info(name, TensorProto.UNDEFINED, None) for name in renamed.output]
    graph = helper.make_graph([renamed], "node", values, outputs)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid(node.domain, opset)])
    if node.domain:
        model.opset_import.append(helper.make_opsetid("", defs.onnx_opset_version()))
    return [normalised(np.asarray(result)) for result in ReferenceEvaluator(model).run(None, feeds)]


def normalised(array: Array) -> Array:
    """Floating-point numbers of any width as float64; everything else as it is."""
    is_float = array.dtype.kind == "f" or (array.dtype.kind == "V" and "float" in array.dtype.name)
    return array.astype(np.float64, copy=False) if is_float else array


def _with_distinct_inputs(node: NodeProto, inputs: Sequence[Array | None]) -> NodeProto:
    """The node with a name of its own for each input that is there and for each output."""
    renamed = NodeProto()
    renamed.CopyFrom(node)
    del renamed.input[:], renamed.output[:]
    renamed.input.extend("" if array is None else f"input_{i}" for i, array in enumerate(inputs))
    renamed.output.extend(f"output_{i}" for i in range(max(1, len(node.output))))
    return renamed


def _element_type(array: Array) -> int:
    return TensorProto.DOUBLE if array.dtype == np.float64 else helper.np_dtype_to_tensor_dtype(array.dtype)


def _check_output_sizes(node: NodeProto, opset: int, feeds: dict[str, Array]) -> None:
    """Predict the outputs' shapes and refuse what is too large before it is allocated."""
    types: dict[str, TypeProto] = {}
    data: dict[str, TensorProto] = {}
    for name, array in feeds.items():
        # Operators that take scales or regions as float32 know no float64: shapes are inferred as for float32.
        typed = array.astype(np.float32) if array.dtype == np.float64 and array.size <= _SHAPE_DATA else array
        element = TensorProto.FLOAT if array.dtype == np.float64 else _element_type(array)
        types[name] = helper.make_tensor_type_proto(element, array.shape)
        if array.size <= _SHAPE_DATA:
            data[name] = numpy_helper.from_array(typed, name)
    schema = defs.get_schema(node.op_type, opset, node.domain)
    inferred = shape_inference.infer_node_outputs(
        schema, node, types, data, opset_imports=[helper.make_opsetid(node.domain, opset)]
    )
    for output in inferred.values():
        shape = [dimension.dim_value for dimension in output.tensor_type.shape.dim]
        if prod(shape) > max(MAX_ELEMENTS, *(array.size for array in feeds.values()), 0):
            raise NetworkFileError(f"its output of shape {tuple(shape)} is too large")
