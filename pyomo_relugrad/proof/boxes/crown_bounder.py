"""Bounds of nodes of a box problem: CROWN through the objective, no linear program."""

from __future__ import annotations

import numpy as np

from pyomo_relugrad.arrays import Array
from pyomo_relugrad.network import Device
from pyomo_relugrad.problem import Problem
from pyomo_relugrad.programs import tangents
from pyomo_relugrad.proof.boxes.bounding import WIDE_WORK, BoundedNodes, batch_size, centres
from pyomo_relugrad.proof.boxes.branching import split_scores
from pyomo_relugrad.proof.boxes.nodes import Nodes
from pyomo_relugrad.proof.boxes.objective import ObjectiveBound, ObjectiveFunctions
from pyomo_relugrad.proof.boxes.relaxations import Relaxations, n_states

MAX_BATCH, MAX_WIDE = 256, 32


class CrownBounder:
    """Bounds a problem whose only constraints are bounds on columns that no network writes.

    The objective is substituted back through every network; what is left is one linear function of the columns per
    node. A convex quadratic objective is replaced by its tangent at the box's centre.

    Parameters
    ----------
    problem : Problem
        Of shape BOX, without columns that link networks.
    device : str, optional
        The device where networks are bounded; None for the processor.
    """

    def __init__(self, problem: Problem, device: str | None = None) -> None:
        self.problem = problem
        self.batch = batch_size(problem, MAX_BATCH)
        self.wide = batch_size(problem, MAX_WIDE, WIDE_WORK)
        self._objective = ObjectiveBound(problem)
        self._device = None if device is None else Device.named(device)

    def root(self) -> Nodes:
        """The whole box."""
        return Nodes.whole(self.problem.lower, self.problem.upper, n_states(self.problem), np.zeros(0))

    def __call__(self, nodes: Nodes, cutoff: float) -> BoundedNodes:
        """Bound the nodes, cut off what cannot be better than the cutoff, and score the columns."""
        relaxations, functions = self._relax(nodes)
        lower, upper = functions.cut(nodes.lower, nodes.upper, cutoff)
        bound = np.fmax(functions.minima, nodes.bound)
        bounded = Nodes(lower, upper, bound, relaxations.states(), functions.slopes, nodes.costs, nodes.constant)
        # Splits along the slope help too: half a box is then cut off by the incumbent.
        gaps = self._objective.gaps(relaxations, functions) + np.abs(functions.coefficients)
        scores = split_scores(self.problem, gaps, lower, upper)
        candidates = np.concatenate([functions.minimizers, centres(nodes.lower, nodes.upper)])
        return BoundedNodes(bounded, functions.minimizers, scores, candidates)

    def lower_bound(self) -> float:
        """Of the whole box."""
        return float(self._relax(self.root())[1].minima[0])

    def _relax(self, nodes: Nodes) -> tuple[Relaxations, ObjectiveFunctions]:
        """The networks' relaxations, and functions below the objective."""
        relaxations = Relaxations(self.problem, nodes.lower, nodes.upper, nodes.states, self._device)
        return relaxations, self._objective(relaxations, *self._linear_objective(nodes), nodes.slopes)

    def _linear_objective(self, nodes: Nodes) -> tuple[Array, Array]:
        """Costs (N, n) and constants (N,) of a linear function below the objective."""
        problem = self.problem
        cost, constant = np.tile(problem.cost, (len(nodes), 1)), np.full(len(nodes), problem.constant)
        if problem.quadratic is None:
            return cost, constant
        points = problem.propagate(centres(nodes.lower, nodes.upper))
        # There is a tangent at every point; functions need not be defined at a centre, nor finite.
        slopes, constants = tangents(problem.quadratic, np.where(np.isfinite(points), points, 0.0))
        return cost + slopes, constant + constants
