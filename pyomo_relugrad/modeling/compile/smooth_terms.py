"""Smooth functions of columns that stand in rows and objectives, and what they become in a problem."""

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import numpy as np

from pyomo_relugrad.expression import ExpressionBuilder, Isolation, Node
from pyomo_relugrad.modeling.compile.polynomial import Polynomial
from pyomo_relugrad.modeling.compile.squares import with_squares
from pyomo_relugrad.problem import EmbeddedExpression

#: Bounds of a column, None where there is none.
Bounds: TypeAlias = Callable[[Any], tuple[float | None, float | None]]


class SmoothTerms:
    """Smooth functions by nodes of one builder: equal ones are one, and those of equal structure one expression.

    A node stands in a `Polynomial` as a factor that is negative.
    """

    def __init__(self) -> None:
        self._builder = ExpressionBuilder()
        self._column_of_input: dict[Node, int] = {}

    def node(self, polynomial: Polynomial) -> Node:
        """A polynomial as a node."""
        polynomial = self.with_squares(polynomial, lambda column: True)
        constant = polynomial.get((), 0.0)
        products = {factors: coefficient for factors, coefficient in polynomial.items() if factors}
        nodes = [self.product(factors) for factors in products]
        return self._builder.affine(nodes, list(products.values()), constant)

    def with_squares(self, polynomial: Polynomial, takes: Callable[[int], bool]) -> Polynomial:
        """A polynomial in which convex and concave quadratic parts are squares of sums, each one smooth term.

        Parameters
        ----------
        polynomial : Polynomial
        takes : callable
            Whether products with a column may become part of a square.
        """
        rest, squares = with_squares(polynomial, takes)
        for weight, columns, factors in squares:
            linear = self._builder.affine([self._factor(column) for column in columns], factors)
            rest[(~self._builder.power(linear, self._builder.constant(2.0)),)] = weight
        return rest

    def product(self, factors: Sequence[int], scale: float = 1.0) -> Node:
        """A product of columns, nodes and a number as a node."""
        return self._builder.product(self._builder.constant(scale), *map(self._factor, factors))

    def quotient(self, left: Polynomial, right: Polynomial) -> Polynomial:
        """One polynomial divided by another."""
        return self._polynomial(self._builder.quotient(self.node(left), self.node(right)))

    def power(self, base: Polynomial, exponent: Polynomial) -> Polynomial:
        """One polynomial to the power of another."""
        return self._polynomial(self._builder.power(self.node(base), self.node(exponent)))

    def multiplied(self, left: Polynomial, right: Polynomial) -> Polynomial:
        """The product of polynomials as one term."""
        return self._polynomial(self._builder.product(self.node(left), self.node(right)))

    def function(self, name: str, argument: Polynomial) -> Polynomial:
        """A function of one variable by its name.

        Raises
        ------
        ModelError
            If there is no such smooth function.
        """
        return self._polynomial(self._builder.function(name, self.node(argument)))

    def range(self, node: Node, bounds: Bounds) -> tuple[float, float]:
        """Numbers that a node is nowhere below and above, where columns are between bounds."""
        expression, inputs = self._builder.build([node])
        sides = np.array([bounds(column) for column in inputs], np.float64).reshape(-1, 2)
        lower, upper = (
            np.where(np.isnan(side), end, side) for side, end in zip(sides.T, (-np.inf, np.inf), strict=True)
        )
        low, high = expression.range(lower[None], upper[None])
        return float(low[0, 0]), float(high[0, 0])

    def solution(self, equation: Node, column: int, bounds: Bounds) -> Node | None:
        """What a column must be where a node is zero; None where it is not seen that this is one number."""
        return Isolation(self._builder, column, lambda node: self.range(node, bounds)).solution(equation)

    def inputs(self, *factors: int) -> set[int]:
        """The columns that factors read."""
        needed = self._builder.needed([Node(~factor) for factor in factors if factor < 0])
        read = {self._column_of_input.get(Node(each), -1) for each in needed} - {-1}
        return read.union(factor for factor in factors if factor >= 0)

    def embedded(self, node: Node, column: int, name: str) -> EmbeddedExpression:
        """A node as a function of columns that writes another column."""
        expression, inputs = self._builder.build([node])
        return EmbeddedExpression(expression, np.array(inputs, np.int64), np.array([column]), name)

    def _factor(self, factor: int) -> Node:
        if factor < 0:
            return Node(~factor)
        node = self._builder.input(factor)
        self._column_of_input[node] = factor
        return node

    def _polynomial(self, node: Node) -> Polynomial:
        """A node as a polynomial: a constant, a column or a smooth term."""
        number = self._builder.constant_value(node)
        if number is not None:
            return {(): number}
        return {(self._column_of_input.get(node, ~node),): 1.0}
