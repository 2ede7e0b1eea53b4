"""Learned rows of an optimisation model: ensembles of networks, and margins for their errors."""

from pyomo_relugrad.learning.ensemble import Ensemble
from pyomo_relugrad.learning.margin import conformal_margin

__all__ = ["Ensemble", "conformal_margin"]
