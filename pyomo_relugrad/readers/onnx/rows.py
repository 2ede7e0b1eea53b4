"""Whether a graph treats the rows of a fixed batch alike and apart.

Each tensor is followed by the axis along which it holds the rows. What operators do decides, not values at points: a
clip or a mask can hide there that rows are mixed. An operator that is not listed here is taken to mix them.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
from onnx import GraphProto

from pyomo_relugrad.arrays import Array
from pyomo_relugrad.errors import NetworkFileError, RelugradError, UnsupportedOperatorError
from pyomo_relugrad.readers.onnx.evaluate import MAX_ELEMENTS, output_shapes, run_node
from pyomo_relugrad.readers.onnx.graph import GraphReader
from pyomo_relugrad.readers.onnx.node import Node
from pyomo_relugrad.readers.onnx.rules.arithmetic import matmul_shape
from pyomo_relugrad.readers.onnx.rules.convolution import reduced_axes
from pyomo_relugrad.readers.onnx.rules.movement import DATA_INPUTS
from pyomo_relugrad.readers.onnx.rules.resize import resized_axes


@dataclass(frozen=True)
class RowTensor:
    """A tensor that depends on the network's input and holds the rows of the batch along an axis."""

    shape: tuple[int, ...]
    axis: int

    def __post_init__(self) -> None:
        if prod(self.shape) > MAX_ELEMENTS:
            raise NetworkFileError(f"a tensor of shape {self.shape} is too large")

    @property
    def count(self) -> int:
        """Number of rows."""
        return self.shape[self.axis]

    @property
    def place(self) -> int:
        """The axis counted from the end, from 1 on: what broadcasting leaves as it is."""
        return len(self.shape) - self.axis


def treats_rows_apart(graph: GraphProto, opsets: dict[str, int], shapes: Mapping[str, tuple[int, ...]]) -> bool:
    """Whether the outputs hold, row by row, one function of the rows of the inputs.

    Parameters
    ----------
    graph : GraphProto
    opsets : dict of str to int
        Version of each operator set that the model uses.
    shapes : mapping of str to tuple of int
        Those of the inputs, all with the same number of rows first.
    """
    inputs: dict[str, Any] = {name: RowTensor(shape, 0) for name, shape in shapes.items()}
    try:
        outputs: list[Any] = list(_RowWalk(opsets).run(graph, inputs))
    except RelugradError:
        return False
    return all(isinstance(output, RowTensor) and output.axis == 0 for output in outputs)


class _RowWalk(GraphReader):
    """Follows the rows in place of reading the graph."""

    def apply(self, node: Node, is_output: bool) -> Sequence[Any]:
        """See `GraphReader.apply`."""
        if node.operator not in _RULES:
            raise _mixed(node)
        outputs = _RULES[node.operator](node, *node.inputs)
        return outputs if isinstance(outputs, list) else [outputs]


def _mixed(node: Node) -> UnsupportedOperatorError:
    return node.unsupported("mixes the rows of the batch")


def _elementwise(node: Node, *inputs: Any) -> RowTensor:
    values = [value for value in inputs if value is not None]
    shape = np.broadcast_shapes(*(value.shape for value in values))
    return _aligned(node, values, shape)


def _aligned(node: Node, values: Sequence[Any], shape: tuple[int, ...]) -> RowTensor:
    """The result of tensors that broadcast against one another, all with their rows at the same place."""
    places = {value.place for value in values if isinstance(value, RowTensor)}
    if len(places) != 1:
        raise _mixed(node)
    (place,) = places
    for value in values:
        if isinstance(value, np.ndarray):
            _check_alike(node, value, place)
    return RowTensor(shape, len(shape) - place)


def _check_alike(node: Node, constant: Array, place: int) -> None:
    """Check that a constant is the same for all rows, which are at the given place from the end."""
    if constant.ndim >= place:
        by_row = np.moveaxis(constant, -place, 0)
        if not (by_row == by_row[:1]).all():
            raise _mixed(node)


