"""Local functions of a model, inlined; hostile ones that call themselves or blow up are refused first."""

from collections.abc import Iterable, Sequence
from copy import deepcopy
from graphlib import CycleError, TopologicalSorter
from typing import TypeAlias

from onnx import AttributeProto, FunctionProto, ModelProto, NodeProto, OperatorSetIdProto, defs, inliner

from pyomo_relugrad.errors import NetworkFileError
from pyomo_relugrad.readers.onnx.traversal import all_nodes

MAX_NODES = 50_000
"""Most nodes that a graph may have, its functions inlined."""

Key: TypeAlias = tuple[str, str, str]
"""Domain, name and overload of a function."""


def without_functions(model: ModelProto) -> ModelProto:
    """The model with its local functions inlined.

    Raises
    ------
    NetworkFileError
        If functions call one another in a circle, or the graph would become too large.
    """
    if not model.functions:
        return model
    _check_size(model)
    for function in model.functions:
        if _opset(function.opset_import) > defs.onnx_opset_version():
            raise _other_opset(function)
    special = _Specialised(model)
    try:
        result = inliner.inline_local_functions(special.model, convert_version=special.needs_conversion)
    except Exception as error:
        raise NetworkFileError(f"its functions cannot be inlined: {error}") from error
    if result.functions:
        raise _other_opset(result.functions[0])
    return result


def _other_opset(function: FunctionProto) -> NetworkFileError:
    return NetworkFileError(
        f"its function {function.name!r} uses the ONNX operator set {_opset(function.opset_import)} and cannot be "
        "converted to that of the model: export the network with one operator set"
    )


def _check_size(model: ModelProto) -> None:
    bodies = {_key_of(function): list(all_nodes(function.node)) for function in model.functions}
    calls = {key: {_key(node) for node in nodes} & bodies.keys() for key, nodes in bodies.items()}
    sizes: dict[Key, int] = {}
    try:
        for key in TopologicalSorter(calls).static_order():
            sizes[key] = _inlined_size(bodies[key], sizes)
    except CycleError as error:
        names = " -> ".join(name for _, name, _ in error.args[1])
        raise NetworkFileError(f"its functions call one another in a circle: {names}") from None
    if _inlined_size(all_nodes(model.graph.node), sizes) > MAX_NODES:
        raise NetworkFileError(f"its functions blow the graph up to more than {MAX_NODES} nodes")


def _key(node: NodeProto) -> Key:
    return node.domain, node.op_type, node.overload


def _key_of(function: FunctionProto) -> Key:
    return function.domain, function.name, function.overload


def _inlined_size(nodes: Iterable[NodeProto], sizes: dict[Key, int]) -> int:
    return sum(max(1, sizes.get(_key(node), 1)) for node in nodes)


class _Specialised:
    """A model in which each function stands once for every set of attributes that it is called with.

    The inliner knows neither the default values of a function's attributes nor what they do to calls inside it, so its
    functions are left without attributes. They also take the model's operator set where that means the same.

    Parameters
    ----------
    model : ModelProto
        Is left as it is.
    """

    def __init__(self, model: ModelProto) -> None:
        self.model = deepcopy(model)
        del self.model.functions[:]
        self.needs_conversion = False
        self._sources = {_key_of(function): function for function in model.functions}
        self._names: dict[tuple[Key, bytes], str] = {}
        self._opset = _opset(model.opset_import)
        for node in all_nodes(self.model.graph.node):
            self._redirect(node)

    def _redirect(self, call: NodeProto) -> None:
        """Let a node that calls a function call the one made for its attributes."""
        source = self._sources.get(_key(call))
        if source is None:
            return
        given = {attribute.name: attribute for attribute in (*source.attribute_proto, *call.attribute)}
        content = b"".join(given[name].SerializeToString(deterministic=True) for name in sorted(given))
        name = self._names.get((_key_of(source), content))
        if name is None:
            name = self._names[_key_of(source), content] = f"{source.name}_{len(self._names)}"
            self.model.functions.append(self._specialised(source, name, given))
        call.op_type, call.overload = name, ""
        del call.attribute[:]

    def _specialised(self, source: FunctionProto, name: str, given: dict[str, AttributeProto]) -> FunctionProto:
        function = deepcopy(source)
        function.name, function.overload = name, ""
        del function.attribute[:], function.attribute_proto[:]
        for node in all_nodes(function.node):
            _fill_attributes(node, given)
        nodes = list(all_nodes(function.node))
        for node in nodes:
            self._redirect(node)
        for entry in function.opset_import:
            if not entry.domain:
                if all(_means_the_same(node, entry.version, self._opset) for node in nodes):
                    entry.version = self._opset
                self.needs_conversion |= entry.version != self._opset
        return function


def _fill_attributes(node: NodeProto, given: dict[str, AttributeProto]) -> None:
    """Put the values of a function's attributes in place of what refers to them; what has no value is left out."""
    attributes = []
    for attribute in node.attribute:
        if attribute.ref_attr_name:
            if attribute.ref_attr_name not in given:
                continue
            value = deepcopy(given[attribute.ref_attr_name])
            value.name = attribute.name
            attributes.append(value)
        else:
            attributes.append(attribute)
    kept = [attribute.SerializeToString() for attribute in attributes]
    del node.attribute[:]
    node.attribute.extend(AttributeProto.FromString(content) for content in kept)


def _opset(entries: Sequence[OperatorSetIdProto]) -> int:
    """Version of ONNX's own operator set."""
    return max((entry.version for entry in entries if not entry.domain), default=0)


def _means_the_same(node: NodeProto, version: int, other: int) -> bool:
    """Whether a node's operator has one definition in two versions of ONNX's own operator set."""
    if node.domain:
        return True
    try:
        found = [defs.get_schema(node.op_type, number, "").since_version for number in (version, other)]
    except defs.SchemaError:
        return False
    return found[0] == found[1]
