"""A bound by proofs that go on from turn to turn."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np

from pyomo_relugrad.problem import Incumbent, Problem
from pyomo_relugrad.programs import below_tolerance
from pyomo_relugrad.run import Prover

#: Length of a first step, in turns, up to which a proof begins.
LONGEST_BEGINNING = 4.0


class ProofInTurns:
    """What proofs have proven so far, one after another, some seconds at a time.

    Parameters
    ----------
    *makes : callable
        Each makes a proof, of the point with which it begins, where the one before has ended; or None.
    whole : Problem, optional
        The problem of which those of the proofs are relaxations: their points are tried there.
    """

    #: A turn goes on where the last one ended, so that none has to be longer.
    first_share, longest_first, growth = 0.1, 0.25, 1.0

    def __init__(self, *makes: Callable[[Incumbent], Prover | None], whole: Problem | None = None) -> None:
        self._makes, self._whole = list(makes), whole
        self._prover: Prover | None = None
        self._bound = -np.inf
        #: Whether another turn may prove more.
        self.is_open = True

    def run(self, start: Incumbent, seconds: float) -> tuple[float, Incumbent | None]:
        """A number that no feasible point's objective is below, minus infinite where there is none; and a point.

        Parameters
        ----------
        start : Incumbent
            The best feasible point that is known.
        seconds : float
            A step that has begun is not broken off. The proof does not begin where its first one takes far longer.
        """
        while self._prover is None and self._makes:
            self._prover = self._makes.pop(0)(start)
        if self._prover is None:
            self.is_open = False
            return self._bound, None
        prover, end = self._prover, time.perf_counter() + seconds
        is_open = prover.first_seconds <= LONGEST_BEGINNING * seconds or prover.nodes > 0
        prover.offer(start)
        prover.resume()
        while is_open and time.perf_counter() < end:
            is_open = prover.step().stop is None and prover.conclusion() is None
        prover.pause()
        if np.isfinite(prover.bound):
            self._bound = max(self._bound, below_tolerance(prover.bound))
        found = prover.incumbent
        if not is_open and self._makes:
            prover.close()
            self._prover = None
        self.is_open = is_open or self._prover is None
        return self._bound, None if found is None or found is start else self._tried(found)

    def close(self) -> None:
        """Stop what a proof runs in a thread of its own."""
        if self._prover is not None:
            self._prover.close()

    def _tried(self, point: Incumbent) -> Incumbent | None:
        """A proof's point as one of the whole problem; None where it is not feasible there."""
        if self._whole is None:
            return point
        tried = self._whole.incumbent(point.values)
        return tried if tried.is_feasible else None
