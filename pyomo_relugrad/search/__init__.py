"""Local searches: methods that find points. No Pyomo."""

from pyomo_relugrad.run.method import Method
from pyomo_relugrad.search.auto import Auto
from pyomo_relugrad.search.descent.by_programs import LpDescent
from pyomo_relugrad.search.descent.projected import ProjectedDescent
from pyomo_relugrad.search.domains.method import DomainMethod
from pyomo_relugrad.search.literature.lp_walk import LpWalk
from pyomo_relugrad.search.literature.milp_walk import MilpWalk
from pyomo_relugrad.search.literature.ppga import Ppga, PpgaLr
from pyomo_relugrad.search.literature.pruned import Pruned
from pyomo_relugrad.search.literature.relaxing_walk import RelaxingWalk
from pyomo_relugrad.search.literature.sampling import Sampling
from pyomo_relugrad.search.methods import METHODS
from pyomo_relugrad.search.sequential.sequential_lp import SequentialLp

__all__ = [
    "METHODS",
    "Auto",
    "DomainMethod",
    "LpDescent",
    "LpWalk",
    "Method",
    "MilpWalk",
    "Ppga",
    "PpgaLr",
    "ProjectedDescent",
    "Pruned",
    "RelaxingWalk",
    "Sampling",
    "SequentialLp",
]
