"""Column generation whose columns are linear regions of blocks, for blocks that many rows link."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from pyomo_relugrad.arrays import Array
from pyomo_relugrad.problem import Incumbent, Problem
from pyomo_relugrad.run import Method, SearchContext, between
from pyomo_relugrad.search.regions.program import RegionProgram
from pyomo_relugrad.search.regions.walk import is_lower, walk_regions
from pyomo_relugrad.search.relaxation import LinearRelaxation
from pyomo_relugrad.search.separable.blocks import Block, Blocks, alike
from pyomo_relugrad.search.separable.region_mixture import SMALL, Mixture, RegionMixture
from pyomo_relugrad.search.sequential.polish_ends import while_promising
from pyomo_relugrad.search.sequential.search import SequentialLp
from pyomo_relugrad.search.sequential.step_model import column_scale

#: Gain at the prices, relative to what a block costs, below which a region does not count as better.
LEAST_GAIN = 1e-9
#: Steps of a walk whose gain, so many times, would not reach the plan that it is to better: then it ends. Most of what
#: a walk gains it gains at once.
RECENT_STEPS, HOPE = 3, 1.0
#: Dives in vain up to which bounds have little of the time.
SETTLED = 3


@dataclass(frozen=True)
class RegionGeneration(Method):
    """Linear regions of blocks, generated at the prices of a linear program that shares blocks out among them.

    Rows that link blocks make a mixture of good points a poor plan, but not a mixture within one linear region, on
    which networks are linear. So the columns of the master program are regions, of which each block has a share; its
    multipliers price the rows that link blocks. At these prices a block is a small problem of its own: descents from
    random vertices, and walks from where the mixture is, come to further regions. A dive rounds the shares, one after
    another; from its plan all blocks move together, by a walk over regions. Nothing is yielded where the problem does
    not fall apart into blocks, where there are integers or decisions without bounds, or where few rows link many
    blocks, which is for column generation by points.

    Dantzig, Wolfe, "Decomposition principle for linear programs" (Operations Research 8, 1960), with dives as in
    Sadykov et al., "Primal heuristics for branch and price" (INFORMS Journal on Computing 31, 2019).

    Parameters
    ----------
    share : float, optional
        Share of the time that it has beside sequential linear programming (0.9).
    drawn, walked : int, optional
        Descents from random vertices (3), and walks from where the mixture is (3), at each prices.
    rounds : int, optional
        Prices in a row that bring regions after which there is a dive all the same (2).
    noise : float, optional
        Of the logarithms of the shares by which a dive chooses what to round up (0.5).
    kept : float, optional
        Share of the dives that begin with some blocks of the best plan (0.5).
    patience : int, optional
        Dives in a row without a better plan and without new regions after which the search ends (40).
    min_links : float, optional
        Rows that link blocks, per block, above which this search is of use (1).
    """

    name = "region-generation"

    share: float = between(0.9, 0, 1)
    drawn: int = 3
    walked: int = 3
    rounds: int = 2
    noise: float = between(0.5, 0, 10)
    kept: float = between(0.5, 0, 1)
    patience: int = 40
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
        yield from _Generation(self, problem, parts, blocks, context).run()

    def _suits(self, problem: Problem, blocks: Blocks) -> bool:
        """Whether the objective is linear, and many rows link several blocks, to which all outputs belong."""
        n_links = int((blocks.of_row < 0).sum())
        decides = ~problem.is_output & (blocks.of_column >= 0)
        return (
            problem.is_piecewise_linear
            and problem.quadratic is None
            and blocks.count > 1
            and n_links > self.min_links * blocks.count
            and not (problem.integers & (problem.lower < problem.upper)).any()
            and bool((blocks.of_column[problem.is_output] >= 0).all())
            and bool(np.isfinite(problem.lower[decides]).all() and np.isfinite(problem.upper[decides]).all())
        )


class _Kind:
    """Blocks that are alike, priced together."""

    def __init__(self, parts: list[Block], random: np.random.Generator) -> None:
        self.parts, self._random = parts, random
        problem = parts[0].problem
        self.surroundings = LinearRelaxation(problem)
        self._program = self.surroundings.program(integral=False)
        scale = column_scale(problem)
        self._decides = problem.is_input & ~problem.is_output
        self._scale = np.where(scale > 0.0, scale, 1.0)
        self._regions: RegionProgram | None = None

    def at(self, costs: Array) -> Problem:
        """The block's problem at costs (n,) of the whole problem's columns."""
        return self.parts[0].at(costs)

    def regions(self, problem: Problem) -> RegionProgram:
        """Programs over the regions of the block's problem, whose costs have changed."""
        self._regions = RegionProgram(problem, before=self._regions)
        return self._regions

    def vertex(self, seconds: float) -> Array | None:
        """A random vertex (k,) of the block's surroundings, with propagated outputs; None where there is none."""
        problem = self.parts[0].problem
        self._program.change_costs(self._decides * self._random.normal(size=problem.n_columns) / self._scale)
        values = self._program.solve(seconds).values
        return None if values is None else problem.propagate(values[None])[0]


