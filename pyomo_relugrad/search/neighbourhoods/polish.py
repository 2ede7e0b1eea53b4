"""The best point nearby with the same integers: the end of each step of a neighbourhood."""

from collections.abc import Iterator

from pyomo_relugrad.problem import Incumbent, Problem
from pyomo_relugrad.run import SearchContext
from pyomo_relugrad.search.sequential.elite import Elite
from pyomo_relugrad.search.sequential.smooth_polish import polisher_of


class RegionPolish:
    """Walks over linear regions, or steps where functions are smooth; integers held.

    Parameters
    ----------
    problem : Problem
    elite : Elite
        Points worse than all of it are left as they are.
    context : SearchContext
    """

    def __init__(self, problem: Problem, elite: Elite, context: SearchContext) -> None:
        self._elite, self._budget = elite, context.budget
        self._restores = not problem.is_piecewise_linear
        self._polish, self._has_decisions = polisher_of(problem), bool((~problem.is_output).any())

    def points(self, point: Incumbent) -> Iterator[Incumbent | None]:
        """Better and better points; none where nothing but integers is decided.

        Where functions are smooth, an infeasible point is moved onto the rows before: steps along tangents end near
        them.
        """
        points = self._elite.points
        is_poor = len(points) > 1 and point.objective > points[-1].objective
        if (
            not self._has_decisions
            or not (point.is_feasible or self._restores)
            or is_poor
            or self._budget.is_exhausted()
        ):
            return
        yield from self._polish(point.values, self._budget)
