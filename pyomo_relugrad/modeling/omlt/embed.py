"""A block's statement as a network of the model: what else refers to hidden variables, or is set on them, is kept."""

from collections.abc import Collection, Iterator
from typing import Any

import numpy as np
from pyomo.core.expr.visitor import identify_variables

from pyomo_relugrad.arrays import Array
from pyomo_relugrad.modeling.embedding import Embedding
from pyomo_relugrad.modeling.omlt.ranges import level_box
from pyomo_relugrad.modeling.omlt.relu_rows import Neurons, is_enough
from pyomo_relugrad.modeling.omlt.statement import Statement
from pyomo_relugrad.modeling.variables import bounds_of_all


def stated_rows(statement: Statement) -> Iterator[Any]:
    """All constraints by which the block states its network."""
    yield from statement.definitions
    for level in statement.levels:
        yield from level.rows
    for _, neurons in statement.neurons:
        for rows in neurons.rows:
            yield from rows


def embedding(statement: Statement, used: Collection[int], derived: list[tuple[bool, bool]]) -> Embedding:
    """The network between the variables that matter, in place of the rows that say nothing more.

    Hidden variables that other constraints contain, or whose bounds, domains or values say more than the network does,
    become outputs of the network. Rows with binaries or other auxiliary variables of which this is true stay rows.

    Parameters
    ----------
    statement : Statement
    used : collection of int
        The ids of the variables that the rest of the model refers to.
    derived : list of (bool, bool)
        See `Embedding`, for the statement's outputs.
    """
    kept = [row for _, neurons in statement.neurons for row in _rows_to_keep(neurons, used, statement.rounding)]
    in_rows = {id(v) for row in kept for v in identify_variables(row.body, include_fixed=False)}
    used = in_rows.union(used)
    kept += _level_rows_to_keep(statement, used)
    variables, tensors = [], []
    for hidden in statement.hidden:
        says_more = _says_more(hidden.variables, hidden.lower, hidden.upper, used, statement.rounding)
        exposed = np.flatnonzero(says_more)
        if exposed.size:
            variables += [hidden.variables[index] for index in exposed.tolist()]
            tensors.append(hidden.tensor.taken(exposed))
    without = {id(row) for row in kept}
    lower, upper = (statement.read.unscaled_input(side) for side in level_box(statement))
    return Embedding(
        network=statement.read.with_outputs(tensors),
        inputs=tuple(statement.inputs),
        outputs=(*statement.outputs, *variables),
        name=statement.name,
        replaced=tuple(row for row in stated_rows(statement) if id(row) not in without),
        input_lower=lower,
        input_upper=upper,
        derived_outputs=[*derived, *[(False, False)] * len(variables)] if derived else (),
        replaced_values=statement.values,
    )


def _says_more(variables: list[Any], lower: Array, upper: Array, used: Collection[int], rounding: float) -> Array:
    """Which variables (n,) are referred to, or may not take all real values between the given ones."""
    low, high = bounds_of_all(variables)
    is_free = is_enough(-low, -lower, rounding) & is_enough(high, upper, rounding)
    return ~is_free | [id(v) in used or _is_restricted(v) for v in variables]


def _is_restricted(variable: Any) -> bool:
    """Whether a variable is an integer other than a binary, or fixed without a value."""
    return (variable.fixed and variable.value is None) or not (variable.is_continuous() or variable.is_binary())


def _rows_to_keep(neurons: Neurons, used: Collection[int], rounding: float) -> Iterator[Any]:
    says_more = ~neurons.holds
    for own in neurons.auxiliaries:
        touched = _says_more(own.variables, own.lower, own.upper, used, rounding)
        says_more = says_more | (np.bincount(own.neuron, touched, says_more.size) > 0)
    for index in np.flatnonzero(says_more).tolist():
        yield from neurons.rows[index]


def _level_rows_to_keep(statement: Statement, used: Collection[int]) -> list[Any]:
    """The rows from the inputs to each variable of a level that is fixed, not continuous, or referred to."""
    needed = np.zeros(len(statement.inputs), bool)
    rows: list[Any] = []
    for level in reversed(statement.levels):
        needed |= [v.fixed or id(v) in used or not v.is_continuous() for v in level.variables]
        rows += [level.rows[index] for index in np.flatnonzero(needed).tolist()]
    return rows
