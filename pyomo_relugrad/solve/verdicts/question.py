"""A case of a property as a question about one network over a box: links between inputs are gone, rows are scaled."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import sparse
from scipy.sparse.csgraph import connected_components

from pyomo_relugrad.arrays import Array
from pyomo_relugrad.network import Network
from pyomo_relugrad.readers.vnnlib import Case

#: Points at which activations are looked at; rows whose sums are larger, or smaller than its inverse, are scaled.
SCALING_POINTS, LARGEST_SIZE = 8, 1e4


@dataclass(frozen=True, eq=False)
class Question:
    """Whether an input satisfies a case, over the inputs that its links leave free.

    Parameters
    ----------
    index : int
        Of the case.
    case : Case
        Over the free inputs, without links; its rows are divided by `scales`.
    network : Network
        All networks as one, of the free inputs.
    places : (n_inputs,) int array
        The free input that each input is.
    scales : (m,) array
        Powers of two that bring the rows' values to a usual size: what is proven holds to tolerances.
    """

    index: int
    case: Case
    network: Network
    places: Array
    scales: Array

    def unscaled(self, bound: float) -> float:
        """A bound below the largest violation of the case's rows, from one below that of the scaled rows."""
        factors = self.scales if self.scales.size else np.ones(1)
        return bound * float(factors.min() if bound > 0.0 else factors.max())


def free_places(case: Case) -> Array:
    """The number of each input among those that are free; equal ones have one number, in order of their first."""
    n = case.lower.size
    if not len(case.links):
        return np.arange(n)
    first, second = case.links.T
    links = sparse.coo_array((np.ones(len(first)), (first, second)), shape=(n, n))
    _, labels = connected_components(links, directed=False)
    _, begins, places = np.unique(labels, return_index=True, return_inverse=True)
    return np.argsort(np.argsort(begins))[places]


def linked_box(case: Case) -> tuple[Array, Array]:
    """Bounds (n_inputs,) of a case's inputs, those of equal inputs alike."""
    places = free_places(case)
    free = over_free_inputs(case, places)
    return free.lower[places], free.upper[places]


def over_free_inputs(case: Case, places: Array) -> Case:
    """The case in one input for each group of equal ones."""
    if not len(case.links):
        return case
    size = int(places.max()) + 1
    spread = sparse.csr_array((np.ones(places.size), (np.arange(places.size), places)), shape=(places.size, size))
    lower, upper = np.full(size, -np.inf), np.full(size, np.inf)
    np.maximum.at(lower, places, case.lower)
    np.minimum.at(upper, places, case.upper)
    return Case(lower, upper, case.input_rows @ spread, case.output_rows, case.limits, case.strict)


@dataclass(frozen=True, eq=False)
class Sizes:
    """How large a network's inputs and activations are over a box, 1 at least; cases over one box share them.

    Parameters
    ----------
    network : Network
    lower, upper : (n,) arrays
    activations : tuple of (n_k,) arrays
        The input and each hidden layer, at some points.
    """

    network: Network
    lower: Array
    upper: Array
    activations: tuple[Array, ...]

    @classmethod
    def of(cls, network: Network, case: Case) -> Sizes:
        """Over the box of a case; 1 where that is infinite."""
        count = SCALING_POINTS if (np.isfinite(case.lower) & np.isfinite(case.upper)).all() else 0
        shares = np.random.default_rng(0).random((count, case.lower.size))
        points = case.lower + (case.upper - case.lower) * shares if count else shares
        *layers, _ = network.activations(points)
        return cls(network, case.lower, case.upper, tuple(abs(h).max(axis=0, initial=1.0) for h in layers))

    def are_of(self, network: Network, case: Case) -> bool:
        """Whether they are of this network over the box of a case."""
        box = np.array_equal(self.lower, case.lower) and np.array_equal(self.upper, case.upper)
        return self.network is network and box

    def scales(self, case: Case) -> Array:
        """A power of two for each row (m,): 1 where what is summed in it is of a usual size.

        No coefficient is larger than 1 after it has been scaled up: programs miss activations by their tolerances.
        """
        sizes = abs(case.input_rows) @ self.activations[0]
        for source, weight in self.network.layers[-1].terms:
            sizes = sizes + abs(case.output_rows @ weight) @ self.activations[source]
        is_unusual = ((sizes > LARGEST_SIZE) | (sizes < 1.0 / LARGEST_SIZE)) & (sizes > 0.0) & np.isfinite(sizes)
        return np.where(is_unusual, np.exp2(np.ceil(np.log2(np.where(is_unusual, sizes, 1.0)))), 1.0)


def scaled(case: Case, scales: Array) -> Case:
    """The case with its rows divided by numbers."""
    if (scales == 1.0).all():
        return case
    rows = case.input_rows / scales[:, None], case.output_rows / scales[:, None], case.limits / scales
    return Case(case.lower, case.upper, *rows, case.strict)


def excess(network: Network, case: Case, points: Array) -> Array:
    """By how much (B, m) points (B, n_inputs) miss the rows of a case; negative where they satisfy them."""
    return points @ case.input_rows.T + network.value(points) @ case.output_rows.T - case.limits
