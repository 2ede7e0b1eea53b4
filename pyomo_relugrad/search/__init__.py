"""Local searches: from a `Problem` to an `Incumbent`. No Pyomo."""

from pyomo_relugrad.search.budget import Budget, Stop
from pyomo_relugrad.search.driver import SearchResult, search
from pyomo_relugrad.search.front_door import Optimum, maximize, minimize

__all__ = ["Budget", "Optimum", "SearchResult", "Stop", "maximize", "minimize", "search"]
