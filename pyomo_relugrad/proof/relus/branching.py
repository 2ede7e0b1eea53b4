"""Branching: which ReLU of a node is split."""

from __future__ import annotations

import numpy as np

from pyomo_relugrad.arrays import Array
from pyomo_relugrad.proof.relus.dual import Dual

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
