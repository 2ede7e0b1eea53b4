"""Values for the variables of a block that OMLT built, from the values of its inputs."""

from __future__ import annotations

import logging
from typing import Any

import numpy as np
import pyomo.environ as pyo

from pyomo_relugrad.arrays import Array
from pyomo_relugrad.omlt.network import MaximumStep, OmltNetwork

logger = logging.getLogger(__name__)

#: A variable that lies outside its bounds by more than this, relative to their size, is reported.
BOUND_TOLERANCE = 1e-6


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


def set_values(block: Any, read: OmltNetwork, point: Array) -> None:
    """Give every variable of a block that a stock formulation built its value.

    Parameters
    ----------
    block : OmltBlock
    read : OmltNetwork
        Its network.
    point : (n_inputs,) array
        Values of the block's inputs, in the user's units.
    """
    zhat, z = read.layer_values(point)
    assign(block.scaled_inputs, z[0])
    assign(block.scaled_outputs, z[-1])
    assign(block.outputs, z[-1] * read.output_factor + read.output_offset)
    steps = (None, *read.steps)
    for key, step, layer_zhat, layer_z in zip(block.layers, steps, zhat, z, strict=True):
        layer_block = block.layer[key]
        assign(layer_block.component("zhat"), layer_zhat)
        assign(layer_block.component("z"), layer_z)
        assign(layer_block.component("q_relu"), layer_zhat > 0)
        set_complementarity(layer_block.component("_complementarity"), layer_z - layer_zhat)
        _set_partition(layer_block.component("output_node_block"), layer_zhat)
        if isinstance(step, MaximumStep):
            _set_maximum(layer_block.q_maxpool, step, z)
    _report_violated_bounds(block)


def set_complementarity(conditions: Any, slacks: Array) -> None:
    """Set the slack variables that Pyomo adds to complementarity conditions, where there are some."""
    if conditions is not None:
        for condition, slack in zip(conditions.values(), slacks.tolist(), strict=True):
            condition.v.set_value(slack, skip_validation=True)


def _set_maximum(choices: Any, step: MaximumStep, z: list[Array]) -> None:
    """One binary per window and element: the first largest element is chosen."""
    candidates = step.candidates(z[step.source])
    assign(choices, np.eye(candidates.shape[1], dtype=bool)[candidates.argmax(axis=1)].ravel())


def _set_partition(neurons: Any, zhat: Array) -> None:
    """Set the variables of OMLT's partition formulation: ``sig`` is 1 where a neuron is inactive.

    ``z2[k]`` is what part ``k`` of the weights adds to an active neuron. Whatever rule split the weights, row ``k`` of
    ``eq_16_ub`` is ``s * (part - z2[k])``, ``s`` being 1 or -1, where ``sig`` is 0; there the part is read off.
    """
    if neurons is None:
        return
    for neuron, preactivation in zip(neurons.values(), zhat.tolist(), strict=True):
        neuron.sig.set_value(0)
        for z2, row in zip(neuron.z2.values(), neuron.eq_16_ub.values(), strict=True):
            bodies = []
            for value in (0.0, 1.0):
                z2.set_value(value, skip_validation=True)
                bodies.append(pyo.value(row.body))
            part = bodies[0] * round(bodies[0] - bodies[1])
            z2.set_value(part if preactivation > 0 else 0.0, skip_validation=True)
        neuron.sig.set_value(int(preactivation <= 0))


def _report_violated_bounds(block: Any) -> None:
    """Log a warning if a bound on an inner variable cuts the network's values off."""
    for variable in block.component_data_objects(pyo.Var, descend_into=True):
        low, high = variable.bounds
        tolerance = BOUND_TOLERANCE * (1 + abs(variable.value))
        if (low is not None and variable.value < low - tolerance) or (
            high is not None and variable.value > high + tolerance
        ):
            logger.warning(
                f"'{variable.name}' is {variable.value:g} at the block's inputs, outside its bounds [{low}, {high}]"
            )
            return
