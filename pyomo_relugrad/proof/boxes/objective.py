"""Linear functions of the inputs below an objective, through all networks at once."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pyomo_relugrad.arrays import Array
from pyomo_relugrad.network.boxes import Boxes
from pyomo_relugrad.network.lower_slopes import STEPS, SlopedFunctions
from pyomo_relugrad.problem import NetworkStage, Problem
from pyomo_relugrad.problem.presolve.rows import cut_boxes
from pyomo_relugrad.proof.boxes.enclosure import Enclosure, gap_by_input, split_by_stage

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
    """Substitutes linear objectives back through the networks of a problem.

    Parameters
    ----------
    problem : Problem
        Without chains.
    """

    def __init__(self, problem: Problem) -> None:
        self.problem = problem
        self._owned = _first_places(problem)

    def __call__(self, enclosure: Enclosure, cost: Array, constant: Array, start: Array) -> ObjectiveFunctions:
        """Functions below ``cost[i] @ v + constant[i]``.

        Parameters
        ----------
        enclosure : Enclosure
            Of the N nodes.
        cost : (N, n) array
        constant : (N,) array
        start : (N, S) array
            Lower slopes to begin with, NaN where there are none.
        """
        problem, n_nodes = self.problem, enclosure.n_nodes
        coefficients = np.where(problem.is_output, 0.0, cost)
        gaps = np.zeros_like(coefficients)
        slopes = [np.zeros((n_nodes, 0), np.float32)]
        for index, (stage, begin) in enumerate(zip(problem.stages, split_by_stage(problem, start), strict=True)):
            sloped, own_costs = self._through_stage(enclosure, index, cost, begin)
            functions, relaxation = sloped.functions, enclosure.relaxations[index]
            constant = constant + functions.constants.reshape(n_nodes, len(stage.inputs)).sum(axis=1)
            stage.scatter(coefficients, functions.coefficients - own_costs)
            stage.scatter(gaps, gap_by_input(relaxation, functions))
            slopes.append(sloped.lower_slopes.reshape(n_nodes, begin.shape[1]).astype(np.float32))
        boxes = Boxes(enclosure.lower, enclosure.upper)
        coefficients = _without_noise(coefficients, enclosure.lower, enclosure.upper)
        return ObjectiveFunctions(
            coefficients,
            boxes.minima(coefficients) + constant,
            boxes.minimizers(coefficients),
            gaps,
            np.concatenate(slopes, axis=1),
        )

    def _through_stage(
        self, enclosure: Enclosure, index: int, cost: Array, start: Array
    ) -> tuple[SlopedFunctions, Array]:
        """Functions of one stage's embeddings, with the input costs that were counted in."""
        stage = self.problem.stages[index]
        weights = stage.gather_outputs(cost)
        own_costs = (cost[:, stage.inputs] * self._owned[index]).reshape(-1, stage.network.n_inputs)
        begin = None if np.isnan(start).any() else start.reshape(len(weights), stage.network.n_relus).astype(np.float64)
        sloped = enclosure.functions(index, weights, steps=STEPS, start=begin, input_costs=own_costs)
        return sloped, own_costs


def _without_noise(coefficients: Array, lower: Array, upper: Array) -> Array:
    unbounded = np.isinf(np.where(coefficients > 0, lower, upper))
    return np.where(unbounded & (np.abs(coefficients) <= DUAL_TOLERANCE), 0.0, coefficients)


def _first_places(problem: Problem) -> list[Array]:
    """Per stage (k, n_inputs) booleans: whether an input is the first place where its column occurs."""
    seen: set[int] = set()
    return [_first_in_stage(stage, seen) for stage in problem.stages]


def _first_in_stage(stage: NetworkStage, seen: set[int]) -> Array:
    mask = np.zeros(stage.inputs.size, bool)
    for place, column in enumerate(stage.inputs.ravel().tolist()):
        mask[place] = column not in seen
        seen.add(column)
    return mask.reshape(stage.inputs.shape)
