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
    groups : tuple of int arrays
        For each decision the places of those that change the same inputs of networks, itself included.
    """

    decisions: Decisions
    groups: tuple[Array, ...]

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
        together = (shared >= SHARED * either) | np.eye(len(seen), dtype=bool)
        return cls(decisions, tuple(np.flatnonzero(row) for row in together))

    def around(self, x: Array, count: int, random: np.random.Generator) -> Array:
        """Points (count, d) around one (d,)."""
        lower, upper = self.decisions.bounds
        moves = np.zeros((count, x.size), bool)
        for row, kind in zip(moves, random.choice(len(WEIGHTS), count, p=WEIGHTS), strict=True):
            row[self._chosen(int(kind), random)] = True
        scales = SMALLEST_SCALE ** random.random((count, 1)) * (upper - lower)
        near = x + scales * random.normal(size=moves.shape)
        anywhere = random.random((count, 1)) < 0.5
        return self.decisions.rounded(
            np.where(moves, np.where(anywhere, random.uniform(lower, upper, moves.shape), near), x)
        )

    def kicked(self, x: Array, random: np.random.Generator) -> Array:
        """A point (d,) with a group or two somewhere else."""
        x = x.copy()
        for _ in range(int(random.integers(1, MAX_KICKS + 1))):
            group = self.groups[int(random.integers(x.size))]
            x[group] = self.decisions.random(1, random)[0, group]
        return x

    def _chosen(self, kind: int, random: np.random.Generator) -> Array:
        """The places of the decisions that one move changes."""
        size = len(self.groups)
        place = int(random.integers(size))
        group = self.groups[place]
        if kind == 1:
            return random.choice(group, min(2, group.size), replace=False)
        if kind == 2:
            return group
        return np.array([place, int(random.integers(size))]) if kind == 3 else np.array([place])
