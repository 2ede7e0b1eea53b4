"""The search where tables hold all that the networks can do: programs over more and more of their points."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from pyomo_relugrad.problem import Incumbent, Problem
from pyomo_relugrad.run.context import SearchContext
from pyomo_relugrad.search.separable.choice import ChoiceProgram
from pyomo_relugrad.search.separable.tables import Table

#: Points per table in the first program, and how many times more the next one has.
FIRST_POINTS, GROWTH = 2, 2
#: Seconds that the first program may take; those that use them up are followed by programs with twice as many.
FIRST_SECONDS = 0.5


def exact_choice(problem: Problem, tables: list[Table], context: SearchContext) -> Iterator[Incumbent | None]:
    """Choose from the points that cost least at the multipliers of the relaxation, then from more of them.

    A point that costs more than the gap between incumbent and relaxation is in no better solution. Once the program
    holds all others, it proves its choice.

    Parameters
    ----------
    problem : Problem
    tables : list of Table
        As `exact_tables` makes them.
    context : SearchContext
    """
    budget, program = context.budget, ChoiceProgram(problem, tables)
    budget.count(points=program.n_points)
    relaxed = program.relax(budget.remaining)
    if relaxed.prices is None:
        return
    context.take_bound(relaxed.bound)
    ordered, best = np.sort(relaxed.prices), min((point.objective for point in context.known), default=np.inf)
    size, seconds = FIRST_POINTS * len(tables), FIRST_SECONDS
    while not budget.is_exhausted():
        gap = best - relaxed.bound
        limit = ordered[min(size, ordered.size) - 1]
        holds_all = size >= ordered.size or limit >= gap
        points = program.with_neighbours(relaxed.prices <= gap) if holds_all else relaxed.prices <= limit
        budget.count()
        choice = program.choose(points, min(seconds, budget.remaining))
        if choice.values is not None:
            best = min(best, choice.objective)
            yield problem.incumbent(choice.values)
        if holds_all and choice.is_solved:
            if choice.values is not None:
                context.take_bound(min(choice.bound, best))
            return
        yield None
        size, seconds = GROWTH * size, seconds if choice.is_solved else 2 * seconds
