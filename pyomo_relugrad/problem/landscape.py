"""The objective as a function of the decision columns alone, evaluated and differentiated on batches."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from pyomo_relugrad.arrays import Array
from pyomo_relugrad.network import Network
from pyomo_relugrad.problem.problem import NetworkStage, Problem

if TYPE_CHECKING:
    from numpy.typing import DTypeLike


class Landscape:
    """Heights (minus the objective) and their gradients over the columns that no network writes.

    The searches climb, as the literature does, whichever way the model optimizes.

    Parameters
    ----------
    problem : Problem
    dtype : floating-point type, optional
        float32 halves the cost of a step; the incumbents are re-evaluated in float64 elsewhere.
    """

    def __init__(self, problem: Problem, dtype: DTypeLike = np.float32) -> None:
        self.problem = problem
        self.dtype = np.dtype(dtype)
        self.columns = np.flatnonzero(~problem.is_output)
        self.networks = tuple(stage.network.astype(dtype) for stage in problem.stages)
        self._chosen = columns_or_slice(self.columns)
        self._inputs = tuple(columns_or_slice(stage.inputs.ravel()) for stage in problem.stages)
        self._outputs = tuple(columns_or_slice(stage.outputs.ravel()) for stage in problem.stages)
        self._cost = problem.cost.astype(dtype)
        self._quadratic = None if problem.quadratic is None else problem.quadratic.astype(dtype)
        self._single = SingleNetwork.of(self)

    @property
    def size(self) -> int:
        """Number of decision columns."""
        return int(self.columns.size)

    @property
    def n_weights(self) -> int:
        """Weights that one evaluation of a point multiplies."""
        stages = self.problem.stages
        return sum(network.n_weights * len(stage.inputs) for network, stage in zip(self.networks, stages, strict=True))

    @property
    def n_relus(self) -> int:
        """ReLUs that one evaluation of a point passes, counted once per embedding."""
        return sum(stage.network.n_relus * len(stage.inputs) for stage in self.problem.stages)

    def points(self, U: Array) -> Array:
        """All columns (B, n) at the rows of `U` (B, size), in float64, with the networks' values filled in."""
        V = np.zeros((len(U), self.problem.n_columns))
        V[:, self.columns] = self.in_float64(U)
        return self.problem.propagate(V)

    def in_float64(self, U: Array) -> Array:
        """The points (B, size) or (size,) in float64, with entries on a rounded bound set onto the bound itself."""
        exact = U.astype(np.float64)
        if U.dtype != np.float64:
            for bound in (self.problem.lower[self.columns], self.problem.upper[self.columns]):
                exact = np.where(bound.astype(U.dtype) == U, bound, exact)
        return exact

    def height(self, U: Array) -> Array:
        """Heights (B,) at the rows of `U`."""
        return self._heights(self._forward(U)[0]) if self._single is None else self._single.height(U)

    def height_and_gradient(self, U: Array) -> tuple[Array, Array]:
        """Heights (B,) and their gradients (B, size) at the rows of `U`, one-sided at kinks."""
        if self._single is not None:
            return self._single.height_and_gradient(U)
        V, patterns = self._forward(U)
        return self._heights(V), self.pull_back(patterns, self.partial_gradient(V))

    def patterns(self, U: Array) -> tuple[Array, ...]:
        """Activation patterns at the rows of `U`: per stage a (B * embeddings, n_relus) boolean array."""
        return self._forward(U)[1]

    def gradient_under(self, U: Array, patterns: tuple[Array, ...]) -> Array:
        """Gradients (B, size) at the rows of `U` with the ReLUs held in the given patterns."""
        return self.pull_back(patterns, self.partial_gradient(self._forward(U)[0]))

    def partial_gradient(self, V: Array) -> Array:
        """Derivatives (B, n) of the height in all columns, outputs counted as independent."""
        gradient = np.repeat(-self._cost[None, :], len(V), axis=0)
        return gradient if self._quadratic is None else gradient - V @ self._quadratic

    def pull_back(self, patterns: tuple[Array, ...], gradient: Array) -> Array:
        """Total derivatives (B, size) in the decision columns from partial ones (B, n), which are overwritten."""
        for index in range(len(self.networks) - 1, -1, -1):
            network, stage = self.networks[index], self.problem.stages[index]
            seeds = gradient[:, self._outputs[index]].reshape(-1, network.n_outputs)
            parts = network.pull_back(patterns[index], len(network.layers) - 1, seeds)
            parts = parts.reshape(len(gradient), stage.inputs.size)
            if stage.inputs_repeat:
                np.add.at(gradient.T, stage.inputs.ravel(), parts.T)
            else:
                gradient[:, self._inputs[index]] += parts
        return gradient[:, self._chosen]

    def _forward(self, U: Array) -> tuple[Array, tuple[Array, ...]]:
        V = np.zeros((len(U), self.problem.n_columns), self.dtype)
        V[:, self._chosen] = U
        patterns = []
        for index, network in enumerate(self.networks):
            pattern, outputs = _trace(network, V[:, self._inputs[index]].reshape(-1, network.n_inputs))
            V[:, self._outputs[index]] = outputs.reshape(len(V), self.problem.stages[index].outputs.size)
            patterns.append(pattern)
        return V, tuple(patterns)

    def _heights(self, V: Array) -> Array:
        heights = -(V @ self._cost) - self.problem.constant
        if self._quadratic is not None:
            heights = heights - 0.5 * np.einsum("bi,bi->b", V, V @ self._quadratic)
        return heights


