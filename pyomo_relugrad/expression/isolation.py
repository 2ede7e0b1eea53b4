"""Equations solved for one of their inputs, operation by operation, where they have one solution."""

from collections.abc import Callable, Hashable, Sequence
from typing import TypeAlias

from pyomo_relugrad.expression.builder import ExpressionBuilder, Node
from pyomo_relugrad.expression.functions import Power
from pyomo_relugrad.expression.operations import Application, Multiplication, Operation, WeightedSum, arguments_of

#: Bounds of what a node may be.
Ranges: TypeAlias = Callable[[Node], tuple[float, float]]

#: Functions that have each of their values at one point, with their inverses.
_INVERSES = {"exp": "log", "log": "exp", "sinh": "asinh", "asinh": "sinh"}

#: Operations of an equation up to which it is solved.
MAX_OPERATIONS = 300


class Isolation:
    """Solves equations for one input.

    Parameters
    ----------
    builder : ExpressionBuilder
    key : hashable
        Of the input.
    ranges : function of a node
        Bounds of what it may be: nothing is divided by what may be zero.
    """

    def __init__(self, builder: ExpressionBuilder, key: Hashable, ranges: Ranges) -> None:
        self._builder, self._input, self._ranges = builder, builder.input(key), ranges

    def solution(self, node: Node) -> Node | None:
        """What the input must be where a node is zero; None where it is not seen that there is just one such number.

        Nowhere has it no value but where an argument has none: a search is not stopped by holes.

        Examples
        --------
        >>> builder = ExpressionBuilder()
        >>> share, total, part = map(builder.input, ("share", "total", "part"))
        >>> equation = builder.affine([builder.product(share, total), part], [1.0, -1.0])
        >>> solution = Isolation(builder, "share", lambda node: (1.0, 9.0)).solution(equation)
        >>> solution == builder.quotient(part, total)
        True
        """
        parts, value = self._linear_parts(node), self._builder.constant(0.0)
        while node in parts:
            linear = parts[node]
            if linear is not None:
                factor, rest = linear
                return self._quotient(self._builder.affine([value, rest], [1.0, -1.0]), factor)
            inner = self._inside(node, value, set(parts))
            if inner is None:
                break
            node, value = inner
        return None

    def _linear_parts(self, node: Node) -> dict[int, tuple[Node, Node] | None]:
        """What each node that reads the input is: ``factor * input + rest``, None where it is not linear in it."""
        builder, order = self._builder, self._builder.needed([node])
        zero, one = builder.constant(0.0), builder.constant(1.0)
        parts: dict[int, tuple[Node, Node] | None] = {}
        for each in order if len(order) <= MAX_OPERATIONS else ():
            operation = builder.operation(Node(each))
            if each == self._input:
                parts[each] = one, zero
            if operation is None or parts.keys().isdisjoint(arguments_of(operation)):
                continue
            inner = [parts.get(argument, (zero, Node(argument))) for argument in arguments_of(operation)]
            parts[each] = self._combined(operation, [part for part in inner if part is not None], len(inner))
        return parts

    def _combined(
        self, operation: Operation, parts: Sequence[tuple[Node, Node]], n_arguments: int
    ) -> tuple[Node, Node] | None:
        """A sum or product of nodes that are linear in the input; None where that is not linear."""
        builder, zero = self._builder, self._builder.constant(0.0)
        if len(parts) < n_arguments:
            return None
        if isinstance(operation, WeightedSum):
            factors, rests = zip(*parts, strict=True)
            return builder.affine(factors, operation.weights), builder.affine(
                rests, operation.weights, operation.constant
            )
        if isinstance(operation, Multiplication):
            (first, rest), (second, other) = sorted(parts, key=lambda part: part[0] == zero)
            return (builder.product(first, other), builder.product(rest, other)) if second == zero else None
        return None

    def _inside(self, node: Node, value: Node, reads: set[int]) -> tuple[Node, Node] | None:
        """The argument of a node that reads the input, and what it must be where the node has a value."""
        builder, operation = self._builder, self._builder.operation(node)
        if operation is None:
            return None
        inner = [Node(each) for each in arguments_of(operation) if each in reads]
        found = None
        if isinstance(operation, Application):
            found = self._inverse(operation, value)
        elif len(inner) == 1 and isinstance(operation, Multiplication):
            found = self._quotient(value, Node(sum(operation) - inner[0]))
        elif len(inner) == 1 and isinstance(operation, WeightedSum):
            terms = [value, *map(Node, operation.terms)]
            weights = [1.0, *(-weight for weight in operation.weights)]
            place = 1 + operation.terms.index(inner[0])
            del terms[place]
            weight = weights.pop(place)
            found = builder.affine(terms, [-each / weight for each in weights], operation.constant / weight)
        return None if found is None else (inner[0], found)

    def _quotient(self, node: Node, factor: Node) -> Node | None:
        """The quotient of two nodes; None where the divisor may be zero."""
        low, high = self._ranges(factor)
        return self._builder.quotient(node, factor) if low > 0 or high < 0 else None

    def _inverse(self, operation: Application, value: Node) -> Node | None:
        """The argument of a function that has a value; None where there may be several, or none."""
        function, builder = operation.function, self._builder
        least = self._ranges(value)[0]
        if not isinstance(function, Power):
            is_defined = function.name in _INVERSES and (function.name != "exp" or least > 0)
            return builder.function(_INVERSES[function.name], value) if is_defined else None
        if function.exponent == -1:
            return self._quotient(builder.constant(1.0), value)
        # Integer powers have two roots, or one that is not seen, unless their arguments are known not to be negative.
        argument = self._ranges(Node(operation.argument))[0] if function.exponent.is_integer() else 0.0
        if argument < 0 or not (least > 0 or (least == 0 and function.exponent > 0)):
            return None
        return builder.power(value, builder.constant(1 / function.exponent))
