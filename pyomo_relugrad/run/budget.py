"""The clock of a run, and what one search may spend."""

from __future__ import annotations

import time
from enum import Enum

import numpy as np

from pyomo_relugrad.checks import check_number


class Stop(Enum):
    """Why a run ended: a search, a proof, or both."""

    FINISHED = "finished"
    OPTIMAL = "optimal"
    TIME_LIMIT = "time limit"
    ITERATION_LIMIT = "iteration limit"
    NODE_LIMIT = "node limit"
    TARGET = "target reached"
    CALLBACK = "stopped by the callback"
    INTERRUPTED = "interrupted"
    INFEASIBLE = "infeasible"
    UNBOUNDED = "unbounded"


class Clock:
    """How much time is left.

    Parameters
    ----------
    time_limit : float, optional
        Seconds from the creation of the clock.

    Raises
    ------
    ModelError
        If the time limit is no number, NaN or negative.
    """

    def __init__(self, time_limit: float = np.inf) -> None:
        wanted = "a number of seconds, 0 or more, or infinity for no limit"
        check_number(time_limit, "the time limit", wanted, lambda given: float(given) >= 0.0)
        self._begin = time.perf_counter()
        self.time_limit = float(time_limit)

    @property
    def elapsed(self) -> float:
        """Seconds since the clock was made."""
        return time.perf_counter() - self._begin

    @property
    def remaining(self) -> float:
        """Seconds left, not negative."""
        return max(self.time_limit - self.elapsed, 0.0)

    @property
    def has_time_limit(self) -> bool:
        """Whether there is a limit."""
        return bool(np.isfinite(self.time_limit))

    @property
    def is_over(self) -> bool:
        """Whether no time is left."""
        return self.elapsed >= self.time_limit


class Budget(Clock):
    """What a search may spend, and what it has spent.

    Parameters
    ----------
    time_limit : float, optional
        Seconds from the creation of the budget.
    iteration_limit : int, optional
        Number of batched steps. A search limited by iterations alone gives the same answer for the same seed.
    """

    def __init__(self, time_limit: float = np.inf, iteration_limit: int | None = None) -> None:
        super().__init__(time_limit)
        self.iteration_limit = iteration_limit
        self.iterations = 0
        self.points = 0
        self.stop: Stop | None = None
        #: Whether a method expects to gain, though it may be in vain for long: restarts have not come to the same end.
        self.is_unsettled = False
        self._paused = self._waited = 0.0

    @property
    def worked(self) -> float:
        """Seconds that the search has worked; not those in which it waited for its turn."""
        return self.elapsed - self._waited

    @property
    def is_timed(self) -> bool:
        """Whether seconds count: where iterations alone are limited, the answer must not depend on the machine."""
        return self.iteration_limit is None or self.has_time_limit

    @property
    def spent(self) -> float:
        """What has been spent so far: seconds of work where they count, or iterations."""
        return self.worked if self.is_timed else float(self.iterations)

    @property
    def passed(self) -> float:
        """The same for what has to end in time: seconds of others' turns count too."""
        return self.elapsed if self.is_timed else float(self.iterations)

    def pause(self) -> None:
        """Note that others have their turn now."""
        self._paused = self.elapsed

    def resume(self) -> None:
        """Note that the search goes on after a pause, or begins."""
        self._waited += self.elapsed - self._paused

    @property
    def is_repeatable(self) -> bool:
        """Whether steps are counted or time does not matter, so that the same search is expected to end the same."""
        return self.iteration_limit is not None or not self.has_time_limit

    def count(self, points: int = 0, iterations: int = 1) -> None:
        """Book the evaluation of so many points, in so many batched steps (LP solves count as steps)."""
        self.points += points
        self.iterations += iterations

    def stop_unbounded(self) -> None:
        """Book that the objective improves without end from a feasible point."""
        self.stop = self.stop or Stop.UNBOUNDED

    def is_exhausted(self) -> bool:
        """Whether the search must end now; methods ask between any two batched steps."""
        if self.stop is None and self.iteration_limit is not None and self.iterations >= self.iteration_limit:
            self.stop = Stop.ITERATION_LIMIT
        if self.stop is None and self.is_over:
            self.stop = Stop.TIME_LIMIT
        return self.stop is not None
