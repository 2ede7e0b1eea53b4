"""A problem that few integers decide as one function of them: the objective, and what rows and bounds hold."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from scipy import sparse

from pyomo_relugrad.arrays import Array
from pyomo_relugrad.expression import (
    Application,
    Expression,
    Multiplication,
    Norm,
    Operation,
    Power,
    WeightedSum,
    arguments_of,
)
from pyomo_relugrad.problem import FEASIBILITY_TOLERANCE, BinaryDigits, EmbeddedExpression, Problem, Product

#: Most columns of a problem that is looked at.
MAX_COLUMNS = 2000


@dataclass(frozen=True, eq=False)
class Composition:
    """The objective, rows and columns of a problem as one expression of the integers that decide it.

    Parameters
    ----------
    columns : (k,) int array
        The integers, which are the expression's inputs.
    expression : Expression
        Its first output is the objective, less the problem's constant.
    lower, upper : (n_outputs,) arrays
        What feasible points have; infinite for the objective.
    given : (g,) int array
        The columns that equations give values.
    values : Expression
        These values.
    """

    columns: Array
    expression: Expression
    lower: Array
    upper: Array
    given: Array
    values: Expression

    def point(self, values: Array, base: Array) -> Array:
        """A point (n,) of the problem with given integers (k,); functions and followers are still to be evaluated."""
        v, at = base.copy(), values[None]
        given = self.values.value(at)[0]
        if np.isnan(given).any():  # an argument may lie outside of a domain by rounding alone
            low, high = self.values.range(at, at)
            given = np.where(np.isnan(given), low[0] + (high[0] - low[0]) / 2, given)
        v[self.columns], v[self.given] = values, given
        return v

    @property
    def is_linear(self) -> bool:
        """Whether it is made of sums alone."""
        return all(isinstance(operation, WeightedSum) for operation in self.expression.operations)

    @cached_property
    def is_integral(self) -> bool:
        """Whether the objective, less the problem's constant, is a whole number at all points."""
        whole = [True] * self.expression.n_inputs
        for operation in self.expression.operations:
            is_whole = all(whole[argument] for argument in arguments_of(operation))
            if isinstance(operation, WeightedSum):
                is_whole = is_whole and all(map(float.is_integer, (*operation.weights, operation.constant)))
            elif isinstance(operation, Application):
                is_whole = is_whole and isinstance(operation.function, Power) and _is_natural(operation.function)
            whole.append(is_whole and not isinstance(operation, Norm))
        return whole[self.expression.outputs[0]]

    def sides(self) -> tuple[Array, Array]:
        """Between what outputs are that are feasible within a tolerance."""
        sizes = (1 + np.where(np.isfinite(side), np.abs(side), 0.0) for side in (self.lower, self.upper))
        below, above = (FEASIBILITY_TOLERANCE * size for size in sizes)
        return self.lower - below, self.upper + above

    def within(self, least: Array, greatest: Array) -> Composition:
        """The same where outputs are nowhere below and above some numbers: those are left out that always hold."""
        lower, upper = self.sides()
        kept = (least < lower) | (greatest > upper)
        kept[0] = True
        outputs = tuple(output for output, is_kept in zip(self.expression.outputs, kept, strict=True) if is_kept)
        expression = replace(self.expression, outputs=outputs)
        return replace(self, expression=expression, lower=self.lower[kept], upper=self.upper[kept])

    @classmethod
    def of(cls, problem: Problem) -> Composition | None:
        """That of a problem; None where not all of it follows from integers by formulas."""
        if problem.networks or problem.operations or problem.ordered_sets or problem.n_columns > MAX_COLUMNS:
            return None
        return _Composing(problem).result()


