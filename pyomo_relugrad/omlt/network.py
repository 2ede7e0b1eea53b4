"""OMLT's network definitions as networks in the canonical form, and their values layer by layer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
from omlt.neuralnet import NetworkDefinition
from omlt.neuralnet.layer import ConvLayer2D, DenseLayer, GNNLayer, PoolingLayer2D
from omlt.neuralnet.layer import Layer as OmltLayer
from scipy import sparse

from pyomo_relugrad.arrays import Array, Weight
from pyomo_relugrad.block.scaling_objects import input_scaling, output_scaling
from pyomo_relugrad.errors import ModelError
from pyomo_relugrad.network import Layer, Network
from pyomo_relugrad.network.rewrite import fold_scaling
from pyomo_relugrad.onnx_reader.affine import Affine
from pyomo_relugrad.onnx_reader.hidden_layers import HiddenLayers, as_layer
from pyomo_relugrad.onnx_reader.maximum import largest
from pyomo_relugrad.pyomo_errors import IncompatibleModel


@dataclass(frozen=True, eq=False)
class AffineStep:
    """A dense or convolutional layer: ``zhat = weight @ z_source + bias``, then the activation.

    Parameters
    ----------
    source : int
        Position of the layer that it reads.
    weight : (n, n_source) dense or CSR array
    bias : (n,) array
    is_relu : bool
        Whether ``z = relu(zhat)`` rather than ``z = zhat``.
    """

    source: int
    weight: Weight
    bias: Array
    is_relu: bool

    def preactivation(self, z: Array) -> Array:
        """``zhat`` (n,) at the source's ``z``."""
        return np.asarray(self.weight @ z + self.bias)

    def symbolic(self, z: Affine, hidden: HiddenLayers) -> Affine:
        """``zhat`` as a function of the network's input."""
        return z.mapped(self.weight, self.bias.shape).shifted(self.bias)


@dataclass(frozen=True, eq=False)
class MaximumStep:
    """A pooling layer: ``zhat[i] = max(z_source[windows[i]])``, then the activation.

    Parameters
    ----------
    source : int
    windows : (n, k) int array
        Positions in the source of the kernel's elements, -1 for those that lie outside.
    is_relu : bool
    """

    source: int
    windows: Array
    is_relu: bool

    def candidates(self, z: Array) -> Array:
        """What each window chooses from: (n, k), minus infinity where a window has no element."""
        return np.where(self.windows >= 0, z[self.windows], -np.inf)

    def preactivation(self, z: Array) -> Array:
        """``zhat`` (n,) at the source's ``z``."""
        return self.candidates(z).max(axis=1)

    def symbolic(self, z: Affine, hidden: HiddenLayers) -> Affine:
        """``zhat`` as a function of the network's input."""
        return largest(z, self.windows, hidden)


Step = AffineStep | MaximumStep


@dataclass(frozen=True, eq=False)
class OmltNetwork:
    """A network definition of OMLT, read.

    Parameters
    ----------
    network : Network
        From the block's inputs to its outputs, in the user's units.
    layers : tuple of omlt.neuralnet.layer.Layer
        In topological order, the input first.
    steps : tuple of AffineStep or MaximumStep
        What the layers after the input compute.
    input_offset, input_factor : (n_inputs,) arrays
        ``scaled input = (input - offset) / factor``.
    output_offset, output_factor : (n_outputs,) arrays
    """

    network: Network
    layers: tuple[OmltLayer, ...]
    steps: tuple[Step, ...]
    input_offset: Array
    input_factor: Array
    output_offset: Array
    output_factor: Array

    @property
    def has_convolutions(self) -> bool:
        """Whether there are convolutions, whose biases OMLT does not read."""
        return any(isinstance(layer, ConvLayer2D) for layer in self.layers)

    def layer_values(self, point: Array) -> tuple[list[Array], list[Array]]:
        """``zhat`` and ``z`` of all layers at a point in the user's units; the input layer's are both its input."""
        zhat = [(point - self.input_offset) / self.input_factor]
        z = list(zhat)
        for step in self.steps:
            zhat.append(step.preactivation(z[step.source]))
            z.append(np.maximum(zhat[-1], 0.0) if step.is_relu else zhat[-1])
        return zhat, z


def read_definition(definition: NetworkDefinition, keys: Sequence[int], name: str) -> OmltNetwork:
    """Read a network definition as OMLT's formulations read it.

    Parameters
    ----------
    definition : omlt.neuralnet.NetworkDefinition
    keys : sequence of int
        What the layers are called in the definition, in topological order. In a copied definition these are no longer
        the layers' ids.
    name : str
        Of its block, for messages.

    Raises
    ------
    IncompatibleModel
        If a layer is not piecewise linear or not known, or the scaling is not one of each entry by itself.
    """
    layers = tuple(definition.layer(key) for key in keys)
    positions = {id(layer): position for position, layer in enumerate(layers)}
    hidden, tensors, steps = HiddenLayers(), [Affine.variable(0, (_size(layers[0].output_size),))], []
    for key, layer in zip(keys[1:], layers[1:], strict=True):
        (source,) = (positions[id(predecessor)] for predecessor in definition.predecessors(key))
        step = _step(layer, source, name)
        zhat = step.symbolic(tensors[source], hidden)
        tensors.append(hidden.relu(zhat) if step.is_relu else zhat)
        steps.append(step)
    network = Network(tensors[0].size, (*hidden.layers, as_layer(tensors[-1])), name=name)
    scaling = _scaling(definition, layers, name)
    folded = network if definition.scaling_object is None else fold_scaling(network, *scaling)
    return OmltNetwork(folded, layers, tuple(steps), *scaling)


