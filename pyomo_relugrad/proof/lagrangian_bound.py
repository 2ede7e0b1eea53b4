"""A bound of networks that rows link, by HiGHS on each of them at multipliers of these rows."""

from __future__ import annotations

import time
from collections.abc import Generator
from functools import cached_property

import numpy as np

from pyomo_relugrad.arrays import Array
from pyomo_relugrad.problem import Incumbent, Problem, ProblemBounds, bound_problem, epigraph_relus
from pyomo_relugrad.programs import below_tolerance, build_big_m, tighten_by_programs
from pyomo_relugrad.proof.lagrangian import Lagrangian, falls_apart, keep
from pyomo_relugrad.proof.milp import MAX_ENTRIES, MilpProof
from pyomo_relugrad.run import Options, Past, Prover, Report
from pyomo_relugrad.search.neighbourhoods.subproblem import is_small
from pyomo_relugrad.search.separable.blocks import Block, alike

# Rows that link blocks, per block, up to which multipliers help.
MAX_LINKS = 8.0
# Seconds of the first round over all blocks.
ROUND_SECONDS = 2.0
# Share of a block's time in which linear programs tighten it, and how often.
TIGHTENING_SHARE, TIGHTENING_ROUNDS = 0.1, 2
# Share of the open gap that all blocks together may leave.
OPEN_SHARE = 0.1
# Share of the best multipliers that the next ones keep.
SMOOTHING = 0.5
# Rounds in a row after which multipliers that raise the bound by no share of the gap are given up, and that share.
PATIENCE, LEAST_SHARE = 10, 0.01


class LagrangianBound(Prover):
    """What HiGHS proves of all blocks, one after another.

    The first multipliers are zero, at which blocks often are bounded soonest, the second ones those of the search, if
    it has any; the next ones are between the best so far and those of the best mixture of all points found (Dantzig and
    Wolfe, 1960). While time does not suffice for all blocks, those that are left have more of it. Blocks that are alike
    are bounded once. It ends where better multipliers are no longer found.

    Parameters
    ----------
    problem : Problem
        As `presolve` leaves it, one that it `suits`.
    options : Options
    start : Incumbent, optional
    past : Past, optional
        Has the search's multipliers.
    """

    def __init__(
        self, problem: Problem, options: Options, start: Incumbent | None = None, past: Past | None = None
    ) -> None:
        super().__init__(problem, options, start)
        self._past = past or Past()
        self._proven = -np.inf
        self._best: Array = np.zeros(0)
        self._kept: Incumbent | None = None

    @classmethod
    def suits(cls, problem: Problem) -> bool:
        """Whether few rows link blocks that HiGHS can bound."""
        if not (problem.networks and problem.is_piecewise_linear and is_small(problem, MAX_ENTRIES)):
            return False
        return falls_apart(problem, MAX_LINKS)

    @property
    def bound(self) -> float:
        """No feasible point has a smaller objective."""
        return min(self._proven, self.incumbent_value)

    def steps(self) -> Generator[None, None, None]:
        """Rounds over the blocks, each followed by one with better multipliers or more time."""
        lagrangian, seconds, is_new, fruitless = self._lagrangian, ROUND_SECONDS, True, 0
        duals = self._best = np.zeros(lagrangian.linked.n_rows)
        bounds, is_first = list[float](), True
        while fruitless < PATIENCE:
            before = self._proven
            if is_new:
                bounds = [len(block.numbers) * block.least(lagrangian.costs(duals)) for block in self._distinct]
            places = [place for place, block in enumerate(self._distinct) if is_new or not block.is_solved]
            yield from self._round(places, bounds, duals, seconds)
            chosen = lagrangian.choose(self._points)
            if chosen is not None and chosen[2] is not None:
                self.offer(chosen[2])
            is_new = all(block.is_solved for block in self._distinct)
            if not is_new:
                seconds *= 2.0
            elif is_first and (known := self._known_multipliers) is not None:
                duals, is_first = known, False
            elif chosen is not None:
                duals = lagrangian.existing(SMOOTHING * self._best + (1.0 - SMOOTHING) * chosen[0])
            is_rise = self._proven - before > LEAST_SHARE * (self.incumbent_value - self._proven)
            fruitless = 0 if is_rise or not is_new else fruitless + 1
            yield

    def _round(
        self, places: list[int], bounds: list[float], duals: Array, seconds: float
    ) -> Generator[None, None, None]:
        """Raise the bounds of the blocks at these places, one after another, within some seconds."""
        lagrangian, left = self._lagrangian, seconds
        for number, place in enumerate(places):
            self._keep_incumbent()
            block = self._distinct[place]
            gap = OPEN_SHARE * (self.incumbent_value - max(self._proven, self._trivial)) / len(lagrangian.parts)
            proof = block.proof(lagrangian.costs(duals), gap if gap < np.inf else 0.0, seconds / len(places))
            waiting = len(places) - 1 - number
            least_left = left * waiting / (waiting + 1) if waiting else -np.inf
            try:
                while not block.is_solved and left > least_left:
                    begin = time.perf_counter()
                    proof.resume()
                    report = proof.step()
                    proof.pause()  # others have their turn
                    proven = block.take(report)
                    left -= time.perf_counter() - begin
                    self.nodes += report.nodes
                    bounds[place] = max(bounds[place], len(block.numbers) * proven)
                    self._note(lagrangian.bound(duals, sum(bounds)), duals)
                    yield
            finally:
                proof.close()

    def _keep_incumbent(self) -> None:
        """Let blocks know their parts of a new incumbent."""
        if self.incumbent is None or self.incumbent is self._kept:
            return
        self._kept = self.incumbent
        for block in self._distinct:
            for number in block.numbers:
                keep(block.points, self._kept.values[self._lagrangian.parts[number].columns])

    def _note(self, bound: float, duals: Array) -> None:
        if bound > self._proven:
            self._proven, self._best = bound, duals

    @property
    def _known_multipliers(self) -> Array | None:
        """Those of the search, if there are any."""
        lagrangian, known = self._lagrangian, self._past.multipliers
        if known is None or known.size != self.problem.n_rows:
            return None
        duals = lagrangian.existing(known[lagrangian.links])
        return duals if duals.any() else None

    @cached_property
    def _lagrangian(self) -> Lagrangian:
        return Lagrangian(self.problem)

    @cached_property
    def _trivial(self) -> float:
        """The bound by columns' ranges alone."""
        return sum(_least(self.problem, bound_problem(self.problem)), self.problem.constant)

    @cached_property
    def _distinct(self) -> list[_BoundedBlock]:
        """The blocks, those that are alike as one."""
        parts, linked = self._lagrangian.parts, self._lagrangian.linked
        return [_BoundedBlock(parts[numbers[0]], numbers) for numbers in alike(parts, linked.rows)]

    @property
    def _points(self) -> list[list[Array]]:
        """The points of each block that were found."""
        points: list[list[Array]] = [[] for _ in self._lagrangian.parts]
        for block in self._distinct:
            for number in block.numbers:
                points[number] = block.points
        return points


