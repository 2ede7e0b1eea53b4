"""How searches and proofs share the time of an exact solve."""

from __future__ import annotations

import numpy as np

# Seconds of the first search, which comes before any proof, and its largest share of the time limit.
FIRST_SEARCH, FIRST_SHARE = 0.2, 0.1
# Seconds of a proof's turn, and the shortest turn of a search.
PROOF_TURN, SHORTEST_SEARCH = 0.5, 0.2
# Seconds between two looks at proofs that work beside a search, in threads of their own.
LOOK_INTERVAL = 0.1
# Searches have this share of the time while there is no incumbent, and while they go on to find better ones; little by
# little the larger one if that is still so between so many seconds. What is proven at once does not come to that.
SEARCH_SHARE, LATE_SHARE, LATE_SECONDS = 0.5, 0.9, (0.1, 0.5)
# A search counts as in vain after this many times the time that it had taken to its last success.
PATIENCE = 1.0


class TimeShares:
    """Keeps account of who worked how long, and says how long the next one may.

    Searches have at least half of the time while there is no incumbent, and as long as they are successful
    afterwards; a search in vain falls back little by little, and never stops: after ``t`` seconds without success its
    share is inversely proportional to ``t``, but it is at least half unless a proof is about to close the gap in time.
    Beside proofs that work in a thread of their own, searches have all of the time instead, and at least half of it
    when they fall back behind a proof that is about to end.

    Parameters
    ----------
    is_closing : bool
        Whether a proof is about to close the gap in time, as whoever runs the proofs judges.
    """

    def __init__(self) -> None:
        self._searched = self._last_success = 0.0
        self._owed = 0.0
        self._has_incumbent = False
        self.is_closing = True

    @property
    def search_share(self) -> float:
        """The share of the time that searches have now."""
        needed = self._last_success if self._has_incumbent else self._searched
        largest = float(np.interp(needed, LATE_SECONDS, (SEARCH_SHARE, LATE_SHARE)))
        share = largest * self._promise if self._has_incumbent else largest
        return share if self.is_closing else max(share, SEARCH_SHARE)

    @property
    def _promise(self) -> float:
        """1 while searches are successful, towards 0 the longer they are in vain."""
        patience = FIRST_SEARCH + PATIENCE * self._last_success
        return min(1.0, patience / max(self._searched, patience))

    @property
    def share_beside(self) -> float:
        """The share of searches beside proofs that need no time of this thread."""
        return max(SEARCH_SHARE, self._promise) if self._has_incumbent and self.is_closing else 1.0

    def book_search(self, seconds: float, found: bool, has_incumbent: bool, beside: bool = False) -> None:
        """Note a turn of the searches, and whether it brought a better point; one beside proofs cost these nothing.

        Proofs that could not take their turns meanwhile do not make up for more than one of them.
        """
        self._searched += seconds
        self._owed = self._owed if beside else max(self._owed - seconds, -PROOF_TURN)
        self._has_incumbent = has_incumbent
        self._last_success = self._searched if found else self._last_success

    def book_proofs(self, seconds: float, has_incumbent: bool) -> None:
        """Note a turn of the proofs: searches get their share of the time for it."""
        self._has_incumbent = has_incumbent
        self._owed += seconds * self.search_share / (1.0 - self.search_share)

    def search_seconds(self) -> float:
        """How long the searches may work now; 0 where it is not their turn."""
        return self._owed if self._owed >= SHORTEST_SEARCH else 0.0

    def longest_step(self, remaining: float) -> float:
        """Seconds after which a single step of a proof is given up: searches must still come to their share."""
        return max(remaining - max(self._owed, 0.0), 0.0) * (1.0 - self.search_share)


def first_search_seconds(time_limit: float) -> float:
    """How long the first search may take."""
    return float(np.fmin(FIRST_SEARCH, FIRST_SHARE * time_limit))
