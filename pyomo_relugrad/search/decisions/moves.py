"""Moves of a few decisions: one, or some that networks see through the same inputs."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pyomo_relugrad.arrays import Array
from pyomo_relugrad.search.decisions.decisions import Decisions

#: Points at which it is seen which inputs of networks a decision changes.
SAMPLES = 16
#: Inputs that two decisions of a group change both, as a share of those that one of them changes.
SHARED = 0.5
#: How often one decision is moved, two of a group, a group, two at random.
WEIGHTS = (0.35, 0.3, 0.25, 0.1)
#: Half of the moves are uniform; the others have a normal distribution of a scale down to this share of the range.
SMALLEST_SCALE = 1e-3
#: Groups that are moved at most to leave a point.
MAX_KICKS = 2


@dataclass(frozen=True, eq=False)
class Moves:
    """Random moves, small and large.

    Parameters
    ----------
    decisions : Decisions
    groups : (d, d) boolean array
        For each decision those that change the same inputs of networks, itself included. Where none has another,
        moves take any for its group.
    """

    decisions: Decisions
    groups: Array

    @classmethod
    def of(cls, decisions: Decisions, random: np.random.Generator) -> Moves:
        """The moves, grouped by what changes at some points."""
        X, other = (decisions.random(SAMPLES, random) for _ in range(2))
        inputs = decisions.problem.is_input
        before = decisions.points(X)[:, inputs]
        changes = []
        for place in range(decisions.columns.size):
            moved = X.copy()
            moved[:, place] = other[:, place]
            changes.append((decisions.points(moved)[:, inputs] != before).any(axis=0))
        seen = np.array(changes, float)
        shared = seen @ seen.T
        either = seen.sum(axis=1)[:, None] + seen.sum(axis=1) - shared
        return cls(decisions, (shared >= SHARED * either) | np.eye(len(seen), dtype=bool))

    def around(self, x: Array, count: int, random: np.random.Generator) -> Array:
        """Points (count, d) around one (d,)."""
        lower, upper = self.decisions.bounds
        shape = (count, x.size)
        scales = SMALLEST_SCALE ** random.random((count, 1)) * (upper - lower)
        near = x + scales * random.normal(size=shape)
        anywhere = random.random((count, 1)) < 0.5
        moved = np.where(anywhere, random.uniform(lower, upper, shape), near)
        return self.decisions.rounded(np.where(self._chosen(shape, random), moved, x))

    def kicked(self, x: Array, random: np.random.Generator) -> Array:
        """A point (d,) with a group or two somewhere else."""
        x = x.copy()
        for _ in range(int(random.integers(1, MAX_KICKS + 1))):
            group = self.groups[int(random.integers(x.size))]
            x[group] = self.decisions.random(1, random)[0, group]
        return x

    def _chosen(self, shape: tuple[int, int], random: np.random.Generator) -> Array:
        """Which decisions each move changes, as masks."""
        count, size = shape
        each, kind = np.eye(size, dtype=bool), random.choice(len(WEIGHTS), (count, 1), p=WEIGHTS)
        place, other = random.integers(size, size=(2, count))
        group = self.groups[place]
        if not (self.groups & ~each).any():
            group = (random.random(shape) < 0.5) | each[place]
        in_group = (random.random(shape) * (group & ~each[place])).argmax(axis=1)
        second = np.where(kind == 1, each[in_group] & group, each[other] & (kind == 3))
        return np.where(kind == 2, group, each[place] | second)
