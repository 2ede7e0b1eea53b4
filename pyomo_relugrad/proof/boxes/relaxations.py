"""All functions of a problem, relaxed over the boxes of many nodes at once: networks by CROWN, and expressions."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np

from pyomo_relugrad.arrays import Array
from pyomo_relugrad.network import Device
from pyomo_relugrad.network.bounds import LinearFunctions, Relaxation
from pyomo_relugrad.problem import ExpressionStage, NetworkStage, Problem, Stage
from pyomo_relugrad.proof.boxes.expressions import ExpressionRelaxation

#: The relaxation of a stage's function, over the boxes of all its embeddings.
StageRelaxation: TypeAlias = Relaxation | ExpressionRelaxation


class Relaxations:
    """Relaxations of every function of a problem over N nodes.

    Stage ``s`` has ``k`` embeddings of one function; its relaxation has ``N * k`` boxes, node after node. Outputs that
    other functions read are in the range that the relaxation gives.

    Parameters
    ----------
    problem : Problem
    lower, upper : (N, n) arrays
    states : (N, S) int8 array
        What is known of the ReLUs, as `states` of larger boxes returned it.
    device : Device, optional
        Where networks are bounded.
    """

    def __init__(
        self, problem: Problem, lower: Array, upper: Array, states: Array, device: Device | None = None
    ) -> None:
        self.problem = problem
        self.lower, self.upper = lower, upper
        self.stages: list[StageRelaxation] = []
        for stage, known in zip(problem.stages, split_by_stage(problem, states), strict=True):
            relaxation = _relaxed(stage, stage.gather(lower), stage.gather(upper), known, device)
            self.stages.append(relaxation)
            if problem.is_input[stage.outputs].any():
                lower, upper = _with_outputs(stage, relaxation, lower, upper)

    def __len__(self) -> int:
        return len(self.lower)

    def states(self) -> Array:
        """(N, S) int8: what is known of the ReLUs now."""
        parts = [
            relaxation.states().reshape(len(self), len(stage.inputs) * stage.n_neurons)
            for stage, relaxation in zip(self.problem.stages, self.stages, strict=True)
        ]
        return np.concatenate([np.zeros((len(self), 0), np.int8), *parts], axis=1)

    def take(self, nodes: Array) -> Relaxations:
        """The relaxations over some of the nodes, given by index."""
        chosen = object.__new__(Relaxations)
        chosen.problem = self.problem
        chosen.lower, chosen.upper = self.lower[nodes], self.upper[nodes]
        chosen.stages = [
            relaxation.take((nodes[:, None] * len(stage.inputs) + np.arange(len(stage.inputs))).ravel())
            for stage, relaxation in zip(self.problem.stages, self.stages, strict=True)
        ]
        return chosen


def _relaxed(stage: Stage, lower: Array, upper: Array, known: Array, device: Device | None) -> StageRelaxation:
    """The relaxation of a stage's function over boxes (N * k, n_inputs), with what is known of ReLUs."""
    if isinstance(stage, ExpressionStage):
        return ExpressionRelaxation(stage.expression, lower, upper)
    assert isinstance(stage, NetworkStage)
    return Relaxation(stage.network, lower, upper, known.reshape(len(lower), stage.n_neurons), device)


def _with_outputs(stage: Stage, relaxation: StageRelaxation, lower: Array, upper: Array) -> tuple[Array, Array]:
    """Boxes (N, n) with a stage's outputs in their ranges; where none of a range is left, no point is feasible."""
    lower, upper = lower.copy(), upper.copy()
    low, high = (side.reshape(-1, *stage.outputs.shape) for side in output_range(relaxation))
    lower[:, stage.outputs] = np.maximum(lower[:, stage.outputs], low)
    upper[:, stage.outputs] = np.maximum(np.minimum(upper[:, stage.outputs], high), lower[:, stage.outputs])
    return lower, upper


def output_range(relaxation: StageRelaxation) -> tuple[Array, Array]:
    """Bounds (B, n_outputs) of a function's outputs over the boxes, by intervals and by the relaxation's lines."""
    low, high = relaxation.output_range()
    n_outputs = low.shape[1]
    weights, boxes = np.tile(np.eye(n_outputs), (relaxation.n_boxes, 1)), np.repeat(np.arange(len(low)), n_outputs)
    below, above = (relaxation.substitute(sign * weights, boxes).minima.reshape(low.shape) for sign in (1, -1))
    return np.maximum(low, below), np.minimum(high, -above)


def n_states(problem: Problem) -> int:
    """Number of neurons, each embedding counted."""
    return sum(len(stage.inputs) * stage.n_neurons for stage in problem.stages)


def split_by_stage(problem: Problem, values: Array) -> list[Array]:
    """Arrays (N, S) over all neurons as one (N, k * n_neurons) array per stage."""
    ends = np.cumsum([len(stage.inputs) * stage.n_neurons for stage in problem.stages])
    return np.split(values, ends[:-1], axis=1) if len(ends) else []


def gap_by_input(relaxation: StageRelaxation, functions: LinearFunctions, boxes: Array | None = None) -> Array:
    """How much of the distance between linear functions and function each input is answerable for: (R, n_inputs).

    A neuron's lines err by their distance from it times the neuron's coefficient. The error falls with the width of the
    neuron's range, and an input's part in that width is its own width times the neuron's slope in it.
    """
    if isinstance(relaxation, ExpressionRelaxation):
        return relaxation.gap_by_input(functions, boxes)
    total = np.zeros((len(functions.minima), relaxation.network.n_inputs))
    for index, sensitivity in enumerate(relaxation.sensitivities):
        adjoint, lines = functions.adjoints[index], relaxation.lines[index]
        if adjoint is None:
            continue
        low, high = relaxation.lower[index], relaxation.upper[index]
        with np.errstate(invalid="ignore", divide="ignore"):
            errors = relaxation.network.layers[index].activation.line_errors(low, high, lines)
            below, above = (relaxation.boxes.pick(part / (high - low), boxes) for part in errors)
            error = np.where(adjoint < 0, -adjoint * above, adjoint * below)
        error = np.nan_to_num(error, nan=0.0, posinf=0.0, neginf=0.0)
        total += (relaxation.boxes.pick(sensitivity, boxes) @ error[:, :, None])[:, :, 0]
    return total
