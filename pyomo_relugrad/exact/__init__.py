"""Exact solution: local search, branch and bound over the networks' inputs, and the MILP together. No Pyomo."""

from pyomo_relugrad.exact.routes import Route
from pyomo_relugrad.exact.runner import ExactOptions
from pyomo_relugrad.exact.solve import ExactResult, solve_exactly

__all__ = ["ExactOptions", "ExactResult", "Route", "solve_exactly"]
