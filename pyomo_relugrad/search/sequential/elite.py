"""The good points of a search, which all of its neighbourhoods share."""

from __future__ import annotations

import numpy as np

from pyomo_relugrad.problem import Incumbent

#: Good points that are kept.
ELITE_SIZE = 8


class Elite:
    """Feasible points of different objectives, best first; before there is one, the least violated point."""

    def __init__(self) -> None:
        self.points: list[Incumbent] = []
        self._least_violated: Incumbent | None = None

    @property
    def best(self) -> float:
        """Objective of the best feasible point, infinite before there is one."""
        return self.points[0].objective if self.points else np.inf

    @property
    def centre(self) -> Incumbent | None:
        """The best feasible point; before there is one, the least violated point."""
        return self.points[0] if self.points else self._least_violated

    def learn(self, point: Incumbent) -> float:
        """Keep a point where it is good; return by how much it is better than the best, 0 for the first one."""
        if not point.is_feasible:
            if self._least_violated is None or point.violation < self._least_violated.violation:
                self._least_violated = point
            return 0.0
        gain = self.best - point.objective if self.points else 0.0
        if all(point.objective != other.objective for other in self.points):
            self.points = sorted([*self.points, point], key=lambda member: member.objective)[:ELITE_SIZE]
        return max(gain, 0.0)
