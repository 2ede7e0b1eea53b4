"""Local functions of a model, inlined; hostile ones that call themselves or blow up are refused first."""

from __future__ import annotations

from graphlib import CycleError, TopologicalSorter

from onnx import ModelProto, NodeProto, inliner

from pyomo_relugrad.errors import NetworkFileError

MAX_NODES = 50_000
"""Most nodes that a graph may have, its functions inlined."""


def without_functions(model: ModelProto) -> ModelProto:
    """The model with its local functions inlined.

    Raises
    ------
    NetworkFileError
        If functions call one another in a circle, or the graph would become too large.
    """
    bodies = {(function.domain, function.name): list(function.node) for function in model.functions}
    if not bodies:
        return model
    calls = {key: {_key(node) for node in nodes} & bodies.keys() for key, nodes in bodies.items()}
    sizes: dict[tuple[str, str], int] = {}
    try:
        for key in TopologicalSorter(calls).static_order():
            sizes[key] = _inlined_size(bodies[key], sizes)
    except CycleError as error:
        names = " -> ".join(name for _, name in error.args[1])
        raise NetworkFileError(f"its functions call one another in a circle: {names}") from None
    if _inlined_size(model.graph.node, sizes) > MAX_NODES:
        raise NetworkFileError(f"its functions blow the graph up to more than {MAX_NODES} nodes")
    try:
        return inliner.inline_local_functions(model)
    except Exception as error:
        raise NetworkFileError(f"its functions cannot be inlined: {error}") from error


def _key(node: NodeProto) -> tuple[str, str]:
    return node.domain, node.op_type


def _inlined_size(nodes: list[NodeProto], sizes: dict[tuple[str, str], int]) -> int:
    return sum(sizes.get(_key(node), 1) for node in nodes)
