"""The linear region of a network at a point: its affine function and its facets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from pyomo_relugrad.arrays import Array, ArrayLike
from pyomo_relugrad.network.layered import LayeredFunction

# Relative to a bound on its norm over all inputs: a pre-activation whose gradient is smaller than this is constant on
# the region, so that its sign is decided everywhere in it and it has no facet.
CONSTANT_ROW_TOLERANCE = 1e-12


@dataclass(frozen=True, eq=False)
class Facets:
    """Half-spaces ``rows @ x + offsets >= 0`` of a linear region, each row of Euclidean length one.

    Parameters
    ----------
    neurons : (m,) int array
        The ReLU behind each half-space, counted through all hidden layers.
    rows : (m, n_inputs) array
    offsets : (m,) array
    """

    neurons: Array
    rows: Array
    offsets: Array

    def slack(self, X: ArrayLike) -> Array:
        """Distances (B, m) of the rows of `X` from the half-spaces' boundaries, negative outside."""
        return np.asarray(X) @ self.rows.T + self.offsets


@dataclass(frozen=True, eq=False)
class LinearRegion:
    """The set of inputs with one activation pattern, on which the network is affine.

    Parameters
    ----------
    network : Network
    pattern : (n_relus,) boolean array
        The active ReLUs.
    point : (n_inputs,) array
        A point of the region, or of its boundary.

    Examples
    --------
    >>> from pyomo_relugrad.network import Network
    >>> network = Network.from_layers([[[1.0, -1.0]], [[2.0]]], [[0.5], [1.0]])
    >>> region = network.region([1.0, 0.0])
    >>> region.jacobian, region.offset
    (array([[ 2., -2.]]), array([2.]))
    >>> facets = region.facets()
    >>> bool(facets.slack([[1.0, 0.0]]) >= 0)
    True
    """

    network: LayeredFunction
    pattern: Array
    point: Array

    @cached_property
    def _affine(self) -> tuple[Array, Array]:
        jacobians, offsets = self.network.affine(self.point[None, :], self.pattern[None, :])
        return jacobians[0], offsets[0]

    @property
    def jacobian(self) -> Array:
        """(n_outputs, n_inputs) matrix of the affine function on the region."""
        return self._affine[0]

    @property
    def offset(self) -> Array:
        """(n_outputs,) vector: ``y = jacobian @ x + offset`` on the region."""
        return self._affine[1]

    def facets(self, neurons: ArrayLike | None = None) -> Facets:
        """Half-spaces of the region.

        Parameters
        ----------
        neurons : (m,) int array, optional
            ReLUs to state the half-spaces of, counted through all hidden layers; default all of them.

        Returns
        -------
        Facets
            ReLUs whose pre-activation is constant on the region are left out; half-spaces may be redundant.
        """
        wanted = np.arange(self.pattern.size) if neurons is None else np.asarray(neurons, dtype=np.int64)
        values = self.network.preactivations(self.point[None, :], self.pattern[None, :])
        preactivations = np.concatenate([np.zeros((1, 0)), *values], axis=1)
        gradients = self.preactivation_gradients(wanted)
        norms = np.linalg.norm(gradients, axis=1)
        varies = norms > CONSTANT_ROW_TOLERANCE * self.network.gradient_bounds[wanted]
        kept, norms = wanted[varies], norms[varies]
        signs = np.where(self.pattern[kept], 1.0, -1.0) / norms
        rows = gradients[varies] * signs[:, None]
        return Facets(kept, rows, preactivations[0, kept] * signs - rows @ self.point)

    def preactivation_gradients(self, neurons: ArrayLike) -> Array:
        """Gradients (m, n_inputs) of the given ReLUs' pre-activations on the region."""
        wanted = np.asarray(neurons, dtype=np.int64)
        result = np.zeros((wanted.size, self.point.size), self.point.dtype)
        for layer, position, column in by_layer(wanted, self.network.widths):
            result[position] = self.network.preactivation_gradients(self.pattern, layer, column)
        return result


def by_layer(neurons: Array, widths: Sequence[int]) -> list[tuple[int, Array, Array]]:
    """(layer, positions in `neurons`, indices within the layer) of each hidden layer that occurs, of given widths."""
    starts = np.concatenate([[0], np.cumsum(widths)]).astype(np.int64)
    layers = np.searchsorted(starts, neurons, side="right") - 1
    return [
        (layer, positions, neurons[positions] - starts[layer])
        for layer in np.flatnonzero(np.bincount(layers)).tolist()
        for positions in [np.flatnonzero(layers == layer)]
    ]
