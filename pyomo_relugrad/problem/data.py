"""What a problem is: its arrays, checked, and the names of its columns and rows."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, Self

import numpy as np
from scipy import sparse

from pyomo_relugrad.arrays import Array, Weight
from pyomo_relugrad.errors import ModelError
from pyomo_relugrad.problem.embedding import EmbeddedExpression, EmbeddedFunction, EmbeddedNetwork
from pyomo_relugrad.problem.operations import Follower, Maximum, Product, SpecialOrderedSet
from pyomo_relugrad.problem.structural import FunctionStructure, share_structure


@dataclass(frozen=True, eq=False)
class ProblemData:
    """The arrays of a problem, validated on creation: the parameters of `Problem`."""

    cost: Array
    lower: Array
    upper: Array
    rows: Weight = None
    row_lower: Array = None  # type: ignore[assignment]  # set on creation
    row_upper: Array = None  # type: ignore[assignment]
    integers: Array = None  # type: ignore[assignment]
    networks: tuple[EmbeddedNetwork, ...] = ()
    quadratic: Weight = None
    constant: float = 0.0
    maximize: bool = False
    column_names: tuple[str, ...] = ()
    row_names: tuple[str, ...] = ()
    operations: tuple[Product | Maximum, ...] = ()
    ordered_sets: tuple[SpecialOrderedSet, ...] = ()
    followers: tuple[Follower, ...] = ()
    expressions: tuple[EmbeddedExpression, ...] = ()
    function_structure: FunctionStructure = field(default=None, repr=False)  # type: ignore[assignment]

    def __post_init__(self) -> None:
        n = len(self.cost)
        rows = sparse.csr_array((0, n)) if self.rows is None else self.rows
        rows = _canonical(rows if isinstance(rows, sparse.csr_array) else sparse.csr_array(rows))
        m = rows.shape[0]
        fields: dict[str, Any] = {
            "cost": np.asarray(self.cost, dtype=np.float64),
            "lower": np.asarray(self.lower, dtype=np.float64),
            "upper": np.asarray(self.upper, dtype=np.float64),
            "rows": rows,
            "row_lower": np.full(m, -np.inf) if self.row_lower is None else np.asarray(self.row_lower, np.float64),
            "row_upper": np.full(m, np.inf) if self.row_upper is None else np.asarray(self.row_upper, np.float64),
            "integers": np.zeros(n, bool) if self.integers is None else np.asarray(self.integers, bool),
            "networks": tuple(self.networks),
            "expressions": tuple(self.expressions),
        }
        for name, value in fields.items():
            object.__setattr__(self, name, value)
        about = n, self.networks, self.expressions
        if self.function_structure is None or not self.function_structure.fits(*about):
            object.__setattr__(self, "function_structure", FunctionStructure(*about))
        self._check_shapes(n, m)
        self._check_sides("bound", self.column_names, self.lower, self.upper)
        self._check_sides("side", self.row_names, self.row_lower, self.row_upper)

    def _check_shapes(self, n: int, m: int) -> None:
        expected = {"lower": n, "upper": n, "integers": n, "row_lower": m, "row_upper": m}
        for name, size in expected.items():
            if getattr(self, name).shape != (size,):
                raise ModelError(f"{name} has shape {getattr(self, name).shape}: give an array of shape ({size},)")
        if self.rows.shape[1] != n:
            raise ModelError(f"the rows have {self.rows.shape[1]} columns: give one for each of the {n} columns")
        if self.quadratic is not None and self.quadratic.shape != (n, n):
            raise ModelError(f"the quadratic part has shape {self.quadratic.shape}: give one of shape ({n}, {n})")
        numbers = self.cost, self.rows.data, () if self.quadratic is None else self.quadratic.data
        if not all(np.isfinite(part).all() for part in numbers):
            raise ModelError("a cost or a coefficient of a row is NaN or infinite: give finite numbers")

    @staticmethod
    def _check_sides(what: str, names: tuple[str, ...], lower: Array, upper: Array) -> None:
        for side, values, never in (("lower", lower, np.inf), ("upper", upper, -np.inf)):
            wrong = np.flatnonzero(np.isnan(values) | (values == never))
            if wrong.size:
                place = repr(names[wrong[0]]) if names else f"{'column' if what == 'bound' else 'row'} {wrong[0]}"
                raise ModelError(
                    f"the {side} {what} of {place} is {values[wrong[0]]}, which no number satisfies: give another"
                )

    def with_bounds(self, lower: Array, upper: Array) -> Self:
        """The problem with other bounds; what does not depend on them is not found out again."""
        problem = replace(self, lower=lower, upper=upper)
        share_structure(problem, self)
        return problem

    @property
    def n_columns(self) -> int:
        """Number of columns."""
        return int(self.cost.size)

    @property
    def n_rows(self) -> int:
        """Number of rows."""
        return int(self.row_lower.size)

    def column_name(self, column: int) -> str:
        """Name of a column, or its number, for messages."""
        return self.column_names[column] if self.column_names else f"column {column}"

    def describe_column(self, column: int) -> str:
        """What a column is, for messages that begin with it."""
        return f"variable '{self.column_names[column]}'" if self.column_names else f"column {column}"

    def describe_row(self, row: int) -> str:
        """What a row is, for messages that begin with it."""
        return f"constraint '{self.row_names[row]}'" if self.row_names else f"row {row}"

    @property
    def functions(self) -> tuple[EmbeddedFunction, ...]:
        """The networks, then the expressions."""
        return (*self.networks, *self.expressions)

    def reported(self, objective: float) -> float:
        """An objective value or bound in the sense of the model."""
        return 0.0 - objective if self.maximize else objective  # never -0.0


def _canonical(rows: Weight) -> Weight:
    """The same with sorted entries, which SciPy else sorts in place: a process that shares them cannot write there."""
    if rows.has_canonical_format:
        return rows
    rows = rows.copy()
    rows.sum_duplicates()
    return rows
