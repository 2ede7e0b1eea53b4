"""Column generation: points of blocks at the multipliers of the rows that link them, and programs that choose."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product

import numpy as np

from pyomo_relugrad.arrays import Array
from pyomo_relugrad.problem import Incumbent, Problem
from pyomo_relugrad.run.context import SearchContext
from pyomo_relugrad.search.regions.walk import is_lower
from pyomo_relugrad.search.separable.blocks import Blocks
from pyomo_relugrad.search.separable.choice import ChoiceProgram
from pyomo_relugrad.search.separable.pricing import Pricing
from pyomo_relugrad.search.separable.tables import Table

#: Values of a block's integers up to which all are tried.
MAX_MODES = 8
#: Rows that link blocks, per block, up to which multipliers help.
MAX_LINKS = 4
#: Share of the new multipliers; the rest are those before.
STEP = 0.5
#: Rounds from one choice to the next, and seconds that a choice may take: a good one comes soon.
ROUNDS_PER_CHOICE, CHOICE_SECONDS = 3, 0.4
#: Points per block among which a choice is made: those that cost least at the multipliers.
POINTS_PER_BLOCK = 3
#: Rounds in a row without a lower relaxation after which the values of the integers are given up.
PATIENCE = 5
#: Distance, relative to one plus their size, at which two points of a block are two.
DISTINCT = 1e-6


def is_separable(problem: Problem, blocks: Blocks) -> bool:
    """Whether few rows link several blocks, and few values of integers are in each."""
    links = int((blocks.of_row < 0).sum())
    return blocks.count > 1 and 0 < links <= MAX_LINKS * blocks.count and modes_of(problem, blocks) is not None


def modes_of(problem: Problem, blocks: Blocks) -> list[Array] | None:
    """Values of all integer columns (n_integers,) such that each block has each of its own; None where they are many."""
    columns = np.flatnonzero(problem.integers)
    count = 1
    values = np.zeros((MAX_MODES, columns.size))
    for block in range(blocks.count):
        own = blocks.of_column[columns] == block
        ranges = [(problem.lower[i], problem.upper[i]) for i in columns[own]]
        if np.prod([high - low + 1 for low, high in ranges]) > MAX_MODES:
            return None
        combinations = np.array(list(product(*(np.arange(low, high + 1) for low, high in ranges))))
        values[:, own] = np.resize(combinations, (MAX_MODES, int(own.sum())))
        count = max(count, len(combinations))
    return list(values[:count])


class Columns:
    """The points of each block that were found.

    Parameters
    ----------
    blocks : Blocks
    """

    def __init__(self, blocks: Blocks) -> None:
        self._columns = [np.flatnonzero(blocks.of_column == block) for block in range(blocks.count)]
        self._points = [np.zeros((0, columns.size)) for columns in self._columns]

    def add(self, v: Array, feasible: Array) -> int:
        """Keep the parts of a point that are feasible and new; return how many."""
        count = 0
        for block in np.flatnonzero(feasible):
            part, known = v[self._columns[block]], self._points[block]
            if (np.abs(known - part) > DISTINCT * (1.0 + np.abs(part))).any(axis=1).all():
                self._points[block] = np.vstack([known, part])
                count += 1
        return count

    @property
    def is_complete(self) -> bool:
        """Whether each block has a point."""
        return all(len(points) for points in self._points)

    def tables(self) -> list[Table]:
        """The points as tables."""
        return [
            Table(columns, points, np.zeros(len(points), bool))
            for columns, points in zip(self._columns, self._points, strict=True)
        ]


def column_generation(problem: Problem, blocks: Blocks, context: SearchContext) -> Iterator[Incumbent | None]:
    """Price the rows that link blocks, let each block do its best at these prices, and choose what fits together.

    The relaxation over all points found so far gives the next multipliers (Dantzig-Wolfe), until it has not fallen for
    some rounds with any values of the blocks' integers.

    Parameters
    ----------
    problem : Problem
        With a linear objective, for which `is_separable` holds.
    blocks : Blocks
    context : SearchContext
    """
    budget, modes = context.budget, modes_of(problem, blocks) or []
    pricing, columns = Pricing(problem, blocks, context), Columns(blocks)
    columns.add(pricing.start, pricing.feasible_blocks(pricing.start))
    duals, lowest, best, fruitless = pricing.first_duals(), np.inf, np.inf, np.zeros(len(modes), int)
    n_rounds = 0
    while fruitless.min() < PATIENCE and not budget.is_exhausted():
        mode, n_rounds = int(fruitless.argmin()), n_rounds + 1
        v = pricing.descend(duals, modes[mode])
        columns.add(v, pricing.feasible_blocks(v))
        yield None
        fruitless[mode] += 1
        if not columns.is_complete:
            continue
        program = ChoiceProgram(problem, columns.tables())
        relaxed = program.relax(budget.remaining)
        if relaxed.row_duals is None or relaxed.prices is None:
            continue
        if is_lower(relaxed.objective, lowest):
            lowest, fruitless[mode] = relaxed.objective, 0
        duals = STEP * relaxed.row_duals + (1.0 - STEP) * duals
        is_last = fruitless.min() == PATIENCE
        if n_rounds % ROUNDS_PER_CHOICE == 0 or is_last:
            points = program.cheapest(relaxed.prices, POINTS_PER_BLOCK)
            choice = program.choose(points, min(CHOICE_SECONDS, budget.remaining))
            if choice.values is not None and is_lower(choice.objective, best):
                best = choice.objective
                yield problem.incumbent(choice.values)
