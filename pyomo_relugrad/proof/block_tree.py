"""Branch and bound for problems that fall apart into blocks: each by itself at multipliers of the rows that link them.

Over boxes of all columns together, the number of nodes is a product over blocks; with multipliers it is a sum. What
the blocks can reach at the best multipliers is the Lagrangian bound (Dantzig and Wolfe, 1960): with many blocks and few
rows it is close to the optimum. What it leaves is for branch and bound over all columns.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from pyomo_relugrad.arrays import Array
from pyomo_relugrad.problem import Incumbent, Problem
from pyomo_relugrad.proof.boxes.node_program import priced
from pyomo_relugrad.proof.boxes.tree import SearchTree
from pyomo_relugrad.run import Options
from pyomo_relugrad.search.separable.blocks import Blocks
from pyomo_relugrad.search.separable.choice import ChoiceProgram
from pyomo_relugrad.search.separable.tables import Table

# Rows that link blocks, per block, up to which multipliers help.
MAX_LINKS = 1.0
# Rounds in a row after which multipliers that raise the bound by no share of the gap are given up, and that share.
PATIENCE, LEAST_SHARE = 3, 0.02
# Shares of the gap that is asked for, and of the gap that is still open, that all blocks together may leave.
GAP_SHARE, OPEN_SHARE = 0.25, 0.05
# Points with larger numbers are no part of linear programs, which HiGHS would refuse.
MAX_VALUE = 1e9
# Seconds of a choice from the points that were found.
CHOICE_SECONDS = 0.2
# Nodes of one block at one set of multipliers.
MAX_NODES = 4000


@dataclass(frozen=True, eq=False)
class Block:
    """One block as a problem of its own.

    Parameters
    ----------
    problem : Problem
        With the costs of the whole one.
    columns : (k,) int array
        Its columns in the whole problem.
    own : (k,) boolean array
        Those that are the block's alone; others are fixed.
    """

    problem: Problem
    columns: Array
    own: Array

    @classmethod
    def of(cls, problem: Problem, blocks: Blocks, number: int) -> Block:
        """One of the blocks of a problem."""
        is_own = blocks.of_column == number
        functions = [each for each in problem.functions if is_own[each.outputs].any()]
        parts = [np.flatnonzero(is_own), *(np.concatenate([each.inputs, each.outputs]) for each in functions)]
        columns = np.unique(np.concatenate(parts))
        place = np.full(problem.n_columns, -1)
        place[columns] = np.arange(columns.size)
        chosen = blocks.of_row == number
        rows = problem.rows[chosen]
        elsewhere = np.unique(rows.indices[place[rows.indices] < 0])  # these are fixed
        fixed = rows[:, elsewhere] @ problem.lower[elsewhere]
        own = Problem(
            np.where(is_own[columns], problem.cost[columns], 0.0),
            problem.lower[columns],
            problem.upper[columns],
            rows[:, columns],
            problem.row_lower[chosen] - fixed,
            problem.row_upper[chosen] - fixed,
            problem.integers[columns],
            networks=tuple(each.renumbered(place) for each in problem.networks if is_own[each.outputs].any()),
            expressions=tuple(each.renumbered(place) for each in problem.expressions if is_own[each.outputs].any()),
        )
        return cls(own, columns, is_own[columns])

    def at(self, costs: Array) -> Problem:
        """The block's problem with the given costs (n,) of the whole problem's columns."""
        return replace(self.problem, cost=np.where(self.own, costs[self.columns], 0.0))


class BlockTree(SearchTree):
    """A `SearchTree` that bounds the blocks of a problem first, at multipliers of the rows that link them.

    Parameters
    ----------
    problem : Problem
    options : Options
    start : Incumbent, optional
    """

    def __init__(self, problem: Problem, options: Options, start: Incumbent | None = None) -> None:
        super().__init__(problem, options, start)
        self._priced_bound = -np.inf

    @classmethod
    def suits(cls, problem: Problem) -> bool:
        """Whether the objective is linear, and few rows link several blocks that leave no column without bounds."""
        if problem.quadratic is not None:
            return False
        blocks = Blocks.of(problem)
        loose = (blocks.of_column < 0) & ~problem.is_output
        is_bounded = np.isfinite(problem.lower[loose]).all() and np.isfinite(problem.upper[loose]).all()
        n_links = int((blocks.of_row < 0).sum())
        in_one = (blocks.of_column >= 0)[problem.is_output].all()
        return bool(blocks.count > 1 and n_links <= MAX_LINKS * blocks.count and is_bounded and in_one)

    @property
    def bound(self) -> float:
        """The better one of the blocks' and the tree's."""
        return max(super().bound, min(self._priced_bound, self.incumbent_value))

    def steps(self) -> Generator[None, None, None]:
        """Rounds over the blocks, then branch and bound over all columns."""
        yield from self._rounds()
        yield from super().steps()

    @cached_property
    def _blocks(self) -> Blocks:
        return Blocks.of(self.problem)

    @cached_property
    def _parts(self) -> list[Block]:
        return [Block.of(self.problem, self._blocks, number) for number in range(self._blocks.count)]

    @cached_property
    def _linked(self) -> Problem:
        """The problem with no other rows than those that link blocks."""
        problem, links = self.problem, self._blocks.of_row < 0
        return replace(
            problem,
            rows=problem.rows[links],
            row_lower=problem.row_lower[links],
            row_upper=problem.row_upper[links],
            row_names=(),
        )

    def _rounds(self) -> Iterator[None]:
        """Bound the blocks at multipliers, choose better ones from the points found, and so on."""
        points: list[list[Array]] = [[] for _ in self._parts]
        if self.incumbent is not None:
            for part, found in zip(self._parts, points, strict=True):
                _keep(found, self.incumbent.values[part.columns])
        duals, fruitless, estimate = np.zeros(self._linked.n_rows), 0, np.inf
        while fruitless < PATIENCE and self._priced_bound < self.cutoff:
            before = self._priced_bound
            bounds = []
            for part, found in zip(self._parts, points, strict=True):
                bound = yield from self._bound_block(part, found, duals, estimate)
                bounds.append(bound)
            self._priced_bound = max(before, self._lagrangian(duals, sum(bounds)))
            duals, estimate = self._choose(points) or (self._pushed(duals, points, 2.0**fruitless), np.inf)
            gap, rise = estimate - self._priced_bound, self._priced_bound - before
            if np.isfinite(gap) and gap <= GAP_SHARE * self.options.allowed_gap(estimate):
                return
            fruitless = 0 if rise > LEAST_SHARE * gap else fruitless + 1

    def _bound_block(
        self, part: Block, found: list[Array], duals: Array, estimate: float
    ) -> Generator[None, None, float]:
        """A bound of one block at multipliers; its best point joins those found."""
        problem = part.at(self.problem.cost - self._linked.rows.T @ duals)
        known = [problem.measure(point) for point in found]
        start = min((point for point in known if point.is_feasible), key=lambda point: point.objective, default=None)
        tree = SearchTree(problem, self._block_options(estimate), start)
        counted = 0
        for _ in tree.steps():
            self.nodes, counted = self.nodes + tree.nodes - counted, tree.nodes
            yield
            if tree.conclusion() is not None or tree.nodes >= MAX_NODES:
                break
        if tree.incumbent is not None and tree.incumbent is not start:
            _keep(found, tree.incumbent.values)
        return tree.bound

    def _block_options(self, estimate: float) -> Options:
        """The gap at which a block is left: narrower as the multipliers' bound comes closer to what it can be."""
        open_gap = min(estimate, self.incumbent_value) - self._priced_bound
        if not np.isfinite(open_gap):
            return Options(relative_gap=OPEN_SHARE)
        wanted = GAP_SHARE * self.options.allowed_gap(min(estimate, self.incumbent_value))
        return Options(relative_gap=0.0, absolute_gap=max(wanted, OPEN_SHARE * open_gap) / len(self._parts))

    def _lagrangian(self, duals: Array, blocks: float) -> float:
        """The bound at multipliers, from the sum of the blocks' bounds."""
        linked = self._linked
        kept, sides = priced(duals[None], linked.row_lower, linked.row_upper)
        if not np.array_equal(kept[0], duals):
            return -np.inf
        loose = self._blocks.of_column < 0
        costs = (linked.cost - linked.rows.T @ duals)[loose]
        ends = np.where(costs > 0, linked.lower[loose], linked.upper[loose])
        rest = float((costs * np.where(costs == 0, 0.0, ends)).sum())
        return float(blocks + sides[0] + rest + linked.constant)

    def _pushed(self, duals: Array, points: list[list[Array]], length: float) -> Array:
        """Multipliers that ask more of the rows that the last points miss, by a step along a subgradient."""
        linked = self._linked
        v = np.where(self._blocks.of_column < 0, linked.lower, 0.0)
        for part, found in zip(self._parts, points, strict=True):
            if found:
                v[part.columns[part.own]] = found[-1][part.own]
        activity = linked.rows @ v
        missed = np.maximum(linked.row_lower - activity, 0.0) - np.maximum(activity - linked.row_upper, 0.0)
        size = float(missed @ missed)
        bound = self._priced_bound if np.isfinite(self._priced_bound) else 0.0
        return duals if size == 0.0 else duals + length * (1.0 + abs(bound)) / size * missed

    def _choose(self, points: list[list[Array]]) -> tuple[Array, float] | None:
        """Multipliers of the best mixture of the points found, and its objective; None where there is none.

        The best choice of one point each is offered as an incumbent.
        """
        if not all(points):
            return None
        tables = []
        for part, found in zip(self._parts, points, strict=True):
            values = np.array(found)[:, part.own]
            tables.append(Table(part.columns[part.own], values, np.zeros(len(values), bool)))
        program = ChoiceProgram(self._linked, tables)
        relaxed = program.relax(np.inf)
        if relaxed is None:
            return None
        choice = program.choose(np.ones(program.n_points, bool), CHOICE_SECONDS)
        if choice.values is not None and choice.objective < self.incumbent_value:
            self.offer(self.problem.incumbent(choice.values))
        duals, _ = priced(relaxed.row_duals[None], self._linked.row_lower, self._linked.row_upper)
        return duals[0], relaxed.objective


def _keep(found: list[Array], point: Array) -> None:
    """Add a point to those found, where a linear program can hold it."""
    if np.abs(point).max(initial=0.0) <= MAX_VALUE:
        found.append(point)
