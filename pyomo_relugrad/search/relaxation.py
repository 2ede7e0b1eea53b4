"""The linear relaxation of a problem: whether there is a point at all, and where good starts are."""

from dataclasses import replace
from functools import cached_property
from weakref import WeakKeyDictionary

import numpy as np
from scipy import sparse

from pyomo_relugrad.arrays import Array, Weight
from pyomo_relugrad.problem import FEASIBILITY_TOLERANCE, Problem
from pyomo_relugrad.problem.presolve.implied_bounds import function_implied_bounds
from pyomo_relugrad.programs import LinearProgram, LinearSolution, certified, tangents
from pyomo_relugrad.run import Budget

#: Stands for an infinite bound where points are drawn at random.
RANDOM_RANGE = 10.0
#: Seconds, and share of the time left, that surroundings with integers may take before the search goes on without.
MAX_RELAXATION_SECONDS, RELAXATION_SHARE = 10.0, 0.2
#: Seconds for the nearest point, and the gap in its distance; with integers a near one is good enough.
MAX_NEAREST_SECONDS, NEAREST_GAP = 0.3, 0.1


class LinearRelaxation:
    """The surroundings of the networks: all of a problem but these, which interval bounds on their outputs replace."""

    def __init__(self, problem: Problem) -> None:
        self._problem = problem
        self._nearest_models: dict[bytes, NearestPoint] = {}

    @property
    def lower(self) -> Array:
        """Lower bounds (n,) of all columns, see `output_ranges`."""
        return output_ranges(self._problem)[0]

    @property
    def upper(self) -> Array:
        """Upper bounds (n,) of all columns."""
        return output_ranges(self._problem)[1]

    def relax(self, budget: Budget) -> LinearSolution:
        """Solve the surroundings: an infeasible answer proves the problem infeasible, a bound is valid for it.

        A mixed-integer problem with a quadratic objective is solved for its linear part, without costs.
        """
        problem = self._problem
        limit = RELAXATION_SHARE * budget.remaining if problem.integers.any() else budget.remaining
        model = self.program(integral=True)
        solution = model.solve(min(limit, MAX_RELAXATION_SECONDS) if problem.functions else budget.remaining)
        if problem.integers.any():
            return solution
        if problem.quadratic is None:
            return certified(solution, problem.cost, *self._sides())
        if solution.values is None:
            return solution
        return replace(solution, bound=self._bound_by_tangent(solution.values, budget))

    def _bound_by_tangent(self, point: Array, budget: Budget) -> float:
        """The least value over the surroundings of the tangent of a convex objective at a point."""
        problem = self._problem
        slopes, constants = tangents(problem.quadratic, point[None])
        cost, sides = problem.cost + slopes[0], self._sides()
        solution = certified(LinearProgram(cost, *sides).solve(budget.remaining), cost, *sides)
        return solution.bound + float(constants[0])

    def _sides(self) -> tuple[Array, Array, Weight, Array, Array]:
        """Bounds of all columns, and rows with theirs."""
        problem = self._problem
        return self.lower, self.upper, problem.rows, problem.row_lower, problem.row_upper

    def program(self, integral: bool) -> LinearProgram:
        """The surroundings as a program; a quadratic objective with integers is left out, as HiGHS has no such solver.

        Parameters
        ----------
        integral : bool
            Whether integers are kept.
        """
        problem = self._problem
        integral = integral and bool(problem.integers.any())
        ignore_objective = problem.quadratic is not None and integral
        return LinearProgram(
            np.zeros(problem.n_columns) if ignore_objective else problem.cost,
            *self._sides(),
            integers=problem.integers if integral else None,
            quadratic=None if ignore_objective else problem.quadratic,
        )

    def random_points(self, count: int, random: np.random.Generator) -> Array:
        """Points (count, n) drawn uniformly between the bounds, integers rounded; rows are not regarded."""
        lower, upper = self.ranges
        return self._rounded(random.uniform(lower, upper, size=(count, self._problem.n_columns)))

    def stratified_points(self, count: int, random: np.random.Generator) -> Array:
        """The same with every column's values spread evenly over its range, its ends included."""
        lower, upper = self.ranges
        places = random.permuted(np.tile(np.arange(count)[:, None], (1, lower.size)), axis=0)
        shares = (places + random.random(places.shape)) / count
        return self._rounded(lower + np.clip(1.1 * shares - 0.05, 0.0, 1.0) * (upper - lower))

    @cached_property
    def ranges(self) -> tuple[Array, Array]:
        """Between what columns are drawn: their bounds, or something in the place of infinite ones."""
        problem = self._problem
        anchored = np.where(np.isfinite(problem.lower), problem.lower, problem.upper - 2 * RANDOM_RANGE)
        lower = np.where(np.isfinite(anchored), anchored, -RANDOM_RANGE)
        upper = np.where(np.isfinite(problem.upper), problem.upper, lower + 2 * RANDOM_RANGE)
        return lower, np.maximum(upper, lower)

    def _rounded(self, points: Array) -> Array:
        return np.where(self._problem.integers, np.round(points), points)

    def nearest(self, v: Array, columns: Array, budget: Budget) -> Array | None:
        """The point of the surroundings nearest to `v` in the 1-norm of the given columns (an (n,) mask)."""
        model = self._nearest_models.get(columns.tobytes())
        if model is None:
            model = NearestPoint(self._problem, self.lower, self.upper, columns)
            self._nearest_models[columns.tobytes()] = model
        budget.count()
        return model.to(v, min(budget.remaining, MAX_NEAREST_SECONDS))


