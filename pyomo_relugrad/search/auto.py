"""The default method: which search suits the problem is decided by its shape, once."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from pyomo_relugrad.problem import Incumbent, Problem, Shape
from pyomo_relugrad.search.box_search import box_search
from pyomo_relugrad.search.budget import SearchContext
from pyomo_relugrad.search.sequential_lp import sequential_lp


def auto(problem: Problem, context: SearchContext) -> Iterator[Incumbent | None]:
    """Search a bounded box by batched climbs, everything else by sequential linear programming."""
    decisions = ~problem.is_output
    bounded = np.isfinite(problem.lower[decisions]).all() and np.isfinite(problem.upper[decisions]).all()
    run = box_search if problem.shape is Shape.BOX and bounded else sequential_lp
    return run(problem, context)
