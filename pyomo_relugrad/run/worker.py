"""Workers that prove: what all of them have, and the loop that runs one of them alone."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Generator
from functools import cached_property

import numpy as np

from pyomo_relugrad import deadline
from pyomo_relugrad.deadline import OutOfTime
from pyomo_relugrad.problem import Incumbent, Problem
from pyomo_relugrad.programs.threads import solver_threads
from pyomo_relugrad.run.budget import Budget, Stop
from pyomo_relugrad.run.options import Options
from pyomo_relugrad.run.record import Record
from pyomo_relugrad.run.result import Progress, SearchResult


class Prover(ABC):
    """The state of one proof.

    Parameters
    ----------
    problem : Problem
    options : Options
    start : Incumbent, optional
        A point to begin with; ignored where it is not feasible.
    """

    def __init__(self, problem: Problem, options: Options, start: Incumbent | None = None) -> None:
        self.problem, self.options = problem, options
        self.incumbent = start if start is not None and start.is_feasible else None
        self.nodes = 0

    @property
    def incumbent_value(self) -> float:
        """Objective of the incumbent; infinite where there is none."""
        return np.inf if self.incumbent is None else self.incumbent.objective

    @property
    @abstractmethod
    def bound(self) -> float:
        """No feasible point has a smaller objective."""

    @abstractmethod
    def steps(self) -> Generator[None, None, None]:
        """Go on step by step until nothing is left to prove."""

    @cached_property
    def _running(self) -> Generator[None, None, None]:
        return self.steps()

    def step(self) -> bool:
        """Go on by one step; False where nothing is left to prove."""
        return next(self._running, False) is None

    def close(self) -> None:
        """Stop what runs, in threads of its own too."""
        self._running.close()

    def offer(self, point: Incumbent) -> bool:
        """Take a feasible point as incumbent if it is better; return whether it was."""
        if not point.is_feasible or point.objective >= self.incumbent_value:
            return False
        self.incumbent = point
        return True

    def conclusion(self) -> Stop | None:
        """OPTIMAL or INFEASIBLE where that is proven."""
        return self.options.conclusion(self.incumbent, self.bound)


@solver_threads()
def run_proof(
    prover: Prover,
    *,
    time_limit: float = np.inf,
    node_limit: int | None = None,
    callback: Callable[[Progress], bool | None] | None = None,
) -> SearchResult:
    """Run a proof until it concludes or is stopped by a limit, the callback or Ctrl-C.

    A step that is not done when the time is over is given up; the bound stays what it was before.
    """
    budget, record = Budget(time_limit), Record()
    known: Incumbent | None = None
    try:
        while budget.stop is None:
            with deadline.time_limit(budget.remaining):
                if not prover.step():
                    break
            point, is_new = prover.incumbent, prover.incumbent is not known
            known = point
            if is_new and point is not None:
                record.history.append((budget.elapsed, point.objective))
            record.add_bound(prover.bound, budget.elapsed)
            progress = Progress(budget.elapsed, 0, 0, point, is_new, prover.bound, prover.nodes)
            if callback is not None and callback(progress):
                budget.stop = Stop.CALLBACK
            elif not budget.is_exhausted() and node_limit is not None and prover.nodes >= node_limit:
                budget.stop = Stop.NODE_LIMIT
    except OutOfTime:
        budget.stop = Stop.TIME_LIMIT
    except KeyboardInterrupt:
        budget.stop = Stop.INTERRUPTED
    finally:
        prover.close()
    return SearchResult(
        pool=() if prover.incumbent is None else (prover.incumbent,),
        least_violated=None,
        stop=prover.conclusion() or budget.stop or Stop.FINISHED,
        points=0,
        iterations=0,
        elapsed=budget.elapsed,
        history=tuple(record.history),
        bound=prover.bound,
        nodes=prover.nodes,
        bound_history=tuple(record.bound_history),
    )
