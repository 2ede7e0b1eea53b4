"""A point with what is known of it, and the tolerances by which points are judged."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pyomo_relugrad.arrays import Array

#: Largest violation of a row, a bound or integrality at which a point is called feasible (as HiGHS's default for MIPs).
FEASIBILITY_TOLERANCE = 1e-6
#: Share of its value by which a feasible point may lie below a bound that holds: what tolerances of rows bring.
TOLERATED = 1e-3
#: What counts as rounding: of a sum of products relative to their sizes, of a distance from a bound relative to that.
ROUNDING = 1e-12


@dataclass(frozen=True, eq=False)
class Incumbent:
    """A point with what is known of it, measured in float64 on the original networks and expressions.

    Parameters
    ----------
    values : (n,) array
    objective : float
        In the sense of `Problem`, to be minimized.
    violation : float
        Largest violation of a row, a bound, integrality or a special ordered set.
    network_error : float
        Largest difference between a column and what a network, expression or operation gives it.
    """

    values: Array
    objective: float
    violation: float
    network_error: float

    @property
    def is_feasible(self) -> bool:
        """Whether every violation is within `FEASIBILITY_TOLERANCE`."""
        return max(self.violation, self.network_error) <= FEASIBILITY_TOLERANCE and bool(np.isfinite(self.objective))

    def refutes(self, bound: float) -> bool:
        """Whether a bound is wrong, as the point is feasible and lies below it, by more than tolerances of rows."""
        least = self.objective + TOLERATED * (1.0 + abs(self.objective))
        return self.is_feasible and bool(np.isfinite(bound)) and bound > least


def without_nan(values: Array) -> Array:
    """Values of what is to be small, infinite where they are not defined."""
    return np.where(np.isnan(values), np.inf, values)
