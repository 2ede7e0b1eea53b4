"""The Pyomo solvers ``relugrad`` and ``relugrad.exact``."""

from pyomo_relugrad.solver.exact import RelugradExact
from pyomo_relugrad.solver.local import Relugrad, SolveProgress

__all__ = ["Relugrad", "RelugradExact", "SolveProgress"]
