"""The objective as a function of the decision columns alone, evaluated and differentiated on batches."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import numpy as np

from pyomo_relugrad.arrays import Array, DTypeLike, columns_or_slice
from pyomo_relugrad.network import Layer, LayeredFunction
from pyomo_relugrad.problem.incumbent import without_nan
from pyomo_relugrad.problem.network_stage import NetworkStage
from pyomo_relugrad.problem.problem import Problem
from pyomo_relugrad.problem.stages import Stage
from pyomo_relugrad.problem.structural import structure_of

#: Of an output that is an objective.
ONE = np.ones((1, 1))


class ReducedObjective:
    """The objective, to be minimized, over the decision columns: those that no function writes.

    Parameters
    ----------
    problem : Problem
    dtype : floating-point type, optional
        float32 halves the cost of a step; the incumbents are re-evaluated in float64 elsewhere.
    """

    def __init__(self, problem: Problem, dtype: DTypeLike = np.float64) -> None:
        self.problem = problem
        self.dtype = np.dtype(dtype)
        structure, key = structure_of(problem), ("reduced objective", self.dtype)
        if key in structure:  # of a problem with other bounds
            vars(self).update(structure[key])
            return
        self.columns = np.flatnonzero(~problem.is_output)
        self.stages: tuple[Stage, ...] = tuple(stage.astype(dtype) for stage in problem.stages)
        self._chosen = columns_or_slice(self.columns)
        self._function = problem.function.astype(dtype)
        self.single = SingleNetwork.of(self)
        structure[key] = {name: value for name, value in vars(self).items() if name != "problem"}

    @property
    def size(self) -> int:
        """Number of decision columns."""
        return int(self.columns.size)

    @property
    def network_stages(self) -> tuple[NetworkStage, ...]:
        """The stages of a problem of networks alone; raises ModelError where there are expressions."""
        return cast(tuple[NetworkStage, ...], self.stages) if self.problem.network_stages else ()

    @property
    def relu_stages(self) -> tuple[NetworkStage, ...]:
        """The stages of a piecewise-linear problem; raises ModelError where a function is smooth."""
        return cast(tuple[NetworkStage, ...], self.stages) if self.problem.relu_stages else ()

    @property
    def n_weights(self) -> int:
        """Weights that one evaluation of a point multiplies."""
        return sum(stage.work * len(stage.inputs) for stage in self.stages)

    @property
    def n_relus(self) -> int:
        """ReLUs that one evaluation of a point passes, counted once per embedding."""
        return sum(stage.network.n_relus * len(stage.inputs) for stage in self.relu_stages)

    def points(self, U: Array) -> Array:
        """All columns (B, n) at the rows of `U` (B, size), in float64, with the functions' values filled in."""
        V = np.zeros((len(U), self.problem.n_columns))
        V[:, self._chosen] = self.in_float64(U)
        return self.problem.propagate(V)

    def in_float64(self, U: Array) -> Array:
        """The points (B, size) or (size,) in float64, with entries on a rounded bound set onto the bound itself."""
        exact = U.astype(np.float64)
        if U.dtype != np.float64:
            for bound in (self.problem.lower[self.columns], self.problem.upper[self.columns]):
                exact = np.where(bound.astype(U.dtype) == U, bound, exact)
        return exact

    def cast(self, U: Array) -> Array:
        """Points in the class's floating-point type."""
        return U.astype(self.dtype, copy=False)

    def decisions(self, V: Array) -> Array:
        """The decision columns (B, size) of points (B, n)."""
        return V[:, self._chosen]

    def value(self, U: Array) -> Array:
        """Values (B,) at the rows of `U`, infinite where there is none."""
        values = self._function.value(self._forward(U)[0]) if self.single is None else self.single.value(U)
        return values if self.problem.is_defined_everywhere else without_nan(values)

    def value_and_gradient(self, U: Array) -> tuple[Array, Array]:
        """Values (B,) and gradients (B, size) at the rows of `U`, one-sided at kinks.

        Where there is no value, it is infinite, and the gradient zero.
        """
        if self.single is not None:
            return self.single.value_and_gradient(U)
        V, states = self._forward(U)
        values, gradient = self._function.value(V), self.pull_back(states, self.partial_gradient(V))
        if self.problem.is_defined_everywhere:
            return values, gradient
        return without_nan(values), np.where(np.isnan(values)[:, None], 0.0, gradient)

    def patterns(self, U: Array) -> tuple[Array, ...]:
        """Activation patterns at the rows of `U`: per stage a (B * embeddings, n_relus) boolean array."""
        return self._forward(U)[1]

    def gradient_under(self, U: Array, states: tuple[Array | None, ...]) -> Array:
        """Gradients (B, size) at the rows of `U` under the given states of the stages, None for those there."""
        V, own = self._forward(U)
        chosen = [at_point if given is None else given for at_point, given in zip(own, states, strict=True)]
        return self.pull_back(tuple(chosen), self.partial_gradient(V))

    def row_space_directions(self, random: np.random.Generator, count: int) -> Array:
        """Directions (count, size) in which the first layers of networks grow, or random ones of expressions."""
        directions = np.zeros((count, self.problem.n_columns), self.dtype)
        for stage in self.stages:
            stage.scatter(directions, stage.random_directions(random, count))
        return self.decisions(directions)

    def partial_gradient(self, V: Array) -> Array:
        """Derivatives (B, n) in all columns, outputs counted as independent."""
        return self._function.gradient(V)

    def pull_back(self, states: tuple[Array, ...], gradient: Array) -> Array:
        """Total derivatives (B, size) in the decision columns from partial ones (B, n), which are overwritten."""
        for stage, state in zip(reversed(self.stages), reversed(states), strict=True):
            stage.pull_back(gradient, state)
        return self.decisions(gradient)

    def _forward(self, U: Array) -> tuple[Array, tuple[Array, ...]]:
        """All columns (B, n) in the class's floating-point type, and the states of the stages."""
        V = np.zeros((len(U), self.problem.n_columns), self.dtype)
        V[:, self._chosen] = U
        return V, tuple([stage.propagate_with_state(V) for stage in self.stages])


