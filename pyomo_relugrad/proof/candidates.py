"""Points that a proof comes across, tried as incumbents."""

from functools import cached_property

import numpy as np

from pyomo_relugrad.arrays import Array
from pyomo_relugrad.problem import FEASIBILITY_TOLERANCE, Incumbent, Problem, Shape
from pyomo_relugrad.run import Budget, Prover
from pyomo_relugrad.search.regions.program import RegionProgram
from pyomo_relugrad.search.regions.walk import walk_regions

# Points that are to replace an incumbent miss rows by no more than this, so that none is better by its violation alone.
BETTER_TOLERANCE = 1e-7
# Linear programs per point: a walk takes far fewer where a proof has hope.
MAX_PROGRAMS = 60


class IncumbentPolish:
    """Walks from a point over linear regions to one that no neighbour betters.

    A good incumbent early cuts off nodes that would be bounded in vain, and a walk costs as much as some tens of nodes.

    Parameters
    ----------
    problem : Problem
        Points stay as they are where it has no linear regions, or is neither a box nor a polytope in the inputs.
    """

    def __init__(self, problem: Problem) -> None:
        self._problem = problem
        has_regions = bool(problem.networks) and problem.is_piecewise_linear
        self._is_possible = has_regions and problem.shape is not Shape.GENERAL

    @cached_property
    def _program(self) -> RegionProgram:
        return RegionProgram(self._problem)

    def __call__(self, v: Array) -> Array:
        """A feasible point (n,) at least as good as the given one."""
        if not self._is_possible:
            return v
        columns, budget = self._program.columns, Budget(iteration_limit=MAX_PROGRAMS)
        walk = walk_regions(self._program, v[columns], budget)
        while True:
            try:
                next(walk)
            except StopIteration as end:
                point: Incumbent = end.value
                return point.values


def placed(problem: Problem, candidates: Array) -> Array:
    """Candidates (M, n) within the bounds, their integers rounded, with propagated outputs."""
    V = np.clip(candidates, problem.lower, problem.upper)
    return problem.propagate(np.where(problem.integers, np.round(V), V))


class Candidates:
    """Evaluates points of a problem, and polishes the best."""

    def __init__(self, problem: Problem) -> None:
        self._problem, self._polish = problem, IncumbentPolish(problem)

    def try_on(self, prover: Prover, candidates: Array) -> None:
        """Offer the best feasible one of the points (M, n), polished, where it is better than the incumbent."""
        if not len(candidates):
            return
        problem = self._problem
        V = placed(problem, candidates)
        objective = problem.objective(V)
        allowed = FEASIBILITY_TOLERANCE if prover.incumbent is None else BETTER_TOLERANCE
        is_free = problem.shape is Shape.BOX and not problem.expressions
        feasible = np.ones(len(V), bool) if is_free else problem.violation(V) <= allowed
        objective = np.where(feasible, objective, np.inf)
        best = int(np.argmin(objective))
        if objective[best] < prover.incumbent_value and prover.offer(problem.incumbent(V[best])):
            prover.offer(problem.incumbent(self._polish(V[best])))
