"""Network -> OMLT: a canonical network built into an `OmltBlock` through the hooks of OMLT's formulations."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import pyomo.environ as pyo
from omlt.neuralnet import FullSpaceNNFormulation, NetworkDefinition
from omlt.neuralnet.activations import (
    ComplementarityReLUActivation,
    bigm_relu_activation_constraint,
    linear_activation_constraint,
)
from omlt.neuralnet.layer import InputLayer
from omlt.neuralnet.layer import Layer as OmltLayer
from pyomo.common.gc_manager import PauseGC
from pyomo.core.expr import LinearExpression
from scipy import sparse

from pyomo_relugrad.arrays import Array, Weight
from pyomo_relugrad.network import Layer, Network, PreactivationBounds
from pyomo_relugrad.omlt_values import assign, set_complementarity

#: Parts into which the partition formulation splits the weights of a neuron, as in OMLT.
PARTS = 2


class AffineLayer(OmltLayer):
    """A canonical layer as a layer of OMLT: affine in several earlier layers, its weights dense or sparse.

    Parameters
    ----------
    affine : Layer
    sources : sequence of omlt.neuralnet.layer.Layer
        The layers that ``affine.sources`` stands for.
    activation : {'relu', 'linear'}
    lower, upper : (n_k,) arrays
        Bounds on the pre-activations, infinite where there are none.
    """

    def __init__(
        self, affine: Layer, sources: Sequence[OmltLayer], activation: str, lower: Array, upper: Array
    ) -> None:
        width = sum(source.output_size[0] for source in sources)
        super().__init__([width], [affine.width], activation=activation)
        self.affine = affine
        self.sources = tuple(sources)
        self.lower = lower
        self.upper = upper

    @property
    def weight(self) -> Weight:
        """The weights of all sources side by side."""
        return joined_weight(self.affine)

    def __str__(self) -> str:
        return f"AffineLayer(input_size={self.input_size}, output_size={self.output_size})"

    def __deepcopy__(self, memo: dict[int, Any]) -> AffineLayer:
        return self

    def _eval(self, x: Array) -> Array:
        """Value at the concatenated sources `x`, for OMLT's ``eval_single_layer``."""
        return self.weight @ np.asarray(x) + self.affine.bias


def joined_weight(affine: Layer) -> Weight:
    """(n_k, sum of the sources' widths) array: the weights side by side, dense only if all of them are."""
    if len(affine.weights) == 1:
        return affine.weights[0]
    if any(sparse.issparse(weight) for weight in affine.weights):
        return sparse.csr_array(sparse.hstack(affine.weights))
    return np.concatenate([np.zeros((affine.width, 0)), *affine.weights], axis=1)


class NetworkFormulation(FullSpaceNNFormulation):
    """OMLT's full-space formulation of a canonical network.

    Parameters
    ----------
    network : Network
        In the units of the block's inputs and outputs.
    lower, upper : (n_inputs,) arrays
        Bounds on the inputs, infinite where there are none.
    bounds : PreactivationBounds
        What follows from them, for one box.
    constraints : tuple of three functions
        What builds the affine maps, the ReLUs, and the last layer's identity; see `CONSTRAINTS`.
    """

    def __init__(
        self,
        network: Network,
        lower: Array,
        upper: Array,
        bounds: PreactivationBounds,
        constraints: tuple[Any, Any, Any],
    ) -> None:
        self._arguments = (network, lower, upper, bounds, constraints)
        self.network = network
        self.layers = _omlt_layers(network, bounds)
        affine, relu, linear = constraints
        super().__init__(
            _network_definition(self.layers, lower, upper),
            layer_constraints={AffineLayer: affine},
            activation_constraints={"relu": relu, "linear": linear},
        )

    def __reduce__(self) -> tuple[type, tuple[Any, ...]]:
        return NetworkFormulation, self._arguments


def _omlt_layers(network: Network, bounds: PreactivationBounds) -> tuple[OmltLayer, ...]:
    """The input layer, the hidden layers in order, and the output layer."""
    layers: list[OmltLayer] = [InputLayer([network.n_inputs])]
    lowers, uppers = (*bounds.lower, bounds.output_lower), (*bounds.upper, bounds.output_upper)
    for affine, lower, upper in zip(network.layers, lowers, uppers, strict=True):
        activation = "linear" if affine is network.layers[-1] else "relu"
        sources = [layers[source] for source in affine.sources]
        layers.append(AffineLayer(affine, sources, activation, lower[0], upper[0]))
    return tuple(layers)


