"""Who runs when: a search, an exact solve, a search for counterexamples, and their entry points on arrays."""

from pyomo_relugrad.run.options import Options
from pyomo_relugrad.run.result import Route
from pyomo_relugrad.solve.arrays import Optimum, maximize, minimize
from pyomo_relugrad.solve.counterexample import find_counterexample
from pyomo_relugrad.solve.driver import search
from pyomo_relugrad.solve.portfolio import solve_exactly

__all__ = [
    "Optimum",
    "Options",
    "Route",
    "find_counterexample",
    "maximize",
    "minimize",
    "search",
    "solve_exactly",
]
