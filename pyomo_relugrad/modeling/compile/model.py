"""A Pyomo model as a `Problem`, and values back."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from pyomo.common.collections import ComponentMap
from pyomo.common.gc_manager import PauseGC
from pyomo.core.base.block import BlockData

from pyomo_relugrad.arrays import Array
from pyomo_relugrad.modeling.compile.columns import Columns
from pyomo_relugrad.modeling.compile.components import active_blocks, active_components, network_embeddings
from pyomo_relugrad.modeling.compile.confirmation import first_refuted, values_set
from pyomo_relugrad.modeling.compile.network_calls import NetworkCalls
from pyomo_relugrad.modeling.compile.objective import compile_objective
from pyomo_relugrad.modeling.compile.operations import Operations
from pyomo_relugrad.modeling.compile.rows import compile_rows
from pyomo_relugrad.modeling.embedding import Embedding
from pyomo_relugrad.modeling.errors import IncompatibleModel
from pyomo_relugrad.modeling.omlt.bridge import read_omlt_blocks
from pyomo_relugrad.modeling.variables import bounds_and_integrality, nearest_to_zero
from pyomo_relugrad.problem import EmbeddedNetwork, Incumbent, Problem, SpecialOrderedSet


@dataclass(frozen=True, eq=False)
class CompiledModel:
    """A `Problem` and what its columns and rows are in the Pyomo model.

    Parameters
    ----------
    problem : Problem
    columns : tuple of VarData
        The variable of each column. Operations have variables of no model, as have outputs of networks that stand in
        rows as expressions.
    constraints : tuple of ConstraintData
        The constraint of each row.
    objective : ObjectiveData or None
    embeddings : tuple of Embedding, optional
        The model's networks.
    idle : tuple of VarData, optional
        Variables that stand in the model with the coefficient zero alone.
    notes : tuple of str, optional
        What a user may want to know of how the model was read.
    nonlinear : tuple of ConstraintData and ObjectiveData, optional
        What holds smooth terms, so that Pyomo's own evaluation of it counts.
    """

    problem: Problem
    columns: tuple[Any, ...]
    constraints: tuple[Any, ...]
    objective: Any
    embeddings: tuple[Embedding, ...] = ()
    idle: tuple[Any, ...] = ()
    notes: tuple[str, ...] = ()
    nonlinear: tuple[Any, ...] = ()

    def values(self) -> Array:
        """Current values (n,) of the columns' variables, NaN where there is none, or an infinite one."""
        found = [variable.value for variable in self.columns]
        values = np.array([np.nan if value is None else value for value in found], np.float64)
        return np.where(np.isinf(values), np.nan, values)

    def solution(self, values: Array) -> ComponentMap:
        """The value of each variable that is decided by the values (n,) of the columns; fixed ones are left out.

        These are the columns' variables that belong to a model, and those of constraints that embeddings replace. Any
        value will do for `idle` ones: they keep theirs, or get the one nearest to 0.
        """
        result = ComponentMap((variable, nearest_to_zero(variable)) for variable in self.idle)
        for embedding, network in zip(self.embeddings, self.problem.networks, strict=True):
            if embedding.replaced_values is not None:
                pairs = embedding.replaced_values(values[network.inputs])
                result.update((variable, value) for variable, value in pairs if not variable.fixed)
        for variable, value, integer in zip(self.columns, values.tolist(), self.problem.integers, strict=True):
            if not variable.fixed and variable.parent_block() is not None:
                result[variable] = round(value) if integer else value
        return result

    def refuted(self, incumbent: Incumbent) -> str:
        """What Pyomo's own evaluation of nonlinear rows and objectives refutes at a point; empty where it confirms."""
        if not self.nonlinear:
            return ""
        with values_set(self.solution(incumbent.values)):
            return first_refuted(self.nonlinear, self.problem.reported(incumbent.objective))


