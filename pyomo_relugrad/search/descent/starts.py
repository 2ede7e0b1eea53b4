"""Starting points: where the gradient would lead if the activation pattern were another one."""

from __future__ import annotations

import numpy as np

from pyomo_relugrad.arrays import Array
from pyomo_relugrad.problem import ReducedObjective
from pyomo_relugrad.search.domains.domain import Domain


def structured_starts(objective: ReducedObjective, domain: Domain, random: np.random.Generator, count: int) -> Array:
    """A mixture (count, d): half random-pattern, a quarter row-space, a quarter uniform points, interleaved.

    On wide inputs uniform points all see nearly the same pattern and descend into the same basins; the vertices for
    gradients under other patterns do not.
    """
    n_row_space = n_uniform = count // 4
    n_pattern = count - n_row_space - n_uniform
    parts = [
        random_pattern_starts(objective, domain, random, n_pattern),
        row_space_starts(objective, domain, random, n_row_space),
        domain.sample(random, n_uniform).astype(objective.dtype),
    ]
    return np.concatenate(parts)[random.permutation(count)]


def random_pattern_starts(
    objective: ReducedObjective, domain: Domain, random: np.random.Generator, count: int
) -> Array:
    """Vertices for the gradients under random activation patterns, a random share of the ReLUs active."""
    shares = random.random((count, 1))
    states = tuple([stage.random_state(random, shares) for stage in objective.stages])
    if objective.problem.expressions:  # their slopes depend on where they are seen from
        anywhere = domain.sample(random, count)
    else:
        anywhere = np.repeat(domain.sample(random, 1), count, axis=0)
    gradient = objective.gradient_under(anywhere, states)
    return domain.vertices(gradient).astype(objective.dtype)


def row_space_starts(objective: ReducedObjective, domain: Domain, random: np.random.Generator, count: int) -> Array:
    """Vertices farthest along directions in which the first layers of networks grow, or random ones of expressions."""
    directions = np.zeros((count, objective.problem.n_columns), objective.dtype)
    for stage in objective.stages:
        stage.scatter(directions, stage.random_directions(random, count))
    return domain.vertices(-directions[:, objective.columns]).astype(objective.dtype)
