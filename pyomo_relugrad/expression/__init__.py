"""Smooth expressions as functions of arrays. Knows NumPy and SciPy and nothing else."""

from pyomo_relugrad.expression.builder import Built, ExpressionBuilder, Node
from pyomo_relugrad.expression.expression import Expression

__all__ = ["Built", "Expression", "ExpressionBuilder", "Node"]
