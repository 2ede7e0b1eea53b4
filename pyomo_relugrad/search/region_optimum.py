"""What a linear program over a linear region gives."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pyomo_relugrad.arrays import Array

NO_NEURONS = np.zeros(0, np.int64)


@dataclass(frozen=True, eq=False)
class RegionOptimum:
    """The highest point of a closed linear region.

    Parameters
    ----------
    u : (d,) array
    active : (k,) int array
        Neurons whose facets hold with equality and have a positive multiplier.
    multipliers : (k,) array
        Gain of the height per unit by which each active facet gives way.
    binding : (m,) int array
        All neurons whose facets are in the final basis, degenerate ones too.
    is_exact : bool
        Whether the program was solved to the end; otherwise `u` is only a better point of the region.
    is_unbounded : bool
        Whether the height grows without limit on the region.
    """

    u: Array
    active: Array
    multipliers: Array
    binding: Array
    is_exact: bool
    is_unbounded: bool = False
