"""Nodes of the search tree, kept as arrays, and the queue from which the most promising are taken."""

from __future__ import annotations

import heapq
from dataclasses import dataclass, fields

import numpy as np

from pyomo_relugrad.arrays import Array


@dataclass(frozen=True, eq=False)
class Nodes:
    """N boxes of all columns, with what is known on them.

    Parameters
    ----------
    lower, upper : (N, n) arrays
    bound : (N,) array
        Lower bounds of the objective on the boxes.
    states : (N, S) int8 array
        ReLUs known to be active (1) or inactive (-1), of all embedded networks.
    slopes : (N, T) float32 array
        Lower slopes of the objective's function, to begin with in smaller boxes; NaN where there are none.
    costs : (N, C) array
        A linear function of the columns that is below the objective wherever the rows are met, as from multipliers of
        the rows; C is 0 where there are no rows.
    constant : (N,) array
        Its constant.
    """

    lower: Array
    upper: Array
    bound: Array
    states: Array
    slopes: Array
    costs: Array
    constant: Array

    @classmethod
    def whole(cls, lower: Array, upper: Array, neurons: int, cost: Array, constant: float = 0.0) -> Nodes:
        """One node, the box (n,) of all columns."""
        return cls(
            lower[None],
            upper[None],
            np.array([-np.inf]),
            np.zeros((1, neurons), np.int8),
            np.full((1, neurons), np.nan, np.float32),
            cost[None],
            np.array([constant]),
        )

    @classmethod
    def joined(cls, parts: list[Nodes]) -> Nodes:
        """Several sets of nodes as one."""
        return cls(*(np.concatenate([getattr(part, field.name) for part in parts]) for field in fields(cls)))

    def __len__(self) -> int:
        return len(self.bound)

    def take(self, which: Array) -> Nodes:
        """Some of the nodes, by index or mask."""
        return Nodes(*(getattr(self, field.name)[which] for field in fields(self)))

    def split(self, columns: Array, low: Array, below: Array, above: Array, high: Array) -> Nodes:
        """Two children of each node: its column from `low` to `below`, or from `above` to `high`."""
        rows = np.arange(len(self))
        twice = self.take(np.concatenate([rows, rows]))
        lower, upper = twice.lower, twice.upper  # new arrays
        both, places = np.arange(len(twice)), np.concatenate([columns, columns])
        lower[both, places] = np.concatenate([low, above])
        upper[both, places] = np.concatenate([below, high])
        return twice


class NodeQueue:
    """Waiting nodes, smallest bound first. The arrays grow as needed and their rows are used again."""

    def __init__(self) -> None:
        self._heap: list[tuple[float, int]] = []
        self._free: list[int] = []
        self._store: Nodes | None = None

    def __len__(self) -> int:
        return len(self._heap)

    @property
    def bound(self) -> float:
        """The smallest bound of a waiting node; infinite where none waits."""
        return self._heap[0][0] if self._heap else np.inf

    def add(self, nodes: Nodes) -> None:
        """Put nodes into the queue."""
        if not len(nodes):
            return
        self._reserve(nodes)
        slots = [self._free.pop() for _ in range(len(nodes))]
        for field in fields(Nodes):
            getattr(self._store, field.name)[slots] = getattr(nodes, field.name)
        for bound, slot in zip(nodes.bound.tolist(), slots, strict=True):
            heapq.heappush(self._heap, (bound, slot))

    def take(self, count: int) -> Nodes:
        """Remove and return up to `count` nodes with the smallest bounds; the queue must not be empty."""
        slots = [heapq.heappop(self._heap)[1] for _ in range(min(count, len(self._heap)))]
        self._free.extend(slots)
        assert self._store is not None
        return self._store.take(np.array(slots, dtype=np.int64))

    def _reserve(self, nodes: Nodes) -> None:
        """Have at least as many free rows as there are nodes."""
        if len(self._free) >= len(nodes):
            return
        old = 0 if self._store is None else len(self._store)
        new = max(2 * old, old + len(nodes), 64)
        parts = []
        for field in fields(Nodes):
            like = getattr(nodes, field.name)
            array = np.empty((new, *like.shape[1:]), like.dtype)
            if self._store is not None:
                array[:old] = getattr(self._store, field.name)
            parts.append(array)
        self._store = Nodes(*parts)
        self._free.extend(range(old, new))
