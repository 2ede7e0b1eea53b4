"""What of a Pyomo model takes part: its active constraints, objectives and networks; anything unknown is refused."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any

from pyomo.core.base.block import Block, BlockData
from pyomo.core.base.component import ActiveComponent
from pyomo.core.base.constraint import Constraint
from pyomo.core.base.objective import Objective
from pyomo.core.base.sos import SOSConstraint
from pyomo.core.base.suffix import Suffix

from pyomo_relugrad.modeling.block.component import ReluNetworkBlockData, refresh_output_bounds, unexpanded_among
from pyomo_relugrad.modeling.block.input_ranges import input_ranges
from pyomo_relugrad.modeling.block.integrity import are_present, are_unchanged, changed_equations
from pyomo_relugrad.modeling.embedding import Embedding
from pyomo_relugrad.modeling.errors import IncompatibleModel

#: Active components that are understood, or that say nothing about feasibility.
KNOWN_TYPES = frozenset({Block, Constraint, Objective, SOSConstraint, Suffix})

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
    "Arc": "apply TransformationFactory('network.expand_arcs') first",
    "DerivativeVar": DISCRETISE,
    "Integral": DISCRETISE,
}

#: Passive components that say what rows would have to say, and do not.
UNDISCRETISED = frozenset({"DerivativeVar", "Integral"})


def network_embeddings(blocks: Iterable[BlockData]) -> list[Embedding]:
    """The unexpanded network blocks among these, but for those whose equations a transformation has rewritten.

    Bounds that they derived for their outputs are brought up to date, so that solutions lie within them.

    Raises
    ------
    IncompatibleModel
        If some of a block's network equations were deactivated or deleted.
    """
    intact = []
    for block in unexpanded_among(blocks):
        if not are_present(block):
            raise changed_equations(block)
        if are_unchanged(block):
            intact.append(block)
    refresh_output_bounds(intact, input_ranges)
    return [_embedding(block) for block in intact]


def renewed_embeddings(blocks: Sequence[ReluNetworkBlockData], embeddings: Sequence[Embedding]) -> list[Embedding]:
    """The embeddings that `network_embeddings` made of these blocks, whose equations have not changed since.

    Bounds that the blocks derived for their outputs are brought up to date as there.
    """
    refresh_output_bounds(blocks, input_ranges)
    return [
        replace(embedding, derived_outputs=_derived_outputs(block))
        for block, embedding in zip(blocks, embeddings, strict=True)
    ]


def _embedding(block: ReluNetworkBlockData) -> Embedding:
    return Embedding(
        network=block.scaled_network,
        inputs=tuple(block.inputs.values()),
        outputs=tuple(block.outputs.values()),
        name=block.name,
        replaced=(block.network_equations,),
        derived_outputs=_derived_outputs(block),
    )


def _derived_outputs(block: ReluNetworkBlockData) -> list[tuple[bool, bool]]:
    return [block.has_automatic_bounds(position) for position in block.outputs]


def active_blocks(model: BlockData) -> Iterator[BlockData]:
    """The model and its active blocks, in order of declaration."""
    if not model.active:
        return
    yield model
    for child in model.component_data_objects(Block, active=True, descend_into=False):
        yield from active_blocks(child)


def active_components(blocks: Iterable[BlockData], replaced: Iterable[Any]) -> tuple[list[Any], list[Any], list[Any]]:
    """Active constraints, objectives and special ordered sets in order of declaration, without what networks replace.

    Parameters
    ----------
    blocks : iterable of BlockData
    replaced : iterable of constraint components

    Raises
    ------
    IncompatibleModel
        If there is an active component of an unknown type; names it.
    """
    left_out = {id(component) for component in replaced}
    constraints: list[Any] = []
    objectives: list[Any] = []
    ordered_sets: list[Any] = []
    for block in blocks:
        for ctype in sorted(block.collect_ctypes(active=None, descend_into=False), key=lambda ctype: ctype.__name__):
            _refuse_unknown(block, ctype)
        for component in block.component_objects(Constraint, active=True, descend_into=False):
            if id(component) not in left_out:
                constraints.extend(data for data in component.values() if data.active)
        objectives.extend(block.component_data_objects(Objective, active=True, descend_into=False))
        ordered_sets.extend(block.component_data_objects(SOSConstraint, active=True, descend_into=False))
    return constraints, objectives, ordered_sets


def is_unknown(ctype: type) -> bool:
    """Whether active components of a type say something that is not understood."""
    says_something = issubclass(ctype, ActiveComponent) or ctype.__name__ in UNDISCRETISED
    return says_something and ctype not in KNOWN_TYPES


def _refuse_unknown(block: BlockData, ctype: type) -> None:
    if not is_unknown(ctype):
        return
    for component in block.component_objects(ctype, active=True, descend_into=False):
        names = [data.name for data in component.values() if data.active]
        if not names:
            continue
        what = ctype.__name__
        remedy = REMEDIES.get(what, "transform it into constraints, or deactivate it")
        raise IncompatibleModel(f"{what} '{names[0]}' cannot be handled by relugrad: {remedy}")
