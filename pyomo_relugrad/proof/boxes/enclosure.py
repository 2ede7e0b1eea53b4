"""All embedded networks of a problem, relaxed over the boxes of many nodes at once."""

from __future__ import annotations

import numpy as np

from pyomo_relugrad.arrays import Array
from pyomo_relugrad.network.lower_slopes import SlopedFunctions, optimize_lower_slopes
from pyomo_relugrad.network.relaxation import LinearFunctions, Relaxation
from pyomo_relugrad.problem import Problem

# How much of a lower line's error counts when the gap is attributed to inputs: chosen slopes remove about half of it.
LOWER_LINE_SHARE = 0.5


class Enclosure:
    """Relaxations of every network of a problem without chains, over N nodes.

    Stage ``s`` has ``k`` embeddings of one network; its relaxation has ``N * k`` boxes, node after node.

    Parameters
    ----------
    problem : Problem
        Its networks read no outputs.
    lower, upper : (N, n) arrays
    states : (N, S) int8 array
        What is known of the ReLUs, as `states` of a larger enclosure returned it.
    """

    def __init__(self, problem: Problem, lower: Array, upper: Array, states: Array) -> None:
        self.problem = problem
        self.lower, self.upper = lower, upper
        self.relaxations: list[Relaxation] = []
        for stage, known in zip(problem.stages, split_by_stage(problem, states), strict=True):
            box_lower, box_upper = (stage.gather(side) for side in (lower, upper))
            known = known.reshape(len(box_lower), stage.network.n_relus)
            self.relaxations.append(Relaxation(stage.network, box_lower, box_upper, known))

    @property
    def n_nodes(self) -> int:
        """Number of nodes."""
        return len(self.lower)

    def states(self) -> Array:
        """(N, S) int8: what is known of the ReLUs now."""
        parts = [
            relaxation.states().reshape(self.n_nodes, len(stage.inputs) * stage.network.n_relus)
            for stage, relaxation in zip(self.problem.stages, self.relaxations, strict=True)
        ]
        return np.concatenate([np.zeros((self.n_nodes, 0), np.int8), *parts], axis=1)

    def take(self, nodes: Array) -> Enclosure:
        """The enclosure of some of the nodes, given by index."""
        chosen = object.__new__(Enclosure)
        chosen.problem = self.problem
        chosen.lower, chosen.upper = self.lower[nodes], self.upper[nodes]
        chosen.relaxations = [
            relaxation.take((nodes[:, None] * len(stage.inputs) + np.arange(len(stage.inputs))).ravel())
            for stage, relaxation in zip(self.problem.stages, self.relaxations, strict=True)
        ]
        return chosen

    def functions(
        self, stage: int, weights: Array, *, steps: int, start: Array | None = None, input_costs: Array | None = None
    ) -> SlopedFunctions:
        """Functions below weighted outputs, one per embedding of a stage and node.

        Parameters
        ----------
        stage : int
        weights : (N * k, n_outputs) array
        steps : int
            Steps of the lower slopes' optimization.
        start, input_costs : arrays, optional
            As in `optimize_lower_slopes`.
        """
        relaxation = self.relaxations[stage]
        return optimize_lower_slopes(relaxation, weights, None, steps=steps, start=start, input_costs=input_costs)


def n_states(problem: Problem) -> int:
    """Number of ReLUs, each embedding counted."""
    return sum(len(stage.inputs) * stage.network.n_relus for stage in problem.stages)


def split_by_stage(problem: Problem, values: Array) -> list[Array]:
    """Arrays (N, S) over all ReLUs as one (N, k * n_relus) array per stage."""
    ends = np.cumsum([len(stage.inputs) * stage.network.n_relus for stage in problem.stages])
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
