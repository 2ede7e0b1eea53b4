"""The variables and linear rows of a block that OMLT built, read as arrays; what is not as OMLT built it is refused."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyomo.environ as pyo
from scipy import sparse

from pyomo_relugrad.arrays import Array, Weight
from pyomo_relugrad.modeling.compile.columns import Columns
from pyomo_relugrad.modeling.compile.rows import compile_rows
from pyomo_relugrad.modeling.errors import NotANetwork

#: How far a coefficient may be from the network's, relative to it: scaling is written out by divisions.
COEFFICIENT_TOLERANCE = 1e-9
#: The same where OMLT computed in float32.
SINGLE_TOLERANCE = 1e-6


@dataclass(frozen=True, eq=False)
class RowSet:
    """Rows ``lower <= sum of coefficient * variable <= upper``, their nonzeros listed one by one.

    Parameters
    ----------
    constraints : tuple of ConstraintData
        One for each of the m rows.
    row, column : (nnz,) int arrays
    coefficient : (nnz,) array
    lower, upper : (m,) arrays
        Infinite where there is no side.
    """

    constraints: tuple[Any, ...]
    row: Array
    column: Array
    coefficient: Array
    lower: Array
    upper: Array

    def __len__(self) -> int:
        return len(self.constraints)

    def demand(self, holds: Array) -> None:
        """Refuse the block unless a condition (m,) holds for every row.

        Raises
        ------
        NotANetwork
            Names the first row for which it does not.
        """
        if not np.all(holds):
            changed = self.constraints[int(np.argmin(holds))]
            raise NotANetwork(f"its constraint '{changed.name}' is not the one that OMLT built")

    def normalised(self, pivots: Array) -> RowSet:
        """The rows divided by the coefficients of the given columns (m,), which are left out."""
        coefficient, rest = self.split(pivots)
        self.demand(coefficient != 0)
        sides = self.lower / coefficient, self.upper / coefficient
        divided = rest.coefficient / coefficient[rest.row]
        return replace(rest, coefficient=divided, lower=np.minimum(*sides), upper=np.maximum(*sides))

    def split(self, columns: Array) -> tuple[Array, RowSet]:
        """The coefficients (m,) of the given columns, one in each row, and the rows without them."""
        found = self.column == columns[self.row]
        coefficient = np.bincount(self.row[found], self.coefficient[found], len(self))
        rest = ~found
        return coefficient, replace(
            self, row=self.row[rest], column=self.column[rest], coefficient=self.coefficient[rest]
        )

    def only(self, *columns: Array) -> list[Array]:
        """The coefficients (m,) of some columns, one array for each; the rows may have no others."""
        rest, found = self, []
        for one in columns:
            coefficient, rest = rest.split(one)
            found.append(coefficient)
        rest.demand(~np.isin(np.arange(len(self)), rest.row))
        return found

    def matrix(self, columns: Array) -> Weight:
        """(m, n) csr_array of the coefficients of the given columns (n,); the rows may have no others."""
        place = np.full(max(columns.max(initial=-1), self.column.max(initial=-1)) + 1, -1)
        place[columns] = np.arange(columns.size)
        own = place[self.column]
        self.demand(~np.isin(np.arange(len(self)), self.row[own < 0]))
        return sparse.csr_array((self.coefficient, (self.row, own)), shape=(len(self), columns.size))

    def demand_equal(self, columns: Array, weight: Weight) -> None:
        """Refuse the block unless the coefficients of the columns are `weight` (m, n), and all others are zero."""
        expected = sparse.csr_array(weight)
        difference = sparse.coo_array(abs(self.matrix(columns) - expected) - COEFFICIENT_TOLERANCE * abs(expected))
        self.demand(~np.isin(np.arange(len(self)), difference.coords[0][difference.data > 0]))

    def demand_close(self, coefficient: Array, expected: Array, tolerance: float = COEFFICIENT_TOLERANCE) -> None:
        """Refuse the block unless coefficients (m,) are as expected."""
        self.demand(np.isclose(coefficient, expected, rtol=tolerance, atol=0.0))

    def demand_sides(
        self, lower: Array | float, upper: Array | float, tolerance: float = COEFFICIENT_TOLERANCE
    ) -> None:
        """Refuse the block unless the rows have these sides."""
        self.demand(_is_close(self.lower, lower, tolerance) & _is_close(self.upper, upper, tolerance))


def _is_close(side: Array, expected: Array | float, tolerance: float) -> Array:
    return np.isclose(side, expected, rtol=tolerance, atol=1e-3 * tolerance)


class BlockReader:
    """Reads components of a block, each of which is as OMLT builds it or refused.

    Rows are read right only while their variables are `unfixed`.
    """

    def __init__(self) -> None:
        self._columns = Columns()

    def columns(self, variables: Iterable[Any]) -> Array:
        """Numbers (n,) of variables, by which rows refer to them."""
        return np.array([self._columns.of(variable) for variable in variables], np.int64)

    def variables_of(self, columns: Array) -> list[Any]:
        """The variables of columns (n,)."""
        return [self._columns.variables[column] for column in columns.tolist()]

    def variables(self, owner: Any, name: str, size: int | None = None) -> list[Any]:
        """The variables of a component, in order.

        Raises
        ------
        NotANetwork
            If it is missing, or has another size.
        """
        return self._members(owner, name, pyo.Var, size)

    def constraints(self, owner: Any, name: str, size: int | None = None) -> list[Any]:
        """The constraints of a component, in order, all of them active.

        Raises
        ------
        NotANetwork
            If one is missing or deactivated.
        """
        members = self._members(owner, name, pyo.Constraint, size)
        for constraint in members:
            if not constraint.active:
                raise NotANetwork(f"its constraint '{constraint.name}' is deactivated")
        return members

    def _members(self, owner: Any, name: str, ctype: type, size: int | None) -> list[Any]:
        component = owner.component(name)
        if not owner.active or component is None or component.ctype is not ctype:
            state = "is deactivated" if not owner.active else f"has no {ctype.__name__} '{name}' any more"
            raise NotANetwork(f"'{owner.name}' {state}")
        members = list(component.values())
        if size is not None and len(members) != size:
            raise NotANetwork(f"'{component.name}' has {len(members)} members, not the {size} that OMLT built")
        return members

    def rows(self, constraints: Sequence[Any]) -> RowSet:
        """Linear constraints as arrays.

        Raises
        ------
        NotANetwork
            If one has no variables or no side.
        IncompatibleModel
            If one is not linear or has no finite coefficients.
        """
        read = compile_rows(constraints, self._columns)
        if len(read.constraints) != len(constraints):
            kept = {id(constraint) for constraint in read.constraints}
            changed = next(constraint for constraint in constraints if id(constraint) not in kept)
            raise NotANetwork(f"its constraint '{changed.name}' is not the one that OMLT built")
        starts = np.array(read.starts)
        return RowSet(
            constraints=tuple(constraints),
            row=np.repeat(np.arange(len(constraints)), np.diff(starts)),
            column=np.array(read.columns, np.int64),
            coefficient=np.array(read.coefficients, np.float64),
            lower=np.array(read.lower, np.float64),
            upper=np.array(read.upper, np.float64),
        )

    def read(self, owner: Any, name: str, pivots: Array) -> RowSet:
        """The rows of a component, one for each of the given columns (m,), solved for these."""
        return self.rows(self.constraints(owner, name, pivots.size)).normalised(pivots)


@contextmanager
def unfixed(block: Any) -> Iterator[None]:
    """While inside, no variable of the block is fixed, so that rows show their coefficients."""
    fixed = [v for v in block.component_data_objects(pyo.Var, descend_into=True) if v.fixed]
    for variable in fixed:
        variable.fixed = False
    try:
        yield
    finally:
        for variable in fixed:
            variable.fixed = True
