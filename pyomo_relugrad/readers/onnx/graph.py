"""Reading a graph in topological order: every edge becomes a constant or an affine tensor."""

from collections import Counter
from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
from onnx import GraphProto, NodeProto, checker, defs, helper

from pyomo_relugrad.arrays import Array
from pyomo_relugrad.errors import NetworkFileError, RelugradError, UnsupportedOperatorError
from pyomo_relugrad.network.building import Affine, HiddenLayers
from pyomo_relugrad.network.linear_maps import check_entries
from pyomo_relugrad.readers.onnx.checks import check_flags
from pyomo_relugrad.readers.onnx.folding import NOT_CONSTANT, fold, to_array
from pyomo_relugrad.readers.onnx.functions import MAX_NODES
from pyomo_relugrad.readers.onnx.integers import with_integers
from pyomo_relugrad.readers.onnx.labels import label, node_name
from pyomo_relugrad.readers.onnx.node import Integers, Node, Rule, Value
from pyomo_relugrad.readers.onnx.old_operators import modern
from pyomo_relugrad.readers.onnx.refusals import refusal
from pyomo_relugrad.readers.onnx.reorder import relus_after_maxima, without_unread_positions
from pyomo_relugrad.readers.onnx.rules import (
    arithmetic,
    comparison,
    convolution,
    maximum,
    ml_operators,
    movement,
    piecewise_linear,
    products,
    resize,
    sampling,
    scatter,
    smooth,
)
from pyomo_relugrad.readers.onnx.rules.affine_operators import AFFINE, by_evaluation
from pyomo_relugrad.readers.onnx.subgraphs import UNROLLED, Run
from pyomo_relugrad.readers.onnx.traversal import in_order, reads

Environment: TypeAlias = dict[str, Value]
"""Values of tensors by name."""

RULES: dict[str, dict[str, Rule]] = {
    "": {
        **arithmetic.RULES,
        **movement.RULES,
        **scatter.RULES,
        **convolution.RULES,
        **resize.RULES,
        **sampling.RULES,
        **piecewise_linear.RULES,
        **maximum.RULES,
        **products.RULES,
        **smooth.RULES,
        **comparison.RULES,
    },
    "ai.onnx.ml": {"ArrayFeatureExtractor": movement.move, **ml_operators.RULES},
}
"""By operator set. What has no rule in ONNX's own set is read by evaluation, if it is known to be affine."""

CHOICES = frozenset([*comparison.RULES, *movement.RULES]) - {"Pad"}
"""Operators that take functions that may jump."""


