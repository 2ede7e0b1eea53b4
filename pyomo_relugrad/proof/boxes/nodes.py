"""Nodes of the search tree, kept as arrays."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np

from pyomo_relugrad.arrays import Array
from pyomo_relugrad.proof.queue import taken


@dataclass(frozen=True, eq=False)
class Nodes:
    """N boxes of all columns, with what is known on them.

    Parameters
    ----------
    lower, upper : (N, n) arrays
    bound : (N,) array
        Lower bounds of the objective on the boxes; NaN says nothing, and is kept as minus infinity.
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

    def __post_init__(self) -> None:
        # Neither above a cutoff nor below it: a node with such a bound would be lost.
        object.__setattr__(self, "bound", np.where(np.isnan(self.bound), -np.inf, self.bound))

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
        return taken(self, which)

    def split(self, columns: Array, low: Array, below: Array, above: Array, high: Array) -> Nodes:
        """Two children of each node: its column from `low` to `below`, or from `above` to `high`."""
        rows = np.arange(len(self))
        twice = self.take(np.concatenate([rows, rows]))
        lower, upper = twice.lower, twice.upper  # new arrays
        both, places = np.arange(len(twice)), np.concatenate([columns, columns])
        lower[both, places] = np.concatenate([low, above])
        upper[both, places] = np.concatenate([below, high])
        return twice