class _Composing:
    """Operations that are put together, and the node of each column that is known."""

    def __init__(self, problem: Problem) -> None:
        self._problem = problem
        is_fixed = problem.lower == problem.upper
        self._columns = np.flatnonzero(problem.integers & ~problem.is_output & ~problem.follows & ~is_fixed)
        self._operations: list[Operation] = []
        self._nodes = {column: place for place, column in enumerate(self._columns.tolist())}
        for column in np.flatnonzero(is_fixed & ~problem.is_output & ~problem.follows).tolist():
            self._nodes[column] = self._add(WeightedSum((), (), float(problem.lower[column])))
        self._entries = [_entries_of(problem, row) for row in range(problem.n_rows)]
        self._given: dict[int, int] = {}
        self._parts: list[EmbeddedExpression | Product] = [*problem.expressions, *self._products]
        self._is_written = problem.is_output | problem.follows

    def result(self) -> Composition | None:
        """The composition; None where something does not follow."""
        problem = self._problem
        self._settle()
        hidden, objective = self._hidden(), self._objective()
        if objective is None:
            return None
        kept = [objective]
        lower, upper, used = [-np.inf], [np.inf], set(self._given.values())
        for row, read in enumerate(self._entries):
            if row in used or not hidden.isdisjoint(read):
                continue
            if not self._nodes.keys() >= read.keys():
                return None
            kept.append(self._sum(read))
            lower.append(float(problem.row_lower[row]))
            upper.append(float(problem.row_upper[row]))
        for column in self._nodes.keys() - set(self._columns.tolist()):
            kept.append(self._nodes[column])
            lower.append(float(problem.lower[column]))
            upper.append(float(problem.upper[column]))
        expression = Expression(self._columns.size, tuple(self._operations), tuple(kept))
        values = replace(expression, outputs=tuple(self._nodes[column] for column in self._given))
        given = np.array(list(self._given), np.int64)
        return Composition(self._columns, expression, np.array(lower), np.array(upper), given, values)

    def _add(self, operation: Operation) -> int:
        self._operations.append(operation)
        return self._columns.size + len(self._operations) - 1

    def _sum(self, coefficients: dict[int, float], constant: float = 0.0) -> int:
        terms = tuple(self._nodes[column] for column in coefficients)
        return self._add(WeightedSum(terms, tuple(coefficients.values()), constant))

    def _settle(self) -> None:
        """Let functions, products and equations give columns values as soon as all else that they read has one."""
        problem, n_parts = self._problem, len(self._parts)
        equations = np.flatnonzero(problem.row_lower == problem.row_upper).tolist()
        read = [*map(_read, self._parts), *(set(self._entries[row]) for row in equations)]
        unknown = [columns - self._nodes.keys() for columns in read]
        readers: dict[int, list[int]] = {}
        for number, columns in enumerate(unknown):
            for column in columns:
                readers.setdefault(column, []).append(number)
        ready = deque(number for number, columns in enumerate(unknown) if len(columns) == (number >= n_parts))
        while ready:
            number = ready.popleft()
            if number < n_parts:
                found = self._evaluate(self._parts[number])
            else:
                found = self._solve(equations[number - n_parts], unknown[number])
            for column in found:
                for reader in readers.pop(column, ()):
                    unknown[reader].discard(column)
                    if len(unknown[reader]) == (reader >= n_parts):
                        ready.append(reader)

    @property
    def _products(self) -> list[Product]:
        return [each for each in self._problem.followers if isinstance(each, Product)]

    def _evaluate(self, part: EmbeddedExpression | Product) -> list[int]:
        """The columns to which a function or a product gives values."""
        if isinstance(part, Product):
            self._nodes[part.output] = self._product(self._nodes[part.first], self._nodes[part.second])
        else:
            self._embed(part)
        return list(map(int, part.outputs))

    def _solve(self, row: int, unknown: set[int]) -> list[int]:
        """The column to which an equation gives a value, the only one that is not known; none if functions do."""
        columns = [column for column in unknown if not self._is_written[column]]
        for column in columns:
            entries = dict(self._entries[row])
            own = entries.pop(column)
            scaled = {other: -value / own for other, value in entries.items()}
            self._nodes[column] = self._sum(scaled, float(self._problem.row_lower[row]) / own)
            self._given[column] = row
        return columns

    def _product(self, first: int, second: int) -> int:
        return self._add(Application(Power(2.0), first) if first == second else Multiplication(first, second))

    def _embed(self, part: EmbeddedExpression) -> None:
        """Append the operations of an expression, whose inputs are known."""
        expression = part.expression
        places = [self._nodes[column] for column in part.inputs.tolist()]
        for operation in expression.operations:
            places.append(self._add(_moved(operation, places)))
        for column, output in zip(part.outputs.tolist(), expression.outputs, strict=True):
            self._nodes[column] = places[output]

    def _hidden(self) -> set[int]:
        """Binary digits of integers, and their products: rows with them hold by themselves."""
        hidden = set[int]()
        for follower in self._problem.followers:
            if isinstance(follower, BinaryDigits):
                hidden |= set(follower.outputs)
        for follower in self._products:
            if not hidden.isdisjoint((follower.first, follower.second)):
                hidden.add(follower.output)
        return hidden

    def _objective(self) -> int | None:
        problem = self._problem
        linear = {column: float(problem.cost[column]) for column in np.flatnonzero(problem.cost).tolist()}
        if not self._nodes.keys() >= linear.keys():
            return None
        terms, weights = [self._nodes[column] for column in linear], list(linear.values())
        if problem.quadratic is not None:
            entries = sparse.triu(problem.quadratic).tocoo()
            for row, column, value in zip(*map(np.ndarray.tolist, (*entries.coords, entries.data)), strict=True):
                if value and not self._nodes.keys() >= {row, column}:
                    return None
                if value:
                    terms.append(self._product(self._nodes[row], self._nodes[column]))
                    weights.append(value / 2 if row == column else value)
        return self._add(WeightedSum(tuple(terms), tuple(weights), 0.0))


def _is_natural(power: Power) -> bool:
    return power.exponent > 0 and power.exponent.is_integer()


def _read(part: EmbeddedExpression | Product) -> set[int]:
    return {part.first, part.second} if isinstance(part, Product) else set(part.inputs.tolist())


def _entries_of(problem: Problem, row: int) -> dict[int, float]:
    """The coefficients of a row, by columns."""
    entries = slice(problem.rows.indptr[row], problem.rows.indptr[row + 1])
    pairs = zip(problem.rows.indices[entries].tolist(), problem.rows.data[entries].tolist(), strict=True)
    return {column: value for column, value in pairs if value}


def _moved(operation: Operation, places: list[int]) -> Operation:
    """An operation whose arguments have other numbers."""
    if isinstance(operation, Multiplication):
        return Multiplication(places[operation.left], places[operation.right])
    if isinstance(operation, Application):
        return Application(operation.function, places[operation.argument])
    terms = tuple(places[term] for term in operation.terms)
    return Norm(terms, operation.constant) if isinstance(operation, Norm) else operation._replace(terms=terms)
