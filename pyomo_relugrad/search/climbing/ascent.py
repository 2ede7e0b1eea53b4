"""Batched projected ascent: many points climb together by signs of a momentum, with an annealed step."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass

import numpy as np

from pyomo_relugrad.arrays import Array
from pyomo_relugrad.problem.landscape import Landscape
from pyomo_relugrad.run.budget import Budget
from pyomo_relugrad.search.domains.projection import Box, Domain

#: Share of the old momentum that a step keeps.
MOMENTUM = 0.5


@dataclass(frozen=True)
class Schedule:
    """Step lengths that fall geometrically, in shares of the domain's width.

    Parameters
    ----------
    first, last : float
        The first and the last step.
    steps : int
    """

    first: float
    last: float
    steps: int

    def lengths(self) -> Array:
        """The (steps,) lengths."""
        return np.geomspace(self.first, self.last, self.steps)

    def pieces(self, sizes: Sequence[int]) -> list[Array]:
        """The lengths cut into consecutive pieces of the given relative sizes."""
        cuts = np.round(np.cumsum(sizes[:-1]) / sum(sizes) * self.steps).astype(int)
        return np.split(self.lengths(), cuts)


@dataclass
class Climbers:
    """A batch on its way up.

    Parameters
    ----------
    U : (B, d) array
        Where the points are.
    momentum : (B, d) array
    best : (B, d) array
        The highest place that each has visited.
    heights : (B,) array
        The heights there.
    """

    U: Array
    momentum: Array
    best: Array
    heights: Array

    @classmethod
    def at(cls, U: Array) -> Climbers:
        """Climbers that start at the rows of `U`."""
        return cls(U, np.zeros_like(U), U.copy(), np.full(len(U), -np.inf))

    def keep(self, rows: Array) -> Climbers:
        """The climbers with the given numbers."""
        return Climbers(self.U[rows], self.momentum[rows], self.best[rows], self.heights[rows])


def climb(
    landscape: Landscape, domain: Domain, climbers: Climbers, lengths: Array, budget: Budget
) -> Generator[Climbers, None, Climbers]:
    """Take one step per length, all points at once, and yield the climbers after each.

    A step is ``u <- project(u + length * width * sign(momentum))``.

    The momentum is the decayed sum of the gradients, each divided by its mean absolute entry: the steps do not depend
    on the scale of the objective, and the sign step moves every column by the same share of its width (as APGD and
    the sign-gradient attacks do; it beats the gradient step wherever the box has many columns). Where rows cut the box,
    a sign step would be projected back along them, and the step follows the momentum itself, equally long.
    """
    width = _one_if_equal((domain.upper - domain.lower).astype(landscape.dtype))
    is_box = isinstance(domain, Box)
    for length in lengths:
        if budget.is_exhausted():
            break
        heights, gradient = landscape.height_and_gradient(climbers.U)
        budget.count(points=len(heights))
        note_best(climbers, heights)
        gradient *= width
        scale = np.abs(gradient).mean(axis=1, keepdims=True)
        gradient /= np.where(scale > 0, scale, 1)
        climbers.momentum *= MOMENTUM
        climbers.momentum += gradient
        step = np.sign(climbers.momentum) if is_box else _unit_rows(climbers.momentum) * np.sqrt(landscape.size)
        step *= landscape.dtype.type(length) * width
        step += climbers.U
        climbers.U = domain.project(step).astype(landscape.dtype, copy=False)
        yield climbers
    return climbers


def climb_by_halving(
    landscape: Landscape, domain: Domain, U: Array, schedule: Schedule, budget: Budget, sizes: Sequence[int]
) -> Generator[Climbers, None, Climbers]:
    """Climb in stages of the given relative lengths; after each but the last only the highest quarter goes on."""
    climbers = Climbers.at(U.astype(landscape.dtype))
    pieces = schedule.pieces(sizes)
    for index, lengths in enumerate(pieces):
        climbers = yield from climb(landscape, domain, climbers, lengths, budget)
        if index + 1 < len(pieces):
            quarter = max(len(climbers.heights) // 4, 1)
            climbers = climbers.keep(highest(climbers.heights, quarter))
    if not budget.is_exhausted():
        note_best(climbers, landscape.height(climbers.U))
        budget.count(points=len(climbers.heights), iterations=0)
    return climbers.keep(highest(climbers.heights, len(climbers.heights)))


def note_best(climbers: Climbers, heights: Array) -> None:
    """Remember where each climber was highest."""
    better = heights > climbers.heights
    climbers.heights = np.where(better, heights, climbers.heights)
    climbers.best[better] = climbers.U[better]


def highest(heights: Array, count: int) -> Array:
    """Row numbers of the `count` largest heights, highest first."""
    return np.argsort(-heights, kind="stable")[:count]


def _one_if_equal(values: Array) -> Array:
    """The first of equal values, which multiplies a batch faster than a row of them."""
    return values[:1] if values.size and (values == values[0]).all() else values


def _unit_rows(M: Array) -> Array:
    norms = np.linalg.norm(M, axis=1, keepdims=True)
    return np.asarray(M / np.where(norms > 0, norms, 1))
