"""Local searches: from a `Problem` to an `Incumbent`. No Pyomo."""

from pyomo_relugrad.search.budget import Budget, Stop
from pyomo_relugrad.search.driver import SearchResult, search

__all__ = ["Budget", "SearchResult", "Stop", "search"]
