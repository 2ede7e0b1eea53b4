"""Sequential linear programming in the variables of the surrounding model."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from pyomo_relugrad.problem import Incumbent, Problem
from pyomo_relugrad.search.budget import SearchContext


def sequential_lp(problem: Problem, context: SearchContext) -> Iterator[Incumbent | None]:
    """Yield the start, or a random point."""
    yield problem.incumbent(np.clip(context.random.normal(size=problem.n_columns), problem.lower, problem.upper))
