"""Batched projected descent: many points move together by signs of a momentum, with an annealed step."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Protocol, TypeAlias

import numpy as np

from pyomo_relugrad.arrays import Array, at_home, namespace, row_sums, stable_order
from pyomo_relugrad.problem import ReducedObjective
from pyomo_relugrad.run import Budget
from pyomo_relugrad.search.descent.on_device import DeviceObjective
from pyomo_relugrad.search.descent.valleys import best_of_valleys

Objective: TypeAlias = ReducedObjective | DeviceObjective


class BatchFunction(Protocol):
    """What descents ask of the function that they minimize."""

    dtype: np.dtype[Any]

    def cast(self, U: Array) -> Array:
        """Points in the function's floating-point type."""

    def value(self, U: Array) -> Array:
        """Values (B,) at the rows of `U`."""

    def value_and_gradient(self, U: Array) -> tuple[Array, Array]:
        """Values (B,) and gradients (B, d) at the rows of `U`."""


class BatchSet(Protocol):
    """What descents ask of the set that they stay in, a `Domain` or another one."""

    lower: Array
    upper: Array
    steps_by_signs: bool

    def project(self, U: Array) -> Array:
        """Nearest points (B, d) of the set to the rows of `U`."""


#: Entries of an array that are handled at a time between two products.
BLOCK_ENTRIES = 2**16
#: Entries from which signs are taken from the bits of the numbers: that of the sign, and those of 1.
MANY_ENTRIES, SIGN_BIT, ONE_BITS = 2**13, np.uint32(1 << 31), np.float32(1.0).view(np.uint32)


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

    def pieces(self, sizes: tuple[int, ...]) -> list[Array]:
        """The lengths cut into consecutive pieces of the given relative sizes."""
        return _pieces(self, sizes)


@lru_cache(maxsize=64)
def _pieces(schedule: Schedule, sizes: tuple[int, ...]) -> list[Array]:
    cuts = np.round(np.cumsum(sizes[:-1]) / sum(sizes) * schedule.steps).astype(int)
    return np.split(schedule.lengths(), cuts)


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
        xp = namespace(U)
        return cls(U, xp.zeros_like(U), U + xp.zeros_like(U), xp.zeros_like(U[:, 0]) + np.inf)

    def keep(self, count: int) -> Batch:
        """The `count` points of smallest value, in order, or all."""
        return self.rows(stable_order(self.values)[: min(count, self.values.shape[0])])

    def rows(self, rows: Array) -> Batch:
        """The points with these numbers."""
        take = namespace(self.U).take
        return Batch(*(take(array, rows, axis=0) for array in (self.U, self.momentum, self.best, self.values)))

    def at_home(self) -> Batch:
        """The batch in arrays of NumPy."""
        return Batch(*map(at_home, (self.U, self.momentum, self.best, self.values)))

    def note(self, values: Array) -> None:
        """Remember the points where the values (B,) there are better than before."""
        better = values < self.values
        if isinstance(values, np.ndarray):
            np.fmin(values, self.values, out=self.values)
            rows = np.flatnonzero(better)
            self.best[rows] = self.U[rows]  # `copyto` with a condition takes three times as long
        else:
            where = namespace(values).where
            self.values, self.best = where(better, values, self.values), where(better[:, None], self.U, self.best)


def descend(
    objective: BatchFunction,
    domain: BatchSet,
    batch: Batch,
    lengths: Array,
    decay: float,
    budget: Budget,
) -> Generator[Batch, None, Batch]:
    """Take one step per length, all points at once, and yield the batch after each.

    A step is ``u <- project(u - length * width * sign(momentum))``.

    The momentum is the sum of the gradients, each divided by the sum of its absolute entries, of which a share `decay`
    is kept from step to step: the steps do not depend on the scale of the objective, and the sign step moves every
    column by the same share of its width (as APGD and the sign-gradient attacks do; it beats the gradient step wherever
    the box has many columns). Where rows cut the box, a sign step would be projected back along them, and the step
    follows the momentum itself, equally long.
    """
    width = objective.cast(_one_if_equal(domain.upper - domain.lower))
    for length in lengths:
        if budget.is_exhausted():
            break
        values, gradient = objective.value_and_gradient(batch.U)
        budget.count(points=values.shape[0])
        batch.note(values)
        moved = [
            _moved(objective, domain, U, momentum, part, (width, float(length), decay))
            for U, momentum, part in _in_blocks(batch.U, batch.momentum, gradient)
        ]
        batch.U = moved[0] if len(moved) == 1 else np.concatenate(moved)
        yield batch
    return batch