def _network_definition(layers: Sequence[OmltLayer], lower: Array, upper: Array) -> NetworkDefinition:
    """OMLT's definition of the layers' graph, with one input layer and one output layer as OMLT requires."""
    ranges = enumerate(zip(lower.tolist(), upper.tolist(), strict=True))
    definition = NetworkDefinition(scaled_input_bounds=dict(ranges))
    for layer in layers:
        definition.add_layer(layer)
    for layer in layers[1:]:
        for source in layer.sources or layers[:1]:  # a constant layer hangs on the input
            definition.add_edge(source, layer)
    read = {id(source) for layer in layers[1:] for source in layer.sources}
    for layer in layers[:-1]:
        if id(layer) not in read:  # a layer that nothing reads hangs on the output
            definition.add_edge(layer, layers[-1])
    return definition


# --- the constraints of one layer, as OMLT's hooks call for them ----------------------------------------------------


def affine_constraints(net_block: Any, net: NetworkDefinition, layer_block: Any, layer: AffineLayer) -> None:
    """``zhat == weights @ z + bias``, and the layer's bounds on ``zhat`` and on ``relu(zhat)``."""
    variables = list(layer_block.zhat.values())
    _set_bounds(variables, layer.lower, layer.upper)
    if layer.activation == "relu":
        _set_bounds(layer_block.z.values(), layer.lower.clip(min=0), layer.upper.clip(min=0))
    layer_block.affine_layer = pyo.Constraint(range(len(variables)))
    rows = _weight_rows(layer.weight, _source_activations(net_block, layer))
    for index, (zhat, (coefficients, sources)) in enumerate(zip(variables, rows, strict=True)):
        body = LinearExpression(linear_coefs=[*coefficients, -1.0], linear_vars=[*sources, zhat])
        layer_block.affine_layer[index] = (body, -layer.affine.bias[index].item())


def bigm_relu(net_block: Any, net: NetworkDefinition, layer_block: Any, layer: AffineLayer) -> None:
    """OMLT's big-M constraints; the binaries of neurons that the bounds prove stable are fixed."""
    bigm_relu_activation_constraint(net_block, net, layer_block, layer)
    _fix_stable(layer_block.q_relu, layer, active=1)


def partition_relu(net_block: Any, net: NetworkDefinition, layer_block: Any, layer: AffineLayer) -> None:
    """OMLT's partition constraints, for all neurons of the layer at once; ``sig`` is 1 where a neuron is inactive.

    The names follow the equations of Tsay, Kronqvist, Thebelt and Misener, "Partition-based formulations for
    mixed-integer optimization of trained ReLU neural networks" (2021): ``z2[j, k]`` is what part ``k`` adds to
    ``z[j]``. The two rows ``bound_z`` and ``bound_zhat`` bring in bounds of ``zhat`` that are tighter than the parts'.
    """
    sources = _source_activations(net_block, layer)
    source_lower, source_upper = np.array([source.bounds for source in sources], dtype=np.float64).reshape(-1, 2).T
    neurons = range(layer.affine.width)
    layer_block.sig = pyo.Var(neurons, within=pyo.Binary)
    layer_block.z2 = pyo.Var(neurons, range(PARTS))
    for name in ("eq_13", "eq_14", "eq_15", "bound_z", "bound_zhat"):
        layer_block.add_component(name, pyo.Constraint(neurons))
    for name in ("eq_16_lb", "eq_16_ub", "eq_17_lb", "eq_17_ub"):
        layer_block.add_component(name, pyo.Constraint(neurons, range(PARTS)))
    for j, parts in enumerate(_parts(layer.weight)):
        sig, z, zhat = layer_block.sig[j], layer_block.z[j], layer_block.zhat[j]
        for k, (coefficients, columns) in enumerate(parts):
            ends = coefficients * source_lower[columns], coefficients * source_upper[columns]
            low, high = float(np.minimum(*ends).sum()), float(np.maximum(*ends).sum())
            z2 = layer_block.z2[j, k]
            z2.setlb(min(0.0, low))
            z2.setub(max(0.0, high))
            for name, bound, side in (("lb", low, (0, None)), ("ub", high, (None, 0))):
                part = LinearExpression(
                    linear_coefs=[*coefficients.tolist(), -1.0, -bound],
                    linear_vars=[*(sources[column] for column in columns), z2, sig],
                )
                layer_block.component(f"eq_16_{name}")[j, k] = (side[0], part, side[1])
                layer_block.component(f"eq_17_{name}")[j, k] = (side[0], z2 - bound * (1 - sig), side[1])
        bias = layer.affine.bias[j].item()
        total = sum(layer_block.z2[j, k] for k in range(len(parts))) + bias * (1 - sig)
        layer_block.eq_13[j] = zhat - total <= 0
        layer_block.eq_14[j] = total >= 0
        layer_block.eq_15[j] = z == total
        layer_block.bound_z[j] = z <= max(0.0, layer.upper[j].item()) * (1 - sig)
        layer_block.bound_zhat[j] = z - zhat <= max(0.0, -layer.lower[j].item()) * sig
    _fix_stable(layer_block.sig, layer, active=0)


