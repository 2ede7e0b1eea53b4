"""A bound by short runs of HiGHS on the mixed-integer formulation."""

from __future__ import annotations

from functools import cached_property

import numpy as np

from pyomo_relugrad.problem import Incumbent, Problem, bound_problem, epigraph_relus
from pyomo_relugrad.problem.presolve import tighten_through_networks
from pyomo_relugrad.programs import BigMModel, LinearStatus, below_tolerance, build_big_m
from pyomo_relugrad.proof.milp import PROOF_OPTIONS
from pyomo_relugrad.search.neighbourhoods.subproblem import is_small

#: Coefficients of rows and networks above which a run of seconds proves too little.
MAX_ENTRIES = 50_000
#: Gap at which a run counts as solved: less than what ends a search.
GAP = 1e-7


class MilpBound:
    """What HiGHS proves of a problem within some seconds, in run after run.

    Parameters
    ----------
    problem : Problem
        As `presolve` leaves it.
    """

    #: A run begins anew: only a longer one proves more.
    first_share, longest_first, growth = 0.1, 2.0, 2.0

    def __init__(self, problem: Problem) -> None:
        self._problem = problem
        #: Whether another run may prove more.
        self.is_open = bool(problem.networks) and problem.is_piecewise_linear and is_small(problem, MAX_ENTRIES)

    def run(self, start: Incumbent, seconds: float) -> tuple[float, Incumbent | None]:
        """A number that no feasible point's objective is below, minus infinite where there is none; and a point.

        Parameters
        ----------
        start : Incumbent
            A feasible point, with which HiGHS begins.
        seconds : float
        """
        model = self._model
        if model is None:
            self.is_open = False
            return -np.inf, None
        program = model.program(relaxed=False, options={**PROOF_OPTIONS, "mip_rel_gap": GAP, "mip_abs_gap": GAP})
        program.start_from_values(model.start(start.values))
        solution = program.solve(seconds)
        self.is_open = solution.status is LinearStatus.LIMIT
        # Beside a point, a verdict of infeasibility says only that tolerances differ.
        if solution.status not in (LinearStatus.LIMIT, LinearStatus.OPTIMAL) or not np.isfinite(solution.bound):
            return -np.inf, None
        bound, values = below_tolerance(solution.bound + self._problem.constant), solution.values
        return bound, None if values is None else self._problem.incumbent(values[: self._problem.n_columns])

    @cached_property
    def _model(self) -> BigMModel | None:
        """The formulation; None where there is none."""
        reduced = tighten_through_networks(self._problem)
        problem = self._problem if reduced is None else reduced.problem
        bounds = bound_problem(problem)
        ends = bounds.lower[problem.is_input], bounds.upper[problem.is_input]
        if not bounds.possible or not np.isfinite(ends).all():
            return None
        return build_big_m(problem, bounds, epigraph_relus(problem, bounds))