def _moved(
    objective: BatchFunction,
    domain: BatchSet,
    U: Array,
    momentum: Array,
    gradient: Array,
    by: tuple[Array, float, float],
) -> Array:
    """Points after a step `by` a width, a length and a decay; momentum, which takes it in, and gradient change."""
    width, length, decay = by
    xp = namespace(momentum)
    if width.shape[0] > 1:  # a common factor is divided out
        gradient *= width
    gradient /= xp.maximum(row_sums(xp.abs(gradient)), float(np.finfo(objective.dtype).tiny))
    momentum *= decay
    momentum += gradient
    step = _signs(momentum) if domain.steps_by_signs else _as_long(momentum)
    step *= -length * width
    step += U
    return objective.cast(domain.project(step))


def _signs(M: Array) -> Array:
    """The signs of `M`; of many numbers in float32 from their bits, in half the time, where zeros have one, too."""
    if not isinstance(M, np.ndarray) or M.dtype != np.float32 or M.size < MANY_ENTRIES:
        return namespace(M).sign(M)
    bits = M.view(np.uint32) & SIGN_BIT
    bits |= ONE_BITS
    return bits.view(np.float32)


def _in_blocks(*arrays: Array) -> Iterator[Sequence[Array]]:
    """Arrays of NumPy (B, d) a few rows at a time, which stay in the cache from one operation to the next."""
    count, width = arrays[0].shape
    if not isinstance(arrays[0], np.ndarray) or count * width <= BLOCK_ENTRIES:
        yield arrays
        return
    rows = max(BLOCK_ENTRIES // width, 1)
    for begin in range(0, count, rows):
        yield [array[begin : begin + rows] for array in arrays]


def descend_by_halving(
    objective: BatchFunction,
    domain: BatchSet,
    U: Array,
    stages: Sequence[Array],
    decay: float,
    budget: Budget,
    keeps_valleys: bool = True,
) -> Generator[Batch, None, Batch]:
    """Descend in stages, each given by its lengths; after each but the last only the best quarter goes on.

    Points near better ones come after all others, unless `keeps_valleys` is false.
    """
    batch = Batch.at(objective.cast(U))
    lower, width = objective.cast(domain.lower), objective.cast(domain.upper - domain.lower)

    def best(count: int) -> Batch:
        if not keeps_valleys:
            return batch.keep(count)
        return batch.rows(best_of_valleys(batch.best, batch.values, lower, width, count))

    for index, lengths in enumerate(stages):
        batch = yield from descend(objective, domain, batch, lengths, decay, budget)
        if index + 1 < len(stages):
            batch = best(max(batch.values.shape[0] // 4, 1))
    if not budget.is_exhausted():
        batch.note(objective.value(batch.U))
        budget.count(points=batch.values.shape[0], iterations=0)
    return best(batch.values.shape[0])


def _one_if_equal(values: Array) -> Array:
    """The first of equal values, which multiplies a batch faster than a row of them."""
    return values[:1] if values.shape[0] and bool(namespace(values).all(values == values[0])) else values


def _as_long(M: Array) -> Array:
    """The rows of `M`, each as long as a row of signs."""
    norms = np.linalg.norm(M, axis=1, keepdims=True)
    return np.asarray(M / np.where(norms > 0, norms, 1)) * np.sqrt(M.shape[1])
