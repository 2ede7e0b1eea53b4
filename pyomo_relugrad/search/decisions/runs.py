"""Moves of binaries: some that stand together are set to the same value, or all change theirs."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from pyomo_relugrad.arrays import Array
from pyomo_relugrad.search.decisions.decisions import Decisions

#: Rows with more decisions do not make them stand together.
MAX_TOGETHER = 4
#: Binaries that are moved together at most.
MAX_RUN = 32
#: Sets that are drawn at a time, from so many.
DRAWN, POOL = 16, 8192
#: Entries of the sets at most.
MAX_POOL_ENTRIES = 2**23
#: How often two sets of binaries are moved.
TWO_SETS = 0.2
#: A pull that is none beside others, and the least that is drawn at random.
TINY, SMALL = 1e-6, 1e-30


@dataclass(frozen=True, eq=False)
class RunMoves:
    """Random moves of binaries that rows join: plants that run for some hours, say.

    Parameters
    ----------
    decisions : Decisions
        All of them binary.
    nearest : (d, r) int array
        For each decision itself and those that stand nearest to it; `d` where there are fewer.
    partners : (s, d) int array
        For each decision those that have its place in other series, the same hour of other plants, say. Empty where
        decisions make no series of the same length.
    pool : (m, d) array
        Sets of decisions that were drawn at random, as rows of zeros and ones.
    """

    decisions: Decisions
    nearest: Array
    partners: Array
    pool: Array

    @classmethod
    def of(cls, decisions: Decisions, random: np.random.Generator) -> RunMoves:
        """The moves, by the rows that hold few of the decisions."""
        neighbours = _neighbours(decisions)
        nearest = [_nearest(place, neighbours) for place in range(decisions.columns.size)]
        width = max(map(len, nearest))
        padded = np.array([found + [len(nearest)] * (width - len(found)) for found in nearest])
        return cls(decisions, padded, _partners(neighbours), _pool(padded, random))

    def renewed(self, random: np.random.Generator) -> RunMoves:
        """The same with other moves at random."""
        return replace(self, pool=_pool(self.nearest, random))

    @cached_property
    def _lower(self) -> Array:
        """The smaller values, in single precision where it holds them."""
        lower = self.decisions.bounds[0]
        return lower.astype(np.float32) if (np.abs(lower) < 2**24).all() else lower

    def around(self, X: Array, pull: Array, random: np.random.Generator) -> Array:
        """Points (B, count, d) around some (B, d), rather those with less of ``change @ pull``.

        The same few sets are drawn for all points. One is switched on, one off, one over, and one is exchanged with its
        partners: each time one that promises much, by chance.
        """
        n_points, size = X.shape
        first = int(random.integers(len(self.pool) - DRAWN + 1))
        lower, sets = self._lower, self.pool[first : first + DRAWN]
        is_one = lower < X
        changes = [~is_one, is_one, np.ones_like(is_one)]
        # A set that changes nothing is told by a pull of exactly zero, and so no other one has it.
        pull = (pull + TINY * (1.0 + random.random(size))).astype(np.float32)
        pulls = [pull * ~is_one, -pull * is_one]
        if len(self.partners):
            partner = self.partners[int(random.integers(len(self.partners)))]
            changes.append(is_one ^ is_one.take(partner, axis=1))
            upward = pull * (1 - 2 * is_one.astype(np.int8))
            pulls.append((upward + upward.take(partner, axis=1)) * changes[-1])
        on, off, *swaps = np.reshape(np.concatenate(pulls) @ sets.T, (len(pulls), n_points, DRAWN))
        promised = np.concatenate([on, off, on + off, *swaps], axis=1)
        keys = np.log(random.standard_exponential(promised.shape, np.float32) + SMALL) + promised  # Gumbel's trick
        keys[promised == 0.0] = np.inf
        best = keys.reshape(n_points, -1, DRAWN).argmin(axis=2)
        moved = (sets > 0)[best] & np.stack(changes, axis=1)
        if len(self.partners):
            moved[:, -1] |= moved[:, -1].take(np.argsort(partner), axis=1)
        moved ^= is_one[:, None]
        return np.asarray(lower + moved.astype(np.float32))


def _pool(nearest: Array, random: np.random.Generator) -> Array:
    """Sets of decisions that stand together, or two of them, as rows of zeros and ones."""
    size = len(nearest)
    count = int(np.clip(MAX_POOL_ENTRIES // size, DRAWN, POOL))
    first, second = _sets(nearest, count, random), _sets(nearest, count, random)
    second[random.random(count) >= TWO_SETS] = size
    pool = np.zeros((count, size + 1), np.float32)
    np.put_along_axis(pool, np.concatenate([first, second], axis=1), 1.0, axis=1)
    return pool[:, :size]


def _sets(nearest: Array, count: int, random: np.random.Generator) -> Array:
    """Sets of decisions that stand together (count, r): small ones more often."""
    size, longest = nearest.shape
    lengths = (longest + 1.0) ** random.random(count)
    chosen = nearest[random.integers(size, size=count)]
    return np.where(np.arange(longest) < np.floor(lengths)[:, None], chosen, size)


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
        return np.zeros((0, size), int)
    table = np.array(sorted(series))
    partners = np.empty((len(table) - 1, size), int)
    for shift, row in enumerate(partners, start=1):
        row[table] = np.roll(table, shift, axis=0)
    return partners
