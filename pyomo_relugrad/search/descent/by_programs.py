"""The default search over polytopes in the inputs: descents by linear programs within a trust region, then vertices."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from dataclasses import dataclass

import numpy as np

from pyomo_relugrad.arrays import Array
from pyomo_relugrad.problem import Incumbent, Problem, ReducedObjective
from pyomo_relugrad.programs import LinearProgram
from pyomo_relugrad.run import SearchContext, between
from pyomo_relugrad.search.descent.elite_pool import ElitePool, PoolMember
from pyomo_relugrad.search.descent.starts import structured_starts
from pyomo_relugrad.search.domains.domain import Domain
from pyomo_relugrad.search.domains.feasible_set import feasible_start
from pyomo_relugrad.search.domains.method import DomainMethod
from pyomo_relugrad.search.regions.walk import is_lower
from pyomo_relugrad.search.sequential.smooth_polish import polisher_of

#: Shares of a step that are compared at once.
STEP_SHARES = np.concatenate([np.linspace(0.1, 1.0, 10), [0.05, 0.02]])


@dataclass(frozen=True)
class LpDescent(DomainMethod):
    """Descents by linear programs within a trust region, from vertices and mixtures of them, then polished.

    Where the feasible set is a real polytope, a projection costs as much as a linear program and brings less: the
    gradient's linear program within a trust region is the strong first-order step, on one persistent HiGHS model.

    Parameters
    ----------
    vertices : int, optional
        Vertices that a round draws by linear programs (6).
    mixtures : int, optional
        Mixtures of them and of good points that are compared (64).
    descents : int, optional
        Descents of a round, from the best of these (2).
    first_radius, last_radius : float, optional
        First and last trust region, as shares of the domain's widths (1 and 0.001).
    pool_size : int, optional
        Good points kept (16).
    patience : int, optional
        Rounds without a better point after which the search is done (200).
    """

    name = "lp-descent"
    cooperates = True
    handles_smooth = True

    vertices: int = 6
    mixtures: int = 64
    descents: int = 2
    first_radius: float = 1.0
    last_radius: float = between(1e-3, 1e-9)
    pool_size: int = 16
    patience: int = 200

    def search(self, problem: Problem, domain: Domain, context: SearchContext) -> Iterator[Incumbent | None]:
        """Descend and polish until the budget is spent."""
        return ProgramRounds(self, problem, domain, context).run()


class ProgramRounds:
    """The state of one search, from what `LpDescent.search` is given."""

    def __init__(self, method: LpDescent, problem: Problem, domain: Domain, context: SearchContext) -> None:
        self.method, self.domain = method, domain
        self.context, self.budget, self.random = context, context.budget, context.random
        self.problem, self.objective = problem, ReducedObjective(problem)
        self.polish = polisher_of(problem, context.past)
        self.width = domain.upper - domain.lower
        self.pool = ElitePool(method.pool_size)
        self.start = feasible_start(problem, domain, context.start)
        zero, rows = np.zeros(self.width.size), problem.rows[:, self.objective.columns]
        sides, options = (problem.row_lower, problem.row_upper), {"presolve": "off"}
        self._steps = LinearProgram(zero, domain.lower, domain.upper, rows, *sides, options=options)

    def run(self) -> Iterator[Incumbent | None]:
        """Rounds of descents from vertices and mixtures until the budget is spent, or many rounds bring nothing."""
        centre = self.domain.vertices(np.zeros((1, self.width.size)))[0] if self.start is None else self.start
        yield self._incumbent(centre)
        idle, starts = 0, centre[None, :]
        while not self.budget.is_exhausted() and idle <= self.method.patience:
            self.pool.learn(self.context.take_offered(), self.objective.columns)
            record = self.pool.best
            for u in starts:
                u = yield from self._descend(u)
                point = self._incumbent(u)
                yield point
                vertex = yield from self.polish(point.values, self.budget)
                self.pool.add(PoolMember(vertex.values[self.objective.columns], vertex.objective, is_polished=True))
                if self.budget.is_exhausted():
                    return
            idle = 0 if is_lower(self.pool.best, record) else idle + 1
            starts = self._starts()

    def _incumbent(self, u: Array) -> Incumbent:
        return self.problem.incumbent(self.objective.points(u[None, :])[0])

    def _starts(self) -> Array:
        """The best of many mixtures of elites and of vertices for gradients under random patterns."""
        drawn = structured_starts(self.objective, self.domain, self.random, self.method.vertices)
        corners = np.concatenate([drawn, np.stack([member.u for member in self.pool.members])])
        weights = self.random.dirichlet(np.full(len(corners), 0.2), self.method.mixtures)
        mixtures = np.concatenate([drawn, weights @ corners])
        self.budget.count(points=len(mixtures))
        values = self.objective.value(mixtures)
        return np.asarray(mixtures[np.argsort(values, kind="stable")[: self.method.descents]])

    def _descend(self, u: Array) -> Generator[Incumbent | None, None, Array]:
        """Trust-region steps: the linear program of the gradient, then the best of several shares of the step."""
        radius, value = self.method.first_radius, float(self.objective.value(u[None, :])[0])
        while radius >= self.method.last_radius and not self.budget.is_exhausted():
            target = self._gradient_step(u, radius * self.width)
            points = u + STEP_SHARES[:, None] * (target - u)
            values = self.objective.value(points)
            self.budget.count(points=len(points), iterations=0)
            best = int(values.argmin())
            if is_lower(float(values[best]), value):
                radius *= 2.0 if STEP_SHARES[best] > 0.9 else max(STEP_SHARES[best], 0.25)
                u, value = points[best], float(values[best])
            else:
                radius *= 0.25
            radius = min(radius, self.method.first_radius)
            yield None
        return u

    def _gradient_step(self, u: Array, radius: Array) -> Array:
        """Minimize the gradient's linear function over rows and bounds within distances (d,) of a point."""
        gradient = self.objective.value_and_gradient(u[None, :])[1][0]
        lower, upper = np.maximum(self.domain.lower, u - radius), np.minimum(self.domain.upper, u + radius)
        self._steps.change_costs(gradient / (float(np.abs(gradient).max(initial=0.0)) or 1.0))
        self._steps.change_bounds(lower, upper)
        solution = self._steps.solve(self.budget.remaining)
        self.budget.count()
        return u if solution.values is None else np.clip(solution.values, self.domain.lower, self.domain.upper)
