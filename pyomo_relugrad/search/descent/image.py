"""The image of a box of many inputs under a network's first layer, in whose few coordinates descents cost little.

A box of n inputs, seen through m much fewer neurons, is a sum of n short segments in m dimensions. As sums of many
random numbers are nearly normally distributed, such sums of segments are nearly an ellipsoid, with the shape of the
segments' covariance: in 10,000 inputs before 100 neurons, its extent in a random direction is right to 0.2 %. What
descends over the ellipsoid leaves the first layer out, which is most of the work. A point on its surface leads back to
the vertex of the box that lies farthest in the direction of the surface's normal.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import replace

import numpy as np
from scipy import sparse

from pyomo_relugrad.arrays import Array
from pyomo_relugrad.network import LayeredFunction
from pyomo_relugrad.problem import ReducedObjective, SingleNetwork
from pyomo_relugrad.run import Budget
from pyomo_relugrad.search.descent.batch import Batch, Schedule, descend_by_halving
from pyomo_relugrad.search.descent.elite_pool import PREFERENCE
from pyomo_relugrad.search.descent.valleys import best_of_valleys
from pyomo_relugrad.search.domains.box import Box
from pyomo_relugrad.search.domains.domain import Domain

#: Inputs for each neuron of the first layer from which the image is near enough to an ellipsoid.
INPUTS_PER_NEURON = 8
#: Weights of a network below which its own points cost little, and at least how many times those of the image.
FEWEST_WEIGHTS, TIMES_THE_WORK = 1e5, 3
#: Multiplications up to which the covariance is computed.
MAX_COVARIANCE_WORK = 5e9
#: Directions in which the extents of box and ellipsoid are compared.
PROBES = 16
#: Points of a round of descents, their steps, and relative lengths of the stages after which the best quarter goes on.
POINTS, STEPS, STAGES = 512, 60, (1, 2, 3)
#: First steps, from random points and from offspring, and the last one.
FIRST_STEP, OFFSPRING_STEP, LAST_STEP = 1.5, 0.1, 0.005
#: Share of the old momentum that a step keeps.
MOMENTUM = 0.5
#: Good points kept, and mean squared distance, in diameters of the ball, below which two lie in one valley.
POOL_SIZE, VALLEY = 32, 0.0125
#: Decimal logarithms of the shortest and the longest random vector that offspring are moved by, in radii.
MUTATION = (-0.7, 0.3)
#: Share of the covariance's mean that is added to its diagonal.
RIDGE = 1e-5


class BoxImage:
    """The ellipsoid as a ball through the corners of a unit cube, and the objective over it, for `descend`.

    Parameters
    ----------
    network : SingleNetwork
        The objective over the inputs, without costs of inputs, its first layer dense.
    box : Box
    """

    dtype = np.dtype(np.float32)
    steps_by_signs = False

    def __init__(self, network: SingleNetwork, box: Box) -> None:
        first, *others = (layer.astype(self.dtype) for layer in network.network.layers)
        self._weights, self._box, size = first.weights[0], box, first.width
        half_widths = 0.5 * (box.upper - box.lower)
        scale = float((np.abs(self._weights).max(axis=0) * half_widths).max())
        # In units in which products neither overflow nor vanish.
        segments = self._weights * self.cast(half_widths / scale)
        covariance = (segments @ segments.T).astype(np.float64)
        covariance[np.diag_indices(size)] += RIDGE * np.trace(covariance) / size
        root = np.linalg.cholesky(covariance)
        self._radius = 0.5 * np.sqrt(size)
        self._to_normals = np.linalg.inv(root).astype(self.dtype)
        directions = np.random.default_rng(0).standard_normal((PROBES, size))
        extents = np.abs(directions.astype(self.dtype) @ self._to_normals @ segments).sum(axis=1)
        shape = root * (scale * float(np.mean(extents / np.linalg.norm(directions, axis=1))) / self._radius)
        centre = first.apply([(0.5 * (box.lower + box.upper)).astype(self.dtype)[None, :]])[0]
        seen = replace(first, weights=(shape.astype(self.dtype),), bias=centre)
        self._objective = replace(network, network=LayeredFunction(size, (seen, *others)))
        self.size = size
        self.lower, self.upper = np.full(size, -0.5), np.full(size, 0.5)

    @classmethod
    def of(cls, objective: ReducedObjective, domain: Domain) -> BoxImage | None:
        """The image, None where there is no box or another objective, or where descents would gain nothing."""
        single = objective.single
        if single is None or single.input_weights is not None or not isinstance(domain, Box):
            return None
        first, *others = single.network.layers
        if not others or first.sources != (0,) or any(0 in layer.sources for layer in others):
            return None
        inputs, size, work = objective.size, first.width, objective.n_weights
        is_fit = inputs >= INPUTS_PER_NEURON * size > 0 and inputs * size**2 <= MAX_COVARIANCE_WORK
        is_worth_it = work >= FEWEST_WEIGHTS and work >= TIMES_THE_WORK * (work - (inputs - size) * size)
        if not (is_fit and is_worth_it) or sparse.issparse(first.weights[0]):
            return None
        return cls(single, domain) if first.row_norms.any() and (domain.upper > domain.lower).any() else None

    def cast(self, V: Array) -> Array:
        """Points in float32."""
        return V.astype(self.dtype, copy=False)

    def value(self, V: Array) -> Array:
        """Values (B,) of the objective at points (B, m)."""
        return self._objective.value(V)

    def value_and_gradient(self, V: Array) -> tuple[Array, Array]:
        """Values (B,) and gradients (B, m)."""
        return self._objective.value_and_gradient(V)

    def project(self, V: Array) -> Array:
        """Nearest points of the ball."""
        return V / np.maximum(np.linalg.norm(V, axis=1, keepdims=True) / self._radius, 1.0)

    def on_surface(self, V: Array) -> Array:
        """Points of the sphere in the directions of `V` (B, m)."""
        return self.cast(V * (self._radius / np.linalg.norm(V, axis=1, keepdims=True)))

    def vertices_seen(self, V: Array) -> Array:
        """The vertices (B, n) of the box that are seen about where the points (B, m) of the sphere are."""
        return self._box.vertices(-(self.cast(V) @ self._to_normals) @ self._weights)


class ImageSearch:
    """Rounds of descents over the image, the first from random points, the others from offspring of good ones.

    Parameters
    ----------
    image : BoxImage
    random : numpy.random.Generator
    budget : Budget
        Steps over the image count as others do, points do not.
    """

    def __init__(self, image: BoxImage, random: np.random.Generator, budget: Budget) -> None:
        self._image, self._random, self._budget = image, random, budget
        self.restart()

    def restart(self) -> None:
        """Forget the good points."""
        self._good, self._values = self._image.cast(np.zeros((0, self._image.size))), np.zeros(0, self._image.dtype)

    def rounds(self, count: int) -> Generator[None, None, Array]:
        """The vertices (k, n) of the box that belong to the good points, best first, after rounds from offspring.

        Before them comes a round from random points where there are no good ones yet.
        """
        for _ in range(count + (not len(self._good))):
            is_fresh, n_points = not len(self._good), self._budget.points
            starts = self._random_points() if is_fresh else self._offspring()
            stages = Schedule(FIRST_STEP if is_fresh else OFFSPRING_STEP, LAST_STEP, STEPS).pieces(STAGES)
            descents = descend_by_halving(self._image, self._image, starts, stages, MOMENTUM, self._budget)
            batch = yield from _silent(descents)
            self._budget.points = n_points  # those of the image are none of the problem
            self._keep(batch)
        return self._image.vertices_seen(self._good)

    def _keep(self, batch: Batch) -> None:
        """Take in what a round has led to: the best of each valley before the others."""
        image, nearby = self._image, VALLEY * self._image.size
        points, values = np.concatenate([self._good, batch.best]), np.concatenate([self._values, batch.values])
        rows = best_of_valleys(points, values, image.lower, image.upper - image.lower, POOL_SIZE, nearby)
        self._good, self._values = points[rows], values[rows]

    def _random_points(self) -> Array:
        return self._image.on_surface(self._random.standard_normal((POINTS, self._image.size), self._image.dtype))

    def _offspring(self) -> Array:
        """Points between two good ones each, one of them rather one of the best, moved by a random vector."""
        good = self._good
        first = good[(len(good) * self._random.random(POINTS) ** PREFERENCE).astype(int)]
        second = good[self._random.integers(len(good), size=POINTS)]
        share = self._random.random((POINTS, 1))
        length = 10.0 ** self._random.uniform(*MUTATION, (POINTS, 1))
        return self._image.on_surface(first + share * (second - first) + length * self._random_points())


def _silent(steps: Generator[Batch, None, Batch]) -> Generator[None, None, Batch]:
    """Yield None for each step; return what the steps return."""
    while True:
        try:
            next(steps)
        except StopIteration as end:
            return end.value
        yield None
