"""Random ONNX graphs over all operators that the reader reads and some that it does not, of most operator sets.

`random_model` draws nodes one after another on tensors whose types and shapes ONNX's shape inference knows, so that
most graphs are valid. What is drawn is registered in `random_nodes.DRAWERS` (single nodes) and
`random_patterns.DRAWERS` (several nodes, as exporters write them), by name; names can be left out.
"""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any

import numpy as np
from onnx import AttributeProto, ModelProto, NodeProto, TensorProto, defs, helper, numpy_helper, shape_inference

OPSETS = (6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26)

#: Numbers that stand for "no limit" in exported files.
LIMITS = (1e9, 1e20, 1e30, 3e38, float(np.finfo(np.float32).max), np.inf)

FLOATS = (TensorProto.FLOAT, TensorProto.DOUBLE, TensorProto.FLOAT16)

MAX_SIZE = 200


class UnsuitableError(Exception):
    """What was drawn does not fit the tensors that there are."""


@dataclass(frozen=True)
class Tensor:
    """A tensor that depends on the graph's inputs."""

    name: str
    kind: int
    shape: tuple[int, ...]

    @property
    def rank(self) -> int:
        return len(self.shape)


class GraphSketch:
    """A graph that grows node by node."""

    def __init__(self, rng: np.random.Generator, opset: int, without: Collection[str] = ()) -> None:
        self.rng, self.opset, self.without = rng, opset, without
        self.tensors: list[Tensor] = []
        self.nodes: list[NodeProto] = []
        self.inputs: list[Any] = []
        self.stored: dict[str, np.ndarray] = {}
        self.constants: dict[str, np.ndarray] = {}
        self.functions: list[Any] = []
        self.domains: dict[str, int] = {}
        self.kind = int(rng.choice(FLOATS, p=[0.9, 0.06, 0.04]))
        self._count = 0

    def chance(self, probability: float) -> bool:
        return bool(self.rng.random() < probability)

    def choose(self, values: Collection[Any]) -> Any:
        return list(values)[self.rng.integers(len(values))]

    def name(self, stem: str) -> str:
        self._count += 1
        return f"{stem}{self._count}"

    def add_input(self, shape: tuple[int, ...], kind: int, free_batch: bool) -> Tensor:
        tensor = Tensor(self.name("x"), kind, shape)
        declared: list[Any] = list(shape)
        if free_batch:
            declared[0] = self.choose(["N", None])
        self.inputs.append(helper.make_tensor_value_info(tensor.name, kind, declared))
        self.tensors.append(tensor)
        return tensor

    def variable(self, minimal_rank: int = 0, shape: tuple[int, ...] | None = None, is_real: bool = True) -> Tensor:
        """A tensor of real numbers, mostly one of the last."""
        fitting = [
            tensor
            for tensor in self.tensors
            if tensor.rank >= minimal_rank
            and (shape is None or tensor.shape == shape)
            and (tensor.kind == self.kind) == is_real
        ]
        if not fitting:
            raise UnsuitableError
        return fitting[-min(int(self.rng.geometric(0.5)), len(fitting))]

    def weights(self, *shape: int) -> np.ndarray:
        """Weights with some zeros and round numbers among them."""
        values = self.rng.normal(size=shape)
        if self.chance(0.2):
            values = np.round(values)
        return values.astype(helper.tensor_dtype_to_np_dtype(self.kind))

    def limit(self, sign: float = 1.0) -> float:
        """A number for a limit: an ordinary one, or one that means that there is none."""
        if "limits" not in self.without and self.chance(0.15):
            return sign * float(self.choose(LIMITS))
        return float(np.float16(sign * self.choose([0.0, 0.5, 1.0, 6.0, abs(self.rng.normal())])))

    def real(self, *values: float) -> np.ndarray:
        """The values in the graph's floating-point type."""
        with np.errstate(over="ignore"):
            return np.array(values if len(values) != 1 else values[0], helper.tensor_dtype_to_np_dtype(self.kind))

    def constant(self, array: Any) -> str:
        """The name of a constant: an initializer (perhaps listed as an input), a Constant node, or behind Identity."""
        array = np.asarray(array)
        name, place = self.name("c"), self.rng.random()
        self.constants[name] = array
        if place < 0.7 or array.dtype.kind == "b":
            self.stored[name] = array
        elif place < 0.9 or self.kind == TensorProto.FLOAT16:
            self._constant_node(name, array)
        else:
            self.stored[f"{name}_stored"] = array
            self.nodes.append(helper.make_node("Identity", [f"{name}_stored"], [name]))
        return name

    def _constant_node(self, name: str, array: np.ndarray) -> None:
        tensor = numpy_helper.from_array(array, self.choose([name, ""]))
        attributes: dict[str, Any] = {"value": tensor}
        if self.opset >= 12 and self.chance(0.5):
            if array.dtype == np.float32:
                attributes = {"value_float": float(array)} if array.ndim == 0 else attributes
                attributes = {"value_floats": array.tolist()} if array.ndim == 1 and array.size else attributes
            elif array.dtype == np.int64:
                attributes = {"value_int": int(array)} if array.ndim == 0 else attributes
                attributes = {"value_ints": array.tolist()} if array.ndim == 1 and array.size else attributes
        self.nodes.append(helper.make_node("Constant", [], [name], **attributes))

    def add(
        self, operator: str, inputs: list[Tensor | str], outputs: int = 1, domain: str = "", **attributes: Any
    ) -> list[Tensor]:
        """Add a node, if shape inference knows its outputs and they are of moderate size."""
        version = self.opset if not domain else self.domains.get(domain, 3)
        if not defs.has(operator, version, domain):
            raise UnsuitableError
        names = [value if isinstance(value, str) else value.name for value in inputs]
        results = [self.name("t") for _ in range(outputs)]
        node = helper.make_node(operator, names, results, domain=domain, **attributes)
        if self.chance(0.3):
            node.name = f"node_{results[0]}"
        made = self._inferred(node, version, domain)
        if domain:
            self.domains[domain] = version
        self.nodes.append(node)
        self.tensors += made
        return made

    def _inferred(self, node: NodeProto, version: int, domain: str) -> list[Tensor]:
        known = {tensor.name: tensor for tensor in self.tensors}
        types, data = {}, {}
        for name in node.input:
            if name in known:
                types[name] = helper.make_tensor_type_proto(known[name].kind, known[name].shape)
            elif name:
                array = self.constants[name]
                types[name] = helper.make_tensor_type_proto(helper.np_dtype_to_tensor_dtype(array.dtype), array.shape)
                data[name] = numpy_helper.from_array(array, name)
        imports = [helper.make_opsetid("", self.opset)] + ([helper.make_opsetid(domain, version)] if domain else [])
        schema = defs.get_schema(node.op_type, version, domain)
        try:
            inferred = shape_inference.infer_node_outputs(schema, node, types, data, opset_imports=imports)
        except Exception:
            raise UnsuitableError from None
        return [_tensor(name, inferred.get(name)) for name in node.output]


