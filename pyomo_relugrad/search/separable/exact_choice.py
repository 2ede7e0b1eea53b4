"""The search where tables hold all that the networks can do: programs over more and more of their points."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from pyomo_relugrad.arrays import Array
from pyomo_relugrad.problem import Incumbent, Problem
from pyomo_relugrad.run import Method, SearchContext, between
from pyomo_relugrad.search.regions.walk import is_lower
from pyomo_relugrad.search.separable.choice import ChoiceProgram
from pyomo_relugrad.search.separable.rough_choice import RoughChoice
from pyomo_relugrad.search.separable.tables import exact_tables


@dataclass(frozen=True)
class ExactChoice(Method):
    """Programs over tables of what each network can do.

    Tabulate the networks, choose from the points that cost least at the best multipliers, then from more of them.

    Tables are exact where networks that share inputs have one free input in all, or integer ones of few values. A point
    that costs more than the gap between incumbent and relaxation is in no better solution: once a program holds all
    others, it proves its choice. Integers beside the tables are first sought with tables of few points. Nothing is
    yielded where there are no such tables.

    Parameters
    ----------
    max_combinations : int, optional
        Values of the integer inputs of a group of networks up to which it is tabulated (4096).
    first_points, growth : int, optional
        Points per table in the first program (2), and how many times more the next one has, at least 2 (2).
    first_seconds : float, optional
        Seconds that the first program may take (0.5). One that uses them up is followed by one with twice as many.
    patience : int, optional
        Programs in a row that use up their time and bring nothing better after which the search ends (3).
    """

    name = "exact-choice"

    max_combinations: int = 4096
    first_points: int = 2
    growth: int = between(2, 2)
    first_seconds: float = 0.5
    patience: int = 3

    def run(self, problem: Problem, context: SearchContext) -> Iterator[Incumbent | None]:
        """Yield what the programs choose, and tell the context their bounds."""
        tables = exact_tables(problem, self.max_combinations) if problem.quadratic is None else None
        if tables is None:
            return
        budget, program = context.budget, ChoiceProgram(problem, tables)
        budget.count(points=program.n_points)
        relaxed = program.relax(budget.remaining)
        if relaxed is None:
            return
        context.take_bound(relaxed.bound)
        yield None
        best = min((point.objective for point in context.known), default=np.inf)
        everything = np.ones(program.n_points, bool)
        own_random = np.random.default_rng(context.random.integers(2**63))
        rough = RoughChoice(problem, tables, self.first_seconds, own_random)
        starts: dict[bytes, Array | None] = {}
        per_table, seconds, fruitless = self.first_points, self.first_seconds, 0
        while fruitless < self.patience and not budget.is_exhausted():
            before = best
            integers = rough.choose()
            if integers is not None:
                choice = program.choose(everything, rough.seconds, held=integers)
                budget.count()
                if choice.values is not None and is_lower(choice.objective, best):
                    best, starts[everything.tobytes()] = choice.objective, choice.solution
                    yield problem.incumbent(choice.values)
            points, needed = program.cheapest(relaxed.prices, per_table), relaxed.prices <= best - relaxed.bound
            holds_all = not (needed & ~points).any()
            points = program.with_neighbours(needed) if holds_all else points
            budget.count()
            choice = program.choose(points, seconds, starts.get(points.tobytes()))
            fruitless = 0 if choice.is_solved or is_lower(min(choice.objective, best), before) else fruitless + 1
            if choice.values is not None:
                best, starts[points.tobytes()] = min(best, choice.objective), choice.solution
                yield problem.incumbent(choice.values)
            if holds_all and choice.is_solved:
                context.take_bound(min(choice.bound, best))
                yield None
                return
            yield None
            per_table, seconds = self.growth * per_table, seconds if choice.is_solved else 2 * seconds
