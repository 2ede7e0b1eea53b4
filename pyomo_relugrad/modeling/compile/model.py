"""A Pyomo model as a `Problem`, and values back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from pyomo.common.collections import ComponentMap
from pyomo.common.gc_manager import PauseGC
from pyomo.core.base.block import BlockData

from pyomo_relugrad.arrays import Array
from pyomo_relugrad.modeling.compile.bounds import rows_as_bounds, simplify_bounds, variable_domains
from pyomo_relugrad.modeling.compile.components import Embedding, active_components, network_embeddings
from pyomo_relugrad.modeling.compile.network_calls import NetworkCalls
from pyomo_relugrad.modeling.compile.networks import separate_outputs
from pyomo_relugrad.modeling.compile.objective import compile_objective
from pyomo_relugrad.modeling.compile.rows import Columns, compile_rows
from pyomo_relugrad.modeling.errors import IncompatibleModel, InfeasibleModel
from pyomo_relugrad.problem import EmbeddedNetwork, Problem

__all__ = ["CompiledModel", "Embedding", "IncompatibleModel", "InfeasibleModel", "compile_model"]


@dataclass(frozen=True, eq=False)
class CompiledModel:
    """A `Problem` and what its columns and rows are in the Pyomo model.

    Parameters
    ----------
    problem : Problem
    columns : tuple of VarData
        The variable of each column. Outputs that two networks write, or by which networks feed each other in a
        circle, have a second column, tied to the first by a row. Outputs of networks that stand in rows as expressions
        have variables of no model.
    constraints : tuple of ConstraintData or None
        The constraint of each row; None for the rows that tie columns. Constraints of one variable that no network
        writes are bounds in `problem`.
    objective : ObjectiveData or None
    embeddings : tuple of Embedding, optional
        The model's networks.
    """

    problem: Problem
    columns: tuple[Any, ...]
    constraints: tuple[Any, ...]
    objective: Any
    embeddings: tuple[Embedding, ...] = ()

    def values(self) -> Array:
        """Current values (n,) of the columns' variables, NaN where there is none."""
        found = [variable.value for variable in self.columns]
        return np.array([np.nan if value is None else value for value in found], np.float64)

    def solution(self, values: Array) -> ComponentMap:
        """The value of each variable that is decided by the values (n,) of the columns; fixed ones are left out.

        These are the columns' variables that belong to a model, and those of constraints that embeddings replace.
        """
        result = ComponentMap()
        for embedding, network in zip(self.embeddings, self.problem.networks, strict=True):
            if embedding.replaced_values is not None:
                pairs = embedding.replaced_values(values[network.inputs])
                result.update((variable, value) for variable, value in pairs if not variable.fixed)
        for variable, value, integer in zip(self.columns, values.tolist(), self.problem.integers, strict=True):
            if not variable.fixed and variable.parent_block() is not None:
                result[variable] = round(value) if integer else value
        return result


def compile_model(model: BlockData, embeddings: Sequence[Embedding] = ()) -> CompiledModel:
    """Read a Pyomo model: linear rows, bounds, integrality, a linear or convex quadratic objective, network blocks.

    As for other Pyomo solvers, only active components count; fixed variables are constants; variables that occur in
    no constraint, objective or network are left out, wherever they live; several active objectives are an error. A
    model without an objective is a feasibility problem: the cost is zero.

    Parameters
    ----------
    model : ConcreteModel or BlockData
    embeddings : sequence of Embedding, optional
        Networks besides those of `ReluNetworkBlock`, with the components that they replace.

    Returns
    -------
    CompiledModel
        Bounds of outputs that follow from the bounds of the inputs by interval arithmetic are infinite in the
        problem, and inputs without a bound get the one that rows imply.

    Raises
    ------
    IncompatibleModel
        If the model has a part that is neither of these; names it.
    InfeasibleModel
        If a constraint without free variables is violated, or a variable has no values; names it.
    """
    with PauseGC():
        every = [*network_embeddings(model), *embeddings]
        constraints, objectives = active_components(model, [part for one in every for part in one.replaced])
        objective = _single(objectives)
        columns, calls = Columns(), NetworkCalls()
        networks = _Networks.of(every, columns)
        rows = compile_rows(constraints, columns, calls)
        costs = compile_objective(objective, columns.of, calls)
        networks = networks.joined(_Networks.of(calls.embeddings, columns)).separated(len(columns.variables))
        variables = [*columns.variables, *(columns.variables[original] for original in networks.originals)]
        for fresh, original in enumerate(networks.originals, start=len(columns.variables)):
            rows.add(None, (1.0, -1.0), (fresh, original), 0.0, 0.0)
        lower, upper, integers = networks.domains(columns.variables)
        problem = Problem(
            cost=costs.cost(len(variables)),
            lower=lower,
            upper=upper,
            rows=rows.matrix(len(variables)),
            row_lower=np.array(rows.lower, np.float64),
            row_upper=np.array(rows.upper, np.float64),
            integers=integers,
            networks=networks.embedded(),
            quadratic=costs.matrix(len(variables)),
            constant=costs.constant,
            maximize=costs.maximize,
            column_names=tuple(variable.name for variable in variables),
            row_names=tuple("" if constraint is None else constraint.name for constraint in rows.constraints),
        )
        problem, kept = rows_as_bounds(problem)
        problem = simplify_bounds(problem, variables, networks.derived(variables))
        kept_constraints = tuple(rows.constraints[row] for row in kept)
        return CompiledModel(problem, tuple(variables), kept_constraints, objective, tuple(networks.embeddings))


