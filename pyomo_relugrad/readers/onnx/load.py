"""`load_onnx`: from a file to a network."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from math import prod
from os import PathLike
from pathlib import Path

import numpy as np
from onnx import ModelProto, TensorProto, ValueInfoProto

from pyomo_relugrad.errors import (
    NetworkFileError,
    NetworkMismatchError,
    NetworkValueError,
    RelugradError,
    UnsupportedOperatorError,
)
from pyomo_relugrad.network import Layer, Network
from pyomo_relugrad.network.building import Affine, HiddenLayers, as_layer, with_merged_layers, without_unread
from pyomo_relugrad.network.linear_maps import entries
from pyomo_relugrad.readers.onnx import batch
from pyomo_relugrad.readers.onnx.checks import check_inputs_are_given
from pyomo_relugrad.readers.onnx.graph import Environment, GraphReader
from pyomo_relugrad.readers.onnx.integers import INTEGERS
from pyomo_relugrad.readers.onnx.model_file import ModelFile, open_model
from pyomo_relugrad.readers.onnx.node import Integers, Value, real
from pyomo_relugrad.readers.onnx.one_variable import OneVariable
from pyomo_relugrad.readers.onnx.original import Original
from pyomo_relugrad.readers.onnx.refusals import with_advice
from pyomo_relugrad.readers.onnx.rows import treats_rows_apart
from pyomo_relugrad.readers.onnx.rules.arithmetic import FLOATING_POINT

#: Factors of this size stand for infinity; no trained weight comes near it.
MAX_WEIGHT = 1e25


def load_onnx(source: str | PathLike[str] | bytes | ModelProto) -> Network:
    """Read a network of ReLUs, of what can be written by them, and of smooth activations from an ONNX file.

    Parameters
    ----------
    source : path, bytes or onnx.ModelProto
        The file, plain or compressed (``.gz``), its content, or the parsed model.

    Returns
    -------
    Network
        Its values are those of the file, in float64. `Network.inputs` and `Network.outputs` name the file's tensors,
        without the batch: a first dimension that is symbolic or 1, or that is fixed at N > 1 where the graph treats N
        rows alike and apart. A single fixed dimension is no batch. Several inputs or outputs are concatenated in the
        graph's order.

    Raises
    ------
    NetworkFileNotFoundError
        If there is no such file.
    NetworkFileError
        If the file is corrupt, inconsistent or unsafe.
    UnsupportedOperatorError
        If the network is not continuous, or has an operator that cannot be read; it names the node.
    NetworkValueError
        If a weight is NaN, infinite, or so large that it swallows the others.
    NetworkMismatchError
        If the network that was read does not have the file's values, by onnxruntime, at some points that are tried.

    Examples
    --------
    >>> from onnx import parser
    >>> network = load_onnx(parser.parse_model('''
    ...     <ir_version: 8, opset_import: ["" : 17]>
    ...     clipped (float[batch, 2] x) => (float[batch, 1] y) <float[2, 1] w = {1.0, -1.0}>
    ...     { z = MatMul(x, w)  y = LeakyRelu<alpha = 0.5>(z) }
    ... '''))
    >>> network
    <Network clipped 2-1-1>
    >>> network.value([[3.0, 1.0], [1.0, 3.0]])
    array([[ 2.],
           [-1.]])
    """
    file = open_model(source)
    try:
        with np.errstate(all="ignore"):
            return _read(file)
    except UnsupportedOperatorError as error:
        raise UnsupportedOperatorError(f"{file.name}: {error}", error.node, error.operator) from error
    except RelugradError as error:
        raise type(error)(f"{file.name}: {with_advice(error)}") from error
    except Exception as error:  # a damaged file can hold anything anywhere
        raise NetworkFileError(f"{file.name} is corrupt ({type(error).__name__}: {error}): export it again") from error


def _read(file: ModelFile) -> Network:
    graph = file.model.graph
    stored = {tensor.name for tensor in graph.initializer}
    free = [value for value in graph.input if value.name not in stored]
    if not free:
        raise NetworkFileError("the graph has no inputs")
    _check_types(free)
    check_inputs_are_given(graph.node, file.opsets)
    shapes = [batch.input_shape(value) for value in free]
    original = Original(file, free, shapes)
    rows = batch.fixed_rows(shapes)
    if rows > 1:
        network = _network_of_one_row(file, free, shapes, rows)
        if network is not None and original.agrees(network, rows):
            return network
    network = _network(file, free, shapes, {}, batched=False)
    difference = original.disagreement(network)
    if difference is not None:
        raise NetworkMismatchError(
            f"the network that was read {difference}. It is not returned: please report the file. Exported anew, with "
            "another operator set or by another exporter, it may be read correctly"
        )
    return network


def _network_of_one_row(
    file: ModelFile, free: Sequence[ValueInfoProto], shapes: Sequence[tuple[int, ...]], rows: int
) -> Network | None:
    """The network that the graph applies to each of its rows, or None if it does not."""
    graph = file.model.graph
    names = [value.name for value in free]
    if not treats_rows_apart(graph, file.opsets, dict(zip(names, shapes, strict=True))):
        return None
    replaced: Environment = dict(batch.constants_of_one_row(graph, rows))
    try:
        return _network(file, free, [(1, *shape[1:]) for shape in shapes], replaced, batched=True)
    except RelugradError:
        return None


def _network(
    file: ModelFile,
    free: Sequence[ValueInfoProto],
    shapes: Sequence[tuple[int, ...]],
    replaced: Environment,
    batched: bool,
) -> Network:
    graph = file.model.graph
    reader = GraphReader(file.opsets)
    tensors = zip(free, _input_tensors(shapes), strict=True)
    values: Environment = {
        value.name: Integers(tensor) if value.type.tensor_type.elem_type in INTEGERS else tensor
        for value, tensor in tensors
    }
    outputs = [_affine(value, reader.hidden) for value in reader.run(graph, values | replaced)]
    for written, tensor in zip(graph.output, outputs, strict=True):
        if np.isinf(tensor.offset).any():
            raise NetworkValueError(
                f"the output {written.name!r} holds infinite numbers: they are read only where a maximum or a minimum "
                "takes them away"
            )
    if not sum(tensor.size for tensor in outputs):
        raise NetworkFileError("its outputs are empty")
    layers = without_unread([*reader.hidden.layers, as_layer(outputs[0].stacked(outputs[1:]))])
    if not all(layer.activation.is_piecewise_linear for layer in layers[:-1]):  # products are many small layers
        layers = with_merged_layers(layers, sum(map(prod, shapes)))
    _check_weights(layers)
    batched = batched or any(batch.has_symbolic_batch(value) for value in free)
    inputs = tuple(batch.spec(value, shape, batched) for value, shape in zip(free, shapes, strict=True))
    written = zip(graph.output, outputs, strict=True)
    specs = tuple(batch.spec(value, tensor.shape, batched) for value, tensor in written)
    return Network(sum(map(prod, shapes)), layers, inputs, specs, name=Path(file.name).stem)


def _check_weights(layers: Sequence[Layer]) -> None:
    """No weight stands for infinity: beside its products the other numbers of a sum are lost in float64 as well."""
    stored = (entries(weight) for layer in layers for weight in layer.weights)
    largest = max((float(abs(part).max(initial=0.0)) for part in stored), default=0.0)
    if largest >= MAX_WEIGHT:
        raise NetworkValueError(
            f"it has a weight of size {largest:.3g}, beside which its other numbers are lost. Numbers that stand for "
            "'no limit' are read as limits and in masks, not as factors"
        )


def _check_types(free: Sequence[ValueInfoProto]) -> None:
    """Inputs are real or whole numbers."""
    for value in free:
        kind = value.type.tensor_type.elem_type
        if kind not in FLOATING_POINT | INTEGERS | {TensorProto.UNDEFINED}:
            name = TensorProto.DataType.Name(kind) if kind in TensorProto.DataType.values() else kind
            raise NetworkFileError(
                f"the input {value.name!r} is of type {name}, not a tensor of numbers: export the network with float "
                "inputs"
            )


def _input_tensors(shapes: Sequence[tuple[int, ...]]) -> list[Affine]:
    """The inputs as slices of the one vector that all of them make up."""
    ends = np.cumsum([0, *map(prod, shapes)])
    vector = Affine.variable(0, (int(ends[-1]),))
    slices = [np.arange(start, end) for start, end in pairwise(ends)]
    return [vector.taken(indices.reshape(shape)) for indices, shape in zip(slices, shapes, strict=True)]


def _affine(value: Value, hidden: HiddenLayers) -> Affine:
    if isinstance(value, OneVariable):
        if value.is_truth:
            raise NetworkFileError("an output is the outcome of a comparison, not a number")
        return value.settled(hidden)
    if isinstance(value, Integers):
        return value.tensor
    if isinstance(value, Affine):
        return value
    return Affine.constant(real(value))
