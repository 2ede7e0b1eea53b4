"""First-order descent of the merit for a whole batch of points: the cheap phase that ranks starts."""

import numpy as np

from pyomo_relugrad.arrays import Array
from pyomo_relugrad.problem import Problem
from pyomo_relugrad.run import Budget
from pyomo_relugrad.search.sequential.merit import Merit

#: Steps of one descent, and its first and last step length, relative to the columns' ranges.
STEPS, FIRST_STEP, LAST_STEP = 40, 0.2, 0.002
#: Share of the last direction that is kept.
MOMENTUM = 0.75


def penalty_descent(problem: Problem, V: Array, merit: Merit, scale: Array, budget: Budget) -> Array:
    """Move points towards lower merit by sign steps with momentum and shrinking length.

    Parameters
    ----------
    problem : Problem
    V : (B, n) array
        With propagated outputs.
    merit : Merit
    scale : (n,) array
        Typical range of each column.
    budget : Budget
        Each step counts as one iteration.

    Returns
    -------
    (B, n) array
        The best point of each descent, with propagated outputs; bounds hold, rows need not, integers are rounded at
        the end.
    """
    decides = ~problem.is_output
    lower, upper = np.where(decides, problem.lower, -np.inf), np.where(decides, problem.upper, np.inf)
    best, best_merit = V, merit.of(problem, V)
    direction = np.zeros_like(V)
    for step in np.geomspace(FIRST_STEP, LAST_STEP, STEPS):
        if budget.is_exhausted():
            break
        gradient = merit.gradient(problem, V) * scale
        length = np.abs(gradient).max(axis=1, keepdims=True)
        direction = MOMENTUM * direction + gradient / np.maximum(length, np.finfo(float).tiny)
        V = problem.propagate(np.clip(V - step * scale * np.sign(direction), lower, upper))
        budget.count(points=len(V))
        values = merit.of(problem, V)
        better = values < best_merit
        best = np.where(better[:, None], V, best)
        best_merit = np.where(better, values, best_merit)
    if problem.integers.any():
        return problem.propagate(np.where(problem.integers, np.round(best), best))
    return best
