"""Everything with a HiGHS model in it: linear programs, big-M models, bounds by linear programs."""

from pyomo_relugrad.programs.big_m import BigMModel, build_big_m
from pyomo_relugrad.programs.bounds import network_bounds
from pyomo_relugrad.programs.certificate import certified, proven_minimum
from pyomo_relugrad.programs.dense_quadratic import dense_quadratic_minimum
from pyomo_relugrad.programs.expression_rows import (
    ExpressionRows,
    expression_ranges,
    with_rows,
    without_expressions,
)
from pyomo_relugrad.programs.highs import (
    HIGHS_THREAD,
    HUGE_COEFFICIENT,
    HUGE_SIDE,
    confirm_infeasible,
    free_huge_rows,
    highs_with_model,
    huge_rows,
    silent_highs,
)
from pyomo_relugrad.programs.linear_program import LinearProgram, LinearSolution, LinearStatus, below_tolerance
from pyomo_relugrad.programs.linearization import Linearization, LinkRows, two_sided
from pyomo_relugrad.programs.obbt import tighten_by_programs
from pyomo_relugrad.programs.priced_quadratic import PricedMinimum, priced_quadratic_minimum
from pyomo_relugrad.programs.relu_cuts import with_relu_cuts
from pyomo_relugrad.programs.tangent_cuts import TangentCuts, above_tangents, tangents
from pyomo_relugrad.programs.threads import LOWEST_PRIORITY, lower_priority, solver_threads

#: Public, and described in the reference.
__all__ = [
    "BigMModel",
    "LinearProgram",
    "LinearSolution",
    "LinearStatus",
    "build_big_m",
    "network_bounds",
    "tighten_by_programs",
]
