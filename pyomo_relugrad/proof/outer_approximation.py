"""Proofs of models that are convex around their networks by mixed-integer linear programs.

A convex quadratic objective is replaced by a column that lies above some of its tangents, and expressions by columns
between linear functions that touch them. The program's optimum is then a bound, and its point brings new tangents:
there, and at the best point of the linear regions around it, after which no point of these regions looks better than it
is (Duran and Grossmann, An outer-approximation algorithm for a class of mixed-integer nonlinear programs, Mathematical
Programming 36, 1986; Fletcher and Leyffer, 1994).
"""

from collections.abc import Generator
from dataclasses import replace

import numpy as np
from scipy import sparse

from pyomo_relugrad.arrays import Array, RowBlock
from pyomo_relugrad.problem import ExpressionStage, Incumbent, Problem
from pyomo_relugrad.programs import ExpressionRows, above_tangents, expression_ranges, with_rows, without_expressions
from pyomo_relugrad.proof.milp import MilpProof
from pyomo_relugrad.run import Budget, Options, Prover
from pyomo_relugrad.search.regions.program import RegionProgram

# The programs are solved to this share of the requested gap: the tangents take the rest.
GAP_SHARE = 0.1
# Tangents at points of the box before the first program; more of them slow HiGHS down as much as they help.
FIRST_TANGENTS = 3
# How close, relative to its size, a linear function must come to an expression that it touches.
TOUCHING = 1e-6


class OuterApproximation(Prover):
    """The state of one proof; `steps` solves program after program.

    Parameters
    ----------
    problem : Problem
        The objective may be convex quadratic; with expressions the bound meets the optimum where
        `is_convex_around_networks`. The networks' inputs need finite bounds.
    options : Options
        As for `MilpProof`; linear programs that tighten bounds are left out, since there are many MILPs.
    start : Incumbent, optional
    """

    works_beside = True

    def __init__(self, problem: Problem, options: Options, start: Incumbent | None = None) -> None:
        super().__init__(problem, options, start)
        self._budget = Budget(options.time_limit)
        self._proven = -np.inf
        self._has_target = True
        self._points = _spread_points(problem)
        self._linear = without_expressions(problem)
        self._expressions = ExpressionRows(problem)
        self._regions = RegionProgram(problem)
        if self.incumbent is not None:
            self._points.append(self.incumbent.values)
        self._proof = self._next_proof()

    @property
    def bound(self) -> float:
        """No feasible point has a smaller objective."""
        return min(self._proven, self.incumbent_value)

    @property
    def has_news(self) -> bool:
        """Whether HiGHS has ended on the present program."""
        return self._proof.has_news

    def offer(self, point: Incumbent) -> bool:
        """Take a feasible point as incumbent if it is better, and as a place of tangents; return whether it was."""
        if not super().offer(point):
            return False
        self._points.append(point.values)
        return True

    def steps(self) -> Generator[None, None, None]:
        """Solve programs with ever more tangents until the gap is closed; leaving early stops HiGHS."""
        nodes = 0
        while True:
            for _ in self._proof.steps():
                self.nodes = nodes + self._proof.nodes
                self._proven = max(self._proven, self._proof.bound)
                yield
            nodes = self.nodes
            self._proven = max(self._proven, self._proof.bound)
            added = self._add_tangents()
            # From a good point that is not new only the program's optimum leads on.
            goes_on, self._has_target = added or self._has_target, added
            yield
            if not goes_on or self.conclusion() is not None or self._budget.is_exhausted():
                return
            self._proof = self._next_proof()

    # --- programs and tangents ----------------------------------------------------------------------------------

    def _next_proof(self) -> MilpProof:
        asked, start = self.options, None
        told = {"time_limit": self._budget.remaining}
        linear = self._outer_problem()
        if self.incumbent is not None:
            values = self.incumbent.values
            start = linear.incumbent(np.append(values, self._quadratic_part(values))[: linear.n_columns])
            # A point that looks better than the incumbent is enough to know where tangents are missing.
            if self._has_target:
                told["objective_target"] = asked.cutoff(self.incumbent.objective) - linear.constant
        options = replace(
            asked,
            relative_gap=GAP_SHARE * asked.relative_gap,
            absolute_gap=GAP_SHARE * asked.absolute_gap,
            bounds="crown" if asked.bounds == "lp" else asked.bounds,
            highs_options={**told, **asked.highs_options},
        )
        return MilpProof(linear, options, start, gives_way=True)

    def _outer_problem(self) -> Problem:
        """What has every point of the problem, without its expressions and the quadratic part of its objective."""
        linear, points = self._linear, np.array(self._points)
        if self.problem.expressions:
            lower, upper = _boxes(linear, len(points))
            linear = with_rows(linear, RowBlock.stacked(self._expressions.at(lower, upper, points)))
        return linear if linear.quadratic is None else above_tangents(linear, points)

    def _quadratic_part(self, v: Array) -> float:
        return 0.0 if self.problem.quadratic is None else 0.5 * float(v @ (self.problem.quadratic @ v))

    def _add_tangents(self) -> bool:
        """Tangents at the program's point and at the optimum of its linear regions; whether there was a point."""
        if self._proof.last_point is None:
            return False
        # Functions of functions are touched at the program's own values, from which those of the problem may differ.
        values, count = self._proof.last_point[: self.problem.n_columns], len(self._points)
        u = values[self._regions.columns]
        optimum = self._regions.solve(self._regions.region_at(u), self._budget)
        points = [self._regions.incumbent(decisions) for decisions in (u, optimum.u)]
        for point in points:
            self.offer(point)
        for place in (values, *(point.values for point in points)):
            if np.isfinite(place).all() and not any(np.array_equal(place, known) for known in self._points):
                self._points.append(place)
        return len(self._points) > count