def _matrix_product(node: Node, left: Any, right: Any) -> RowTensor:
    shape = matmul_shape(left.shape, right.shape)
    tensor, other, summed = (left, right, 1) if isinstance(left, RowTensor) else (right, left, min(2, len(right.shape)))
    if isinstance(other, RowTensor) or tensor.place == summed:
        raise _mixed(node)
    if tensor.place > 2:
        _check_alike(node, other, tensor.place)
    place = tensor.place - (other.ndim == 1 and tensor.place > summed)
    return RowTensor(shape, len(shape) - place)


def _gemm(node: Node, left: Any, right: Any, added: Any = None) -> RowTensor:
    left = _transposed(left) if node.attribute("transA", 0) else left
    right = _transposed(right) if node.attribute("transB", 0) else right
    product = _matrix_product(node, left, right)
    return _aligned(node, [product, added], product.shape) if added is not None else product


def _transposed(matrix: Any) -> Any:
    return matrix.T if isinstance(matrix, np.ndarray) else RowTensor(matrix.shape[::-1], 1 - matrix.axis)


def _reduced(node: Node, tensor: Any, axes: Any = None) -> RowTensor:
    chosen = reduced_axes(node, tensor.shape, node.attribute("axes") if axes is None else axes)
    if tensor.axis in chosen:
        raise _mixed(node)
    if node.attribute("keepdims", 1):
        return RowTensor(tuple(1 if axis in chosen else size for axis, size in enumerate(tensor.shape)), tensor.axis)
    shape = tuple(size for axis, size in enumerate(tensor.shape) if axis not in chosen)
    return RowTensor(shape, tensor.axis - sum(axis < tensor.axis for axis in chosen))


def _normalised(node: Node, tensor: Any) -> RowTensor:
    """Softmax and its logarithm: along one axis, before set 13 over all from it on."""
    axis = node.attribute("axis", -1 if node.opset >= 13 else 1) % len(tensor.shape)
    if axis == tensor.axis or (node.opset < 13 and axis < tensor.axis):
        raise _mixed(node)
    return RowTensor(tensor.shape, tensor.axis)


def _cumulated(node: Node, tensor: Any, axis: Any) -> RowTensor:
    if int(axis.ravel()[0]) % len(tensor.shape) == tensor.axis:
        raise _mixed(node)
    return RowTensor(tensor.shape, tensor.axis)


def _first_axis(node: Node, tensor: Any, *others: Any) -> RowTensor:
    """Operators on images and the like, whose first dimension is a batch by definition."""
    constants = [other for other in others if other is not None]
    if not isinstance(tensor, RowTensor) or any(isinstance(other, RowTensor) for other in constants):
        raise _mixed(node)
    if node.operator == "GridSample":
        _check_alike(node, constants[0], constants[0].ndim)
    feeds = [np.broadcast_to(0.0, tensor.shape), *others]
    shape = output_shapes(node.proto, node.opset, feeds)[0]
    if tensor.axis != 0 or shape[0] != tensor.count:
        raise _mixed(node)
    return RowTensor(shape, 0)


def _resized(node: Node, tensor: Any, *others: Any) -> RowTensor:
    shape = list(tensor.shape)
    for axis in resized_axes(node, tensor.shape):
        shape[axis.axis] = axis.wanted
        if axis.axis == tensor.axis and axis.scale != 1.0:
            raise _mixed(node)
    return RowTensor(tuple(shape), tensor.axis)


def _features(node: Node, tensor: Any) -> RowTensor:
    """Operators that take a number of each column."""
    if len(tensor.shape) != 2 or tensor.axis != 0:
        raise _mixed(node)
    return RowTensor(tensor.shape, 0)


