"""Proofs of models with a convex quadratic objective by mixed-integer linear programs.

The quadratic part is replaced by a column that lies above some of its tangents. The program's optimum is then a bound,
and its point brings new tangents: there, and at the best point of the linear regions around it, after which no point of
these regions looks better than it is (Duran and Grossmann, An outer-approximation algorithm for a class of
mixed-integer nonlinear programs, Mathematical Programming 36, 1986; Fletcher and Leyffer, 1994).
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import replace

import numpy as np
from scipy import sparse

from pyomo_relugrad.arrays import Array
from pyomo_relugrad.problem import Incumbent, Problem
from pyomo_relugrad.programs import tangents
from pyomo_relugrad.proof.milp import MilpProof
from pyomo_relugrad.run import Budget, Options, Prover
from pyomo_relugrad.search.regions.program import RegionProgram

# The programs are solved to this share of the requested gap: the tangents take the rest.
GAP_SHARE = 0.1
# Tangents at points of the box before the first program; more of them slow HiGHS down as much as they help.
FIRST_TANGENTS = 3


class OuterApproximation(Prover):
    """The state of one proof; `steps` solves program after program.

    Parameters
    ----------
    problem : Problem
        With a convex quadratic objective; the networks' inputs need finite bounds.
    options : Options
        As for `MilpProof`; linear programs that tighten bounds are left out, since there are many MILPs.
    start : Incumbent, optional
    """

    works_beside = True

    def __init__(self, problem: Problem, options: Options, start: Incumbent | None = None) -> None:
        super().__init__(problem, options, start)
        self._budget = Budget(options.time_limit)
        self._proven = -np.inf
        self._points = _spread_points(problem)
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
            goes_on = self._add_tangents()
            yield
            if not goes_on or self.conclusion() is not None or self._budget.is_exhausted():
                return
            self._proof = self._next_proof()

    # --- programs and tangents ----------------------------------------------------------------------------------

    def _next_proof(self) -> MilpProof:
        asked, start = self.options, None
        told = {"time_limit": self._budget.remaining}
        linear = _under_tangents(self.problem, np.array(self._points))
        if self.incumbent is not None:
            start = linear.incumbent(np.append(self.incumbent.values, self._quadratic_part(self.incumbent.values)))
            # A point that looks better than the incumbent is enough to know where tangents are missing.
            told["objective_target"] = asked.cutoff(self.incumbent.objective) - linear.constant
        options = replace(
            asked,
            relative_gap=GAP_SHARE * asked.relative_gap,
            absolute_gap=GAP_SHARE * asked.absolute_gap,
            bounds="crown" if asked.bounds == "lp" else asked.bounds,
            highs_options={**told, **asked.highs_options},
        )
        return MilpProof(linear, options, start, gives_way=True)

    def _quadratic_part(self, v: Array) -> float:
        return 0.5 * float(v @ (self.problem.quadratic @ v))

    def _add_tangents(self) -> bool:
        """Tangents at the program's point and at the optimum of its linear regions; whether there was a point."""
        if self._proof.incumbent is None:
            return False
        u, count = self._proof.incumbent.values[self._regions.columns], len(self._points)
        optimum = self._regions.solve(self._regions.region_at(u), self._budget)
        for decisions in [u, optimum.u]:
            point = self._regions.incumbent(decisions)
            if not self.offer(point) and not any(np.array_equal(point.values, known) for known in self._points):
                self._points.append(point.values)
        return len(self._points) > count


def _spread_points(problem: Problem) -> list[Array]:
    """A few points of the box, the networks' values filled in."""
    lower = np.where(np.isfinite(problem.lower), problem.lower, np.fmin(problem.upper, 1.0) - 1.0)
    upper = np.where(np.isfinite(problem.upper), problem.upper, np.fmax(lower, 0.0) + 1.0)
    share = np.random.default_rng(0).random((FIRST_TANGENTS, problem.n_columns))
    return list(problem.propagate(lower + share * (upper - lower)))


def _under_tangents(problem: Problem, points: Array) -> Problem:
    """The problem with one more column in place of the quadratic part, which is never below its tangents or zero."""
    slopes, constants = tangents(problem.quadratic, points)
    size = len(points)
    old = sparse.hstack([problem.rows, sparse.csr_array((problem.n_rows, 1))])
    new = sparse.hstack([sparse.csr_array(-slopes), sparse.csr_array(np.ones((size, 1)))])
    return replace(
        problem,
        cost=np.append(problem.cost, 1.0),
        lower=np.append(problem.lower, 0.0),
        upper=np.append(problem.upper, np.inf),
        rows=sparse.vstack([old, new], format="csr"),
        row_lower=np.concatenate([problem.row_lower, constants]),
        row_upper=np.concatenate([problem.row_upper, np.full(size, np.inf)]),
        integers=np.append(problem.integers, False),
        quadratic=None,
    )