class NearestPoint:
    """One program that finds the nearest point of a problem's rows, in the 1-norm of some columns.

    Parameters
    ----------
    problem : Problem
    lower, upper : (n,) arrays
        Bounds of all columns, those of outputs included.
    columns : (n,) boolean array
        The columns whose distance counts.
    """

    def __init__(self, problem: Problem, lower: Array, upper: Array, columns: Array) -> None:
        n, count = problem.n_columns, int(columns.sum())
        self._n_columns, self._which = n, np.flatnonzero(columns)
        self._first_row = problem.n_rows + np.arange(count)
        picks = sparse.csr_array((np.ones(count), (np.arange(count), self._which)), shape=(count, n))
        distance = sparse.eye_array(count, format="csr")
        self._model = LinearProgram(
            np.concatenate([np.zeros(n), np.ones(count)]),
            np.concatenate([lower, np.zeros(count)]),
            np.concatenate([upper, np.full(count, np.inf)]),
            sparse.block_array([[problem.rows, None], [picks, distance], [picks, -distance]], format="csr"),
            np.concatenate([problem.row_lower, np.zeros(count), np.full(count, -np.inf)]),
            np.concatenate([problem.row_upper, np.full(count, np.inf), np.zeros(count)]),
            integers=np.concatenate([problem.integers, np.zeros(count, bool)]),
            options={"mip_rel_gap": NEAREST_GAP},
        )

    def to(self, v: Array, time_limit: float) -> Array | None:
        """The point (n,) nearest to `v`; None where none is found in time."""
        target, count = v[self._which], self._which.size
        self._model.change_row_bounds(self._first_row, target, np.full(count, np.inf))
        self._model.change_row_bounds(self._first_row + count, np.full(count, -np.inf), target)
        values = self._model.solve(time_limit).values
        return None if values is None else values[: self._n_columns]


#: Found once for each problem: several searches ask for them.
_RANGES: WeakKeyDictionary[Problem, tuple[Array, Array]] = WeakKeyDictionary()


def output_ranges(problem: Problem) -> tuple[Array, Array]:
    """Bounds of all columns, those of outputs tightened by interval arithmetic through the networks.

    An output may differ from its network by the feasibility tolerance: no such point is lost.
    """
    if problem not in _RANGES:
        lower, upper = function_implied_bounds(problem, problem.lower, problem.upper)
        _RANGES[problem] = (
            np.maximum(problem.lower, lower - FEASIBILITY_TOLERANCE),
            np.minimum(problem.upper, upper + FEASIBILITY_TOLERANCE),
        )
    return _RANGES[problem]