def affine_expressions(net_block: Any, net: NetworkDefinition, layer_block: Any, layer: AffineLayer) -> None:
    """``zhat`` as expressions of the sources' instead of variables."""
    rows = _weight_rows(layer.weight, _source_activations(net_block, layer))
    layer_block.del_component("zhat")
    layer_block.zhat = pyo.Expression(range(layer.affine.width))
    for index, (bias, (coefficients, sources)) in enumerate(zip(layer.affine.bias.tolist(), rows, strict=True)):
        terms = (c * source for c, source in zip(coefficients, sources, strict=True))
        layer_block.zhat[index] = pyo.quicksum(terms, bias)


def linear_expressions(net_block: Any, net: NetworkDefinition, layer_block: Any, layer: AffineLayer) -> None:
    """``z = zhat`` as expressions."""
    layer_block.del_component("z")
    layer_block.z = pyo.Expression(range(layer.affine.width))
    for index, zhat in layer_block.zhat.items():
        layer_block.z[index] = zhat


def relu_expressions(net_block: Any, net: NetworkDefinition, layer_block: Any, layer: AffineLayer) -> None:
    """``z = (zhat + |zhat|) / 2`` as expressions."""
    layer_block.del_component("z")
    layer_block.z = pyo.Expression(range(layer.affine.width))
    for index, zhat in layer_block.zhat.items():
        layer_block.z[index] = 0.5 * (zhat + abs(zhat))


def _source_activations(net_block: Any, layer: AffineLayer) -> list[Any]:
    """The variables or expressions that the columns of ``layer.weight`` stand for."""
    return [z for source in layer.sources for z in net_block.layer[id(source)].z.values()]


def _weight_rows(weight: Weight, columns: Sequence[Any]) -> Iterator[tuple[list[float], Sequence[Any]]]:
    """(coefficients, their columns) of each row, zeros left out."""
    if not sparse.issparse(weight) and weight.all():
        return ((row, columns) for row in weight.tolist())
    matrix = sparse.csr_array(weight)
    coefficients, indices, ends = matrix.data.tolist(), matrix.indices.tolist(), matrix.indptr.tolist()
    return (
        (coefficients[start:end], [columns[index] for index in indices[start:end]]) for start, end in pairwise(ends)
    )


def _parts(weight: Weight) -> Iterator[list[tuple[Array, Array]]]:
    """Each neuron's weights in OMLT's partition, equally many of similar size: (coefficients, their columns)."""
    for coefficients, columns in _weight_rows(weight, range(weight.shape[1])):
        values, places = np.array(coefficients), np.array(columns, dtype=np.int64)
        yield [(values[part], places[part]) for part in np.array_split(np.argsort(values), PARTS)]


def _fix_stable(binaries: Any, layer: AffineLayer, active: int) -> None:
    """Fix the binaries of ReLUs that are always active, or always inactive."""
    for index in np.flatnonzero((layer.lower >= 0) | (layer.upper <= 0)).tolist():
        binaries[index].fix(active if layer.lower[index] >= 0 else 1 - active)


