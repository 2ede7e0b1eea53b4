"""What an expression is made of: weighted sums, products of two factors, norms and functions of one variable.

Arguments are numbers: first come the inputs, then the operations, in an order in which they can be evaluated.
"""

from typing import NamedTuple, TypeAlias

from pyomo_relugrad.expression.functions import Function


class WeightedSum(NamedTuple):
    """``constant + sum of weights * terms``; without terms it is a constant.

    Parameters
    ----------
    terms : tuple of int
    weights : tuple of float
    constant : float
    """

    terms: tuple[int, ...]
    weights: tuple[float, ...]
    constant: float


class Multiplication(NamedTuple):
    """The product of two different nodes."""

    left: int
    right: int


class Application(NamedTuple):
    """A function of one node."""

    function: Function
    argument: int


class Norm(NamedTuple):
    """``sqrt(constant + sum of squares of the terms)``.

    Parameters
    ----------
    terms : tuple of int
    constant : float
        Not negative.
    """

    terms: tuple[int, ...]
    constant: float


Operation: TypeAlias = WeightedSum | Multiplication | Application | Norm


def arguments_of(operation: Operation) -> tuple[int, ...]:
    """The nodes that must be known first."""
    if isinstance(operation, Multiplication):
        return operation.left, operation.right
    return (operation.argument,) if isinstance(operation, Application) else operation.terms
