"""A model around networks and expressions, as arrays: what every search and every proof works on."""

from pyomo_relugrad.problem.embedding import EmbeddedExpression, EmbeddedNetwork
from pyomo_relugrad.problem.objective import ReducedObjective
from pyomo_relugrad.problem.operations import Maximum, Product, SpecialOrderedSet
from pyomo_relugrad.problem.problem import FEASIBILITY_TOLERANCE, ROUNDING, Incumbent, Problem, Shape, rows_data
from pyomo_relugrad.problem.quadratic import QuadraticFunction, is_positive_semidefinite
from pyomo_relugrad.problem.stages import ExpressionStage, NetworkStage, Stage

__all__ = [
    "FEASIBILITY_TOLERANCE",
    "ROUNDING",
    "EmbeddedExpression",
    "EmbeddedNetwork",
    "ExpressionStage",
    "Incumbent",
    "Maximum",
    "NetworkStage",
    "Problem",
    "Product",
    "QuadraticFunction",
    "ReducedObjective",
    "Shape",
    "SpecialOrderedSet",
    "Stage",
    "is_positive_semidefinite",
    "rows_data",
]
