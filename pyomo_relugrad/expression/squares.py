"""Sums of squares: a quadratic function whose squares are known, with its linear terms inside them."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from pyomo_relugrad.arrays import Array
from pyomo_relugrad.expression.operations import WeightedSum

# What counts as zero, relative to the terms that add up to it.
ROUNDING = 1e-14
# How many times the unit roundoff is surely rounding.
EPSILONS = 2


class SumOfSquares(NamedTuple):
    """``constant + sum of weights * (form + shift)**2``, a function that is nowhere negative.

    Parameters
    ----------
    weights, shifts : lists of float
    constant : float
    """

    weights: list[float]
    shifts: list[float]
    constant: float


def sum_of_squares(
    weights: Sequence[float], forms: Sequence[WeightedSum], rest: dict[int, float], constant: float
) -> SumOfSquares | None:
    """``sum of weights * form**2``, linear terms and a constant as a sum of squares; None where it is none.

    Parameters
    ----------
    weights : sequence of float
    forms : sequence of WeightedSum
        What is squared.
    rest : dict
        The linear terms: weights by number.
    constant : float
    """
    if not weights or min(weights) <= 0:
        return None
    places = {term: place for place, term in enumerate({*rest, *(term for form in forms for term in form.terms)})}
    matrix, linear = np.zeros((len(forms), len(places))), np.zeros(len(places))
    for row, form in zip(matrix, forms, strict=True):
        row[[places[term] for term in form.terms]] = form.weights
    linear[[places[term] for term in rest]] = list(rest.values())
    shifts: Array = np.zeros(len(forms))
    if rest:
        scaled = 2 * np.array(weights)[:, None] * matrix
        shifts = np.linalg.lstsq(scaled.T, linear, rcond=None)[0]
        if np.abs(scaled.T @ shifts - linear).max() > ROUNDING * len(linear) * np.abs(linear).max():
            return None
    # weight * (form + shift)**2 has, besides the square and the linear terms, a constant of its own.
    taken = np.array(weights) * shifts * (shifts + 2 * np.array([form.constant for form in forms]))
    left, size = constant - taken.sum(), abs(constant) + np.abs(taken).sum()
    if abs(left) <= EPSILONS * np.finfo(float).eps * size:
        left = 0.0
    elif left <= ROUNDING * size:  # it may be rounding, or a small constant that matters under a root
        return None
    return SumOfSquares(list(weights), shifts.tolist(), float(left))
