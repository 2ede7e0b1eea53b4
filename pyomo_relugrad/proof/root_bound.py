"""A bound on the optimum beside a local search: the proof's own at the whole problem, without branching.

It is computed once, and holds in floating point.
"""

import numpy as np

from pyomo_relugrad import deadline
from pyomo_relugrad.deadline import OutOfTime
from pyomo_relugrad.problem import Problem, Shape
from pyomo_relugrad.problem.presolve import reduce_by, tighten_through_networks
from pyomo_relugrad.programs import LinearSolution, LinearStatus, below_tolerance
from pyomo_relugrad.proof.boxes.bounding import DENSE_RATE, bound_seconds
from pyomo_relugrad.proof.boxes.crown_bounder import CrownBounder
from pyomo_relugrad.proof.boxes.program_bounder import ProgramBounder
from pyomo_relugrad.run import Budget

# The bound may take this share of the time limit, and so many seconds.
TIME_SHARE, MAX_SECONDS = 0.1, 10.0
# What an evaluated point (with its gradient) and a step cost a search: passes over the weights, and multiplications.
PASSES_PER_POINT, WORK_PER_STEP = 3, 1e6


class BoundKeeper:
    """The best bound known during a search, and when to compute a better one.

    The relaxation is solved once, when the search has spent as much as that will cost: it never delays the first
    incumbents, and does not depend on the clock, so that a seed gives the same answer again.

    Parameters
    ----------
    problem : Problem
    budget : Budget
    device : str, optional
        Where networks over boxes are bounded.
    """

    def __init__(self, problem: Problem, budget: Budget, device: str | None = None) -> None:
        self.value = -np.inf
        self._problem, self._budget, self._device = problem, budget, device
        self._is_open = bool(problem.functions)
        self._cost = bound_seconds(problem, device) if self._is_open else np.inf
        self._point_cost = PASSES_PER_POINT * sum(len(s.inputs) * s.work for s in problem.stages)

    def take(self, relaxation: LinearSolution | None) -> None:
        """Take the bound of the linear surroundings."""
        problem = self._problem
        ignores_objective = problem.quadratic is not None and problem.integers.any()
        if relaxation is None or ignores_objective:
            return
        if relaxation.status in (LinearStatus.OPTIMAL, LinearStatus.LIMIT):
            self.raise_to(below_tolerance(relaxation.bound + problem.constant))

    def raise_to(self, value: float) -> None:
        """Take a bound that a method came to."""
        self.value = max(self.value, value)

    def update(self, finished: bool = False) -> None:
        """Solve the relaxation if its time has come, at the latest when the search has finished."""
        if not self._is_open or not (finished or self._is_due()):
            return
        self._is_open = False
        budget = self._budget
        if self._cost > min(TIME_SHARE * budget.time_limit, budget.remaining, MAX_SECONDS):
            return
        try:
            with deadline.time_limit(min(budget.remaining, MAX_SECONDS)):
                self.value = max(self.value, dual_bound(self._problem, self._device))
        except OutOfTime:
            return

    def _is_due(self) -> bool:
        spent = self._point_cost * self._budget.points + WORK_PER_STEP * self._budget.iterations
        return spent >= self._cost * DENSE_RATE


def dual_bound(problem: Problem, device: str | None = None) -> float:
    """A number that no feasible point's objective is below.

    The objective is substituted back through every network as one function, with slopes chosen for it. Unless bounds
    on the inputs are the only constraints, a linear program with that function and with two for each output that
    matters gives the bound, and its multipliers another one; integers are relaxed, and a convex quadratic objective is
    replaced by its tangent at the optimum over the same rows.

    Parameters
    ----------
    problem : Problem
    device : str, optional
        Where the networks are bounded, if the problem is a box.

    Returns
    -------
    float
        In the sense of `Problem`, to be minimized; minus infinity where the relaxation gives none.
    """
    flat = reduce_by(problem, (tighten_through_networks,)).problem
    if flat.shape is Shape.BOX and flat.quadratic is None:
        return CrownBounder(flat, device=device).lower_bound()
    bound = ProgramBounder(flat).lower_bound()
    return below_tolerance(bound) if np.isfinite(bound) else -np.inf
