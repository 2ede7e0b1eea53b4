"""Evaluation of one node on arrays by ONNX's reference implementation, guarded against outputs that are too large."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from copy import deepcopy
from math import prod

import numpy as np
from onnx import NodeProto, OperatorSetIdProto, TensorProto, TypeProto, defs, helper, numpy_helper, shape_inference

from pyomo_relugrad.arrays import Array
from pyomo_relugrad.errors import NetworkFileError, RelugradError
from pyomo_relugrad.readers.onnx.checks import check_indices

MAX_ELEMENTS = 2**22
"""Most elements of a tensor that is not stored in the file: beyond, it is refused before it is made."""

_SHAPE_DATA = 4096


@contextmanager
def _refusals() -> Iterator[None]:
    """Turn whatever ONNX's tools raise into a refusal: they do not take all that is valid, or that runtimes take."""
    try:
        yield
    except (RelugradError, NotImplementedError):
        raise
    except Exception as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise NetworkFileError(f"ONNX's reference implementation cannot evaluate it: {reason}") from error


class NodeEvaluator:
    """A node of an ONNX operator set, ready to be evaluated on inputs of given shapes.

    Parameters
    ----------
    node : NodeProto
    opset : int
        Version of the operator set.
    inputs : sequence of arrays
        Inputs of the right shapes, None for one that is left out; those that say how large outputs are must be right.

    Raises
    ------
    NetworkFileError
        If an index is out of range, an output would have more than `MAX_ELEMENTS` elements, or ONNX's reference
        implementation cannot evaluate the node.
    """

    @_refusals()
    def __init__(self, node: NodeProto, opset: int, inputs: Sequence[Array | None]) -> None:
        check_indices(node, inputs)
        inputs = _with_scalars(node, inputs)
        output_shapes(node, opset, inputs)
        renamed, feeds = _with_distinct_names(node, inputs), _feeds(inputs)
        values = [helper.make_tensor_value_info(name, _element_type(array), None) for name, array in feeds.items()]
        outputs = [helper.make_tensor_value_info(name, TensorProto.UNDEFINED, None) for name in renamed.output]
        model = helper.make_model(
            helper.make_graph([renamed], "node", values, outputs), opset_imports=_opset_imports(node, opset)
        )
        from onnx.reference import ReferenceEvaluator  # takes time, and few files need it

        self._node, self._evaluator = node, ReferenceEvaluator(model)

    @_refusals()
    def run(self, inputs: Sequence[Array | None]) -> list[Array]:
        """The node's outputs; floating-point numbers are float64 throughout."""
        if self._node.op_type == "GatherElements":  # the reference implementation fails for some shapes
            return [_gathered(self._node, *inputs)]
        feeds = _feeds(_with_scalars(self._node, inputs))
        return [normalised(np.asarray(result)) for result in self._evaluator.run(None, feeds)]


def run_node(node: NodeProto, opset: int, inputs: Sequence[Array | None]) -> list[Array]:
    """Outputs of a node on the given inputs, see `NodeEvaluator`."""
    return NodeEvaluator(node, opset, inputs).run(inputs)


_SCALARS = {"CumSum": (1,), "Range": (0, 1, 2)}
"""Inputs that are scalars, and are often written as tensors of one element."""


def _with_scalars(node: NodeProto, inputs: Sequence[Array | None]) -> list[Array | None]:
    result = list(inputs)
    for position in _SCALARS.get(node.op_type, ()):
        value = result[position]
        result[position] = value if value is None else value.reshape(())
    return result


def _gathered(node: NodeProto, data: Array | None, indices: Array | None) -> Array:
    assert data is not None  # the checker sees to that
    assert indices is not None
    axis = next((attribute.i for attribute in node.attribute if attribute.name == "axis"), 0) % data.ndim
    places = [indices if place == axis else own for place, own in enumerate(np.indices(indices.shape))]
    return data[tuple(places)]


def _feeds(inputs: Sequence[Array | None]) -> dict[str, Array]:
    return {f"input_{i}": array for i, array in enumerate(inputs) if array is not None}


def _opset_imports(node: NodeProto, opset: int) -> list[OperatorSetIdProto]:
    if not node.domain:
        return [helper.make_opsetid("", opset)]
    return [helper.make_opsetid(node.domain, opset), helper.make_opsetid("", defs.onnx_opset_version())]


def normalised(array: Array) -> Array:
    """Floating-point numbers of any width as float64; everything else as it is."""
    is_float = array.dtype.kind == "f" or (array.dtype.kind == "V" and "float" in array.dtype.name)
    return array.astype(np.float64, copy=False) if is_float else array


def _with_distinct_names(node: NodeProto, inputs: Sequence[Array | None]) -> NodeProto:
    """The node with a name of its own for each input that is there and for each output."""
    renamed = deepcopy(node)
    del renamed.input[:], renamed.output[:]
    renamed.input.extend("" if array is None else f"input_{i}" for i, array in enumerate(inputs))
    renamed.output.extend(f"output_{i}" for i in range(max(1, len(node.output))))
    return renamed


def _element_type(array: Array) -> int:
    return TensorProto.DOUBLE if array.dtype == np.float64 else helper.np_dtype_to_tensor_dtype(array.dtype)


def output_shapes(node: NodeProto, opset: int, inputs: Sequence[Array | None]) -> list[tuple[int, ...]]:
    """Shapes of a node's outputs, as far as ONNX can tell without evaluation.

    Raises
    ------
    NetworkFileError
        If an output would have more than `MAX_ELEMENTS` elements.
    """
    return list(_predicted_shapes(_with_distinct_names(node, inputs), opset, _feeds(inputs)))


def _predicted_shapes(node: NodeProto, opset: int, feeds: dict[str, Array]) -> Iterator[tuple[int, ...]]:
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
    inferred = shape_inference.infer_node_outputs(schema, node, types, data, opset_imports=_opset_imports(node, opset))
    for output in inferred.values():
        shape = tuple(dimension.dim_value for dimension in output.tensor_type.shape.dim)
        if prod(shape) > max(MAX_ELEMENTS, *(array.size for array in feeds.values()), 0):
            raise NetworkFileError(f"its output of shape {shape} is too large")
        yield shape
