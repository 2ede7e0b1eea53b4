"""Rows that keep a product from falling below a number: ``width * height >= area`` as ``height - area / width >= 0``.

Tangents of the reciprocal are all that it takes: such a row is convex. Around the product are McCormick's planes, which
leave room between the curve and its chord.
"""

from pyomo_relugrad.modeling.compile.operations import Operations
from pyomo_relugrad.modeling.compile.polynomial import Polynomial, multiple, total


def as_hyperbola(
    operations: Operations, polynomial: Polynomial, low: float | None, high: float | None
) -> Polynomial | None:
    """The body of a row as another body with the same sides; None where it does not keep one product from falling.

    The factors are continuous, between zero and finite bounds. What misses the row misses the other one by as much or
    more.
    """
    side = high if low is None else low
    terms = [(factors, weight) for factors, weight in polynomial.items() if factors and weight]
    if side is None or None not in (low, high) or len(terms) != 1 or len(set(terms[0][0])) != 2:
        return None
    ((factors, weight),) = terms
    least = (side - polynomial.get((), 0.0)) / weight
    ranges = [found for found in (_range_from_zero(operations, factor) for factor in factors) if found is not None]
    if len(factors) != 2 or (weight > 0) != (high is None) or least <= 0 or len(ranges) < 2:
        return None
    (_, size, divisor), (_, other_size, other) = sorted(ranges, reverse=True)
    if size * other_size < least:  # no point satisfies the row, and a message names the product
        return None
    reciprocal = operations.smooth.quotient({(): 1.0}, {(divisor,): 1.0})
    return total(({(other,): weight * size, (): side}, multiple(-weight * size * least, reciprocal)))


def _range_from_zero(operations: Operations, factor: int) -> tuple[float, float, int] | None:
    """Ratio of a column's bounds, the upper one, and the column; None where they are not between zero and a number."""
    if factor < 0 or not operations.is_smooth(factor):
        return None
    low, high = operations.bounds(factor)
    if low is None or high is None or not 0 <= low < high:
        return None
    return low / high, high, factor