@dataclass(frozen=True, eq=False)
class SingleNetwork:
    """An objective of one network that reads every decision column, in order: nothing has to be copied for it.

    Parameters
    ----------
    network : LayeredFunction
        Its one output is the objective but for the costs of the inputs.
    input_weights : (n_inputs,) array or None
        These, None where they are zero.
    """

    network: LayeredFunction
    input_weights: Array | None

    @classmethod
    def of(cls, objective: ReducedObjective) -> SingleNetwork | None:
        """The objective in this form, None where it has another one."""
        problem = objective.problem
        if len(problem.networks) != 1 or problem.expressions or problem.quadratic is not None:
            return None
        embedded, costs = problem.networks[0], problem.cost.astype(objective.dtype)
        if not np.array_equal(embedded.inputs, objective.columns):
            return None
        *hidden, last = objective.network_stages[0].network.layers
        on_inputs, on_outputs = costs[embedded.inputs], costs[None, embedded.outputs]
        constant = on_outputs @ last.bias + np.array([problem.constant], objective.dtype)
        weighted = Layer(last.sources, tuple(on_outputs @ weight for weight in last.weights), constant)
        network = LayeredFunction(embedded.inputs.size, (*hidden, weighted))
        return cls(network, on_inputs if on_inputs.any() else None)

    def value(self, U: Array) -> Array:
        """Values (B,) at the rows of `U`."""
        return self._with_inputs(U, self.network.value(U))

    def value_and_gradient(self, U: Array) -> tuple[Array, Array]:
        """Values (B,) and gradients (B, n_inputs) at the rows of `U`."""
        outputs, gradient = self.network.value_and_gradient(U, ONE)
        if self.input_weights is not None:
            gradient += self.input_weights
        return self._with_inputs(U, outputs), gradient

    def _with_inputs(self, U: Array, outputs: Array) -> Array:
        values = outputs[:, 0]
        return values if self.input_weights is None else values + U @ self.input_weights
