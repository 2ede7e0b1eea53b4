"""Linear functions of the inputs below an objective, through all functions at once."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from pyomo_relugrad.arrays import Array, RowBlock, SparseRows
from pyomo_relugrad.network.bounds import Boxes, LinearFunctions, SlopedFunctions, optimize_lower_slopes
from pyomo_relugrad.problem import Problem
from pyomo_relugrad.problem.presolve.row_tightening import cut_boxes
from pyomo_relugrad.proof.boxes.expressions import ExpressionRelaxation
from pyomo_relugrad.proof.boxes.relaxations import Relaxations, StageRelaxation, gap_by_input, split_by_stage

# Steps of the lower slopes' optimization where there are none to begin with, as at the root, and from those of a larger
# box.
FIRST_STEPS, LATER_STEPS = 20, 4
# A coefficient that should be zero, on a column without bounds, is as large as this by the rounding of multipliers.
DUAL_TOLERANCE = 1e-9


@dataclass(frozen=True, eq=False)
class ObjectiveFunctions:
    """For each of N nodes a linear function ``coefficients @ v + constant`` below an objective.

    Parameters
    ----------
    coefficients : (N, n) array
        Zero on the columns that networks write.
    constants : (N,) array
    minima : (N,) array
        The smallest value over the node's box.
    minimizers : (N, n) array
        Where it is taken.
    slopes : (N, S) float32 array
        The ReLUs' lower slopes.
    parts : list of LinearFunctions
        Those of each stage's embeddings that they are put together from.
    """

    coefficients: Array
    constants: Array
    minima: Array
    minimizers: Array
    slopes: Array
    parts: list[LinearFunctions]

    def cut(self, lower: Array, upper: Array, cutoff: float) -> tuple[Array, Array]:
        """The boxes (N, n) without what the functions say is above the cutoff."""
        limit = np.full(len(self.minima), cutoff)
        lower, upper = cut_boxes(self.coefficients, self.minima, limit, lower, upper)
        return lower, np.maximum(lower, upper)

    def row(self, node: int, costs: Array, constant: float) -> RowBlock:
        """A row of a node's linear program: ``costs @ v + constant`` is not below the node's function."""
        values = costs - self.coefficients[node]
        columns = np.flatnonzero(values)
        row = SparseRows(np.array([0, columns.size]), columns, values[columns])
        return RowBlock(row, self.constants[[node]] - constant, np.array([np.inf]))


class ObjectiveBound:
    """Substitutes linear objectives back through the networks of a problem, the last ones first."""

    def __init__(self, problem: Problem) -> None:
        self.problem = problem
        self._is_first = [_first_places(stage.inputs) for stage in problem.stages]

    def __call__(self, relaxations: Relaxations, cost: Array, constant: Array, start: Array) -> ObjectiveFunctions:
        """Functions below ``cost[i] @ v + constant[i]``.

        Parameters
        ----------
        relaxations : Relaxations
            Over the N nodes.
        cost : (N, n) array
        constant : (N,) array
        start : (N, S) array
            Lower slopes to begin with, NaN where there are none.
        """
        problem = self.problem
        coefficients = cost.copy()
        slopes = split_by_stage(problem, start)
        parts: list[LinearFunctions] = []
        nowhere = np.zeros(len(cost), bool)
        steps = FIRST_STEPS if np.isnan(start).any() else LATER_STEPS
        for index, stage in reversed(list(enumerate(problem.stages))):
            relaxation = relaxations.stages[index]
            known = slopes[index].reshape(relaxation.n_boxes, stage.n_neurons).astype(np.float64)
            own = np.where(self._is_first[index], coefficients[:, stage.inputs], 0.0)
            sloped = _substituted(
                relaxation, stage.gather_outputs(coefficients), known, own.reshape(known.shape[0], -1), steps
            )
            coefficients[:, stage.outputs] = 0.0
            coefficients[:, stage.inputs] = 0.0
            stage.scatter(coefficients, sloped.functions.coefficients)
            own_constants = sloped.functions.constants.reshape(len(cost), -1)
            nowhere |= np.isposinf(own_constants).any(axis=1)
            with np.errstate(invalid="ignore"):
                constant = constant + own_constants.sum(axis=1)
            slopes[index] = sloped.lower_slopes.reshape(slopes[index].shape).astype(np.float32)
            parts.append(sloped.functions)
        boxes = Boxes(relaxations.lower, relaxations.upper)
        coefficients = _without_noise(coefficients, relaxations.lower, relaxations.upper)
        # Nothing is known of nodes whose function is not one of numbers, unless there is no point in them.
        unknown = np.isnan(constant) | ~np.isfinite(coefficients).all(axis=1)
        coefficients[unknown] = 0.0
        constant = np.where(nowhere, np.inf, np.where(unknown, -np.inf, constant))
        minima = boxes.minima(coefficients)
        return ObjectiveFunctions(
            coefficients,
            constant,
            np.where(np.isposinf(constant), np.inf, minima + np.where(np.isposinf(constant), 0.0, constant)),
            boxes.minimizers(coefficients),
            np.concatenate([start[:, :0], *slopes], axis=1),
            parts[::-1],
        )

    def gaps(self, relaxations: Relaxations, functions: ObjectiveFunctions) -> Array:
        """Per unit of each column's width, its part in the linear functions' distance from what they bound: (N, n)."""
        total = np.zeros_like(functions.coefficients)
        for stage, relaxation, part in zip(self.problem.stages, relaxations.stages, functions.parts, strict=True):
            stage.scatter(total, gap_by_input(relaxation, part))
        return total


def _substituted(
    relaxation: StageRelaxation, weights: Array, known: Array, input_costs: Array, steps: int
) -> SlopedFunctions:
    """Functions below ``weights[i] @ y + input_costs[i] @ x`` over box ``i``, and the lower slopes of ReLUs."""
    if isinstance(relaxation, ExpressionRelaxation):
        functions = relaxation.substitute(weights, None, keep_adjoints=True)
        return SlopedFunctions(replace(functions, coefficients=functions.coefficients + input_costs), known)
    start = None if np.isnan(known).any() else known
    return optimize_lower_slopes(relaxation, weights, None, steps=steps, start=start, input_costs=input_costs)


def _without_noise(coefficients: Array, lower: Array, upper: Array) -> Array:
    unbounded = np.isinf(np.where(coefficients > 0, lower, upper))
    return np.where(unbounded & (np.abs(coefficients) <= DUAL_TOLERANCE), 0.0, coefficients)


def _first_places(inputs: Array) -> Array:
    """(k, n_inputs) booleans: whether an input is the first place of a stage where its column occurs."""
    first = np.zeros(inputs.size, bool)
    first[np.unique(inputs, return_index=True)[1]] = True
    return first.reshape(inputs.shape)
