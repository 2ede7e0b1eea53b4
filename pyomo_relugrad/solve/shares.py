"""How searches and proofs share the time of an exact solve."""

from __future__ import annotations

import numpy as np

from pyomo_relugrad.solve.portfolio import Portfolio


class TimeShares:
    """Keeps account of who worked how long, and says how long the next one may.

    Searches have at least half of the time while there is no incumbent, and as long as they are successful
    afterwards; a search in vain falls back little by little, and never stops: after ``t`` seconds without success its
    share is inversely proportional to ``t``. Unless a proof is about to close the gap, most of the time is theirs all
    the same, and nearly all of it until they are in vain.
    Beside proofs that work in a thread of their own, searches have all of the time instead, and at least half of it
    when they fall back behind a proof that is about to end.

    Attributes
    ----------
    is_closing : bool
        Whether a proof is about to close the gap in time, as whoever runs the proofs judges.
    needed_share : float
        The share of the time left that a proof by stages is expected to need to its end: searches leave it so much, up
        to half of the time.
    expect_gains : bool
        Whether the search's method is in the midst of what is to bring a better point. While it is young it is not in
        vain until then; after that proofs may be what is missing.
    searches_beside : int
        Searches on other cores: where a proof is about to close the gap, the shares are those of all cores. Else the
        search of this core goes on as alone: it knows ways that suit the problem's structure, the others vary.
    """

    def __init__(self, portfolio: Portfolio) -> None:
        self._portfolio = portfolio
        self._searched = self._last_success = self._owed = self.proved = 0.0
        self._has_incumbent = False
        self.is_closing, self.needed_share = True, 0.0
        self.expect_gains = False
        self.searches_beside = 0

    @property
    def search_share(self) -> float:
        """The share of the time of this thread that searches have now."""
        asked = self._portfolio
        needed = self._last_success if self._has_incumbent else self._searched
        largest = float(np.interp(needed, asked.late_seconds, (asked.search_share, asked.late_share)))
        share = largest * self._promise if self._has_incumbent else largest
        if not self.is_closing:
            is_hopeful = self.are_gaining or self.expect_gains or not self._has_incumbent
            return max(share, asked.open_share if is_hopeful else min(asked.open_share, asked.vain_share))
        share = min(share, max(asked.search_share, 1.0 - self.needed_share))
        return max(share - self.searches_beside * (1.0 - share), 0.0)

    @property
    def _promise(self) -> float:
        """1 while searches are successful, towards 0 the longer they are in vain."""
        if self._expects_gains_early:
            return 1.0
        patience = self._portfolio.first_seconds + self._portfolio.patience * self._last_success
        return min(1.0, patience / self._searched) if self._searched > 0.0 else 1.0

    @property
    def _expects_gains_early(self) -> bool:
        return self.expect_gains and self._searched < self._portfolio.late_seconds[1]

    @property
    def are_gaining(self) -> bool:
        """Whether searches have been in vain for less time than it took them to their last success, or for little."""
        enough = self._portfolio.late_seconds[1]
        return self._promise >= 0.5 if self._has_incumbent else self._searched < enough

    @property
    def are_gaining_late(self) -> bool:
        """The same, after more time than easy problems take: time and cores belong to the searches."""
        seconds = self._searched if self._expects_gains_early else self._last_success
        return self.are_gaining and seconds >= self._portfolio.late_seconds[0]

    @property
    def are_seeking(self) -> bool:
        """Whether there is no incumbent after more time than easy problems take: all cores look for one."""
        return not self._has_incumbent and self._searched >= self._portfolio.late_seconds[0]

    @property
    def share_beside(self) -> float:
        """The share of searches beside proofs that need no time of this thread."""
        falls_back = self._has_incumbent and self.is_closing
        return max(self._portfolio.search_share, self._promise) if falls_back else 1.0

    def book_search(self, seconds: float, found: bool, has_incumbent: bool, beside: bool = False) -> None:
        """Note a turn of the searches, and whether it brought a better point; one beside proofs cost these nothing.

        Proofs that could not take their turns meanwhile do not make up for more than one of them.
        """
        self._searched += seconds
        self._owed = self._owed if beside else max(self._owed - seconds, -self._portfolio.proof_turn)
        self._has_incumbent = has_incumbent
        self._last_success = self._searched if found else self._last_success

    def book_proofs(self, seconds: float, has_incumbent: bool) -> None:
        """Note a turn of the proofs: searches get their share of the time for it."""
        self._has_incumbent = has_incumbent
        self.proved += seconds
        earned = seconds * self.search_share / (1.0 - self.search_share)
        self._owed = min(self._owed + earned, max(self._portfolio.owed_seconds, seconds))

    def proof_seconds(self) -> float:
        """How long proofs may work now: a turn, less where the searches' share for it would be more than is owed."""
        asked, share = self._portfolio, self.search_share
        earned = asked.proof_turn * share / (1.0 - share)
        return asked.proof_turn if earned <= asked.owed_seconds else asked.owed_seconds * (1.0 - share) / share

    def search_seconds(self) -> float:
        """How long the searches may work now; 0 where it is not their turn."""
        return self._owed if self._owed >= self._portfolio.search_turn else 0.0

    def longest_step(self, remaining: float, is_searching: bool = True) -> float:
        """Seconds after which a single step of a proof is given up: searches must still come to their share.

        As long as a search goes on and gains, that is a turn, or what is left of the proofs' share of its time.
        """
        asked = self._portfolio
        seconds = max(remaining - max(self._owed, 0.0), 0.0) * (1.0 - self.search_share)
        if not (is_searching and self.are_gaining):
            return seconds
        earned = self._searched * (1.0 - asked.late_share) / asked.late_share
        return min(seconds, max(earned - self.proved, asked.proof_turn))
