"""What a proof gives while it runs and when it ends."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from pyomo_relugrad.problem import Incumbent


class ProofStatus(Enum):
    """Why a proof ended."""

    OPTIMAL = "optimal"
    INFEASIBLE = "infeasible"
    TIME_LIMIT = "time limit"
    NODE_LIMIT = "node limit"
    CALLBACK = "stopped by the callback"
    INTERRUPTED = "interrupted"
    UNRESOLVED = "nodes too small to split remain"


@dataclass(frozen=True, eq=False)
class ProofProgress:
    """The state of a running proof. Objective values are those of `Problem`: to be minimised.

    Parameters
    ----------
    elapsed : float
        Seconds.
    nodes : int
        Nodes bounded so far.
    open_nodes : int
        Nodes that wait.
    bound : float
        No feasible point has a smaller objective.
    incumbent : Incumbent or None
        The best feasible point.
    is_new : bool
        Whether the incumbent is new since the last report.
    """

    elapsed: float
    nodes: int
    open_nodes: int
    bound: float
    incumbent: Incumbent | None
    is_new: bool


@dataclass(frozen=True, eq=False)
class ProofResult:
    """What a proof found. Objective values are those of `Problem`: to be minimised.

    Parameters
    ----------
    status : ProofStatus
        OPTIMAL: the incumbent is within the asked gap of `bound`. INFEASIBLE: no feasible point exists.
    bound : float
        No feasible point has a smaller objective; infinite where the problem is infeasible.
    incumbent : Incumbent or None
        The best feasible point, None where none was found.
    nodes : int
        Nodes bounded.
    elapsed : float
        Seconds.
    history : tuple of (float, float, float)
        Time, bound and objective of the incumbent (infinite where there is none), whenever one of them moved.
    """

    status: ProofStatus
    bound: float
    incumbent: Incumbent | None
    nodes: int
    elapsed: float
    history: tuple[tuple[float, float, float], ...]

    @property
    def gap(self) -> float:
        """Objective of the incumbent minus the bound; infinite where there is no incumbent."""
        return float("inf") if self.incumbent is None else max(self.incumbent.objective - self.bound, 0.0)
