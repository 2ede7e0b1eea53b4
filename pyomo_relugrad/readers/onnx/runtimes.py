"""What runs an ONNX model as it is: onnxruntime, ONNX's reference implementation, and the latter in float64.

A runtime is opened when it is first called: what it cannot run, it refuses then.
"""

from collections.abc import Callable, Iterator, Sequence
from copy import deepcopy
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from onnx import AttributeProto, GraphProto, ModelProto, TensorProto, numpy_helper

from pyomo_relugrad.arrays import Array
from pyomo_relugrad.readers.onnx.evaluate import normalised
from pyomo_relugrad.readers.onnx.traversal import all_nodes, graphs, tensors

Runtime: TypeAlias = Callable[[dict[str, Array]], Sequence[Array]]
"""All outputs of a model in the graph's order, from its inputs by name."""

_REAL_TYPES = frozenset({TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.BFLOAT16})
_SILENT = 4
_TYPES = {"tensor(float)": np.float32, "tensor(double)": np.float64, "tensor(float16)": np.float16}


@dataclass(frozen=True, eq=False)
class OnnxRuntime:
    """A model in onnxruntime, without its optimizations, on one thread.

    Parameters
    ----------
    source : path, bytes or ModelProto
    """

    source: str | bytes | ModelProto

    @cached_property
    def _session(self) -> Any:
        import onnxruntime  # takes time, and is needed only once a file is read

        options = onnxruntime.SessionOptions()
        options.log_severity_level = _SILENT
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
        content = self.source.SerializeToString() if isinstance(self.source, ModelProto) else self.source
        return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])

    @property
    def inputs(self) -> Sequence[Any]:
        """The inputs that are not stored in the file, each with ``name``, ``shape`` and ``type``."""
        stored = {tensor.name for tensor in self._session.get_overridable_initializers()}
        return [tensor for tensor in self._session.get_inputs() if tensor.name not in stored]

    @cached_property
    def _options(self) -> Any:
        import onnxruntime

        options = onnxruntime.RunOptions()
        options.log_severity_level = _SILENT
        options.only_execute_path_to_fetches = True
        return options

    def __call__(self, feeds: dict[str, Array]) -> Sequence[Array]:
        """See `Runtime`."""
        return self._session.run(None, feeds, self._options)


def values_in_onnxruntime(path: Path, x: Array) -> tuple[Array, Array]:
    """What onnxruntime computes at a point: the inputs as the file's types hold them, and the outputs for them.

    Parameters
    ----------
    path : Path
    x : (n_inputs,) array
        One row of all inputs, in the graph's order.
    """
    runtime = OnnxRuntime(str(path))
    feeds, begin = dict[str, Array](), 0
    for tensor in runtime.inputs:
        shape = [size if isinstance(size, int) and size > 0 else 1 for size in tensor.shape]
        end = begin + int(np.prod(shape, dtype=np.int64))
        feeds[tensor.name] = x[begin:end].reshape(shape).astype(_TYPES.get(tensor.type, np.float32))
        begin = end
    outputs = [np.asarray(output, np.float64).ravel() for output in runtime(feeds)]
    given = [np.asarray(fed, np.float64).ravel() for fed in feeds.values()]
    return np.concatenate(given), np.concatenate(outputs)


@dataclass(frozen=True, eq=False)
class Reference:
    """A model in ONNX's reference implementation.

    Parameters
    ----------
    model : ModelProto
        Without local functions.
    in_double : bool
        Whether all floating-point numbers are float64.
    """

    model: ModelProto
    in_double: bool = False

    @cached_property
    def _evaluator(self) -> Any:
        from onnx.reference import ReferenceEvaluator  # takes time, and few files need it

        model = self.model
        if self.in_double:
            model = deepcopy(self.model)
            _to_double(model.graph)
        return ReferenceEvaluator(model)

    def __call__(self, feeds: dict[str, Array]) -> Sequence[Array]:
        """See `Runtime`."""
        if self.in_double:
            feeds = {name: normalised(array) for name, array in feeds.items()}
        return self._evaluator.run(None, feeds)


def element_types(graph: GraphProto) -> Iterator[int]:
    """Types of the tensors of a graph, as far as it names them."""
    for part in graphs(graph):
        yield from (value.type.tensor_type.elem_type for value in (*part.input, *part.output))
    yield from (tensor.data_type for tensor in tensors(graph))
    yield from (attribute.i for attribute in _cast_targets(graph))


def _cast_targets(graph: GraphProto) -> Iterator[AttributeProto]:
    """The attributes that say what a Cast casts to."""
    for node in all_nodes(graph.node):
        if node.op_type == "Cast":
            yield from (attribute for attribute in node.attribute if attribute.name == "to")


def _to_double(graph: GraphProto) -> None:
    """Store and compute all floating-point numbers of a graph in float64."""
    for tensor in tensors(graph):
        if tensor.data_type in _REAL_TYPES:
            tensor.CopyFrom(numpy_helper.from_array(normalised(numpy_helper.to_array(tensor)), tensor.name))
    for attribute in _cast_targets(graph):
        if attribute.i in _REAL_TYPES:
            attribute.i = TensorProto.DOUBLE
