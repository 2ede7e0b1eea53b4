"""How the linear program over a region is laid out: in the decision columns, or in all columns with link rows."""

from __future__ import annotations

from abc import ABC, abstractmethod
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from scipy import sparse

from pyomo_relugrad.arrays import Array, Weight
from pyomo_relugrad.problem import Problem, ReducedObjective
from pyomo_relugrad.programs import Linearization, LinearProgram
from pyomo_relugrad.search.regions.region import Region
from pyomo_relugrad.search.regions.unit_box import BoundedSides

# Entries of the rows on outputs over all columns up to which the networks are eliminated from them.
MAX_OUTPUT_ENTRIES = 4_000_000
# Networks above which each facet has few of the columns, and the simplex method is faster than the interior point.
MAX_DENSE_NETWORKS = 20
# Programs that change little from solve to solve: presolve would cost more than the solve, and lose the basis.
SIMPLEX: dict[str, Any] = {"presolve": "off"}
# Rows on outputs may be equations, whose violation counts: HiGHS's own tolerance is a tenth of what a point may have.
TIGHT: dict[str, Any] = {"primal_feasibility_tolerance": 1e-9}


class LayoutRows(NamedTuple):
    """``lower <= rows @ x <= upper`` over the columns of a layout; the rows are dense or a csr_array."""

    rows: Weight
    lower: Array
    upper: Array


class Layout(ABC):
    """Columns and rows of the linear program over a region, without its facets; integer columns are held.

    Parameters
    ----------
    problem : Problem
    columns : (k,) int array
        The problem's columns that the program has.
    fixed : LayoutRows
        Rows over these columns that are the same on every region.
    options : dict
        Of HiGHS.
    """

    def __init__(self, problem: Problem, columns: Array, fixed: LayoutRows, options: dict[str, Any]) -> None:
        self._problem, self._columns, self._fixed, self._options = problem, columns, fixed, options
        self.n_fixed = fixed.lower.size
        self._lower, self._upper, self._integers = (
            part[columns] for part in (problem.lower, problem.upper, problem.integers)
        )
        self._decides = np.flatnonzero(~problem.is_output[columns])

    def program(self) -> LinearProgram:
        """Columns, bounds and the fixed rows."""
        cost = self._problem.cost[self._columns]
        return LinearProgram(
            cost, self._lower, self._upper, *self._fixed, quadratic=self._problem.quadratic, options=self._options
        )

    def has_rows_of(self, other: Layout) -> bool:
        """Whether a program of another layout differs from this one's by linear costs, bounds and sides alone."""
        return (
            type(self) is type(other)
            and self._options == other._options
            and np.array_equal(self._columns, other._columns)
            and _are_equal(self._fixed.rows, other._fixed.rows)
            and _are_equal(self._problem.quadratic, other._problem.quadratic)
        )

    def renew(self, program: LinearProgram) -> LinearProgram:
        """A program of a layout of the same rows with the costs, bounds and sides of this one."""
        program.change_costs(self._problem.cost[self._columns])
        program.change_bounds(self._lower, self._upper)
        program.change_row_bounds(np.arange(self.n_fixed), *self._fixed[1:])
        return program

    def open(self, program: LinearProgram, region: Region, reach: Array | None = None) -> float:
        """Set costs and bounds for a region; returns what the costs were divided by.

        `reach` (d,) is how far each decision may move; any distance where it is None.
        """
        if self._integers.any() or reach is not None:
            program.change_bounds(*self._bounds(region, reach))
        return 1.0

    def _bounds(self, region: Region, reach: Array | None = None) -> tuple[Array, Array]:
        at, lower, upper = self.point(region), self._lower, self._upper
        if reach is not None:
            distance = np.full(at.size, np.inf)
            distance[self._decides] = reach
            lower, upper = np.maximum(lower, at - distance), np.minimum(upper, at + distance)
        return np.where(self._integers, at, lower), np.where(self._integers, at, upper)

    def point(self, region: Region) -> Array:
        """The region's point in the program's columns."""
        return region.v[self._columns]

    def decisions(self, values: Array) -> Array:
        """The decision columns (d,) of a solution."""
        return values[self._decides]

    def limits(self, region: Region) -> BoundedSides | None:
        """Bounds and rows for an interior-point method; None where the simplex method is the one to take."""
        return None

    @abstractmethod
    def region_rows(self, region: Region) -> LayoutRows:
        """The rows that change from region to region; their number does not."""

    @abstractmethod
    def facet_gradients(self, region: Region, neurons: Array) -> Array:
        """Gradients (m, k) of pre-activations in the program's columns, zero where they are nothing but rounding."""

    @abstractmethod
    def partial_gradient(self, region: Region, row_duals: Array, column_duals: Array) -> Array:
        """(n,) partial derivatives, in the outputs, of the Lagrangian without facets and links."""

    @abstractmethod
    def row_multipliers(self, row_duals: Array) -> Array:
        """(m,) multipliers of the problem's rows among those of the program's rows."""


def _are_equal(first: Weight, second: Weight) -> bool:
    """Whether two sparse matrices have the same entries in the same order; None is one without any."""
    if first is None or second is None or first is second:
        return first is second
    return first.shape == second.shape and all(
        np.array_equal(getattr(first, part), getattr(second, part)) for part in ("indptr", "indices", "data")
    )


