"""Batched projected descent: many points move together by signs of a momentum, with an annealed step."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass

import numpy as np

from pyomo_relugrad.arrays import Array
from pyomo_relugrad.problem import ReducedObjective
from pyomo_relugrad.run.budget import Budget
from pyomo_relugrad.search.domains.domain import Domain


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
class Batch:
    """Points that descend together, with the best point that each has visited.

    Parameters
    ----------
    U : (B, d) array
        Where the points are.
    momentum : (B, d) array
    best : (B, d) array
    values : (B,) array
        Objective values of `best`.
    """

    U: Array
    momentum: Array
    best: Array
    values: Array

    @classmethod
    def at(cls, U: Array) -> Batch:
        """Points at rest at the rows of `U`, which are not evaluated yet."""
        return cls(U, np.zeros_like(U), U.copy(), np.full(len(U), np.inf))

    def keep(self, count: int) -> Batch:
        """The `count` points of smallest value, in order."""
        rows = np.argsort(self.values, kind="stable")[:count]
        return Batch(self.U[rows], self.momentum[rows], self.best[rows], self.values[rows])

    def note(self, values: Array) -> None:
        """Remember the points where the values (B,) there are better than before."""
        better = values < self.values
        np.fmin(values, self.values, out=self.values)
        np.copyto(self.best, self.U, where=better[:, None])


def descend(
    objective: ReducedObjective, domain: Domain, batch: Batch, lengths: Array, decay: float, budget: Budget
) -> Generator[Batch, None, Batch]:
    """Take one step per length, all points at once, and yield the batch after each.

    A step is ``u <- project(u - length * width * sign(momentum))``.

    The momentum is the sum of the gradients, each divided by the sum of its absolute entries, of which a share `decay`
    is kept from step to step: the steps do not depend on the scale of the objective, and the sign step moves every
    column by the same share of its width (as APGD and the sign-gradient attacks do; it beats the gradient step wherever
    the box has many columns). Where rows cut the box, a sign step would be projected back along them, and the step
    follows the momentum itself, equally long.
    """
    width = _one_if_equal((domain.upper - domain.lower).astype(objective.dtype))
    tiny = np.finfo(objective.dtype).tiny
    for length in lengths:
        if budget.is_exhausted():
            break
        values, gradient = objective.value_and_gradient(batch.U)
        budget.count(points=len(values))
        batch.note(values)
        gradient *= width
        gradient /= np.maximum(np.abs(gradient).sum(axis=1, keepdims=True), tiny)
        batch.momentum *= decay
        batch.momentum += gradient
        step = np.sign(batch.momentum) if domain.steps_by_signs else _as_long(batch.momentum)
        step *= objective.dtype.type(length) * width
        np.subtract(batch.U, step, out=step)
        batch.U = domain.project(step).astype(objective.dtype, copy=False)
        yield batch
    return batch


def descend_by_halving(
    objective: ReducedObjective, domain: Domain, U: Array, stages: Sequence[Array], decay: float, budget: Budget
) -> Generator[Batch, None, Batch]:
    """Descend in stages, each given by its lengths; after each but the last only the best quarter goes on."""
    batch = Batch.at(U.astype(objective.dtype))
    for index, lengths in enumerate(stages):
        batch = yield from descend(objective, domain, batch, lengths, decay, budget)
        if index + 1 < len(stages):
            batch = batch.keep(max(len(batch.values) // 4, 1))
    if not budget.is_exhausted():
        batch.note(objective.value(batch.U))
        budget.count(points=len(batch.values), iterations=0)
    return batch.keep(len(batch.values))


def _one_if_equal(values: Array) -> Array:
    """The first of equal values, which multiplies a batch faster than a row of them."""
    return values[:1] if values.size and (values == values[0]).all() else values


def _as_long(M: Array) -> Array:
    """The rows of `M`, each as long as a row of signs."""
    norms = np.linalg.norm(M, axis=1, keepdims=True)
    return np.asarray(M / np.where(norms > 0, norms, 1)) * np.sqrt(M.shape[1])
