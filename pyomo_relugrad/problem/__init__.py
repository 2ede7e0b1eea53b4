"""A model around networks and expressions, as arrays: what every search and every proof works on."""

from pyomo_relugrad.problem.bounds import BOUND_METHODS, BOUNDS, ProblemBounds, bound_problem
from pyomo_relugrad.problem.embedding import EmbeddedExpression, EmbeddedNetwork, are_same, stacked
from pyomo_relugrad.problem.epigraphs import ReluMask, epigraph_relus, is_linear_program
from pyomo_relugrad.problem.expression_stage import ExpressionStage
from pyomo_relugrad.problem.incumbent import FEASIBILITY_TOLERANCE, ROUNDING, Incumbent, without_nan
from pyomo_relugrad.problem.integral_objective import rounded_up
from pyomo_relugrad.problem.network_stage import NetworkStage
from pyomo_relugrad.problem.objective import ReducedObjective, SingleNetwork
from pyomo_relugrad.problem.operations import BinaryDigits, Maximum, Product, SpecialOrderedSet
from pyomo_relugrad.problem.problem import Problem
from pyomo_relugrad.problem.quadratic import CONVEXITY_TOLERANCE, QuadraticFunction, is_positive_semidefinite
from pyomo_relugrad.problem.stages import Stage
from pyomo_relugrad.problem.structure import Shape

__all__ = [
    "BOUNDS",
    "BOUND_METHODS",
    "EmbeddedNetwork",
    "Incumbent",
    "Problem",
    "ProblemBounds",
    "ReducedObjective",
    "Shape",
    "Stage",
    "are_same",
    "bound_problem",
]
