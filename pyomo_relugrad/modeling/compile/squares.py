"""Convex and concave quadratic parts of a polynomial as weighted squares of linear functions.

A square is enclosed by tangents and a chord, which together are its convex hull. Products of different columns are not:
their planes are far from ``(x - y)**2`` wherever both columns have room.
"""

from collections.abc import Callable, Iterable
from typing import NamedTuple

import numpy as np
from scipy import sparse
from scipy.sparse.csgraph import connected_components

from pyomo_relugrad.arrays import Array
from pyomo_relugrad.modeling.compile.polynomial import Polynomial

#: Most columns of a part that is looked at.
MAX_COLUMNS = 100

# What may be left of a part, relative to the squares of its columns.
ROUNDING = 1e-13


class WeightedSquare(NamedTuple):
    """``weight * (sum of factors * columns)**2``."""

    weight: float
    columns: list[int]
    factors: list[float]


def quadratic_parts(quadratic: Polynomial) -> Iterable[Polynomial]:
    """A sum of products of two columns as a sum of parts that have no column in common."""
    columns, places = np.unique(np.array(list(quadratic)), return_inverse=True)
    first, second = places.reshape(-1, 2).T
    links = sparse.coo_array((np.ones(first.size), (first, second)), shape=(columns.size, columns.size))
    _, label = connected_components(links, directed=False)
    parts: dict[int, Polynomial] = {}
    for (factors, coefficient), part in zip(quadratic.items(), label[first].tolist(), strict=True):
        parts.setdefault(part, {})[factors] = coefficient
    return parts.values()


def with_squares(polynomial: Polynomial, takes: Callable[[int], bool]) -> tuple[Polynomial, list[WeightedSquare]]:
    """A polynomial as the sum of another one and of squares, into which parts with mixed products are turned.

    Parameters
    ----------
    polynomial : Polynomial
    takes : callable
        Whether products with a column may become part of a square.
    """
    quadratic: Polynomial = {
        factors: coefficient
        for factors, coefficient in polynomial.items()
        if len(factors) == 2 and coefficient and min(factors) >= 0 and all(map(takes, factors))
    }
    has_square = {first for first, second in quadratic if first == second}
    # What takes part has a square of its own, which most products of a model lack.
    if not any(first != second and first in has_square and second in has_square for first, second in quadratic):
        return polynomial, []
    rest, squares = dict(polynomial), []
    for part in quadratic_parts(quadratic):
        if len(part) > 1 and (found := _squares_of(part)):
            squares += found
            for factors in part:
                del rest[factors]
    return rest, squares


def _squares_of(part: Polynomial) -> list[WeightedSquare]:
    """Squares with weights of one sign; none where the part is neither convex nor concave."""
    columns, places = np.unique(np.array(list(part)), return_inverse=True)
    diagonal = [coefficient for (first, second), coefficient in part.items() if first == second]
    if columns.size > MAX_COLUMNS or len(diagonal) < columns.size:
        return []
    sign = np.sign(diagonal[0])
    matrix = np.zeros((columns.size, columns.size))
    np.add.at(matrix, tuple(places.reshape(-1, 2).T), sign * np.array(list(part.values())) / 2)
    factors, weights = _factorised(matrix + matrix.T)
    return [
        WeightedSquare(float(sign * weight), columns[row != 0].tolist(), row[row != 0].tolist())
        for row, weight in zip(factors, weights, strict=True)
    ]


def _factorised(matrix: Array) -> tuple[list[Array], list[float]]:
    """Rows and weights of ``rows.T @ diag(weights) @ rows``, a positive semidefinite matrix; none where it is not."""
    diagonal = matrix.diagonal()
    if diagonal.min() <= 0:
        return [], []
    # With ones on the diagonal, what is left by rounding is told from small coefficients of large columns.
    scale = np.sqrt(diagonal)
    rest, rows, weights = matrix / np.outer(scale, scale), list[Array](), list[float]()
    while rest.any():
        pivot = int(rest.diagonal().argmax())
        weight = float(rest[pivot, pivot])
        if weight <= 0:
            return [], []
        row = rest[pivot] / weight
        rest = rest - weight * np.outer(row, row)
        rest[pivot] = rest[:, pivot] = 0.0
        rest[np.abs(rest) <= ROUNDING * len(matrix)] = 0.0
        rows.append(row * scale)
        weights.append(weight)
    return rows, weights
