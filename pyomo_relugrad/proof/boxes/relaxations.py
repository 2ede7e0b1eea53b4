"""All embedded networks of a problem, relaxed over the boxes of many nodes at once (CROWN)."""

from __future__ import annotations

import numpy as np

from pyomo_relugrad.arrays import Array
from pyomo_relugrad.network.relaxation import LinearFunctions, Relaxation
from pyomo_relugrad.problem import NetworkStage, Problem

# How much of a lower line's error counts when the gap is attributed to inputs: chosen slopes remove about half of it.
LOWER_LINE_SHARE = 0.5


class Relaxations:
    """Relaxations of every network of a problem over N nodes.

    Stage ``s`` has ``k`` embeddings of one network; its relaxation has ``N * k`` boxes, node after node. Outputs that
    other networks read are in the range that interval arithmetic on the last layer gives.

    Parameters
    ----------
    problem : Problem
    lower, upper : (N, n) arrays
    states : (N, S) int8 array
        What is known of the ReLUs, as `states` of larger boxes returned it.
    """

    def __init__(self, problem: Problem, lower: Array, upper: Array, states: Array) -> None:
        self.problem = problem
        self.lower, self.upper = lower, upper
        self.stages: list[Relaxation] = []
        for stage, known in zip(problem.network_stages, split_by_stage(problem, states), strict=True):
            low, high = (stage.gather(side) for side in (lower, upper))
            relaxation = Relaxation(stage.network, low, high, known.reshape(len(low), stage.network.n_relus))
            self.stages.append(relaxation)
            if problem.is_input[stage.outputs].any():
                lower, upper = _with_outputs(stage, relaxation, lower, upper)

    def __len__(self) -> int:
        return len(self.lower)

    def states(self) -> Array:
        """(N, S) int8: what is known of the ReLUs now."""
        parts = [
            relaxation.states().reshape(len(self), len(stage.inputs) * stage.network.n_relus)
            for stage, relaxation in zip(self.problem.network_stages, self.stages, strict=True)
        ]
        return np.concatenate([np.zeros((len(self), 0), np.int8), *parts], axis=1)

    def take(self, nodes: Array) -> Relaxations:
        """The relaxations over some of the nodes, given by index."""
        chosen = object.__new__(Relaxations)
        chosen.problem = self.problem
        chosen.lower, chosen.upper = self.lower[nodes], self.upper[nodes]
        chosen.stages = [
            relaxation.take((nodes[:, None] * len(stage.inputs) + np.arange(len(stage.inputs))).ravel())
            for stage, relaxation in zip(self.problem.network_stages, self.stages, strict=True)
        ]
        return chosen


def _with_outputs(stage: NetworkStage, relaxation: Relaxation, lower: Array, upper: Array) -> tuple[Array, Array]:
    """Boxes (N, n) with a stage's outputs in their ranges; where none of a range is left, no point is feasible."""
    lower, upper = lower.copy(), upper.copy()
    low, high = (side.reshape(-1, *stage.outputs.shape) for side in relaxation.output_range())
    lower[:, stage.outputs] = np.maximum(lower[:, stage.outputs], low)
    upper[:, stage.outputs] = np.maximum(np.minimum(upper[:, stage.outputs], high), lower[:, stage.outputs])
    return lower, upper


def n_states(problem: Problem) -> int:
    """Number of ReLUs, each embedding counted."""
    return sum(len(stage.inputs) * stage.network.n_relus for stage in problem.network_stages)


def split_by_stage(problem: Problem, values: Array) -> list[Array]:
    """Arrays (N, S) over all ReLUs as one (N, k * n_relus) array per stage."""
    ends = np.cumsum([len(stage.inputs) * stage.network.n_relus for stage in problem.network_stages])
    return np.split(values, ends[:-1], axis=1) if len(ends) else []


def gap_by_input(relaxation: Relaxation, functions: LinearFunctions, boxes: Array | None = None) -> Array:
    """How much of the distance between functions and network each input is answerable for: (R, n_inputs).

    A neuron's lines err by the height of its triangle times the neuron's coefficient. The error falls with the width
    of the neuron's range, and an input's part in that width is its own width times the neuron's slope in it.
    """
    total = np.zeros((len(functions.minima), relaxation.network.n_inputs))
    for index, sensitivity in enumerate(relaxation.sensitivities):
        adjoint, lines = functions.adjoints[index], relaxation.lines[index]
        if adjoint is None:
            continue
        low, high, unstable, below = (
            relaxation.boxes.pick(values, boxes)
            for values in (relaxation.lower[index], relaxation.upper[index], lines.unstable, lines.lower_slope)
        )
        with np.errstate(invalid="ignore", divide="ignore"):
            width = high - low
            triangle = adjoint * low * high / width
            line = LOWER_LINE_SHARE * adjoint * np.where(below > 0, -low, high)
            error = np.where(unstable, np.where(adjoint < 0, triangle, line) / width, 0)
        error = np.nan_to_num(error, nan=0.0, posinf=0.0, neginf=0.0)
        total += (relaxation.boxes.pick(sensitivity, boxes) @ error[:, :, None])[:, :, 0]
    return total
