"""The best point nearby with the same integers: the end of each step of a neighbourhood."""

from __future__ import annotations

from collections.abc import Iterator

from pyomo_relugrad.problem import Incumbent, Problem
from pyomo_relugrad.run.context import SearchContext
from pyomo_relugrad.search.regions.program import RegionProgram
from pyomo_relugrad.search.regions.walk import walk_regions
from pyomo_relugrad.search.sequential.elite import Elite


class RegionPolish:
    """Walks over linear regions, integers held.

    Parameters
    ----------
    problem : Problem
    elite : Elite
        Points worse than all of it are left as they are.
    context : SearchContext
    """

    def __init__(self, problem: Problem, elite: Elite, context: SearchContext) -> None:
        self._elite, self._budget = elite, context.budget
        self._program = RegionProgram(problem)

    def points(self, point: Incumbent) -> Iterator[Incumbent | None]:
        """Better and better points; none where nothing but integers is decided."""
        points, columns = self._elite.points, self._program.columns
        is_poor = len(points) > 1 and point.objective > points[-1].objective
        if columns.size == 0 or not point.is_feasible or is_poor or self._budget.is_exhausted():
            return
        yield from walk_regions(self._program, point.values[columns], self._budget)
