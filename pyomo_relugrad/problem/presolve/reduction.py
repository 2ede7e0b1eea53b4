"""What a reduction of a problem is, and how several make one."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from pyomo_relugrad.arrays import Array
from pyomo_relugrad.problem.problem import Problem


@dataclass(frozen=True, eq=False)
class Reduced:
    """A problem that was reduced, and the way between its columns and those of the original.

    Parameters
    ----------
    problem : Problem
        The reduced problem.
    columns : (n,) int array
        For each column of the original, the column of the reduced problem that has its value. A column of the reduced
        problem that is named by none is the output of a network.
    """

    problem: Problem
    columns: Array

    def restore(self, values: Array) -> Array:
        """Values (n,) of the original's columns from those of the reduced problem."""
        return values[self.columns]

    def reduce(self, start: Array) -> Array:
        """A start of the reduced problem from one (n,) of the original, NaN where a column has no value.

        Of columns that became one, the first with a value gives it. What follows from others is computed.
        """
        reduced = np.full(self.problem.n_columns, np.nan)
        known = np.flatnonzero(~np.isnan(start))[::-1]
        reduced[self.columns[known]] = start[known]
        if self.problem.followers:
            reduced = np.where(self.problem.follows, self.problem.completed(reduced)[0], reduced)
        return reduced


#: Takes a problem and reduces it; None where it would change nothing. It may find that there is no feasible point, and
#: raises `InfeasibleProblemError`.
Reduction: TypeAlias = Callable[[Problem], Reduced | None]


def reduce_by(problem: Problem, reductions: Iterable[Reduction]) -> Reduced:
    """The problem after one reduction after another.

    Parameters
    ----------
    problem : Problem
    reductions : iterable of callables

    Raises
    ------
    InfeasibleProblemError
        If one of them shows that there is no feasible point; names a column or row.
    """
    columns = np.arange(problem.n_columns)
    for reduction in reductions:
        reduced = reduction(problem)
        if reduced is not None:
            problem, columns = reduced.problem, reduced.columns[columns]
    return Reduced(problem, columns)


def same_columns(problem: Problem) -> Reduced:
    """A reduced problem whose first columns are those of the original."""
    return Reduced(problem, np.arange(problem.n_columns))


def with_bounds(problem: Problem, lower: Array, upper: Array) -> Reduced | None:
    """The problem with other bounds; None where they are the same."""
    if np.array_equal(lower, problem.lower) and np.array_equal(upper, problem.upper):
        return None
    return same_columns(problem.with_bounds(lower, upper))
