"""Sums of products of columns and smooth terms, by which the rows of a model are read."""

from collections.abc import Iterable
from typing import TypeAlias

Polynomial: TypeAlias = dict[tuple[int, ...], float]
"""Coefficients of products, each given in increasing order; the empty product is the constant.

A factor is a column where it is not negative, otherwise a smooth term, see `SmoothTerms`.
"""


def constant_of(polynomial: Polynomial) -> float | None:
    """The number that a polynomial is; None where something else stands in it."""
    return polynomial.get((), 0.0) if set(polynomial) <= {()} else None


def total(polynomials: Iterable[Polynomial]) -> Polynomial:
    """The sum of polynomials."""
    result: Polynomial = {}
    for polynomial in polynomials:
        for factors, coefficient in polynomial.items():
            result[factors] = result.get(factors, 0.0) + coefficient
    return result


def multiple(factor: float, polynomial: Polynomial) -> Polynomial:
    """A polynomial times a number."""
    return {factors: factor * coefficient for factors, coefficient in polynomial.items()} if factor else {}


def degree(polynomial: Polynomial) -> int:
    """The number of factors of the longest product."""
    return max(map(len, polynomial), default=0)
