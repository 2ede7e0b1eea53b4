"""What the values of a block's network lie between: interval arithmetic from the bounds of all its input variables."""

from typing import Any

import numpy as np

from pyomo_relugrad.arrays import Array
from pyomo_relugrad.modeling.omlt.formulation import NetworkFormulation
from pyomo_relugrad.modeling.omlt.statement import Statement
from pyomo_relugrad.modeling.omlt.steps import Step
from pyomo_relugrad.modeling.variables import bounds_of_all


def level_box(statement: Statement) -> tuple[Array, Array]:
    """Bounds (n_inputs,) of the scaled input that come from the variables of the levels."""
    read, n = statement.read, len(statement.inputs)
    lower, upper = np.full(n, -np.inf), np.full(n, np.inf)
    for level in statement.levels:
        low, high = bounds_of_all(level.variables)
        if not level.is_scaled:
            low, high = read.scaled_input(low), read.scaled_input(high)
        lower, upper = np.maximum(lower, low), np.minimum(upper, high)
    return lower, upper


def activation_range(step: Step, bounds: tuple[Array, Array]) -> tuple[Array, Array]:
    """Bounds of a layer's activations from those of its pre-activations."""
    return bounds if step.activation is None else step.activation.range(*bounds)


def preactivation_ranges(statement: Statement, formulation: Any) -> list[tuple[Array, Array]]:
    """Bounds of the pre-activations of all layers, the inputs' first.

    An empty box, which means that the model has no solution, is treated as if its sides were exchanged. What
    ``relugrad.omlt`` computed for its expansions counts too, inside of the box that it was computed for.
    """
    low, high = (statement.read.scaled_input(side) for side in bounds_of_all(statement.inputs))
    lower, upper = level_box(statement)
    sides = np.maximum(low, lower), np.minimum(high, upper)
    lower, upper = np.minimum(*sides), np.maximum(*sides)
    ranges = statement.read.layer_ranges(lower, upper)
    if isinstance(formulation, NetworkFormulation):
        box = formulation.layers[0]
        if (lower >= box.z_lower).all() and (upper <= box.z_upper).all():
            for position, layer in enumerate(formulation.layers[1:], start=1):
                low, high = ranges[position]
                ranges[position] = np.maximum(low, layer.lower), np.minimum(high, layer.upper)
    return ranges
