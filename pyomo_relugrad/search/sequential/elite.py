"""The good points of a search, which all of its neighbourhoods share."""

import numpy as np

from pyomo_relugrad.problem import Incumbent


class Elite:
    """Feasible points of different objectives, best first; before there is one, the least violated point.

    Parameters
    ----------
    size : int
        Feasible points that are kept.
    """

    def __init__(self, size: int) -> None:
        self._size = size
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

    def learn(self, point: Incumbent) -> None:
        """Keep a point where it is good."""
        if not point.is_feasible:
            if self._least_violated is None or point.violation < self._least_violated.violation:
                self._least_violated = point
        elif all(point.objective != other.objective for other in self.points):
            self.points = sorted([*self.points, point], key=lambda member: member.objective)[: self._size]
