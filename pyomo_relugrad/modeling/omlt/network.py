"""OMLT's network definitions as networks in the canonical form, and their values layer by layer."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import product
from typing import Any

import numpy as np
from omlt.neuralnet import NetworkDefinition
from omlt.neuralnet.layer import ConvLayer2D, DenseLayer, GNNLayer, PoolingLayer2D
from omlt.neuralnet.layer import Layer as OmltLayer
from scipy import sparse

from pyomo_relugrad.arrays import Array, Weight
from pyomo_relugrad.errors import ModelError
from pyomo_relugrad.modeling.block.scaling import Scaling, input_scaling, output_scaling
from pyomo_relugrad.modeling.errors import NotANetwork
from pyomo_relugrad.modeling.omlt.steps import AffineStep, MaximumStep, Step
from pyomo_relugrad.network import RELU, Activation, Layer, Network
from pyomo_relugrad.network.building import Affine, HiddenLayers, affine_of, as_layer, fold_scaling
from pyomo_relugrad.network.curves import SIGMOID, SOFTPLUS, TANH

#: What OMLT's names of activation functions stand for.
ACTIVATIONS: dict[str, Activation | None] = {
    "linear": None,
    "relu": RELU,
    "sigmoid": SIGMOID,
    "softplus": SOFTPLUS,
    "tanh": TANH,
}


@dataclass(frozen=True, eq=False)
class OmltNetwork:
    """A network as OMLT's layers state it.

    Parameters
    ----------
    scaled : Network
        From the scaled inputs to the scaled outputs.
    steps : tuple of AffineStep or MaximumStep
        What the layers after the input compute, in topological order.
    zhat, z : tuples of Affine
        The pre-activations and activations of each layer, the input's first, as functions of the scaled input and of
        the activations of `scaled`. The input layer's are both the scaled input.
    scaling : Scaling or None
    has_convolutions : bool, optional
        Whether there are convolutions, whose biases OMLT does not read.
    is_single : bool, optional
        Whether OMLT computed in float32, as it does with weights of this type.
    """

    scaled: Network
    steps: tuple[Step, ...]
    zhat: tuple[Affine, ...]
    z: tuple[Affine, ...]
    scaling: Scaling | None
    has_convolutions: bool = False
    is_single: bool = False

    @cached_property
    def network(self) -> Network:
        """The network from the block's inputs to its outputs, in the user's units."""
        return self.scaled if self.scaling is None else self._in_users_units(self.scaled, self.scaling)

    def with_outputs(self, extra: Sequence[Affine]) -> Network:
        """The network with further outputs, given as elements of `zhat` and `z` are."""
        if not extra:
            return self.network
        outputs = as_layer(self.z[-1].stacked(extra))
        extended = Network(self.scaled.n_inputs, (*self.scaled.layers[:-1], outputs), name=self.scaled.name)
        return extended if self.scaling is None else self._in_users_units(extended, self.scaling)

    def _in_users_units(self, network: Network, scaling: Scaling) -> Network:
        """Fold the scaling into a network whose first outputs are the scaled outputs."""
        further = network.n_outputs - self.scaled.n_outputs
        return fold_scaling(
            network,
            scaling.input_offset,
            scaling.input_factor,
            np.append(scaling.output_offset, np.zeros(further)),
            np.append(scaling.output_factor, np.ones(further)),
        )

    def scaled_input(self, point: Array) -> Array:
        """The scaled input (n_inputs,) at a point in the user's units."""
        if self.scaling is None:
            return point
        return (point - self.scaling.input_offset) / self.scaling.input_factor

    def unscaled_input(self, point: Array) -> Array:
        """The point in the user's units at a scaled input (n_inputs,)."""
        return point if self.scaling is None else point * self.scaling.input_factor + self.scaling.input_offset

    def unscaled_output(self, values: Array) -> Array:
        """The outputs in the user's units at scaled outputs (n_outputs,)."""
        return values if self.scaling is None else values * self.scaling.output_factor + self.scaling.output_offset

    def layer_values(self, point: Array) -> tuple[list[Array], list[Array]]:
        """``zhat`` and ``z`` of all layers at a point in the user's units; the input layer's are both its input."""
        zhat = [self.scaled_input(point)]
        z = list(zhat)
        for step in self.steps:
            zhat.append(step.preactivation(z))
            z.append(zhat[-1] if step.activation is None else step.activation.value(zhat[-1]))
        return zhat, z

    def layer_ranges(self, lower: Array, upper: Array) -> list[tuple[Array, Array]]:
        """Bounds of ``zhat`` of all layers by interval arithmetic, from bounds of the scaled input."""
        zhat = [(lower, upper)]
        z = list(zhat)
        for step in self.steps:
            low, high = step.range([side[0] for side in z], [side[1] for side in z])
            zhat.append((low, high))
            z.append((low, high) if step.activation is None else step.activation.range(low, high))
        return zhat


