"""Smooth expressions as functions of arrays. Knows NumPy and SciPy, and boxes of `network/`."""

from pyomo_relugrad.expression.builder import Built, ExpressionBuilder, Node
from pyomo_relugrad.expression.expression import PRODUCT, Expression
from pyomo_relugrad.expression.functions import Power
from pyomo_relugrad.expression.isolation import Isolation
from pyomo_relugrad.expression.operations import Application, Multiplication, Norm, Operation, WeightedSum, arguments_of
from pyomo_relugrad.expression.relaxation import LinearBounds
