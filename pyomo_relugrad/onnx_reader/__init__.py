"""ONNX files as networks. The only room that imports onnx.

A graph is walked once, in topological order, and every tensor becomes a constant or an affine function of the
network's input and of the hidden layers met so far (`affine`). Operators are rules from such values to such values:
`arithmetic`, `movement` of elements, and `piecewise_linear`, which adds hidden layers. No other room knows an operator.
"""

from __future__ import annotations

from math import prod
from os import PathLike
from pathlib import Path

import numpy as np
from onnx import ModelProto, ValueInfoProto

from pyomo_relugrad.errors import NetworkFileError, RelugradError, UnsupportedOperatorError
from pyomo_relugrad.network import Network, TensorSpec
from pyomo_relugrad.onnx_reader.affine import Affine
from pyomo_relugrad.onnx_reader.evaluate import MAX_ELEMENTS
from pyomo_relugrad.onnx_reader.hidden_layers import as_layer
from pyomo_relugrad.onnx_reader.model_file import ModelFile, open_model
from pyomo_relugrad.onnx_reader.walk import GraphWalk

__all__ = ["load_onnx"]


def load_onnx(source: str | PathLike[str] | bytes | ModelProto) -> Network:
    """Read a piecewise-linear network from an ONNX file.

    Parameters
    ----------
    source : path, bytes or onnx.ModelProto
        The file, its content, or the parsed model.

    Returns
    -------
    Network
        Its values are those of the file, in float64. A first dimension that is symbolic or 1 is the batch and is left
        out of `Network.inputs` and `Network.outputs`; a tensor with one fixed dimension has no batch.

    Raises
    ------
    NetworkFileNotFoundError
        If there is no such file.
    NetworkFileError
        If the file is corrupt, inconsistent or unsafe.
    UnsupportedOperatorError
        If the network is not piecewise linear or has an operator that cannot be read; names the node.
    NetworkValueError
        If a weight is NaN or infinite.
    """
    file = open_model(source)
    try:
        return _read(file)
    except UnsupportedOperatorError as error:
        raise UnsupportedOperatorError(f"{file.name}: {error}", error.node, error.operator) from error
    except RelugradError as error:
        raise type(error)(f"{file.name}: {error}") from error


def _read(file: ModelFile) -> Network:
    graph = file.model.graph
    stored = {tensor.name for tensor in graph.initializer}
    free = [value for value in graph.input if value.name not in stored]
    if not free:
        raise NetworkFileError("the graph has no inputs")
    shapes = [_shape(value) for value in free]
    walk = GraphWalk(file.opsets)
    values = dict(zip((value.name for value in free), _input_tensors(shapes), strict=True))
    outputs = [
        value if isinstance(value, Affine) else Affine(value.shape, {}, np.asarray(value, float).ravel())
        for value in walk.run(graph, values)
    ]
    layers = (*walk.hidden.layers, as_layer(outputs[0].stacked(outputs[1:])))
    inputs = tuple(TensorSpec(value.name, _without_batch(shape)) for value, shape in zip(free, shapes, strict=True))
    specs = tuple(
        TensorSpec(value.name, _without_batch(tensor.shape))
        for value, tensor in zip(graph.output, outputs, strict=True)
    )
    return Network(sum(prod(shape) for shape in shapes), layers, inputs, specs, name=Path(file.name).stem)


def _input_tensors(shapes: list[tuple[int, ...]]) -> list[Affine]:
    vector = Affine.variable(0, (sum(prod(shape) for shape in shapes),))
    starts = np.cumsum([0, *(prod(shape) for shape in shapes)])
    return [
        vector.taken(np.arange(start, start + prod(shape)).reshape(shape))
        for start, shape in zip(starts[:-1], shapes, strict=True)
    ]


def _shape(value: ValueInfoProto) -> tuple[int, ...]:
    """Shape of a graph's input with a batch of one row."""
    if not value.type.tensor_type.HasField("shape"):
        raise NetworkFileError(f"the input {value.name!r} has no shape: export the network with one")
    dimensions = value.type.tensor_type.shape.dim
    sizes = [dimension.dim_value for dimension in dimensions]
    if sizes and sizes[0] == 0:
        sizes[0] = 1
    if any(size < 1 for size in sizes) or prod(sizes) > MAX_ELEMENTS:
        raise NetworkFileError(f"the input {value.name!r} must have fixed dimensions after the first, not {sizes}")
    return tuple(sizes)


def _without_batch(shape: tuple[int, ...]) -> tuple[int, ...]:
    return shape[1:] if len(shape) > 1 and shape[0] == 1 else shape
