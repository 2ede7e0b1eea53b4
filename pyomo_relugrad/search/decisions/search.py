"""A search over the columns that decide a problem, by moves of a few of them, many evaluated together."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from scipy import sparse

from pyomo_relugrad.arrays import Array
from pyomo_relugrad.problem import FEASIBILITY_TOLERANCE, Incumbent, Problem
from pyomo_relugrad.run import Method, SearchContext, between
from pyomo_relugrad.search.decisions.decisions import Decisions
from pyomo_relugrad.search.decisions.moves import Moves
from pyomo_relugrad.search.regions.walk import is_lower
from pyomo_relugrad.search.sequential.merit import Merit

#: Random points by which penalties are scaled and moves are grouped, and of which the best is a start.
SAMPLES = 256


@dataclass(frozen=True)
class DecisionSearch(Method):
    """Moves of the few columns that decide all others.

    Where binaries and distances, say, follow from some positions by rows, only these are searched: of many moves of one
    or a few of them the best is taken, while one lowers the merit; then again from near the best point, or from a new
    one. Nothing is yielded where there are no such columns, or where they are many.

    Parameters
    ----------
    batch : int, optional
        Moves that are evaluated together (64).
    attempts : int, optional
        Batches in a row without a lower merit that end a descent (4).
    patience : int, optional
        Descents in a row without a better point after which the search ends (30).
    fresh : float, optional
        Share of the descents that begin at a new point (0.5).
    share : float, optional
        Of the time left, what the search takes at most (0.6).
    penalty : float, optional
        Penalty of a violation, in units of the objective's spread over the largest violation at some points (10).
    """

    name = "decisions"

    batch: int = 64
    attempts: int = 4
    patience: int = 30
    fresh: float = between(0.5, 0, 1)
    share: float = between(0.6, 0, 1)
    penalty: float = 10.0

    def run(self, problem: Problem, context: SearchContext) -> Iterator[Incumbent | None]:
        """Yield better points."""
        decisions = Decisions.of(problem) if problem.quadratic is None else None
        if decisions is None:
            return
        random, budget = context.random, context.budget
        end = budget.worked + self.share * budget.remaining
        landscape = Landscape(decisions, decisions.random(SAMPLES, random), self.penalty)
        moves = Moves.of(decisions, random)
        best, best_merit, fruitless = None, np.inf, 0
        while fruitless < self.patience and budget.worked < end and not budget.is_exhausted():
            fruitless += 1
            if best is None or random.random() < self.fresh:
                starts = decisions.random(SAMPLES, random)
            else:
                starts = moves.kicked(best, random)[None]
            values = landscape.merit(starts)
            budget.count(points=len(starts))
            x, value, vain = starts[values.argmin()], float(values.min()), 0
            while vain < self.attempts and budget.worked < end and not budget.is_exhausted():
                tried = moves.around(x, self.batch, random)
                values = landscape.merit(tried)
                budget.count(points=len(tried))
                lowest, vain = float(values.min()), vain + 1
                if is_lower(lowest, value):
                    x, value, vain = tried[values.argmin()], lowest, 0
                yield None
            if is_lower(value, best_merit):
                best, best_merit, fruitless = x, value, 0
                yield problem.incumbent(decisions.points(x[None])[0])


class Landscape:
    """The merit of decisions: the objective, and penalties of what is violated.

    Parameters
    ----------
    decisions : Decisions
    X : (B, d) array
        Decisions by which the penalties are scaled.
    penalty : float
    """

    def __init__(self, decisions: Decisions, X: Array, penalty: float) -> None:
        problem = decisions.problem
        self._decisions, self._problem = decisions, problem
        merit = Merit.scaled_to(problem, decisions.points(X), penalty)
        self._penalties = np.concatenate([merit.row_penalties, np.full(problem.n_columns, merit.row_penalties.max())])
        self._rows = sparse.csr_array(sparse.vstack([problem.rows, sparse.eye_array(problem.n_columns)]))
        self._lower = np.concatenate([problem.row_lower, problem.lower])[:, None]
        self._upper = np.concatenate([problem.row_upper, problem.upper])[:, None]

    def merit(self, X: Array) -> Array:
        """Merits (B,) of decisions (B, d)."""
        V = self._decisions.points(X).T
        activity = self._rows @ V
        violations = np.maximum(self._lower - activity, activity - self._upper)
        violations = np.where(violations > FEASIBILITY_TOLERANCE / 10, violations, 0.0)
        return np.asarray(self._problem.objective(V.T) + self._penalties @ violations)
