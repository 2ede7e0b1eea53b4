"""Who runs when: a search, an exact solve, a search for counterexamples, and their entry points on arrays."""

from pyomo_relugrad.run import Options, Route
from pyomo_relugrad.solve.arrays import array_problem, maximize, minimize, refuse_without_end
from pyomo_relugrad.solve.exact import solve_exactly
from pyomo_relugrad.solve.local import search, solve_locally
from pyomo_relugrad.solve.optimum import Optimum
from pyomo_relugrad.solve.portfolio import Portfolio
from pyomo_relugrad.solve.verdicts.counterexample import find_counterexample
from pyomo_relugrad.solve.verdicts.query import Counterexample, declared_order
from pyomo_relugrad.solve.verdicts.question import linked_box
from pyomo_relugrad.solve.verdicts.verification import Answer, OpenCase, Verdict, verify

#: Public, and described in the reference.
__all__ = [
    "Answer",
    "Counterexample",
    "OpenCase",
    "Optimum",
    "Options",
    "Portfolio",
    "Route",
    "Verdict",
    "find_counterexample",
    "maximize",
    "minimize",
    "search",
    "solve_exactly",
    "solve_locally",
    "verify",
]
