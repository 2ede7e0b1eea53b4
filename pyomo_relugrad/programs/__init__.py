"""Everything with a HiGHS model in it: linear programs, big-M models, bounds by linear programs."""

from pyomo_relugrad.programs.big_m import BigMModel, build_big_m
from pyomo_relugrad.programs.linear_program import LinearProgram, LinearSolution, LinearStatus, below_tolerance
from pyomo_relugrad.programs.network_bounds import network_bounds
from pyomo_relugrad.programs.obbt import tighten_by_programs

__all__ = [
    "BigMModel",
    "LinearProgram",
    "LinearSolution",
    "LinearStatus",
    "below_tolerance",
    "build_big_m",
    "network_bounds",
    "tighten_by_programs",
]
