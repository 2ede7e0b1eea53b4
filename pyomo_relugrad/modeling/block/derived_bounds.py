"""Interval bounds that a block derives for outputs of its own, until the user sets others."""

from collections.abc import Iterable, Mapping
from typing import Any, TypeAlias

import numpy as np

from pyomo_relugrad.arrays import Array
from pyomo_relugrad.network import Network, interval_bounds

#: How far, relative to its size, a bound may be off by rounding.
TOLERANCE = 1e-9

#: A lower and an upper bound, None where there is none.
Sides: TypeAlias = tuple[float | None, float | None]


class DerivedBounds:
    """The bounds of some outputs as they were derived last; ranges are computed once for a network and a box.

    Parameters
    ----------
    positions : iterable of int
        The outputs that the block owns.
    """

    def __init__(self, positions: Iterable[int] = ()) -> None:
        self._sides: dict[int, Sides] = dict.fromkeys(positions, (None, None))
        self._last: tuple[Network, Array, Array, list[Sides]] | None = None

    def __bool__(self) -> bool:
        return bool(self._sides)

    def renew(self, outputs: Mapping[int, Any], network: Network, lower: Array, upper: Array) -> bool:
        """Set the sides that the user has not set, for inputs between (n_inputs,) arrays; whether one changed."""
        before, ranges = self._sides, self._ranges(network, lower, upper)
        self._sides = {position: self._renewed(outputs, position, ranges[position]) for position in before}
        return self._sides != before

    def _renewed(self, outputs: Mapping[int, Any], position: int, found: Sides) -> Sides:
        low_is_ours, high_is_ours = self.are_set(outputs, position)
        low, high = self._sides[position]
        if low_is_ours:
            low = found[0]
            outputs[position].setlb(low)
        if high_is_ours:
            high = found[1]
            outputs[position].setub(high)
        return low, high

    def are_set(self, outputs: Mapping[int, Any], position: int) -> tuple[bool, bool]:
        """Whether an output's lower and upper bound are those that were derived."""
        if position not in self._sides:
            return False, False
        variable, (low, high) = outputs[position], self._sides[position]
        return variable.lower == low, variable.upper == high

    def hold(self, network: Network, lower: Array, upper: Array) -> bool:
        """Whether the bounds hold with inputs between (n_inputs,) arrays."""
        ranges = self._ranges(network, lower, upper)
        return all(_within(ranges[position], sides) for position, sides in self._sides.items())

    def _ranges(self, network: Network, lower: Array, upper: Array) -> list[Sides]:
        """By output; those of the last box are kept."""
        last = self._last
        if last is None or last[0] is not network or not all(map(np.array_equal, last[1:3], (lower, upper))):
            bounds = interval_bounds(network, lower[None, :], upper[None, :])
            pairs = zip(bounds.output_lower[0].tolist(), bounds.output_upper[0].tolist(), strict=True)
            sides: list[Sides] = [(or_none(low), or_none(high)) for low, high in pairs]
            self._last = last = network, lower.copy(), upper.copy(), sides
        return last[3]


def _within(found: Sides, sides: Sides) -> bool:
    """Whether ranges lie between bounds, but for rounding."""
    low, high = sides
    slack = TOLERANCE * (1.0 + abs(low or 0.0) + abs(high or 0.0))
    least, most = (-np.inf if found[0] is None else found[0]), (np.inf if found[1] is None else found[1])
    return (low is None or least >= low - slack) and (high is None or most <= high + slack)


def or_none(bound: float) -> float | None:
    """A bound, None where it is infinite."""
    return bound if np.isfinite(bound) else None