def read_definition(definition: NetworkDefinition, keys: Sequence[int], name: str) -> OmltNetwork:
    """Read a network definition as OMLT's formulations read it.

    Parameters
    ----------
    definition : omlt.neuralnet.NetworkDefinition
    keys : sequence of int
        What the layers are called in the definition, in topological order. In a copied definition these are no longer
        the layers' ids.
    name : str
        Of the network.

    Raises
    ------
    NotANetwork
        If a layer or its activation is not known, or the scaling is not one of each entry by itself.
    """
    layers = tuple(definition.layer(key) for key in keys)
    positions = {id(layer): position for position, layer in enumerate(layers)}
    hidden, steps = HiddenLayers(), []
    zhat = [Affine.variable(0, (_size(layers[0].output_size),))]
    z = list(zhat)
    for key, layer in zip(keys[1:], layers[1:], strict=True):
        (source,) = (positions[id(predecessor)] for predecessor in definition.predecessors(key))
        step = _step(layer, source)
        zhat.append(step.symbolic(z, hidden))
        z.append(_activated(step, zhat[-1], hidden))
        steps.append(step)
    return OmltNetwork(
        scaled=Network(z[0].size, hidden.with_output(z[-1]), name=name),
        steps=tuple(steps),
        zhat=tuple(zhat),
        z=tuple(z),
        scaling=_scaling(definition, layers),
        has_convolutions=any(isinstance(layer, ConvLayer2D) for layer in layers),
        is_single=any(getattr(layer, "weights", np.zeros(0)).dtype == np.float32 for layer in layers),
    )


def read_canonical(network: Network) -> OmltNetwork:
    """What a network states whose layers stand in a block of OMLT one by one, as ``relugrad.omlt`` writes them."""
    *hidden, last = network.layers
    variables = [Affine.variable(number, (width,)) for number, width in enumerate((network.n_inputs, *network.widths))]
    first, tensors = variables[0], [affine_of(layer) for layer in network.layers]
    steps = (*(AffineStep(layer, layer.activation) for layer in hidden), AffineStep(last, None))
    return OmltNetwork(network, steps, (first, *tensors), (*variables, tensors[-1]), scaling=None)


def _size(shape: Any) -> int:
    return int(np.prod(shape, dtype=np.int64))


def _activated(step: Step, zhat: Affine, hidden: HiddenLayers) -> Affine:
    """The activations of a layer as a function of the network's input."""
    if step.activation is None:
        return zhat
    return hidden.relu(zhat) if step.activation.is_piecewise_linear else hidden.smooth(zhat, step.activation)


def _step(layer: OmltLayer, source: int) -> Step:
    if layer.activation not in ACTIVATIONS:
        known = ", ".join(map(repr, ACTIVATIONS))
        raise NotANetwork(f"{layer} has the activation '{layer.activation}', which is none of {known}")
    activation = ACTIVATIONS[layer.activation]
    if isinstance(layer, DenseLayer) and not isinstance(layer, GNNLayer):
        weight, bias = _dense(layer)
        return AffineStep(Layer((source,), (weight,), bias), activation)
    if isinstance(layer, ConvLayer2D):
        return AffineStep(Layer((source,), (_convolution(layer),), np.zeros(_size(layer.output_size))), activation)
    if isinstance(layer, PoolingLayer2D):
        return MaximumStep(source, _windows(layer), activation)
    raise NotANetwork(
        f"layers of type {type(layer).__name__} are not known to relugrad as dense, convolutional and pooling ones are"
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


def _scaling(definition: NetworkDefinition, layers: tuple[OmltLayer, ...]) -> Scaling | None:
    """Offsets and factors of inputs and outputs, from the expressions that the scaling object gives."""
    scaler = definition.scaling_object
    if scaler is None:
        return None
    inputs, outputs = (_keys(indexes) for indexes in (layers[0].input_indexes, layers[-1].output_indexes))
    try:
        return Scaling(*input_scaling(scaler, inputs), *output_scaling(scaler, outputs))
    except ModelError as error:
        raise NotANetwork(str(error)) from error


def _keys(indexes: list[tuple[int, ...]]) -> list[Any]:
    """Indexes as OMLT's blocks have them: numbers where there is one dimension."""
    return [index[0] if len(index) == 1 else index for index in indexes]
