"""Linear functions of the inputs below an objective, through all networks at once."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pyomo_relugrad.arrays import Array
from pyomo_relugrad.network.boxes import Boxes
from pyomo_relugrad.network.lower_slopes import STEPS, optimize_lower_slopes
from pyomo_relugrad.problem import Problem
from pyomo_relugrad.problem.presolve.row_tightening import cut_boxes
from pyomo_relugrad.proof.boxes.relaxations import Relaxations, gap_by_input, split_by_stage

# Steps of the lower slopes' optimization where there are none to begin with, as at the root.
FIRST_STEPS = 20
# A coefficient that should be zero, on a column without bounds, is as large as this by the tolerances of HiGHS.
DUAL_TOLERANCE = 1e-6


@dataclass(frozen=True, eq=False)
class ObjectiveFunctions:
    """For each of N nodes a linear function ``coefficients @ v + constant`` below an objective.

    Parameters
    ----------
    coefficients : (N, n) array
        Zero on the columns that networks write.
    minima : (N,) array
        The smallest value over the node's box.
    minimizers : (N, n) array
        Where it is taken.
    gaps : (N, n) array
        Per unit of each column's width, its part in the function's distance from the networks.
    slopes : (N, S) float32 array
        The ReLUs' lower slopes.
    """

    coefficients: Array
    minima: Array
    minimizers: Array
    gaps: Array
    slopes: Array

    def cut(self, lower: Array, upper: Array, cutoff: float) -> tuple[Array, Array]:
        """The boxes (N, n) without what the functions say is above the cutoff."""
        limit = np.full(len(self.minima), cutoff)
        lower, upper = cut_boxes(self.coefficients, self.minima, limit, lower, upper)
        return lower, np.maximum(lower, upper)


class ObjectiveBound:
    """Substitutes linear objectives back through the networks of a problem, the last ones first.

    Parameters
    ----------
    problem : Problem
    """

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
        coefficients, gaps = cost.copy(), np.zeros_like(cost)
        slopes = split_by_stage(problem, start)
        steps = FIRST_STEPS if np.isnan(start).any() else STEPS
        for index, stage in reversed(list(enumerate(problem.stages))):
            relaxation = relaxations.stages[index]
            known = slopes[index].reshape(relaxation.n_boxes, stage.network.n_relus).astype(np.float64)
            own = np.where(self._is_first[index], coefficients[:, stage.inputs], 0.0)
            sloped = optimize_lower_slopes(
                relaxation,
                stage.gather_outputs(coefficients),
                None,
                steps=steps,
                start=None if np.isnan(known).any() else known,
                input_costs=own.reshape(-1, stage.network.n_inputs),
            )
            coefficients[:, stage.outputs] = 0.0
            coefficients[:, stage.inputs] = 0.0
            stage.scatter(coefficients, sloped.functions.coefficients)
            stage.scatter(gaps, gap_by_input(relaxation, sloped.functions))
            constant = constant + sloped.functions.constants.reshape(len(cost), -1).sum(axis=1)
            slopes[index] = sloped.lower_slopes.reshape(slopes[index].shape).astype(np.float32)
        boxes = Boxes(relaxations.lower, relaxations.upper)
        coefficients = _without_noise(coefficients, relaxations.lower, relaxations.upper)
        return ObjectiveFunctions(
            coefficients,
            boxes.minima(coefficients) + constant,
            boxes.minimizers(coefficients),
            gaps,
            np.concatenate([start[:, :0], *slopes], axis=1),
        )


def _without_noise(coefficients: Array, lower: Array, upper: Array) -> Array:
    unbounded = np.isinf(np.where(coefficients > 0, lower, upper))
    return np.where(unbounded & (np.abs(coefficients) <= DUAL_TOLERANCE), 0.0, coefficients)


def _first_places(inputs: Array) -> Array:
    """(k, n_inputs) booleans: whether an input is the first place of a stage where its column occurs."""
    first = np.zeros(inputs.size, bool)
    first[np.unique(inputs, return_index=True)[1]] = True
    return first.reshape(inputs.shape)
