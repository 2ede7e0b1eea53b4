"""What messages call a node."""

from onnx import NodeProto


def node_name(node: NodeProto) -> str:
    """The node's name, or that of the tensor that it computes."""
    return node.name or next(iter(node.output), "")


def label(node: NodeProto) -> str:
    """The node in words."""
    return f"node {node.name!r}" if node.name else f"the unnamed node that computes {node_name(node)!r}"
