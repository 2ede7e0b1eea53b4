"""Who runs when: a search, an exact solve, a search for counterexamples, and their entry points on arrays."""

from pyomo_relugrad.run.options import ExactOptions
from pyomo_relugrad.solve.arrays import Optimum, maximize, minimize
from pyomo_relugrad.solve.counterexample import find_counterexample
from pyomo_relugrad.solve.driver import search
from pyomo_relugrad.solve.portfolio import ExactResult, solve_exactly
from pyomo_relugrad.solve.routes import Route

__all__ = [
    "ExactOptions",
    "ExactResult",
    "Optimum",
    "Route",
    "find_counterexample",
    "maximize",
    "minimize",
    "search",
    "solve_exactly",
]
