"""The default method: which search suits the problem is decided by its shape, once."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from pyomo_relugrad.problem import Incumbent, Problem, Shape
from pyomo_relugrad.run import Method, SearchContext, between
from pyomo_relugrad.search.convex import ConvexProgram
from pyomo_relugrad.search.decisions.search import DecisionSearch
from pyomo_relugrad.search.descent.by_programs import LpDescent
from pyomo_relugrad.search.descent.projected import ProjectedDescent
from pyomo_relugrad.search.domains.domain import Domain
from pyomo_relugrad.search.domains.feasible_set import columns_without_bounds
from pyomo_relugrad.search.domains.method import run_over_domain
from pyomo_relugrad.search.dynamic_programming.search import DynamicProgramming
from pyomo_relugrad.search.dynamic_programming.stages import are_narrow, stages_in_order
from pyomo_relugrad.search.lattice.search import LatticeSearch
from pyomo_relugrad.search.neighbourhoods.search import Neighbourhoods
from pyomo_relugrad.search.separable.column_generation import ColumnGeneration
from pyomo_relugrad.search.separable.exact_choice import ExactChoice
from pyomo_relugrad.search.separable.exchange import ExchangeSearch
from pyomo_relugrad.search.separable.region_generation import RegionGeneration
from pyomo_relugrad.search.smoothing.search import SmoothingDescent
from pyomo_relugrad.search.turns import beside, in_turn, overhearing, telling

#: Seconds after which others join the search over few integers at the latest.
LATTICE_SECONDS = 5.0


@dataclass(frozen=True)
class Auto(Method):
    """The best method for the problem's shape (the default).

    Few integers from which all else follows by smooth functions: branch and bound over them, beside what follows.
    Networks that are convex in the objective's sense: a linear program. Networks that feed each other through few
    columns: dynamic programming, and nothing else where one number and few decisions make a stage. Tables and
    multipliers where few rows tie many small networks, exchanges in assignments, moves of the few columns from
    which all others follow, and networks rounded off where they make a chain; they yield nothing elsewhere. Then by
    shape. A bounded box, or one with a single row: batched descents with projections. A polytope: descents by
    linear programs, and, while it is small, the two in turn, since either may win. Integers: large neighbourhood
    search. Rows on outputs, unbounded columns, equations, many networks side by side: sequential linear
    programming, and generation of regions beside it where rows tie such.
    A later search of the same problem begins by shape, and goes on from the best point.

    Parameters
    ----------
    lattice : LatticeSearch, optional
    lattice_alone, lattice_share : float, optional
        Share of the time that it has for itself (0.3), and beside all others after that (0.7).
    convex : ConvexProgram, optional
    stagewise : DynamicProgramming, optional
    choice : ExactChoice, optional
    generation : ColumnGeneration, optional
    blocks : RegionGeneration, optional
    exchange : ExchangeSearch, optional
    decisions : DecisionSearch, optional
    smoothing : SmoothingDescent, optional
    projected : ProjectedDescent, optional
    by_programs : LpDescent, optional
    neighbourhoods : Neighbourhoods, optional
        Its ``sequential`` serves models without integers, too.
    projection_work : int, optional
        Multiplications of one projection step per point, up to which batches with projections beat linear programs
        (50,000).
    max_networks : int, optional
        Networks side by side (one network at many input sets) above which one linear program moves all of them better
        than a descent of points in many dimensions (20).
    without : frozenset of str, optional
        Names of methods that are left out, to see what they bring: of those up to ``smoothing`` in this list.

    Raises
    ------
    ModelError
        If a setting is out of its range, or there is no such method to leave out.
    """

    name = "auto"
    cooperates = True
    handles_smooth = True
    moves_on_devices = True

    lattice: LatticeSearch = LatticeSearch()
    lattice_alone: float = between(0.3, 0, 1)
    lattice_share: float = between(0.7, 0, 1)
    convex: ConvexProgram = ConvexProgram()
    stagewise: DynamicProgramming = DynamicProgramming()
    choice: ExactChoice = ExactChoice()
    generation: ColumnGeneration = ColumnGeneration()
    blocks: RegionGeneration = RegionGeneration()
    exchange: ExchangeSearch = ExchangeSearch()
    decisions: DecisionSearch = DecisionSearch()
    smoothing: SmoothingDescent = SmoothingDescent()
    projected: ProjectedDescent = ProjectedDescent()
    by_programs: LpDescent = LpDescent()
    neighbourhoods: Neighbourhoods = Neighbourhoods()
    projection_work: int = 50_000
    max_networks: int = 20
    without: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        super().__post_init__()
        special = (
            self.lattice,
            self.convex,
            self.stagewise,
            *self._tabulating,
            self.blocks,
            self.decisions,
            self.smoothing,
        )
        self.refuse_unknown_parts(self.without, [method.name for method in special])

    @property
    def _tabulating(self) -> tuple[Method, ...]:
        return self.choice, self.generation, self.exchange

    def run(self, problem: Problem, context: SearchContext) -> Iterator[Incumbent | None]:
        """Run what suits the problem."""
        known, budget, found = list(context.known), context.budget, deque[Incumbent]()
        if not context.is_first:
            yield from self._with_decisions(problem, context, known)
            return
        alone = min(self.lattice_alone * budget.remaining, LATTICE_SECONDS) if budget.is_timed else 0.0
        lattice = (
            () if context.solutions > 1 else self._unless_barren(self.lattice, problem, replace(context, offered=found))
        )
        own = telling(overhearing(iter(lattice), context.offered, found), known, context.offered)
        others = telling(self._first(problem, context, known), known, found)
        yield from beside(own, others, alone, 1.0 - self.lattice_share, budget)

    def _first(self, problem: Problem, context: SearchContext, known: list[Incumbent]) -> Iterator[Incumbent | None]:
        """What suits the problem, where no search came before."""
        yield from self._unless_barren(self.convex, problem, context)
        is_staged = problem.is_piecewise_linear and not self._leaves_out(self.stagewise, context)
        stages = stages_in_order(problem) if is_staged else ()
        if is_staged and not stages:
            context.past.barren.add(self.stagewise.name)
        for point in self.stagewise.search(problem, stages, context) if stages else ():
            if point is not None and point.is_feasible:
                known.append(point)
            yield point
        if stages and known and are_narrow(problem, stages):
            return
        special = (*(self._tabulating if problem.is_piecewise_linear else ()), self.smoothing)
        for method in special if problem.shape is not Shape.BOX else ():
            for point in self._unless_barren(method, problem, replace(context, known=tuple(known))):
                if point is not None and point.is_feasible:
                    known.append(point)
                yield point
        yield from self._with_decisions(problem, context, known)

    def _with_decisions(
        self, problem: Problem, context: SearchContext, known: list[Incumbent]
    ) -> Iterator[Incumbent | None]:
        """Moves of decisions, then what suits the shape; where there is much time, both side by side after a while."""
        budget, found = context.budget, deque[Incumbent]()
        has_company = problem.integers.any() and self.decisions.has_company(budget)
        alone = self.decisions.seconds_alone if has_company else np.inf

        def by_shape() -> Iterator[Incumbent | None]:
            if not budget.is_exhausted():
                yield from self._by_shape(problem, replace(context, known=tuple(known)))

        own = replace(context, known=tuple(known), offered=found)
        moves = self._unless_barren(self.decisions, problem, own) if problem.shape is not Shape.BOX else iter(())
        moves, others = telling(overhearing(moves, context.offered, found), known, context.offered), by_shape()
        others = telling(others, known, found) if has_company else others
        yield from beside(moves, others, alone, 1.0 - self.decisions.share, budget)

    def _leaves_out(self, method: Method, context: SearchContext) -> bool:
        return method.name in self.without or method.name in context.past.barren

    def _unless_barren(self, method: Method, problem: Problem, context: SearchContext) -> Iterator[Incumbent | None]:
        """What a method yields; nothing where it had nothing to yield when the model had other numbers."""
        if self._leaves_out(method, context):
            return
        is_barren = True
        for point in method.run(problem, context):
            is_barren = False
            yield point
        if is_barren and context.is_first and not context.budget.is_exhausted():
            context.past.barren.add(method.name)

    def _by_shape(self, problem: Problem, context: SearchContext) -> Iterator[Incumbent | None]:
        has_equations = bool((problem.row_lower == problem.row_upper).any())
        has_many_networks = len(problem.networks) > self.max_networks
        is_general = problem.shape is Shape.GENERAL or columns_without_bounds(problem).size > 0
        if is_general or has_equations or has_many_networks:
            has_integers = bool(problem.integers.any())
            return self.neighbourhoods.run(problem, context) if has_integers else self._in_blocks(problem, context)
        return run_over_domain(self._by_domain, problem, context)

    def _in_blocks(self, problem: Problem, context: SearchContext) -> Iterator[Incumbent | None]:
        """Sequential linear programs and, beside them, generation of regions; each is told what the other finds."""
        known, found = list(context.known), deque[Incumbent]()

        def generation() -> Iterator[Incumbent | None]:
            yield from self._unless_barren(self.blocks, problem, replace(context, known=tuple(known), offered=found))

        programs = overhearing(self.neighbourhoods.sequential.run(problem, context), context.offered, found)
        programs, moves = telling(programs, known, found), telling(generation(), known, context.offered)
        yield from beside(programs, moves, 0.0, self.blocks.share, context.budget)

    def _by_domain(self, problem: Problem, domain: Domain, context: SearchContext) -> Iterator[Incumbent | None]:
        """Descents with projections where these are cheap, by linear programs where they are not, both in between."""
        if domain.projection_work == 0:
            return self.projected.search(problem, domain, context)
        by_programs = self.by_programs.search(problem, domain, context)
        if domain.projection_work > self.projection_work:
            return by_programs
        return in_turn([by_programs, self.projected.search(problem, domain, context)])
