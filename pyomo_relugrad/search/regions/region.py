"""The linear region of all networks of a problem together, one facet at a time."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from pyomo_relugrad.arrays import Array
from pyomo_relugrad.network import Network
from pyomo_relugrad.network.region import CONSTANT_ROW_TOLERANCE, by_layer
from pyomo_relugrad.network.sweeps import tangent
from pyomo_relugrad.problem import ReducedObjective


@dataclass(frozen=True, eq=False)
class Region:
    """What is affine around a point when every ReLU of every embedding is held.

    Neurons are counted stage by stage, embedding by embedding, layer by layer.

    Parameters
    ----------
    objective : ReducedObjective
        In float64.
    u : (d,) array
        Decision columns of a point of the (closed) region.
    v : (n,) array
        All columns there.
    patterns : tuple of (embeddings, n_relus) boolean arrays
        One per stage.
    """

    objective: ReducedObjective
    u: Array
    v: Array
    patterns: tuple[Array, ...]

    @classmethod
    def at(cls, objective: ReducedObjective, u: Array, patterns: tuple[Array, ...] | None = None) -> Region:
        """The region that contains the point `u`, or that of given patterns next to it."""
        found = objective.patterns(u[None, :]) if patterns is None else patterns
        return cls(objective, u, objective.points(u[None, :])[0], found)

    def flipped(self, neurons: Array) -> Region:
        """The region across the facets of the given neurons, at the same point."""
        states = np.concatenate([pattern.ravel() for pattern in self.patterns])
        states[neurons] = ~states[neurons]
        shapes = [pattern.shape for pattern in self.patterns]
        pieces = np.split(states, np.cumsum([rows * columns for rows, columns in shapes])[:-1])
        patterns = tuple(piece.reshape(shape) for piece, shape in zip(pieces, shapes, strict=True))
        return Region(self.objective, self.u, self.v, patterns)

    def moved_to(self, u: Array) -> Region:
        """The same region, seen from another of its points."""
        return Region.at(self.objective, u, self.patterns)

    @cached_property
    def signs(self) -> Array:
        """(N,) array: 1 for an active neuron, -1 for an inactive one."""
        return np.concatenate([np.zeros(0), *(np.where(pattern, 1.0, -1.0).ravel() for pattern in self.patterns)])

    @cached_property
    def preactivations(self) -> Array:
        """(N,) pre-activations at the point."""
        parts = [np.zeros(0)]
        for stage in self.objective.relu_stages:
            layers = stage.network.preactivations(self.v[stage.inputs])
            parts.append(np.concatenate([np.zeros((len(stage.inputs), 0)), *layers], axis=1).ravel())
        return np.concatenate(parts)

    @cached_property
    def gradient(self) -> Array:
        """(d,) gradient of the objective on the region."""
        return self.objective.pull_back(self.patterns, self.objective.partial_gradient(self.v[None, :]))[0]

    # --- forward: how everything changes along directions --------------------------------------------------------

    def slopes(self, directions: Array) -> Array:
        """(B, N) derivatives of the pre-activations along directions (B, d)."""
        D = self._in_columns(directions)
        parts = [np.zeros((len(D), 0))]
        for stage, pattern in zip(self.objective.relu_stages, self.patterns, strict=True):
            hidden, outputs = _masked_slopes(stage.network, np.tile(pattern, (len(D), 1)), stage.gather(D))
            stage.set_outputs(D, outputs)
            parts.append(hidden.reshape(len(D), pattern.size))
        return np.concatenate(parts, axis=1)

    def input_slopes(self, directions: Array) -> Array:
        """(B, n) derivatives of all columns that networks read along directions (B, d)."""
        D = self._in_columns(directions)
        for stage, pattern in zip(self.objective.relu_stages[:-1], self.patterns, strict=False):
            stage.set_outputs(D, _masked_slopes(stage.network, np.tile(pattern, (len(D), 1)), stage.gather(D))[1])
        return D

    def _in_columns(self, directions: Array) -> Array:
        D = np.zeros((len(directions), self.v.size))
        D[:, self.objective.columns] = directions
        return D

    def slopes_with_free(self, free: Array) -> tuple[Array, Array]:
        """Slopes of everything in the decision columns and in the activations of free neurons, all others held.

        Returns
        -------
        preactivations : (N, d + k) array
        columns : (d + k, n) array
            Slopes of the problem's columns, transposed.
        """
        d, n = self.objective.size, self.v.size
        D = np.zeros((d + free.size, n))
        D[np.arange(d), self.objective.columns] = 1.0
        parts, first = [np.zeros((0, len(D)))], 0
        for stage, patterns in zip(self.objective.relu_stages, self.patterns, strict=True):
            for inputs, outputs, pattern in zip(stage.inputs, stage.outputs, patterns, strict=True):
                inside = np.flatnonzero((free >= first) & (free < first + pattern.size))
                injected = np.zeros((len(D), pattern.size))
                injected[d + inside, free[inside] - first] = 1.0
                mask = pattern.copy()
                mask[free[inside] - first] = False
                hidden, D[:, outputs] = _masked_slopes(stage.network, mask[None, :], D[:, inputs], injected)
                parts.append(hidden.T)
                first += pattern.size
        return np.concatenate(parts), D

    # --- backward: gradients of pre-activations ------------------------------------------------------------------

    def gradients(self, neurons: Array) -> Array:
        """(m, d) gradients of the given neurons' pre-activations; zero where they are nothing but rounding."""
        return _without_rounding(*self._pulled_back(self._input_gradients(neurons), self._gradient_bounds[neurons]))

    def input_gradients(self, neurons: Array) -> Array:
        """(m, n) gradients in the columns that each neuron's network reads, whichever network writes these."""
        return _without_rounding(self._input_gradients(neurons), self._gradient_bounds[neurons])

    def pull_back(self, rows: Array) -> Array:
        """Derivatives (m, d) in the decision columns from those in all columns (m, n), which are overwritten."""
        return self._pulled_back(rows, np.zeros(len(rows)))[0]

    def _pulled_back(self, rows: Array, sizes: Array) -> tuple[Array, Array]:
        """Rows (m, n) pulled back to the decision columns (m, d), and the sizes (m,) of what was added on the way."""
        for stage, pattern in zip(reversed(self.objective.relu_stages), reversed(self.patterns), strict=True):
            seeds = stage.gather_outputs(rows).reshape(len(rows), stage.outputs.size)
            sizes = sizes + stage.network.jacobian_bound * np.linalg.norm(seeds, axis=1)
            stage.pull_back_rows(rows, pattern)
        return self.objective.decisions(rows), sizes

    def _input_gradients(self, neurons: Array) -> Array:
        rows = np.zeros((neurons.size, self.v.size))
        for which, positions, columns in by_layer(neurons, [width for *_, width in self._layers]):
            index, embedding, layer, _ = self._layers[which]
            stage = self.objective.relu_stages[index].members[embedding]
            gradients = stage.network.preactivation_gradients(self.patterns[index][embedding], layer, columns)
            part = np.zeros((columns.size, self.v.size))
            stage.scatter(part, gradients)
            rows[positions] = part
        return rows

    @cached_property
    def _gradient_bounds(self) -> Array:
        """(N,) bounds on the lengths of the pre-activations' gradients in their networks' inputs, for all patterns."""
        stages = self.objective.relu_stages
        parts = [np.tile(stage.network.gradient_bounds, len(stage.inputs)) for stage in stages]
        return np.concatenate([np.zeros(0), *parts])

    @cached_property
    def _layers(self) -> list[tuple[int, int, int, int]]:
        """(stage, embedding, hidden layer of the network, its width) of all hidden layers."""
        return [
            (index, embedding, layer, width)
            for index, stage in enumerate(self.objective.relu_stages)
            for embedding in range(len(stage.inputs))
            for layer, width in enumerate(stage.network.widths)
        ]


def _without_rounding(gradients: Array, sizes: Array) -> Array:
    """Gradients, those replaced by zero that are tiny against the sizes (m,) of what they were computed from."""
    rounding = CONSTANT_ROW_TOLERANCE * sizes
    gradients[np.einsum("ij,ij->i", gradients, gradients) <= rounding * rounding] = 0.0
    return gradients


def _masked_slopes(network: Network, pattern: Array, D: Array, injected: Array | None = None) -> tuple[Array, Array]:
    """Derivatives of the pre-activations (rows, n_relus) and of the outputs along the rows of `D`, ReLUs held.

    `injected` (rows, n_relus) are derivatives of activations that come on top.
    """
    extra = None if injected is None else network.split_pattern(injected)
    *slopes, outputs = tangent(network.layers, D, network.gates(pattern), extra)
    return np.concatenate([np.zeros((len(D), 0)), *slopes], axis=1), outputs
