"""A search over the columns that decide a problem, by moves of a few of them, many evaluated together."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import repeat

import numpy as np

from pyomo_relugrad.arrays import Array
from pyomo_relugrad.problem import Incumbent, Problem
from pyomo_relugrad.run import Budget, Method, SearchContext, between
from pyomo_relugrad.search.decisions.annealing import Annealing
from pyomo_relugrad.search.decisions.decisions import Decisions
from pyomo_relugrad.search.decisions.descents import Descents
from pyomo_relugrad.search.decisions.landscape import BlockLandscape, Landscape
from pyomo_relugrad.search.decisions.level_descent import LevelDescent
from pyomo_relugrad.search.decisions.moves import moves_by_groups
from pyomo_relugrad.search.decisions.relaxed_descent import RelaxedDescent
from pyomo_relugrad.search.decisions.relaxed_rounds import RelaxedRounds
from pyomo_relugrad.search.decisions.runs import RunMoves
from pyomo_relugrad.search.regions.walk import is_lower

#: Random points by which penalties are scaled.
SAMPLES = 256
#: Random points of which the best begins a descent.
STARTS = 32
#: Beside levels: descents by moves in a round, their steps, and how many of them go on by linear programs.
LEVEL_DESCENTS, LEVEL_STEPS, LEVEL_ENDS = 16, 20, 4


@dataclass(frozen=True)
class DecisionSearch(Method):
    """Moves of the few columns that decide all others.

    Where binaries and distances, say, follow from some positions by rows, only these are searched: of many moves of one
    or a few of them the best is taken, while one lowers the merit; then again from near the best point, or from a new
    one. So are the columns that networks read where all else is a level that some of their outputs have to reach, and
    binaries that name these; there linear programs end the descents. Where all follows from the binaries that networks
    read, these are annealed, by moves of some that stand together. Nothing is yielded where there are no such columns,
    or where they are many; nor, where another search came before, unless rows tie binaries in blocks, which many
    searches anneal side by side.

    Parameters
    ----------
    descents : int, optional
        Points that go down side by side (32).
    batch : int, optional
        Points that are evaluated in a step for each, its own and moves (16).
    attempts : int, optional
        Steps in a row without a lower merit that end a descent, for each group of decisions (6).
    rung : int, optional
        Steps after which descents from new points are compared, again and again; the worse half ends (60).
    patience : int, optional
        Descents in a row, to their ends, without a better point after which the search ends (500).
    fresh : float, optional
        Share of the descents that begin at a new point (0.5).
    share : float, optional
        Of the time left, what the search takes at most (0.85).
    seconds_alone : float, optional
        Where that is more, other searches have the rest beside it after so long, and not at the end (9).
    penalty : float, optional
        Penalty of a violation, in units of the objective's spread over the largest violation at some points (10).
    annealing : Annealing, optional
    relaxed : RelaxedDescent, optional
        Descents between the binaries' values, from whose ends they are annealed where rows tie them in blocks.
    vain_rounds, meetings : int, optional
        Rounds of annealing in a row without a better point after which the search ends (6), and rounds that come to the
        best value (3).
    """

    name = "decisions"

    descents: int = 32
    batch: int = 16
    attempts: int = 6
    rung: int = 60
    patience: int = 500
    fresh: float = between(0.5, 0, 1)
    share: float = between(0.85, 0, 1)
    seconds_alone: float = 9.0
    penalty: float = 10.0
    annealing: Annealing = Annealing()
    relaxed: RelaxedDescent = RelaxedDescent()
    vain_rounds: int = 6
    meetings: int = 3

    def run(self, problem: Problem, context: SearchContext) -> Iterator[Incumbent | None]:
        """Yield better points."""
        may_suit = problem.quadratic is None and (context.is_first or BlockLandscape.may_suit(problem))
        decisions = Decisions.of(problem) if may_suit else None
        is_in_blocks = decisions is not None and BlockLandscape.suits(decisions)
        if decisions is None or not (context.is_first or is_in_blocks):
            return
        random, budget = context.random, context.budget
        kind = BlockLandscape if is_in_blocks else Landscape
        landscape = kind(decisions, decisions.random(SAMPLES, random), self.penalty)
        end, left = budget.passed, _left(budget)
        end += left if self.has_company(budget) else self.share * left
        by_programs = self._level_descents if LevelDescent.suits(decisions) else self._descents
        run = self._annealed if decisions.are_binaries else by_programs
        yield from run(decisions, landscape, end, context)

    def has_company(self, budget: Budget) -> bool:
        """Whether other searches work beside this one after a while."""
        return budget.is_timed and self.share * budget.remaining > self.seconds_alone

    def _descents(
        self, decisions: Decisions, landscape: Landscape, end: float, context: SearchContext
    ) -> Iterator[Incumbent | None]:
        """Descents, each from near the best point or from a new one."""
        random, budget = context.random, context.budget
        moves = moves_by_groups(decisions, landscape, random)
        descents = Descents(decisions, landscape, moves, self.descents, self.rung, random)
        best: Array | None = None
        lowest, fruitless, ended = np.inf, 0, np.ones(self.descents, bool)
        while fruitless < self.patience and budget.passed < end and not budget.is_exhausted():
            for point in context.take_offered():
                x = decisions.rounded(point.values[decisions.columns])
                value = float(landscape.merit(landscape.points(x[None]))[0])
                best, lowest = (x, value) if is_lower(value, lowest) else (best, lowest)
            which = np.flatnonzero(ended)
            if which.size:
                are_new = (random.random(which.size) < self.fresh) | (best is None)
                descents.begin_anywhere(which[are_new], STARTS)
                if best is not None:
                    descents.begin_near(which[~are_new], best)
                budget.count(points=int(np.where(are_new, STARTS, 1).sum()))
            behind = descents.step(self.batch)
            budget.count(points=self.batch * self.descents)
            ended = behind | (descents.vain >= self.attempts * len(moves))
            fruitless += int((ended & ~behind).sum())
            x, value = descents.best()
            if not is_lower(value, lowest):
                yield None
                continue
            values = decisions.points(x[None])
            if landscape.learns(values):  # merits left something out
                moves = moves_by_groups(decisions, landscape, random)
                descents = Descents(decisions, landscape, moves, self.descents, self.rung, random)
                ended[:] = True
                continue
            best, lowest, fruitless = x, value, 0
            yield decisions.problem.incumbent(values[0])

    def _level_descents(
        self, decisions: Decisions, landscape: Landscape, end: float, context: SearchContext
    ) -> Iterator[Incumbent | None]:
        """Rounds of short descents by moves, and linear programs from where the best of them end."""
        random, budget = context.random, context.budget
        programs = LevelDescent(decisions, landscape, decisions.random(SAMPLES, random), self.penalty, budget)
        moves = moves_by_groups(decisions, landscape, random)
        descents = Descents(decisions, landscape, moves, LEVEL_DESCENTS, self.rung, random)
        best: Array | None = None
        lowest, fruitless, all_of_them = np.inf, 0, np.arange(LEVEL_DESCENTS)
        while fruitless < self.patience and budget.passed < end and not budget.is_exhausted():
            for point in context.take_offered():
                if is_lower(point.objective, lowest):
                    best, lowest = decisions.rounded(point.values[decisions.columns]), point.objective
            if best is None or random.random() < self.fresh:
                descents.begin_anywhere(all_of_them, STARTS)
            else:
                descents.begin_near(all_of_them, best)
            for _ in range(LEVEL_STEPS):
                descents.step(self.batch)
            budget.count(points=LEVEL_STEPS * self.batch * LEVEL_DESCENTS)
            yield None
            for x in descents.lowest(LEVEL_ENDS):
                if budget.passed >= end:
                    break
                fruitless += 1
                for y, value in programs.run(x):
                    if not is_lower(value, lowest):
                        yield None
                        continue
                    best, lowest, fruitless = y, value, 0
                    yield decisions.problem.incumbent(decisions.points(y[None])[0])

    def _annealed(
        self, decisions: Decisions, landscape: Landscape, end: float, context: SearchContext
    ) -> Iterator[Incumbent | None]:
        """Rounds of annealing, until some come to the best point again; all that is met where many are wanted."""
        random, budget, moves = context.random, context.budget, RunMoves.of(decisions, context.random)
        known = min(context.known, key=lambda point: point.objective, default=None)
        X = decisions.random(self.annealing.chains, random)
        if known is not None:
            X[0] = decisions.rounded(known.values[decisions.columns])

        def told() -> list[Array]:
            return [decisions.rounded(point.values[decisions.columns]) for point in context.take_offered()]

        rounds: Annealing | RelaxedRounds = self.annealing
        if isinstance(landscape, BlockLandscape) and landscape.relaxed_rows is not None:
            rounds = RelaxedRounds(self.relaxed, landscape.relaxed_rows, self.annealing)
        lengths = rounds.lengths(end - budget.passed) if budget.is_timed else repeat(end - budget.passed)
        lowest, value, vain, met, budget.is_unsettled = np.inf, np.inf, 0, 0, True
        while vain < self.vain_rounds and met < self.meetings and budget.passed < end and not budget.is_exhausted():
            before, length = lowest, next(lengths)
            told()  # a round begins anew: in it only news count
            for x, value, chains in rounds.round(X, moves, landscape, length, budget, random, told):
                if is_lower(value, lowest):
                    lowest = value
                    yield decisions.problem.incumbent(decisions.points(x[None])[0])
                else:
                    yield None
                for values in decisions.points(chains.X) if context.solutions > 1 else ():
                    yield decisions.problem.incumbent(values)
            is_better = is_lower(lowest, before)
            vain, met = (0, 1) if is_better else (vain + 1, met + (not is_lower(lowest, value)))
            X, moves = decisions.random(len(X), random), moves.renewed(random)
        budget.is_unsettled = False


def _left(budget: Budget) -> float:
    """What a search may still spend: seconds where they count, or iterations."""
    return budget.remaining if budget.is_timed else (budget.iteration_limit or np.inf) - budget.iterations
