"""A search method with a known course, in place of a search."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from pyomo_relugrad.problem import Incumbent, Problem
from pyomo_relugrad.run import SearchContext
from pyomo_relugrad.search import Method


@dataclass(frozen=True)
class Scripted(Method):
    """The method that yields what a function yields."""

    name = "scripted"

    course: Callable[[Problem, SearchContext], Iterator[Incumbent | None]]

    def run(self, problem: Problem, context: SearchContext) -> Iterator[Incumbent | None]:
        """Run the function."""
        return self.course(problem, context)