def layout_of(objective: ReducedObjective, max_output_entries: int = MAX_OUTPUT_ENTRIES) -> Layout:
    """The decision columns alone, unless the objective is quadratic or rows on outputs are too many.

    Over all columns a quadratic objective is the problem's own, and its optimum over a region exact.
    """
    problem = objective.problem
    is_large = problem.n_columns * int(problem.rows_touch_output.sum()) > max_output_entries
    return FullLayout(problem) if problem.quadratic is not None or is_large else ReducedLayout(objective)


class ReducedLayout(Layout):
    """The decision columns; networks are eliminated from the objective and from rows and bounds on outputs.

    Parameters
    ----------
    objective : ReducedObjective
        Linear in the problem's columns.
    """

    def __init__(self, objective: ReducedObjective) -> None:
        problem, columns = objective.problem, objective.columns
        hard, elastic = np.flatnonzero(~problem.rows_touch_output), np.flatnonzero(problem.rows_touch_output)
        fixed = LayoutRows(problem.decision_rows, problem.row_lower[hard], problem.row_upper[hard])
        bounded = np.flatnonzero(problem.is_output & (np.isfinite(problem.lower) | np.isfinite(problem.upper)))
        picks = np.zeros((bounded.size, problem.n_columns))
        picks[np.arange(bounded.size), bounded] = 1.0
        self._on_outputs = LayoutRows(
            np.concatenate([problem.rows[elastic].toarray(), picks]) if elastic.size else picks,
            np.concatenate([problem.row_lower[elastic], problem.lower[bounded]]),
            np.concatenate([problem.row_upper[elastic], problem.upper[bounded]]),
        )
        super().__init__(problem, columns, fixed, SIMPLEX | TIGHT if len(picks) + elastic.size else SIMPLEX)

    def open(self, program: LinearProgram, region: Region, reach: Array | None = None) -> float:
        """Also set the costs to the region's gradient, of largest component one: HiGHS's tolerances are absolute."""
        super().open(program, region, reach)
        scale = float(np.abs(region.gradient).max(initial=0.0)) or 1.0
        program.change_costs(region.gradient / scale)
        return scale

    def region_rows(self, region: Region) -> LayoutRows:
        """Rows and bounds on outputs."""
        rows, lower, upper = self._on_outputs
        reduced = region.pull_back(rows.copy())
        constant = rows @ region.v - reduced @ region.u
        return LayoutRows(reduced, lower - constant, upper - constant)

    def facet_gradients(self, region: Region, neurons: Array) -> Array:
        """Gradients through all networks."""
        return region.gradients(neurons)

    def partial_gradient(self, region: Region, row_duals: Array, column_duals: Array) -> Array:
        """(n,) the objective's, less what the multipliers of rows and bounds on outputs take away."""
        gradient: Array = self._problem.objective_gradient(region.v[None, :])[0]
        return gradient - row_duals[self.n_fixed :] @ self._on_outputs.rows

    def row_multipliers(self, row_duals: Array) -> Array:
        """Rows without outputs come first, then those on outputs."""
        order = np.argsort(self._problem.rows_touch_output, kind="stable")
        multipliers = np.empty(order.size)
        multipliers[order] = row_duals[: order.size]
        return multipliers

    def limits(self, region: Region) -> BoundedSides | None:
        """Bounds and rows, unless bounds are infinite, rows are equations or many, or the facets are sparse."""
        lower, upper = (np.concatenate(sides) for sides in zip(self._fixed[1:], self._on_outputs[1:], strict=True))
        is_sparse = len(self._problem.networks) > MAX_DENSE_NETWORKS
        if is_sparse or not BoundedSides.fits(self._lower, self._upper, lower, upper):
            return None
        changing = self.region_rows(region)
        rows = np.concatenate([self._dense_rows, changing.rows])
        lower, upper = (np.concatenate(sides) for sides in zip(self._fixed[1:], changing[1:], strict=True))
        return BoundedSides.of(*self._bounds(region), rows, lower, upper)

    @cached_property
    def _dense_rows(self) -> Array:
        return self._fixed.rows.toarray()


class FullLayout(Layout):
    """All columns of the problem; each network is its affine function on the region, as link rows."""

    def __init__(self, problem: Problem) -> None:
        rows = LayoutRows(problem.rows, problem.row_lower, problem.row_upper)
        options = SIMPLEX | TIGHT if problem.quadratic is None else TIGHT
        super().__init__(problem, np.arange(problem.n_columns), rows, options)
        self._linearization = Linearization(problem)

    def region_rows(self, region: Region) -> LayoutRows:
        """The link rows."""
        links, right = self._linearization.links(region.v, region.patterns)
        shape = (right.size, self._problem.n_columns)
        return LayoutRows(sparse.csr_array((links.data, links.indices, links.indptr), shape=shape), right, right)

    def facet_gradients(self, region: Region, neurons: Array) -> Array:
        """Gradients in the columns that each neuron's network reads."""
        return region.input_gradients(neurons)

    def partial_gradient(self, region: Region, row_duals: Array, column_duals: Array) -> Array:
        """(n,) the objective's, less what the multipliers of rows and bounds take away."""
        gradient: Array = self._problem.objective_gradient(region.v[None, :])[0]
        return gradient - row_duals[: self.n_fixed] @ self._problem.rows - column_duals

    def row_multipliers(self, row_duals: Array) -> Array:
        """The first ones, before links and facets."""
        return row_duals[: self.n_fixed]
