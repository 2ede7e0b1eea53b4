"""Optimization-based bound tightening: the range of a pre-activation or an output by two linear programs.

The programs are the relaxation of the big-M formulation with all rows of the problem, so they see what CROWN does not:
the rows, and several outputs at once (after Plate et al., 2025, arXiv 2502.03016, and Tjeng et al., Evaluating
robustness of neural networks with mixed integer programming, 2019).
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from pyomo_relugrad.arrays import Array
from pyomo_relugrad.network import PreactivationBounds
from pyomo_relugrad.problem import FEASIBILITY_TOLERANCE, Problem, ProblemBounds
from pyomo_relugrad.programs.big_m import BigMModel, build_big_m
from pyomo_relugrad.programs.certificate import certified


@dataclass(frozen=True, eq=False)
class _Quantity:
    """A pre-activation or an output, as a sum of columns of the relaxation; outputs count as one more layer."""

    stage: int
    member: int
    layer: int
    index: int
    columns: Array
    signs: Array


def tighten_by_programs(problem: Problem, bounds: ProblemBounds, time_limit: float = 10.0) -> ProblemBounds:
    """Tighten the ranges of open ReLUs and of outputs by linear programs, early layers first, as far as the time goes.

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
    ranges, program = _Ranges(problem, bounds), _TighteningProgram(model)
    for quantity in [*_open_neurons(model, bounds), *_outputs(problem, bounds)]:
        sides = []
        for sign in (1.0, -1.0):
            remaining = end - time.perf_counter()
            if remaining <= 0:
                return ranges.bounds()
            minimum = program.minimum(quantity.columns, sign * quantity.signs, remaining)
            if minimum == np.inf:
                return replace(bounds, possible=False)
            sides.append(sign * minimum)
        low, high = ranges.narrow(quantity, sides[0], sides[1])
        program.narrow(quantity.columns, *_column_ranges(quantity, low, high))
    return ranges.bounds()


class _TighteningProgram:
    """The linear relaxation of a big-M formulation, whose columns get narrower."""

    def __init__(self, model: BigMModel) -> None:
        self._model = model
        self._lower, self._upper = model.lower.copy(), model.upper.copy()
        self._program = model.program(relaxed=True)

    def minimum(self, columns: Array, coefficients: Array, time_limit: float) -> float:
        """A lower bound of a sum of columns; infinite where the relaxation is infeasible."""
        cost = np.zeros(self._lower.size)
        cost[columns] = coefficients
        self._program.change_costs(cost)
        model = self._model
        rows = model.rows, model.row_lower, model.row_upper
        solution = certified(self._program.solve(time_limit), cost, self._lower, self._upper, *rows)
        if solution.row_duals is None:
            return solution.bound
        # Points that miss rows of the problem by the tolerance count as feasible.
        slack = FEASIBILITY_TOLERANCE * np.abs(solution.row_duals[: model.problem.n_rows]).sum()
        return float(solution.bound - slack)

    def narrow(self, columns: Array, lower: Array, upper: Array) -> None:
        """New bounds of some columns."""
        self._lower[columns], self._upper[columns] = lower, upper
        self._program.change_bounds(lower, upper, columns)


def _column_ranges(quantity: _Quantity, low: float, high: float) -> tuple[Array, Array]:
    """Bounds of a quantity's columns: of a ReLU's activation and slack, or of an output."""
    if quantity.columns.size == 1:
        return np.array([low]), np.array([high])
    return np.zeros(2), np.array([max(high, 0.0), max(-low, 0.0)])


class _Ranges:
    """Ranges of pre-activations and outputs that are being narrowed."""

    def __init__(self, problem: Problem, bounds: ProblemBounds) -> None:
        self._problem, self._bounds = problem, bounds
        parts = list(zip(problem.relu_stages, bounds.networks, strict=True))
        self._lower = [[*(side.copy() for side in part.lower), bounds.lower[stage.outputs]] for stage, part in parts]
        self._upper = [[*(side.copy() for side in part.upper), bounds.upper[stage.outputs]] for stage, part in parts]

    def narrow(self, quantity: _Quantity, low: float, high: float) -> tuple[float, float]:
        """Intersect one range; the ends of a range that rounding turned around meet."""
        lower: Array = self._lower[quantity.stage][quantity.layer]
        upper: Array = self._upper[quantity.stage][quantity.layer]
        place = quantity.member, quantity.index
        lower[place] = min(max(lower[place], low), upper[place])
        upper[place] = max(min(upper[place], high), lower[place])
        return float(lower[place]), float(upper[place])

    def bounds(self) -> ProblemBounds:
        """The problem's bounds with the ranges as they are now."""
        networks = tuple(
            PreactivationBounds(tuple(lower[:-1]), tuple(upper[:-1]), lower[-1], upper[-1])
            for lower, upper in zip(self._lower, self._upper, strict=True)
        )
        column_lower, column_upper = self._bounds.lower.copy(), self._bounds.upper.copy()
        for stage, part in zip(self._problem.relu_stages, networks, strict=True):
            column_lower[stage.outputs] = np.maximum(column_lower[stage.outputs], part.output_lower)
            column_upper[stage.outputs] = np.minimum(column_upper[stage.outputs], part.output_upper)
        return replace(self._bounds, lower=column_lower, upper=column_upper, networks=networks)


def _open_neurons(model: BigMModel, bounds: ProblemBounds) -> list[_Quantity]:
    """The open ReLUs, early layers first, within a layer those with the largest triangle first."""
    neurons: list[tuple[int, float, _Quantity]] = []
    signs = np.array([1.0, -1.0])
    for stage, member, layers in model.hidden:
        for layer, columns in enumerate(layers):
            low, high = bounds.networks[stage].lower[layer][member], bounds.networks[stage].upper[layer][member]
            for index in np.flatnonzero(columns.binary >= 0).tolist():
                places = np.array([columns.activation[index], columns.slack[index]])
                neuron = _Quantity(stage, member, layer, index, places, signs)
                neurons.append((layer, float(low[index] * high[index]), neuron))
    return [neuron for _, _, neuron in sorted(neurons, key=lambda item: item[:2])]


def _outputs(problem: Problem, bounds: ProblemBounds) -> Iterator[_Quantity]:
    """The outputs of all networks, those that feed others first."""
    for number, stage in enumerate(problem.relu_stages):
        after_last = len(bounds.networks[number].lower)
        for member, columns in enumerate(stage.outputs):
            for index, column in enumerate(columns.tolist()):
                yield _Quantity(number, member, after_last, index, np.array([column]), np.ones(1))
