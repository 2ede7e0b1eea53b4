"""Layers of a framework as a graph of ONNX operators, by which they are read as a file is: no exporter is needed."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper

from pyomo_relugrad.arrays import ArrayLike

_OPSET, _IR_VERSION = 20, 9
_BATCH = "batch"


class UnknownLayerError(Exception):
    """A layer, or a setting of one, that is not written in operators here: an exporter may know it."""


class LayerGraph:
    """Operators that are added one after another; a tensor is known by its name.

    Parameters
    ----------
    name : str
        Of the network.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self._nodes: list[NodeProto] = []
        self._weights: list[TensorProto] = []
        self._layer = ""

    def begin(self, layer: str) -> None:
        """Say which layer the operators that follow belong to: messages name it."""
        self._layer = layer

    def weight(self, values: ArrayLike) -> str:
        """A tensor of fixed numbers, real in float32, or whole numbers such as shapes and axes."""
        array = np.asarray(values)
        array = np.ascontiguousarray(array, np.int64 if array.dtype.kind in "iu" else np.float32)
        name = f"weight {len(self._weights)}"
        self._weights.append(numpy_helper.from_array(array, name))
        return name

    def add(self, operator: str, *inputs: str, **attributes: Any) -> str:
        """The outcome of an operator of ONNX."""
        outcome = f"value {len(self._nodes)}"
        name = f"{self._layer} {operator}".strip() if self._layer else f"{operator} {len(self._nodes)}"
        self._nodes.append(helper.make_node(operator, list(inputs), [outcome], name=name, **attributes))
        return outcome

    def affine(self, tensor: str, matrix: ArrayLike, bias: ArrayLike | None) -> str:
        """Rows of the tensor times a matrix (n_in, n_out), and a bias (n_out,)."""
        product = self.add("MatMul", tensor, self.weight(matrix))
        return product if bias is None else self.add("Add", product, self.weight(bias))

    def clip(self, tensor: str, lower: float | None, upper: float | None) -> str:
        """The tensor cut off at one or two limits."""
        limits = ["" if limit is None else self.weight(np.float32(limit)) for limit in (lower, upper)]
        return self.add("Clip", tensor, *(limits if limits[1] else limits[:1]))

    def model(self, inputs: Sequence[tuple[str, Sequence[int]]], outputs: Sequence[tuple[str, str]]) -> ModelProto:
        """The model of inputs (name, shape without the batch) and outputs (name, tensor)."""
        self.begin("")
        ends = [helper.make_node("Identity", [tensor], [name]) for name, tensor in outputs]
        typed = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [_BATCH, *shape]) for name, shape in inputs]
        written = [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name, _ in outputs]
        graph = helper.make_graph([*self._nodes, *ends], self.name, typed, written, self._weights)
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", _OPSET)], ir_version=_IR_VERSION)