class _Generation:
    """The state of one search."""

    def __init__(
        self, method: RegionGeneration, problem: Problem, parts: list[Block], blocks: Blocks, context: SearchContext
    ) -> None:
        self._method, self._problem, self._context = method, problem, context
        links, free = blocks.of_row < 0, blocks.of_column < 0
        kinds = [[parts[number] for number in numbers] for numbers in alike(parts, problem.rows[links])]
        self._kinds = [_Kind(each, context.random) for each in kinds]
        self._mixture = RegionMixture(problem, kinds, links, free)
        self._descents = SequentialLp()
        self._program = RegionProgram(problem)
        self._best: Incumbent | None = None

    def run(self) -> Iterator[Incumbent | None]:
        """Prices and dives in turn, until several dives have brought nothing."""
        budget, vain, rounds = self._context.budget, 0, 0
        yield from self._begin()
        while self._best is not None and vain < self._method.patience and not budget.is_exhausted():
            budget.is_unsettled = vain < SETTLED
            self._take_offered()
            mixture = self._mixture.solve(budget.remaining)
            if mixture is None:
                break
            self._context.past.multipliers = mixture.prices
            known, rounds = self._mixture.size, rounds + 1
            yield from self._priced(mixture)
            is_new = self._mixture.size > known
            if budget.is_exhausted() or (is_new and rounds < self._method.rounds):
                continue
            rounds, before = 0, self._best.objective
            yield from self._dive()
            vain = 0 if is_new or is_lower(self._best.objective, before) else vain + 1
        budget.is_unsettled = False

    def _begin(self) -> Iterator[Incumbent | None]:
        """The regions of the end of a walk from the best known point, or else from where a descent ends."""
        context, problem = self._context, self._problem
        if context.known:
            v = min(context.known, key=lambda point: point.objective).values
        elif context.relaxed is None:
            return
        else:
            descent = self._descents.descent(problem, context, LinearRelaxation(problem))
            v = yield from descent.settle(problem.propagate(context.relaxed[None])[0], np.inf)
        yield from self._walk(v)

    def _walk(self, v: Array) -> Iterator[Incumbent | None]:
        """A walk over regions while it may come to a better plan; where it ends its blocks' regions are learnt."""
        best = np.inf if self._best is None else self._best.objective
        u = v[self._program.columns]
        start = self._program.incumbent(u)
        found = start if start.is_feasible else None
        walk = walk_regions(self._program, u, self._context.budget)
        for point in while_promising(walk, best, RECENT_STEPS, HOPE):
            found = point if point is not None and point.is_feasible else found
            yield point
        if found is not None:
            self._learn(found)

    def _learn(self, plan: Incumbent) -> None:
        """The regions of a plan join; it may be the best one."""
        for number, kind in enumerate(self._kinds):
            for part in kind.parts:
                self._mixture.add(number, plan.values[part.columns])
        if self._best is None or is_lower(plan.objective, self._best.objective):
            self._best = plan

    def _take_offered(self) -> None:
        for point in self._context.take_offered():
            if self._best is not None and is_lower(point.objective, self._best.objective):
                self._learn(point)

    def _priced(self, mixture: Mixture) -> Iterator[None]:
        """Regions that are better at the prices of a mixture, of one kind of block."""
        random, problem, budget = self._context.random, self._problem, self._context.budget
        sizes = np.array([len(kind.parts) for kind in self._kinds])
        number = int(random.choice(sizes.size, p=sizes / sizes.sum()))
        kind = self._kinds[number]
        priced = kind.at(np.asarray(problem.cost - mixture.prices @ problem.rows))
        limit = mixture.block_prices[number]
        limit -= LEAST_GAIN * (1.0 + abs(limit))
        used = np.flatnonzero((mixture.counts > SMALL) & (self._mixture.kinds == number))
        regions = kind.regions(priced)
        starts = [mixture.places[i][regions.columns] for i in random.permutation(used)[: self._method.walked]]
        searches = [walk_regions(regions, u, budget) for u in starts]
        descent = self._descents.descent(priced, self._context, kind.surroundings)
        vertices = [kind.vertex(budget.remaining) for _ in range(self._method.drawn)]
        budget.count(len(vertices))
        for search in (*searches, *(descent.run(start) for start in vertices if start is not None)):
            found = None
            for point in search:
                found = point if point is not None and point.is_feasible else found
                yield None
            if found is not None and found.objective < limit:
                self._mixture.add(number, found.values)
            if budget.is_exhausted():
                return

    def _dive(self) -> Iterator[Incumbent | None]:
        """Round the mixture's shares, one after another, and walk from the plan that is left."""
        random, budget = self._context.random, self._context.budget
        held = self._kept()
        self._mixture.hold(held)
        mixture = self._mixture.solve(budget.remaining)
        while mixture is not None:
            whole = np.floor(mixture.counts + SMALL)
            fractions = mixture.counts - np.maximum(whole, held)
            if (fractions <= SMALL).all():
                break
            held = np.maximum(held, whole)
            scores = np.log(np.maximum(fractions, SMALL)) + self._method.noise * random.gumbel(size=held.size)
            held[np.where(fractions > SMALL, scores, -np.inf).argmax()] += 1.0
            self._mixture.hold(held)
            mixture = self._mixture.solve(budget.remaining)
            yield None
        self._mixture.hold(np.zeros(self._mixture.size))
        if mixture is not None:
            yield from self._walk(self._plan(mixture))

    def _kept(self) -> Array:
        """How many blocks (r,) of each region a dive begins with: none, or some of the best plan's."""
        random, kept = self._context.random, np.zeros(self._mixture.size)
        if self._best is None or random.random() >= self._method.kept:
            return kept
        share = random.random()
        for number, kind in enumerate(self._kinds):
            points = [self._best.values[part.columns] for part in kind.parts if random.random() < share]
            kept += self._mixture.counts(number, points)
        return kept

    def _plan(self, mixture: Mixture) -> Array:
        """The point (n,) of a mixture of whole numbers of blocks."""
        v = mixture.rest.copy()
        numbers = np.repeat(np.arange(self._mixture.size), np.round(mixture.counts).astype(int))
        for kind_number, kind in enumerate(self._kinds):
            own = numbers[self._mixture.kinds[numbers] == kind_number]
            for part, i in zip(kind.parts, own.tolist(), strict=True):
                v[part.columns] = mixture.places[i]
        return v
