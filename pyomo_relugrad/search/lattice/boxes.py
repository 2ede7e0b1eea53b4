"""Boxes of the integers that decide a problem, the best first: narrowed, bounded and split thousands at a time."""

from __future__ import annotations

from dataclasses import dataclass, fields
from functools import cached_property

import numpy as np

from pyomo_relugrad.arrays import Array
from pyomo_relugrad.deadline import checkpoint
from pyomo_relugrad.problem import FEASIBILITY_TOLERANCE, Incumbent, Problem
from pyomo_relugrad.search.lattice.composition import Composition
from pyomo_relugrad.search.sequential.last_digits import is_rounding

#: Most integers: of more, programs see what hangs together, and ranges do not.
MAX_INTEGERS = 12
#: Boxes that are bounded together at most, and the numbers that this and a single box may take.
MAX_BATCH, MAX_NUMBERS, MAX_OF_BOX = 1024, 1_000_000, 100_000
#: One of so many boxes is one of the smallest.
DEEP = 4
#: Boxes that wait at most: of more, the smallest are looked at first.
MAX_OPEN = 200_000
#: Points up to which a box is enumerated.
FEW_POINTS = 32
#: How far a single integer moves from a point that was found.
STRIDES = (1, 2, 5, 20)
#: Rounds in which the whole box is narrowed.
ROOT_ROUNDS = 10
#: Ends of ranges that are this close to an integer are taken for it.
NEAR = 1e-6
#: Rounding of an output, as a share of the largest number that it is computed from.
ROUNDING = 1e-12


@dataclass(frozen=True, eq=False)
class IntegerBoxes:
    """N boxes of k integers, (N, k) each, and lower bounds (N,) of the objective on them."""

    lower: Array
    upper: Array
    bound: Array

    def __len__(self) -> int:
        return len(self.bound)

    @property
    def widths(self) -> Array:
        """The sum (N,) of the widths of each."""
        return np.asarray((self.upper - self.lower).sum(axis=1))

    @classmethod
    def joined(cls, *parts: IntegerBoxes) -> IntegerBoxes:
        """Several sets of boxes as one."""
        return cls(*(np.concatenate([getattr(part, each.name) for part in parts]) for each in fields(cls)))

    def take(self, which: Array) -> IntegerBoxes:
        """Some of the boxes, by index or mask."""
        return IntegerBoxes(self.lower[which], self.upper[which], self.bound[which])

    def points(self) -> Array:
        """All integer points of all boxes, (N, k)."""
        sizes = (self.upper - self.lower + 1).astype(np.int64)
        counts = sizes.prod(axis=1)
        box = np.repeat(np.arange(len(self)), counts)
        rest = np.arange(box.size) - np.repeat(counts.cumsum() - counts, counts)
        points = np.empty((box.size, sizes.shape[1]))
        for column in range(sizes.shape[1]):
            points[:, column] = self.lower[box, column] + rest % sizes[box, column]
            rest //= sizes[box, column]
        return points


