"""Bounding: what it gives for a batch of nodes, whichever way they are bounded."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from scipy import sparse

from pyomo_relugrad.arrays import Array, Weight
from pyomo_relugrad.network.bounds import STEPS
from pyomo_relugrad.problem import NetworkStage, Problem, Shape
from pyomo_relugrad.proof.boxes.nodes import Nodes
from pyomo_relugrad.proof.boxes.objective import FIRST_STEPS

# Work in one batch, in multiplications for the neurons' bounds: about a tenth of a second. And the work up to which a
# batch takes less than twice as long as a single node, since most of the time goes into Python's calls.
BATCH_WORK, WIDE_WORK = 1e9, 5e7
# Multiplications per second of a relaxation, with dense and with sparse weights (measured on one core, less a half).
DENSE_RATE, SPARSE_RATE = 5e9, 1e9
# How much faster a large device bounds pre-activations than a core.
DEVICE_SPEED = 100.0
# Seconds that bounding the shortest stage takes, its part of the linear program included.
MIN_SECONDS = 0.02


@dataclass(frozen=True, eq=False)
class BoundedNodes:
    """Nodes with new bounds, and what is needed to split them.

    Parameters
    ----------
    nodes : Nodes
        With tightened boxes; nodes without a feasible point better than the cutoff may be left out.
    points : (N, n) array
        A point of each node's relaxation.
    scores : (N, n) array
        How promising a split of each column is; not positive where it must not be split.
    candidates : (M, n) array
        Points that may be feasible, outputs not yet propagated.
    """

    nodes: Nodes
    points: Array
    scores: Array
    candidates: Array

    def take(self, which: Array) -> BoundedNodes:
        """Some of the nodes, and all candidates."""
        return BoundedNodes(self.nodes.take(which), self.points[which], self.scores[which], self.candidates)


class Bounder(Protocol):
    """Bounds batches of nodes of one problem."""

    problem: Problem

    @property
    def batch(self) -> int:
        """How many nodes to bound at once."""

    @property
    def wide(self) -> int:
        """How many nodes take hardly longer than one; 0 where each takes its time."""

    def root(self) -> Nodes:
        """The whole problem as one node."""

    def lower_bound(self) -> float:
        """Of the whole problem; minus infinity where there is none."""

    def __call__(self, nodes: Nodes, cutoff: float) -> BoundedNodes:
        """Bound nodes; objectives at or above the cutoff do not matter."""


def batch_size(problem: Problem, largest: int, work_of_all: float = BATCH_WORK) -> int:
    """Nodes per batch by the work that their neurons' bounds and sensitivities are."""
    work = 1.0
    for stage in _network_stages(problem):
        network = stage.network
        work += len(stage.inputs) * (network.bounding_work + network.n_inputs * network.n_weights)
    return int(np.clip(work_of_all / work, 1, largest))


def bound_seconds(problem: Problem, device: str | None = None) -> float:
    """About how long bounding the whole problem takes: most of it goes into the pre-activations' bounds.

    Those are bounded on the device, if there is one and the problem is a box.
    """
    seconds, speed = 0.0, DEVICE_SPEED if device is not None and problem.shape is Shape.BOX else 1.0
    for stage in _network_stages(problem):
        layers, widths = stage.network.layers, stage.network.widths
        passes = np.cumsum([sum(map(_seconds_per_row, layer.weights)) for layer in layers])
        bounds = 2 * sum(width * before for width, before in zip(widths[1:], passes[:-1], strict=False))
        substitutions = 2 * (FIRST_STEPS + STEPS + stage.network.n_outputs) * passes[-1]
        seconds += MIN_SECONDS + len(stage.inputs) * float(bounds / speed + substitutions)
    return seconds


def _network_stages(problem: Problem) -> list[NetworkStage]:
    """Those of networks: beside them, expressions cost next to nothing."""
    return [stage for stage in problem.stages if isinstance(stage, NetworkStage)]


def _seconds_per_row(weight: Weight) -> float:
    return weight.nnz / SPARSE_RATE if sparse.issparse(weight) else weight.size / DENSE_RATE


def centres(lower: Array, upper: Array) -> Array:
    """Centres of boxes; the finite side, or 0, where a side is infinite."""
    with np.errstate(invalid="ignore"):
        middle = lower + (upper - lower) / 2
    finite = np.where(np.isfinite(lower), lower, np.where(np.isfinite(upper), upper, 0.0))
    return np.where(np.isfinite(middle), middle, finite)
