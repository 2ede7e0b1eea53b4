"""Decisions, and whole points computed from them in batches."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from pyomo_relugrad.arrays import Array
from pyomo_relugrad.problem import Problem
from pyomo_relugrad.problem.presolve.mixing_sets import MixingSet, mixing_sets
from pyomo_relugrad.search.decisions.deduction import Deduction
from pyomo_relugrad.search.decisions.steps import Filling, Levels, Networks, Quantile, Switches

#: Coefficients of rows above which structure is not looked for.
MAX_ENTRIES = 200_000
#: Share of the columns that may be decisions.
MAX_SHARE = 0.2
#: Columns that networks read which may be decisions beside a quantile.
MAX_READ = 50
#: Random decisions at which columns between rows are looked at.
TRIED = 64


@dataclass(frozen=True, eq=False)
class Decisions:
    """The columns that decide a problem, and the steps by which all others follow.

    Parameters
    ----------
    problem : Problem
    columns : (d,) int array
    steps : tuple of Filling
    """

    problem: Problem
    columns: Array
    steps: tuple[Filling, ...]

    @classmethod
    def of(cls, problem: Problem) -> Decisions | None:
        """The decisions, None where they are no few columns with bounds, or leave what networks read undecided."""
        if not problem.networks or not problem.integers.any() or problem.rows.nnz > MAX_ENTRIES:
            return None
        sets: list[MixingSet] = []
        chosen = _chosen(problem) or _binaries(problem)
        if not chosen:
            sets = list(mixing_sets(problem))
            chosen = _read(problem) if sets else []
        if not chosen:
            return None
        deduction = Deduction(problem)
        deduction.learn(chosen)
        for each in sets:
            if deduction.is_last(each.column, each.binaries) and each.sign * problem.cost[each.column] < 0:
                ends = float(problem.lower[each.column]), float(problem.upper[each.column])
                deduction.steps.append(Quantile(each, *ends))
                deduction.learn([each.column, *each.binaries.tolist()])
        if sets and not any(isinstance(step, Quantile) for step in deduction.steps):
            return None
        columns = np.array(chosen, int)
        has_bounds = np.isfinite(problem.lower[columns]).all() and np.isfinite(problem.upper[columns]).all()
        if not (has_bounds and deduction.known.all()):
            return None
        decisions = cls(problem, columns, tuple(deduction.steps))
        return None if decisions._leave_room() else decisions

    def _leave_room(self) -> bool:
        """Whether a column that networks read may have several values between its rows, as random decisions show."""
        levels = [step for step in self.steps if isinstance(step, Levels)]
        V = self.points(self.random(TRIED, np.random.default_rng(0))).T if levels else np.zeros((0, 0))
        return any(self.problem.is_input[step.with_room(V)].any() for step in levels)

    @property
    def are_binaries(self) -> bool:
        """Whether each decision has two values."""
        lower, upper = self.bounds
        return bool((self.problem.integers[self.columns] & (upper - lower == 1)).all())

    @property
    def bounds(self) -> tuple[Array, Array]:
        """Bounds (d,) of the decisions."""
        return self.problem.lower[self.columns], self.problem.upper[self.columns]

    @cached_property
    def kinks(self) -> list[Array]:
        """For each decision the values between its bounds at which a binary switches whatever the others are."""
        found: dict[int, set[float]] = {column: set() for column in self.columns.tolist()}
        for step in self.steps:
            for column, value in step.kinks if isinstance(step, Switches) else ():
                if column in found and self.problem.lower[column] < value < self.problem.upper[column]:
                    found[column].add(value)
        return [np.array(sorted(values)) for values in found.values()]

    def random(self, count: int, random: np.random.Generator) -> Array:
        """Decisions (count, d) anywhere between their bounds."""
        return self.rounded(random.uniform(*self.bounds, size=(count, self.columns.size)))

    def rounded(self, X: Array) -> Array:
        """Decisions (B, d) within their bounds, integers rounded."""
        X = np.clip(X, *self.bounds)
        return np.where(self.problem.integers[self.columns], np.round(X), X)

    def points(self, X: Array) -> Array:
        """Points (B, n) from decisions (B, d)."""
        return self._filled(X, self.steps)

    def surroundings(self, X: Array) -> Array:
        """The same without what networks write."""
        return self._filled(X, [step for step in self.steps if not isinstance(step, Networks)])

    def _filled(self, X: Array, steps: Iterable[Filling]) -> Array:
        problem = self.problem
        V = np.zeros((problem.n_columns, len(X)))
        fixed = problem.lower == problem.upper
        V[fixed] = problem.lower[fixed, None]
        V[self.columns] = X.T
        for step in steps:
            step.fill(V)
        return V.T


def _binaries(problem: Problem) -> list[int]:
    """The binaries that networks read."""
    is_binary = problem.integers & ~problem.is_output & (problem.upper - problem.lower == 1)
    return np.flatnonzero(is_binary & problem.is_input).tolist()


def _read(problem: Problem) -> list[int]:
    """What networks read and none writes, if it is little."""
    read = np.flatnonzero(problem.is_input & ~problem.is_output & (problem.lower < problem.upper)).tolist()
    return read if len(read) <= MAX_READ else []


def _chosen(problem: Problem) -> list[int] | None:
    """Columns from which all others follow, those of the most influence first; None where they are many."""
    deduction = Deduction(problem)
    influence = deduction.influence()
    most = MAX_SHARE * int((~deduction.known).sum())
    chosen: list[int] = []
    for column in np.argsort(-influence, kind="stable").tolist() if influence.any() else ():
        if not deduction.known[column] and not problem.is_output[column]:
            chosen.append(column)
            if len(chosen) > most:
                return None
            deduction.learn([column])
    return chosen or None
