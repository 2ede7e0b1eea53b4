"""A model around networks, as arrays: what every search and every proof works on."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from enum import Enum
from functools import cached_property
from typing import Any, cast

import numpy as np
from scipy import sparse

from pyomo_relugrad.arrays import Array, Weight
from pyomo_relugrad.errors import ModelError
from pyomo_relugrad.problem.embedding import (
    EmbeddedExpression,
    EmbeddedFunction,
    EmbeddedNetwork,
    stacked,
    stages_of,
)
from pyomo_relugrad.problem.incumbent import ROUNDING, Incumbent, without_nan
from pyomo_relugrad.problem.network_stage import NetworkStage
from pyomo_relugrad.problem.operations import Follower, Maximum, Product, SpecialOrderedSet
from pyomo_relugrad.problem.quadratic import QuadraticFunction
from pyomo_relugrad.problem.stages import Stage
from pyomo_relugrad.problem.structural import FunctionProperty, FunctionStructure, StructuralProperty, share_structure


class Shape(Enum):
    """What the constraints of a problem look like; it decides which way a search goes."""

    BOX = "box"
    POLYTOPE = "polytope"
    GENERAL = "general"


def _canonical(rows: Weight) -> Weight:
    """The same with sorted entries, which SciPy else sorts in place: a process that shares them cannot write there."""
    if rows.has_canonical_format:
        return rows
    rows = rows.copy()
    rows.sum_duplicates()
    return rows


@dataclass(frozen=True, eq=False)
class Problem:
    """``min cost @ v + v @ quadratic @ v / 2 + constant`` over rows, bounds, integrality and embedded functions.

    Functions are networks and smooth expressions. Any point can be measured. Evaluating them one after another, as
    `propagate` does, asks for an order: no column is written twice, and no function feeds itself through others.
    `presolve` brings every problem into that form.

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
    >>> network = Network.from_layers([[[1.0]], [[1.0]]], [[-0.25], [0.0]])
    >>> problem = Problem(
    ...     cost=np.array([0.0, -1.0]), lower=np.array([0.0, -np.inf]), upper=np.array([1.0, np.inf]),
    ...     networks=(EmbeddedNetwork(network, [0], [1]),), maximize=True)
    >>> incumbent = problem.incumbent(np.array([1.0, 0.0]))
    >>> problem.reported(incumbent.objective), incumbent.is_feasible
    (0.75, True)
    """

    cost: Array
    lower: Array
    upper: Array
    rows: Weight = None
    row_lower: Array = None  # type: ignore[assignment]  # set on creation
    row_upper: Array = None  # type: ignore[assignment]
    integers: Array = None  # type: ignore[assignment]
    networks: tuple[EmbeddedNetwork, ...] = ()
    quadratic: Weight = None
    constant: float = 0.0
    maximize: bool = False
    column_names: tuple[str, ...] = ()
    row_names: tuple[str, ...] = ()
    operations: tuple[Product | Maximum, ...] = ()
    ordered_sets: tuple[SpecialOrderedSet, ...] = ()
    followers: tuple[Follower, ...] = ()
    expressions: tuple[EmbeddedExpression, ...] = ()
    function_structure: FunctionStructure = field(default=None, repr=False)  # type: ignore[assignment]

    def __post_init__(self) -> None:
        n = len(self.cost)
        rows = sparse.csr_array((0, n)) if self.rows is None else self.rows
        rows = _canonical(rows if isinstance(rows, sparse.csr_array) else sparse.csr_array(rows))
        m = rows.shape[0]
        fields: dict[str, Any] = {
            "cost": np.asarray(self.cost, dtype=np.float64),
            "lower": np.asarray(self.lower, dtype=np.float64),
            "upper": np.asarray(self.upper, dtype=np.float64),
            "rows": rows,
            "row_lower": np.full(m, -np.inf) if self.row_lower is None else np.asarray(self.row_lower, np.float64),
            "row_upper": np.full(m, np.inf) if self.row_upper is None else np.asarray(self.row_upper, np.float64),
            "integers": np.zeros(n, bool) if self.integers is None else np.asarray(self.integers, bool),
            "networks": tuple(self.networks),
            "expressions": tuple(self.expressions),
        }
        for name, value in fields.items():
            object.__setattr__(self, name, value)
        about = n, self.networks, self.expressions
        if self.function_structure is None or not self.function_structure.fits(*about):
            object.__setattr__(self, "function_structure", FunctionStructure(*about))
        self._check_shapes(n, m)
        self._check_sides("bound", self.column_names, self.lower, self.upper)
        self._check_sides("side", self.row_names, self.row_lower, self.row_upper)

    def _check_shapes(self, n: int, m: int) -> None:
        expected = {"lower": n, "upper": n, "integers": n, "row_lower": m, "row_upper": m}
        for name, size in expected.items():
            if getattr(self, name).shape != (size,):
                raise ModelError(f"{name} has shape {getattr(self, name).shape}: give an array of shape ({size},)")
        if self.rows.shape[1] != n:
            raise ModelError(f"the rows have {self.rows.shape[1]} columns: give one for each of the {n} columns")
        if self.quadratic is not None and self.quadratic.shape != (n, n):
            raise ModelError(f"the quadratic part has shape {self.quadratic.shape}: give one of shape ({n}, {n})")
        numbers = self.cost, self.rows.data, () if self.quadratic is None else self.quadratic.data
        if not all(np.isfinite(part).all() for part in numbers):
            raise ModelError("a cost or a coefficient of a row is NaN or infinite: give finite numbers")

    @staticmethod
    def _check_sides(what: str, names: tuple[str, ...], lower: Array, upper: Array) -> None:
        for side, values, never in (("lower", lower, np.inf), ("upper", upper, -np.inf)):
            wrong = np.flatnonzero(np.isnan(values) | (values == never))
            if wrong.size:
                place = repr(names[wrong[0]]) if names else f"{'column' if what == 'bound' else 'row'} {wrong[0]}"
                raise ModelError(
                    f"the {side} {what} of {place} is {values[wrong[0]]}, which no number satisfies: give another"
                )

    # --- structure ----------------------------------------------------------------------------------------------

    def with_bounds(self, lower: Array, upper: Array) -> Problem:
        """The problem with other bounds; what does not depend on them is not found out again."""
        problem = replace(self, lower=lower, upper=upper)
        share_structure(problem, self)
        return problem

    @property
    def n_columns(self) -> int:
        """Number of columns."""
        return int(self.cost.size)

    @property
    def n_rows(self) -> int:
        """Number of rows."""
        return int(self.row_lower.size)

    def column_name(self, column: int) -> str:
        """Name of a column, or its number, for messages."""
        return self.column_names[column] if self.column_names else f"column {column}"

    def describe_column(self, column: int) -> str:
        """What a column is, for messages that begin with it."""
        return f"variable '{self.column_names[column]}'" if self.column_names else f"column {column}"

    def describe_row(self, row: int) -> str:
        """What a row is, for messages that begin with it."""
        return f"constraint '{self.row_names[row]}'" if self.row_names else f"row {row}"

    @property
    def functions(self) -> tuple[EmbeddedFunction, ...]:
        """The networks, then the expressions."""
        return (*self.networks, *self.expressions)

    @FunctionProperty
    def is_output(self) -> Array:
        """(n,) booleans: the columns that networks and expressions write."""
        mask = np.zeros(self.n_columns, bool)
        for embedded in self.functions:
            mask[embedded.outputs] = True
        return mask

    @FunctionProperty
    def is_input(self) -> Array:
        """(n,) booleans: the columns that networks and expressions read."""
        mask = np.zeros(self.n_columns, bool)
        for embedded in self.functions:
            mask[embedded.inputs] = True
        return mask

    @cached_property
    def free_integers(self) -> Array:
        """(n,) booleans: integers that no function writes, and to which their bounds leave a choice."""
        return self.integers & ~self.is_output & (self.lower < self.upper)

    @FunctionProperty
    def links_networks(self) -> Array:
        """(n,) booleans: the columns that one network writes and another one reads."""
        written, read = np.zeros((2, self.n_columns), bool)
        for embedded in self.networks:
            written[embedded.outputs] = read[embedded.inputs] = True
        return written & read

    @StructuralProperty
    def _transposed_rows(self) -> Weight:
        """The rows as columns, dense where that is small: SciPy's overhead is felt in searches over small models."""
        return self.rows.toarray().T if self.n_rows * self.n_columns <= 100_000 else sparse.csr_array(self.rows.T)

    @StructuralProperty
    def rows_touch_output(self) -> Array:
        """(m,) booleans: the rows with a column that some function writes."""
        return abs(self.rows) @ self.is_output.astype(float) > 0 if self.n_rows else np.zeros(0, bool)

    @StructuralProperty
    def decision_rows(self) -> Weight:
        """The rows without columns that functions write, over the columns that none does."""
        return sparse.csr_array(self.rows[~self.rows_touch_output][:, ~self.is_output])

    @FunctionProperty
    def stages(self) -> tuple[Stage, ...]:
        """The functions in the order in which they can be evaluated, equal ones of one depth together.

        Raises
        ------
        ModelError
            If there is no such order, because a column is written twice or functions feed each other in a circle.
        """
        return stages_of(self.functions, self.n_columns)

    @property
    def is_defined_everywhere(self) -> bool:
        """Whether every function has a value at every point; expressions may have none, which is NaN."""
        return not self.expressions

    @FunctionProperty
    def is_piecewise_linear(self) -> bool:
        """Whether every function has linear regions."""
        return not self.expressions and all(embedded.network.is_piecewise_linear for embedded in self.networks)

    @property
    def smooth_part(self) -> str:
        """Kind and name of the first function that is not piecewise linear, for messages."""
        for embedded in self.networks:
            if not embedded.network.is_piecewise_linear:
                return f"{embedded.label} with {', '.join(embedded.network.smooth_activations)} neurons"
        return self.expressions[0].label

    @property
    def network_stages(self) -> tuple[NetworkStage, ...]:
        """The stages of a problem with networks alone, for what bounds them.

        Raises
        ------
        ModelError
            If there is an expression; names it.
        """
        if self.expressions:
            raise ModelError(
                f"{self.expressions[0].label} is smooth, and what was asked for needs networks: use solver 'relugrad' "
                "with method 'auto'"
            )
        return cast(tuple[NetworkStage, ...], self.stages)

    @property
    def relu_stages(self) -> tuple[NetworkStage, ...]:
        """The stages of a piecewise-linear problem, for what needs linear regions or rows and binaries of networks.

        Raises
        ------
        ModelError
            If there is a smooth function; names it.
        """
        if not self.is_piecewise_linear:
            raise ModelError(
                f"{self.smooth_part} is smooth, and what was asked for needs piecewise-linear functions: use solver "
                "'relugrad' with method 'auto', or 'relugrad.exact'"
            )
        return cast(tuple[NetworkStage, ...], self.stages)

    @FunctionProperty
    def equations(self) -> tuple[Stage, ...]:
        """The embeddings of each function together, in any order."""
        return stacked(self.functions, [0] * len(self.functions))

    @cached_property
    def shape(self) -> Shape:
        """Box, polytope in the columns that no function writes, or general (integers, rows or bounds on outputs)."""
        bounded_output = np.isfinite(self.lower) | np.isfinite(self.upper)
        if self.integers.any() or (bounded_output & self.is_output).any():
            return Shape.GENERAL
        if self.n_rows == 0:
            return Shape.BOX
        return Shape.GENERAL if self.rows_touch_output.any() else Shape.POLYTOPE

    # --- evaluation ---------------------------------------------------------------------------------------------

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

    @StructuralProperty
    def follows(self) -> Array:
        """(n,) booleans: columns that followers write."""
        follows = np.zeros(self.n_columns, bool)
        follows[[column for follower in self.followers for column in follower.outputs]] = True
        return follows

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

    def reported(self, objective: float) -> float:
        """An objective value or bound in the sense of the model."""
        return 0.0 - objective if self.maximize else objective  # never -0.0
