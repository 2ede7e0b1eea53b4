"""Network -> OMLT: a canonical network built into an `OmltBlock` through the hooks of OMLT's formulations."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyomo.environ as pyo
from omlt.neuralnet import FullSpaceNNFormulation, NetworkDefinition
from pyomo.common.gc_manager import PauseGC

from pyomo_relugrad.arrays import Array
from pyomo_relugrad.modeling.omlt.layers import (
    AffineLayer,
    BoundedInput,
    joined_weight,
    set_bounds,
    split_rows,
)
from pyomo_relugrad.modeling.omlt.smooth_rows import SMOOTH, activation_expressions, smooth_constraints
from pyomo_relugrad.network import Layer, Network, PreactivationBounds


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
        self.layers = _omlt_layers(network, lower, upper, bounds)
        affine, relu, linear = constraints
        smooth = linear if linear is activation_expressions else smooth_constraints
        super().__init__(
            _network_definition(self.layers),
            layer_constraints={AffineLayer: affine},
            activation_constraints={**dict.fromkeys(SMOOTH, smooth), "relu": relu, "linear": linear},
        )

    def __reduce__(self) -> tuple[type, tuple[Any, ...]]:
        return NetworkFormulation, self._arguments


def _omlt_layers(
    network: Network, lower: Array, upper: Array, bounds: PreactivationBounds
) -> tuple[BoundedInput | AffineLayer, ...]:
    """The input layer, the hidden layers in order, and the output layer."""
    layers: list[BoundedInput | AffineLayer] = [BoundedInput(lower, upper)]
    lowers, uppers = (*bounds.lower, bounds.output_lower), (*bounds.upper, bounds.output_upper)
    for affine, low, high in zip(network.layers, lowers, uppers, strict=True):
        activation = "linear" if affine is network.layers[-1] else affine.activation.name
        layers.append(AffineLayer(affine, [layers[source] for source in affine.sources], activation, low[0], high[0]))
    return tuple(layers)


def _network_definition(layers: Sequence[Any]) -> NetworkDefinition:
    """OMLT's definition of the layers' graph, with one input layer and one output layer as OMLT requires."""
    definition = NetworkDefinition()
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
            if constraint.rule is not None and not constraint.rule.constant():
                _drop_rule(constraint)
        first, last = formulation.layers[0], formulation.layers[-1]
        for variables in (omlt_block.inputs, omlt_block.scaled_inputs, omlt_block.layer[0].z):
            set_bounds(variables, first.z_lower, first.z_upper)
        for variables in (omlt_block.scaled_outputs, omlt_block.outputs):
            set_bounds(variables, last.z_lower, last.z_upper)


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
        if layer_block.component("sig") is not None:
            _assign_parts(layer_block, affine, [activations[source] for source in affine.sources])
        _set_complementarity(layer_block.component("_complementarity"), z - zhat)
    for variables in (omlt_block.scaled_outputs, omlt_block.outputs):
        assign(variables, activations[-1])


def _assign_parts(layer_block: Any, affine: Layer, sources: list[Array]) -> None:
    """The parts of each neuron's weighted sum: `z2` of an active neuron, `z1` of an inactive one."""
    values = np.concatenate([np.zeros(0), *sources])
    parts = np.array([[c @ values[columns] for c, columns in row] for row in split_rows(joined_weight(affine))])
    inactive = np.array([[sig.value] for sig in layer_block.sig.values()])
    assign(layer_block.z1, (parts * inactive).ravel())
    assign(layer_block.z2, (parts * (1 - inactive)).ravel())


def assign(component: Any, values: Array) -> None:
    """Set the values of an indexed variable, where there is one; fixed variables keep theirs.

    Parameters
    ----------
    component : Var, Expression or None
        Expressions need no values.
    values : (n,) array
        Numbers or booleans.
    """
    if component is not None and component.ctype is pyo.Var:
        for variable, value in zip(component.values(), (values + 0).tolist(), strict=True):
            if not variable.fixed:
                variable.set_value(value, skip_validation=True)


def _set_complementarity(conditions: Any, slacks: Array) -> None:
    """Set the slack variables that Pyomo adds to complementarity conditions, where there are some."""
    if conditions is not None:
        for condition, slack in zip(conditions.values(), slacks.tolist(), strict=True):
            condition.v.set_value(slack, skip_validation=True)
