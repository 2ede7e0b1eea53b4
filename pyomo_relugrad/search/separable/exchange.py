"""A search by exchanges in an assignment, where networks read what follows from it by equations."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from pyomo_relugrad.arrays import Array
from pyomo_relugrad.problem import Incumbent, Problem
from pyomo_relugrad.run import Method, SearchContext
from pyomo_relugrad.search.regions.walk import is_lower
from pyomo_relugrad.search.separable.assignment import Assignment, exchanged
from pyomo_relugrad.search.separable.followers import Followers
from pyomo_relugrad.search.sequential.merit import Merit

#: Points by which penalties are scaled, and the exchanges at random that lead to each.
SAMPLES, SAMPLE_KICKS = 10, 50


@dataclass(frozen=True)
class ExchangeSearch(Method):
    """Exchanges of binaries in an assignment, evaluated together.

    Exchange two binaries of an assignment for two others while that lowers the merit; then again from nearby.

    Continuous columns follow from the binaries: states by equations, outputs by networks, and levels, such as the
    smallest of all outputs, by the tightest of their rows. So exchanges change few numbers, and many are evaluated
    together: those which the derivatives promise most of, and some at random. Nothing is yielded where columns do not
    follow in this way.

    Parameters
    ----------
    promising, drawn : int, optional
        Exchanges that are evaluated together: the most promising ones (256), and others at random (128).
    max_kicks : int, optional
        Exchanges at random, at most, with which the search leaves its best point (5).
    patience : int, optional
        Descents in a row without a better point after which the search ends (30).
    penalty : float, optional
        Penalty of a violation, in units of the objective's spread over the largest violation at some points (10).
    """

    name = "exchange"

    promising: int = 256
    drawn: int = 128
    max_kicks: int = 5
    patience: int = 30
    penalty: float = 10.0

    def run(self, problem: Problem, context: SearchContext) -> Iterator[Incumbent | None]:
        """Yield better points."""
        assignment = Assignment.of(problem) if problem.networks and problem.quadratic is None else None
        followers = None if assignment is None else Followers.of(assignment)
        if assignment is None or followers is None:
            return
        random, budget = context.random, context.budget
        known = min(context.known, key=lambda point: point.objective, default=None)
        x = assignment.random(random) if known is None else np.round(known.values[assignment.columns])
        if x is None:
            return
        samples = [followers.states(assignment.kicked(x, SAMPLE_KICKS, random)) for _ in range(SAMPLES)]
        merit = Merit.scaled_to(followers.problem, followers.points(np.array(samples)), self.penalty)
        best, best_merit, fruitless = x, np.inf, 0
        while fruitless < self.patience and not budget.is_exhausted():
            fruitless += 1
            value = np.inf
            while not budget.is_exhausted():
                lower, candidate = self._exchanged(assignment, followers, merit, x, context)
                if not is_lower(lower, value):
                    break
                x, value = candidate, lower
                yield None
            if is_lower(value, best_merit):
                best, best_merit, fruitless = x, value, 0
                yield problem.incumbent(followers.whole(x))
            x = assignment.kicked(best, int(random.integers(1, self.max_kicks + 1)), random)

    def _exchanged(
        self, assignment: Assignment, followers: Followers, merit: Merit, x: Array, context: SearchContext
    ) -> tuple[float, Array]:
        """The smallest merit after none or one of the exchanges, and the binaries then."""
        states, exchanges = followers.states(x), assignment.exchanges(x)
        slopes = followers.slopes(states, merit)
        promised = slopes[exchanges[:, 2:]].sum(axis=1) - slopes[exchanges[:, :2]].sum(axis=1)
        count = min(self.promising, len(exchanges))
        tried = np.argpartition(promised, count - 1)[:count] if count else np.zeros(0, int)
        if len(exchanges) > count:
            tried = np.union1d(tried, context.random.integers(len(exchanges), size=self.drawn))
        chosen = exchanges[tried]
        moves = followers.moves
        moved = states + moves[chosen[:, 2]] + moves[chosen[:, 3]] - moves[chosen[:, 0]] - moves[chosen[:, 1]]
        values = merit.of(followers.problem, followers.points(np.vstack([states, moved])))
        context.budget.count(points=len(values))
        best = int(values.argmin())
        return float(values[best]), x if best == 0 else exchanged(x, chosen[best - 1])
