"""Plans whose later decisions are drawn anew."""

from __future__ import annotations

import numpy as np

from pyomo_relugrad.arrays import Array
from pyomo_relugrad.problem import Problem

#: Links after which a decision has reached its new level: between these.
SHORTEST_RAMP, LONGEST_RAMP = 2, 10


class Tails:
    """Draws plans that are a given one up to some link of a chain, and go to random levels from there on.

    As a horizon moves on, what has come into it last asks for other decisions at its end; a descent from the old plan
    keeps to their valley. Decisions that networks read at the same place go to the same level, as ramps: constant
    pieces reach more of the states than independent numbers do. Half of the plans change their levels once more.

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

    def draw(self, v: Array, count: int, random: np.random.Generator) -> Array:
        """Plans (count, n) like the plan (n,); columns that no network reads are as they were."""
        V = np.repeat(v[None], count, axis=0)
        begin = random.integers(0, self._links, count)
        self._change(V, begin, random)
        again = random.random(count) < 0.5
        later = random.integers(np.minimum(begin + 1, self._links - 1), self._links)
        self._change(V, np.where(again, later, self._links), random)
        return V

    def _change(self, V: Array, begin: Array, random: np.random.Generator) -> None:
        """Let plans go to random levels from a link on, in place."""
        levels = random.random((len(V), int(self._place.max(initial=0)) + 1))[:, self._place]
        slopes = 1.0 / random.uniform(SHORTEST_RAMP, LONGEST_RAMP, (len(V), 1))
        shares = np.clip((self._link - begin[:, None] + 1) * slopes, 0.0, 1.0) * (self._link >= 0)
        target = self._lower + levels * (self._upper - self._lower)
        V[:, self._moving] += shares * (target - V[:, self._moving])
