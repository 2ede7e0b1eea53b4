"""Moves of binaries: some that stand together are set to the same value, or all change theirs."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

import numpy as np

from pyomo_relugrad.arrays import Array
from pyomo_relugrad.search.decisions.decisions import Decisions

#: Rows with more decisions do not make them stand together.
MAX_TOGETHER = 4
#: Binaries that are moved together at most.
MAX_RUN = 32
#: How often two sets of binaries are moved.
TWO_SETS = 0.2


@dataclass(frozen=True, eq=False)
class RunMoves:
    """Random moves of binaries that rows join: plants that run for some hours, say.

    Parameters
    ----------
    decisions : Decisions
        All of them binary.
    nearest : (d, r) int array
        For each decision itself and those that stand nearest to it; `d` where there are fewer.
    """

    decisions: Decisions
    nearest: Array

    @classmethod
    def of(cls, decisions: Decisions) -> RunMoves:
        """The moves, by the rows that hold few of the decisions."""
        neighbours = _neighbours(decisions)
        return cls(decisions, np.array([_nearest(place, neighbours) for place in range(decisions.columns.size)]))

    def around(self, X: Array, count: int, random: np.random.Generator) -> Array:
        """Points (count, B, d) around some (B, d), each of them moved `count` times."""
        n_points, size = X.shape
        shape = (count, n_points)
        moved = self._sets(shape, random) | (self._sets(shape, random) & (random.random((*shape, 1)) < TWO_SETS))
        lower, upper = self.decisions.bounds
        kind = random.integers(3, size=(*shape, 1))
        values = np.where(kind == 0, lower, np.where(kind == 1, upper, lower + upper - X))
        return np.asarray(np.where(moved, values, X)).reshape(count, n_points, size)

    def _sets(self, shape: tuple[int, int], random: np.random.Generator) -> Array:
        """Sets of decisions that stand together, as masks: small ones more often."""
        size, longest = self.nearest.shape
        lengths = np.minimum(longest ** random.random(shape), longest).astype(int)
        chosen = self.nearest[random.integers(size, size=shape)]
        chosen = np.where(np.arange(longest) < np.maximum(lengths, 1)[..., None], chosen, size)
        masks = np.zeros((*shape, size + 1), bool)
        np.put_along_axis(masks, chosen, True, axis=-1)
        return masks[..., :size]


def _neighbours(decisions: Decisions) -> list[set[int]]:
    """For each decision the others in rows with few of them."""
    problem, columns = decisions.problem, decisions.columns
    place = np.full(problem.n_columns, -1)
    place[columns] = np.arange(columns.size)
    neighbours: list[set[int]] = [set() for _ in range(columns.size)]
    rows = problem.rows
    for begin, end in zip(rows.indptr[:-1], rows.indptr[1:], strict=True):
        together = [index for index in place[rows.indices[begin:end]].tolist() if index >= 0]
        if 2 <= len(together) <= MAX_TOGETHER:
            for index in together:
                neighbours[index] |= set(together) - {index}
    return neighbours


def _nearest(place: int, neighbours: list[set[int]]) -> list[int]:
    """A decision and those nearest to it, filled up with a number that is none."""
    found, waiting = [place], deque([place])
    while waiting and len(found) < MAX_RUN:
        for other in sorted(neighbours[waiting.popleft()]):
            if other not in found and len(found) < MAX_RUN:
                found.append(other)
                waiting.append(other)
    return found + [len(neighbours)] * (MAX_RUN - len(found))
