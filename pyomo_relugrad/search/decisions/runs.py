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
#: Moves that are drawn for each point; those are left that slopes promise most of.
DRAWN = 32
#: How often two sets of binaries are moved, and how often two sets exchange their values.
TWO_SETS, EXCHANGES = 0.2, 0.3


@dataclass(frozen=True, eq=False)
class RunMoves:
    """Random moves of binaries that rows join: plants that run for some hours, say.

    Parameters
    ----------
    decisions : Decisions
        All of them binary.
    nearest : (d, r) int array
        For each decision itself and those that stand nearest to it; `d` where there are fewer.
    partners : (s, d + 1) int array
        For each decision those that have its place in other series, the same hour of other plants, say; `d` for `d`.
        Empty where decisions make no series of the same length.
    """

    decisions: Decisions
    nearest: Array
    partners: Array

    @classmethod
    def of(cls, decisions: Decisions) -> RunMoves:
        """The moves, by the rows that hold few of the decisions."""
        neighbours = _neighbours(decisions)
        nearest = [_nearest(place, neighbours) for place in range(decisions.columns.size)]
        width = max(map(len, nearest))
        padded = [found + [len(nearest)] * (width - len(found)) for found in nearest]
        return cls(decisions, np.array(padded), _partners(neighbours))

    def around(self, X: Array, pull: Array, count: int, random: np.random.Generator) -> Array:
        """Points (count, B, d) around some (B, d): moves at random, rather those with less of ``change @ pull``."""
        n_points, size = X.shape
        places, is_exchange = self._places((DRAWN, n_points), random)
        at = np.arange(n_points)[:, None] * (size + 1) + places
        lower = self.decisions.bounds[0]
        is_one, kind = _padded(lower < X), random.integers(3, size=(DRAWN, n_points, 1))
        before = is_one.ravel()[at]
        after = np.where(kind == 2, ~before, kind == 1) & (places < size)
        after = np.where(is_exchange[..., None], np.roll(before, places.shape[-1] // 2, axis=-1), after)
        pulls = _padded(pull).ravel()[at] * (after.astype(np.int8) - before)
        promised = np.where((after != before).any(axis=-1), pulls.sum(axis=-1), np.inf)
        best = np.argpartition(promised - random.gumbel(size=promised.shape), count - 1, axis=0)[:count, :, None]
        moved = np.tile(is_one, (count, 1, 1))
        np.put_along_axis(moved, np.take_along_axis(places, best, 0), np.take_along_axis(after, best, 0), axis=-1)
        return np.asarray(lower + moved[..., :size])

    def _places(self, shape: tuple[int, int], random: np.random.Generator) -> tuple[Array, Array]:
        """The decisions that moves change (*shape, 2 r), in two sets; and whether these exchange their values."""
        size = len(self.nearest)
        first, second = self._sets(shape, random), self._sets(shape, random)
        second[random.random(shape) >= TWO_SETS] = size
        is_exchange = (random.random(shape) < EXCHANGES) & (len(self.partners) > 0)
        if is_exchange.any():
            other = random.integers(len(self.partners), size=shape)
            second = np.where(is_exchange[..., None], self.partners[other[..., None], first], second)
        return np.concatenate([first, second], axis=-1), is_exchange

    def _sets(self, shape: tuple[int, int], random: np.random.Generator) -> Array:
        """Sets of decisions that stand together (*shape, r): small ones more often."""
        size, longest = self.nearest.shape
        lengths = (longest + 1.0) ** random.random(shape)
        chosen = self.nearest[random.integers(size, size=shape)]
        return np.where(np.arange(longest) < np.floor(lengths)[..., None], chosen, size)


def _padded(values: Array) -> Array:
    """Values (..., d + 1) of decisions, zero for one that is none."""
    return np.concatenate([values, np.zeros((*values.shape[:-1], 1), values.dtype)], axis=-1)


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


def _nearest(place: int, neighbours: list[set[int]], most: float = MAX_RUN) -> list[int]:
    """A decision and those nearest to it."""
    found, waiting = [place], deque([place])
    while waiting and len(found) < most:
        for other in sorted(neighbours[waiting.popleft()]):
            if other not in found and len(found) < most:
                found.append(other)
                waiting.append(other)
    return found


def _partners(neighbours: list[set[int]]) -> Array:
    """For each decision those with its place in the other series."""
    size = len(neighbours)
    series = {tuple(sorted(_nearest(place, neighbours, np.inf))) for place in range(size)}
    if len(series) < 2 or len({len(one) for one in series}) > 1:
        return np.zeros((0, size + 1), int)
    table = np.array(sorted(series))
    partners = np.full((len(table) - 1, size + 1), size)
    for shift, row in enumerate(partners, start=1):
        row[table] = np.roll(table, shift, axis=0)
    return partners