class _BoundedBlock:
    """A block, and the numbers of those that are like it."""

    def __init__(self, part: Block, numbers: list[int]) -> None:
        self._part, self.numbers = part, numbers
        self.points: list[Array] = []
        #: Whether HiGHS came to its end the last time.
        self.is_solved = False
        self._bounds: ProblemBounds | None = None

    def least(self, costs: Array) -> float:
        """A bound at costs (n,) of the whole problem's columns, by the columns' ranges alone."""
        return float(_least(self._part.at(costs), self._bounds or bound_problem(self._part.problem)).sum())

    def proof(self, costs: Array, gap: float, seconds: float) -> MilpProof:
        """HiGHS on the block, before its first step; ReLUs are tightened in a share of the seconds."""
        problem, self.is_solved = self._part.at(costs), False
        bounds = self._bounds = self._bounds or self._tightened(TIGHTENING_SHARE * seconds)
        known = [point for point in map(problem.measure, self.points) if point.is_feasible]
        best = min(known, key=lambda point: point.objective, default=None)
        start = None if best is None else problem.measure(problem.propagate(best.values[None])[0])
        proof = MilpProof(problem, Options(relative_gap=0.0, absolute_gap=gap), start)
        proof.model = build_big_m(problem, bounds, epigraph_relus(problem, bounds))
        return proof

    def take(self, report: Report) -> float:
        """What a step of the proof has come to, minus infinite where that is nothing; its points join the others."""
        self.is_solved = report.stop is not None
        for point in report.points:
            if point.is_feasible:
                keep(self.points, point.values)
        # Beside a point, a verdict of infeasibility says only that tolerances differ.
        return below_tolerance(report.bound) if np.isfinite(report.bound) else -np.inf

    def _tightened(self, seconds: float) -> ProblemBounds:
        bounds = bound_problem(self._part.problem)
        for _ in range(TIGHTENING_ROUNDS):
            tighter = tighten_by_programs(self._part.problem, bounds, seconds)
            bounds = tighter if tighter.possible else bounds
        return bounds


def _least(problem: Problem, bounds: ProblemBounds) -> Array:
    """What each column (n,) costs at least."""
    ends = np.where(problem.cost > 0, bounds.lower, bounds.upper)
    return np.asarray(problem.cost * np.where(problem.cost == 0, 0.0, ends))
