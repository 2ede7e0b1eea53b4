"""Column generation: points of blocks at the multipliers of the rows that link them, and programs that choose."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product

import numpy as np

from pyomo_relugrad.arrays import Array
from pyomo_relugrad.problem import Incumbent, Problem
from pyomo_relugrad.run import Budget, Method, SearchContext, between
from pyomo_relugrad.search.regions.walk import is_lower
from pyomo_relugrad.search.separable.blocks import Blocks
from pyomo_relugrad.search.separable.choice import ChoiceProgram, RelaxedChoice
from pyomo_relugrad.search.separable.pricing import Pricing
from pyomo_relugrad.search.separable.tables import Table

#: Rows that link blocks without integers, per block, up to which multipliers help: where more of them bind, blocks are
#: between their points, and what is between two good points need not be good.
MAX_CONTINUOUS_LINKS = 1
#: Distance, relative to one plus their size, at which two points of a block are two.
DISTINCT = 1e-6
#: Time left, in units of what a choice may take, in which the last one begins.
LAST_CHOICE = 1.6
#: Share of that time within which a choice has to end for the next one to be among twice as many points.
FAST_SHARE = 0.3


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
        Rows that link blocks with integers, per block, up to which multipliers help (4).
    smoothing : float, optional
        Share of the last multipliers that is kept (0.5).
    moved_share : float, optional
        Share of the blocks that a descent begins at random rather than where the best point is (0.9).
    patience : int, optional
        Rounds in a row without a lower relaxation after which values of the integers are given up (5).
    rounds_per_choice : int, optional
        Rounds from one choice to the next, at least (3).
    choice_share : float, optional
        Share of the time that choices have, where it is limited, but for a last one before the end (0.25).
    points_per_block : int, optional
        Points per block among which the first choice is made: those that cost least at the multipliers (3). After a
        choice that is made in time the next one has twice as many.
    choice_seconds : float, optional
        Seconds that a choice may take (0.5); a good one comes soon.
    """

    name = "column-generation"

    max_integers: int = 8
    max_links: int = 4
    smoothing: float = between(0.5, 0, 1)
    moved_share: float = between(0.9, 0, 1)
    patience: int = 5
    rounds_per_choice: int = 3
    choice_share: float = between(0.25, 0, 1)
    points_per_block: int = 3
    choice_seconds: float = 0.5

    def run(self, problem: Problem, context: SearchContext) -> Iterator[Incumbent | None]:
        """Yield what the programs choose."""
        blocks = Blocks.of(problem)
        integers = self._integer_values(problem, blocks) if self._suits(problem, blocks) else None
        if integers is None:
            return
        best = min(context.known, key=lambda point: point.objective, default=None)
        chooser, last, n_rounds = _Chooser(problem, self, context.budget, best), None, 0
        pricing = Pricing(problem, blocks, context, self.moved_share)
        context.budget.is_unsettled = True
        for state in self._rounds(problem, pricing, _Columns(blocks), integers, context):
            yield None
            last, n_rounds = state or last, n_rounds + 1
            if state is not None and n_rounds % self.rounds_per_choice == 0 and chooser.is_due:
                yield chooser.choose(*state)
        chooser.goes_on = True
        while last is not None and chooser.goes_on and not context.budget.is_exhausted():
            yield chooser.choose(*last)
        context.budget.is_unsettled = False

    def _rounds(
        self, problem: Problem, pricing: Pricing, columns: _Columns, integers: Array, context: SearchContext
    ) -> Iterator[tuple[ChoiceProgram, RelaxedChoice] | None]:
        """The program over all points found so far and its relaxation after each round; None where it has none."""
        columns.add(pricing.start, pricing.feasible_blocks(pricing.start))
        duals, lowest, fruitless = pricing.first_duals(), np.inf, np.zeros(len(integers), int)
        while fruitless.min() < self.patience and not context.budget.is_exhausted():
            tried = int(fruitless.argmin())
            v = pricing.descend(duals, integers[tried])
            columns.add(v, pricing.feasible_blocks(v))
            fruitless[tried] += 1
            program = ChoiceProgram(problem, columns.tables()) if columns.is_complete else None
            relaxed = None if program is None else program.relax(context.budget.remaining)
            if program is None or relaxed is None:
                yield None
                continue
            if is_lower(relaxed.objective, lowest):
                lowest, fruitless[tried] = relaxed.objective, 0
                context.past.multipliers = relaxed.row_duals
            duals = self.smoothing * duals + (1.0 - self.smoothing) * relaxed.row_duals
            yield program, relaxed

    def _suits(self, problem: Problem, blocks: Blocks) -> bool:
        """Whether the objective is linear, and few rows link several blocks."""
        n_links = int((blocks.of_row < 0).sum())
        max_links = self.max_links if problem.integers.any() else min(self.max_links, MAX_CONTINUOUS_LINKS)
        return problem.quadratic is None and blocks.count > 1 and 0 < n_links <= max_links * blocks.count

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
    """The points of each block that were found."""

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


class _Chooser:
    """Choices among the cheapest points, of more per block while programs are solved in time.

    Parameters
    ----------
    problem : Problem
    asked : ColumnGeneration
    budget : Budget
    best : Incumbent, optional
        The best point that is known.
    """

    def __init__(self, problem: Problem, asked: ColumnGeneration, budget: Budget, best: Incumbent | None) -> None:
        self._problem, self._asked, self._budget, self._best = problem, asked, budget, best
        self._per_block, self._begin, self._worked, self._is_late = asked.points_per_block, budget.worked, 0.0, False
        #: Whether a choice among more of the same points may be better.
        self.goes_on = True

    @property
    def is_due(self) -> bool:
        """Whether there is time for a choice: one has had its share, or the last one for which there is time is due."""
        if not self._budget.is_timed:
            return True
        is_late = self._budget.remaining < LAST_CHOICE * self._asked.choice_seconds
        is_last, self._is_late = is_late and not self._is_late, is_late
        return is_last or self._worked <= self._asked.choice_share * (self._budget.worked - self._begin)

    def choose(self, program: ChoiceProgram, relaxed: RelaxedChoice) -> Incumbent | None:
        """A better point, None where none is found."""
        best = np.inf if self._best is None else self._best.objective
        needed, begin, start = relaxed.prices <= best - relaxed.objective, self._budget.worked, None
        points = program.cheapest(relaxed.prices, self._per_block) & needed
        if self._best is not None:
            points |= program.nearest(self._best.values)
            start = program.solution(self._best.values, points)
        choice = program.choose(points, self._asked.choice_seconds, start)
        seconds = self._budget.worked - begin
        self._worked += seconds
        is_fast = choice.is_solved and seconds < FAST_SHARE * self._asked.choice_seconds
        if not choice.is_solved:
            self._per_block = max(self._per_block // 2, self._asked.points_per_block)
        elif is_fast:
            self._per_block *= 2
        self.goes_on = is_fast and bool((needed & ~points).any())
        if choice.values is None or not is_lower(choice.objective, best):
            return None
        self._best = self._problem.incumbent(choice.values)
        return self._best
