"""Starting points: where the gradient would lead if the activation pattern were another one."""

import numpy as np

from pyomo_relugrad.arrays import Array, shuffled
from pyomo_relugrad.search.descent.batch import Objective
from pyomo_relugrad.search.domains.domain import Domain


def structured_starts(objective: Objective, domain: Domain, random: np.random.Generator, count: int) -> Array:
    """A mixture (count, d): half random-pattern, a quarter row-space, a quarter uniform points, interleaved.

    On wide inputs uniform points all see nearly the same pattern and descend into the same basins; the vertices for
    gradients under other patterns do not.
    """
    n_row_space = n_uniform = count // 4
    n_pattern = count - n_row_space - n_uniform
    parts = [
        random_pattern_starts(objective, domain, random, n_pattern),
        row_space_starts(objective, domain, random, n_row_space),
        objective.cast(domain.sample(random, n_uniform)),
    ]
    return shuffled(parts, random)


def random_pattern_starts(objective: Objective, domain: Domain, random: np.random.Generator, count: int) -> Array:
    """Vertices for the gradients under random activation patterns, a random share of the ReLUs active."""
    shares = random.random((count, 1))
    states = tuple([stage.random_state(random, shares) for stage in objective.stages])
    if objective.problem.expressions:  # their slopes depend on where they are seen from
        anywhere = domain.sample(random, count)
    else:
        anywhere = np.repeat(domain.sample(random, 1), count, axis=0)
    gradient = objective.gradient_under(anywhere, states)
    return objective.cast(domain.vertices(gradient))


def row_space_starts(objective: Objective, domain: Domain, random: np.random.Generator, count: int) -> Array:
    """Vertices farthest along directions in which the first layers of networks grow, or random ones of expressions."""
    return objective.cast(domain.vertices(-objective.row_space_directions(random, count)))
