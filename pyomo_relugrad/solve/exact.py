"""The exact solve: the driver with a team of searches and proofs."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from pyomo_relugrad.arrays import Array
from pyomo_relugrad.problem import Problem
from pyomo_relugrad.programs import solver_threads
from pyomo_relugrad.run import Callback, Clock, Driver, Options, Past, SearchResult
from pyomo_relugrad.solve.elsewhere.islands import beside_others
from pyomo_relugrad.solve.portfolio import Portfolio
from pyomo_relugrad.solve.presolved import run_presolved
from pyomo_relugrad.solve.team import Team


@solver_threads()
def solve_exactly(
    problem: Problem,
    options: Options | None = None,
    *,
    time_limit: float | None = None,
    seed: int | None = None,
    start: Array | None = None,
    callback: Callback | None = None,
    portfolio: Portfolio | None = None,
    target: float = -np.inf,
    past: Past | None = None,
) -> SearchResult:
    """Search for the optimum of a problem and prove it.

    A local search of a fraction of a second comes first. Then a proof runs, by branch and bound in the space of the
    networks' inputs or by the MILP as the portfolio says, and after some seconds the other one joins. Local searches
    with new seeds take a share of the time while the gap is open, and run on the other cores. All of them share the
    incumbent and the bound.

    Parameters
    ----------
    problem : Problem
    options : Options, optional
    time_limit : float, optional
        Seconds; in place of that of the options.
    seed : int, optional
        Of the first local search; in place of that of the options.
    start : (n,) array, optional
        A warm start, NaN where a column has no value.
    callback : callable, optional
        Called with a `Progress`; the solve ends when it returns True.
    portfolio : Portfolio, optional
        Which proofs run, and how they and the searches share the time.
    target : float, optional
        The solve ends where it has a feasible point whose objective is not above this.
    past : Past, optional
        What earlier solves of the same model have left; without it nothing is known.

    Returns
    -------
    SearchResult
        Ctrl-C ends the solve and returns incumbent and bound.

    Raises
    ------
    ModelError
        If an option is unknown or does not suit the problem.

    Examples
    --------
    >>> import numpy as np
    >>> from pyomo_relugrad.network import Network
    >>> from pyomo_relugrad.problem import EmbeddedNetwork
    >>> network = Network.from_layers([[[1.0], [-1.0]], [[1.0, 0.5]]], [[-0.5, 0.2], [0.0]])
    >>> problem = Problem(
    ...     cost=np.array([0.0, -1.0]), lower=np.array([0.0, -np.inf]), upper=np.array([1.0, np.inf]),
    ...     networks=(EmbeddedNetwork(network, [0], [1]),), maximize=True)
    >>> result = solve_exactly(problem)
    >>> result.stop.value, round(problem.reported(result.incumbent.objective), 4)
    ('optimal', 0.5)
    """
    asked = options or Options()
    asked = asked if time_limit is None else replace(asked, time_limit=time_limit)
    asked = asked if seed is None else replace(asked, seed=seed)
    chosen, clock = portfolio or Portfolio(), Clock(asked.time_limit)

    def run(problem: Problem, start: Array | None, callback: Callback | None) -> SearchResult:
        team = Team(problem, asked, chosen, clock, start)
        worker = beside_others(team, problem, asked, clock)
        return replace(Driver(problem, asked, clock, callback, target=target).run(worker), routes=team.routes)

    return run_presolved(problem, start, callback, run, clock)
