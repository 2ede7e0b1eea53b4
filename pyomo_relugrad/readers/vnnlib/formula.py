"""Conditions on the variables of a property, as alternatives of linear comparisons."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import reduce
from typing import Literal, TypeAlias

import numpy as np

from pyomo_relugrad.errors import PropertyFileError
from pyomo_relugrad.readers.vnnlib.syntax import Expression, List, shown

MAX_CASES = 100_000

#: An input or an output, "X" or "Y", by its place among all.
Variable: TypeAlias = tuple[Literal["X", "Y"], int]


@dataclass(frozen=True)
class Linear:
    """A linear expression ``sum of coefficients[variable] * variable + constant``."""

    coefficients: dict[Variable, float] = field(default_factory=dict)
    constant: float = 0.0

    def plus(self, other: Linear, factor: float = 1.0) -> Linear:
        """The sum with a multiple of another expression."""
        coefficients = dict(self.coefficients)
        for variable, value in other.coefficients.items():
            coefficients[variable] = coefficients.get(variable, 0.0) + factor * value
        return Linear(coefficients, self.constant + factor * other.constant)

    def times(self, factor: float) -> Linear:
        """A multiple."""
        return Linear().plus(self, factor)


@dataclass(frozen=True)
class Comparison:
    """``expression <= 0``, or ``expression < 0`` where it is strict."""

    expression: Linear
    is_strict: bool = False


Conjunction: TypeAlias = tuple[Comparison, ...]
"""Comparisons that all must hold."""


def _less(left: Linear, right: Linear, is_strict: bool = False) -> Conjunction:
    return (Comparison(left.plus(right, -1.0), is_strict),)


#: What a comparison of two sides says, as alternatives.
COMPARISONS: dict[str, Callable[[Linear, Linear], list[Conjunction]]] = {
    "<=": lambda left, right: [_less(left, right)],
    ">=": lambda left, right: [_less(right, left)],
    "<": lambda left, right: [_less(left, right, True)],
    ">": lambda left, right: [_less(right, left, True)],
    "=": lambda left, right: [_less(left, right) + _less(right, left)],
    "==": lambda left, right: [_less(left, right) + _less(right, left)],
    "!=": lambda left, right: [_less(left, right, True), _less(right, left, True)],
}


@dataclass(frozen=True)
class Formulas:
    """Reads conditions.

    Parameters
    ----------
    variable : callable
        The variable of a token and a line; None where the token is none. It raises where the variable is not declared.
    comparisons : tuple of str
        Those of `COMPARISONS` that the version of the format has.
    version : str
        For messages.
    """

    variable: Callable[[str, int], Variable | None]
    comparisons: tuple[str, ...]
    version: str

    def condition(self, expression: Expression, line: int) -> list[Conjunction]:
        """The alternatives, any one of which makes the condition hold."""
        if not isinstance(expression, List) or not expression.items:
            raise PropertyFileError(
                f"line {line}: expected a condition, got {str(expression)[:40]!r}: write one, such as (<= X_0 1)"
            )
        keyword, arguments = expression.keyword, _arguments(expression)
        if keyword == "and":
            return joined([self.condition(argument, expression.line) for argument in arguments])
        if keyword == "or":
            return [own for argument in arguments for own in self.condition(argument, expression.line)]
        if isinstance(keyword, str) and keyword in self.comparisons and len(arguments) == 2:
            left, right = (self._linear(argument, expression.line) for argument in arguments)
            return COMPARISONS[keyword](left, right)
        raise PropertyFileError(
            f"line {expression.line}: {shown(keyword)} with {len(arguments)} arguments is not a condition of VNN-LIB "
            f"{self.version} (and, or, {', '.join(self.comparisons)} of two sides)"
        )

    def _linear(self, expression: Expression, line: int) -> Linear:
        if isinstance(expression, str):
            return self._atom(expression, line)
        keyword = expression.keyword
        parts = [self._linear(argument, expression.line) for argument in _arguments(expression)]
        if keyword == "+" and parts:
            return reduce(Linear.plus, parts)
        if keyword == "-" and parts:
            return parts[0].times(-1.0) if len(parts) == 1 else reduce(lambda left, own: left.plus(own, -1.0), parts)
        if keyword == "*" and parts:
            return _product(parts, expression.line)
        raise PropertyFileError(
            f"line {expression.line}: {shown(keyword)} is not a linear expression: write sums, differences and "
            "products with numbers"
        )

    def _atom(self, token: str, line: int) -> Linear:
        variable = self.variable(token, line)
        if variable is not None:
            return Linear({variable: 1.0})
        try:
            value = float(token if "_" not in token else "")
        except ValueError:
            raise PropertyFileError(
                f"line {line}: {shown(token)} is neither a number nor a variable: write one of these"
            ) from None
        if not np.isfinite(value):
            raise PropertyFileError(f"line {line}: the number {shown(token)} is not finite: write a finite one")
        return Linear({}, value)


def joined(alternatives: list[list[Conjunction]]) -> list[Conjunction]:
    """All ways to take one alternative of each condition: the disjunctive normal form of their conjunction.

    Raises
    ------
    PropertyFileError
        If there are more than `MAX_CASES`.
    """
    common = tuple(row for own in alternatives if len(own) == 1 for row in own[0])
    result: list[Conjunction] = [common]
    for own in alternatives:
        if len(own) != 1:
            if len(result) * len(own) > MAX_CASES:
                raise PropertyFileError(f"the property has more than {MAX_CASES} cases: split it into several files")
            result = [first + second for first in result for second in own]
    return result


def _arguments(expression: List) -> list[Expression]:
    """What follows the keyword; indices belong to the name before them, with or without a space between."""
    arguments: list[Expression] = []
    for item in expression.items[1:]:
        if isinstance(item, str) and item.startswith("[") and arguments and isinstance(arguments[-1], str):
            arguments[-1] += item
        else:
            arguments.append(item)
    return arguments


def _product(parts: list[Linear], line: int) -> Linear:
    result = parts[0]
    for part in parts[1:]:
        if result.coefficients and part.coefficients:
            raise PropertyFileError(f"line {line}: a product of variables is not linear: write one factor as a number")
        result = result.times(part.constant) if result.coefficients else part.times(result.constant)
    return result
