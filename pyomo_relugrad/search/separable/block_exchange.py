"""A search that exchanges one block of a plan at a time, at the prices of the rows that link blocks."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from dataclasses import dataclass, field

import numpy as np

from pyomo_relugrad.arrays import Array
from pyomo_relugrad.problem import Incumbent, Problem
from pyomo_relugrad.run import Method, SearchContext, between
from pyomo_relugrad.search.regions.program import RegionProgram
from pyomo_relugrad.search.regions.walk import is_lower, walk_regions
from pyomo_relugrad.search.relaxation import LinearRelaxation
from pyomo_relugrad.search.separable.blocks import Block, Blocks, alike
from pyomo_relugrad.search.sequential.search import SequentialLp, while_promising
from pyomo_relugrad.search.sequential.step_model import column_scale

#: Distance, relative to the columns' ranges, at which two points of a block are two.
DISTINCT = 1e-6
#: Gain at the prices below which an exchange promises nothing, and the chance that the next best pair of a block and a
#: point is taken in place of the one before.
LEAST_PROMISE, NEXT_PAIR = 1e-9, 0.9
#: Steps of a walk whose gain, so many times, would not reach the plan that it is to better: then it ends. Most of what
#: a walk gains it gains at once, and many exchanges are better than few long walks.
RECENT_STEPS, HOPE = 3, 1.0
#: Points of one kind of block that are kept, twice as many at most.
KEPT = 40


@dataclass(frozen=True)
class BlockExchange(Method):
    """Blocks of a plan exchanged, one at a time, for what is good at the prices of the rows that link them.

    Where a walk over linear regions ends, the multipliers of its linear program price the rows that link blocks. At
    these prices a block is a small problem of its own; descents in it from random vertices come to points that may take
    the place of the block's, or of one that is alike. From there all blocks move together, by a walk over regions.
    A plan for which this is in vain is left for one in which several blocks are exchanged at once. Nothing is yielded
    where the problem does not fall apart into blocks, where there are integers, or where few rows link many blocks,
    which is for column generation.

    The prices are those of Dantzig and Wolfe (1960), of the best plan in place of a mixture of points.

    Parameters
    ----------
    share : float, optional
        Share of the time that it has beside sequential linear programming (0.9).
    drawn : int, optional
        Descents at the prices in a round (3).
    tried : int, optional
        Exchanges that are tried in a round (4); one that is better ends it.
    patience : int, optional
        Rounds in vain after which a plan is left (8).
    plans : int, optional
        Plans in a row without a better point after which the search ends (4); it also ends where a plan has no prices
        or no feasible walk.
    min_links : float, optional
        Rows that link blocks, per block, above which this search is of use (1).
    """

    name = "block-exchange"

    share: float = between(0.9, 0, 1)
    drawn: int = 3
    tried: int = 4
    patience: int = 8
    plans: int = 4
    min_links: float = 1.0

    def run(self, problem: Problem, context: SearchContext) -> Iterator[Incumbent | None]:
        """Yield better points."""
        blocks = Blocks.of(problem)
        if not self._suits(problem, blocks):
            return
        parts: list[Block] = []
        for part in Block.all_of(problem, blocks):
            parts.append(part)
            yield None
            if context.budget.is_exhausted():
                return
        yield from _Exchanges(self, problem, parts, blocks.of_row < 0, context).run()

    def _suits(self, problem: Problem, blocks: Blocks) -> bool:
        """Whether the objective is linear, and many rows link several blocks, to which all outputs belong."""
        n_links = int((blocks.of_row < 0).sum())
        return (
            problem.is_piecewise_linear
            and problem.quadratic is None
            and blocks.count > 1
            and n_links > self.min_links * blocks.count
            and not (problem.integers & (problem.lower < problem.upper)).any()
            and bool((blocks.of_column[problem.is_output] >= 0).all())
        )


@dataclass(eq=False)
class _Kind:
    """Blocks that are alike, and points that any of them may have.

    Parameters
    ----------
    parts : list of Block
        One at least.
    random : numpy.random.Generator
    """

    parts: list[Block]
    random: np.random.Generator
    points: list[Array] = field(default_factory=list)

    def __post_init__(self) -> None:
        problem = self.parts[0].problem
        self.surroundings = LinearRelaxation(problem)
        self._program = self.surroundings.program(integral=False)
        scale = column_scale(problem)
        self._scale = np.where(scale > 0.0, scale, 1.0)

    def vertex(self, seconds: float) -> Array | None:
        """A random vertex (k,) of the block's surroundings, with propagated outputs; None where there is none."""
        problem = self.parts[0].problem
        decides = problem.is_input & ~problem.is_output
        self._program.change_costs(decides * self.random.normal(size=problem.n_columns) / self._scale)
        values = self._program.solve(seconds).values
        return None if values is None else problem.propagate(values[None])[0]

    def keep(self, point: Array) -> None:
        """Add a point (k,), unless it is known."""
        near = np.abs(np.array(self.points).reshape(-1, point.size) - point) <= DISTINCT * self._scale
        if not near.all(axis=1).any():
            self.points.append(point)

    def values(self, costs: Array, points: list[Array]) -> Array:
        """What points cost at costs (n,) of the whole problem's columns."""
        return np.array(points) @ self.parts[0].at(costs).cost

    def pair(self, costs: Array, v: Array, tried: set[tuple[int, int]]) -> tuple[int, int] | None:
        """A block of the plan `v` (n,) and a point to exchange it for: rather one of those that promise most.

        None where no pair that is new promises anything: what a block costs at the prices, less what the point does.
        """
        own, others = self.values(costs, [v[part.columns] for part in self.parts]), self.values(costs, self.points)
        promised = own[:, None] - others
        promised[tuple(np.array(list(tried), int).reshape(-1, 2).T)] = 0.0
        order = np.argsort(-promised, axis=None)[: int((promised > LEAST_PROMISE).sum())]
        if order.size == 0:
            return None
        chosen = order[min(self.random.geometric(1.0 - NEXT_PAIR), order.size) - 1]
        return int(chosen // others.size), int(chosen % others.size)

    def forget(self, costs: Array) -> None:
        """Leave out the points that cost most, where there are many."""
        if len(self.points) > 2 * KEPT:
            self.points = [self.points[index] for index in np.argsort(self.values(costs, self.points))[:KEPT]]


class _Exchanges:
    """The state of one search, with the blocks and which rows link them."""

    def __init__(
        self, method: BlockExchange, problem: Problem, parts: list[Block], links: Array, context: SearchContext
    ) -> None:
        self._method, self._problem, self._links, self._context = method, problem, links, context
        kinds = alike(parts, problem.rows[self._links])
        self._kinds = [_Kind([parts[number] for number in numbers], context.random) for numbers in kinds]
        self._descents = SequentialLp()
        self._program = RegionProgram(problem)
        self._best: Incumbent | None = None

    def run(self) -> Iterator[Incumbent | None]:
        """Go from plan to plan, until several have brought nothing."""
        budget, vain = self._context.budget, 0
        plan = yield from self._first_plan()
        while plan is not None and vain < self._method.plans and not budget.is_exhausted():
            before = np.inf if self._best is None else self._best.objective
            better = yield from self._improved(plan)
            if is_lower(better.objective, before):
                self._best, vain = better, 0
            else:
                vain += 1
            plan = yield from self._other_plan()

    def _first_plan(self) -> Generator[Incumbent | None, None, Incumbent | None]:
        """The end of a walk from the best known point, or else from where a descent from the relaxation's ends."""
        context, problem = self._context, self._problem
        if context.known:
            v = min(context.known, key=lambda point: point.objective).values
        elif context.relaxed is None:
            return None
        else:
            descent = self._descents.descent(problem, context, LinearRelaxation(problem))
            v = yield from descent.settle(problem.propagate(context.relaxed[None])[0], np.inf)
        return (yield from self._walked(v, np.inf))

    def _walked(self, v: Array, best: float) -> Generator[Incumbent | None, None, Incumbent | None]:
        """The last feasible point of a walk over regions, which goes down, while it may come to `best`."""
        u = v[self._program.columns]
        start = self._program.incumbent(u)
        found = start if start.is_feasible else None
        walk = walk_regions(self._program, u, self._context.budget)
        for point in while_promising(walk, best, RECENT_STEPS, HOPE):
            found = point if point is not None and point.is_feasible else found
            yield point
        return found

    def _improved(self, plan: Incumbent) -> Generator[Incumbent | None, None, Incumbent]:
        """The plan after exchanges, until several rounds are in vain."""
        budget, vain = self._context.budget, 0
        costs, tried = self._costs(plan), [set[tuple[int, int]]() for _ in self._kinds]
        while vain < self._method.patience and costs is not None and not budget.is_exhausted():
            better = yield from self._round(plan, costs, tried)
            offered = [point for point in self._context.take_offered() if is_lower(point.objective, plan.objective)]
            better = min([*offered, *([better] if better else [])], key=lambda point: point.objective, default=None)
            vain += 1
            if better is not None:
                plan, vain = better, 0
                costs, tried = self._costs(plan), [set() for _ in self._kinds]
        return plan

    def _costs(self, plan: Incumbent) -> Array | None:
        """Costs (n,) of columns at the prices where a plan is; its blocks join the points. None without prices."""
        problem, program = self._problem, self._program
        region = program.region_at(plan.values[program.columns])
        multipliers = program.row_multipliers(program.solve(region, self._context.budget))
        if multipliers is None:
            return None
        prices = np.where(self._links, multipliers, 0.0)
        self._context.past.multipliers = prices
        costs = np.asarray(problem.cost - prices @ problem.rows)
        for kind in self._kinds:
            for part in kind.parts:
                kind.keep(plan.values[part.columns])
            kind.forget(costs)
        return costs

    def _round(
        self, plan: Incumbent, costs: Array, tried: list[set[tuple[int, int]]]
    ) -> Generator[Incumbent | None, None, Incumbent | None]:
        """Descents at the prices in one kind of block, then exchanges; a better plan, or None."""
        budget, random = self._context.budget, self._context.random
        sizes = np.array([len(kind.parts) for kind in self._kinds])
        number = int(random.choice(sizes.size, p=sizes / sizes.sum()))
        kind, known = self._kinds[number], tried[number]
        yield from self._priced(kind, costs)
        for _ in range(self._method.tried):
            pair = kind.pair(costs, plan.values, known)
            if pair is None or budget.is_exhausted():
                break
            known.add(pair)
            v = plan.values.copy()
            v[kind.parts[pair[0]].columns] = kind.points[pair[1]]
            found = yield from self._walked(v, plan.objective)
            if found is not None and is_lower(found.objective, plan.objective):
                return found
        return None

    def _priced(self, kind: _Kind, costs: Array) -> Iterator[None]:
        """Add points to which descents at the prices come from random vertices."""
        context, problem = self._context, kind.parts[0].at(costs)
        descent = self._descents.descent(problem, context, kind.surroundings)
        for _ in range(self._method.drawn):
            start = kind.vertex(context.budget.remaining)
            context.budget.count()
            found = None
            for point in descent.run(start) if start is not None else ():
                found = point if point is not None and point.is_feasible else found
                yield None
            if found is not None:
                kind.keep(found.values)
            if context.budget.is_exhausted():
                return

    def _other_plan(self) -> Generator[Incumbent | None, None, Incumbent | None]:
        """The best plan with several blocks exchanged for any of the better points."""
        if self._best is None:
            return None
        costs, random, v = self._costs(self._best), self._context.random, self._best.values.copy()
        if costs is None:
            return None
        count = sum(len(kind.parts) for kind in self._kinds)
        share = random.integers(2, max(count, 2) + 1) / count
        for kind in self._kinds:
            good = np.argsort(kind.values(costs, kind.points))[: max(len(kind.points) // 2, 1)]
            for part in kind.parts:
                if random.random() < share:
                    v[part.columns] = kind.points[int(random.choice(good))]
        return (yield from self._walked(v, np.inf))