def _tensor(name: str, inferred: Any) -> Tensor:
    if inferred is None or not inferred.tensor_type.HasField("shape"):
        raise UnsuitableError
    dimensions = inferred.tensor_type.shape.dim
    shape = tuple(dimension.dim_value for dimension in dimensions)
    if min(shape, default=1) < 1 or np.prod(shape) > MAX_SIZE:
        raise UnsuitableError
    return Tensor(name, inferred.tensor_type.elem_type, shape)


Drawer = Callable[[GraphSketch], list[Tensor]]


def random_model(rng: np.random.Generator, without: Collection[str] = ()) -> ModelProto:
    """A random model, in most cases a valid one; `without` names drawers (and ``limits``) that are left out."""
    from random_movements import DRAWERS as MOVEMENTS
    from random_nodes import DRAWERS as COMPUTATIONS
    from random_nodes import SELDOM
    from random_patterns import DRAWERS as PATTERNS

    nodes = COMPUTATIONS | MOVEMENTS
    single, several, seldom = (
        [drawer for name, drawer in drawers.items() if name not in without and (name in SELDOM) == is_seldom]
        for drawers, is_seldom in ((nodes, False), (PATTERNS, False), (nodes | PATTERNS, True))
    )
    sketch = GraphSketch(rng, int(rng.choice(OPSETS)), without)
    _draw_inputs(sketch)
    for _ in range(rng.integers(1, 8)):
        _draw(sketch, seldom if sketch.chance(0.03) else several if sketch.chance(0.25) else single)
    return _model(sketch)


