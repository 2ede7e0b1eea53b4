"""Whether a proof will close the gap in time, judged by what its bound has gained."""

from bisect import bisect_right

import numpy as np

from pyomo_relugrad.solve.portfolio import Portfolio

# Seconds of work between two notes of the bound.
NOTE_INTERVAL = 0.1
# The gap falls as a power of the time that is left. Measured gaps fall with powers of 2 (branch and bound over boxes,
# which ends of a sudden) up to exponentially.
POWER = 4


class GapForecast:
    """The bound of one proof over the time that it has worked.

    The fourth root of the gap is taken to go on falling as in the second half of that time; where rounds take ever
    longer, the gap as the power of all work as which it fell there.

    Parameters
    ----------
    portfolio : Portfolio
        Says when a proof stands still, and when it is too young to be judged.
    time_limit : float, optional
        Seconds that are left for everything when the proof begins.
    bound : float, optional
        What is known before it begins.
    in_rounds : bool, optional
        Whether it works in rounds that take ever longer.
    """

    def __init__(
        self, portfolio: Portfolio, time_limit: float = np.inf, bound: float = -np.inf, in_rounds: bool = False
    ) -> None:
        self._portfolio, self._in_rounds = portfolio, in_rounds
        self._young_seconds = min(portfolio.young_seconds, portfolio.young_share * time_limit)
        #: Seconds of work so far.
        self.worked = 0.0
        #: The best bound so far.
        self.bound = bound
        self._times, self._bounds = [0.0], [bound]

    def book(self, seconds: float, bound: float) -> None:
        """Note the bound after so many more seconds of work."""
        self.worked, self.bound = self.worked + seconds, max(bound, self.bound)
        if self.worked - self._times[-1] >= NOTE_INTERVAL:
            self._times.append(self.worked)
            self._bounds.append(self.bound)

    def closes_within(self, seconds: float, objective: float, allowed: float) -> bool:
        """Whether the gap will be closed in time, as `ends_within` says; proofs too young to be judged count as if."""
        return self.worked < self._young_seconds or self.ends_within(seconds, objective, allowed)

    def is_far(self, seconds: float, objective: float, allowed: float) -> bool:
        """Whether the gap counts as large, and will not be closed in time."""
        return self.has_large_gap(objective) and not self.closes_within(seconds, objective, allowed)

    def has_large_gap(self, objective: float) -> bool:
        """Whether the gap counts as large beside the objective, which says nothing where it is zero."""
        return objective != 0.0 and objective - self.bound >= self._portfolio.far_share * abs(objective)

    def ends_within(self, seconds: float, objective: float, allowed: float) -> bool:
        """Whether the gap to an objective will be the allowed one after so many more seconds of work."""
        needed = self.seconds_to_end(objective, allowed)
        return needed < np.inf and needed <= seconds

    def seconds_to_end(self, objective: float, allowed: float) -> float:
        """After how many more seconds of work the gap to an objective will be the allowed one; infinite for never."""
        half = bisect_right(self._times, self.worked / 2.0) - 1
        before, now = objective - self._bounds[half], objective - self.bound
        if not np.isfinite(now) or now > self._portfolio.closing_share * before:
            return np.inf
        if now <= allowed or before == np.inf:
            return 0.0
        if self._in_rounds:
            return self._seconds_of_rounds(before, now, allowed, half)
        before, now, allowed = (max(gap, 0.0) ** (1.0 / POWER) for gap in (before, now, allowed))
        return float((now - allowed) / (before - now) * (self.worked - self._times[half]))

    def _seconds_of_rounds(self, before: float, now: float, allowed: float, half: int) -> float:
        """The same where the gap falls as a power of the work: the one before, until a note, is known."""
        if half == 0 or allowed <= 0.0:
            return np.inf
        power = np.log(before / now) / np.log(self.worked / self._times[half])
        return float(self.worked * ((now / allowed) ** (1.0 / power) - 1.0))
