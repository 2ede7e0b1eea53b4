"""Rewritings of the graph before it is read.

The maximum of ReLUs becomes the ReLU of the maximum: the two are equal, and the second takes one ReLU per window
instead of one per element of each window. Outputs that nobody reads are not asked for.
"""

from collections.abc import Mapping, Sequence
from copy import deepcopy

from onnx import NodeProto

_MAXIMA = frozenset({"MaxPool", "GlobalMaxPool", "ReduceMax"})


def relus_after_maxima(nodes: Sequence[NodeProto], readers: Mapping[str, int]) -> list[NodeProto]:
    """The nodes, with each ReLU that only a maximum reads moved behind that maximum.

    Parameters
    ----------
    nodes : sequence of NodeProto
        In topological order.
    readers : mapping of str to int
        How many nodes and outputs read each tensor.
    """
    relus = {node.output[0]: node for node in nodes if node.op_type == "Relu" and node.output and node.input}
    moved: set[str] = set()
    result = []
    for node in nodes:
        tensor = node.input[0] if node.input else ""
        if tensor in relus and node.op_type in _MAXIMA and readers.get(tensor) == 1 and len(node.output) == 1:
            maximum, activation = deepcopy(node), deepcopy(relus[tensor])
            maximum.input[0], maximum.output[0] = relus[tensor].input[0], tensor
            activation.input[0], activation.output[0] = tensor, node.output[0]
            result += [maximum, activation]
            moved.add(tensor)
            relus[node.output[0]] = activation
        else:
            result.append(node)
    return [node for node in result if not (node.op_type == "Relu" and node.output[:1] and node.output[0] in moved)]


def without_unread_positions(nodes: Sequence[NodeProto], readers: Mapping[str, int]) -> list[NodeProto]:
    """The nodes, with the positions of max-pooling's maxima left out where nobody reads them."""
    result = []
    for node in nodes:
        if node.op_type == "MaxPool" and len(node.output) == 2 and not readers.get(node.output[1]):
            node = deepcopy(node)
            del node.output[1]
        result.append(node)
    return result
