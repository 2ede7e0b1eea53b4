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
    patterns = []
    for stage in objective.stages:
        rows = (count, len(stage.inputs) * stage.network.n_neurons)
        pattern = random.random(rows) < shares
        patterns.append(pattern.reshape(count * len(stage.inputs), stage.network.n_neurons))
    anywhere = np.repeat(domain.sample(random, 1), count, axis=0)
    gradient = objective.gradient_under(anywhere, tuple(patterns))
    return domain.vertices(gradient).astype(objective.dtype)


def row_space_starts(objective: ReducedObjective, domain: Domain, random: np.random.Generator, count: int) -> Array:
    """Vertices farthest along ``u @ W`` for random ``u >= 0``, W the first layer's weights with rows of length one."""
    directions = np.zeros((count, objective.problem.n_columns), objective.dtype)
    for stage in objective.stages:
        network = stage.network
        rows = count * len(stage.inputs)
        norms = network.layers[0].row_norms
        weights = random.random((rows, norms.size)) ** 4 / np.where(norms > 0, norms, 1.0)
        nothing = np.zeros((rows, network.n_neurons), bool)
        stage.scatter(directions, network.pull_back(nothing, 0, weights.astype(objective.dtype)))
    return domain.vertices(-directions[:, objective.columns]).astype(objective.dtype)
