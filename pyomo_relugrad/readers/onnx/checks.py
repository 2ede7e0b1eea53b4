"""Checks of a node's attributes and indices that neither ONNX's checker nor its reference implementation makes."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from onnx import NodeProto, defs, helper

from pyomo_relugrad.arrays import Array
from pyomo_relugrad.errors import NetworkFileError
from pyomo_relugrad.readers.onnx.labels import label

_FLAGS = frozenset(
    {
        "align_corners",
        "allowzero",
        "antialias",
        "ceil_mode",
        "count_include_pad",
        "exclude_outside",
        "exclusive",
        "keepdims",
        "noop_with_empty_axes",
        "reverse",
        "select_last_index",
        "transA",
        "transB",
        "upper",
    }
)
"""Attributes that are true or false; runtimes take other numbers for the one or the other."""


def check_inputs_are_given(nodes: Iterable[NodeProto], opsets: Mapping[str, int]) -> None:
    """Check that no node lacks an input that is not optional; runtimes may crash on it.

    Raises
    ------
    NetworkFileError
        If one does; names the node.
    """
    optional = defs.OpSchema.FormalParameterOption.Optional
    for node in nodes:
        operator = node.op_type, opsets.get(node.domain, 1), node.domain
        if "" not in node.input or not defs.has(*operator):
            continue
        formal = defs.get_schema(*operator).inputs
        for position, name in enumerate(node.input):
            if not name and formal[min(position, len(formal) - 1)].option != optional:
                raise NetworkFileError(f"{label(node)} ({node.op_type}) is not valid: its input {position} is missing")


def check_flags(attributes: Mapping[str, Any]) -> None:
    """Check that what is true or false is written as 1 or 0.

    Raises
    ------
    NetworkFileError
        If it is not.
    """
    for name in _FLAGS & attributes.keys():
        if attributes[name] not in (0, 1):
            raise NetworkFileError(f"{name} = {attributes[name]} is neither 0 nor 1: export the network again")


def check_indices(node: NodeProto, inputs: Sequence[Array | None]) -> None:
    """Check that the indices of a node that picks elements, its second input, lie inside its data.

    Raises
    ------
    NetworkFileError
        If one does not, or the indices' shape does not fit.
    """
    if node.op_type not in _INDEXED or inputs[0] is None or inputs[1] is None:
        return
    shape, indices = inputs[0].shape, inputs[1]
    attributes = {attribute.name: helper.get_attribute_value(attribute) for attribute in node.attribute}
    if node.op_type in _BY_TUPLE:
        first = attributes.get("batch_dims", 0)
        for axis in range(indices.shape[-1]):
            _check_range(indices[..., axis], shape[first + axis])
        return
    axis = attributes.get("axis", _INDEXED[node.op_type])
    _check_range(indices, shape[axis])
    if node.op_type in _ELEMENTWISE:
        others = [size for place, size in enumerate(shape) if place != axis % len(shape)]
        own = [size for place, size in enumerate(indices.shape) if place != axis % len(shape)]
        if len(own) != len(others) or any(mine > size for mine, size in zip(own, others, strict=True)):
            raise NetworkFileError(f"indices of shape {indices.shape} do not fit a tensor of shape {shape}")


_BY_TUPLE = frozenset({"GatherND", "ScatterND"})
_ELEMENTWISE = frozenset({"GatherElements", "Scatter", "ScatterElements"})
_INDEXED = {
    "ArrayFeatureExtractor": -1,
    "Gather": 0,
    **dict.fromkeys((*_ELEMENTWISE, *_BY_TUPLE), 0),
}
"""Operators that pick elements by indices, and the axis along which they do if no attribute tells."""


def _check_range(indices: Array, size: int) -> None:
    outside = indices[(indices < -size) | (indices >= size)]
    if outside.size:
        raise NetworkFileError(f"the index {outside[0]} lies outside a dimension of size {size}")
