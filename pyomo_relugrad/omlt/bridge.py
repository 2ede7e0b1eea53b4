"""Models with blocks of OMLT: their networks as functions, and values for all that their formulations added."""

from __future__ import annotations

import itertools
import logging
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

import numpy as np
import pyomo.environ as pyo
from pyomo.common.dependencies import attempt_import
from pyomo.core.base.block import BlockData
from pyomo.core.expr.visitor import identify_variables

from pyomo_relugrad.arrays import Array
from pyomo_relugrad.block.network_block import ReluNetworkBlockData
from pyomo_relugrad.compile.walk import Embedding, active_components, network_embeddings
from pyomo_relugrad.pyomo_errors import IncompatibleModel

if TYPE_CHECKING:
    from pyomo_relugrad.omlt.network import OmltNetwork

# OMLT takes a second to import, and most models have none of its blocks.
omlt_formulation, _ = attempt_import("pyomo_relugrad.omlt.formulation")
omlt_network, _ = attempt_import("pyomo_relugrad.omlt.network")
omlt_values, _ = attempt_import("pyomo_relugrad.omlt.values")
omlt_neuralnet, _ = attempt_import("omlt.neuralnet")

logger = logging.getLogger(__name__)

#: Constraints of an `OmltBlock` that define its scaled inputs and outputs.
SCALING_CONSTRAINTS = {"scaled_inputs": "_scale_input_constraint", "scaled_outputs": "_scale_output_constraint"}

#: Components of an `OmltBlock` by which OMLT states its network.
STATED_BY_OMLT = ("layer", "input_assignment", "output_assignment", *SCALING_CONSTRAINTS.values())

#: Constraints by which ``relugrad.omlt`` ties an expansion to its network block.
STATED_BY_EXPANSION = ("link_inputs", "link_outputs")


def omlt_embeddings(model: BlockData) -> list[Embedding]:
    """The networks that a model states by blocks of OMLT, for `compile_model`.

    Parameters
    ----------
    model : ConcreteModel or BlockData

    Returns
    -------
    list of Embedding
        One per built `OmltBlock` in the active part of the model. What OMLT added to the block is replaced; its
        scaled inputs and outputs are kept where something else refers to them.

    Raises
    ------
    IncompatibleModel
        If a block holds something else than a piecewise-linear network, if parts of it were fixed or deactivated, or
        if the rest of the model refers to its inner variables; names the block.
    """
    blocks = list(_built_blocks(model))
    embeddings = [_embedding(block) for block in blocks]
    if not embeddings:
        return []
    used = _variables_elsewhere(model, embeddings)
    for block, embedding in zip(blocks, embeddings, strict=True):
        _refuse_inner_references(block, embedding, used)
    return [_with_scaling(block, embedding, used) for block, embedding in zip(blocks, embeddings, strict=True)]


def set_omlt_values(model: BlockData) -> None:
    """Give every variable of every `OmltBlock` the value that follows from the values of the block's inputs.

    Fixed variables keep theirs; blocks with an unvalued input are left alone. Afterwards the model is a full start
    for a mixed-integer solver.
    """
    for block in _built_blocks(model):
        inputs = (_expanded_parent(block) or block).inputs
        values = [variable.value for variable in inputs.values()]
        if None not in values:
            _set_values(block, np.array(values, dtype=np.float64))


def _set_values(block: Any, point: Array) -> None:
    parent = _expanded_parent(block)
    if parent is None:
        omlt_values.set_values(block, _network(block), point)
    else:
        omlt_formulation.set_values(block, parent.scaled_network, point)


# --- finding the networks -------------------------------------------------------------------------------------------


def _built_blocks(model: BlockData) -> Iterator[BlockData]:
    """Active blocks of OMLT that have a formulation."""
    omlt_block = sys.modules.get("omlt.block")
    if omlt_block is None:  # a model can hold a block of OMLT only where OMLT was imported
        return
    for block in model.block_data_objects(active=True, descend_into=True):
        if isinstance(block, omlt_block.OmltBlockData) and _formulation(block) is not None:
            yield block


def _formulation(block: BlockData) -> Any:
    """The formulation that an `OmltBlock` was built from, which OMLT keeps in a private attribute."""
    own = (value for name, value in vars(block).items() if name.endswith("formulation"))
    return next((value for value in own if hasattr(value, "input_indexes")), None)


def _definition(block: BlockData) -> Any:
    """The network definition of the block's formulation.

    Raises
    ------
    IncompatibleModel
        If the formulation is not one of a network.
    """
    formulation = _formulation(block)
    for value in vars(formulation).values():
        if isinstance(value, omlt_neuralnet.NetworkDefinition):
            return value
    raise IncompatibleModel(
        f"OmltBlock '{block.name}' holds a {type(formulation).__name__}, which is not a neural network: relugrad "
        "searches over ReLU networks only. Solve the model with a mixed-integer solver, or deactivate the block"
    )


_READ: WeakKeyDictionary[Any, OmltNetwork] = WeakKeyDictionary()


def _network(block: Any) -> OmltNetwork:
    """The block's network, read once per definition."""
    definition = _definition(block)
    if definition not in _READ:
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


def _embedding(block: Any) -> Embedding:
    """The network of one block, with all that OMLT added to it as replaced."""
    parent = _expanded_parent(block)
    return _own_embedding(block) if parent is None else _expansion_embedding(block, parent)