def with_scaled_outputs(read: OmltNetwork) -> Network:
    """The network with its scaled outputs after its outputs."""
    *hidden, last = read.network.layers
    offset, factor = read.output_offset, read.output_factor
    weights = [
        sparse.vstack([w, sparse.diags_array(1 / factor) @ w], "csr")
        if sparse.issparse(w)
        else np.concatenate([w, w / factor[:, None]])
        for w in last.weights
    ]
    layer = Layer(last.sources, tuple(weights), np.append(last.bias, (last.bias - offset) / factor))
    return Network(read.network.n_inputs, (*hidden, layer), name=read.network.name)


def _size(shape: Any) -> int:
    return int(np.prod(shape, dtype=np.int64))


def _step(layer: OmltLayer, source: int, name: str) -> Step:
    if layer.activation not in ("linear", "relu"):
        raise IncompatibleModel(
            f"OmltBlock '{name}': {layer} has the activation '{layer.activation}', which is not piecewise linear. "
            "relugrad handles 'relu' and 'linear'; solve the model with a nonlinear solver such as ipopt"
        )
    is_relu = layer.activation == "relu"
    if isinstance(layer, DenseLayer) and not isinstance(layer, GNNLayer):
        return AffineStep(source, *_dense(layer), is_relu)
    if isinstance(layer, ConvLayer2D):
        return AffineStep(source, _convolution(layer), np.zeros(_size(layer.output_size)), is_relu)
    if isinstance(layer, PoolingLayer2D):
        return MaximumStep(source, _windows(layer), is_relu)
    raise IncompatibleModel(
        f"OmltBlock '{name}': layers of type {type(layer).__name__} cannot be handled by relugrad, only dense, "
        "convolutional and pooling layers. Solve the model with a mixed-integer solver"
    )


def _dense(layer: DenseLayer) -> tuple[Array, Array]:
    """Weight and bias of a dense layer: in OMLT every output reads all inputs, by the last part of their indexes."""
    pairs = list(layer.input_indexes_with_input_layer_indexes)
    columns = np.array([np.ravel_multi_index(index, layer.input_index_mapper.input_size) for _, index in pairs])
    rows = np.array([index[-1] for index in layer.output_indexes])
    local = np.array([index[-1] for index, _ in pairs])
    weight = np.zeros((rows.size, columns.size))
    weight[:, columns] = np.asarray(layer.weights, dtype=np.float64)[local][:, rows].T
    return weight, np.asarray(layer.biases, dtype=np.float64)[rows]


def _convolution(layer: ConvLayer2D) -> Weight:
    entries = [
        (row, np.ravel_multi_index(index, layer.input_size), float(value))
        for row, output in enumerate(layer.output_indexes)
        for value, index in layer.kernel_with_input_indexes(*output)
    ]
    rows, columns, values = (np.array(part) for part in zip(*entries, strict=True))
    shape = _size(layer.output_size), _size(layer.input_size)
    return sparse.csr_array((values, (rows, columns)), shape=shape)


def _windows(layer: PoolingLayer2D) -> Array:
    mapper = layer.input_index_mapper
    kernel = list(product(*map(range, (layer.kernel_depth, *layer.kernel_shape))))
    result = np.full((_size(layer.output_size), len(kernel)), -1)
    for window, output in zip(result, layer.output_indexes, strict=True):
        for place, index in layer.kernel_index_with_input_indexes(*output):
            window[kernel.index(place)] = np.ravel_multi_index(mapper(index), mapper.input_size)
    return result


def _scaling(
    definition: NetworkDefinition, layers: tuple[OmltLayer, ...], name: str
) -> tuple[Array, Array, Array, Array]:
    """Offsets and factors of inputs and outputs, from the expressions that the scaling object gives."""
    n_inputs, n_outputs = _size(layers[0].output_size), _size(layers[-1].output_size)
    scaler = definition.scaling_object
    if scaler is None:
        return np.zeros(n_inputs), np.ones(n_inputs), np.zeros(n_outputs), np.ones(n_outputs)
    inputs, outputs = (_keys(indexes) for indexes in (layers[0].input_indexes, layers[-1].output_indexes))
    try:
        return *input_scaling(scaler, inputs), *output_scaling(scaler, outputs)
    except ModelError as error:
        raise IncompatibleModel(f"OmltBlock '{name}': {error}") from error


def _keys(indexes: list[tuple[int, ...]]) -> list[Any]:
    """Indexes as OMLT's blocks have them: numbers where there is one dimension."""
    return [index[0] if len(index) == 1 else index for index in indexes]
