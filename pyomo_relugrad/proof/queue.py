"""Waiting nodes of a search tree, from which the most promising are taken."""

import heapq
from dataclasses import fields
from typing import Any, ClassVar, Generic, Protocol, TypeVar

import numpy as np

from pyomo_relugrad.arrays import Array


class NodeArrays(Protocol):
    """N nodes as a dataclass of arrays with N rows, one of them the bounds."""

    __dataclass_fields__: ClassVar[dict[str, Any]]

    @property
    def bound(self) -> Array:
        """Lower bounds (N,) of the objective."""


N = TypeVar("N", bound=NodeArrays)


def taken(nodes: N, which: Array) -> N:
    """Some of the nodes, by index or mask."""
    return type(nodes)(*(getattr(nodes, field.name)[which] for field in fields(nodes)))


class NodeQueue(Generic[N]):
    """Waiting nodes, smallest bound first. The arrays grow as needed and their rows are used again."""

    def __init__(self) -> None:
        self._heap: list[tuple[float, int]] = []
        self._free: list[int] = []
        self._store: N | None = None

    def __len__(self) -> int:
        return len(self._heap)

    @property
    def bound(self) -> float:
        """The smallest bound of a waiting node; infinite where none waits."""
        return self._heap[0][0] if self._heap else np.inf

    def add(self, nodes: N) -> None:
        """Put nodes into the queue."""
        count = len(nodes.bound)
        if not count:
            return
        self._reserve(nodes)
        slots = [self._free.pop() for _ in range(count)]
        for field in fields(nodes):
            getattr(self._store, field.name)[slots] = getattr(nodes, field.name)
        for bound, slot in zip(nodes.bound.tolist(), slots, strict=True):
            heapq.heappush(self._heap, (bound, slot))

    def take(self, count: int) -> N:
        """Remove and return up to `count` nodes with the smallest bounds; the queue must not be empty."""
        slots = [heapq.heappop(self._heap)[1] for _ in range(min(count, len(self._heap)))]
        self._free.extend(slots)
        assert self._store is not None
        return taken(self._store, np.array(slots, dtype=np.int64))

    def _reserve(self, nodes: N) -> None:
        """Have at least as many free rows as there are nodes."""
        count = len(nodes.bound)
        if len(self._free) >= count:
            return
        old = 0 if self._store is None else len(self._store.bound)
        new = max(2 * old, old + count, 64)
        parts = []
        for field in fields(nodes):
            like = getattr(nodes, field.name)
            array = np.empty((new, *like.shape[1:]), like.dtype)
            if self._store is not None:
                array[:old] = getattr(self._store, field.name)
            parts.append(array)
        self._store = type(nodes)(*parts)
        self._free.extend(range(old, new))
