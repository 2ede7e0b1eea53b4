"""A search that ends when it has been in vain for long, though there is time left."""

from __future__ import annotations

import math

from pyomo_relugrad.problem import Incumbent
from pyomo_relugrad.run import Clock, Options, Report, Stop, Worker
from pyomo_relugrad.solve.local_search import LocalSearch

#: Seconds of a search at least: by then every part of it has had its turn.
LEAST_SECONDS = 15.0
#: Time without a better point after which none is expected, in units of what it took to the best one.
VAIN = 2.0


class UntilStagnation(Worker):
    """A search that ends once it has looked for a better point twice as long as it took to find the best one.

    Only where time alone is limited, so that a seed gives the same answer where steps are; and not where more points
    than one are wanted, which come to no objective.

    Parameters
    ----------
    own : Worker
        The search, with others beside it.
    search : LocalSearch
        It goes on while its method expects to gain.
    options : Options
    clock : Clock
        Of the whole run.
    """

    def __init__(self, own: Worker, search: LocalSearch, options: Options, clock: Clock) -> None:
        self._own, self._search, self._clock = own, search, clock
        self._may_end = clock.has_time_limit and options.solutions == 1
        self._last_gain = math.inf

    def step(self) -> Report:
        """A step of the search, or the end: what the step before found has been offered by then."""
        now = self._clock.elapsed
        is_over = (
            self._may_end
            and not self._search.budget.is_unsettled
            and now >= max(LEAST_SECONDS, (1.0 + VAIN) * self._last_gain)
        )
        return Report(stop=Stop.FINISHED, reason=self._reason(now)) if is_over else self._own.step()

    def offer(self, point: Incumbent) -> bool:
        """Take note of the incumbent."""
        if point.is_feasible:
            self._last_gain = self._clock.elapsed
        return self._own.offer(point)

    def close(self) -> tuple[Report, ...]:
        """Stop the search."""
        return self._own.close()

    def _reason(self, now: float) -> str:
        return f"no better point in {now - self._last_gain:.0f} s, the best one took {self._last_gain:.1f} s"
