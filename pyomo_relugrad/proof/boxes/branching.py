"""Branching: which column of a node is split, and where."""

from __future__ import annotations

import numpy as np

from pyomo_relugrad.arrays import Array
from pyomo_relugrad.problem import Problem
from pyomo_relugrad.problem.presolve.integer_bounds import rounded_bounds
from pyomo_relugrad.proof.boxes.bounding import BoundedNodes, centres
from pyomo_relugrad.proof.boxes.nodes import Nodes

# Counts as the width of a column without bounds.
MAX_WIDTH = 1e12
# How often nodes are split at most before they are bounded again.
MAX_LEVELS = 3


def split_nodes(bounded: BoundedNodes, integers: Array, wide: int = 0) -> tuple[Nodes, Nodes]:
    """The children of nodes, two of each, and the nodes that have no column to split.

    A continuous column is halved; an integer one is split between two integers, at the relaxation's point where that is
    fractional. Columns without bounds are split at powers of ten. Where cuts have left an integer column a range with
    fractional ends, these are rounded first; children without an integer in it are left out.

    Where few nodes take hardly longer to bound than one, children are split again at once, as long as there are no more
    than ``wide`` nodes after that.
    """
    children, leaves = _halves(bounded, integers)
    parts = []
    for _ in range(1, MAX_LEVELS):
        if 2 * len(children.nodes) > wide:
            break
        children, whole = _halves(children, integers)
        parts.append(whole)
    return Nodes.joined([*parts, children.nodes]), leaves


def _halves(bounded: BoundedNodes, integers: Array) -> tuple[BoundedNodes, Nodes]:
    """The children of nodes, scored by their parents' scores and their own widths; and nodes without a split."""
    scores = bounded.scores
    columns = np.argmax(scores, axis=1) if scores.size else np.zeros(len(scores), dtype=np.int64)
    rows = np.arange(len(scores))
    splittable = scores[rows, columns] > 0 if scores.size else np.zeros(len(scores), bool)
    parents, columns = bounded.take(splittable), columns[splittable]
    nodes, rows, is_integer = parents.nodes, np.arange(len(columns)), integers[columns]
    point = parents.points[rows, columns]
    low, high = rounded_bounds(nodes.lower[rows, columns], nodes.upper[rows, columns], is_integer)
    inside = is_integer & (np.abs(point - np.round(point)) > 1e-6) & (point > low) & (point < high)
    middle = _middle(low, high)
    below = np.where(is_integer, np.floor(np.where(inside, point, middle)), middle)
    below = np.where(is_integer, np.maximum(np.minimum(below, high - 1), low), below)
    above = np.where(is_integer, below + 1, middle)
    is_there = np.concatenate([low <= high, above <= high])
    children = nodes.split(columns, low, below, above, high).take(is_there)
    return _as_bounded(parents, children, columns, is_there), bounded.nodes.take(~splittable)


def _as_bounded(parents: BoundedNodes, children: Nodes, columns: Array, is_there: Array) -> BoundedNodes:
    """Children with their parents' points, moved into their boxes, and scores by their widths."""
    origin = np.concatenate([np.arange(len(columns))] * 2)[is_there]
    places = np.arange(len(origin)), columns[origin]
    scores, before = parents.scores[origin], parents.nodes
    widths = np.fmin((children.upper - children.lower)[places], MAX_WIDTH)
    old = np.fmin((before.upper - before.lower)[origin, columns[origin]], MAX_WIDTH)
    scores[places] *= np.where(old > 0, widths / np.where(old > 0, old, 1.0), 0.0)
    points = np.clip(parents.points[origin], children.lower, children.upper)
    return BoundedNodes(children, points, scores, parents.candidates[:0])


def split_scores(problem: Problem, gaps: Array, lower: Array, upper: Array) -> Array:
    """Scores of the columns from what they matter per unit of width.

    Parameters
    ----------
    problem : Problem
    gaps, lower, upper : (N, n) arrays
        A gap of a column that a function writes is that of what it reads, unless it links networks.

    Returns
    -------
    (N, n) array
        0 where a column is too narrow to split, read by no function, or written by one and no link between networks;
        small where it only seems not to matter.
    """
    gaps = _by_free_inputs(problem, gaps, centres(lower, upper))
    width = upper - lower
    size = np.maximum(np.abs(lower), np.abs(upper))
    narrow = np.where(problem.integers, width <= 0, width <= 1e-9 * (1 + np.where(np.isinf(size), 0, size)))
    least = 1e-6 * gaps.max(axis=1, keepdims=True, initial=0.0) + 1e-15
    is_split = problem.is_input & ~problem.is_output | problem.links_networks
    return np.where(is_split & ~narrow, (gaps + least) * np.fmin(width, MAX_WIDTH), 0.0)


def _by_free_inputs(problem: Problem, gaps: Array, points: Array) -> Array:
    """Gaps of written columns as gaps of what they come from and is split, by the slopes at points (N, n)."""
    is_passed = problem.is_input & ~problem.links_networks
    chained = [stage for stage in problem.stages if is_passed[stage.outputs].any()]
    if not chained:
        return gaps
    gaps, points = gaps.copy(), problem.propagate(points)
    for stage in reversed(chained):
        slopes, _ = stage.affine(stage.gather(points))
        passed = stage.gather_outputs(gaps * is_passed)
        stage.scatter(gaps, np.einsum("ro,roi->ri", passed, np.abs(slopes)))
    return gaps


def _middle(low: Array, high: Array) -> Array:
    """Midpoints of intervals; of an infinite one a point ten times farther out than its finite side."""
    with np.errstate(invalid="ignore"):
        middle = low + (high - low) / 2
        right = low + 9 * np.abs(low) + 1
        left = high - 9 * np.abs(high) - 1
    middle = np.where(np.isinf(high), right, np.where(np.isinf(low), left, middle))
    return np.where(np.isinf(low) & np.isinf(high), 0.0, middle)
