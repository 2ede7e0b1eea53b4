"""What a linear program over a linear region gives, and what the next one may begin with."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pyomo_relugrad.arrays import Array

NO_NEURONS = np.zeros(0, np.int64)
# Share of the largest multiplier below which a facet is not active.
NO_MULTIPLIER = 1e-12


@dataclass(frozen=True, eq=False)
class RegionOptimum:
    """The best point of a closed linear region.

    Parameters
    ----------
    u : (d,) array
    active : (k,) int array
        Neurons whose facets hold with equality and have a positive multiplier.
    multipliers : (k,) array
        Gain of the objective per unit by which each active facet gives way.
    binding : (m,) int array
        All neurons whose facets are in the final basis, degenerate ones too.
    is_exact : bool
        Whether the program was solved to the end; otherwise `u` is only a better point of the region.
    is_unbounded : bool
        Whether the objective falls without limit on the region.
    """

    u: Array
    active: Array
    multipliers: Array
    binding: Array
    is_exact: bool
    is_unbounded: bool = False


@dataclass(frozen=True, eq=False)
class BasisGuess:
    """The basis near which an optimum is thought to be.

    Parameters
    ----------
    columns : (d,) int array
        -1 where a decision column is at its lower bound, 1 at its upper bound, 0 where it is free.
    rows : (m,) int array
        The same for the problem's rows and their sides.
    neurons : (k,) int array
        Whose facets hold with equality.
    """

    columns: Array
    rows: Array
    neurons: Array
