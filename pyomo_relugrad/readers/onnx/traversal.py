"""The parts of a graph: what lies inside its nodes, and the nodes in the order in which they can be computed."""

from collections.abc import Iterable, Iterator, Sequence
from graphlib import CycleError, TopologicalSorter

from onnx import GraphProto, NodeProto, TensorProto

from pyomo_relugrad.errors import NetworkFileError
from pyomo_relugrad.readers.onnx.labels import label


def inner_graphs(node: NodeProto) -> Iterator[GraphProto]:
    """The graphs inside a node."""
    for attribute in node.attribute:
        if attribute.HasField("g"):
            yield attribute.g
        yield from attribute.graphs


def graphs(graph: GraphProto) -> Iterator[GraphProto]:
    """The graph and those inside its nodes."""
    yield graph
    for node in graph.node:
        for inner in inner_graphs(node):
            yield from graphs(inner)


def all_nodes(nodes: Iterable[NodeProto]) -> Iterator[NodeProto]:
    """The nodes and those of the graphs inside them."""
    for node in nodes:
        yield node
        for graph in inner_graphs(node):
            yield from all_nodes(graph.node)


def tensors(graph: GraphProto) -> Iterator[TensorProto]:
    """The numbers that are stored in a graph and in those inside its nodes."""
    for part in graphs(graph):
        yield from part.initializer
        for attribute in (attribute for node in part.node for attribute in node.attribute):
            if attribute.HasField("t"):
                yield attribute.t
            yield from attribute.tensors


def nodes_in_order(graph: GraphProto) -> list[NodeProto]:
    """The nodes that the graph's outputs need, see `in_order`."""
    return in_order(graph.node, [output.name for output in graph.output])


def in_order(nodes: Sequence[NodeProto], wanted: Iterable[str]) -> list[NodeProto]:
    """The nodes that the wanted tensors need, each after those that it reads."""
    writer: dict[str, int] = {}
    for index, node in enumerate(nodes):
        for name in filter(None, node.output):
            if name in writer:
                raise NetworkFileError(f"the tensor {name!r} is computed by two nodes")
            writer[name] = index
    needs: dict[int, list[int]] = {}
    waiting = [writer[name] for name in wanted if name in writer]
    while waiting:
        index = waiting.pop()
        if index not in needs:
            needs[index] = sorted({writer[name] for name in reads(nodes[index]) if name in writer})
            waiting.extend(needs[index])
    try:
        return [nodes[index] for index in TopologicalSorter(needs).static_order()]
    except CycleError as error:
        raise NetworkFileError(f"the graph has a cycle through {label(nodes[error.args[1][0]])}") from None


def reads(node: NodeProto) -> Iterator[str]:
    """Names of the tensors that a node, or a graph inside it, reads."""
    yield from node.input
    for graph in inner_graphs(node):
        for inner in graph.node:
            yield from reads(inner)
        yield from (output.name for output in graph.output)
