"""Rounds of descents between the binaries' values, and of annealing from where they end."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace

import numpy as np

from pyomo_relugrad.arrays import Array
from pyomo_relugrad.run import Budget
from pyomo_relugrad.search.decisions.annealing import Annealing, Chains, Height, Neighbours, merit_of, typical_change
from pyomo_relugrad.search.decisions.relaxed_descent import RelaxedDescent
from pyomo_relugrad.search.decisions.relaxed_rows import RelaxedRows

#: Of a round, what descents have.
SHARE = 0.45
#: Heat of annealing in the beginning, in units of the median change by a move, and share of it in the end.
HEAT, COOLING = 0.2, 0.1
#: Length of a round at most.
SECONDS = 2.0


class RelaxedRounds:
    """Rounds of descents, each with annealing of as many chains from the lowest ends of all rounds so far.

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
        self._ends, self._merits = np.zeros((0, rows.lower.size)), np.zeros(0)

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
        end = budget.passed + length
        chains, ends = Chains.at(X, landscape), X
        unit = typical_change(chains, moves, landscape, random)
        descents = self._descent.run(self._rows, landscape, unit, SHARE * length, budget, random)
        for descended in descents if unit > 0 else ():
            ends = descended
            yield X[0], np.inf, chains
        self._meet(landscape, np.concatenate([X[:1], ends, *(x[None] for x in others())]))
        best, lowest, left = None, np.inf, max(end - budget.passed, 0.0)
        heats = unit * HEAT, unit * HEAT * COOLING
        for x, chains in self._annealing.cycle(self._ends, heats, moves, landscape, left, budget, random):
            if x is not best:
                best, lowest = x, merit_of(x, landscape)
            yield x, lowest, chains
        if best is not None:
            self._meet(landscape, best[None])

    def _meet(self, landscape: Height, X: Array) -> None:
        """Keep the lowest of what was met, each of them once, one for each chain."""
        merits = np.concatenate([self._merits, landscape.row_costs(X) + landscape.rest(X)])
        X = np.concatenate([self._ends, X])
        distinct = np.unique(X, axis=0, return_index=True)[1]
        kept = distinct[np.argsort(merits[distinct], kind="stable")][: self._annealing.chains]
        self._ends, self._merits = X[kept], merits[kept]