class OpenBoxes:
    """The boxes in which there may still be better points.

    A box is bounded by the range of a single expression, and made smaller by what rows and the best objective allow:
    thousands of boxes take as long as a handful with linear programs. The bounds are worse than those of programs, but
    boxes of few points need none, as these are enumerated.

    Parameters
    ----------
    problem : Problem
    composition : Composition
        That of the problem.
    """

    def __init__(self, problem: Problem, composition: Composition) -> None:
        self._problem, self._composition = problem, composition
        columns = composition.columns
        root = problem.lower[columns][None], problem.upper[columns][None], np.array([-np.inf])
        self._open, self._root = IntegerBoxes(*root), (root[0][0], root[1][0])
        self._given_up, self._is_narrowed = np.inf, False
        self._base = np.where(np.isfinite(problem.lower), problem.lower, np.minimum(problem.upper, 0.0))
        #: Boxes so far.
        self.count = 0

    @staticmethod
    def suit(problem: Problem) -> Composition | None:
        """The composition of a problem where few integers decide all of it, and not by linear functions alone.

        None where it is too large for boxes by the thousand.
        """
        decide = problem.integers & ~problem.follows & (problem.lower < problem.upper)
        if problem.networks or not 0 < np.count_nonzero(decide) <= MAX_INTEGERS:
            return None
        if not np.isfinite([problem.lower[decide], problem.upper[decide]]).all():
            return None
        found = Composition.of(problem)
        if found is None or found.is_linear:
            return None
        return found if 2 * found.expression.n_outputs * found.expression.tape.n_nodes <= MAX_OF_BOX else None

    @property
    def bound(self) -> float:
        """No feasible point has a smaller objective, but those that were found."""
        return float(min(self._open.bound.min(initial=np.inf), self._given_up))

    def is_open(self, cutoff: float) -> bool:
        """Whether there may be points below a cutoff."""
        return bool((self._open.bound < cutoff).any())

    def step(self, value: float, cutoff: float) -> Incumbent | None:
        """Bound the best boxes; a feasible point that is better than a value, if there is one.

        Parameters
        ----------
        value : float
            The best objective so far.
        cutoff : float
            Objectives at or above this do not matter.
        """
        self._given_up = min(self._given_up, cutoff)  # what the cutoff excludes is left out, from the root on
        if not self._is_narrowed:
            self._narrow_root(cutoff)
        size, order = self._batch, np.arange(len(self._open))
        if len(order) > size:
            order = np.argpartition(self._open.bound if len(order) < MAX_OPEN else self._open.widths, size - 1)
            deep = np.argpartition(self._open.widths, size // DEEP)[: size // DEEP]
            order = np.concatenate([deep, order[~np.isin(order, deep)]])
        boxes, rest = self._open.take(order[:size]), self._open.take(order[size:])
        self.count += len(boxes)
        boxes = self._bounded(self._narrowed(boxes, cutoff), cutoff)
        few = (boxes.upper - boxes.lower + 1).prod(axis=1) <= FEW_POINTS
        middles = np.floor((boxes.lower + boxes.upper)[~few] / 2)
        found = self._descended(self._best(np.concatenate([boxes.take(few).points(), middles]), value))
        self._open = IntegerBoxes.joined(rest, *self._halves(boxes.take(~few)))
        return found

    def _narrow_root(self, cutoff: float) -> None:
        """Narrow the whole box, and leave out what is met everywhere in it."""
        for _ in range(ROOT_ROUNDS):
            self._open = self._narrowed(self._open, cutoff)
        if len(self._open):
            ranges = self._composition.expression.range(self._open.lower, self._open.upper)
            self._composition = self._composition.within(ranges[0][0], ranges[1][0])
            self._root = self._open.lower[0], self._open.upper[0]
        self._is_narrowed = True

    @property
    def _batch(self) -> int:
        expression = self._composition.expression
        return int(np.clip(MAX_NUMBERS // (2 * expression.n_outputs * expression.tape.n_nodes), 16, MAX_BATCH))

    def _sides(self, cutoff: float) -> tuple[Array, Array]:
        """(n_outputs,) each: between what outputs of feasible points below a cutoff are."""
        lower, upper = self._composition.sides()
        upper[0] = cutoff - self._problem.constant
        if self._composition.is_integral:
            upper[0] = np.ceil(upper[0]) - 1 + NEAR
        return lower, upper

    def _narrowed(self, boxes: IntegerBoxes, cutoff: float) -> IntegerBoxes:
        """Boxes without what is not feasible or not below the cutoff."""
        checkpoint()
        lower, upper = (np.tile(side, (len(boxes), 1)) for side in self._sides(cutoff))
        low, high, *_ = self._composition.expression.contracted(boxes.lower, boxes.upper, (lower, upper))
        low, high = np.ceil(np.fmax(low, boxes.lower) - NEAR), np.floor(np.fmin(high, boxes.upper) + NEAR)
        return IntegerBoxes(low, high, boxes.bound).take(np.all(low <= high, axis=1))

    def _bounded(self, boxes: IntegerBoxes, cutoff: float) -> IntegerBoxes:
        """Boxes with the ranges of the objective, and without those whose rows cannot be met."""
        low, high = self._composition.expression.range(boxes.lower, boxes.upper)
        lower, upper = self._sides(cutoff)
        least = np.ceil(low[:, 0] - NEAR) if self._composition.is_integral else low[:, 0]
        bound = np.fmax(boxes.bound, least + self._problem.constant)
        possible = np.all((low <= upper) & (high >= lower), axis=1) & (bound < cutoff)
        return IntegerBoxes(boxes.lower, boxes.upper, bound).take(possible)

    def _halves(self, boxes: IntegerBoxes) -> tuple[IntegerBoxes, IntegerBoxes]:
        """Boxes split in the column that changes the functions most."""
        middle, width = (boxes.lower + boxes.upper) / 2, boxes.upper - boxes.lower
        slopes = np.nan_to_num(np.abs(self._composition.expression.jacobian(middle)), posinf=0.0)
        changes = slopes * width[:, None]
        total = changes.sum(axis=2, keepdims=True)
        scores = (changes / np.where(total > 0, total, 1.0)).sum(axis=1) + NEAR * width
        places = np.arange(len(boxes)), np.where(width > 0, scores, -1.0).argmax(axis=1)
        lower, upper = boxes.lower.copy(), boxes.upper.copy()
        upper[places] = np.floor(middle[places])
        lower[places] = upper[places] + 1
        return IntegerBoxes(boxes.lower, upper, boxes.bound), IntegerBoxes(lower, boxes.upper, boxes.bound)

    def _descended(self, point: Incumbent | None) -> Incumbent | None:
        """Where moves of one or two integers lead from a point, the best of them each time."""
        while point is not None:
            columns = self._composition.columns
            moved = np.clip(point.values[columns] + self._moves, *self._root)
            better = self._best(moved, point.objective)
            if better is None:
                break
            point = better
        return point

    @cached_property
    def _moves(self) -> Array:
        """Moves of one integer, and of two by one each: (N, k)."""
        unit = np.eye(self._composition.columns.size)
        signed = np.concatenate([unit, -unit])
        pairs = (signed[:, None] + signed[None]).reshape(-1, len(unit))
        return np.unique(np.concatenate([stride * signed for stride in STRIDES] + [pairs]), axis=0)

    def _best(self, points: Array, value: float) -> Incumbent | None:
        """The best of points (N, k) that are feasible and better than a value."""
        found, tape = self._composition, self._composition.expression.tape
        with np.errstate(all="ignore"):
            nodes = tape.evaluate(points)
        values, size = tape.outputs.take(nodes).T, np.abs(nodes).max(axis=0)[:, None]
        tolerance = FEASIBILITY_TOLERANCE + ROUNDING * np.where(np.isfinite(size), size, 0.0)
        lower, upper = found.lower - tolerance, found.upper + tolerance
        upper[:, 0] = value - self._problem.constant
        is_good = np.asarray(((values >= lower) & (values <= upper)).all(axis=1))
        undefined = np.flatnonzero(np.isnan(values).any(axis=1))
        low, high = found.expression.range(points[undefined], points[undefined])  # maybe by rounding alone
        is_good[undefined] = ((high >= lower[undefined]) & (low <= upper[undefined])).all(axis=1)
        good = np.flatnonzero(is_good)
        for place in good[np.argsort(values[good, 0])].tolist():
            point = self._problem.incumbent(found.point(points[place], self._base))
            if point.is_feasible and point.objective < value:
                return point
            if not point.is_feasible and (
                self._misses_by_rounding(point.values) or self._is_too_large(point, size[place])
            ):
                self._given_up = min(self._given_up, float(values[place, 0]) + self._problem.constant)
        return None

    def _misses_by_rounding(self, v: Array) -> bool:
        """Whether numbers have too few digits for the tolerance: with other last digits they may be feasible."""
        problem = self._problem
        missing = np.maximum(problem.lower - v, v - problem.upper)
        missing = np.where(problem.integers, np.maximum(missing, np.abs(v - np.round(v))), missing)
        largest = FEASIBILITY_TOLERANCE + ROUNDING * np.abs(v)
        return bool((missing <= largest).all()) and is_rounding(problem, v)

    @staticmethod
    def _is_too_large(point: Incumbent, size: Array) -> bool:
        """Whether a point counts as undefined, though the numbers that it is computed from are finite."""
        return bool(np.isfinite(size).all()) and not np.isfinite(point.violation)
