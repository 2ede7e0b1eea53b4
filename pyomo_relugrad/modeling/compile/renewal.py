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
from pyomo_relugrad.modeling.compile.rows import compile_rows
from pyomo_relugrad.modeling.embedding import Embedding
from pyomo_relugrad.modeling.errors import IncompatibleModel, InfeasibleModel


class OtherFormError(Exception):
    """Numbers changed so that the model has another form."""


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
        """The rows of a problem with those of some constraints read again."""
        changed = list(constraints)
        if not changed:
            return {}
        problem = self._compiled.problem
        rows = compile_rows(changed, self._columns)
        known = [constraint for constraint in changed if id(constraint) in self._row]
        if len(rows.constraints) != len(known) or self._has_new_columns:
            raise OtherFormError
        matrix = problem.rows.copy()
        row_lower, row_upper = problem.row_lower.copy(), problem.row_upper.copy()
        for position, constraint in enumerate(rows.constraints):
            row = self._row.get(id(constraint))
            if row is None:
                raise OtherFormError
            mine = slice(rows.starts[position], rows.starts[position + 1])
            entries = slice(matrix.indptr[row], matrix.indptr[row + 1])
            coefficients = dict(zip(rows.columns[mine], rows.coefficients[mine], strict=True))
            if coefficients.keys() != set(matrix.indices[entries].tolist()):
                raise OtherFormError
            matrix.data[entries] = [coefficients[column] for column in matrix.indices[entries].tolist()]
            row_lower[row], row_upper[row] = rows.lower[position], rows.upper[position]
        return {"rows": matrix, "row_lower": row_lower, "row_upper": row_upper}

    def _objective(self) -> dict[str, Any]:
        """The costs of a problem, read again."""
        operations, calls = Operations(self._columns), NetworkCalls()
        costs = compile_objective(self._compiled.objective, self._columns, calls, operations)
        if operations.found or calls.embeddings or self._has_new_columns:
            raise OtherFormError
        n_columns = len(self._compiled.columns)
        return {"cost": costs.cost(n_columns), "quadratic": costs.matrix(n_columns), "constant": costs.constant}

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
