"""The search for the best of few integers that decide all else."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from pyomo_relugrad.problem import Incumbent, Problem
from pyomo_relugrad.run import Method, SearchContext
from pyomo_relugrad.search.lattice.boxes import OpenBoxes

#: Objectives that are no better than this, relative to the best one, do not matter.
GAP = 1e-7


@dataclass(frozen=True)
class LatticeSearch(Method):
    """Branch and bound over boxes of few integers from which all else follows.

    It knows the optimum when it ends, and tells the context so. Nothing is yielded where there are no such integers.
    """

    name = "lattice"
    handles_smooth = True

    def run(self, problem: Problem, context: SearchContext) -> Iterator[Incumbent | None]:
        """Yield better points, and None after steps in vain."""
        composition = OpenBoxes.suit(problem)
        if composition is None:
            return
        boxes, budget = OpenBoxes(problem, composition), context.budget
        value = min((point.objective for point in context.known), default=np.inf)
        while boxes.is_open(cutoff := value - GAP * abs(value) if value < np.inf else np.inf):
            if budget.is_exhausted():
                return
            value = min([value, *(point.objective for point in context.take_offered())])
            count, point = boxes.count, boxes.step(value, cutoff)
            budget.count(points=boxes.count - count)
            value = value if point is None else point.objective
            if np.isfinite(bound := min(boxes.bound, value)):
                context.take_bound(bound)
            yield point
