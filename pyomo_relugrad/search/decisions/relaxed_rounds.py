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

#: Descents of a round: shares of them that count as passed, none for those from anywhere, and shares of its length.
DESCENTS = ((0.0, 0.17), (0.0, 0.17), (0.3, 0.12), (0.5, 0.09), (0.3, 0.12), (0.5, 0.09))
#: Heat of annealing in the beginning, in units of the median change by a move, and share of it in the end.
HEAT, COOLING = 0.2, 0.1
#: Seconds of a round at most.
SECONDS = 5.0


class RelaxedRounds:
    """Rounds that begin anew: descents from anywhere, descents that leave the lowest ends so far, annealing of these.

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
        end, chains = budget.passed + length, Chains.at(X, landscape)
        unit, lowest = typical_change(chains, moves, landscape, random), Lowest(landscape, self._annealing.chains)
        lowest.meet(X[:1])
        for passed, share in DESCENTS if unit > 0 else ():
            starts, ends = lowest.X if passed else None, X[:1]
            descents = self._descent.run(self._rows, landscape, unit, share * length, budget, random, starts, passed)
            for descended in descents:
                ends = descended
                yield lowest.X[0], lowest.merit, chains
            lowest.meet(ends, *others())
        heats, left = (unit * HEAT, unit * HEAT * COOLING), max(end - budget.passed, 0.0)
        annealed = self._annealing.cycle(lowest.X, heats, moves, landscape, left, budget, random)
        last = None
        for x, chains in annealed if unit > 0 else ():
            if x is not last:
                lowest.meet(x)
                last = x
            yield lowest.X[0], lowest.merit, chains


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
