"""Integers that networks write: their values become bounds, one set of values after another."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from pyomo_relugrad.arrays import Array
from pyomo_relugrad.problem import Problem

#: How far from an integer a value may be and count as reached.
NEARLY_INTEGER = 1e-4


def integer_outputs(problem: Problem) -> Array:
    """The columns (k,) that must be integer and that networks write."""
    return np.flatnonzero(problem.integers & problem.is_output)


def with_targets(problem: Problem, targets: Array) -> Problem:
    """The problem with values (k,) for its integer outputs: bounds, which steps may miss at a penalty."""
    columns = integer_outputs(problem)
    lower, upper = problem.lower.copy(), problem.upper.copy()
    lower[columns] = upper[columns] = targets
    return replace(problem, lower=lower, upper=upper, integers=problem.integers & ~problem.is_output)


def nearest_targets(problem: Problem, v: Array) -> Array:
    """Integers (k,) within the bounds, next to the values of a point (n,)."""
    columns = integer_outputs(problem)
    return np.clip(np.round(v[columns]), np.ceil(problem.lower[columns]), np.floor(problem.upper[columns]))


def next_targets(problem: Problem, v: Array, targets: Array) -> Array:
    """Other targets (k,) after a descent towards some: where the point (n,) missed one, the integer on its other side.

    The value where the descent stood still is nearest to what the network can give there.
    """
    columns = integer_outputs(problem)
    missed = np.abs(v[columns] - targets) > NEARLY_INTEGER
    beyond = np.where(v[columns] < targets, np.floor(v[columns]), np.ceil(v[columns]))
    beyond = np.clip(beyond, np.ceil(problem.lower[columns]), np.floor(problem.upper[columns]))
    return np.where(missed, beyond, targets)
