"""Branch and bound for problems that fall apart into blocks: each by itself at multipliers of the rows that link them.

Over boxes of all columns together, the number of nodes is a product over blocks; with multipliers it is a sum. What
the blocks can reach at the best multipliers is the Lagrangian bound (Dantzig and Wolfe, 1960): with many blocks and few
rows it is close to the optimum. What it leaves is for branch and bound over all columns.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from functools import cached_property

import numpy as np

from pyomo_relugrad.arrays import Array
from pyomo_relugrad.problem import Incumbent, Problem
from pyomo_relugrad.proof.boxes.tree import SearchTree
from pyomo_relugrad.proof.lagrangian import Block, Lagrangian, falls_apart, keep
from pyomo_relugrad.run import Options

# Rows that link blocks, per block, up to which multipliers help.
MAX_LINKS = 1.0
# Rounds in a row after which multipliers that raise the bound by no share of the gap are given up, and that share.
PATIENCE, LEAST_SHARE = 3, 0.02
# Shares of the gap that is asked for, and of the gap that is still open, that all blocks together may leave.
GAP_SHARE, OPEN_SHARE = 0.25, 0.05
# Nodes of one block at one set of multipliers.
MAX_NODES = 4000


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
        """Whether few rows link several blocks."""
        return falls_apart(problem, MAX_LINKS)

    @property
    def bound(self) -> float:
        """The better one of the blocks' and the tree's."""
        return max(super().bound, min(self._priced_bound, self.incumbent_value))

    def steps(self) -> Generator[None, None, None]:
        """Rounds over the blocks, then branch and bound over all columns."""
        yield from self._rounds()
        yield from super().steps()

    @cached_property
    def _lagrangian(self) -> Lagrangian:
        return Lagrangian(self.problem)

    def _rounds(self) -> Iterator[None]:
        """Bound the blocks at multipliers, choose better ones from the points found, and so on."""
        points: list[list[Array]] = [[] for _ in self._lagrangian.parts]
        duals, fruitless, estimate, kept = np.zeros(self._lagrangian.linked.n_rows), 0, np.inf, None
        while fruitless < PATIENCE and self._priced_bound < self.cutoff:
            if self.incumbent is not None and self.incumbent is not kept:
                kept = self.incumbent
                for part, found in zip(self._lagrangian.parts, points, strict=True):
                    keep(found, kept.values[part.columns])
            before, known = self._priced_bound, estimate
            bounds = []
            for part, found in zip(self._lagrangian.parts, points, strict=True):
                bound = yield from self._bound_block(part, found, duals, estimate)
                bounds.append(bound)
            self._priced_bound = max(before, self._lagrangian.bound(duals, sum(bounds)))
            duals, estimate = self._choose(points) or (self._pushed(duals, points, 2.0**fruitless), np.inf)
            gap, rise = estimate - self._priced_bound, self._priced_bound - before
            if np.isfinite(gap) and gap <= GAP_SHARE * self.options.allowed_gap(estimate):
                return
            is_first = np.isinf(known) and np.isfinite(estimate)  # its multipliers have not been tried
            fruitless = 0 if is_first or rise > LEAST_SHARE * gap else fruitless + 1

    def _bound_block(
        self, part: Block, found: list[Array], duals: Array, estimate: float
    ) -> Generator[None, None, float]:
        """A bound of one block at multipliers; its best point joins those found."""
        problem = part.at(self._lagrangian.costs(duals))
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
            keep(found, tree.incumbent.values)
        return tree.bound

    def _block_options(self, estimate: float) -> Options:
        """The gap at which a block is left: narrower as the multipliers' bound comes closer to what it can be."""
        open_gap = min(estimate, self.incumbent_value) - self._priced_bound
        if not np.isfinite(open_gap):
            return Options(relative_gap=OPEN_SHARE, threads=1)
        wanted = GAP_SHARE * self.options.allowed_gap(min(estimate, self.incumbent_value))
        absolute_gap = max(wanted, OPEN_SHARE * open_gap) / len(self._lagrangian.parts)
        return Options(relative_gap=0.0, absolute_gap=absolute_gap, threads=1)

    def _pushed(self, duals: Array, points: list[list[Array]], length: float) -> Array:
        """Multipliers that ask more of the rows that the last points miss, by a step along a subgradient."""
        linked = self._lagrangian.linked
        v = np.where(self._lagrangian.in_block, 0.0, linked.lower)
        for part, found in zip(self._lagrangian.parts, points, strict=True):
            if found:
                v[part.columns[part.own]] = found[-1][part.own]
        activity = linked.rows @ v
        missed = np.maximum(linked.row_lower - activity, 0.0) - np.maximum(activity - linked.row_upper, 0.0)
        size = float(missed @ missed)
        bound = self._priced_bound if np.isfinite(self._priced_bound) else 0.0
        return duals if size == 0.0 else duals + length * (1.0 + abs(bound)) / size * missed

    def _choose(self, points: list[list[Array]]) -> tuple[Array, float] | None:
        """Multipliers of the best mixture of the points found, and its objective; the best choice is offered."""
        chosen = self._lagrangian.choose(points)
        if chosen is None:
            return None
        duals, objective, point = chosen
        if point is not None:
            self.offer(point)
        return duals, objective
