"""Bounds of one network's ReLUs over a box of its inputs, by any of the methods that mixed-integer models know."""

from __future__ import annotations

import numpy as np

from pyomo_relugrad.arrays import ArrayLike
from pyomo_relugrad.checks import check_known
from pyomo_relugrad.network import Network, PreactivationBounds, input_box
from pyomo_relugrad.problem import BOUND_METHODS, BOUNDS, EmbeddedNetwork, Problem, bound_problem
from pyomo_relugrad.programs.obbt import tighten_by_programs
from pyomo_relugrad.programs.threads import solver_threads


@solver_threads()
def network_bounds(
    network: Network, lower: ArrayLike, upper: ArrayLike, method: str = "interval", time_limit: float = 10.0
) -> PreactivationBounds:
    """Bounds of what enters each ReLU, and of the outputs, over one box.

    Parameters
    ----------
    network : Network
    lower, upper : float or (n_inputs,) array
        The box; infinite where an input has no bound.
    method : {"interval", "crown", "lp"}, optional
        Each is nowhere looser than the one before. ``"lp"`` tightens the bounds of CROWN by linear programs; where a
        pre-activation has none, the bounds of CROWN are returned.
    time_limit : float, optional
        Seconds for the linear programs.

    Returns
    -------
    PreactivationBounds
        Of one box.

    Raises
    ------
    ModelError
        If the method is unknown.
    NetworkValueError
        If the box is empty or has another size than the input.

    Examples
    --------
    >>> network = Network.from_layers([[[1.0], [-1.0]], [[1.0, 1.0]], [[1.0]]], [[0.0, 0.0], [-0.5], [0.0]])
    >>> for method in ("interval", "crown", "lp"):
    ...     bounds = network_bounds(network, np.array([-1.0]), np.array([1.0]), method)
    ...     print(method, bounds.upper[1].round(4))
    interval [[1.5]]
    crown [[0.5]]
    lp [[0.5]]
    """
    check_known(method, "bounds", BOUND_METHODS)
    low, high = input_box(network, lower, upper)
    bounds = BOUNDS[method](network, low[None], high[None])
    if method != "lp" or not all(np.isfinite(side).all() for side in (*bounds.lower, *bounds.upper)):
        return bounds
    free = np.full(network.n_outputs, np.inf)
    columns = np.arange(network.n_inputs + network.n_outputs)
    embedded = EmbeddedNetwork(network, columns[: network.n_inputs], columns[network.n_inputs :])
    problem = Problem(
        np.zeros(columns.size), np.concatenate([low, -free]), np.concatenate([high, free]), networks=(embedded,)
    )
    tightened = tighten_by_programs(problem, bound_problem(problem, method), time_limit)
    return tightened.networks[0].intersect(bounds)
