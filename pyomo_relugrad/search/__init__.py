"""Local searches: methods that find points. No Pyomo."""

from pyomo_relugrad.checks import check_known
from pyomo_relugrad.problem import Problem
from pyomo_relugrad.run import Method, between
from pyomo_relugrad.search.auto import Auto
from pyomo_relugrad.search.convex import ConvexProgram
from pyomo_relugrad.search.decisions.search import DecisionSearch
from pyomo_relugrad.search.descent.by_programs import LpDescent
from pyomo_relugrad.search.descent.projected import ProjectedDescent
from pyomo_relugrad.search.domains.method import DomainMethod
from pyomo_relugrad.search.lattice.search import LatticeSearch
from pyomo_relugrad.search.literature.lp_walk import LpWalk
from pyomo_relugrad.search.literature.milp_walk import MilpWalk
from pyomo_relugrad.search.literature.ppga import Ppga, PpgaLr
from pyomo_relugrad.search.literature.pruned import Pruned
from pyomo_relugrad.search.literature.relaxing_walk import RelaxingWalk
from pyomo_relugrad.search.literature.sampling import Sampling
from pyomo_relugrad.search.neighbourhoods.search import Neighbourhoods
from pyomo_relugrad.search.separable.column_generation import ColumnGeneration
from pyomo_relugrad.search.separable.exact_choice import ExactChoice
from pyomo_relugrad.search.separable.exchange import ExchangeSearch
from pyomo_relugrad.search.separable.region_generation import RegionGeneration
from pyomo_relugrad.search.sequential.search import SequentialLp
from pyomo_relugrad.search.smoothing.search import SmoothingDescent

__all__ = [
    "METHODS",
    "Auto",
    "ColumnGeneration",
    "ConvexProgram",
    "DecisionSearch",
    "DomainMethod",
    "ExactChoice",
    "ExchangeSearch",
    "LatticeSearch",
    "LpDescent",
    "LpWalk",
    "Method",
    "MilpWalk",
    "Neighbourhoods",
    "Ppga",
    "PpgaLr",
    "ProjectedDescent",
    "Pruned",
    "RegionGeneration",
    "RelaxingWalk",
    "Sampling",
    "SequentialLp",
    "SmoothingDescent",
    "between",
]

_ALL = (
    Auto(),
    Neighbourhoods(),
    SequentialLp(),
    Ppga(),
    PpgaLr(),
    LpWalk(),
    RelaxingWalk(),
    Sampling(),
    MilpWalk(),
    Pruned(),
)

#: The methods by name, with their default settings.
METHODS: dict[str, Method] = {method.name: method for method in _ALL}


def find_method(method: str | Method, problem: Problem) -> Method:
    """The method of that name, or the given one, if it can do the problem.

    Raises
    ------
    ModelError
        If there is no such method, or the problem lacks what the method needs.
    """
    if not isinstance(method, Method):
        check_known(method, "method", METHODS, ", or a value such as Ppga(batch=64)")
        method = METHODS[method]
    method.check(problem)
    return method
