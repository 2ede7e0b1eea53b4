"""Models with blocks of OMLT: their networks as functions, and blocks that state something else as their rows."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

import pyomo.environ as pyo
from pyomo.common.dependencies import attempt_import
from pyomo.core.base.block import BlockData
from pyomo.core.base.sos import SOSConstraintData
from pyomo.core.expr.visitor import identify_variables

from pyomo_relugrad.modeling.block.component import ReluNetworkBlockData
from pyomo_relugrad.modeling.embedding import Embedding
from pyomo_relugrad.modeling.errors import IncompatibleModel, NotANetwork

if TYPE_CHECKING:
    from pyomo_relugrad.modeling.omlt.network import OmltNetwork
    from pyomo_relugrad.modeling.omlt.statement import Statement

# OMLT takes a second to import, and most models have none of its blocks.
omlt_formulation, _ = attempt_import("pyomo_relugrad.modeling.omlt.formulation")
omlt_network, _ = attempt_import("pyomo_relugrad.modeling.omlt.network")
omlt_statement, _ = attempt_import("pyomo_relugrad.modeling.omlt.block_statement")
omlt_embed, _ = attempt_import("pyomo_relugrad.modeling.omlt.embed")
omlt_neuralnet, _ = attempt_import("omlt.neuralnet")

logger = logging.getLogger(__name__)


def read_omlt_blocks(
    blocks: Iterable[BlockData], components: Sequence[Any], networks: Sequence[Embedding]
) -> tuple[list[Embedding], list[str]]:
    """Read the blocks of OMLT among the active blocks of a model.

    A block whose active rows state its network is a network, and what else is set on its variables, or refers to them,
    stays part of the model. Any other block is taken as the rows, bounds and binaries that it has.

    Parameters
    ----------
    blocks : iterable of BlockData
    components : sequence of ConstraintData, ObjectiveData and SOSConstraintData
        All active ones of the model.
    networks : sequence of Embedding
        The other networks of the model.

    Returns
    -------
    embeddings : list of Embedding
    notes : list of str
        For each block that is taken as the rows that it states: which, and why.

    Raises
    ------
    IncompatibleModel
        If a block states no ReLU network, and its rows are not linear; names the block and says why.
    """
    statements, notes = [], []
    for block in _built_blocks(blocks):
        formulation, parent = _formulation(block), _expanded_parent(block)
        try:
            network = _network(block, formulation)
            statements.append((block, omlt_statement.read_statement(block, network, formulation, parent)))
        except IncompatibleModel as reason:
            _demand_linear_rows(block, reason)
            notes.append(f"OmltBlock '{block.name}' is taken as the rows that it states: {reason}")
    if not statements:
        return [], notes
    used = _variables_elsewhere(components, networks, [statement for _, statement in statements])
    return [_embedding(block, statement, used) for block, statement in statements], notes


def _demand_linear_rows(block: BlockData, reason: IncompatibleModel) -> None:
    """Refuse a block that is neither a network nor linear."""
    for constraint in block.component_data_objects(pyo.Constraint, active=True, descend_into=True):
        if constraint.body.polynomial_degree() not in (0, 1):
            raise IncompatibleModel(
                f"OmltBlock '{block.name}' is not a ReLU network that relugrad handles: {reason}. Its rows cannot be "
                f"taken as they stand, because '{constraint.name}' is not linear. Solve the model with a nonlinear "
                "solver such as ipopt, or deactivate the block"
            ) from reason


# --- finding the networks -------------------------------------------------------------------------------------------


def _built_blocks(blocks: Iterable[BlockData]) -> Iterator[BlockData]:
    """Blocks of OMLT that have a formulation."""
    omlt_block = sys.modules.get("omlt.block")
    if omlt_block is None:  # a model can hold a block of OMLT only where OMLT was imported
        return
    for block in blocks:
        if isinstance(block, omlt_block.OmltBlockData) and _formulation(block) is not None:
            yield block


def _formulation(block: BlockData) -> Any:
    """The formulation that an `OmltBlock` was built from, which OMLT keeps in a private attribute."""
    own = (value for name, value in vars(block).items() if name.endswith("formulation"))
    return next((value for value in own if hasattr(value, "input_indexes")), None)


_READ: WeakKeyDictionary[Any, OmltNetwork] = WeakKeyDictionary()


def _network(block: Any, formulation: Any) -> OmltNetwork:
    """The network of the block's formulation, read once per definition."""
    if isinstance(formulation, omlt_formulation.NetworkFormulation):
        return omlt_network.read_canonical(formulation.network)
    found = (value for value in vars(formulation).values() if isinstance(value, omlt_neuralnet.NetworkDefinition))
    definition = next(found, None)
    if definition is None:
        raise NotANetwork(f"a {type(formulation).__name__} is not one of a neural network")
    if definition not in _READ:
        if block.component("layers") is None:
            raise NotANetwork("its layers are not those that OMLT built")
        _READ[definition] = omlt_network.read_definition(definition, list(block.layers), block.name)
        if _READ[definition].has_convolutions:
            logger.warning(
                f"OmltBlock '{block.name}' has convolutions. OMLT drops their biases when it reads ONNX files, so the "
                "block may state another network than its file; it is solved as it stands. "
                "ReluNetworkBlock(network=file) reads the biases."
            )
    return _READ[definition]


def _expanded_parent(block: BlockData) -> ReluNetworkBlockData | None:
    """The network block that ``relugrad.omlt`` expanded into this one, None for the user's own."""
    parent = block.parent_block()
    return parent if isinstance(parent, ReluNetworkBlockData) and parent.expansion is block else None


def _embedding(block: BlockData, statement: Statement, used: set[int]) -> Embedding:
    parent = _expanded_parent(block)
    derived = (
        [] if parent is None else [parent.has_automatic_bounds(position) for position in range(len(statement.outputs))]
    )
    return omlt_embed.embedding(statement, used, derived)


def _variables_elsewhere(
    components: Sequence[Any], networks: Sequence[Embedding], statements: Sequence[Statement]
) -> set[int]:
    """The ids of the variables that occur outside of the rows by which blocks state their networks."""
    stated = {id(row) for statement in statements for row in omlt_embed.stated_rows(statement)}
    found = {
        id(variable) for component in components if id(component) not in stated for variable in _variables_of(component)
    }
    for network in networks:
        found.update(map(id, (*network.inputs, *network.outputs)))
    for statement in statements:
        found.update(map(id, (*statement.inputs, *statement.outputs)))
    return found


def _variables_of(component: Any) -> Iterable[Any]:
    if isinstance(component, SOSConstraintData):
        return component.get_variables()
    return identify_variables(component.expr, include_fixed=True)
