"""Simulated annealing over decisions: some chains of points, each of which moves on to one of a few neighbours."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import accumulate
from operator import itemgetter
from typing import NamedTuple, Protocol

import numpy as np

from pyomo_relugrad.arrays import Array
from pyomo_relugrad.run import Budget, between, check_settings
from pyomo_relugrad.search.decisions.cooling import progress

#: Rounds for which there is so much time that it need not be shared out among them.
MAX_ROUNDS = 1000


class Height(Protocol):
    """How good points are; the lower, the better. Merits are the sum of two parts."""

    #: By how much the first part may grow in a move.
    reach: float

    def row_costs(self, X: Array) -> Array:
        """The part (B,) of the merits of decisions (B, d) that is told soon."""

    def rest(self, X: Array) -> Array:
        """The other part (B,)."""

    def slopes(self, X: Array) -> Array:
        """Derivatives (B, d) of the objective in the decisions, as far as they are known."""

    def points(self, X: Array) -> Array:
        """All columns (B, n) that follow from decisions (B, d)."""

    def merit(self, V: Array) -> Array:
        """Merits (B,) of points (B, n), without what both parts round or leave out."""

    def objective(self, V: Array) -> Array:
        """The objective (B,) at points (B, n), by which the temperature is chosen."""


class Neighbours(Protocol):
    """Random moves from points."""

    def around(self, X: Array, pull: Array, random: np.random.Generator) -> Array:
        """Points (B, count, d) around some (B, d), rather those with less of ``change @ pull``."""


class Chains(NamedTuple):
    """Points that move.

    Parameters
    ----------
    X : (B, d) array
        Their decisions.
    costs : (B,) array
        What rows cost.
    merits : (B,) array
    slopes : (B, d) array
        Of the objective.
    """

    X: Array
    costs: Array
    merits: Array
    slopes: Array

    @classmethod
    def at(cls, X: Array, landscape: Height) -> Chains:
        """Chains at some decisions."""
        costs = landscape.row_costs(X)
        return cls(X, costs, costs + landscape.rest(X), landscape.slopes(X))

    def moved(self, which: Array, to: Chains) -> Chains:
        """The chains with some of them, by number, elsewhere."""
        moved = Chains(*(part.copy() for part in self))
        for part, other in zip(moved, to, strict=True):
            part[which] = other
        return moved


@dataclass(frozen=True)
class Annealing:
    """Rounds of annealing, each of some cycles from the best point of those before.

    Kirkpatrick, Gelatt, Vecchi, "Optimization by simulated annealing" (Science 220, 1983), with several chains at once.
    A chain draws one of a few neighbours, each as likely as it is low, and takes it by the rule of Metropolis. They
    are rather those of which slopes promise much at the present temperature, as in Zanella, "Informed proposals for
    local MCMC in discrete spaces" (Journal of the American Statistical Association 115, 2020). What rows forbid is not
    evaluated.

    Parameters
    ----------
    chains : int, optional
        Points that move at once (64).
    heat : float, optional
        Temperature in the beginning, in units of the median change of the objective by a move somewhere (0.8).
    reheat : float, optional
        Share of it in the beginning of later cycles, which refine what the first one found (0.5).
    cooling : float, optional
        Share of it in the end (0.05).
    cycles : int, optional
        Cycles of equal length that make a round (3).
    round_seconds : float, optional
        Length of a round at most (9): much longer ones come no more often to the best point. Where there is more time,
        further ones begin anew; some are longer, as in Luby, Sinclair, Zuckerman, "Optimal speedup of Las Vegas
        algorithms" (Information Processing Letters 47, 1993).
    steps_at_once : int, optional
        Steps of an iteration (8).
    """

    chains: int = between(64, 1)
    heat: float = between(0.8, 1e-6)
    reheat: float = between(0.5, 1e-6)
    cooling: float = between(0.05, 1e-6)
    cycles: int = 3
    round_seconds: float = between(9.0, 1e-3)
    steps_at_once: int = 8

    def __post_init__(self) -> None:
        check_settings(self, "annealing")

    def lengths(self, left: float) -> Iterator[float]:
        """Seconds of the rounds that share what is left, and of more."""
        unit = self.round_seconds
        if left <= MAX_ROUNDS * unit:
            unit = left / next(total for total in accumulate(_luby()) if total * unit >= left)
        return (unit * multiple for multiple in _luby())

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

        The first of some decisions (B, d) is the start; by moves from all of them temperatures are scaled. A cycle
        begins at the best point of those before and of what others have found.
        """
        unit = typical_change(Chains.at(X, landscape), moves, landscape, random)
        end, best, lowest = budget.passed + length, X[0], np.inf
        for number in range(self.cycles if unit > 0 else 0):
            for x in others():
                best, lowest = min((best, lowest), (x, merit_of(x, landscape)), key=itemgetter(1))
            length, hottest = (end - budget.passed) / (self.cycles - number), unit * self.heat
            temperatures = hottest * (self.reheat if number else 1.0), hottest * self.cooling
            for x, chains in self.cycle(best, temperatures, moves, landscape, length, budget, random):
                if x is not best or np.isinf(lowest):
                    best, lowest = x, merit_of(x, landscape)
                yield best, lowest, chains

    def cycle(
        self,
        starts: Array,
        temperatures: tuple[float, float],
        moves: Neighbours,
        landscape: Height,
        length: float,
        budget: Budget,
        random: np.random.Generator,
    ) -> Iterator[tuple[Array, Chains]]:
        """The lowest point and all chains of a cycle, from the hottest to the coldest of two temperatures.

        It begins at some decisions, a point (d,) or as many of (B, d) as there are chains.
        """
        chains = Chains.at(np.resize(starts, (self.chains, starts.shape[-1])), landscape)
        first, (hottest, coldest) = int(chains.merits.argmin()), temperatures
        best, lowest = chains.X[first], float(chains.merits[first])
        for done in progress(length, budget):
            for _ in range(self.steps_at_once):
                chains = self._step(chains, coldest * (hottest / coldest) ** (1.0 - done), moves, landscape, random)
                if chains.merits.min() < lowest:
                    best, lowest = chains.X[chains.merits.argmin()], float(chains.merits.min())
            budget.count(points=self.chains * self.steps_at_once)
            yield best, chains

    def _step(
        self, chains: Chains, temperature: float, moves: Neighbours, landscape: Height, random: np.random.Generator
    ) -> Chains:
        """The chains after one move of each, or none."""
        tried = moves.around(chains.X, chains.slopes / (2.0 * temperature), random)
        shape, X = tried.shape[:2], tried.reshape(-1, tried.shape[2])
        costs, merits = landscape.row_costs(X), np.full(len(X), np.inf)
        near = np.flatnonzero(costs - np.repeat(chains.costs, shape[1]) <= landscape.reach)
        merits[near] = costs[near] + landscape.rest(X[near])
        gains = (chains.merits[:, None] - merits.reshape(shape)) / temperature
        drawn, each = (gains + random.gumbel(size=shape)).argmax(axis=1), np.arange(len(tried))
        taken = np.flatnonzero(np.log(random.random(each.size)) < gains[each, drawn])
        to = taken * shape[1] + drawn[taken]
        return (
            chains.moved(taken, Chains(X[to], costs[to], merits[to], landscape.slopes(X[to]))) if taken.size else chains
        )


def _luby() -> Iterator[int]:
    """1, 1, 2, 1, 1, 2, 4 and so on: of each length half as many as of the next shorter one (Knuth's recurrence)."""
    number, length = 1, 1
    while True:
        yield length
        number, length = (number + 1, 1) if number & -number == length else (number, 2 * length)


def merit_of(x: Array, landscape: Height) -> float:
    """The merit of a point (d,)."""
    return float(landscape.merit(landscape.points(x[None]))[0])


def typical_change(chains: Chains, moves: Neighbours, landscape: Height, random: np.random.Generator) -> float:
    """The median change of the objective by a move, zero where none changes it."""
    tried = moves.around(chains.X, np.zeros(chains.X.shape), random)
    changes = landscape.objective(landscape.points(np.concatenate(tried))).reshape(tried.shape[:2])
    changes = np.abs(changes - landscape.objective(landscape.points(chains.X))[:, None])
    return float(np.median(changes[changes > 0])) if (changes > 0).any() else 0.0
