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
#: Moves that are drawn for each point, from so many; those are left that slopes promise most of.
DRAWN, POOL = 32, 8192
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
    pool : Pool
        Moves that were drawn at random.
    """

    decisions: Decisions
    nearest: Array
    partners: Array
    pool: Pool

    @classmethod
    def of(cls, decisions: Decisions, random: np.random.Generator) -> RunMoves:
        """The moves, by the rows that hold few of the decisions."""
        neighbours = _neighbours(decisions)
        nearest = [_nearest(place, neighbours) for place in range(decisions.columns.size)]
        width = max(map(len, nearest))
        padded = np.array([found + [len(nearest)] * (width - len(found)) for found in nearest])
        partners = _partners(neighbours)
        return cls(decisions, padded, partners, Pool.drawn(padded, partners, random))

    def renewed(self, random: np.random.Generator) -> RunMoves:
        """The same with other moves at random."""
        return replace(self, pool=Pool.drawn(self.nearest, self.partners, random))

    def around(self, X: Array, pull: Array, count: int, random: np.random.Generator) -> Array:
        """Points (count, B, d) around some (B, d): moves at random, rather those with less of ``change @ pull``."""
        n_points, size = X.shape
        lower, drawn = self.decisions.bounds[0], self.pool.block(DRAWN * n_points, random)
        is_one, move = lower < X, np.repeat(np.arange(drawn.sizes.size), drawn.sizes)
        kind = np.where(drawn.are_exchanges, 3, random.integers(3, size=drawn.sizes.size))[move]
        at = move % n_points * size + drawn.places
        before = is_one.ravel()[at]
        after = np.where(kind == 3, before[drawn.others], np.where(kind == 2, ~before, kind == 1))
        pulls = pull.ravel()[at] * (after.astype(np.int8) - before)
        promised = np.add.reduceat(pulls, drawn.starts)
        promised[~np.logical_or.reduceat(after != before, drawn.starts)] = np.inf
        promised = (promised - random.gumbel(size=promised.size)).reshape(DRAWN, n_points)
        best = np.argpartition(promised, count - 1, axis=0)[:count] * n_points + np.arange(n_points)
        moved, (row, position) = np.tile(is_one, (count, 1)), drawn.positions(best.ravel())
        moved[row, drawn.places[position]] = after[position]
        return np.asarray(lower + moved).reshape(count, n_points, size)


@dataclass(frozen=True, eq=False)
class Pool:
    """Some moves: which decisions they change, one move after the other.

    Parameters
    ----------
    places : (p,) int array
        The decisions.
    others : (p,) int array
        For each of them where that one stands which it exchanges its value with, or itself.
    sizes : (m,) int array
        How many decisions each move changes.
    are_exchanges : (m,) boolean array
    """

    places: Array
    others: Array
    sizes: Array
    are_exchanges: Array

    @classmethod
    def drawn(cls, nearest: Array, partners: Array, random: np.random.Generator) -> Pool:
        """Moves of one or two sets of decisions that stand together, or of a set and its partners."""
        first, second = _sets(nearest, random), _sets(nearest, random)
        second[random.random(POOL) >= TWO_SETS] = len(nearest)
        are_exchanges = (random.random(POOL) < EXCHANGES) & (len(partners) > 0)
        if are_exchanges.any():
            other = random.integers(len(partners), size=POOL)
            second = np.where(are_exchanges[:, None], partners[other[:, None], first], second)
        both = np.concatenate([first, second], axis=1)
        is_place = both < len(nearest)
        sizes, position = is_place.sum(axis=1), np.cumsum(is_place).reshape(both.shape) - 1
        others = np.where(are_exchanges[:, None], np.roll(position, first.shape[1], axis=1), position)
        return cls(both[is_place], others[is_place], sizes, are_exchanges)

    @cached_property
    def starts(self) -> Array:
        """(m,) where the decisions of each move begin."""
        return np.cumsum(self.sizes) - self.sizes

    def block(self, count: int, random: np.random.Generator) -> Pool:
        """So many moves that follow each other."""
        first = int(random.integers(self.sizes.size - count + 1))
        begin, sizes = self.starts[first], self.sizes[first : first + count]
        those = slice(begin, begin + sizes.sum())
        exchanges = self.are_exchanges[first : first + count]
        return Pool(self.places[those], self.others[those] - begin, sizes, exchanges)

    def positions(self, moves: Array) -> tuple[Array, Array]:
        """For each decision of some moves the number among these of its move, and where it stands."""
        sizes = self.sizes[moves]
        ends = np.cumsum(sizes)
        within = np.arange(ends[-1]) - np.repeat(ends - sizes, sizes)
        return np.repeat(np.arange(moves.size), sizes), np.repeat(self.starts[moves], sizes) + within


def _sets(nearest: Array, random: np.random.Generator) -> Array:
    """Sets of decisions that stand together (POOL, r): small ones more often."""
    size, longest = nearest.shape
    lengths = (longest + 1.0) ** random.random(POOL)
    chosen = nearest[random.integers(size, size=POOL)]
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
        return np.zeros((0, size + 1), int)
    table = np.array(sorted(series))
    partners = np.full((len(table) - 1, size + 1), size)
    for shift, row in enumerate(partners, start=1):
        row[table] = np.roll(table, shift, axis=0)
    return partners
