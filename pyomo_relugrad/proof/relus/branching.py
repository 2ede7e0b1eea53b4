"""Branching: which ReLU or integer of a node is split, and where."""

import numpy as np

from pyomo_relugrad.arrays import Array
from pyomo_relugrad.proof.relus.dual import Dual
from pyomo_relugrad.proof.relus.nodes import SplitNodes

# How much the error of a lower line counts beside that of an upper line: its slope is chosen, and removes most of it.
LOWER_LINE_SHARE = 0.3


def split_scores(dual: Dual, splits: Array, adjoints: Array) -> Array:
    """How promising a split of each ReLU is (N, n_relus); negative where it is decided.

    It is the largest distance between line and ReLU, times the ReLU's coefficient in the bound: all that a split can
    win at once (Bunel et al., Branch and bound for piecewise linear neural network verification, 2020,
    arXiv 1909.06588).

    Parameters
    ----------
    dual : Dual
    splits : (N, n_relus) int8 array
    adjoints : (N, n_relus) array
        The coefficients of the activations.
    """
    lower_error = LOWER_LINE_SHARE * np.minimum(-dual.lower, dual.upper)
    error = np.where(adjoints < 0, -adjoints * dual.upper_intercept, adjoints * lower_error)
    return np.where(dual.is_undecided(splits), error, -1.0)


def range_scores(nodes: SplitNodes, slopes: Array) -> Array:
    """How promising a split of each integer is (N, k); negative where it has one value.

    It is what the bound of one child wins at once: half of what the bound changes by over the integer's range.

    Parameters
    ----------
    nodes : SplitNodes
    slopes : (N, k) array
        Of the linear function that is the bound.
    """
    width = nodes.upper - nodes.lower
    return np.where(width > 0, 0.5 * np.abs(slopes) * width, -1.0)


def branched(nodes: SplitNodes, relu_scores: Array, integer_scores: Array, points: Array) -> SplitNodes:
    """Two children of each node, which has something to split.

    Parameters
    ----------
    nodes : SplitNodes
    relu_scores, integer_scores : (N, ...) arrays
    points : (N, k) array
        Values of the integers near a solution of the relaxation.
    """
    relus, integers = relu_scores.argmax(axis=1), np.zeros(len(nodes), np.int64)
    is_range = np.zeros(len(nodes), bool)
    if integer_scores.size:
        integers = integer_scores.argmax(axis=1)
        best_relu = relu_scores.max(axis=1, initial=-np.inf)
        is_range = integer_scores.max(axis=1) > best_relu
    rows = np.flatnonzero(is_range)
    places = rows, integers[rows]
    below = np.floor(points[places]).clip(nodes.lower[places], nodes.upper[places] - 1)
    by_range = nodes.take(rows).split_ranges(integers[rows], below)
    return SplitNodes.joined([nodes.take(~is_range).split(relus[~is_range]), by_range])
