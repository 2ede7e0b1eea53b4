"""The search around networks that are convex in the objective's sense: one linear program."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from pyomo_relugrad.problem import Incumbent, Problem, bound_problem, epigraph_relus, is_linear_program
from pyomo_relugrad.programs import build_big_m
from pyomo_relugrad.run import Method, SearchContext


@dataclass(frozen=True)
class ConvexProgram(Method):
    """The linear program that a problem is where the epigraphs of all its ReLUs are enough.

    So it is where every network is convex in its inputs, and rows and objective ask for small outputs. Nothing is
    yielded elsewhere.
    """

    name = "convex-program"

    def run(self, problem: Problem, context: SearchContext) -> Iterator[Incumbent | None]:
        """Yield the optimum, and tell the context the bound."""
        if not is_linear_program(problem):
            return
        bounds = bound_problem(problem, "interval")
        if not bounds.possible:
            return
        model = build_big_m(problem, bounds, epigraph_relus(problem, bounds))
        solution = model.relaxed_minimum(context.budget.remaining)
        context.budget.count()
        if solution.is_optimal and solution.values is not None:
            context.take_bound(solution.bound + problem.constant)
            yield problem.incumbent(solution.values[: problem.n_columns])
