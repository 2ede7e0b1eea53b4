"""What an expression is made of: weighted sums, products of two factors, norms and functions of one variable.

Arguments are numbers: first come the inputs, then the operations, in an order in which they can be evaluated.
"""

from __future__ import annotations

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

    @property
    def arguments(self) -> tuple[int, ...]:
        """The nodes that must be known first."""
        return self.terms


class Multiplication(NamedTuple):
    """The product of two different nodes."""

    left: int
    right: int

    @property
    def arguments(self) -> tuple[int, ...]:
        """The nodes that must be known first."""
        return self.left, self.right


class Application(NamedTuple):
    """A function of one node."""

    function: Function
    argument: int

    @property
    def arguments(self) -> tuple[int, ...]:
        """The nodes that must be known first."""
        return (self.argument,)


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

    @property
    def arguments(self) -> tuple[int, ...]:
        """The nodes that must be known first."""
        return self.terms


Operation: TypeAlias = WeightedSum | Multiplication | Application | Norm
