"""The linear region of all networks of a problem together, one facet at a time."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from pyomo_relugrad.arrays import Array, columns_or_slice
from pyomo_relugrad.network import CONSTANT_ROW_TOLERANCE, by_layer
from pyomo_relugrad.problem import ReducedObjective


@dataclass(frozen=True, eq=False)
class Region:
    """What is affine around a point when every ReLU of every embedding is held; of smooth functions the tangent.

    Neurons are those with a kink. They are counted stage by stage, embedding by embedding, layer by layer.

    Parameters
    ----------
    objective : ReducedObjective
        In float64.
    u : (d,) array
        Decision columns of a point of the (closed) region.
    v : (n,) array
        All columns there.
    patterns : tuple of arrays
        The states of each stage: (embeddings, n_relus) booleans where it is piecewise linear.
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
        states, first = list[Array](), 0
        for stage, state in zip(self.objective.stages, self.patterns, strict=True):
            size = stage.pattern(state).size
            own = neurons[(neurons >= first) & (neurons < first + size)] - first
            if own.size:
                state = state.copy()
                state.ravel()[own] ^= True
            states.append(state)
            first += size
        return Region(self.objective, self.u, self.v, tuple(states))

    def moved_to(self, u: Array) -> Region:
        """The same region, seen from another of its points; where functions are smooth, they are as they are there."""
        if self.objective.problem.is_piecewise_linear:
            moved = Region.at(self.objective, u, self.patterns)
            for kept in vars(self).keys() & {"every_gradient", "signs"}:
                vars(moved)[kept] = vars(self)[kept]
            return moved
        there = self.objective.patterns(u[None, :])
        parts = zip(self.objective.stages, self.patterns, there, strict=True)
        return Region.at(self.objective, u, tuple([held if stage.widths else own for stage, held, own in parts]))

    @cached_property
    def signs(self) -> Array:
        """(N,) array: 1 for an active neuron, -1 for an inactive one."""
        parts = zip(self.objective.stages, self.patterns, strict=True)
        patterns = [stage.pattern(state).ravel() for stage, state in parts]
        return np.concatenate([np.zeros(0), *(np.where(pattern, 1.0, -1.0) for pattern in patterns)])

    @cached_property
    def preactivations(self) -> Array:
        """(N,) pre-activations at the point."""
        parts = [stage.preactivations(self.v[stage.inputs]).ravel() for stage in self.objective.stages]
        return np.concatenate([np.zeros(0), *parts])

    @cached_property
    def gradient(self) -> Array:
        """(d,) gradient of the objective on the region."""
        return self.objective.pull_back(self.patterns, self.objective.partial_gradient(self.v[None, :]))[0]

    # --- forward: how everything changes along directions --------------------------------------------------------

    def slopes(self, directions: Array) -> Array:
        """(B, N) derivatives of the pre-activations along directions (B, d)."""
        D = self._in_columns(directions)
        parts = [np.zeros((len(D), 0))]
        for stage, state in zip(self.objective.stages, self.patterns, strict=True):
            hidden, outputs = stage.tangent(_repeated(state, len(D)), stage.gather(D))
            stage.set_outputs(D, outputs)
            parts.append(hidden.reshape(len(D), len(state) * hidden.shape[1]))
        return np.concatenate(parts, axis=1)

    def input_slopes(self, directions: Array) -> Array:
        """(B, n) derivatives of all columns that networks read along directions (B, d)."""
        D = self._in_columns(directions)
        for stage, state in zip(self.objective.stages[:-1], self.patterns, strict=False):
            stage.set_outputs(D, stage.tangent(_repeated(state, len(D)), stage.gather(D))[1])
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
                hidden, D[:, outputs] = stage.tangent(mask[None, :], D[:, inputs], injected)
                parts.append(hidden.T)
                first += pattern.size
        return np.concatenate(parts), D

    # --- backward: gradients of pre-activations ------------------------------------------------------------------

    @cached_property
    def every_gradient(self) -> Array:
        """(N, d) gradients of all pre-activations, for few neurons and many uses."""
        if len(self.objective.stages) == 1 and self.u.size <= self.signs.size:
            along = self.slopes(np.eye(self.u.size))
            return _without_rounding(np.ascontiguousarray(along.T), self._gradient_bounds)
        neurons = np.arange(self.signs.size)
        return _without_rounding(*self._pulled_back(self._input_gradients(neurons), self._gradient_bounds))

    def gradients(self, neurons: Array) -> Array:
        """(m, d) gradients of the given neurons' pre-activations; zero where they are nothing but rounding."""
        if "every_gradient" in vars(self):
            return self.every_gradient[neurons]
        return _without_rounding(*self._pulled_back(self._input_gradients(neurons), self._gradient_bounds[neurons]))

    def input_gradients(self, neurons: Array) -> Array:
        """(m, n) gradients in the columns that each neuron's network reads, whichever network writes these."""
        return _without_rounding(self._input_gradients(neurons), self._gradient_bounds[neurons])

    def pull_back(self, rows: Array) -> Array:
        """Derivatives (m, d) in the decision columns from those in all columns (m, n), which are overwritten."""
        return self._pulled_back(rows, np.zeros(len(rows)))[0]

    def _pulled_back(self, rows: Array, sizes: Array) -> tuple[Array, Array]:
        """Rows (m, n) pulled back to the decision columns (m, d), and the sizes (m,) of what was added on the way."""
        for stage, state in zip(reversed(self.objective.stages), reversed(self.patterns), strict=True):
            seeds = stage.gather_outputs(rows).reshape(len(rows), stage.outputs.size)
            sizes = sizes + stage.jacobian_bound(state) * np.linalg.norm(seeds, axis=1)
            stage.pull_back_rows(rows, state)
        return self.objective.decisions(rows), sizes

    def _input_gradients(self, neurons: Array) -> Array:
        rows = np.zeros((neurons.size, self.v.size))
        for which, positions, columns in by_layer(neurons, [width for *_, width in self._layers]):
            index, embedding, layer, _ = self._layers[which]
            stage = self.objective.stages[index].members[embedding]
            gradients = stage.kink_gradients(self.patterns[index][embedding], layer, columns)
            place = columns_or_slice(positions)
            part = rows[place]
            stage.scatter(part, gradients)
            if not isinstance(place, slice):  # else it is a view
                rows[place] = part
        return rows

    @cached_property
    def _gradient_bounds(self) -> Array:
        """(N,) bounds on the lengths of the pre-activations' gradients in their networks' inputs, for all patterns."""
        parts = [np.tile(stage.kink_gradient_bounds, len(stage.inputs)) for stage in self.objective.stages]
        return np.concatenate([np.zeros(0), *parts])

    @cached_property
    def _layers(self) -> list[tuple[int, int, int, int]]:
        """(stage, embedding, hidden layer of the network, its width) of all hidden layers."""
        return [
            (index, embedding, layer, width)
            for index, stage in enumerate(self.objective.stages)
            for embedding in range(len(stage.inputs))
            for layer, width in enumerate(stage.widths)
        ]


def _repeated(state: Array, count: int) -> Array:
    """The states of one point for a batch."""
    return np.tile(state, (count, *[1] * (state.ndim - 1)))


def _without_rounding(gradients: Array, sizes: Array) -> Array:
    """Gradients, those replaced by zero that are tiny against the sizes (m,) of what they were computed from."""
    rounding = CONSTANT_ROW_TOLERANCE * sizes
    gradients[np.einsum("ij,ij->i", gradients, gradients) <= rounding * rounding] = 0.0
    return gradients
