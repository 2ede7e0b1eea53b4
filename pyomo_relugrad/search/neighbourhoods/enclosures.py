"""Integers chosen by programs over all of a problem, its smooth functions between planes that enclose them."""

from collections.abc import Generator, Iterator
from functools import cached_property

import numpy as np
from scipy import sparse

from pyomo_relugrad.arrays import Array, RowBlock, SparseRows
from pyomo_relugrad.problem import Incumbent, Problem, bound_problem
from pyomo_relugrad.programs import (
    ExpressionRows,
    LinearStatus,
    above_tangents,
    build_big_m,
    with_rows,
    without_expressions,
)
from pyomo_relugrad.search.neighbourhoods.shared import Shared
from pyomo_relugrad.search.neighbourhoods.subproblem import MAX_ENTRIES, OPTIONS, entries
from pyomo_relugrad.search.relaxation import LinearRelaxation

#: Points near which planes are close before the first program, in convex problems and others, and at most, and rows
#: that they may have in all. Products have no more than four planes, wherever these are close.
FIRST_POINTS, FEW_POINTS, MAX_POINTS, MAX_ROWS = 40, 3, 80, 6000
#: Gap, relative to the objective, at which a program ends, and by how much its points have to be better than the best.
GAP, LEAST_GAIN = 1e-4, 1e-5
#: Seconds that the first program has at least; each one after a program that did not end in time has twice as many.
SECONDS = 0.3
#: Programs with integers held that bring planes before a descent, and the relative change that ends them.
MAX_CUTS, STILL = 5, 1e-4


