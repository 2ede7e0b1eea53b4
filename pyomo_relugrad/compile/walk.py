"""What of a Pyomo model takes part: its active constraints, objective and networks; anything unknown is refused."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from pyomo.core.base.block import Block, BlockData
from pyomo.core.base.component import ActiveComponent
from pyomo.core.base.constraint import Constraint
from pyomo.core.base.objective import Objective
from pyomo.core.base.suffix import Suffix
from pyomo.core.expr.relational_expr import EqualityExpression

from pyomo_relugrad.arrays import Array
from pyomo_relugrad.block.guards import NetworkOutputExpression, UnexpandedReluNetwork
from pyomo_relugrad.block.network_block import ReluNetworkBlockData, unexpanded_blocks
from pyomo_relugrad.network import Network
from pyomo_relugrad.pyomo_errors import IncompatibleModel

#: Active components that are understood, or that say nothing about feasibility.
KNOWN_TYPES = frozenset({Block, Constraint, Objective, Suffix})

DISCRETISE = "apply TransformationFactory('dae.collocation') or ('dae.finite_difference') first"

#: What to do about active components of some types.
REMEDIES = {
    "Disjunction": "apply TransformationFactory('gdp.bigm') first",
    "Disjunct": "apply TransformationFactory('gdp.bigm') first",
    "LogicalConstraint": "apply TransformationFactory('core.logical_to_linear') first",
    "Complementarity": "state it with binary variables",
    "SOSConstraint": "state it with binary variables",
    "Arc": "apply TransformationFactory('network.expand_arcs') first",
    "DerivativeVar": DISCRETISE,
    "Integral": DISCRETISE,
}

#: Passive components that say what rows would have to say, and do not.
UNDISCRETISED = frozenset({"DerivativeVar", "Integral"})


@dataclass(frozen=True, eq=False)
class Embedding:
    """A network between variables of a model, and the components that it replaces.

    Parameters
    ----------
    network : Network
        In the units of the variables.
    inputs, outputs : sequences of VarData
    name : str
        Of its block, for messages.
    replaced : sequence of blocks and constraints, optional
        Components that state the network in another way; they and what they contain are left out.
    input_lower, input_upper : (n_inputs,) arrays, optional
        Bounds that hold besides those of the variables.
    derived_outputs : (n_outputs, 2) booleans, optional
        Which lower and upper bounds of the outputs' variables merely follow from bounds of the inputs.
    set_replaced_values : function, optional
        Takes the values (n_inputs,) of the inputs, and gives the variables of the replaced components theirs.
    """

    network: Network
    inputs: Sequence[Any]
    outputs: Sequence[Any]
    name: str
    replaced: Sequence[Any] = ()
    input_lower: Array | None = None
    input_upper: Array | None = None
    derived_outputs: Sequence[tuple[bool, bool]] = ()
    set_replaced_values: Callable[[Array], None] | None = None


def network_embeddings(model: BlockData) -> list[Embedding]:
    """The unexpanded network blocks of a model.

    Raises
    ------
    IncompatibleModel
        If something changed a block's network equations, so that they and the block disagree.
    """
    return [_embedding(block) for block in unexpanded_blocks(model)]


def _embedding(block: ReluNetworkBlockData) -> Embedding:
    inputs, outputs = tuple(block.inputs.values()), tuple(block.outputs.values())
    if not block.unexpanded.active or not all(map(_is_intact, block.network_equations.values())):
        raise IncompatibleModel(
            f"network block '{block.name}': its network equations were changed or deactivated, by a transformation or "
            "by hand. Apply TransformationFactory('relugrad.omlt') before other transformations; deactivate the whole "
            "block to leave it out"
        )
    return Embedding(
        network=block.scaled_network,
        inputs=inputs,
        outputs=outputs,
        name=block.name,
        replaced=(block.network_equations, block.unexpanded),
        derived_outputs=[block.has_automatic_bounds(position) for position in range(len(outputs))],
    )


def _is_intact(equation: Any) -> bool:
    """Whether a network equation still says ``output == network(inputs)``."""
    expression = equation.expr
    if not equation.active or not isinstance(expression, EqualityExpression):
        return False
    variable, value = expression.args
    if not isinstance(value, NetworkOutputExpression) or variable is not value.block.outputs[value.output]:
        return False
    arguments, inputs = value._args_, value.block.inputs
    return len(arguments) == len(inputs) and all(a is b for a, b in zip(arguments, inputs.values(), strict=True))


def active_blocks(model: BlockData, replaced: set[int]) -> Iterator[BlockData]:
    """The model and its active blocks, in order of declaration, without those whose id is in `replaced`."""
    if not model.active:
        return
    yield model
    for child in model.component_data_objects(Block, active=True, descend_into=False):
        if id(child) not in replaced:
            yield from active_blocks(child, replaced)


def active_components(model: BlockData, embeddings: Sequence[Embedding]) -> tuple[list[Any], list[Any]]:
    """Active constraints and objectives in order of declaration, without what the embeddings replace.

    Raises
    ------
    IncompatibleModel
        If there is an active component of an unknown type; names it.
    """
    replaced = {id(component) for embedding in embeddings for component in embedding.replaced}
    replaced |= {
        id(data) for embedding in embeddings for component in embedding.replaced for data in _data_of(component)
    }
    constraints: list[Any] = []
    objectives: list[Any] = []
    for block in active_blocks(model, replaced):
        for ctype in block.collect_ctypes(active=None, descend_into=False):
            _refuse_unknown(block, ctype, replaced)
        for component in block.component_objects(Constraint, active=True, descend_into=False):
            if id(component) not in replaced:
                constraints.extend(data for data in component.values() if data.active)
        objectives.extend(block.component_data_objects(Objective, active=True, descend_into=False))
    return constraints, objectives


def _data_of(component: Any) -> list[Any]:
    """The blocks of an indexed block; a constraint is recognised as a whole."""
    return list(component.values()) if component.ctype is Block and hasattr(component, "values") else []


def _refuse_unknown(block: BlockData, ctype: type, replaced: set[int]) -> None:
    if ctype in KNOWN_TYPES or not (issubclass(ctype, ActiveComponent) or ctype.__name__ in UNDISCRETISED):
        return
    for component in block.component_objects(ctype, active=True, descend_into=False):
        names = [data.name for data in component.values() if data.active]
        if id(component) in replaced or not names:
            continue
        what = ctype.__name__
        if ctype is UnexpandedReluNetwork:
            raise IncompatibleModel(f"'{names[0]}': the block of this marker has no network")
        remedy = REMEDIES.get(what, "transform it into constraints, or deactivate it")
        raise IncompatibleModel(f"{what} '{names[0]}' cannot be handled by relugrad: {remedy}")
