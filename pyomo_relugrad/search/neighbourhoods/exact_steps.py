"""Steps that solve the problem exactly within a box around a good point, or as a whole."""

from collections.abc import Iterator

import numpy as np

from pyomo_relugrad.arrays import Array
from pyomo_relugrad.problem import Incumbent
from pyomo_relugrad.programs import below_tolerance
from pyomo_relugrad.search.neighbourhoods.boxes import BoxMaker
from pyomo_relugrad.search.neighbourhoods.shared import Shared
from pyomo_relugrad.search.neighbourhoods.subproblem import solve_within

#: Size of the first box, and by what it shrinks after one that was not searched in time.
FIRST_SIZE, SHRINKAGE, SMALLEST_SIZE = 0.05, 0.5, 1e-3
#: By what a box grows after one that was: more where a small share of the time was enough.
GROWTH, FAST_GROWTH, FAST_SHARE = 1.2, 2.0, 0.3
#: How often a box is around the best point rather than around another good one.
BEST_SHARE = 0.9
#: Gap, relative to the objective, at which a box counts as searched, and at which the whole problem does.
GAP, WHOLE_GAP = 1e-3, 1e-6
#: Seconds of the first program over the whole problem where its gap is closed; each further one has twice the time.
WHOLE_SECONDS = 2.0


class ExactSteps:
    """Mixed-integer programs over the networks themselves.

    Parameters
    ----------
    shared : Shared
    """

    def __init__(self, shared: Shared) -> None:
        self._problem, self._elite, self._context = shared.problem, shared.elite, shared.context
        self._pace, self._polish = shared.pace, shared.polish
        #: Whether the whole problem has been searched to its end.
        self.is_complete = False

    def within(self, make_box: BoxMaker) -> Iterator[Incumbent | None]:
        """Programs over boxes around good points, whose size follows what can be searched in time."""
        random, size = self._context.random, FIRST_SIZE
        while self._elite.centre is not None:
            centre = self._centre()
            box = make_box(centre.values, size, random)
            options, seconds, budget = self._pace.options(mip_rel_gap=GAP), self._pace.seconds(), self._context.budget
            begin = budget.spent
            outcome = solve_within(self._problem, *box, self._start(centre), seconds, options)
            growth = FAST_GROWTH if budget.spent - begin < FAST_SHARE * seconds else GROWTH
            budget.count(points=1, iterations=outcome.steps)
            point = outcome.point
            is_better = point is not None and point.is_feasible and point.objective < centre.objective
            if outcome.is_complete:
                size = min(growth * size, 1.0)
            elif not is_better:
                size = max(SHRINKAGE * size, SMALLEST_SIZE)
            yield point
            if point is not None and is_better:
                yield from self._polish.points(point)

    def whole(self) -> Iterator[Incumbent | None]:
        """Programs over the whole problem, for longer and longer; one that ends, ends the search."""
        problem, seconds = self._problem, WHOLE_SECONDS
        relaxation = self._context.relaxation
        bound = -np.inf if relaxation is None else relaxation.bound + problem.constant
        while not self.is_complete:
            centre = self._elite.centre
            start = None if centre is None else self._start(centre)
            limit = self._pace.seconds(seconds / (1.0 + self._gap(bound)))
            options = self._pace.options(mip_rel_gap=WHOLE_GAP)
            outcome = solve_within(problem, problem.lower, problem.upper, start, limit, options)
            self._context.budget.count(points=1, iterations=outcome.steps)
            # That HiGHS finds none says nothing of points that are feasible within the tolerance alone.
            self.is_complete = outcome.is_complete and outcome.point is not None
            bound, seconds = max(bound, outcome.bound), 2 * seconds
            if np.isfinite(outcome.bound):  # beside a point, a verdict of infeasibility says that tolerances differ
                self._context.take_bound(below_tolerance(outcome.bound))
            yield outcome.point
            if outcome.is_complete or not self._pace.is_timed:
                return

    def _gap(self, bound: float) -> float:
        """Distance of the best point from a bound, relative to the smaller of both: large where a proof is far."""
        best = self._elite.best
        return (best - bound) / max(min(abs(best), abs(bound)), 1e-9) if np.isfinite(best) else 1.0

    def _centre(self) -> Incumbent:
        points, random = self._elite.points, self._context.random
        if len(points) > 1 and random.random() > BEST_SHARE:
            return points[int(random.integers(len(points)))]
        assert self._elite.centre is not None
        return self._elite.centre

    def _start(self, centre: Incumbent) -> Array | None:
        return centre.values if centre.is_feasible else None
