"""Walks from good points to vertices beside the descents, with the share of the time that they have earned."""

from collections.abc import Callable, Generator, Iterator
from typing import TypeAlias

import numpy as np

from pyomo_relugrad.arrays import Array
from pyomo_relugrad.problem import Incumbent
from pyomo_relugrad.run import Budget
from pyomo_relugrad.search.descent.elite_pool import ElitePool, PoolMember

Walk: TypeAlias = Generator[Incumbent | None, None, Incumbent]

#: Shares of the time that walks have at least and at most while descents go on.
LEAST_SHARE, LARGEST_SHARE = 0.1, 0.25
#: What remains, after each turn of walks or descents, of the weight of what was before.
MEMORY = 0.9
#: Share of the time limit that is left when the best point is walked from to the end.
LAST_SHARE = 0.15
#: A walk is spared where so many times the largest gain of any walk would not reach the best point.
HOPE = 3.0
#: What remains of that gain after a walk that gains less.
FADING = 0.5


class Polishing:
    """The walks of one search; a walk may stand still while descents go on.

    Where time is limited, walks have the share of it that their gains deserve beside those of the descents, and most of
    the last part. Elsewhere each walk goes to its end at once, so that a seed gives the same answer again.

    Parameters
    ----------
    walk : callable
        Begins a walk at a point (d,), which yields better points, and None after steps that bring none.
    columns : (d,) int array
        Of the points that walks yield.
    pool : ElitePool
    budget : Budget
    step_seconds : float, optional
        About how long the first step of a walk takes; later ones as long as the last. No step is taken where that is
        more than walks may take.
    """

    def __init__(
        self,
        walk: Callable[[Array], Walk],
        columns: Array,
        pool: ElitePool,
        budget: Budget,
        step_seconds: float = 0.0,
    ) -> None:
        self.step_seconds = step_seconds
        self._begin_walk, self._columns, self._pool, self._budget = walk, columns, pool, budget
        self._walk: Walk | None = None
        #: The walk's point, and the value that it began at.
        self._elite, self._start = PoolMember(np.zeros(0), np.inf), np.inf
        self._begin = self._booked = budget.worked
        self._worked = 0.0  # of which in walks
        #: Seconds of the walk so far, and of the last one that came to its end.
        self._this_walk = self._last_walk = 0.0
        self._is_fruitless = False  # whether the walk's last step brought no better point
        self._best, self._largest_gain = np.inf, 0.0
        #: What both have gained, and in how many seconds; what is long past counts for little.
        self._gains, self._seconds = {"walks": 0.0, "descents": 0.0}, {"walks": 0.0, "descents": 0.0}

    def run(self) -> Iterator[Incumbent | None]:
        """Go on with the walk from the best point that deserves one, for as long as walks may take now."""
        if not self._budget.has_time_limit:
            yield from self.to_the_end()
            return
        self._book("descents")
        begin, owed = self._budget.worked, self._owed_seconds
        while self._budget.worked - begin + self.step_seconds < owed or (self._is_last and self._is_at_best):
            if self._budget.is_exhausted() or not self._goes_on():
                break
            yield self._step()
        self._book("walks")

    def afford_whole(self) -> bool:
        """Whether another walk may go to its end at once, by how long the last one took."""
        if not self._budget.has_time_limit:
            return True
        self._book("descents")
        return self._walk is None and max(self._last_walk, self.step_seconds) <= self._owed_seconds

    def booked(self, steps: Iterator[Incumbent | None]) -> Iterator[Incumbent | None]:
        """The steps of a walk of somebody else, which counts among these."""
        yield from steps
        self._book("walks")

    def to_the_end(self) -> Iterator[Incumbent | None]:
        """Walk from the best point that has not been walked from."""
        if not self._budget.is_exhausted() and self._goes_on():
            while self._walk is not None:
                yield self._step()

    def _goes_on(self) -> bool:
        """Whether there is a walk to go on with, from the best point that has not been walked from."""
        least = self._pool.best + HOPE * self._largest_gain if self._largest_gain else np.inf
        waiting = self._pool.unpolished()
        is_passed = self._is_fruitless and waiting is not None and waiting.value < self._elite.value
        if self._walk is not None and (self._elite.value > least or is_passed):  # others are ahead
            self._walk.close()
            self._end_walk()
        if self._walk is None:
            if waiting is None or waiting.value > least or not self._may_begin:
                return False
            self._elite, self._start = self._pool.polished(waiting, waiting.u, waiting.value), waiting.value
            self._walk = self._begin_walk(waiting.u)
        return True

    @property
    def _may_begin(self) -> bool:
        """Whether there is time for a first step."""
        if not self._budget.has_time_limit:
            return True
        may_take = np.inf if self._is_last else self._owed_seconds
        return self.step_seconds <= min(may_take, self._budget.remaining)

    def _step(self) -> Incumbent | None:
        """One step of the walk, whose point takes the place of the one before."""
        assert self._walk is not None
        begin = self._budget.worked
        try:
            point = next(self._walk)
        except StopIteration:
            self._last_walk = self._this_walk
            self._end_walk()
            return None
        self.step_seconds = self._budget.worked - begin
        self._this_walk += self.step_seconds
        self._is_fruitless = point is None
        if point is not None:
            self._elite = self._pool.polished(self._elite, point.values[self._columns], point.objective)
            self._largest_gain = max(self._largest_gain, self._start - point.objective)
        return point

    def _end_walk(self) -> None:
        self._walk, self._this_walk, self._is_fruitless = None, 0.0, False
        self._largest_gain = max(self._start - self._elite.value, self._largest_gain * FADING)

    @property
    def _is_at_best(self) -> bool:
        """Whether the best point is one to walk from, or on its walk."""
        best = self._pool.members[0]
        return not best.is_polished or (self._walk is not None and self._elite is best)

    @property
    def _is_last(self) -> bool:
        return self._budget.remaining < LAST_SHARE * self._budget.time_limit

    @property
    def _owed_seconds(self) -> float:
        """Seconds that walks may take now, by what they and the descents have gained in their time."""
        rates = [self._gains[who] / max(self._seconds[who], 1e-3) for who in ("walks", "descents")]
        share = rates[0] / sum(rates) if sum(rates) > 0 else LARGEST_SHARE
        return float(np.clip(share, LEAST_SHARE, LARGEST_SHARE)) * (self._budget.worked - self._begin) - self._worked

    def _book(self, who: str) -> None:
        now, gain = self._budget.worked, self._best - self._pool.best if np.isfinite(self._best) else 0.0
        for book in (self._gains, self._seconds):
            for each in book:
                book[each] *= MEMORY
        self._gains[who] += gain
        self._seconds[who] += now - self._booked
        self._worked += now - self._booked if who == "walks" else 0.0
        self._best, self._booked = self._pool.best, now
