"""Methods that search over the feasible set of the decision columns."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from pyomo_relugrad.errors import ModelError
from pyomo_relugrad.problem import Incumbent, Problem, Shape
from pyomo_relugrad.run import Method, SearchContext
from pyomo_relugrad.search.domains.domain import Domain
from pyomo_relugrad.search.domains.feasible_set import columns_without_bounds, domain_of
from pyomo_relugrad.words import MAX_LISTED


@dataclass(frozen=True)
class DomainMethod(Method):
    """A method for boxes and polytopes of inputs: all decision variables have finite bounds."""

    shapes = frozenset({Shape.BOX, Shape.POLYTOPE})

    @abstractmethod
    def search(self, problem: Problem, domain: Domain, context: SearchContext) -> Iterator[Incumbent | None]:
        """Yield as `run` does; `domain`, the feasible set of the decision columns, is not empty."""

    def run(self, problem: Problem, context: SearchContext) -> Iterator[Incumbent | None]:
        """Search over the domain."""
        return run_over_domain(self.search, problem, context)

    def check(self, problem: Problem) -> None:
        """Refuse other shapes, and decision variables without bounds."""
        super().check(problem)
        missing = columns_without_bounds(problem)
        if missing.size:
            names = ", ".join(problem.column_name(column) for column in missing[:MAX_LISTED].tolist())
            raise ModelError(
                f"method '{self.name}' needs finite bounds on the decision variables, but {names} has none; "
                "give it bounds, or use method 'auto'"
            )


def run_over_domain(
    search: Callable[[Problem, Domain, SearchContext], Iterator[Incumbent | None]],
    problem: Problem,
    context: SearchContext,
) -> Iterator[Incumbent | None]:
    """Search over the feasible set of the decision columns, which is not empty.

    Where its linear program has been solved, that point comes first: there is an answer however short the time.
    """
    if context.relaxed is not None:
        yield problem.incumbent(context.relaxed)
    yield from search(problem, domain_of(problem, context.budget), context)
