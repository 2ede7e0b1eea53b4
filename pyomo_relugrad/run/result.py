"""What a run reports on the way, and what it returns."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import TypeAlias

import numpy as np

from pyomo_relugrad.notebook import html_table
from pyomo_relugrad.problem import Incumbent
from pyomo_relugrad.run.budget import Stop
from pyomo_relugrad.words import counted, number


class Route(Enum):
    """A way to a proof."""

    STAGES = "dynamic programming over stages"
    BRANCH = "branch and bound"
    RELUS = "branch and bound over ReLUs"
    MILP = "MILP"
    BLOCKS = "MILPs of blocks"


def gap_in_words(objective: float, bound: float) -> str:
    """The relative gap as MIP solvers print it, in eight columns; the absolute one beside an objective of zero.

    >>> gap_in_words(2.0, 2.5), gap_in_words(0.0, 5e-14), gap_in_words(0.0, -1e-7)
    ('25.00%', '0.00%', '1.0e-07')
    """
    if not math.isfinite(bound):
        return "-"
    difference = abs(objective - bound)
    if difference <= 1e-9:  # rounding beside zero is none
        return "0.00%"
    if abs(objective) < 1e-6:
        return f"{difference:.1e}"
    percent = 100 * difference / abs(objective)
    return f"{percent:.2f}%" if percent < 9999.995 else f"{percent:.1e}%"


def value_in_words(objective: float, bound: float) -> str:
    """An objective, with its bound and gap where a bound is known."""
    known = f", bound {number(bound)}, gap {gap_in_words(objective, bound)}" if math.isfinite(bound) else ""
    return number(objective) + known


@dataclass(frozen=True, eq=False)
class Progress:
    """The state of a running search or proof, given to the callback. Objectives are to be minimized.

    Parameters
    ----------
    elapsed : float
        Seconds.
    points, iterations : int
        Points that searches evaluated so far, and their batched steps.
    incumbent : Incumbent or None
        The best feasible point; where there is none, the one with the smallest violation.
    is_new : bool
        Whether the incumbent is new since the last call.
    bound : float, optional
        No feasible point has a smaller objective; minus infinity while no bound is known.
    nodes : int, optional
        Nodes that proofs bounded so far.
    """

    elapsed: float
    points: int
    iterations: int
    incumbent: Incumbent | None
    is_new: bool
    bound: float = -np.inf
    nodes: int = 0

    def __repr__(self) -> str:
        best = self.incumbent
        found = "no feasible point"
        if best is not None and best.is_feasible:
            found = f"objective {value_in_words(best.objective, self.bound)} (minimized)"
        return f"<Progress: {self.elapsed:.2f} s, {counted(self.points, 'point')}; {found}>"


#: Is told how a run goes on, and ends it by returning True.
Callback: TypeAlias = Callable[[Progress], bool | None]


@dataclass(frozen=True, eq=False)
class SearchResult:
    """What a search or a proof found. Objectives are to be minimized.

    Parameters
    ----------
    pool : tuple of Incumbent
        Distinct feasible points, best first; empty where none was found.
    least_violated : Incumbent or None
        Where the pool is empty, the point with the smallest violation.
    stop : Stop
        Why the run ended. OPTIMAL: the incumbent is within the requested gap of the bound. INFEASIBLE: it is proven
        that there is no feasible point.
    points, iterations : int
        Points that searches evaluated, and their batched steps.
    elapsed : float
        Seconds.
    history : tuple of (float, float)
        Time and objective of each new incumbent.
    bound : float, optional
        No feasible point has a smaller objective; minus infinity where no bound is known, infinite where the problem
        is proven infeasible.
    nodes : int, optional
        Nodes that proofs bounded.
    bound_history : tuple of (float, float), optional
        Time and value of each better bound.
    routes : tuple of Route, optional
        The proofs that an exact solve ran, in their order; empty where the local search's bound was enough.
    reason : str, optional
        Why there is no feasible point, where that was seen without a proof by branching; or why the run finished.
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
    routes: tuple[Route, ...] = ()
    reason: str = ""

    def __repr__(self) -> str:
        found = "no feasible point"
        if self.incumbent is not None:
            found = f"{counted(len(self.pool), 'feasible point')}, {self._value}"
        return f"<SearchResult: {self.stop.value} after {self.elapsed:.2f} s; {found}>"

    def _repr_html_(self) -> str:
        counters = [("feasible points", len(self.pool)), ("points evaluated", self.points), ("steps", self.iterations)]
        title = self._value if self.incumbent is not None else "no feasible point"
        return html_table(
            title, [*counters, ("nodes", self.nodes)], note=f"{self.stop.value} after {self.elapsed:.2f} s"
        )

    @property
    def _value(self) -> str:
        assert self.incumbent is not None
        return f"objective {value_in_words(self.incumbent.objective, self.bound)} (minimized)"

    @property
    def incumbent(self) -> Incumbent | None:
        """The best feasible point, None where none was found."""
        return self.pool[0] if self.pool else None

    @property
    def gap(self) -> float:
        """Objective of the incumbent minus the bound; infinite where there is no incumbent."""
        return np.inf if self.incumbent is None else max(self.incumbent.objective - self.bound, 0.0)
