"""Whether a proof will close the gap in time, judged by what its bound has gained."""

from __future__ import annotations

from bisect import bisect_right

import numpy as np

# A proof stands still where the second half of its time has not brought the gap down to this share; a young one, that
# has worked for less than so many seconds, is not judged yet.
CLOSING, YOUNG_SECONDS = 0.9, 2.0
# Seconds of work between two notes of the bound.
NOTE_INTERVAL = 0.1


class GapForecast:
    """The bound of one proof over the time that it has worked.

    The gap is taken to go on falling as in the second half of that time, by the same share in the same time.
    """

    def __init__(self) -> None:
        self._worked, self._bound = 0.0, -np.inf
        self._times, self._bounds = [0.0], [-np.inf]

    def book(self, seconds: float, bound: float) -> None:
        """Note the bound after so many more seconds of work."""
        self._worked, self._bound = self._worked + seconds, bound
        if self._worked - self._times[-1] >= NOTE_INTERVAL:
            self._times.append(self._worked)
            self._bounds.append(bound)

    def closes_within(self, seconds: float, objective: float, allowed: float) -> bool:
        """Whether the gap to an objective will be the allowed one after so many more seconds of work."""
        if self._worked < YOUNG_SECONDS:
            return True
        half = bisect_right(self._times, self._worked / 2.0) - 1
        before, now = objective - self._bounds[half], objective - self._bound
        if not np.isfinite(now) or now > CLOSING * before:
            return False
        if now <= allowed or before == np.inf:
            return True
        # With both gaps to a common base, time is proportional to the logarithm of what the gap falls by.
        needed = np.log(now / max(allowed, np.finfo(float).tiny)) / np.log(before / now)
        return bool(needed * (self._worked - self._times[half]) <= seconds)
