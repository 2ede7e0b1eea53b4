"""A compiled model brought up to date where only numbers changed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from pyomo_relugrad.modeling.block.component import ReluNetworkBlockData
from pyomo_relugrad.modeling.compile.changes import Changes
from pyomo_relugrad.modeling.compile.columns import Columns
from pyomo_relugrad.modeling.compile.components import network_embeddings, renewed_embeddings
from pyomo_relugrad.modeling.compile.model import CompiledModel, sides_of
from pyomo_relugrad.modeling.compile.network_calls import NetworkCalls
from pyomo_relugrad.modeling.compile.objective import compile_objective
from pyomo_relugrad.modeling.compile.operations import Operations
from pyomo_relugrad.modeling.compile.parametric import OtherFormError, ParametricForm
from pyomo_relugrad.modeling.compile.rows import bounded_expression
from pyomo_relugrad.modeling.embedding import Embedding
from pyomo_relugrad.modeling.errors import IncompatibleModel, InfeasibleModel
from pyomo_relugrad.problem import FEASIBILITY_TOLERANCE


class Renewal:
    """Brings one compiled model up to date, change after change.

    Parameters
    ----------
    compiled : CompiledModel
        With rows and an objective that are linear or quadratic in variables, and network blocks, and nothing else.
    blocks : sequence of ReluNetworkBlockData
    """

    def __init__(self, compiled: CompiledModel, blocks: Sequence[ReluNetworkBlockData]) -> None:
        self._compiled, self._blocks = compiled, blocks
        self._columns = Columns()
        self._columns.of_all(compiled.columns)
        self._row = {id(constraint): row for row, constraint in enumerate(compiled.constraints)}
        #: Of constraints that have changed, and of the objective.
        self._forms: dict[int, ParametricForm] = {}

    @classmethod
    def of(cls, compiled: CompiledModel, blocks: Sequence[ReluNetworkBlockData]) -> Renewal | None:
        """The renewal of a model that was compiled just now, None where it has parts whose form depends on numbers."""
        problem = compiled.problem
        if problem.operations or problem.expressions or problem.ordered_sets or not compiled.columns:
            return None
        return cls(compiled, blocks) if _are_alike(network_embeddings(blocks), compiled.embeddings) else None

    def after(self, changes: Changes) -> CompiledModel | None:
        """The model after changes of numbers, and of bounds; None where it has another form now.

        What is None once must not be asked again.
        """
        try:
            self._compiled = self._renewed(changes)
        except (OtherFormError, IncompatibleModel, InfeasibleModel):  # reading all of it names the first error
            return None
        return self._compiled

    def _renewed(self, changes: Changes) -> CompiledModel:
        problem, old = self._compiled.problem, self._compiled
        embeddings = renewed_embeddings(self._blocks, old.embeddings)
        if any(block.scaled_network is not e.network for block, e in zip(self._blocks, embeddings, strict=True)):
            raise OtherFormError
        numbers = self._rows(changes.constraints)
        # A square of a binary variable is the variable itself, and its bounds say that it is binary.
        if changes.objective or problem.integers.any():
            numbers |= self._objective()
        lower, upper, integers = sides_of(old.columns, embeddings, problem.networks)
        if not np.array_equal(integers, problem.integers):
            raise OtherFormError
        problem = (replace(problem, **numbers) if numbers else problem).with_bounds(lower, upper)
        return replace(old, problem=problem, embeddings=tuple(embeddings))

    def _rows(self, constraints: Iterable[Any]) -> dict[str, Any]:
        """The rows of a problem with those of some constraints evaluated again."""
        problem, changed = self._compiled.problem, list(constraints)
        if not changed:
            return {}
        matrix, row_lower, row_upper = problem.rows, problem.row_lower.copy(), problem.row_upper.copy()
        for constraint in changed:
            low, body, high = bounded_expression(constraint)
            row, form = self._row.get(id(constraint)), self._form(constraint, body)
            if row is None or (low is None and high is None):
                raise OtherFormError
            entries = slice(matrix.indptr[row], matrix.indptr[row + 1])
            if not np.array_equal(form.columns, matrix.indices[entries]):
                raise OtherFormError
            if not form.coefficients.are_constant:
                matrix = matrix.copy() if matrix is problem.rows else matrix
                matrix.data[entries] = form.coefficients.values()
            constant = form.constant
            row_lower[row] = -np.inf if low is None else low - constant
            row_upper[row] = np.inf if high is None else high - constant
        if not matrix.data.all() or (row_lower - row_upper).max() > FEASIBILITY_TOLERANCE:
            raise OtherFormError
        return {"rows": matrix, "row_lower": row_lower, "row_upper": row_upper}

    def _objective(self) -> dict[str, Any]:
        """The costs of a problem, evaluated again, or read again where more than their linear part may have changed."""
        problem, objective = self._compiled.problem, self._compiled.objective
        if not problem.integers.any():
            form = self._form(objective, objective.expr, quadratic=True)
            if form.has_constant_products:
                return self._linear_costs(form)
        operations, calls = Operations(self._columns), NetworkCalls()
        costs = compile_objective(objective, self._columns, calls, operations)
        if operations.found or calls.embeddings or self._has_new_columns:
            raise OtherFormError
        n_columns = len(self._compiled.columns)
        return {"cost": costs.cost(n_columns), "quadratic": costs.matrix(n_columns), "constant": costs.constant}

    def _linear_costs(self, form: ParametricForm) -> dict[str, Any]:
        """Those of an objective whose quadratic part is what it was."""
        sign = -1.0 if self._compiled.problem.maximize else 1.0
        cost = np.zeros(len(self._compiled.columns))
        cost[form.columns] = sign * form.coefficients.values()
        return {"cost": cost, "constant": sign * form.constant}

    def _form(self, component: Any, expression: Any, quadratic: bool = False) -> ParametricForm:
        """What a constraint's or an objective's expression is by parameters: read when it first changes."""
        form = self._forms.get(id(component))
        if form is None:
            form = self._forms[id(component)] = ParametricForm(expression, self._columns, quadratic)
            if self._has_new_columns:
                raise OtherFormError
        return form

    @property
    def _has_new_columns(self) -> bool:
        return len(self._columns.variables) > len(self._compiled.columns)


def _are_alike(embeddings: Sequence[Embedding], others: Sequence[Embedding]) -> bool:
    """Whether embeddings have the same networks between the same variables, and replace the same components."""

    def parts(embedding: Embedding) -> list[Any]:
        return [embedding.network, *embedding.inputs, *embedding.outputs, *embedding.replaced]

    return len(embeddings) == len(others) and all(
        list(map(id, parts(own))) == list(map(id, parts(other))) for own, other in zip(embeddings, others, strict=True)
    )
