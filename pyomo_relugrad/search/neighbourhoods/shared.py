"""What the neighbourhoods of one search have in common."""

from dataclasses import dataclass
from functools import cached_property

from pyomo_relugrad.problem import Problem
from pyomo_relugrad.run import SearchContext
from pyomo_relugrad.search.neighbourhoods.convexity import is_convex
from pyomo_relugrad.search.neighbourhoods.pace import Pace
from pyomo_relugrad.search.neighbourhoods.polish import RegionPolish
from pyomo_relugrad.search.relaxation import LinearRelaxation
from pyomo_relugrad.search.sequential.descent import Descent
from pyomo_relugrad.search.sequential.elite import Elite
from pyomo_relugrad.search.sequential.search import SequentialLp


@dataclass(frozen=True, eq=False)
class Shared:
    """A problem, the good points of its search, and the tools that all neighbourhoods have.

    Parameters
    ----------
    problem : Problem
    elite : Elite
    context : SearchContext
    sequential : SequentialLp, optional
    """

    problem: Problem
    elite: Elite
    context: SearchContext
    sequential: SequentialLp = SequentialLp()

    @cached_property
    def pace(self) -> Pace:
        """The clock, which begins when it is first looked at."""
        return Pace(self.context.budget)

    @cached_property
    def polish(self) -> RegionPolish:
        """The best points nearby with the same integers."""
        return RegionPolish(self.problem, self.elite, self.context)

    @cached_property
    def is_convex(self) -> bool:
        """Whether the problem is convex once its integers are held, as far as planes around its functions tell."""
        return is_convex(self.problem, self.context.random)

    def descent(self) -> Descent:
        """A new descent: each neighbourhood has penalties of its own."""
        return self.sequential.descent(self.problem, self.context, LinearRelaxation(self.problem))