def _spread_points(problem: Problem) -> list[Array]:
    """A few points of the box, the functions' values filled in; 0 in place of those that are no numbers."""
    lower = np.where(np.isfinite(problem.lower), problem.lower, np.fmin(problem.upper, 1.0) - 1.0)
    upper = np.where(np.isfinite(problem.upper), problem.upper, np.fmax(lower, 0.0) + 1.0)
    share = np.random.default_rng(0).random((FIRST_TANGENTS, problem.n_columns))
    points = problem.propagate(lower + share * (upper - lower))
    return list(np.where(np.isfinite(points), points, 0.0))


def _boxes(problem: Problem, count: int) -> tuple[Array, Array]:
    """The bounds of all columns, (count, n) each."""
    return np.tile(problem.lower, (count, 1)), np.tile(problem.upper, (count, 1))


def is_convex_around_networks(problem: Problem) -> bool:
    """Whether expressions only occur on the side on which tangents meet them, as far as some points can tell.

    A convex function may be bounded from above by rows and minimized, a concave one the other way round.
    """
    if not problem.expressions or not all(each.network.is_piecewise_linear for each in problem.networks):
        return False
    pressed = _pressed_sides(problem)
    points = np.array(_spread_points(problem))
    lower, upper = _boxes(without_expressions(problem), len(points))
    for stage in problem.stages:
        if not isinstance(stage, ExpressionStage):
            continue
        X = stage.gather(points)
        values, planes = stage.value(X), stage.expression.relaxation(stage.gather(lower), stage.gather(upper), at=X)
        for side, (slopes, offset) in zip(pressed, (planes[:2], planes[2:]), strict=True):
            error = np.abs(np.einsum("roi,ri->ro", slopes, X) + offset - values)
            matters = np.tile(side[stage.outputs], (len(points), 1))
            if not (error[matters] <= TOUCHING * (1 + np.abs(values[matters]))).all():
                return False
    return True


def _pressed_sides(problem: Problem) -> tuple[Array, Array]:
    """(n,) booleans: the columns that something presses down, and those that something presses up."""
    rows, ranges = sparse.coo_array(problem.rows), expression_ranges(problem)
    row, column = rows.coords
    sides = []
    for sign in (1, -1):
        pressed = (sign * problem.cost > 0) | problem.is_input | problem.integers
        bounds = np.where(sign * rows.data > 0, problem.row_upper[row], problem.row_lower[row])
        pressed[column[np.isfinite(bounds) & (rows.data != 0)]] = True
        sides.append(pressed)
    return sides[0] | (problem.upper < ranges[1]), sides[1] | (problem.lower > ranges[0])
