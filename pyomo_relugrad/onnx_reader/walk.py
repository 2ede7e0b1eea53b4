"""The walk through a graph in topological order: every edge becomes a constant or an affine tensor."""

from __future__ import annotations

from collections.abc import Iterable
from graphlib import CycleError, TopologicalSorter
from typing import TypeAlias

import numpy as np
from onnx import AttributeProto, GraphProto, NodeProto, TensorProto, defs, helper, numpy_helper

from pyomo_relugrad.arrays import Array
from pyomo_relugrad.errors import NetworkFileError, RelugradError, UnsupportedOperatorError
from pyomo_relugrad.onnx_reader import arithmetic, movement, piecewise_linear
from pyomo_relugrad.onnx_reader.arithmetic import FLOATING_POINT
from pyomo_relugrad.onnx_reader.evaluate import normalised, run_node
from pyomo_relugrad.onnx_reader.hidden_layers import HiddenLayers
from pyomo_relugrad.onnx_reader.node import Node, Rule, Value

Environment: TypeAlias = dict[str, Value]
"""Values of tensors by name."""

RULES: dict[str, Rule] = {**arithmetic.RULES, **movement.RULES, **piecewise_linear.RULES}


def label(node: NodeProto) -> str:
    """What messages call a node: its name, or else the tensor that it computes."""
    written = next((name for name in node.output if name), "nothing")
    return f"node {node.name!r}" if node.name else f"the unnamed node that computes {written!r}"


class GraphWalk:
    """Reads graphs of one model into affine tensors, adding hidden layers on the way."""

    def __init__(self, opsets: dict[str, int]) -> None:
        self.opsets = opsets
        self.hidden = HiddenLayers()

    def run(self, graph: GraphProto, values: Environment) -> list[Value]:
        """Values of the graph's outputs, given those of its inputs."""
        environment = {**values, **_initializers(graph)}
        wanted = [output.name for output in graph.output]
        for node in _in_order(graph.node, wanted):
            self._visit(node, environment)
        missing = [name for name in wanted if name not in environment]
        if missing:
            raise NetworkFileError(f"no node computes the output {missing[0]!r}")
        return [environment[name] for name in wanted]

    def _visit(self, proto: NodeProto, environment: Environment) -> None:
        try:
            outputs = self._outputs(proto, environment)
        except UnsupportedOperatorError as error:
            message = f"{label(proto)}: {error}"
            raise UnsupportedOperatorError(
                message, proto.name or next(iter(proto.output), ""), proto.op_type
            ) from error
        except RelugradError as error:
            raise type(error)(f"{label(proto)} ({proto.op_type}): {error}") from error
        except (RecursionError, MemoryError, Exception) as error:
            reason = (str(error) or type(error).__name__).splitlines()[0]
            raise NetworkFileError(f"{label(proto)} ({proto.op_type}) is not valid: {reason}") from error
        for name, value in zip(proto.output, outputs, strict=False):
            if name:
                environment[name] = value

    def _outputs(self, proto: NodeProto, environment: Environment) -> list[Value]:
        node = Node(proto, self._opset(proto), _attributes(proto), _inputs(proto, environment))
        constants = [value for value in node.inputs if value is None or isinstance(value, np.ndarray)]
        if len(constants) == len(node.inputs):
            return list(_fold(node, constants))
        rule = RULES.get(node.operator) if proto.domain in ("", "ai.onnx") else None
        if rule is None:
            raise node.unsupported("is not a piecewise-linear operator that can be read")
        outputs = rule(node, self.hidden)
        return outputs if isinstance(outputs, list) else [outputs]

    def _opset(self, proto: NodeProto) -> int:
        domain = "" if proto.domain == "ai.onnx" else proto.domain
        version = self.opsets.get(domain)
        if version is None or not defs.has(proto.op_type, domain):
            raise UnsupportedOperatorError(f"{proto.op_type} is not an operator of ONNX", operator=proto.op_type)
        return version


def _in_order(nodes: Iterable[NodeProto], wanted: Iterable[str]) -> list[NodeProto]:
    """The nodes that the wanted tensors need, each after those that it reads."""
    nodes = list(nodes)
    writer: dict[str, int] = {}
    for index, node in enumerate(nodes):
        for name in filter(None, node.output):
            if name in writer:
                raise NetworkFileError(f"the tensor {name!r} is computed by two nodes")
            writer[name] = index
    needs: dict[int, set[int]] = {}
    waiting = [writer[name] for name in wanted if name in writer]
    while waiting:
        index = waiting.pop()
        if index not in needs:
            needs[index] = {writer[name] for name in nodes[index].input if name in writer}
            waiting.extend(needs[index])
    try:
        return [nodes[index] for index in TopologicalSorter(needs).static_order()]
    except CycleError as error:
        raise NetworkFileError(f"the graph has a cycle through {label(nodes[error.args[1][0]])}") from None


def _initializers(graph: GraphProto) -> Environment:
    return {tensor.name: to_array(tensor) for tensor in graph.initializer}


def to_array(tensor: TensorProto) -> Array:
    """A tensor of the file; floating-point numbers as float64.

    Raises
    ------
    NetworkFileError
        If shape and content disagree.
    """
    try:
        return normalised(numpy_helper.to_array(tensor))
    except Exception as error:
        raise NetworkFileError(f"the tensor {tensor.name!r} is corrupt: {error}") from error


def _attributes(proto: NodeProto) -> dict[str, object]:
    values = {}
    for attribute in proto.attribute:
        value = helper.get_attribute_value(attribute)
        if attribute.type == AttributeProto.STRING:
            value = value.decode()
        values[attribute.name] = value
    return values


def _inputs(proto: NodeProto, environment: Environment) -> tuple[Value | None, ...]:
    for name in proto.input:
        if name and name not in environment:
            raise NetworkFileError(f"its input {name!r} is neither computed by a node nor stored in the file")
    return tuple(environment[name] if name else None for name in proto.input)


def _fold(node: Node, constants: list[Array | None]) -> list[Array]:
    """Outputs of a node whose inputs are all constant."""
    if node.operator == "Cast" and node.attribute("to") in FLOATING_POINT and constants[0] is not None:
        return [constants[0].astype(np.float64)]
    return run_node(node.proto, node.opset, constants)