def _set_bounds(variables: Sequence[Any], lower: Array, upper: Array) -> None:
    for variable, low, high in zip(variables, lower.tolist(), upper.tolist(), strict=True):
        variable.setlb(low)
        variable.setub(high)


#: formulation -> the functions that build affine maps, ReLUs, and the last layer's identity
CONSTRAINTS = {
    "bigm": (affine_constraints, bigm_relu, linear_activation_constraint),
    "partition": (affine_constraints, partition_relu, linear_activation_constraint),
    "complementarity": (affine_constraints, ComplementarityReLUActivation(), linear_activation_constraint),
    "full-space": (affine_constraints, bigm_relu, linear_activation_constraint),
    "reduced-space": (affine_expressions, relu_expressions, linear_expressions),
}


# --- the block ------------------------------------------------------------------------------------------------------


def build(omlt_block: Any, formulation: NetworkFormulation) -> None:
    """Build the formulation into an empty `OmltBlock`, with names and objects that outlive this run.

    OMLT indexes its layers by ``id(layer)`` and keeps local functions as rules. Here layers are numbered, the input
    being ``layer[0]``, so that files are the same on every run, and no rules are kept, so that the block can be
    pickled.
    """
    with PauseGC():
        omlt_block.build_formulation(formulation)
        _number_layers(omlt_block, formulation)
        for constraint in list(omlt_block.component_objects(pyo.Constraint, descend_into=True)):
            if constraint.rule is not None:
                _drop_rule(constraint)


def _number_layers(omlt_block: Any, formulation: NetworkFormulation) -> None:
    by_id = omlt_block.layer
    omlt_block.del_component(by_id)
    omlt_block.del_component(omlt_block.layers)
    omlt_block.layers = pyo.Set(initialize=range(len(formulation.layers)))
    omlt_block.layer = pyo.Block(omlt_block.layers)
    for number, layer in enumerate(formulation.layers):
        omlt_block.layer[number].transfer_attributes_from(by_id[id(layer)])


def _drop_rule(constraint: Any) -> None:
    block, name = constraint.parent_block(), constraint.local_name
    block.del_component(constraint)
    copy = pyo.Constraint(list(constraint))
    block.add_component(name, copy)
    for index, data in constraint.items():
        copy[index] = data.expr


def set_values(omlt_block: Any, network: Network, point: Array | None) -> None:
    """Give every variable of a built block the value that follows from its inputs, or none.

    Parameters
    ----------
    omlt_block : OmltBlock
        Built by `build`.
    network : Network
        The network of its formulation.
    point : (n_inputs,) array or None
        Values of the inputs, in the block's units. Fixed variables keep their values.
    """
    if point is None:
        for variable in omlt_block.component_data_objects(pyo.Var, descend_into=True):
            if not variable.fixed:
                variable.set_value(None)
        return
    activations = [batch[0] for batch in network.activations(point[None, :])]
    preactivations = [*(batch[0] for batch in network.preactivations(point[None, :])), activations[-1]]
    for variables in (omlt_block.inputs, omlt_block.scaled_inputs, omlt_block.layer[0].z):
        assign(variables, point)
    for number, (zhat, z) in enumerate(zip(preactivations, activations[1:], strict=True), start=1):
        layer_block, affine = omlt_block.layer[number], network.layers[number - 1]
        assign(layer_block.zhat, zhat)
        assign(layer_block.z, z)
        assign(layer_block.component("q_relu"), zhat > 0)
        assign(layer_block.component("sig"), zhat <= 0)
        if layer_block.component("z2") is not None:
            assign(layer_block.z2, _part_values(layer_block, affine, [activations[s] for s in affine.sources]))
        set_complementarity(layer_block.component("_complementarity"), z - zhat)
    for variables in (omlt_block.scaled_outputs, omlt_block.outputs):
        assign(variables, activations[-1])


def _part_values(layer_block: Any, affine: Layer, sources: list[Array]) -> Array:
    """What each part of each neuron's weights adds to its activation, neuron after neuron."""
    values = np.concatenate([np.zeros(0), *sources])
    parts = [[c @ values[columns] for c, columns in parts] for parts in _parts(joined_weight(affine))]
    active = [1 - sig.value for sig in layer_block.sig.values()]
    return (np.array(parts) * np.array(active)[:, None]).ravel()
