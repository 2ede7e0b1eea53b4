"""What ties networks together: blocks of columns and rows, and the few rows that link them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy import sparse

from pyomo_relugrad.arrays import Array, Weight
from pyomo_relugrad.problem import EmbeddedExpression, EmbeddedNetwork, Problem
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


@dataclass(frozen=True, eq=False)
class Block:
    """One block as a problem of its own.

    Parameters
    ----------
    problem : Problem
        With the costs of the whole one.
    columns : (k,) int array
        Its columns in the whole problem.
    own : (k,) boolean array
        Those that are the block's alone; others are fixed.
    """

    problem: Problem
    columns: Array
    own: Array

    @classmethod
    def all_of(cls, problem: Problem, blocks: Blocks) -> Iterator[Block]:
        """The blocks of a problem, one after another."""
        functions: list[list[EmbeddedNetwork | EmbeddedExpression]] = [[] for _ in range(blocks.count)]
        for each in problem.functions:
            for number in np.unique(blocks.of_column[each.outputs]):
                if number >= 0:
                    functions[number].append(each)
        for number, own in enumerate(functions):
            yield cls._of(problem, blocks, number, own)

    @classmethod
    def _of(
        cls, problem: Problem, blocks: Blocks, number: int, functions: list[EmbeddedNetwork | EmbeddedExpression]
    ) -> Block:
        is_own = blocks.of_column == number
        parts = [np.flatnonzero(is_own), *(np.concatenate([each.inputs, each.outputs]) for each in functions)]
        columns = np.unique(np.concatenate(parts))
        place = np.full(problem.n_columns, -1)
        place[columns] = np.arange(columns.size)
        chosen = blocks.of_row == number
        rows = problem.rows[chosen]
        elsewhere = np.unique(rows.indices[place[rows.indices] < 0])  # these are fixed
        fixed = rows[:, elsewhere] @ problem.lower[elsewhere]
        renumbered = [each.renumbered(place) for each in functions]
        own = Problem(
            np.where(is_own[columns], problem.cost[columns], 0.0),
            problem.lower[columns],
            problem.upper[columns],
            rows[:, columns],
            problem.row_lower[chosen] - fixed,
            problem.row_upper[chosen] - fixed,
            problem.integers[columns],
            networks=tuple(each for each in renumbered if isinstance(each, EmbeddedNetwork)),
            expressions=tuple(each for each in renumbered if isinstance(each, EmbeddedExpression)),
        )
        return cls(own, columns, is_own[columns])

    def at(self, costs: Array) -> Problem:
        """The block's problem with the given costs (n,) of the whole problem's columns."""
        return replace(self.problem, cost=np.where(self.own, costs[self.columns], 0.0))


def alike(parts: Sequence[Block], links: Weight) -> list[list[int]]:
    """The numbers of blocks that are alike, also in the rows `links` that link them: a list for each kind."""
    links = sparse.csc_array(links)  # columns are taken
    kinds: dict[tuple[object, ...], list[int]] = {}
    for number, part in enumerate(parts):
        kinds.setdefault(_key(part, links), []).append(number)
    return list(kinds.values())


def _key(part: Block, links: Weight) -> tuple[object, ...]:
    """What two blocks have in common that are alike."""
    problem = part.problem
    rows = (problem.rows, links[:, part.columns])
    arrays = [problem.cost, problem.lower, problem.upper, problem.row_lower, problem.row_upper, problem.integers]
    arrays += [part for matrix in rows for part in (matrix.indptr, matrix.indices, matrix.data)]
    networks = [(id(each.network), each.inputs.tobytes(), each.outputs.tobytes()) for each in problem.networks]
    return (*networks, *(array.tobytes() for array in arrays))


def _common_label(labels: Array, places: Array, size: int) -> Array:
    """(size,) the label that all labelled entries of a place have, `_SHARED` where these differ."""
    smallest, largest = np.full(size, np.iinfo(np.int64).max), np.full(size, _FREE)
    labelled = labels != _FREE
    np.minimum.at(smallest, places[labelled], labels[labelled])
    np.maximum.at(largest, places[labelled], labels[labelled])
    some = smallest != np.iinfo(np.int64).max
    return np.where(some & (smallest == largest), largest, np.where(some, _SHARED, _FREE))
