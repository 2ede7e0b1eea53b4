"""The two ways to a proof, and which of them goes first for a given problem."""

from __future__ import annotations

import numpy as np

from pyomo_relugrad.problem import Problem
from pyomo_relugrad.run.result import Route

# Inputs that vary, up to which branch and bound over them goes first.
FEW_INPUTS = 30
# ReLUs up to which the MILP joins branch and bound early.
FEW_RELUS = 64
# Seconds that the first route has for itself.
SHORT_LEAD, LONG_LEAD = 0.5, 5.0


def choose_routes(problem: Problem) -> tuple[Route, ...]:
    """The routes that can prove a presolved problem, the more promising one first.

    - Without networks the problem is a MILP already, or a few of them where the objective is quadratic.
    - Inputs without finite bounds are for branch and bound alone, since big-M needs them.
    - Branch and bound goes first where at most `FEW_INPUTS` inputs of networks vary: it works in their space however
      many neurons there are. With more inputs the MILP goes first.
    """
    if not problem.networks:
        return (Route.MILP,)
    inputs = problem.is_network_input & ~problem.is_output
    low, high = problem.lower[inputs], problem.upper[inputs]
    if not (np.isfinite(low).all() and np.isfinite(high).all()):
        return (Route.BRANCH,)
    n_varying = int((low < high).sum())
    return (Route.BRANCH, Route.MILP) if n_varying <= FEW_INPUTS else (Route.MILP, Route.BRANCH)


def lead_seconds(problem: Problem, first: Route) -> float:
    """How long the first route runs before the second joins it.

    Branch and bound soon joins the MILP, which works in a thread of its own. The MILP soon joins branch and bound where
    ReLUs are few: it is built in no time, and often proves within seconds what branch and bound does not, as where rows
    on outputs bind. With many ReLUs it mostly takes time from the other.
    """
    n_relus = sum(embedded.network.n_relus for embedded in problem.networks)
    return SHORT_LEAD if first is Route.MILP or n_relus <= FEW_RELUS else LONG_LEAD