def _own_embedding(block: Any) -> Embedding:
    read = _network(block)
    lower, upper = (side * read.input_factor + read.input_offset for side in _scaled_bounds(block))
    return Embedding(
        network=read.network,
        inputs=tuple(block.inputs.values()),
        outputs=tuple(block.outputs.values()),
        name=block.name,
        replaced=_unchanged(block, STATED_BY_OMLT),
        input_lower=lower,
        input_upper=upper,
        set_replaced_values=partial(_set_values, block),
    )


def _expansion_embedding(block: Any, parent: ReluNetworkBlockData) -> Embedding:
    outputs = tuple(parent.outputs.values())
    return Embedding(
        network=parent.scaled_network,
        inputs=tuple(parent.inputs.values()),
        outputs=outputs,
        name=parent.name,
        replaced=_unchanged(block, STATED_BY_OMLT + STATED_BY_EXPANSION),
        derived_outputs=[parent.has_automatic_bounds(position) for position in range(len(outputs))],
        set_replaced_values=partial(_set_values, block),
    )


def _scaled_bounds(block: Any) -> tuple[Array, Array]:
    """Bounds (n_inputs,) of the scaled inputs: those of the variables, and those that OMLT built the layers for."""
    first = block.layer[block.layers.first()].z
    lower, upper = np.full(len(block.inputs), -np.inf), np.full(len(block.inputs), np.inf)
    for component in (block.scaled_inputs, first):
        if component.ctype is pyo.Var:
            pairs = [variable.bounds for variable in component.values()]
            lower = np.maximum(lower, [-np.inf if low is None else low for low, _ in pairs])
            upper = np.minimum(upper, [np.inf if high is None else high for _, high in pairs])
    return lower, upper


def _unchanged(block: Any, names: Sequence[str]) -> tuple[Any, ...]:
    """The components by which a block states its network.

    Raises
    ------
    IncompatibleModel
        If they no longer state it, or state more.
    """
    components = tuple(component for name in names if (component := block.component(name)) is not None)
    for constraint in itertools.chain.from_iterable(map(_constraints, components)):
        if not constraint.active:
            raise IncompatibleModel(
                f"OmltBlock '{block.name}': its constraint '{constraint.name}' is deactivated, so that the block does "
                "not state its network any more. Activate it, or deactivate the whole block"
            )
    for variable in _inner_variables(block):
        if variable.fixed and not _is_stable(variable):
            raise IncompatibleModel(
                f"OmltBlock '{block.name}': its variable '{variable.name}' is fixed, but relugrad handles the network "
                "as a function of its inputs. Unfix it; constrain inputs and outputs instead"
            )
    return components


def _is_stable(variable: Any) -> bool:
    """Whether a variable is a binary that ``relugrad.omlt`` fixed, the bounds having decided its neuron."""
    zhat = variable.parent_block().component("zhat")
    if variable.parent_component().local_name not in ("q_relu", "sig") or zhat is None:
        return False
    low, high = zhat[variable.index()].bounds
    return (low is not None and low >= 0) or (high is not None and high <= 0)


def _constraints(component: Any) -> Iterator[Any]:
    """The constraints in a block, or of a constraint."""
    if component.ctype is pyo.Block:
        for data in component.values():
            yield from data.component_data_objects(pyo.Constraint, descend_into=True)
    else:
        yield from component.values()


def _inner_variables(block: Any) -> Iterator[Any]:
    """The variables of the layers; all variables of an expansion, whose parent has inputs and outputs of its own."""
    if _expanded_parent(block) is not None:
        yield from block.component_data_objects(pyo.Var, descend_into=True)
        return
    for layer_block in block.layer.values():
        yield from layer_block.component_data_objects(pyo.Var, descend_into=True)


# --- what the rest of the model refers to ---------------------------------------------------------------------------


def _variables_elsewhere(model: BlockData, embeddings: Sequence[Embedding]) -> dict[int, Any]:
    """For each variable, by id, one active constraint or objective that contains it and that no embedding replaces."""
    constraints, objectives = active_components(model, [*network_embeddings(model), *embeddings])
    used: dict[int, Any] = {}
    for component in (*constraints, *objectives):
        for variable in identify_variables(component.expr, include_fixed=True):
            used.setdefault(id(variable), component)
    return used


def _refuse_inner_references(block: Any, embedding: Embedding, used: dict[int, Any]) -> None:
    for variable in _inner_variables(block):
        if id(variable) in used:
            raise IncompatibleModel(
                f"'{used[id(variable)].name}' refers to '{variable.name}', an inner variable of the OmltBlock "
                f"'{block.name}', but relugrad handles the network as a function of its inputs. State it by the "
                f"inputs, outputs, scaled_inputs or scaled_outputs of '{embedding.name}'"
            )


def _with_scaling(block: Any, embedding: Embedding, used: dict[int, Any]) -> Embedding:
    """The embedding with the scaled variables that matter outside of the block.

    Definitions of scaled inputs are kept; scaled outputs become outputs of the network.
    """
    if _expanded_parent(block) is not None:
        return embedding
    inputs, outputs = block.scaled_inputs.values(), tuple(block.scaled_outputs.values())
    if any(variable.fixed or id(variable) in used for variable in inputs):
        kept = block.component(SCALING_CONSTRAINTS["scaled_inputs"])
        embedding = replace(embedding, replaced=tuple(part for part in embedding.replaced if part is not kept))
    bounded = any(variable.bounds != (None, None) for variable in outputs)
    if bounded or any(variable.fixed or id(variable) in used for variable in outputs):
        network = omlt_network.with_scaled_outputs(_network(block))
        embedding = replace(embedding, network=network, outputs=(*embedding.outputs, *outputs))
    return embedding
