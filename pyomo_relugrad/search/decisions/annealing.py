"""Simulated annealing over decisions: some chains of points, each of which moves on to one of a few neighbours."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np

from pyomo_relugrad.arrays import Array
from pyomo_relugrad.run import Budget


class Height(Protocol):
    """How good points are; the lower, the better."""

    def points(self, X: Array) -> Array:
        """All columns (B, n) that follow from decisions (B, d)."""

    def merit(self, V: Array) -> Array:
        """Values (B,) of points (B, n) that count."""

    def objective(self, V: Array) -> Array:
        """The same without penalties, by which the temperature is chosen."""

    def slopes(self, V: Array) -> Array:
        """Derivatives (B, d) of the objective in the decisions, as far as they are known."""


class Neighbours(Protocol):
    """Random moves from points."""

    def around(self, X: Array, pull: Array, count: int, random: np.random.Generator) -> Array:
        """Points (count, B, d) around some (B, d): rather those with less of ``change @ pull``."""


class Chains(NamedTuple):
    """Points that move.

    Parameters
    ----------
    X : (B, d) array
        Their decisions.
    V : (B, n) array
    merits : (B,) array
    """

    X: Array
    V: Array
    merits: Array

    @classmethod
    def at(cls, X: Array, landscape: Height) -> Chains:
        """Chains at some decisions."""
        V = landscape.points(X)
        return cls(X, V, landscape.merit(V))


@dataclass(frozen=True)
class Annealing:
    """Cycles of annealing, each from the best point of those before.

    Kirkpatrick, Gelatt, Vecchi, "Optimization by simulated annealing" (Science 220, 1983), with several chains at once.
    A chain draws one of its neighbours, each as likely as it is low, and takes it by the rule of Metropolis. Neighbours
    are rather those of which slopes promise much at the present temperature, as in Zanella, "Informed proposals for
    local MCMC in discrete spaces" (Journal of the American Statistical Association 115, 2020).

    Parameters
    ----------
    chains : int, optional
        Points that move at once (16).
    neighbours : int, optional
        Moves of each that are evaluated in a step (4).
    heat : float, optional
        Temperature in the beginning, in units of the median change of the objective by a move (0.3).
    reheat : float, optional
        Share of it in the beginning of later cycles, which refine what the first one found (0.5).
    cooling : float, optional
        Share of it in the end (0.05).
    cycles : int, optional
        Cycles of equal length that share what may be spent (3).
    first_seconds : float, optional
        Length of the first cycle where nothing limits the search (0.5).
    growth : float, optional
        By how much each cycle is longer than the one before then (4).
    steps_at_once : int, optional
        Steps of an iteration (8).
    """

    chains: int = 16
    neighbours: int = 4
    heat: float = 0.3
    reheat: float = 0.5
    cooling: float = 0.05
    cycles: int = 3
    first_seconds: float = 0.5
    growth: float = 4.0
    steps_at_once: int = 8

    def length(self, number: int, left: float) -> float:
        """Length of a cycle, counted from 0, where so much is left; in the same unit."""
        return left / max(self.cycles - number, 1) if np.isfinite(left) else self.first_seconds * self.growth**number

    def cycle(
        self,
        number: int,
        start: Array,
        moves: Neighbours,
        landscape: Height,
        length: float,
        budget: Budget,
        random: np.random.Generator,
    ) -> Iterator[tuple[Array, float, Chains]]:
        """The lowest point so far (d,), its merit and all chains, again and again, until the cycle ends."""
        chains, best = Chains.at(np.tile(start, (self.chains, 1)), landscape), start
        heat, lowest = self._heat(chains, moves, landscape, random), float(chains.merits[0])
        coldest, heat = heat * self.cooling, heat * (self.reheat if number else 1.0)
        begin, progress, iterations = budget.passed, 0.0, 0
        while progress < 1.0 and heat > 0 and not budget.is_exhausted():
            for _ in range(self.steps_at_once):
                chains = self._step(chains, coldest * (heat / coldest) ** (1.0 - progress), moves, landscape, random)
                if chains.merits.min() < lowest:
                    best, lowest = chains.X[chains.merits.argmin()], float(chains.merits.min())
            budget.count(points=self.chains * self.neighbours * self.steps_at_once)
            # It cools by work: what interrupts the search takes steps at all temperatures, not at one.
            spent, iterations = budget.passed - begin, iterations + 1
            progress += (1.0 - progress) * spent / (spent + iterations * max(length - spent, 0.0))
            yield best, lowest, chains

    def _heat(self, chains: Chains, moves: Neighbours, landscape: Height, random: np.random.Generator) -> float:
        """The first temperature."""
        tried = moves.around(chains.X, np.zeros(chains.X.shape), self.neighbours, random)
        changes = landscape.objective(landscape.points(np.concatenate(tried))).reshape(tried.shape[:2])
        changes = np.abs(changes - landscape.objective(chains.V))
        return self.heat * float(np.median(changes[changes > 0])) if (changes > 0).any() else 0.0

    def _step(
        self, chains: Chains, temperature: float, moves: Neighbours, landscape: Height, random: np.random.Generator
    ) -> Chains:
        """The chains after one move of each, or none."""
        pull = landscape.slopes(chains.V) / (2.0 * temperature)
        tried = Chains.at(np.concatenate(moves.around(chains.X, pull, self.neighbours, random)), landscape)
        n_chains = len(chains.X)
        gains = (chains.merits - tried.merits.reshape(-1, n_chains)) / temperature
        drawn, chain = (gains + random.gumbel(size=gains.shape)).argmax(axis=0), np.arange(n_chains)
        moved = np.log(random.random(n_chains)) < gains[drawn, chain]
        new = (part[drawn * n_chains + chain] for part in tried)
        return Chains(*(np.where(moved, to.T, was.T).T for to, was in zip(new, chains, strict=True)))
