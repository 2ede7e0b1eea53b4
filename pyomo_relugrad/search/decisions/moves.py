"""Moves of a few decisions that networks see through the same inputs: what follows from all others is held."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.sparse.csgraph import connected_components

from pyomo_relugrad.arrays import Array
from pyomo_relugrad.search.decisions.decisions import Decisions
from pyomo_relugrad.search.decisions.landscape import Landscape
from pyomo_relugrad.search.decisions.steps import Filling

#: Points at which it is seen which inputs of networks a decision changes.
SAMPLES = 16
#: Inputs that two decisions of a group change both, as a share of those that one of them changes.
SHARED = 0.5
#: Share of the moves to where binaries switch, if there are such places, and of those to anywhere.
AT_KINKS, ANYWHERE = 0.25, 0.3
#: The others have a normal distribution of a scale down to this share of the range.
SMALLEST_SCALE = 1e-3


@dataclass(frozen=True, eq=False)
class Moves:
    """Random moves of some decisions, small and large, and their merits.

    Parameters
    ----------
    decisions : Decisions
    places : (k,) int array
        The decisions that move, by number.
    steps : tuple of Filling
        By which other columns follow from these decisions.
    changed, held : int arrays
        The columns that may change, and those that this depends on besides.
    landscape : Landscape
        What these columns add to the merit.
    """

    decisions: Decisions
    places: Array
    steps: tuple[Filling, ...]
    changed: Array
    held: Array
    landscape: Landscape

    @classmethod
    def of(cls, decisions: Decisions, places: Array, landscape: Landscape) -> Moves:
        """The moves of some decisions."""
        follows = set(decisions.columns[places].tolist())
        limited = [step.limited(follows) for step in decisions.steps]
        steps, changed = tuple(step for step in limited if step is not None), np.array(sorted(follows))
        part = landscape.limited(changed)
        reads = np.concatenate([part.reads, *(step.reads for step in steps)])
        return cls(decisions, places, steps, changed, np.setdiff1d(reads, changed), part)

    def around(self, X: Array, count: int, random: np.random.Generator) -> Array:
        """Values (B, count, k) of these decisions around those of some points (B, k); the first ones are the same."""
        problem, columns = self.decisions.problem, self.decisions.columns[self.places]
        lower, upper, shape = problem.lower[columns], problem.upper[columns], (len(X), count, columns.size)
        scales = SMALLEST_SCALE ** random.random((*shape[:2], 1)) * (upper - lower)
        near = np.clip(X[:, None] + scales * random.normal(size=shape), lower, upper)
        moved, kind = random.uniform(lower, upper, shape), random.random((*shape[:2], 1))
        for index, kinks in enumerate(self.decisions.kinks[place] for place in self.places):
            if kinks.size:
                at_kinks = kinks[random.integers(kinks.size, size=shape[:2])]
                moved[..., index] = np.where(kind[..., 0] < AT_KINKS, at_kinks, moved[..., index])
        moved = np.where(kind < AT_KINKS + ANYWHERE, moved, near)
        moved = np.where(problem.integers[columns], np.round(moved), moved)
        chosen = self.some(shape, random)
        chosen[:, 0] = False
        return np.where(chosen, moved, X[:, None])

    @staticmethod
    def some(shape: tuple[int, ...], random: np.random.Generator) -> Array:
        """Which decisions move, as masks: few of them more often."""
        numbers = np.floor((shape[-1] + 1.0) ** random.random(shape[:-1]))
        return np.asarray(random.random(shape).argsort(axis=-1) < numbers[..., None])

    def tried(self, V: Array, X: Array) -> tuple[Array, Array]:
        """What follows from points (n, B) with values (B, count, k) of these decisions: merits (B, count) and columns.

        Merits are less those of what is held. Of the columns (n, B * count) only those that may change are set.
        """
        tried = np.empty((len(V), X.shape[0] * X.shape[1]))
        tried[self.held] = np.repeat(V[self.held], X.shape[1], axis=1)
        tried[self.decisions.columns[self.places]] = X.reshape(-1, X.shape[2]).T
        for step in self.steps:
            step.fill(tried)
        return self.landscape.merit(tried.T).reshape(X.shape[:2]), tried


def moves_by_groups(decisions: Decisions, landscape: Landscape, random: np.random.Generator) -> list[Moves]:
    """Moves of decisions that change the same inputs of networks, and of all those that share theirs with none."""
    labels = connected_components(_shares_inputs(decisions, random), directed=False)[1]
    is_single = (np.bincount(labels) == 1)[labels]
    labels[is_single] = -1
    return [Moves.of(decisions, np.flatnonzero(labels == label), landscape) for label in np.unique(labels)]


def _shares_inputs(decisions: Decisions, random: np.random.Generator) -> Array:
    """(d, d) booleans: which two decisions change mostly the same inputs, by what changes at some points."""
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
    return np.asarray(shared >= SHARED * either)
