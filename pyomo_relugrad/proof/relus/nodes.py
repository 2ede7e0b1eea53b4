"""Nodes of the search tree: which ReLUs are split, ranges of integers, and multipliers to begin with, as arrays."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np

from pyomo_relugrad.arrays import Array, DTypeLike
from pyomo_relugrad.proof.queue import taken


@dataclass(frozen=True, eq=False)
class Multipliers:
    """What the bound of a node may be chosen by; any numbers in their ranges give a valid one.

    Parameters
    ----------
    alpha : (N, n_relus) array
        Slopes of the lower lines of undecided ReLUs, between 0 and 1.
    beta : (N, n_relus) array
        Multipliers of the splits, not negative; they count where a ReLU is split.
    gamma : (N, m) array
        Multipliers of the rows: positive ones of upper sides, negative ones of lower sides.
    """

    alpha: Array
    beta: Array
    gamma: Array

    @property
    def parts(self) -> tuple[Array, Array, Array]:
        """Slopes, multipliers of splits, multipliers of rows."""
        return self.alpha, self.beta, self.gamma

    def astype(self, dtype: DTypeLike) -> Multipliers:
        """The same in a floating-point type."""
        return Multipliers(*(part.astype(dtype, copy=False) for part in self.parts))

    def where(self, chosen: Array, other: Multipliers) -> Multipliers:
        """Those of the chosen nodes (N,), and the other ones elsewhere."""
        pairs = zip(self.parts, other.parts, strict=True)
        return Multipliers(*(np.where(chosen[:, None], own, others) for own, others in pairs))


@dataclass(frozen=True, eq=False)
class SplitNodes:
    """N nodes.

    Parameters
    ----------
    splits : (N, n_relus) int8 array
        1 where a ReLU is to be active, -1 inactive, 0 where nothing is said.
    lower, upper : (N, k) arrays
        Ranges of the k integer columns.
    alpha, beta, gamma : (N, ...) float32 arrays
        See `Multipliers`.
    bound : (N,) array
        Lower bounds of the objective.
    """

    splits: Array
    lower: Array
    upper: Array
    alpha: Array
    beta: Array
    gamma: Array
    bound: Array

    def bounded(self, multipliers: Multipliers, bound: Array) -> SplitNodes:
        """The nodes with bounds, and the multipliers that give them."""
        return SplitNodes(self.splits, self.lower, self.upper, *multipliers.astype(np.float32).parts, bound)

    @classmethod
    def joined(cls, parts: list[SplitNodes]) -> SplitNodes:
        """Several sets of nodes as one."""
        return cls(*(np.concatenate([getattr(part, field.name) for part in parts]) for field in fields(cls)))

    @property
    def multipliers(self) -> Multipliers:
        """The multipliers to begin with."""
        return Multipliers(self.alpha, self.beta, self.gamma)

    def __len__(self) -> int:
        return len(self.bound)

    def take(self, which: Array) -> SplitNodes:
        """Some of the nodes, by index or mask."""
        return taken(self, which)

    def split(self, relus: Array) -> SplitNodes:
        """Two children of each node: its ReLU with the given number active, then inactive."""
        rows = np.arange(len(self))
        children = self.take(np.concatenate([rows, rows]))  # new arrays
        places = np.arange(len(children)), np.concatenate([relus, relus])
        children.splits[places] = np.repeat(np.array([1, -1], np.int8), len(self))
        return children

    def split_ranges(self, integers: Array, below: Array) -> SplitNodes:
        """Two children of each node: its integer with the given number up to a value, then from the next one on."""
        rows = np.arange(len(self))
        children = self.take(np.concatenate([rows, rows]))
        children.upper[rows, integers] = below
        children.lower[len(self) + rows, integers] = below + 1
        return children
