"""New incumbents of a proof, moved to the best vertex around."""

from __future__ import annotations

from functools import cached_property

from pyomo_relugrad.arrays import Array
from pyomo_relugrad.problem import Incumbent, Problem, Shape
from pyomo_relugrad.run import Budget
from pyomo_relugrad.search.regions.program import RegionProgram
from pyomo_relugrad.search.regions.walk import walk_regions

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
