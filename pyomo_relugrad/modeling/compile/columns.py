"""A model's variables as columns, and those that the model mentions without depending on them."""

import math
from collections.abc import Iterable, Sequence
from typing import Any

from pyomo.core.expr.numeric_expr import LinearExpression, MonomialTermExpression, NegationExpression, SumExpression
from pyomo.core.expr.numvalue import native_numeric_types


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
        # Counting terms is cheap, and looking at each variable is not.
        if _most_terms(expression) > len(variables):
            self._hidden.update(_free_variables(expression))

    @property
    def idle(self) -> list[Any]:
        """Variables without a column that stand in the model with the coefficient zero alone."""
        return [variable for key, variable in self._hidden.items() if key not in self._column]


def _most_terms(expression: Any) -> float:
    """How many free variables there may be at most, infinite where that is not seen at once."""
    count = 0
    # Expressions that grow from one another share one list of arguments, which may be longer than their own: no harm.
    for term in expression._args_ if expression.__class__ is SumExpression else (expression,):
        node = term._args_[0] if term.__class__ is NegationExpression else term
        kind = node.__class__
        if kind is LinearExpression:
            count += len(node._args_) - (node._args_[-1].__class__ in native_numeric_types)
        elif kind is MonomialTermExpression:
            count += 1
        elif kind not in native_numeric_types:
            if node.is_expression_type():
                return math.inf
            count += 1
    return count


def _free_variables(expression: Any) -> dict[int, Any]:
    """The variables that are not fixed by their ids; Pyomo's `identify_variables` is several times slower."""
    found, left = {}, [expression]
    while left:
        node = left.pop()
        if node.__class__ is MonomialTermExpression:
            node = node.arg(1)
        if node.__class__ in native_numeric_types:
            continue
        if node.is_expression_type():
            left.extend(node.args)
        elif node.is_variable_type() and not node.fixed:
            found[id(node)] = node
    return found
