"""Proofs over the integers that decide a problem."""

from __future__ import annotations

from collections.abc import Generator

import numpy as np

from pyomo_relugrad.problem import Incumbent, Problem
from pyomo_relugrad.run import Options, Prover
from pyomo_relugrad.search.lattice.boxes import OpenBoxes


class LatticeTree(Prover):
    """The state of one branch and bound over boxes of few integers, as `OpenBoxes` bounds and splits them.

    Parameters
    ----------
    problem : Problem
        One that suits.
    options : Options
        The gaps count.
    start : Incumbent, optional
    """

    def __init__(self, problem: Problem, options: Options, start: Incumbent | None = None) -> None:
        super().__init__(problem, options, start)
        composition = OpenBoxes.suit(problem)
        assert composition is not None
        self._boxes = OpenBoxes(problem, composition)
        self._in_hand = np.inf

    @staticmethod
    def suits(problem: Problem) -> bool:
        """Whether few integers decide all of a problem, and not by linear functions alone."""
        return OpenBoxes.suit(problem) is not None

    @property
    def cutoff(self) -> float:
        """Objectives at or above this do not improve the incumbent by more than the requested gap."""
        return self.options.cutoff(self.incumbent_value)

    @property
    def bound(self) -> float:
        """No feasible point has a smaller objective."""
        return min(self._boxes.bound, self._in_hand, self.incumbent_value)

    def steps(self) -> Generator[None, None, None]:
        """Bound one batch after another until nothing is left to prove."""
        while self._boxes.is_open(self.cutoff):
            self._in_hand = self._boxes.bound  # also where a step is broken off
            point = self._boxes.step(self.incumbent_value, self.cutoff)
            self._in_hand, self.nodes = np.inf, self._boxes.count
            if point is not None:
                self.offer(point)
            yield
