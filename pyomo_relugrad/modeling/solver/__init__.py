"""The Pyomo solvers ``relugrad`` and ``relugrad.exact``."""

from pyomo_relugrad.modeling.solver.exact import RelugradExact
from pyomo_relugrad.modeling.solver.local import Relugrad
from pyomo_relugrad.modeling.solver.progress import SolveProgress

__all__ = ["Relugrad", "RelugradExact", "SolveProgress"]