def _moved(node: Node, *inputs: Any) -> list[RowTensor]:
    """Number the elements, move the numbers, and see along which axis they are those of one row after the other."""
    positions = DATA_INPUTS[node.operator]
    data = [positions is None or position in positions for position in range(len(inputs))]
    tensors = [value for value in inputs if isinstance(value, RowTensor)]
    if any(isinstance(value, RowTensor) and not is_data for value, is_data in zip(inputs, data, strict=True)):
        raise _mixed(node)
    count, width = tensors[0].count, sum(prod(tensor.shape) // tensor.count for tensor in tensors)
    start, moved = 1, []
    for value, is_data in zip(inputs, data, strict=True):
        if isinstance(value, RowTensor):
            by_row = np.arange(count)[:, None] * width + np.arange(start, start + prod(value.shape) // count)
            rest = value.shape[: value.axis] + value.shape[value.axis + 1 :]
            moved.append(np.moveaxis(by_row.reshape(count, *rest), 0, value.axis).astype(np.float64))
            start += prod(rest)
        elif is_data and value is not None:  # equal constants may stand in for one another
            _, codes = np.unique(value, return_inverse=True)
            moved.append(-1.0 - codes.reshape(value.shape))
        else:
            moved.append(value)
    return [_with_rows(node, numbers, count, width) for numbers in run_node(node.proto, node.opset, moved)]


def _with_rows(node: Node, numbers: Array, count: int, width: int) -> RowTensor:
    """The axis along which the numbers, `width` of each row, are those of one row after the other."""
    for axis, size in enumerate(numbers.shape):
        if size == count:
            by_row = np.moveaxis(numbers, axis, 0).reshape(count, -1)
            row, place = np.divmod(by_row - 1.0, width)
            of_input = by_row > 0.0
            kind = np.where(of_input, place, by_row - 1.0)
            if (kind == kind[:1]).all() and (~of_input | (row == np.arange(count)[:, None])).all():
                return RowTensor(numbers.shape, axis)
    raise _mixed(node)


def _shape(node: Node, tensor: Any) -> list[Array]:
    return run_node(node.proto, node.opset, [np.broadcast_to(0.0, tensor.shape)])


_ELEMENTWISE = (
    *("Abs", "Add", "And", "Cast", "Clip", "Div", "Dropout", "Equal", "Greater", "GreaterOrEqual", "HardSigmoid"),
    *("LeakyRelu", "Less", "LessOrEqual", "Max", "Mean", "Min", "Mul", "Neg", "Not", "Or", "PRelu", "Relu", "Shrink"),
    *("Sign", "Sub", "Sum", "ThresholdedRelu", "Where", "Xor", "Celu", "Elu", "Erf", "Exp", "Gelu", "HardSwish"),
    *("Mish", "Pow", "Selu", "Sigmoid", "Softplus", "Softsign", "Swish", "Tanh"),
)
_IMAGES = (
    *("AveragePool", "BatchNormalization", "Col2Im", "Conv", "ConvTranspose", "GlobalAveragePool", "GlobalLpPool"),
    *("GlobalMaxPool", "GridSample", "LpPool", "MaxPool"),
)
_REDUCTIONS = (
    *("ReduceL1", "ReduceLogSumExp", "ReduceMax", "ReduceMean", "ReduceMin", "ReduceProd", "ReduceSum"),
    "ReduceSumSquare",
)

_RULES: dict[str, Callable[..., Any]] = {
    **dict.fromkeys(_ELEMENTWISE, _elementwise),
    **dict.fromkeys(_IMAGES, _first_axis),
    **dict.fromkeys(_REDUCTIONS, _reduced),
    **dict.fromkeys(DATA_INPUTS, _moved),
    "CastLike": lambda node, tensor, like: _elementwise(node, tensor),
    "CumSum": _cumulated,
    **dict.fromkeys(("LogSoftmax", "Softmax"), _normalised),
    "Gemm": _gemm,
    "Imputer": _features,
    "MatMul": _matrix_product,
    "Resize": _resized,
    "Scaler": _features,
    "Shape": _shape,
    "Size": _shape,
    "Upsample": _resized,
}