@dataclass(frozen=True, eq=False)
class SingleNetwork:
    """A landscape of one network that reads every decision column, in order: nothing has to be copied for it.

    Parameters
    ----------
    network : Network
    input_weights : (n_inputs,) array or None
        What the inputs add to the height, None where they add nothing.
    output_weights : (n_outputs,) array
    constant : float
    """

    network: Network
    input_weights: Array | None
    output_weights: Array
    constant: float

    @classmethod
    def of(cls, landscape: Landscape) -> SingleNetwork | None:
        """The landscape in this form, None where it has another one."""
        problem = landscape.problem
        if len(problem.networks) != 1 or problem.quadratic is not None:
            return None
        embedded, weights = problem.networks[0], -problem.cost.astype(landscape.dtype)
        if not np.array_equal(embedded.inputs, landscape.columns):
            return None
        on_inputs = weights[embedded.inputs]
        network, constant = landscape.networks[0], -problem.constant
        return cls(network, on_inputs if on_inputs.any() else None, weights[embedded.outputs], constant)

    def height(self, U: Array) -> Array:
        """Heights (B,) at the rows of `U`."""
        return self._heights(U, self.network.value(U))

    def height_and_gradient(self, U: Array) -> tuple[Array, Array]:
        """Heights (B,) and their gradients (B, n_inputs) at the rows of `U`."""
        outputs, gradient = self.network.value_and_gradient(U, self.output_weights)
        if self.input_weights is not None:
            gradient += self.input_weights
        return self._heights(U, outputs), gradient

    def _heights(self, U: Array, outputs: Array) -> Array:
        heights = outputs @ self.output_weights + self.constant
        return heights if self.input_weights is None else heights + U @ self.input_weights


def add_to_inputs(stage: NetworkStage, gradient: Array, parts: Array) -> None:
    """Add derivatives ``parts[:, i]`` to the input columns of embedding ``i``, in place."""
    if stage.inputs_repeat:
        np.add.at(gradient.T, stage.inputs.ravel(), parts.reshape(len(gradient), stage.inputs.size).T)
    else:
        gradient[:, stage.inputs] += parts


def columns_or_slice(columns: Array) -> Array | slice:
    """The columns as a slice where they are consecutive, which indexes faster."""
    if columns.size and np.array_equal(columns, np.arange(columns[0], columns[0] + columns.size)):
        return slice(int(columns[0]), int(columns[0]) + columns.size)
    return columns


def _trace(network: Network, X: Array) -> tuple[Array, Array]:
    """Activation pattern (B, n_relus) and outputs at the rows of `X`."""
    activations = network.activations(X)
    pattern = np.empty((len(X), network.n_relus), bool)
    position = 0
    for hidden in activations[1:-1]:
        np.greater(hidden, 0, out=pattern[:, position : position + hidden.shape[1]])
        position += hidden.shape[1]
    return pattern, activations[-1]
