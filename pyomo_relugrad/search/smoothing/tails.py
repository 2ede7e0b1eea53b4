"""Plans whose later decisions are others."""

from __future__ import annotations

import numpy as np

from pyomo_relugrad.arrays import Array
from pyomo_relugrad.problem import Problem

#: Largest change of a decision from one link to the next, in shares of its way to a new level: between these.
SLOWEST, FASTEST = 0.1, 0.5
#: Links by which later decisions are moved.
MAX_SHIFT = 2


class Tails:
    """Draws plans that are a given one up to some link of a chain, and others from there on.

    As a horizon moves on, what has come into it last asks for other decisions, at its end or before; a descent from the
    old plan keeps to their valley. Later decisions are moved by a link or two, so that all that follows comes sooner or
    later, or go to random levels. Decisions that networks read at the same place go to the same level, as ramps:
    constant pieces reach more of the states than independent numbers do. Half of such plans change their levels again.

    Parameters
    ----------
    problem : Problem
    moving : (d,) int array
        The columns that move.
    lower, upper : (n,) arrays
        Between what they are drawn.
    """

    def __init__(self, problem: Problem, moving: Array, lower: Array, upper: Array) -> None:
        self._moving, self._lower, self._upper = moving, lower[moving], upper[moving]
        link, place = np.full(problem.n_columns, -1), np.zeros(problem.n_columns, int)
        for number, stage in reversed(list(enumerate(problem.stages))):
            link[stage.inputs], place[stage.inputs] = number, np.arange(stage.inputs.shape[1])
        self._links, self._link, self._place = len(problem.stages), link[moving], place[moving]
        self._number = np.full((self._links, int(self._place.max(initial=0)) + 1), -1)
        (is_read,) = np.nonzero(self._link >= 0)
        self._number[self._link[is_read], self._place[is_read]] = is_read

    def moved(self, v: Array, count: int, random: np.random.Generator) -> Array:
        """Plans (count, n) like the plan (n,), with later decisions sooner or later.

        In the order of where they begin to differ: the best of each part is the best for its part of the chain.
        """
        V = np.repeat(v[None], count, axis=0)
        begin = np.sort(random.integers(0, self._links, (count, 1)), axis=0)
        shift = random.integers(1, MAX_SHIFT + 1, (count, 1)) * random.choice([-1, 1], (count, 1))
        source = self._number[np.clip(self._link + shift, 0, self._links - 1), self._place]
        is_moved = (self._link >= begin) & (source >= 0)
        decisions = v[self._moving]
        V[:, self._moving] = np.clip(np.where(is_moved, decisions[source], decisions), self._lower, self._upper)
        return V

    def levelled(self, v: Array, count: int, random: np.random.Generator) -> Array:
        """Plans (count, n) like the plan (n,), with later decisions at random levels."""
        V = np.repeat(v[None], count, axis=0)
        begin = random.integers(0, self._links, count)
        self._change(V, begin, random)
        again = random.random(count) < 0.5
        later = random.integers(np.minimum(begin + 1, self._links - 1), self._links)
        self._change(V, np.where(again, later, self._links), random)
        return V

    def _change(self, V: Array, begin: Array, random: np.random.Generator) -> None:
        """Let decisions go to random levels from a link on, in place; those that no network reads stay."""
        levels = random.random((len(V), self._number.shape[1]))[:, self._place]
        slopes = random.uniform(SLOWEST, FASTEST, (len(V), 1))
        shares = np.clip((self._link - begin[:, None] + 1) * slopes, 0.0, 1.0) * (self._link >= 0)
        target = self._lower + levels * (self._upper - self._lower)
        V[:, self._moving] += shares * (target - V[:, self._moving])
