"""What a run reports on the way, and what it returns."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pyomo_relugrad.problem import Incumbent
from pyomo_relugrad.run.budget import Stop


@dataclass(frozen=True, eq=False)
class Progress:
    """The state of a running search, given to the callback at each new point and between batched steps.

    Parameters
    ----------
    elapsed : float
        Seconds.
    points, iterations : int
        Evaluated points and batched steps so far.
    incumbent : Incumbent or None
        The best feasible point; where there is none, the one with the smallest violation.
    is_new : bool
        Whether the incumbent is new since the last call.
    bound : float, optional
        No feasible point has a smaller objective; minus infinity while no bound is known.
    nodes : int, optional
        Nodes of branch and bound, where the search is part of a proof.
    """

    elapsed: float
    points: int
    iterations: int
    incumbent: Incumbent | None
    is_new: bool
    bound: float = -np.inf
    nodes: int = 0


@dataclass(frozen=True, eq=False)
class SearchResult:
    """What a search found.

    Parameters
    ----------
    pool : tuple of Incumbent
        Distinct feasible points, best first; empty where none was found.
    least_violated : Incumbent or None
        Where the pool is empty, the point with the smallest violation.
    stop : Stop
        Why the search ended.
    points, iterations : int
        Evaluated points and batched steps.
    elapsed : float
        Seconds.
    history : tuple of (float, float)
        Time and objective of each new incumbent.
    bound : float, optional
        No feasible point has a smaller objective; minus infinity where no bound is known.
    nodes : int, optional
        Nodes of branch and bound, where the search was part of a proof.
    bound_history : tuple of (float, float), optional
        Time and value of each better bound.
    reason : str, optional
        Why there is no feasible point, where that was seen before any search.
    """

    pool: tuple[Incumbent, ...]
    least_violated: Incumbent | None
    stop: Stop
    points: int
    iterations: int
    elapsed: float
    history: tuple[tuple[float, float], ...]
    bound: float = -np.inf
    nodes: int = 0
    bound_history: tuple[tuple[float, float], ...] = ()
    reason: str = ""

    @property
    def incumbent(self) -> Incumbent | None:
        """The best feasible point, None where none was found."""
        return self.pool[0] if self.pool else None
