"""Rounds of descents between the binaries' values, from anywhere and again from their ends, and of annealing."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace

import numpy as np

from pyomo_relugrad.arrays import Array
from pyomo_relugrad.run import Budget
from pyomo_relugrad.search.decisions.annealing import Annealing, Chains, Height, Neighbours, merit_of, typical_change
from pyomo_relugrad.search.decisions.relaxed_descent import RelaxedDescent
from pyomo_relugrad.search.decisions.relaxed_rows import RelaxedRows

#: Phases of a round, and shares of its length: descents, of which so much counts as passed, and annealing.
ANYWHERE, ANNEALING = 0.0, None
PHASES: tuple[tuple[float | None, float], ...] = (
    (ANYWHERE, 0.17),
    (ANYWHERE, 0.17),
    (0.3, 0.12),
    (0.5, 0.09),
    (0.3, 0.12),
    (0.5, 0.09),
    (ANNEALING, 0.24),
)
#: Heat of annealing in the beginning, in units of the median change by a move, and share of it in the end.
HEAT, COOLING = 0.2, 0.1
#: Seconds of a round at most.
SECONDS = 5.0


class RelaxedRounds:
    """Rounds that begin anew: descents from anywhere, descents that leave the lowest points so far, annealing of these.

    Parameters
    ----------
    descent : RelaxedDescent
    rows : RelaxedRows
    annealing : Annealing
        How chains are moved; from less heat here, and once.
    """

    def __init__(self, descent: RelaxedDescent, rows: RelaxedRows, annealing: Annealing) -> None:
        self._descent, self._rows = descent, rows
        self._annealing = replace(annealing, heat=HEAT, cooling=COOLING, round_seconds=SECONDS)

    def lengths(self, left: float) -> Iterator[float]:
        """Seconds of the rounds that share what is left, and of more."""
        return self._annealing.lengths(left)

    def round(
        self,
        X: Array,
        moves: Neighbours,
        landscape: Height,
        length: float,
        budget: Budget,
        random: np.random.Generator,
        others: Callable[[], Iterable[Array]],
    ) -> Iterator[tuple[Array, float, Chains]]:
        """The lowest point so far (d,), its merit and all chains, again and again, until the round ends.

        The first of some decisions (B, d) may be better than others; by moves from all of them heat is scaled.
        """
        end, chains = budget.passed, Chains.at(X, landscape)
        unit, lowest = typical_change(chains, moves, landscape, random), Lowest(landscape, self._annealing.chains)
        lowest.meet(X[:1])
        for passed, share in PHASES if unit > 0 else ():
            end += share * length
            left, last = max(end - budget.passed, 0.0), X[:1]
            for met, moved in self._phase(passed, unit, lowest.X, moves, landscape, left, budget, random):
                if met.ndim == 1 and met is not last:  # lower than all that was met before in annealing
                    lowest.meet(met)
                last, chains = met, moved or chains
                yield lowest.X[0], lowest.merit, chains
            lowest.meet(last, *others())

    def _phase(
        self,
        passed: float | None,
        unit: float,
        starts: Array,
        moves: Neighbours,
        landscape: Height,
        length: float,
        budget: Budget,
        random: np.random.Generator,
    ) -> Iterator[tuple[Array, Chains | None]]:
        """Ends of descents (B, d), or the lowest point of annealing (d,) and its chains, after each iteration."""
        if passed is None:
            heats = unit * HEAT, unit * HEAT * COOLING
            yield from self._annealing.cycle(starts, heats, moves, landscape, length, budget, random)
            return
        begin = starts if passed else None
        for ends in self._descent.run(self._rows, landscape, unit, length, budget, random, begin, passed):
            yield ends, None


class Lowest:
    """The lowest points that were met, each of them once.

    Parameters
    ----------
    landscape : Height
    count : int
        How many are kept.
    """

    def __init__(self, landscape: Height, count: int) -> None:
        self._landscape, self._count = landscape, count
        self.X, self._heights, self.merit = np.zeros((0, 0)), np.zeros(0), np.inf

    def meet(self, *points: Array) -> None:
        """Take in points (d,) or (B, d)."""
        X = np.concatenate([np.atleast_2d(x) for x in points])
        heights = np.concatenate([self._heights, self._landscape.row_costs(X) + self._landscape.rest(X)])
        X = np.concatenate([self.X.reshape(-1, X.shape[1]), X])
        distinct = np.unique(X, axis=0, return_index=True)[1]
        kept = distinct[np.argsort(heights[distinct], kind="stable")][: self._count]
        is_new = not self._heights.size or kept[0] >= self._heights.size
        self.X, self._heights = X[kept], heights[kept]
        self.merit = merit_of(self.X[0], self._landscape) if is_new else self.merit
