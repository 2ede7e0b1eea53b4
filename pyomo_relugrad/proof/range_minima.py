"""Smallest values of ranges of cells, for many ranges at once."""

from __future__ import annotations

import numpy as np

from pyomo_relugrad.arrays import Array


class RangeMinima:
    """Smallest values over ranges of an array (k,), by a table of all ranges of 1, 2, 4, ... cells."""

    def __init__(self, values: Array) -> None:
        self._table = [values]
        width = 1
        while 2 * width <= values.size:
            last = self._table[-1]
            self._table.append(np.minimum(last[:-width], last[width:]))
            width *= 2

    def __call__(self, first: Array, last: Array) -> Array:
        """The smallest value (N,) from each first to each last cell, both included."""
        level = _levels(first, last)
        result = np.empty(first.size)
        for number in np.unique(level).tolist():
            chosen = level == number
            row = self._table[number]
            result[chosen] = np.minimum(row[first[chosen]], row[last[chosen] + 1 - (1 << number)])
        return result


def lowered(size: int, first: Array, last: Array, values: Array) -> Array:
    """The smallest value of all ranges that each of the cells is in; infinite where it is in none."""
    level = _levels(first, last)
    result = np.full(0, np.inf)
    for number in range(size.bit_length() - 1, -1, -1):
        width = 1 << number
        cells = np.full(size + 1 - width, np.inf)
        chosen = level == number
        for begin in (first[chosen], last[chosen] + 1 - width):
            np.minimum.at(cells, begin, values[chosen])
        if result.size:  # ranges of twice the width
            cells[: result.size] = np.minimum(cells[: result.size], result)
            cells[width : width + result.size] = np.minimum(cells[width : width + result.size], result)
        result = cells
    return result


def _levels(first: Array, last: Array) -> Array:
    """The largest power of two, by its exponent, that is not larger than a range."""
    return np.frexp((last - first + 1).astype(np.float64))[1] - 1
