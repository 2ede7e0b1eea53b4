"""Optimisation-based bound tightening: the range of a pre-activation by two linear programs.

The programs are the relaxation of the big-M formulation with all rows of the problem, so they see what CROWN does not:
the rows, and several outputs at once (after Plate et al., 2025, arXiv 2502.03016, and Tjeng et al., Evaluating
robustness of neural networks with mixed integer programming, 2019).
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace

import numpy as np

from pyomo_relugrad.arrays import Array
from pyomo_relugrad.milp.big_m import BigMModel, build_big_m
from pyomo_relugrad.milp.column_bounds import ProblemBounds
from pyomo_relugrad.network import PreactivationBounds
from pyomo_relugrad.problem import Problem
from pyomo_relugrad.search.linear_program import LinearProgram, LinearStatus

# What HiGHS's tolerances may be wrong by, relative to the size of an optimum.
SAFETY = 1e-6


@dataclass(frozen=True)
class _Neuron:
    """An open ReLU and its columns in the relaxation."""

    stage: int
    member: int
    layer: int
    index: int
    activation: int
    slack: int


def tighten_by_programs(problem: Problem, bounds: ProblemBounds, time_limit: float = 10.0) -> ProblemBounds:
    """Tighten the open ReLUs' ranges by linear programs, early layers first, as far as the time goes.

    One HiGHS model serves all programs; what one proves tightens the next.

    Parameters
    ----------
    problem : Problem
    bounds : ProblemBounds
        Finite and possible, as of `bound_problem`.
    time_limit : float, optional
        Seconds.

    Returns
    -------
    ProblemBounds
        Nowhere looser than the given ones; not possible where a program is infeasible.
    """
    end = time.perf_counter() + time_limit
    model = build_big_m(problem, bounds)
    ranges = _Ranges(bounds)
    program = LinearProgram(
        np.zeros(model.cost.size), model.lower, model.upper, model.rows, model.row_lower, model.row_upper
    )
    for neuron in _open_neurons(model, bounds):
        sides = []
        for sign in (1.0, -1.0):
            remaining = end - time.perf_counter()
            if remaining <= 0:
                return ranges.bounds()
            cost = np.zeros(model.cost.size)
            cost[[neuron.activation, neuron.slack]] = sign, -sign
            program.change_costs(cost)
            solution = program.solve(remaining)
            if solution.status is LinearStatus.INFEASIBLE:
                return replace(bounds, possible=False)
            value = solution.objective - SAFETY * (1 + abs(solution.objective)) if solution.is_optimal else -np.inf
            sides.append(sign * value)
        low, high = ranges.narrow(neuron, sides[0], sides[1])
        columns = np.array([neuron.activation, neuron.slack])
        program.change_bounds(np.zeros(2), np.array([max(high, 0.0), max(-low, 0.0)]), columns)
    return ranges.bounds()


class _Ranges:
    """Ranges of the ReLUs that are being narrowed."""

    def __init__(self, bounds: ProblemBounds) -> None:
        self._bounds = bounds
        self._lower = [[layer.copy() for layer in network.lower] for network in bounds.networks]
        self._upper = [[layer.copy() for layer in network.upper] for network in bounds.networks]

    def narrow(self, neuron: _Neuron, low: float, high: float) -> tuple[float, float]:
        """Intersect one range; the ends of a range that rounding turned around meet."""
        lower: Array = self._lower[neuron.stage][neuron.layer]
        upper: Array = self._upper[neuron.stage][neuron.layer]
        place = neuron.member, neuron.index
        lower[place] = min(max(lower[place], low), upper[place])
        upper[place] = max(min(upper[place], high), lower[place])
        return float(lower[place]), float(upper[place])

    def bounds(self) -> ProblemBounds:
        """The problem's bounds with the ranges as they are now."""
        networks = tuple(
            PreactivationBounds(tuple(lower), tuple(upper), old.output_lower, old.output_upper)
            for old, lower, upper in zip(self._bounds.networks, self._lower, self._upper, strict=True)
        )
        return replace(self._bounds, networks=networks)


def _open_neurons(model: BigMModel, bounds: ProblemBounds) -> list[_Neuron]:
    """The open ReLUs, early layers first, within a layer those with the largest triangle first."""
    neurons: list[tuple[int, float, _Neuron]] = []
    for stage, member, layers in model.hidden:
        for layer, columns in enumerate(layers):
            low, high = bounds.networks[stage].lower[layer][member], bounds.networks[stage].upper[layer][member]
            for index in np.flatnonzero(columns.binary >= 0).tolist():
                neuron = _Neuron(stage, member, layer, index, int(columns.activation[index]), int(columns.slack[index]))
                neurons.append((layer, float(low[index] * high[index]), neuron))
    return [neuron for _, _, neuron in sorted(neurons, key=lambda item: item[:2])]