def compile_model(model: BlockData) -> CompiledModel:
    """Read a Pyomo model: rows, bounds, integrality, its objective, and its networks.

    Rows are linear, and the objective is linear or convex quadratic, in columns: products with an integer factor,
    absolute values, minima and maxima are operations that write columns, and all other products and smooth functions
    are expressions that write columns. Special ordered sets are sets of columns.

    As for other Pyomo solvers, only active components count; fixed variables are constants; variables that occur in
    no constraint, objective or network are left out, wherever they live; several active objectives are an error. A
    model without an objective is a feasibility problem: the cost is zero.

    Networks are blocks, `ReluNetworkBlock` or of OMLT, or stand in constraints as expressions. Bounds of outputs that
    a block has derived from those of its inputs are left out.

    Parameters
    ----------
    model : ConcreteModel or BlockData

    Raises
    ------
    IncompatibleModel
        If the model has a part that is none of these; names it.
    InfeasibleModel
        If a constraint cannot hold whatever the variables; names it.
    """
    with PauseGC():
        blocks = list(active_blocks(model))
        embeddings = network_embeddings(blocks)
        constraints, objectives, sets = active_components(blocks, _replaced(embeddings))
        stated, notes = read_omlt_blocks(blocks, [*constraints, *objectives, *sets], embeddings)
        left_out = set(map(id, _replaced(stated)))
        objective = _single(objectives)
        columns, calls = Columns(), NetworkCalls()
        embeddings = [*embeddings, *stated]
        networks = _embedded(embeddings, columns)
        operations = Operations(columns, [column for each in networks for column in each.outputs.tolist()])
        rows = compile_rows([row for row in constraints if id(row) not in left_out], columns, calls, operations)
        costs = compile_objective(objective, columns, calls, operations)
        ordered = [_ordered_set(each, columns) for each in sets]
        embeddings += calls.embeddings
        networks += _embedded(calls.embeddings, columns)
        variables = columns.variables
        lower, upper, integers = sides_of(variables, embeddings, networks)
        problem = Problem(
            cost=costs.cost(len(variables)),
            lower=lower,
            upper=upper,
            rows=rows.matrix(len(variables)),
            row_lower=np.array(rows.lower, np.float64),
            row_upper=np.array(rows.upper, np.float64),
            integers=integers,
            networks=tuple(networks),
            quadratic=costs.matrix(len(variables)),
            constant=costs.constant,
            maximize=costs.maximize,
            column_names=tuple(map(operations.column_name, range(len(variables)))),
            row_names=tuple(constraint.name for constraint in rows.constraints),
            operations=tuple(operations.found),
            expressions=tuple(operations.expressions),
            ordered_sets=tuple(ordered),
        )
        return CompiledModel(
            problem,
            tuple(variables),
            tuple(rows.constraints),
            objective,
            tuple(embeddings),
            tuple(columns.idle),
            tuple(notes),
            tuple(operations.nonlinear),
        )


def _replaced(embeddings: Iterable[Embedding]) -> list[Any]:
    return [part for embedding in embeddings for part in embedding.replaced]


def _ordered_set(component: Any, columns: Columns) -> SpecialOrderedSet:
    """A special ordered set, its columns in the order of their weights."""
    items = sorted(component.get_items(), key=lambda item: item[1])
    variables = [variable for variable, _ in items]
    return SpecialOrderedSet(np.array(columns.of_all(variables), np.int64), component.level, component.name)


def _single(objectives: Sequence[Any]) -> Any:
    if len(objectives) > 1:
        names = ", ".join(f"'{objective.name}'" for objective in objectives)
        raise IncompatibleModel(f"several objectives are active: {names}; deactivate all but one")
    return objectives[0] if objectives else None


def _embedded(embeddings: Sequence[Embedding], columns: Columns) -> list[EmbeddedNetwork]:
    return [
        EmbeddedNetwork(e.network, np.array(columns.of_all(e.inputs)), np.array(columns.of_all(e.outputs)), e.name)
        for e in embeddings
    ]


def sides_of(
    variables: Sequence[Any], embeddings: Sequence[Embedding], networks: Sequence[EmbeddedNetwork]
) -> tuple[Array, Array, Array]:
    """Bounds and integrality of all columns: those of the variables, and of embeddings, without those derived."""
    lower, upper, integers = bounds_and_integrality(variables)
    derived = np.zeros((len(variables), 2), bool)
    for embedding, network in zip(embeddings, networks, strict=True):
        if embedding.input_lower is not None:
            np.maximum.at(lower, network.inputs, embedding.input_lower)
        if embedding.input_upper is not None:
            np.minimum.at(upper, network.inputs, embedding.input_upper)
        if len(embedding.derived_outputs):
            derived[network.outputs] |= embedding.derived_outputs
    derived &= ~np.array([variable.fixed for variable in variables], bool)[:, None]
    return np.where(derived[:, 0], -np.inf, lower), np.where(derived[:, 1], np.inf, upper), integers
