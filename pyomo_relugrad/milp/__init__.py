"""Problems as mixed-integer programs for HiGHS, built as arrays. No Pyomo."""

from pyomo_relugrad.milp.big_m import BigMModel, build_big_m
from pyomo_relugrad.milp.column_bounds import BOUND_METHODS, ProblemBounds, bound_problem
from pyomo_relugrad.milp.network_bounds import network_bounds
from pyomo_relugrad.milp.pruned import search_by_pruned_milp
from pyomo_relugrad.milp.solve import REPORT_INTERVAL, MilpProof, prove_by_milp
from pyomo_relugrad.milp.tightening_programs import tighten_by_programs

__all__ = [
    "BOUND_METHODS",
    "REPORT_INTERVAL",
    "BigMModel",
    "MilpProof",
    "ProblemBounds",
    "bound_problem",
    "build_big_m",
    "network_bounds",
    "prove_by_milp",
    "search_by_pruned_milp",
    "tighten_by_programs",
]
