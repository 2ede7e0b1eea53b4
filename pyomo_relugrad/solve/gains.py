"""How much a search has to gain so that proofs and bounds wait for it."""

from __future__ import annotations

import math

#: Gains that are smaller shares of the value and of the gap keep nobody waiting.
SMALL_OF_VALUE, SMALL_OF_GAP = 1e-3, 1e-2


def least_gain(objective: float, bound: float) -> float:
    """The gain from which on a search is not in vain, by what it has found and what is proven.

    >>> least_gain(-10.0, -10.5), least_gain(-10.0, -math.inf)
    (0.005, 0.01)
    """
    of_gap = SMALL_OF_GAP * (objective - bound) if math.isfinite(bound) else math.inf
    return min(SMALL_OF_VALUE * abs(objective), of_gap)