def _single(objectives: Sequence[Any]) -> Any:
    if len(objectives) > 1:
        names = ", ".join(f"'{objective.name}'" for objective in objectives)
        raise IncompatibleModel(f"several objectives are active: {names}; deactivate all but one")
    return objectives[0] if objectives else None


@dataclass(frozen=True, eq=False)
class _Networks:
    """The embeddings of a model with their columns; `originals` are those of which the last columns are copies."""

    embeddings: Sequence[Embedding]
    inputs: list[list[int]]
    outputs: list[list[int]]
    originals: Sequence[int] = ()

    @classmethod
    def of(cls, embeddings: Sequence[Embedding], columns: Columns) -> _Networks:
        pairs = [(columns.of_all(embedding.inputs), columns.of_all(embedding.outputs)) for embedding in embeddings]
        return cls(embeddings, [inputs for inputs, _ in pairs], [outputs for _, outputs in pairs])

    def joined(self, other: _Networks) -> _Networks:
        """The networks of both, before any is separated."""
        embeddings = [*self.embeddings, *other.embeddings]
        return _Networks(embeddings, self.inputs + other.inputs, self.outputs + other.outputs)

    def separated(self, n_columns: int) -> _Networks:
        """Copy columns that are written twice or close a circle, the copies numbered from `n_columns`."""
        outputs, originals = separate_outputs(self.inputs, self.outputs, n_columns)
        return replace(self, outputs=outputs, originals=originals)

    def domains(self, variables: Sequence[Any]) -> tuple[Array, Array, Array]:
        """Bounds and integrality of all columns; copies are free, as a row ties them."""
        lower, upper, integers = variable_domains(variables)
        for embedding, inputs in zip(self.embeddings, self.inputs, strict=True):
            if embedding.input_lower is not None:
                np.maximum.at(lower, inputs, embedding.input_lower)
            if embedding.input_upper is not None:
                np.minimum.at(upper, inputs, embedding.input_upper)
        copies = len(self.originals)
        free = np.full(copies, np.inf)
        return np.append(lower, -free), np.append(upper, free), np.append(integers, np.zeros(copies, bool))

    def embedded(self) -> tuple[EmbeddedNetwork, ...]:
        parts = zip(self.embeddings, self.inputs, self.outputs, strict=True)
        return tuple(EmbeddedNetwork(e.network, np.array(i), np.array(o), e.name) for e, i, o in parts)

    def derived(self, variables: Sequence[Any]) -> Array:
        """(n, 2) lower and upper bounds that follow from the networks, copied columns included, fixed ones not."""
        result = np.zeros((len(variables), 2), bool)
        for embedding, outputs in zip(self.embeddings, self.outputs, strict=True):
            if len(embedding.derived_outputs):
                result[outputs] = embedding.derived_outputs
        result[list(self.originals)] |= result[len(variables) - len(self.originals) :]
        return result & ~np.array([variable.fixed for variable in variables], bool)[:, None]
