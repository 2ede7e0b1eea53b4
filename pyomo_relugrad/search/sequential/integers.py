"""Integers in a descent: neighbours of a point in its integer columns, and values for integers that networks write."""

from dataclasses import replace

import numpy as np

from pyomo_relugrad.arrays import Array
from pyomo_relugrad.problem import Problem
from pyomo_relugrad.run import SearchContext
from pyomo_relugrad.search.following import Following
from pyomo_relugrad.search.sequential.merit import Merit

#: How far from an integer a value may be and count as reached.
NEARLY_INTEGER = 1e-4


def integer_descent(
    problem: Problem, following: Following, v: Array, merit: Merit, neighbours: int, context: SearchContext
) -> Array:
    """Move to the best neighbour of smaller merit, again and again; all neighbours of a point are one batch.

    Parameters
    ----------
    problem : Problem
    following : Following
    v : (n,) array
        With propagated outputs.
    merit : Merit
    neighbours : int
        How many are evaluated together.
    context : SearchContext

    Returns
    -------
    (n,) array
        With propagated outputs. Columns that do not follow from integers keep their values.
    """
    value = float(merit.of(problem, v[None, :])[0])
    while not context.budget.is_exhausted():
        V = integer_neighbours(problem, following, v, context.random, neighbours)
        context.budget.count(points=len(V))
        values = merit.of(problem, V)
        if values.min(initial=np.inf) >= value - 1e-9 * (1.0 + abs(value)):
            break
        v, value = V[int(values.argmin())], float(values.min())
    return v


def integer_neighbours(
    problem: Problem, following: Following, v: Array, random: np.random.Generator, limit: int
) -> Array:
    """Points (B, n) that differ from `v` by one in one integer column, or in two, and by what follows.

    Parameters
    ----------
    problem : Problem
    following : Following
    v : (n,) array
    random : numpy.random.Generator
    limit : int
        At most so many points, chosen at random where there are more; pairs fill what single moves leave.
    """
    columns = following.columns
    moves = np.arange(2 * columns.size)
    if moves.size > limit:
        moves = random.choice(moves.size, limit, replace=False)
    singles = np.zeros((moves.size, problem.n_columns))
    singles[np.arange(moves.size), np.tile(columns, 2)[moves]] = np.where(moves < columns.size, 1.0, -1.0)
    n_pairs = limit - len(singles) if columns.size > 1 else 0
    first, second = random.integers(columns.size, size=(2, n_pairs)) if n_pairs else np.zeros((2, 0), np.int64)
    pairs = np.zeros((n_pairs, problem.n_columns))
    pairs[np.arange(n_pairs), columns[first]] = random.choice([-1.0, 1.0], size=n_pairs)
    pairs[np.arange(n_pairs), columns[second]] += random.choice([-1.0, 1.0], size=n_pairs)
    points = v + np.concatenate([singles, pairs])
    inside = ((points >= problem.lower) & (points <= problem.upper) | ~problem.integers).all(axis=1)
    return following.moved(points[inside])


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
