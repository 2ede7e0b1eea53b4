"""The search for problems that fall apart into small networks once a few rows are taken away."""

from __future__ import annotations

from collections.abc import Iterator

from pyomo_relugrad.problem import Incumbent, Problem, Shape
from pyomo_relugrad.run.context import SearchContext
from pyomo_relugrad.search.separable.blocks import Blocks
from pyomo_relugrad.search.separable.column_generation import column_generation, is_separable
from pyomo_relugrad.search.separable.exact_choice import exact_choice
from pyomo_relugrad.search.separable.tables import exact_tables


def separable_search(problem: Problem, context: SearchContext) -> Iterator[Incumbent | None]:
    """Points by multipliers and tables; none where the problem does not fall apart.

    Parameters
    ----------
    problem : Problem
    context : SearchContext
    """
    if problem.quadratic is not None or problem.shape is Shape.BOX or not problem.networks:
        return
    tables = exact_tables(problem)
    if tables is not None:
        yield from exact_choice(problem, tables, context)
        return
    blocks = Blocks.of(problem)
    if is_separable(problem, blocks):
        yield from column_generation(problem, blocks, context)
