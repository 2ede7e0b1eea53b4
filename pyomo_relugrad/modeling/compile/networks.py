"""Networks of a model brought into the form that `Problem` asks for: no column written twice, no circle."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field


@dataclass
class _Outputs:
    """Output columns of each network, and the fresh columns that took the place of some."""

    columns: list[list[int]]
    n_columns: int
    originals: list[int] = field(default_factory=list)

    def freshen(self, network: int, position: int) -> None:
        """Let a network write a fresh column instead."""
        self.originals.append(self.columns[network][position])
        self.columns[network][position] = self.n_columns + len(self.originals) - 1


def separate_outputs(
    inputs: Sequence[Sequence[int]], outputs: Sequence[Sequence[int]], n_columns: int
) -> tuple[list[list[int]], list[int]]:
    """Give fresh columns to outputs that are written before, or that close a circle of networks.

    Parameters
    ----------
    inputs, outputs : sequences of sequences of int
        Columns that each network reads and writes.
    n_columns : int
        Fresh columns are numbered from here.

    Returns
    -------
    outputs : list of lists of int
        In the same order, all different.
    originals : list of int
        For each fresh column, the column that must be equal to it.

    Examples
    --------
    Two networks write column 1; a third reads and writes column 2:

    >>> separate_outputs([[0], [0], [2]], [[1], [1], [2]], n_columns=3)
    ([[1], [3], [4]], [1, 2])
    """
    result = _Outputs([list(columns) for columns in outputs], n_columns)
    written: set[int] = set()
    for network, columns in enumerate(result.columns):
        for position, column in enumerate(columns):
            if column in written:
                result.freshen(network, position)
            written.add(column)
    _break_circles([set(columns) for columns in inputs], result)
    return result.columns, result.originals


def _break_circles(inputs: Sequence[set[int]], outputs: _Outputs) -> None:
    """Freshen what is read of the first network of each circle."""
    while waiting := _in_circles(inputs, outputs):
        read = set().union(*(inputs[network] for network in waiting))
        for position, column in enumerate(outputs.columns[waiting[0]]):
            if column in read:
                outputs.freshen(waiting[0], position)


def _in_circles(inputs: Sequence[set[int]], outputs: _Outputs) -> list[int]:
    """Networks in circles, or between two: those left when no network is without a reader or without a writer."""
    left = list(range(len(inputs)))
    while True:
        written = {column for network in left for column in outputs.columns[network]}
        read = {column for network in left for column in inputs[network]}
        kept = [n for n in left if inputs[n] & written and not read.isdisjoint(outputs.columns[n])]
        if len(kept) == len(left):
            return left
        left = kept
