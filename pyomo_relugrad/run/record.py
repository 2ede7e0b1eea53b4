"""What a search keeps: a pool of distinct feasible points, best first, and when the best one and the bound moved."""

import math
from dataclasses import dataclass, field

import numpy as np

from pyomo_relugrad.problem import FEASIBILITY_TOLERANCE, Incumbent
from pyomo_relugrad.run.repair import CLEAN

#: Gain, relative to 1 + |objective|, below which a better point is no news.
GAIN = 1e-9
#: Distinct feasible points that a search keeps.
POOL_SIZE = 10


@dataclass
class Record:
    """The points kept so far.

    Parameters
    ----------
    size : int, optional
        Points that are kept at most.
    pool : list of Incumbent
        Distinct feasible points, best first.
    least_violated : Incumbent or None
        Where the pool is empty, the point with the smallest violation.
    history : list of (float, float)
        Time and objective of each new incumbent.
    bound_history : list of (float, float)
        Time and value of each better bound.
    """

    size: int = POOL_SIZE
    pool: list[Incumbent] = field(default_factory=list)
    least_violated: Incumbent | None = None
    history: list[tuple[float, float]] = field(default_factory=list)
    bound_history: list[tuple[float, float]] = field(default_factory=list)

    @property
    def incumbent(self) -> Incumbent | None:
        """The best feasible point, None where there is none."""
        return self.pool[0] if self.pool else None

    @property
    def best(self) -> Incumbent | None:
        """The best feasible point; where there is none, the one with the smallest violation."""
        return self.pool[0] if self.pool else self.least_violated

    def add(self, point: Incumbent, elapsed: float) -> bool:
        """Keep the point if it is good and new; return whether it is the new best."""
        if not point.is_feasible:
            better = not self.pool and (self.least_violated is None or point.violation < self.least_violated.violation)
            self.least_violated = point if better else self.least_violated
            return better
        improves = not self.pool or _rank(point) < _rank(self.pool[0]) - GAIN * (1.0 + abs(point.objective))
        if not any(_coincide(point, other) for other in self.pool):
            self.pool = sorted([*self.pool, point], key=_rank)[: self.size]
        if improves:
            self.history.append((elapsed, point.objective))
        return improves

    def is_promising(self, point: Incumbent) -> bool:
        """Whether a feasible point has a better objective than all that are kept."""
        return point.is_feasible and (not self.pool or point.objective < self.pool[0].objective)

    def add_bound(self, bound: float, elapsed: float) -> None:
        """Book a bound where it is better than the one before."""
        is_better = not self.bound_history or bound > self.bound_history[-1][1] + GAIN * (1.0 + abs(bound))
        if is_better and math.isfinite(bound):
            self.bound_history.append((elapsed, bound))

    def limited_bound_history(self) -> tuple[tuple[float, float], ...]:
        """The bound's history, nowhere beyond the incumbent: proofs may pass it by their tolerance."""
        limit = math.inf if self.incumbent is None else self.incumbent.objective
        return tuple((elapsed, min(bound, limit)) for elapsed, bound in self.bound_history)


def _rank(point: Incumbent) -> float:
    """The objective, made worse by what a violation may have bought: a clean point is not given up for less."""
    bought = FEASIBILITY_TOLERANCE * (1.0 + abs(point.objective)) if point.violation > CLEAN else 0.0
    return point.objective + bought


def _coincide(first: Incumbent, second: Incumbent) -> bool:
    """Whether two points are the same up to rounding."""
    if not math.isclose(first.objective, second.objective, rel_tol=1e-9, abs_tol=1e-9):
        return False
    return bool((np.abs(first.values - second.values) <= 1e-6 * (1.0 + np.abs(second.values))).all())
