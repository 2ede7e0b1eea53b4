"""How an expression is put together: node by node, equal nodes once, constants folded."""

from collections.abc import Hashable, Iterable, Sequence
from typing import NamedTuple, NewType

import numpy as np

from pyomo_relugrad.errors import ModelError
from pyomo_relugrad.expression.expression import Expression
from pyomo_relugrad.expression.functions import FUNCTIONS, Function, Power
from pyomo_relugrad.expression.operations import Application, Multiplication, Norm, Operation, WeightedSum, arguments_of
from pyomo_relugrad.expression.squares import sum_of_squares
from pyomo_relugrad.words import listed

#: A node of the builder that made it.
Node = NewType("Node", int)

#: Terms up to which a sum inside another sum becomes part of it.
MAX_FLATTENED = 64


class Built(NamedTuple):
    """An expression and what its inputs are.

    Parameters
    ----------
    expression : Expression
    inputs : tuple
        For each input the key by which the builder knows it.
    """

    expression: Expression
    inputs: tuple[Hashable, ...]


class _Input(NamedTuple):
    key: Hashable


class ExpressionBuilder:
    """Nodes of smooth functions, from which expressions are cut.

    Equal nodes are one node. Expressions of equal structure and equal constants are one object, whichever inputs
    they read, so that they can be evaluated together.

    Examples
    --------
    >>> builder = ExpressionBuilder()
    >>> price, demand = builder.input("price"), builder.input("demand")
    >>> revenue = builder.product(price, demand)
    >>> expression, inputs = builder.build([revenue])
    >>> inputs, expression.value(np.array([[2.0, 5.0]]))
    (('price', 'demand'), array([[10.]]))
    """

    def __init__(self) -> None:
        self._nodes: list[Operation | _Input] = []
        self._sizes: list[int] = []
        self._numbers: dict[Operation | _Input, Node] = {}
        self._expressions: dict[Expression, Expression] = {}

    def input(self, key: Hashable) -> Node:
        """An input, known by any hashable key, such as the number of a column."""
        return self._node(_Input(key))

    def constant(self, value: float) -> Node:
        """A number."""
        return self._node(WeightedSum((), (), float(value)))

    def constant_value(self, node: Node) -> float | None:
        """The number that a node is, None where it is no constant."""
        operation = self._nodes[node]
        return operation.constant if isinstance(operation, WeightedSum) and not operation.terms else None

    def affine(self, nodes: Sequence[Node], weights: Sequence[float], constant: float = 0.0) -> Node:
        """``constant + sum of weights * nodes``. Short sums among the nodes become part of it."""
        total: dict[int, float] = {}
        for node, weight in zip(nodes, weights, strict=True):
            inner = self._nodes[node]
            if isinstance(inner, WeightedSum) and len(inner.terms) <= MAX_FLATTENED:
                constant += weight * inner.constant
                for term, factor in zip(inner.terms, inner.weights, strict=True):
                    total[term] = total.get(term, 0.0) + weight * factor
            else:
                total[node] = total.get(node, 0.0) + weight
        kept = {term: weight for term, weight in total.items() if weight != 0}
        terms = sorted(kept, key=lambda term: (*self._rank(term), kept[term], term))
        if len(terms) == 1 and constant == 0 and kept[terms[0]] == 1:
            return Node(terms[0])
        return self._node(WeightedSum(tuple(terms), tuple(float(kept[term]) for term in terms), float(constant)))

    def sum(self, nodes: Sequence[Node]) -> Node:
        """The sum of nodes."""
        return self.affine(nodes, [1.0] * len(nodes))

    def product(self, *nodes: Node) -> Node:
        """The product of nodes; constant factors stand outside, equal factors become powers."""
        weight, parts = 1.0, []
        for node in nodes:
            factor, part = self._factor(node)
            weight *= factor
            if part is not None:
                parts.append(part)
        if not parts:
            return self.constant(weight)
        product = parts[0]
        for part in parts[1:]:
            product = self._multiply(product, part)
        return self.affine([product], [weight])

    def quotient(self, numerator: Node, denominator: Node) -> Node:
        """The numerator divided by the denominator; by zero it has no value."""
        return self.product(numerator, self.power(denominator, self.constant(-1.0)))

    def power(self, base: Node, exponent: Node) -> Node:
        """The base to the power of the exponent. Where that is no constant integer, negative bases have no value."""
        number = self.constant_value(exponent)
        if number is None:
            return self.function("exp", self.product(exponent, self.function("log", base)))
        if number == 0:
            return self.constant(1.0)
        if number == 1:
            return base
        if number.is_integer():
            weight, part = self._factor(base)
            if part is not None and weight != 1:
                with np.errstate(all="ignore"):
                    return self.affine([self._apply(Power(number), part)], [float(np.float64(weight) ** number)])
        return self._norm(base) if number == 0.5 else self._apply(Power(number), base)

    def function(self, name: str, node: Node) -> Node:
        """A function of one variable by its name, such as ``"exp"``.

        Raises
        ------
        ModelError
            Where there is no such smooth function; it names those there are.
        """
        if name == "square":
            return self.power(node, self.constant(2.0))
        if name == "sqrt":
            return self.power(node, self.constant(0.5))
        if name == "reciprocal":
            return self.power(node, self.constant(-1.0))
        if name == "log10":
            return self.affine([self.function("log", node)], [1 / np.log(10)])
        if name not in FUNCTIONS:
            raise ModelError(
                f"There is no smooth function {name!r}. Known are {', '.join([*FUNCTIONS, *_COMPOSED])}; "
                "write the expression with these."
            )
        return self._apply(FUNCTIONS[name], node)

    def build(self, outputs: Sequence[Node], inputs: Sequence[Hashable] | None = None) -> Built:
        """The expression of some nodes.

        Parameters
        ----------
        outputs : sequence of nodes
        inputs : sequence of keys, optional
            The inputs in their order; by default those that the outputs need, in the order in which they are met.
        """
        order = self.needed(outputs)
        met = [node.key for node in map(self._nodes.__getitem__, order) if isinstance(node, _Input)]
        keys = met if inputs is None else list(inputs)
        if missing := set(met) - set(keys):
            raise ModelError(f"The expression reads inputs that are not given: {listed(missing)}. Name every input.")
        numbers: dict[int, int] = {self._numbers.get(_Input(key), -1 - i): i for i, key in enumerate(keys)}
        operations: list[Operation] = []
        for node in order:
            operation = self._nodes[node]
            if not isinstance(operation, _Input):
                numbers[node] = len(keys) + len(operations)
                operations.append(_renumbered(operation, numbers))
        expression = Expression(len(keys), tuple(operations), tuple(numbers[node] for node in outputs))
        return Built(self._expressions.setdefault(expression, expression), tuple(keys))

    def needed(self, outputs: Iterable[Node]) -> list[int]:
        """The nodes that outputs need, each after its arguments, in the order in which the outputs meet them."""
        order: dict[int, None] = {}
        pending: list[tuple[int, bool]] = [(node, False) for node in reversed(list(outputs))]
        while pending:
            node, ready = pending.pop()
            if node in order:
                continue
            operation = self._nodes[node]
            if ready or isinstance(operation, _Input):
                order[node] = None
                continue
            pending.append((node, True))
            pending += [(argument, False) for argument in reversed(arguments_of(operation)) if argument not in order]
        return list(order)

    def operation(self, node: Node) -> Operation | None:
        """What computes a node, None for an input."""
        operation = self._nodes[node]
        return None if isinstance(operation, _Input) else operation

    def _node(self, operation: Operation | _Input) -> Node:
        """The number of a node, which is made where it is new."""
        number = self._numbers.get(operation)
        if number is None:
            number = self._numbers[operation] = Node(len(self._nodes))
            self._nodes.append(operation)
            arguments = () if isinstance(operation, _Input) else arguments_of(operation)
            self._sizes.append(1 + sum(self._sizes[argument] for argument in arguments))
        return number

    def _rank(self, node: int) -> tuple[str, int]:
        """What orders the arguments of sums and products alike for equal structures over other inputs."""
        return type(self._nodes[node]).__name__, self._sizes[node]

    def _factor(self, node: Node) -> tuple[float, Node | None]:
        """A node as a number times another node, which is None for a constant."""
        operation = self._nodes[node]
        if isinstance(operation, WeightedSum):
            if not operation.terms:
                return operation.constant, None
            if len(operation.terms) == 1 and operation.constant == 0:
                return operation.weights[0], Node(operation.terms[0])
        return 1.0, node

    def _multiply(self, left: Node, right: Node) -> Node:
        """The product of two nodes, a power where they are powers of the same node."""
        (base, exponent), (other, more) = self._as_power(left), self._as_power(right)
        if base == other:
            return self._apply(Power(exponent + more), base)
        for factor, other_factor in ((left, right), (right, left)):
            if (entropy := self._entropy(factor, other_factor)) is not None:
                return entropy
        first, second = sorted((left, right), key=lambda node: (*self._rank(node), node))
        return self._node(Multiplication(first, second))

    def _entropy(self, node: Node, logarithm: Node) -> Node | None:
        """``node * log(weight * node)`` as the convex function that it is, None for other products."""
        operation = self._nodes[logarithm]
        if not isinstance(operation, Application) or operation.function != FUNCTIONS["log"]:
            return None
        weight, part = self._factor(Node(operation.argument))
        if part != node:
            return None
        return self.affine([self._apply(FUNCTIONS["x*log(x)"], Node(operation.argument))], [1 / weight])

    def _as_power(self, node: Node) -> tuple[Node, float]:
        """A node as a positive integer power of another; of itself, with exponent 1, where it is none."""
        operation = self._nodes[node]
        if isinstance(operation, Application) and isinstance(operation.function, Power):
            exponent = operation.function.exponent
            if exponent > 0 and exponent.is_integer():
                return Node(operation.argument), exponent
        return node, 1.0

    def _apply(self, function: Function, node: Node) -> Node:
        """A function of a node; of a constant, the number."""
        number = self.constant_value(node)
        if number is None:
            return self._node(Application(function, node))
        with np.errstate(all="ignore"):
            return self.constant(float(function.value(np.array(number))))

    def _norm(self, node: Node) -> Node:
        """The root of a node: a norm where that is a sum of squares, which is convex then."""
        total = self._nodes[node]
        if isinstance(total, WeightedSum):
            bases: dict[Node, float] = {}
            rest: dict[int, float] = {}
            for term, weight in zip(total.terms, total.weights, strict=True):
                base, exponent = self._as_power(Node(term))
                if exponent == 2:
                    bases[base] = weight
                else:
                    rest[term] = weight
            forms = [self._as_sum(base) for base in bases]
            if found := sum_of_squares(list(bases.values()), forms, rest, total.constant):
                roots = np.sqrt(found.weights)
                parts = zip(bases, roots.tolist(), (roots * found.shifts).tolist(), strict=True)
                terms = tuple(self.affine([base], [root], shift) for base, root, shift in parts)
                return self._node(Norm(terms, found.constant))
        return self._apply(Power(0.5), node)

    def _as_sum(self, node: Node) -> WeightedSum:
        """A node as a weighted sum, of itself alone where it is none."""
        operation = self._nodes[node]
        return operation if isinstance(operation, WeightedSum) else WeightedSum((node,), (1.0,), 0.0)


#: Functions that are made of others.
_COMPOSED = ("sqrt", "square", "reciprocal", "log10")


def _renumbered(operation: Operation, numbers: dict[int, int]) -> Operation:
    """The same operation with other numbers for its arguments, which stand in order where the order does not matter."""
    if isinstance(operation, WeightedSum):
        terms = sorted(zip((numbers[term] for term in operation.terms), operation.weights, strict=True))
        return WeightedSum(tuple(term for term, _ in terms), tuple(weight for _, weight in terms), operation.constant)
    if isinstance(operation, Norm):
        return Norm(tuple(sorted(numbers[term] for term in operation.terms)), operation.constant)
    if isinstance(operation, Multiplication):
        return Multiplication(*sorted((numbers[operation.left], numbers[operation.right])))
    return Application(operation.function, numbers[operation.argument])
