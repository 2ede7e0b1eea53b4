"""A bound by a proof that goes on from turn to turn."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np

from pyomo_relugrad.problem import Incumbent
from pyomo_relugrad.programs import below_tolerance
from pyomo_relugrad.run import Prover

#: Length of a first step, in turns, up to which a proof begins.
LONGEST_BEGINNING = 4.0


class ProofInTurns:
    """What a proof has proven so far, some seconds at a time.

    Parameters
    ----------
    make : callable
        Makes the proof, of the point with which it begins.
    """

    #: A turn goes on where the last one ended, so that none has to be longer.
    first_share, longest_first, growth = 0.1, 0.25, 1.0

    def __init__(self, make: Callable[[Incumbent], Prover]) -> None:
        self._make = make
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
        prover = self._prover = self._prover or self._make(start)
        end = time.perf_counter() + seconds
        self.is_open = prover.first_seconds <= LONGEST_BEGINNING * seconds or prover.nodes > 0
        prover.offer(start)
        prover.resume()
        while self.is_open and time.perf_counter() < end:
            self.is_open = prover.step().stop is None and prover.conclusion() is None
        prover.pause()
        if np.isfinite(prover.bound):
            self._bound = max(self._bound, below_tolerance(prover.bound))
        found = prover.incumbent
        return self._bound, None if found is start else found

    def close(self) -> None:
        """Stop what a proof runs in a thread of its own."""
        if self._prover is not None:
            self._prover.close()
