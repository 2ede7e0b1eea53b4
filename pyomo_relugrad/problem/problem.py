"""A model around networks, as arrays: what every search and every proof works on."""

from __future__ import annotations

from functools import cached_property

import numpy as np
from scipy import sparse

from pyomo_relugrad.arrays import Array, Weight
from pyomo_relugrad.problem.incumbent import ROUNDING, Incumbent, without_nan
from pyomo_relugrad.problem.quadratic import QuadraticFunction
from pyomo_relugrad.problem.structural import StructuralProperty
from pyomo_relugrad.problem.structure import ProblemStructure


class Problem(ProblemStructure):
    """``min cost @ v + v @ quadratic @ v / 2 + constant`` over rows, bounds, integrality and embedded functions.

    Functions are networks and smooth expressions. Any point can be measured. Evaluating them one after another, as
    `propagate` does, asks for an order: no column is written twice, and no function feeds itself through others.
    `presolve` brings every problem into that form. `ProblemData` checks what a problem is made of, `ProblemStructure`
    knows how its parts hang together; here points, arrays (n,) over all columns or (B, n), are evaluated and measured.

    Parameters
    ----------
    cost : (n,) array
    lower, upper : (n,) arrays
        Bounds, infinite where there are none.
    rows : (m, n) csr_array, optional
        ``row_lower <= rows @ v <= row_upper``.
    row_lower, row_upper : (m,) arrays, optional
    integers : (n,) boolean array, optional
    networks : tuple of EmbeddedNetwork, optional
    quadratic : (n, n) csr_array, optional
        Symmetric positive semidefinite.
    constant : float, optional
    maximize : bool, optional
        Whether the model maximizes: everything here is negated already, `reported` negates back.
    column_names, row_names : tuple of str, optional
        Names for messages.
    operations : tuple of Product or Maximum, optional
        Columns that are products or maxima of others, inner ones first. `presolve` states them by rows and networks.
    ordered_sets : tuple of SpecialOrderedSet, optional
        What `presolve` states by rows and binaries.
    followers : tuple of Follower, optional
        Columns that rows make follow from others, as `presolve` leaves them: `incumbent` computes them.
    expressions : tuple of EmbeddedExpression, optional
        Smooth functions of columns, beside the networks.
    function_structure : FunctionStructure, optional
        What was found out about the functions; `replace` hands it on, and it is used as long as these are the same.

    Raises
    ------
    ModelError
        If shapes disagree, or a number is NaN.

    Examples
    --------
    Maximize ``relu(x - 0.25)`` over the unit interval:

    >>> import numpy as np
    >>> from pyomo_relugrad.network import Network
    >>> from pyomo_relugrad.problem import EmbeddedNetwork
    >>> network = Network.from_layers([[[1.0]], [[1.0]]], [[-0.25], [0.0]])
    >>> problem = Problem(
    ...     cost=np.array([0.0, -1.0]), lower=np.array([0.0, -np.inf]), upper=np.array([1.0, np.inf]),
    ...     networks=(EmbeddedNetwork(network, [0], [1]),), maximize=True)
    >>> incumbent = problem.incumbent(np.array([1.0, 0.0]))
    >>> problem.reported(incumbent.objective), incumbent.is_feasible
    (0.75, True)
    """

    def propagate(self, V: Array) -> Array:
        """A copy of the points (B, n) in which every output column is its function's value."""
        V = np.array(V, dtype=np.float64, ndmin=2)
        for stage in self.stages:
            stage.propagate(V)
        return V

    @StructuralProperty
    def function(self) -> QuadraticFunction:
        """The objective, to be minimized, as a function of all columns."""
        return QuadraticFunction(self.cost, self.quadratic, self.constant)

    def objective(self, V: Array) -> Array:
        """Objective values (B,) of the points, to be minimized; infinite where they are not defined."""
        values = self.function.value(V)
        return values if self.is_defined_everywhere else without_nan(values)

    def objective_gradient(self, V: Array) -> Array:
        """Gradient (B, n) of the objective in all columns, outputs counted as independent."""
        return self.function.gradient(V)

    def pull_back(self, V: Array, gradient: Array) -> Array:
        """Total derivatives (B, n) from partial ones, through the functions.

        Parameters
        ----------
        V : (B, n) array
            Points with propagated outputs.
        gradient : (B, n) array
            Derivatives of some function in all columns, outputs counted as independent.

        Returns
        -------
        (B, n) array
            Derivatives in the columns that no function writes; zero in the output columns.
        """
        gradient = np.array(gradient, dtype=np.float64)
        for stage in reversed(self.stages):
            stage.pull_back(gradient, stage.state(V))
        return gradient

    def pull_back_rows(self, v: Array, rows: Array) -> Array:
        """`pull_back` for the gradients (k, n) of many functions at one point (n,) with propagated outputs."""
        rows = np.array(rows, dtype=np.float64)
        for stage in reversed(self.stages):
            stage.pull_back_rows(rows, stage.state(v[None, :]))
        return rows

    @StructuralProperty
    def _transposed_rows(self) -> Weight:
        """The rows as columns, dense where that is small: SciPy's overhead is felt in searches over small models."""
        return self.rows.toarray().T if self.n_rows * self.n_columns <= 100_000 else sparse.csr_array(self.rows.T)

    def row_activity(self, V: Array) -> Array:
        """``rows @ v`` at the points: (B, m)."""
        return V @ self._transposed_rows

    def row_violations(self, V: Array) -> Array:
        """How far each row is outside its sides at the points: (B, m), zero inside."""
        activity = self.row_activity(V)
        return np.maximum(np.maximum(self.row_lower - activity, activity - self.row_upper), 0.0)

    def violation(self, V: Array) -> Array:
        """Largest violation (B,) of rows, bounds and integrality at the points, infinite where a number is NaN."""
        parts = [np.maximum(self.lower - V, V - self.upper)]
        if self.n_rows:
            parts.append(self.row_violations(V))
        if self.integers.any():
            parts.append(np.abs(V - np.round(V)) * self.integers)
        parts += [np.array([[ordered_set.violation(v)] for v in V]) for ordered_set in self.ordered_sets]
        largest = np.concatenate(parts, axis=1).max(axis=1, initial=0.0)
        return largest if self.is_defined_everywhere else without_nan(largest)

    def network_error(self, V: Array) -> Array:
        """Largest difference (B,) between columns and what functions and operations give them at the points.

        Infinite where that is not defined.
        """
        error = np.zeros(len(V))
        for stage in self.equations:
            difference = np.abs(stage.value(stage.gather(V)) - stage.gather_outputs(V))
            error = np.maximum(error, difference.reshape(len(V), -1).max(axis=1, initial=0.0))
        for operation in self.operations:
            error = np.maximum(error, [abs(v[operation.output] - operation.value(v)[0]) for v in V])
        return error if self.is_defined_everywhere else without_nan(error)

    def incumbent(self, v: Array) -> Incumbent:
        """Round the integers, clip to the bounds and onto those that are missed by rounding, propagate, and measure."""
        v = np.clip(np.asarray(v, dtype=np.float64), self.lower, self.upper)
        for bound, rounding in self._bounds_with_rounding:
            v = np.where(np.abs(v - bound) <= rounding, bound, v)
        v = np.where(self.integers, np.round(v), v)
        return self._measured(self.completed(v)[0], is_propagated=not (self.operations or self.followers))

    @cached_property
    def _bounds_with_rounding(self) -> tuple[tuple[Array, Array], ...]:
        """Lower and upper bounds, each with what is rounding of it; infinite ones are zero, with none."""
        finite = [np.where(np.isfinite(bound), bound, 0.0) for bound in (self.lower, self.upper)]
        none = [np.where(np.isfinite(bound), 0.0, np.inf) for bound in (self.lower, self.upper)]
        return tuple((bound, ROUNDING * np.abs(bound) - least) for bound, least in zip(finite, none, strict=True))

    def completed(self, V: Array) -> Array:
        """A copy of points (B, n) in which every output and every follower has the value that follows from the rest."""
        V = self.propagate(V)
        for _ in self.followers:  # functions and followers may read one another
            before = V.copy()
            for follower in self.followers:
                V[:, follower.outputs] = follower.value(V.T).T
            moved = ~((before == V) | (np.isnan(before) & np.isnan(V))).all(axis=0)
            if not moved.any():
                break
            V = self.propagate(V) if (moved & self.is_input).any() else V
        return V

    def measure(self, v: Array) -> Incumbent:
        """A point (n,) as it stands, with its objective and what it violates."""
        return self._measured(v, is_propagated=False)

    def _measured(self, v: Array, is_propagated: bool) -> Incumbent:
        """A point (n,); where propagation has just written all that functions give, that is not computed again."""
        V = v[None, :]
        is_exact = is_propagated and bool(np.isfinite(v).all())
        return Incumbent(
            values=v,
            objective=float(self.objective(V)[0]),
            violation=float(self.violation(V)[0]),
            network_error=0.0 if is_exact else float(self.network_error(V)[0]),
        )