class Enclosures:
    """Programs whose points bring integers, all else settled, and planes near where that ends.

    The planes hold for every point, so that the programs look at the whole problem. Where it is convex, with integers
    held, this is outer approximation (Duran and Grossmann, 1986), and the last integers are the best ones: there planes
    near many points go before the first program, so that rows with large constants do not leave it nothing to go by.
    Elsewhere planes do not keep a program from coming to the same integers again: binaries that were tried are cut off.

    Parameters
    ----------
    shared : Shared
        Its elite has a centre.
    """

    def __init__(self, shared: Shared) -> None:
        self._problem, self._elite, self._context = shared.problem, shared.elite, shared.context
        self._descent, self._polish, self._pace = shared.descent(), shared.polish, shared.pace
        problem, elite, context = shared.problem, shared.elite, shared.context
        self._linear, self._rows = without_expressions(problem), ExpressionRows(problem)
        count = min(FIRST_POINTS if shared.is_convex else FEW_POINTS, self._most_points)
        random = LinearRelaxation(problem).random_points(count, context.random)
        self._points = [*problem.propagate(random), *(point.values for point in elite.points)]
        self._integers = np.flatnonzero(problem.free_integers)
        is_binary = problem.upper - problem.lower == 1
        self._binaries = self._integers[is_binary[self._integers]]
        self._tried = list[Array]()
        self._seconds, self._is_complete = SECONDS, False
        if elite.centre is not None:
            self._points.append(elite.centre.values)

    @staticmethod
    def suit(problem: Problem) -> bool:
        """Whether there is something to enclose, a convex quadratic objective for one, and to choose."""
        has_integers = bool(problem.free_integers.any())
        is_linear = all(each.network.is_piecewise_linear for each in problem.networks)
        is_curved = bool(problem.expressions) or problem.quadratic is not None
        return is_curved and has_integers and is_linear and entries(problem) <= MAX_ENTRIES

    def steps(self) -> Iterator[Incumbent | None]:
        """Points that programs lead to, and None after what brought none."""
        before = None
        while not self._context.budget.is_exhausted():
            values = self._optimum()
            yield None
            if values is None and self._is_complete:
                return
            if values is None:
                continue
            integers = np.round(values[self._integers])
            if before is not None and np.array_equal(integers, before) and self._binaries.size < self._integers.size:
                return
            before = integers
            self._tried.append(integers[np.isin(self._integers, self._binaries)])
            closer = yield from self._closer(values)
            if closer is not None:
                yield from self._settled(closer)

    def _closer(self, values: Array) -> Generator[None, None, Array | None]:
        """The optimum (n,) under the integers of another one, with planes at one after the other (Kelley, 1960).

        None where these planes say that no point with these integers is better than the best one. Networks would make
        each of these programs one with integers.
        """
        self._learn(values)
        for _ in range(0 if self._problem.networks else MAX_CUTS):
            there = self._optimum(np.round(values[self._integers]))
            yield None
            if there is None:
                return None if self._is_complete else values
            change, values = np.abs(there - values).max(), there
            self._learn(values)
            if change <= STILL * (1.0 + np.abs(values).max()) or self._context.budget.is_exhausted():
                break
        return values

    def _settled(self, values: Array) -> Iterator[Incumbent | None]:
        """Points that the descent from an optimum between the planes leads to, its integers held."""
        start = np.where(self._problem.integers, np.round(values), values)
        v = yield from self._descent.settle(self._problem.propagate(start[None])[0], np.inf)
        point = self._problem.incumbent(v)
        yield point
        for better in self._polish.points(point):
            point = point if better is None else better
            yield better
        self._learn(point.values)

    def _learn(self, v: Array) -> None:
        """Take a point as one near which planes are close."""
        if np.isfinite(v).all():
            self._points = [*self._points, v][-self._most_points :]

    @cached_property
    def _most_points(self) -> int:
        """Of how many points the planes are, so that there are not too many."""
        n_outputs = sum(each.outputs.size for each in self._problem.expressions)
        return min(MAX_POINTS, max(MAX_ROWS // (2 * n_outputs + 1), FEW_POINTS))

    def _optimum(self, held: Array | None = None) -> Array | None:
        """The best point (n,) between the planes whose binaries are new, or that has integers; None for none."""
        linear, points = self._linear, np.array([v for v in self._points if np.isfinite(v).all()])
        if not len(points):  # nowhere has everything a value, as beside poles
            self._is_complete = True
            return None
        lower, upper = (np.repeat(side[None], len(points), axis=0) for side in (linear.lower, linear.upper))
        blocks = self._rows.at(lower, upper, points) + ([self._cuts()] if held is None else [])
        within = with_rows(linear if held is None else self._holding(held), RowBlock.stacked(blocks))
        within = within if within.quadratic is None else above_tangents(within, points)
        within = with_rows(within, self._cutoff(within))
        bounds = bound_problem(within, "crown")
        inputs = within.is_input
        if not (
            bounds.possible and np.isfinite(bounds.lower[inputs]).all() and np.isfinite(bounds.upper[inputs]).all()
        ):
            self._is_complete = True
            return None
        options = {**OPTIONS, **self._pace.options(mip_rel_gap=GAP)}
        program = build_big_m(within, bounds).program(relaxed=False, options=options)
        solution = program.solve(self._pace.seconds(self._seconds))
        self._context.budget.count(points=1)
        self._is_complete = solution.status is not LinearStatus.LIMIT or not self._pace.is_timed
        self._seconds *= 1 if self._is_complete or held is not None else 2
        return None if solution.values is None else solution.values[: linear.n_columns]

    def _holding(self, integers: Array) -> Problem:
        """The problem between planes with its integers held."""
        lower, upper = self._linear.lower.copy(), self._linear.upper.copy()
        lower[self._integers] = upper[self._integers] = integers
        return self._linear.with_bounds(lower, upper)

    def _cutoff(self, problem: Problem) -> RowBlock:
        """The row of a program that a better objective than the best one satisfies."""
        best = self._elite.best
        columns = np.flatnonzero(problem.cost)
        most = best - LEAST_GAIN * (1.0 + abs(best)) - problem.constant if np.isfinite(best) else np.inf
        row = SparseRows(np.array([0, columns.size]), columns, problem.cost[columns])
        return RowBlock(row, np.array([-np.inf]), np.array([most]))

    def _cuts(self) -> RowBlock:
        """Rows that each of the binaries that were tried violate."""
        tried = np.array(self._tried).reshape(len(self._tried), self._binaries.size)
        if self._binaries.size < self._integers.size or not len(tried):
            tried = tried[:0]
        signs = np.where(tried > self._problem.lower[self._binaries] + 0.5, -1.0, 1.0)
        n = self._problem.n_columns
        rows = sparse.csr_array(
            (signs.ravel(), np.tile(self._binaries, len(tried)), np.arange(len(tried) + 1) * self._binaries.size),
            shape=(len(tried), n),
        )
        least = 1.0 + (signs * tried).sum(axis=1)
        return RowBlock(SparseRows(rows.indptr, rows.indices, rows.data), least, np.full(len(tried), np.inf))
