"""onnxruntime as the oracle of read graphs: values at points, and how far rounding may carry them."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import onnxruntime
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper, version_converter

from pyomo_relugrad.readers.onnx.traversal import graphs

TYPES = {
    "tensor(float)": np.float32,
    "tensor(double)": np.float64,
    "tensor(float16)": np.float16,
    "tensor(int64)": np.int64,
    "tensor(int32)": np.int32,
    "tensor(int16)": np.int16,
    "tensor(int8)": np.int8,
    "tensor(uint8)": np.uint8,
    "tensor(bool)": np.bool_,
}

REAL = {
    "tensor(float)": TensorProto.FLOAT,
    "tensor(double)": TensorProto.DOUBLE,
    "tensor(float16)": TensorProto.FLOAT16,
}

onnxruntime.set_default_logger_severity(4)

#: Operators that compute coordinates in float32.
RESIZING = ("Resize", "Upsample", "GridSample")

#: Operators that compute ``exp(x) - 1``, which is rounded as a number near 1 is.
NEAR_ONE = frozenset({"Celu", "Elu", "Selu"})

#: The precision of float32, in which attributes are, and some of onnxruntime's operators on doubles.
SINGLE = float(np.finfo(np.float32).eps)

#: Operator sets before this one have no kernels in onnxruntime; they are converted.
FIRST_SUPPORTED = 7


class OracleError(Exception):
    """onnxruntime does not take the model, or does not run it."""


class Oracle:
    """A model in onnxruntime, as a function of the vector of all inputs (one row where the batch is free).

    Raises
    ------
    OracleError
        If onnxruntime refuses the model.
    """

    def __init__(self, content: bytes) -> None:
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 4
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
        try:
            self._session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
        except Exception as error:
            raise OracleError(str(error)) from error
        self._inputs = self._session.get_inputs()
        self._shapes = [_numeric(tensor.shape) for tensor in self._inputs]
        if any(tensor.type not in TYPES for tensor in self._inputs):
            raise OracleError("an input is of a type that is not compared")

    @property
    def size(self) -> int:
        """Number of elements of all inputs together."""
        return sum(int(np.prod(shape)) for shape in self._shapes)

    @property
    def is_rounded(self) -> bool:
        """Whether an input takes whole numbers only."""
        return any(TYPES[tensor.type] not in (np.float16, np.float32, np.float64) for tensor in self._inputs)

    @property
    def precision(self) -> float:
        """The relative precision of the inputs' type, at most that of attributes, which are float32."""
        kinds = [np.dtype(TYPES[tensor.type]) for tensor in self._inputs]
        return max((SINGLE, *(float(np.finfo(kind).eps) for kind in kinds if kind.kind == "f")))

    @property
    def smallest(self) -> float:
        """The smallest number that the inputs' type holds with full precision."""
        kinds = [np.dtype(TYPES[tensor.type]) for tensor in self._inputs]
        return max((float(np.finfo(kind).smallest_normal) for kind in kinds if kind.kind == "f"), default=1e-37)

    def as_given(self, points: np.ndarray) -> np.ndarray:
        """The points as the inputs' types hold them."""
        with np.errstate(all="ignore"):
            return np.concatenate([part.astype(np.float64) for part in self._parts(points)], axis=1)

    def _parts(self, points: np.ndarray) -> list[np.ndarray]:
        """One (points, size) array per input; its columns are in turn those of the input's rows."""
        rows = max(1, self.size // points.shape[1])
        ends = np.cumsum([int(np.prod(shape)) // rows for shape in self._shapes])
        split = np.split(points, ends[:-1], axis=1)
        return [part.astype(TYPES[tensor.type]) for part, tensor in zip(split, self._inputs, strict=True)]

    def __call__(self, points: np.ndarray) -> np.ndarray:
        """Outputs (points, all outputs together); not finite where onnxruntime's are not."""
        rows = max(1, self.size // points.shape[1])
        count = -(-len(points) // rows) * rows
        with np.errstate(all="ignore"):
            parts = self._parts(np.resize(points, (count, points.shape[1])))
        results = []
        for start in range(0, count, rows):
            feeds = {
                tensor.name: part[start : start + rows].reshape(shape)
                for tensor, shape, part in zip(self._inputs, self._shapes, parts, strict=True)
            }
            try:
                outputs = self._session.run(None, feeds)
            except Exception as error:
                raise OracleError(str(error)) from error
            values = [np.asarray(output) for output in outputs]
            if any(value.dtype.kind not in "fiub" or value.size % rows for value in values):
                raise OracleError("an output is not compared")
            results.append(np.concatenate([value.astype(float).reshape(rows, -1) for value in values], axis=1))
        return np.concatenate(results)[: len(points)]


def _numeric(shape: list[int | str | None]) -> list[int]:
    return [size if isinstance(size, int) and size > 0 else 1 for size in shape]


def oracle(content: bytes) -> Oracle:
    """The model in onnxruntime, from an operator set that it does not know converted to one that it does.

    Where the converter changes the meaning there is no oracle: slopes of channels, as PRelu has them before set 7,
    become slopes of the last dimension.

    Raises
    ------
    OracleError
        If onnxruntime takes it in neither form.
    """
    try:
        return Oracle(content)
    except OracleError:
        model = ModelProto()
        try:
            model.ParseFromString(content)
            version = max((entry.version for entry in model.opset_import if entry.domain in ("", "ai.onnx")), default=0)
            if not 0 < version < FIRST_SUPPORTED or _has_slopes_of_channels(model):
                raise
            converted = version_converter.convert_version(model, FIRST_SUPPORTED)
        except OracleError:
            raise
        except Exception as error:
            raise OracleError(str(error)) from error
        return Oracle(converted.SerializeToString())


def _has_slopes_of_channels(model: ModelProto) -> bool:
    """Whether a PRelu has several slopes, or such as are not stored."""
    single = {tensor.name for tensor in model.graph.initializer if np.prod(tensor.dims) == 1}
    nodes = [node for graph in graphs(model.graph) for node in graph.node]
    return any(node.op_type == "PRelu" and not single.issuperset(node.input[1:]) for node in nodes)


@dataclass(frozen=True)
class Rounding:
    """What rounding makes of the outputs: the largest deviations when every tensor is disturbed at random.

    Parameters
    ----------
    content : bytes
        The model.
    factor : float
        Size of the disturbances of inputs and of the outputs of all nodes, in units of their type's precision, at most
        that of float32; 16 times as much where onnxruntime computes coordinates of an image in float32.
    """

    content: bytes
    factor: float = 4.0

    def deviations(self, points: np.ndarray, runs: int = 6) -> np.ndarray:
        """Largest deviation of each output at each point, from the mean of some disturbed runs.

        Raises
        ------
        OracleError
            If the disturbed model does not run, or its number of outputs depends on rounding.
        """
        model = ModelProto()
        model.ParseFromString(self.content)
        is_resized = any(node.op_type in RESIZING for node in model.graph.node)
        onnxruntime.set_seed(0)  # else the verdict would change from run to run
        disturbed = Oracle(_disturbed(model, self.factor * (16.0 if is_resized else 1.0)).SerializeToString())
        with np.errstate(all="ignore"):
            found = [disturbed(points) for _ in range(runs)]
            if len({values.shape for values in found}) > 1:
                raise OracleError("the number of outputs depends on rounding")
            values = np.stack(found)
            return values.max(axis=0) - values.min(axis=0) + _underflow(model)


def _underflow(model: ModelProto) -> float:
    """What a cast to float16 between other types leaves of tiny numbers."""
    casts = [attribute.i for node in model.graph.node for attribute in node.attribute if attribute.name == "to"]
    return float(np.finfo(np.float16).smallest_normal) if TensorProto.FLOAT16 in casts else 0.0


def _disturbed(model: ModelProto, factor: float) -> ModelProto:
    """The model with every tensor of real numbers on its edges multiplied by random numbers close to 1."""
    result = ModelProto()
    result.CopyFrom(model)
    kinds = _float_edges(model)
    near_one = NEAR_ONE | {f.name for f in model.functions if any(node.op_type in NEAR_ONE for node in f.node)}
    nodes: list[NodeProto] = []
    names = {}
    for name in (*(value.name for value in model.graph.input), *(tensor.name for tensor in model.graph.initializer)):
        if name in kinds and name not in names:
            names[name] = f"{name}_disturbed"
            nodes += _noise(name, names[name], kinds[name], factor)
    for node in model.graph.node:
        own = NodeProto()
        own.CopyFrom(node)
        for place, name in enumerate(own.input):
            own.input[place] = names.get(name, name)
        after = []
        for place, name in enumerate(own.output):
            if name in kinds:
                own.output[place] = f"{name}_exact"
                after += _noise(own.output[place], name, kinds[name], factor, node.op_type in near_one)
        nodes += [own, *after]
    del result.graph.node[:]
    result.graph.node.extend(nodes)
    return result


def _float_edges(model: ModelProto) -> dict[str, int]:
    """Element types of the tensors of real numbers, as onnxruntime has them, but for those that say how to resize."""
    graph = model.graph
    scales = {name for node in graph.node if node.op_type in RESIZING for name in node.input[1:]}
    edges = [name for node in graph.node for name in node.output if name]
    probe = ModelProto()
    probe.CopyFrom(model)
    del probe.graph.output[:]
    probe.graph.output.extend(helper.make_empty_tensor_value_info(name) for name in edges)
    try:
        session = onnxruntime.InferenceSession(probe.SerializeToString(), _silent(), providers=["CPUExecutionProvider"])
    except Exception as error:
        raise OracleError(str(error)) from error
    kinds = {tensor.name: tensor.data_type for tensor in graph.initializer}
    kinds |= {value.name: value.type.tensor_type.elem_type for value in graph.input}
    kinds |= {value.name: REAL.get(value.type, 0) for value in session.get_outputs()}
    return {name: kind for name, kind in kinds.items() if kind in REAL.values() and name not in scales}


def _silent() -> onnxruntime.SessionOptions:
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    return options


def _noise(source: str, target: str, kind: int, factor: float, is_near_one: bool = False) -> Iterator[NodeProto]:
    """Nodes for ``target = source * (1 + noise)``, and ``+ noise`` where it is near 1, computed in double."""
    scale = factor * max(float(np.finfo(helper.tensor_dtype_to_np_dtype(kind)).eps), SINGLE)
    wide, noise, small, scaled, one, near_one, product, total = (f"{target}_disturbed_{place}" for place in range(8))
    yield helper.make_node("Cast", [source], [wide], to=TensorProto.DOUBLE)
    yield helper.make_node("RandomUniformLike", [wide], [noise], dtype=TensorProto.DOUBLE, low=-1.0, high=1.0)
    for name, number in ((small, scale), (one, 1.0)):
        yield helper.make_node("Constant", [], [name], value=numpy_helper.from_array(np.array(number)))
    yield helper.make_node("Mul", [noise, small], [scaled])
    yield helper.make_node("Add", [scaled, one], [near_one])
    yield helper.make_node("Mul", [wide, near_one], [product])
    yield helper.make_node("Sum", [product, scaled] if is_near_one else [product], [total])
    yield helper.make_node("Cast", [total], [target], to=kind)


def numbers_of(content: bytes) -> np.ndarray:
    """Numbers that stand in the file, where a function of it may bend: in small constants and in attributes."""
    model = ModelProto()
    model.ParseFromString(content)
    tensors = [tensor for tensor in model.graph.initializer if np.prod(tensor.dims) <= 4]
    attributes = [attribute for node in model.graph.node for attribute in node.attribute]
    tensors += [attribute.t for attribute in attributes if attribute.HasField("t")]
    numbers = [0.0, 1.0, *(attribute.f for attribute in attributes)]
    for tensor in tensors:
        try:
            numbers += numpy_helper.to_array(tensor).astype(float).ravel()[:4].tolist()
        except (TypeError, ValueError):
            continue
    values = np.array(numbers)
    return np.unique(values[np.isfinite(values) & (abs(values) < 1e15)])
