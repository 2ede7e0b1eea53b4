"""Smaller ranges for the arguments of an operation, from the range that its value is to be in.

This is the backward half of constraint propagation. Ranges are pairs of arrays, and what is found is rounded outward;
ranges that cross mean that no argument will do. Where nothing is known the sides are infinite. Warnings of NumPy are
the caller's.
"""

from collections.abc import Callable
from typing import TypeAlias

import numpy as np

from pyomo_relugrad.arrays import Array
from pyomo_relugrad.expression.envelope import outward
from pyomo_relugrad.expression.functions import Elementary, Function, Power

#: Lower and upper sides.
Range: TypeAlias = tuple[Array, Array]

# How far arguments are moved outward: a share of their size, and a number.
ROUNDING, SMALL = 1e-12, 1e-15
# Below it values lose digits.
LEAST = float(np.finfo(np.float64).tiny)

#: Inverses of the functions that increase wherever they are defined, on their images.
_INVERSES: dict[str, Callable[[Array], Array]] = {
    "exp": np.log,
    "log": np.exp,
    "asin": np.sin,
    "atan": np.tan,
    "sinh": np.arcsinh,
    "tanh": np.arctanh,
    "asinh": np.sinh,
    "acosh": np.cosh,
    "atanh": np.tanh,
    "sigmoid": lambda y: np.log(y / (1 - y)),
    "softplus": lambda y: y + np.log(-np.expm1(-y)),
}


def terms_within(total: Range, terms: Range, sums: Callable[[Array], Array]) -> Range:
    """Ranges of the terms of sums, from those of the sums: each has what the others leave it.

    Parameters
    ----------
    total, terms : pair of (t, B) arrays
        Of the sum that each term belongs to, and of the terms.
    sums : callable
        For each term the sum over all terms of its sum: (t, B) from (t, B).
    """

    def rest(total: Array, side: Array) -> Array:
        """The totals less the other terms, rounded downward."""
        finite = np.isfinite(side)
        kept = np.where(finite, side, 0.0)
        size = np.abs(total) + sums(np.abs(kept))
        left = np.where(sums((~finite).astype(np.float64)) > ~finite, -np.inf, total - (sums(kept) - kept))
        return np.where(np.isfinite(left), left - ROUNDING * np.where(np.isfinite(size), size, 0.0), left)

    return _rounded(rest(total[0], terms[1]), -rest(-total[1], -terms[0]))


def factor_within(product: Range, factor: Range, other: Range) -> Range:
    """Range of one factor of products, from those of the product and of the other factor."""
    positive = _quotient(product, (np.maximum(other[0], 0.0), other[1]))
    negative = _quotient((-product[1], -product[0]), (np.maximum(-other[1], 0.0), 0.0 - other[0]))
    low, high = _hull(_meeting(positive, factor), _meeting(negative, factor))
    free = (product[0] <= 0) & (product[1] >= 0) & (other[0] <= 0) & (other[1] >= 0)
    return _rounded(np.where(free, -np.inf, low), np.where(free, np.inf, high))


def argument_within(function: Function, value: Range, argument: Range) -> Range:
    """Range of the argument of a function, from that of its value: where it is defined, at least.

    Values may be off by their rounding, which matters where the function is flat, and are zero where they are too small
    for a number.
    """
    value = outward(value[0] - LEAST, value[1] + LEAST)
    low, high = np.maximum(value[0], function.image[0]), np.minimum(value[1], function.image[1])
    if isinstance(function, Power):
        found = _power_argument(function.exponent, (low, high), argument)
    elif function.name == "cosh":
        found = _by_halves(np.arccosh(low), np.arccosh(high), argument)
    else:
        found = _inverse(function, low, high)
    found = _rounded(*found)
    outside = low > high
    low, high = np.where(outside, np.inf, found[0]), np.where(outside, -np.inf, found[1])
    return np.maximum(low, function.domain[0]), np.minimum(high, function.domain[1])


def _inverse(function: Elementary, low: Array, high: Array) -> Range:
    """Arguments of an increasing function with values in ranges; all of them where the function is not one."""
    inverse = _INVERSES.get(function.name)
    if inverse is None:
        return np.full(low.shape, -np.inf), np.full(high.shape, np.inf)
    least, greatest = function.image
    return np.where(low <= least, -np.inf, inverse(low)), np.where(high >= greatest, np.inf, inverse(high))


def _power_argument(exponent: float, value: Range, argument: Range) -> Range:
    """Arguments of powers: those from 0 on, and of integer exponents also those below."""

    def root(low: Array, high: Array) -> Range:
        """Roots from 0 on, NaN where there are none."""
        ends = np.maximum(low, 0.0) ** (1 / exponent), np.where(high >= 0, high, np.nan) ** (1 / exponent)
        return ends if exponent > 0 else (ends[1], ends[0])

    positive = root(*value)
    if not exponent.is_integer():
        return positive
    mirrored = value if exponent % 2 == 0 else (-value[1], -value[0])
    negative = root(*mirrored)
    return _hull(_meeting(positive, argument), _meeting((-negative[1], -negative[0]), argument))


def _by_halves(low: Array, high: Array, argument: Range) -> Range:
    """Arguments whose size is in ranges."""
    return _hull(_meeting((low, high), argument), _meeting((-high, -low), argument))


def _meeting(first: Range, second: Range) -> Range:
    """What two ranges have in common."""
    return np.maximum(first[0], second[0]), np.minimum(first[1], second[1])


def _quotient(dividend: Range, divisor: Range) -> Range:
    """Quotients by numbers from 0 on; a range that crosses where there are none."""
    low = dividend[0] / np.where(dividend[0] >= 0, divisor[1], divisor[0])
    high = dividend[1] / np.where(dividend[1] >= 0, divisor[0], divisor[1])
    low, high = np.where(np.isnan(low), -np.inf, low), np.where(np.isnan(high), np.inf, high)
    none = divisor[0] > divisor[1]
    return np.where(none, np.inf, low), np.where(none, -np.inf, high)


def _hull(first: Range, second: Range) -> Range:
    """The smallest range around two; those that cross or are NaN are empty."""
    lows, highs = (np.stack(sides) for sides in zip(first, second, strict=True))
    empty = ~(lows <= highs) | (lows == np.inf) | (highs == -np.inf)
    return np.where(empty, np.inf, lows).min(axis=0), np.where(empty, -np.inf, highs).max(axis=0)


def _rounded(low: Array, high: Array) -> Range:
    """Ranges moved outward by more than the rounding of what computes them; NaN says nothing."""
    below = np.where(np.isfinite(low), low - ROUNDING * np.abs(low) - SMALL, low)
    above = np.where(np.isfinite(high), high + ROUNDING * np.abs(high) + SMALL, high)
    return np.where(np.isnan(below), -np.inf, below), np.where(np.isnan(above), np.inf, above)
