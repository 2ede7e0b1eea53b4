"""What bounding a batch of nodes gives, whichever way they are bounded."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from pyomo_relugrad.arrays import Array, Weight
from pyomo_relugrad.problem import Problem
from pyomo_relugrad.problem.presolve.integer_bounds import rounded_bounds
from pyomo_relugrad.proof.boxes.nodes import Nodes

# Work in one batch, in multiplications for the neurons' bounds: about a tenth of a second.
BATCH_WORK = 1e9
# Counts as the width of a column without bounds.
LARGEST_WIDTH = 1e12


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

    @classmethod
    def joined(cls, parts: list[BoundedNodes]) -> BoundedNodes:
        """Several batches as one."""
        return cls(
            Nodes.joined([part.nodes for part in parts]),
            *(np.concatenate([getattr(part, name) for part in parts]) for name in ("points", "scores", "candidates")),
        )

    def take(self, which: Array) -> BoundedNodes:
        """Some of the nodes, and all candidates."""
        return BoundedNodes(self.nodes.take(which), self.points[which], self.scores[which], self.candidates)


class Bounder(Protocol):
    """Bounds batches of nodes of one problem."""

    @property
    def batch(self) -> int:
        """How many nodes to bound at once."""

    def root(self) -> Nodes:
        """The whole problem as one node."""

    def __call__(self, nodes: Nodes, cutoff: float) -> BoundedNodes:
        """Bound nodes; objectives at or above the cutoff do not matter."""


def batch_size(problem: Problem, largest: int) -> int:
    """Nodes per batch by the work that their neurons' bounds and sensitivities are."""
    work = 1.0
    for stage in problem.stages:
        network = stage.network
        entries = np.cumsum([sum(map(_entries, layer.weights)) for layer in network.layers])
        bounds = sum(np.array(network.widths[1:]) * entries[: len(network.widths) - 1])
        work += len(stage.inputs) * float(bounds + network.n_inputs * entries[-1])
    return int(np.clip(BATCH_WORK / work, 1, largest))


def split_nodes(bounded: BoundedNodes, integers: Array) -> tuple[Nodes, Nodes]:
    """Two children of each node, and the nodes that have no column to split.

    A continuous column is halved; an integer one is split between two integers, at the relaxation's point where that is
    fractional. Columns without bounds are split at powers of ten. Where cuts have left an integer column a range with
    fractional ends, these are rounded first; children without an integer in it are left out.
    """
    scores = bounded.scores
    columns = np.argmax(scores, axis=1) if scores.size else np.zeros(len(scores), dtype=np.int64)
    rows = np.arange(len(scores))
    splittable = scores[rows, columns] > 0 if scores.size else np.zeros(len(scores), bool)
    nodes, columns = bounded.nodes.take(splittable), columns[splittable]
    rows, is_integer = np.arange(len(nodes)), integers[columns]
    point = bounded.points[splittable][rows, columns]
    low, high = rounded_bounds(nodes.lower[rows, columns], nodes.upper[rows, columns], is_integer)
    inside = is_integer & (np.abs(point - np.round(point)) > 1e-6) & (point > low) & (point < high)
    middle = _middle(low, high)
    below = np.where(is_integer, np.floor(np.where(inside, point, middle)), middle)
    below = np.where(is_integer, np.maximum(np.minimum(below, high - 1), low), below)
    above = np.where(is_integer, below + 1, middle)
    children = nodes.split(columns, low, below, above, high)
    return children.take(np.concatenate([low <= high, above <= high])), bounded.nodes.take(~splittable)


def split_scores(problem: Problem, gaps: Array, lower: Array, upper: Array) -> Array:
    """Scores of the columns from what they matter per unit of width.

    Parameters
    ----------
    problem : Problem
    gaps, lower, upper : (N, n) arrays

    Returns
    -------
    (N, n) array
        0 where a column is too narrow to split or no network's input; small where it only seems not to matter.
    """
    width = upper - lower
    size = np.maximum(np.abs(lower), np.abs(upper))
    narrow = np.where(problem.integers, width <= 0, width <= 1e-9 * (1 + np.where(np.isinf(size), 0, size)))
    least = 1e-6 * gaps.max(axis=1, keepdims=True, initial=0.0) + 1e-15
    return np.where(problem.is_network_input & ~narrow, (gaps + least) * np.fmin(width, LARGEST_WIDTH), 0.0)


def centres(lower: Array, upper: Array) -> Array:
    """Centres of boxes; the finite side, or 0, where a side is infinite."""
    with np.errstate(invalid="ignore"):
        middle = lower + (upper - lower) / 2
    finite = np.where(np.isfinite(lower), lower, np.where(np.isfinite(upper), upper, 0.0))
    return np.where(np.isfinite(middle), middle, finite)


def _middle(low: Array, high: Array) -> Array:
    """Midpoints of intervals; of an infinite one a point ten times farther out than its finite side."""
    with np.errstate(invalid="ignore"):
        middle = low + (high - low) / 2
        right = low + 9 * np.abs(low) + 1
        left = high - 9 * np.abs(high) - 1
    middle = np.where(np.isinf(high), right, np.where(np.isinf(low), left, middle))
    return np.where(np.isinf(low) & np.isinf(high), 0.0, middle)


def _entries(weight: Weight) -> int:
    return int(weight.nnz if hasattr(weight, "nnz") else weight.size)
