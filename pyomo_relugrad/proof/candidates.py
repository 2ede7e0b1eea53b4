"""Points that a proof comes across, tried as incumbents."""

from __future__ import annotations

import numpy as np

from pyomo_relugrad.arrays import Array
from pyomo_relugrad.problem import FEASIBILITY_TOLERANCE, Problem, Shape
from pyomo_relugrad.proof.polish import IncumbentPolish
from pyomo_relugrad.run import Prover

# Points that are to replace an incumbent miss rows by no more than this, so that none is better by its violation alone.
BETTER_TOLERANCE = 1e-7


class Candidates:
    """Evaluates points of a problem, and polishes the best.

    Parameters
    ----------
    problem : Problem
    """

    def __init__(self, problem: Problem) -> None:
        self._problem, self._polish = problem, IncumbentPolish(problem)

    def try_on(self, prover: Prover, candidates: Array) -> None:
        """Offer the best feasible one of the points (M, n), polished, where it is better than the incumbent."""
        if not len(candidates):
            return
        problem = self._problem
        V = np.clip(candidates, problem.lower, problem.upper)
        V = problem.propagate(np.where(problem.integers, np.round(V), V))
        objective = problem.objective(V)
        allowed = FEASIBILITY_TOLERANCE if prover.incumbent is None else BETTER_TOLERANCE
        is_free = problem.shape is Shape.BOX and not problem.expressions
        feasible = np.ones(len(V), bool) if is_free else problem.violation(V) <= allowed
        objective = np.where(feasible, objective, np.inf)
        best = int(np.argmin(objective))
        if objective[best] < prover.incumbent_value and prover.offer(problem.incumbent(V[best])):
            prover.offer(problem.incumbent(self._polish(V[best])))
