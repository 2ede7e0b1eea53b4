"""Interval bounds of a block's outputs, kept while the ranges of its inputs stay as they are."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pyomo_relugrad.arrays import Array
from pyomo_relugrad.network import Network, interval_bounds


@dataclass(frozen=True)
class OutputRanges:
    """What interval arithmetic says of a network's outputs over one box.

    Parameters
    ----------
    network : Network
    input_lower, input_upper : (n_inputs,) arrays
        The box.
    lower, upper : lists of n_outputs floats
    """

    network: Network
    input_lower: Array
    input_upper: Array
    lower: list[float]
    upper: list[float]

    @classmethod
    def over(cls, network: Network, lower: Array, upper: Array) -> OutputRanges:
        """Compute them for a box of (n_inputs,) arrays."""
        bounds = interval_bounds(network, lower[None, :], upper[None, :])
        return cls(
            network, lower.copy(), upper.copy(), bounds.output_lower[0].tolist(), bounds.output_upper[0].tolist()
        )

    def are_over(self, network: Network, lower: Array, upper: Array) -> bool:
        """Whether they are those of this network over this box."""
        same_box = np.array_equal(lower, self.input_lower) and np.array_equal(upper, self.input_upper)
        return network is self.network and same_box
