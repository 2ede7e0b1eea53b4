"""What of a Pyomo model takes part: its active constraints, objective and networks; anything unknown is refused."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from pyomo.core.base.block import Block, BlockData
from pyomo.core.base.component import ActiveComponent
from pyomo.core.base.constraint import Constraint
from pyomo.core.base.objective import Objective
from pyomo.core.base.suffix import Suffix

from pyomo_relugrad.arrays import Array
from pyomo_relugrad.modeling.block.integrity import EquationState, changed_equations, state_of_equations
from pyomo_relugrad.modeling.block.network_block import ReluNetworkBlockData, refresh_output_bounds, unexpanded_blocks
from pyomo_relugrad.modeling.errors import IncompatibleModel
from pyomo_relugrad.network import Network

#: Active components that are understood, or that say nothing about feasibility.
KNOWN_TYPES = frozenset({Block, Constraint, Objective, Suffix})

DISCRETISE = "apply TransformationFactory('dae.collocation') or ('dae.finite_difference') first"

TRANSFORM_DISJUNCTIONS = (
    "apply TransformationFactory('gdp.bigm') first, and before it TransformationFactory('relugrad.omlt') if a disjunct "
    "holds a network"
)

#: What to do about active components of some types.
REMEDIES = {
    "Disjunction": TRANSFORM_DISJUNCTIONS,
    "Disjunct": TRANSFORM_DISJUNCTIONS,
    "LogicalConstraint": "apply TransformationFactory('core.logical_to_linear') or ('gdp.bigm') first",
    "Complementarity": (
        "apply TransformationFactory('mpec.simple_disjunction') and then TransformationFactory('gdp.bigm') first"
    ),
    "PiecewiseLinearFunction": (
        "apply a transformation of contrib.piecewise first, such as "
        "TransformationFactory('contrib.piecewise.disaggregated_logarithmic')"
    ),
    "SOSConstraint": "state it with binary variables; pyo.Piecewise does with pw_repn='BIGM_BIN' or 'INC'",
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
    replaced : sequence of components and constraints, optional
        What states the network in another way, and is left out: whole components, or constraints one by one.
    input_lower, input_upper : (n_inputs,) arrays, optional
        Bounds that hold besides those of the variables.
    derived_outputs : (n_outputs, 2) booleans, optional
        Which lower and upper bounds of the outputs' variables merely follow from bounds of the inputs.
    replaced_values : function, optional
        Takes the values (n_inputs,) of the inputs, and returns the variables of the replaced constraints with theirs.
    """

    network: Network
    inputs: Sequence[Any]
    outputs: Sequence[Any]
    name: str
    replaced: Sequence[Any] = ()
    input_lower: Array | None = None
    input_upper: Array | None = None
    derived_outputs: Sequence[tuple[bool, bool]] = ()
    replaced_values: Callable[[Array], Iterable[tuple[Any, float]]] | None = None


def network_embeddings(model: BlockData) -> list[Embedding]:
    """The unexpanded network blocks of a model, but for those whose equations a transformation has rewritten.

    Bounds that they derived for their outputs are brought up to date, so that solutions lie within them.

    Raises
    ------
    IncompatibleModel
        If some of a block's network equations were deactivated or deleted.
    """
    intact = []
    for block in unexpanded_blocks(model):
        state = state_of_equations(block)
        if state is EquationState.MISSING:
            raise changed_equations(block)
        if state is EquationState.INTACT:
            intact.append(block)
    refresh_output_bounds(intact)
    return [_embedding(block) for block in intact]


def _embedding(block: ReluNetworkBlockData) -> Embedding:
    outputs = tuple(block.outputs.values())
    return Embedding(
        network=block.scaled_network,
        inputs=tuple(block.inputs.values()),
        outputs=outputs,
        name=block.name,
        replaced=(block.network_equations,),
        derived_outputs=[block.has_automatic_bounds(position) for position in range(len(outputs))],
    )


def active_components(model: BlockData, replaced: Iterable[Any]) -> tuple[list[Any], list[Any]]:
    """Active constraints and objectives in order of declaration, without what networks replace.

    Parameters
    ----------
    model : ConcreteModel or BlockData
    replaced : iterable of components and constraints

    Raises
    ------
    IncompatibleModel
        If there is an active component of an unknown type; names it.
    """
    left_out = {id(component) for component in replaced}
    constraints: list[Any] = []
    objectives: list[Any] = []
    for block in _active_blocks(model):
        for ctype in block.collect_ctypes(active=None, descend_into=False):
            _refuse_unknown(block, ctype, left_out)
        for component in block.component_objects(Constraint, active=True, descend_into=False):
            if id(component) not in left_out:
                constraints.extend(data for data in component.values() if data.active and id(data) not in left_out)
        objectives.extend(block.component_data_objects(Objective, active=True, descend_into=False))
    return constraints, objectives


def _active_blocks(model: BlockData) -> Iterator[BlockData]:
    """The model and its active blocks, in order of declaration."""
    if not model.active:
        return
    yield model
    for child in model.component_data_objects(Block, active=True, descend_into=False):
        yield from _active_blocks(child)


def _refuse_unknown(block: BlockData, ctype: type, left_out: set[int]) -> None:
    if ctype in KNOWN_TYPES or not (issubclass(ctype, ActiveComponent) or ctype.__name__ in UNDISCRETISED):
        return
    for component in block.component_objects(ctype, active=True, descend_into=False):
        names = [data.name for data in component.values() if data.active]
        if id(component) in left_out or not names:
            continue
        what = ctype.__name__
        remedy = REMEDIES.get(what, "transform it into constraints, or deactivate it")
        raise IncompatibleModel(f"{what} '{names[0]}' cannot be handled by relugrad: {remedy}")
