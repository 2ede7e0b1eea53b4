"""Proofs of optimality: what they give while they run and when they end, and the loop that all of them run in."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import Enum
from typing import Protocol

import numpy as np

from pyomo_relugrad import deadline
from pyomo_relugrad.deadline import OutOfTime
from pyomo_relugrad.problem import Incumbent
from pyomo_relugrad.programs.threads import solver_threads


class ProofStatus(Enum):
    """Why a proof ended."""

    OPTIMAL = "optimal"
    INFEASIBLE = "infeasible"
    TIME_LIMIT = "time limit"
    NODE_LIMIT = "node limit"
    CALLBACK = "stopped by the callback"
    INTERRUPTED = "interrupted"
    UNRESOLVED = "nodes too small to split remain"


def allowed_gap(objective: float, gaps: tuple[float, float]) -> float:
    """The gap, by (relative, absolute) gaps, at which an incumbent of that objective counts as proven."""
    relative, absolute = gaps
    return max(absolute, relative * abs(objective))


def conclusion_from(incumbent: Incumbent | None, bound: float, gaps: tuple[float, float]) -> ProofStatus | None:
    """OPTIMAL or INFEASIBLE where incumbent and bound prove it; gaps are (relative, absolute)."""
    if incumbent is None:
        return ProofStatus.INFEASIBLE if bound == np.inf else None
    is_proven = incumbent.objective - bound <= allowed_gap(incumbent.objective, gaps) * (1 + 1e-9)
    return ProofStatus.OPTIMAL if is_proven else None


@dataclass(frozen=True, eq=False)
class ProofProgress:
    """The state of a running proof. Objective values are those of `Problem`: to be minimized.

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
    """What a proof found. Objective values are those of `Problem`: to be minimized.

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


class Prover(Protocol):
    """The state of one proof."""

    nodes: int
    incumbent: Incumbent | None

    @property
    def bound(self) -> float:
        """No feasible point has a smaller objective."""

    def offer(self, point: Incumbent) -> bool:
        """Take a feasible point as incumbent if it is better; return whether it was."""

    def steps(self) -> Iterator[ProofProgress]:
        """Report after each step until nothing is left to prove."""

    def conclusion(self) -> ProofStatus | None:
        """OPTIMAL or INFEASIBLE where that is proven."""


@solver_threads()
def run_proof(
    prover: Prover,
    *,
    time_limit: float = np.inf,
    node_limit: int | None = None,
    callback: Callable[[ProofProgress], bool | None] | None = None,
) -> ProofResult:
    """Run a proof until it concludes or is stopped by a limit, the callback or Ctrl-C.

    A step that is not done when the time is over is given up; the bound stays what it was before.
    """
    begin = time.perf_counter()
    history: list[tuple[float, float, float]] = []
    status = None
    steps = prover.steps()
    try:
        for progress in _limited(steps, time_limit):
            value = np.inf if progress.incumbent is None else progress.incumbent.objective
            if not history or history[-1][1:] != (progress.bound, value):
                history.append((progress.elapsed, progress.bound, value))
            if callback is not None and callback(progress):
                status = ProofStatus.CALLBACK
            elif time.perf_counter() - begin >= time_limit:
                status = ProofStatus.TIME_LIMIT
            elif node_limit is not None and prover.nodes >= node_limit:
                status = ProofStatus.NODE_LIMIT
            if status is not None:
                break
    except OutOfTime:
        status = ProofStatus.TIME_LIMIT
    except KeyboardInterrupt:
        status = ProofStatus.INTERRUPTED
    finally:
        close = getattr(steps, "close", None)
        if close is not None:
            close()
    return ProofResult(
        status=prover.conclusion() or status or ProofStatus.UNRESOLVED,
        bound=prover.bound,
        incumbent=prover.incumbent,
        nodes=prover.nodes,
        elapsed=time.perf_counter() - begin,
        history=tuple(history),
    )


def _limited(steps: Iterator[ProofProgress], time_limit: float) -> Iterator[ProofProgress]:
    """The steps, each with a deadline around it and none around whoever takes its report."""
    end = time.perf_counter() + time_limit
    while True:
        with deadline.time_limit(end - time.perf_counter()):
            progress = next(steps, None)
        if progress is None:
            return
        yield progress
