"""A model's variables as columns, and those that the model mentions without depending on them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from pyomo.core.expr.numeric_expr import LinearExpression, MonomialTermExpression
from pyomo.core.expr.numvalue import native_numeric_types
from pyomo.core.expr.visitor import identify_variables


class Columns:
    """Columns given to variables in the order in which they are met."""

    def __init__(self) -> None:
        self.variables: list[Any] = []
        self._column: dict[int, int] = {}
        self._hidden: dict[int, Any] = {}

    def of(self, variable: Any) -> int:
        """Return the variable's column, a new one if it has none."""
        column = self._column.setdefault(id(variable), len(self.variables))
        if column == len(self.variables):
            self.variables.append(variable)
        return column

    def of_all(self, variables: Iterable[Any]) -> list[int]:
        """Return the columns of several variables."""
        return [self.of(variable) for variable in variables]

    def note_idle(self, expression: Any, variables: Sequence[Any]) -> None:
        """Note what stands in an expression with the coefficient zero; `variables` are those that have another one."""
        n_variables = len(variables)
        # Counting is cheap and looking at each variable is not.
        if _count_terms(expression, exactly=False) > n_variables and _count_terms(expression) > n_variables:
            found = identify_variables(expression, include_fixed=False)
            self._hidden.update((id(variable), variable) for variable in found)

    @property
    def idle(self) -> list[Any]:
        """Variables without a column that stand in the model with the coefficient zero alone."""
        return [variable for key, variable in self._hidden.items() if key not in self._column]


def _count_terms(expression: Any, exactly: bool = True) -> int:
    """How often free variables stand in an expression; if not exactly, sums count with all that they add."""
    count, left = 0, [expression]
    while left:
        node = left.pop()
        kind = node.__class__
        if kind is MonomialTermExpression:
            count += not node.arg(1).fixed
        elif kind is LinearExpression and not exactly:
            count += node.nargs()
        elif kind in native_numeric_types:
            continue
        elif node.is_expression_type():
            left.extend(node.args)
        elif node.is_variable_type():
            count += not node.fixed
    return count
