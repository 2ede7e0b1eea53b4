"""Column generation: points of blocks at the multipliers of the rows that link them, and programs that choose."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product

import numpy as np

from pyomo_relugrad.arrays import Array
from pyomo_relugrad.problem import Incumbent, Problem
from pyomo_relugrad.run.context import SearchContext
from pyomo_relugrad.run.method import Method, between
from pyomo_relugrad.search.regions.walk import is_lower
from pyomo_relugrad.search.separable.blocks import Blocks
from pyomo_relugrad.search.separable.choice import ChoiceProgram
from pyomo_relugrad.search.separable.pricing import Pricing
from pyomo_relugrad.search.separable.tables import Table

#: Distance, relative to one plus their size, at which two points of a block are two.
DISTINCT = 1e-6


@dataclass(frozen=True)
class ColumnGeneration(Method):
    """Points of blocks at multipliers of the rows that link them, and programs that choose.

    Price the rows that link blocks, let each block do its best at these prices, and choose what fits together.

    The relaxation over all points found so far gives the next multipliers (Dantzig and Wolfe, 1960), until it has not
    fallen for some rounds. Nothing is yielded where the problem does not fall apart into blocks with few integers that
    few rows link. The blocks' points come from descents, so that the multipliers give no bound.

    Parameters
    ----------
    max_integers : int, optional
        Values of a block's integers up to which all are tried (8).
    max_links : int, optional
        Rows that link blocks, per block, up to which multipliers help (4).
    smoothing : float, optional
        Share of the last multipliers that is kept (0.5).
    moved_share : float, optional
        Share of the blocks that a descent begins at random rather than where the best point is (0.5).
    patience : int, optional
        Rounds in a row without a lower relaxation after which values of the integers are given up (5).
    rounds_per_choice : int, optional
        Rounds from one choice to the next (3).
    points_per_block : int, optional
        Points per block among which a choice is made: those that cost least at the multipliers (3).
    choice_seconds : float, optional
        Seconds that a choice may take (0.5); a good one comes soon.
    """

    name = "column-generation"

    max_integers: int = 8
    max_links: int = 4
    smoothing: float = between(0.5, 0, 1)
    moved_share: float = between(0.5, 0, 1)
    patience: int = 5
    rounds_per_choice: int = 3
    points_per_block: int = 3
    choice_seconds: float = 0.5

    def run(self, problem: Problem, context: SearchContext) -> Iterator[Incumbent | None]:
        """Yield what the programs choose."""
        blocks = Blocks.of(problem)
        integers = self._integer_values(problem, blocks) if self._suits(problem, blocks) else None
        if integers is None:
            return
        pricing, columns, budget = Pricing(problem, blocks, context, self.moved_share), _Columns(blocks), context.budget
        columns.add(pricing.start, pricing.feasible_blocks(pricing.start))
        duals, lowest, best = pricing.first_duals(), np.inf, np.inf
        fruitless, n_rounds = np.zeros(len(integers), int), 0
        while fruitless.min() < self.patience and not budget.is_exhausted():
            tried, n_rounds = int(fruitless.argmin()), n_rounds + 1
            v = pricing.descend(duals, integers[tried])
            columns.add(v, pricing.feasible_blocks(v))
            yield None
            fruitless[tried] += 1
            program = ChoiceProgram(problem, columns.tables()) if columns.is_complete else None
            relaxed = None if program is None else program.relax(budget.remaining)
            if program is None or relaxed is None:
                continue
            if is_lower(relaxed.objective, lowest):
                lowest, fruitless[tried] = relaxed.objective, 0
            duals = self.smoothing * duals + (1.0 - self.smoothing) * relaxed.row_duals
            if n_rounds % self.rounds_per_choice == 0 or fruitless.min() == self.patience:
                points = program.cheapest(relaxed.prices, self.points_per_block)
                choice = program.choose(points, self.choice_seconds)
                if choice.values is not None and is_lower(choice.objective, best):
                    best = choice.objective
                    yield problem.incumbent(choice.values)

    def _suits(self, problem: Problem, blocks: Blocks) -> bool:
        """Whether the objective is linear, and few rows link several blocks."""
        n_links = int((blocks.of_row < 0).sum())
        return problem.quadratic is None and blocks.count > 1 and 0 < n_links <= self.max_links * blocks.count

    def _integer_values(self, problem: Problem, blocks: Blocks) -> Array | None:
        """Values (k, n_integers) of all integer columns in which each block has each of its own, None if too many."""
        columns = np.flatnonzero(problem.integers)
        values, count = np.zeros((self.max_integers, columns.size)), 1
        for block in range(blocks.count):
            own = blocks.of_column[columns] == block
            lower, upper = problem.lower[columns[own]], problem.upper[columns[own]]
            if np.prod(upper - lower + 1) > self.max_integers:
                return None
            ranges = (np.arange(low, high + 1) for low, high in zip(lower, upper, strict=True))
            combinations = np.array(list(product(*ranges)))
            values[:, own] = np.resize(combinations, (self.max_integers, int(own.sum())))
            count = max(count, len(combinations))
        return values[:count]


class _Columns:
    """The points of each block that were found.

    Parameters
    ----------
    blocks : Blocks
    """

    def __init__(self, blocks: Blocks) -> None:
        self._columns = [np.flatnonzero(blocks.of_column == block) for block in range(blocks.count)]
        self._points = [np.zeros((0, columns.size)) for columns in self._columns]

    def add(self, v: Array, feasible: Array) -> None:
        """Keep those blocks of a point (n,) that are feasible, by a mask, and new."""
        for block in np.flatnonzero(feasible):
            part, known = v[self._columns[block]], self._points[block]
            if (np.abs(known - part) > DISTINCT * (1.0 + np.abs(part))).any(axis=1).all():
                self._points[block] = np.vstack([known, part])

    @property
    def is_complete(self) -> bool:
        """Whether each block has a point."""
        return all(len(points) for points in self._points)

    def tables(self) -> list[Table]:
        """The points as tables."""
        pairs = zip(self._columns, self._points, strict=True)
        return [Table(columns, points, np.zeros(len(points), bool)) for columns, points in pairs]
