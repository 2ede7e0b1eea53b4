"""Results of functions of arrays that were computed a short while ago."""

from __future__ import annotations

from collections.abc import Callable

from pyomo_relugrad.arrays import Array

#: Results that are kept, and entries of the arrays that one is of: larger ones, as those of nodes, do not come again.
MAX_RESULTS, MAX_ENTRIES = 16, 4096
#: Numbers of one result that is kept: planes of many outputs in many inputs would fill the memory.
MAX_NUMBERS = 250_000


class RecentResults:
    """The last results of pure functions of arrays, by the entries of these."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, tuple[bytes, ...]], tuple[Array, ...]] = {}

    def __reduce__(self) -> tuple[type[RecentResults], tuple[()]]:
        """Copies and pickles know nothing: a worker's boxes are others."""
        return RecentResults, ()

    def of(self, function: Callable[..., tuple[Array, ...]], *arrays: Array) -> tuple[Array, ...]:
        """Arrays that a function makes of others, which belong to the caller."""
        if sum(array.size for array in arrays) > MAX_ENTRIES:
            return function(*arrays)
        key = function.__name__, tuple(array.tobytes() for array in arrays)
        found = self._known.get(key)
        if found is None:
            found = function(*arrays)
            if sum(result.size for result in found) > MAX_NUMBERS:
                return found
            if len(self._known) >= MAX_RESULTS:
                self._known.clear()
            self._known[key] = found
        return tuple(array.copy() for array in found)
