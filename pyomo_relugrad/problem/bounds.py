"""Bounds of all columns and of all ReLUs of a problem, for a mixed-integer model."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from pyomo_relugrad.arrays import Array
from pyomo_relugrad.checks import check_known
from pyomo_relugrad.deadline import checkpoint
from pyomo_relugrad.network import Network, PreactivationBounds, crown_bounds, interval_bounds
from pyomo_relugrad.problem.presolve.row_tightening import RowTightening
from pyomo_relugrad.problem.problem import Problem

#: The function behind each kind of bounds of pre-activations; "lp" tightens those of CROWN by `tighten_by_programs`.
BOUNDS: dict[str, Callable[[Network, Array, Array], PreactivationBounds]] = {
    "interval": interval_bounds,
    "crown": crown_bounds,
    "lp": crown_bounds,
}

#: The names of the kinds of bounds.
BOUND_METHODS = tuple(BOUNDS)

# Embeddings of one network that are bounded at once.
EMBEDDINGS_AT_ONCE = 64


@dataclass(frozen=True, eq=False)
class ProblemBounds:
    """Bounds of the columns, and of each stage's ReLUs over the boxes of its k embeddings.

    Parameters
    ----------
    lower, upper : (n,) arrays
    networks : tuple of PreactivationBounds
        One per stage of the problem.
    possible : bool
        False where the bounds show that there is no feasible point.
    """

    lower: Array
    upper: Array
    networks: tuple[PreactivationBounds, ...]
    possible: bool


def bound_problem(problem: Problem, method: str = "crown") -> ProblemBounds:
    """Tighten the columns by the rows, bound the networks over the columns, and tighten again.

    Parameters
    ----------
    problem : Problem
    method : {"crown", "interval"}, optional
        ``"lp"`` gives those of CROWN, to be tightened by linear programs.

    Returns
    -------
    ProblemBounds
        Of all columns and pre-activations; `possible` is False where rows and bounds leave no point.

    Raises
    ------
    ModelError
        If the method is unknown.
    """
    check_known(method, "bounds", BOUND_METHODS)
    tighten = RowTightening(problem)
    lower, upper, possible = tighten(problem.lower[None], problem.upper[None])
    networks = []
    for stage in problem.network_stages:
        checkpoint()
        bounds = _bound_stage(stage.network, lower[0, stage.inputs], upper[0, stage.inputs], method)
        networks.append(bounds)
        lower[0, stage.outputs] = np.maximum(lower[0, stage.outputs], bounds.output_lower)
        upper[0, stage.outputs] = np.minimum(upper[0, stage.outputs], bounds.output_upper)
        lower, upper, still = tighten(lower, upper)
        possible = possible & still
    return ProblemBounds(lower[0], upper[0], tuple(networks), bool(possible[0]))


def _bound_stage(network: Network, lower: Array, upper: Array, method: str) -> PreactivationBounds:
    bound = BOUNDS[method]
    parts = [
        bound(network, lower[begin : begin + EMBEDDINGS_AT_ONCE], upper[begin : begin + EMBEDDINGS_AT_ONCE])
        for begin in range(0, len(lower), EMBEDDINGS_AT_ONCE)
    ]
    return PreactivationBounds(
        tuple(np.concatenate(layer) for layer in zip(*(part.lower for part in parts), strict=True)),
        tuple(np.concatenate(layer) for layer in zip(*(part.upper for part in parts), strict=True)),
        np.concatenate([part.output_lower for part in parts]),
        np.concatenate([part.output_upper for part in parts]),
        activations=network.hidden_activations,
    )
