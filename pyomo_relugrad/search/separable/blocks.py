"""What ties networks together: blocks of columns and rows, and the few rows that link them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pyomo_relugrad.arrays import Array
from pyomo_relugrad.problem import Problem
from pyomo_relugrad.search.separable.tables import network_groups

# Labels of columns that no block has: nothing asks for them, or several blocks do.
_FREE, _SHARED = -1, -2


@dataclass(frozen=True, eq=False)
class Blocks:
    """Blocks that would be problems of their own without the rows that link them.

    Parameters
    ----------
    count : int
    of_column : (n,) int array
        The block of each column, negative where it has none.
    of_row : (m,) int array
        The block of each row, negative where the row links blocks.
    """

    count: int
    of_column: Array
    of_row: Array

    @classmethod
    def of(cls, problem: Problem) -> Blocks:
        """Each group of networks with the columns that rows tie to it alone.

        A row that has columns of one block only takes its other columns into that block, again and again. Columns that
        several blocks ask for at once belong to none.
        """
        label, count = network_groups(problem)
        entries = problem.rows.tocoo()
        row, column = entries.coords
        kept = (entries.data != 0) & ((problem.lower < problem.upper) | problem.is_output)[column]
        row, column = row[kept], column[kept]
        of_row = np.full(problem.n_rows, _FREE)
        while True:
            of_row = _common_label(label[column], row, problem.n_rows)
            asked = (label[column] == _FREE) & (of_row[row] >= 0)
            if not asked.any():
                return cls(count, label, of_row)
            found = _common_label(of_row[row[asked]], column[asked], problem.n_columns)
            label = np.where(found != _FREE, found, label)


def _common_label(labels: Array, places: Array, size: int) -> Array:
    """(size,) the label that all labelled entries of a place have, `_SHARED` where these differ."""
    smallest, largest = np.full(size, np.iinfo(np.int64).max), np.full(size, _FREE)
    labelled = labels != _FREE
    np.minimum.at(smallest, places[labelled], labels[labelled])
    np.maximum.at(largest, places[labelled], labels[labelled])
    some = smallest != np.iinfo(np.int64).max
    return np.where(some & (smallest == largest), largest, np.where(some, _SHARED, _FREE))