def _draw_inputs(sketch: GraphSketch) -> None:
    rng = sketch.rng
    rank = int(rng.choice([1, 2, 3, 4, 5], p=[0.1, 0.35, 0.2, 0.3, 0.05]))
    rest = tuple(int(size) for size in rng.integers(1, 6 if rank < 5 else 3, size=rank - 1))
    form = rng.random()
    free_batch, rows = form < 0.35, 1 if form < 0.8 else int(rng.integers(2, 4))
    for _ in range(1 if sketch.chance(0.85) else 2):
        sketch.add_input(
            (rows, *rest) if rank > 1 else (int(rng.integers(1, 6)),), sketch.kind, free_batch and rank > 1
        )
    if "integer input" not in sketch.without and sketch.chance(0.05):
        kind = sketch.choose([TensorProto.INT64, TensorProto.INT32, TensorProto.BOOL])
        sketch.add_input((rows, *rest), kind, free_batch)


def _draw(sketch: GraphSketch, drawers: list[Drawer]) -> None:
    """Draw until something fits; what was begun before it did not is taken back."""
    for _ in range(20):
        before = len(sketch.nodes), len(sketch.tensors)
        try:
            sketch.choose(drawers)(sketch)
        except UnsuitableError:
            del sketch.nodes[before[0] :], sketch.tensors[before[1] :]
            continue
        return


def _model(sketch: GraphSketch) -> ModelProto:
    given = {value.name for value in sketch.inputs}
    computed = [tensor for tensor in sketch.tensors if tensor.name not in given and tensor.kind in FLOATS]
    last = computed[-1] if computed else sketch.tensors[0]
    chosen = [last, sketch.choose(computed)] if computed and sketch.chance(0.15) else [last]
    results = {tensor.name: helper.make_tensor_value_info(tensor.name, tensor.kind, None) for tensor in chosen}
    used = {name for node in sketch.nodes for name in (*node.input, *_inner_inputs(node))}
    stored = [numpy_helper.from_array(array, name) for name, array in sketch.stored.items() if name in used]
    listed = [
        helper.make_tensor_value_info(tensor.name, tensor.data_type, list(tensor.dims))
        for tensor in stored
        if sketch.chance(0.05)
    ]
    graph = helper.make_graph(sketch.nodes, "model", [*sketch.inputs, *listed], list(results.values()), stored)
    default = "ai.onnx" if "ai.onnx" not in sketch.without and sketch.chance(0.1) else ""
    imports = [helper.make_opsetid(default, sketch.opset)]
    imports += [helper.make_opsetid(domain, version) for domain, version in sketch.domains.items()]
    return helper.make_model(graph, opset_imports=imports, ir_version=_ir_version(sketch), functions=sketch.functions)


def _inner_inputs(node: NodeProto) -> list[str]:
    graphs = [attribute.g for attribute in node.attribute if attribute.type == AttributeProto.GRAPH]
    return [name for graph in graphs for inner in graph.node for name in inner.input]


def _ir_version(sketch: GraphSketch) -> int:
    return 8 if sketch.functions else 4 if sketch.opset < 9 else 6 if sketch.opset < 13 else 10
