"""Descents side by side, by moves of a few decisions at a time."""

from __future__ import annotations

from collections import defaultdict

import numpy as np

from pyomo_relugrad.arrays import Array
from pyomo_relugrad.search.decisions.decisions import Decisions
from pyomo_relugrad.search.decisions.landscape import Landscape
from pyomo_relugrad.search.decisions.moves import Moves

#: Groups of decisions that are moved at most to leave a point.
MAX_KICKS = 3


class Descents:
    """Points that go down, each to the best of its moves.

    Parameters
    ----------
    decisions : Decisions
    landscape : Landscape
    moves : list of Moves
        By groups, one of which moves in each step.
    count : int
        Points.
    rung : int
        Steps from one comparison of descents from new points to the next.
    random : Generator
    """

    def __init__(
        self,
        decisions: Decisions,
        landscape: Landscape,
        moves: list[Moves],
        count: int,
        rung: int,
        random: np.random.Generator,
    ) -> None:
        self._decisions, self._landscape, self._moves, self._random = decisions, landscape, moves, random
        self._halving = SuccessiveHalving(rung)
        self._points = np.zeros((decisions.problem.n_columns, count))
        #: Merits of the points, steps that each has taken, and those in a row that brought nothing.
        self.merits, self.steps, self.vain = np.full(count, np.inf), np.zeros(count, int), np.zeros(count, int)
        self._are_new = np.zeros(count, bool)

    def best(self) -> tuple[Array, float]:
        """The decisions (d,) of the lowest point, and its merit."""
        lowest = int(self.merits.argmin())
        return self._points[self._decisions.columns, lowest], float(self.merits[lowest])

    def lowest(self, count: int) -> Array:
        """The decisions (count, d) of the lowest points."""
        return self._points[np.ix_(self._decisions.columns, self.merits.argsort()[:count])].T

    def begin_anywhere(self, which: Array, count: int) -> None:
        """Begin some descents, by number, each at the best of so many random points."""
        X = self._decisions.random(which.size * count, self._random)
        self._begin(which, X.reshape(which.size, count, X.shape[1]), are_new=True)

    def begin_near(self, which: Array, x: Array) -> None:
        """Begin some descents, by number, each at decisions (d,) of which some groups are moved anywhere."""
        self._begin(which, self._kicked(x, which.size)[:, None], are_new=False)

    def _begin(self, which: Array, X: Array, are_new: bool) -> None:
        """Begin descents (k,) at the best of some decisions (k, s, d) for each."""
        if which.size == 0:
            return
        V = self._landscape.points(X.reshape(-1, X.shape[2]))
        merits = self._landscape.merit(V).reshape(X.shape[:2])
        first = merits.argmin(axis=1)
        self._points[:, which] = V.reshape(*X.shape[:2], -1)[np.arange(len(X)), first].T
        self.merits[which], self._are_new[which] = merits.min(axis=1), are_new
        self.steps[which] = self.vain[which] = 0

    def step(self, count: int) -> Array:
        """Move each point to the best of some others; booleans: which of them fall behind."""
        moves = self._moves[int(self._random.integers(len(self._moves)))]
        X = self._points[self._decisions.columns[moves.places]].T
        merits, tried = moves.tried(self._points, moves.around(X, count, self._random))
        lowest, each = merits.argmin(axis=1), np.arange(len(X))
        gains = merits[:, 0] - merits[each, lowest]
        better = np.flatnonzero(gains > 1e-9 * np.maximum(1e-3, np.abs(self.merits)))
        self.steps, self.vain = self.steps + 1, self.vain + 1
        self.merits[better] -= gains[better]
        self.vain[better] = 0
        self._points[np.ix_(moves.changed, better)] = tried[np.ix_(moves.changed, better * count + lowest[better])]
        behind = np.zeros(len(X), bool)
        for index in np.flatnonzero(self._are_new):
            behind[index] = self._halving.is_behind(int(self.steps[index]), float(self.merits[index]))
        return behind

    def _kicked(self, x: Array, count: int) -> Array:
        """Decisions (count, d) of which some are anywhere, others as in one (d,)."""
        X = np.tile(x, (count, 1))
        for row in X:
            for _ in range(int(self._random.integers(1, MAX_KICKS + 1))):
                places = self._moves[int(self._random.integers(len(self._moves)))].places
                if len(self._moves) == 1:
                    places = places[Moves.some((1, places.size), self._random)[0]]
                row[places] = self._decisions.random(1, self._random)[0, places]
        return X


class SuccessiveHalving:
    """Which descents are worth going on with: at each rung the better half of those that came so far.

    Li and others, "A system for massively parallel hyperparameter tuning" (MLSys 2020), whose descents are trainings.

    Parameters
    ----------
    length : int
        Steps from one rung to the next.
    """

    def __init__(self, length: int) -> None:
        self._length = length
        self._values: defaultdict[int, list[float]] = defaultdict(list)

    def is_behind(self, steps: int, value: float) -> bool:
        """Whether a descent that has come to a value is in the worse half."""
        if steps % self._length:
            return False
        self._values[steps].append(value)
        return value > float(np.median(self._values[steps]))