class GraphReader:
    """Reads the graphs of one model into affine tensors, adding hidden layers on the way.

    Parameters
    ----------
    opsets : dict of str to int
        Version of each operator set that the model uses.
    """

    def __init__(self, opsets: dict[str, int]) -> None:
        self.opsets = opsets
        self.hidden = HiddenLayers()

    def run(self, graph: GraphProto, values: Environment) -> list[Value]:
        """Values of the graph's outputs, given those of its inputs (and of what else is to be replaced).

        Raises
        ------
        NetworkFileError, UnsupportedOperatorError, NetworkValueError
            If a node cannot be read; the message names it.
        """
        if len(graph.node) > MAX_NODES:
            raise NetworkFileError(f"the graph has more than {MAX_NODES} nodes")
        environment = {**_initializers(graph), **values}
        wanted = [output.name for output in graph.output]
        nodes = in_order([node for node in graph.node if not any(name in values for name in node.output)], wanted)
        readers = Counter(wanted) + Counter(name for node in nodes for name in reads(node))
        nodes = relus_after_maxima(without_unread_positions(nodes, readers), readers)
        last_reader = {name: index for index, node in enumerate(nodes) for name in reads(node)}
        kept = {*wanted, *values}
        entries = 0
        for index, node in enumerate(nodes):
            self._visit(node, environment, is_output=any(name in wanted for name in node.output))
            entries += sum(_entry_count(environment.get(name)) for name in node.output)
            check_entries(entries)
            for name in set(reads(node)) - kept:
                if last_reader[name] == index:
                    entries -= _entry_count(environment.pop(name, None))
        missing = [name for name in wanted if name not in environment]
        if missing:
            raise NetworkFileError(f"no node computes the output {missing[0]!r}")
        return [environment[name] for name in wanted]

    def _visit(self, proto: NodeProto, environment: Environment, is_output: bool) -> None:
        """Compute the outputs of a node; whatever goes wrong becomes an error that names it."""
        try:
            outputs = self._outputs(proto, environment, is_output)
        except UnsupportedOperatorError as error:
            message, node, operator = f"{label(proto)}: {error}", node_name(proto), proto.op_type
            if error.node:  # a node of a branch of this one
                message, node, operator = str(error), error.node, error.operator
            raise UnsupportedOperatorError(message, node, operator) from error
        except RelugradError as error:
            raise type(error)(f"{label(proto)} ({proto.op_type}): {error}") from error
        except Exception as error:  # a damaged node can make its rule fail in any way
            reason = (str(error).strip() or type(error).__name__).splitlines()[0]
            raise NetworkFileError(f"{label(proto)} ({proto.op_type}) is not valid: {reason}") from error
        for name, value in zip(proto.output, outputs, strict=False):
            if name:
                environment[name] = value

    def _outputs(self, proto: NodeProto, environment: Environment, is_output: bool) -> Sequence[Value]:
        opset = self.opsets.get(proto.domain)
        if opset is None or not defs.has(proto.op_type, opset, proto.domain):
            raise UnsupportedOperatorError(
                f"{proto.op_type} is not an operator of the ONNX operator set {proto.domain!r} {opset or ''}: "
                "export the network with standard ONNX operators"
            )
        node = Node(proto, opset, _attributes(proto), _inputs(proto, environment))
        if node.operator in UNROLLED:
            return UNROLLED[node.operator](node, self._inner(environment))
        if node.operator != "Constant":
            _check_node(proto, self.opsets)
            check_flags(node.attributes)
        node = modern(node)
        constants = [value for value in node.inputs if value is None or isinstance(value, np.ndarray)]
        if len(constants) == len(node.inputs) and node.operator not in NOT_CONSTANT:
            return fold(node, constants)
        return self.apply(node, is_output)

    def apply(self, node: Node, is_output: bool) -> Sequence[Value]:
        """Outputs of a node that depends on the network's input; `is_output` if it computes an output."""
        domain = node.proto.domain
        rule = RULES.get(domain, {}).get(node.operator)
        if rule is None and (domain or node.operator not in AFFINE):
            raise refusal(node, is_output)
        if node.operator not in CHOICES:
            node = node.settled(self.hidden)
        rule = rule or by_evaluation
        if any(isinstance(value, Integers) for value in node.inputs):
            outputs = with_integers(node, rule, self.hidden)
        else:
            outputs = rule(node, self.hidden)
        return outputs if isinstance(outputs, list) else [outputs]

    def _inner(self, environment: Environment) -> Run:
        """How a graph inside a node is run: it sees the tensors around it."""

        def run(graph: GraphProto, values: Environment) -> list[Value]:
            inner = type(self)(self.opsets)
            inner.hidden = self.hidden
            return inner.run(graph, {**environment, **values})

        return run


def _entry_count(value: Value | None) -> int:
    return value.entry_count if isinstance(value, Affine) else 0


def _initializers(graph: GraphProto) -> dict[str, Array]:
    if graph.sparse_initializer:
        raise NetworkFileError("sparse initializers cannot be read: store the weights as dense tensors")
    return {tensor.name: to_array(tensor) for tensor in graph.initializer}


def _attributes(proto: NodeProto) -> dict[str, Any]:
    values = {attribute.name: helper.get_attribute_value(attribute) for attribute in proto.attribute}
    return {name: value.decode() if isinstance(value, bytes) else value for name, value in values.items()}


def _inputs(proto: NodeProto, environment: Environment) -> tuple[Value | None, ...]:
    for name in proto.input:
        if name and name not in environment:
            raise NetworkFileError(f"its input {name!r} is neither computed by a node nor stored in the file")
    return tuple(environment[name] if name else None for name in proto.input)


def _check_node(proto: NodeProto, opsets: dict[str, int]) -> None:
    """Check the node against its operator's definition: number of inputs and outputs, attributes and their types."""
    context = checker.C.CheckerContext()
    context.ir_version = checker.DEFAULT_CONTEXT.ir_version
    context.opset_imports = opsets
    checker.check_node(proto, context)
