"""Networks of which one input varies: piecewise-linear functions of one number, in the incremental formulation.

The range of the input is cut at the function's breakpoints, and a share of each piece is filled, one after another: a
piece may only be begun where the one before is full, which a binary says (Markowitz and Manne, "On the solution of
discrete programming problems", Econometrica 25, 1957). The linear relaxation is the convex hull of the function's
graph, which that of big-M rows is far from, and there are as many binaries as breakpoints.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pyomo_relugrad.arrays import Array
from pyomo_relugrad.network import Network

# Deviation from a straight line, relative to one plus an output's largest value, up to which a breakpoint is left out;
# and the shortest piece, as a share of the range, that is stated.
STRAIGHT, SHORTEST = 1e-10, 1e-7
# The smallest step that is stated: HiGHS divides by it, and has cut optima off where it is near its tolerances.
SMALLEST = 1e-6


@dataclass(frozen=True, eq=False)
class PiecewiseLinear:
    """A function of one column that is linear between points.

    Parameters
    ----------
    column : int
        The input that varies.
    points : (K + 1,) array
        The ends of its range, and the breakpoints between them.
    values : (K + 1, n_outputs) array
        There.
    """

    column: int
    points: Array
    values: Array

    @property
    def n_pieces(self) -> int:
        """Between how many points it is linear."""
        return self.points.size - 1

    def shares(self, value: float) -> Array:
        """How much of each piece (K,) lies below a value of the column."""
        return ((value - self.points[:-1]) / np.diff(self.points)).clip(0.0, 1.0)


@dataclass(frozen=True, eq=False)
class CurveColumns:
    """A curve in a program.

    Parameters
    ----------
    curve : PiecewiseLinear
    shares : (K,) int array
        Columns of the shares of its pieces.
    full : (K - 1,) int array
        Binaries: whether a piece is full, so that the next one may begin.
    """

    curve: PiecewiseLinear
    shares: Array
    full: Array


def curve_of(network: Network, inputs: Array, lower: Array, upper: Array, max_pieces: int) -> PiecewiseLinear | None:
    """What a network is as a function of the only input that varies; None where there is not just one.

    Parameters
    ----------
    network : Network
    inputs : (k,) int array
        Columns.
    lower, upper : (k,) arrays
        Their bounds.
    max_pieces : int
        None as well where there would be more pieces, or too short ones.
    """
    varying = np.unique(inputs[lower < upper])
    if varying.size != 1 or not np.isfinite([lower, upper]).all():
        return None
    moves = inputs == varying[0]
    ends = float(lower[moves].max()), float(upper[moves].min())

    def at(points: Array) -> Array:
        return np.where(moves, points[:, None], lower)

    points = np.array(ends)
    for layer in range(len(network.widths)):
        points = _with_zeros(points, network.preactivations(at(points))[layer])
    values = network.value(at(points))
    kept = _bends(points, values)
    curve = PiecewiseLinear(int(varying[0]), points[kept], values[kept])
    is_long = np.diff(curve.points).min() > SHORTEST * (ends[1] - ends[0])
    steps = np.abs(np.diff(np.column_stack([curve.points, curve.values]), axis=0))
    is_clear = ((steps == 0.0) | (steps >= SMALLEST)).all()
    return curve if is_long and is_clear and curve.n_pieces <= max_pieces else None


def _with_zeros(points: Array, values: Array) -> Array:
    """Sorted points, and where functions with values (K + 1, n) there, linear between them, are zero."""
    left, right = values[:-1], values[1:]
    piece, function = np.nonzero((left < 0.0) != (right < 0.0))
    first, last = left[piece, function], right[piece, function]
    zeros = points[piece] + (points[piece + 1] - points[piece]) * (first / (first - last))
    return np.unique(np.concatenate([points, zeros.clip(points[piece], points[piece + 1])]))


def _bends(points: Array, values: Array) -> list[int]:
    """The points between which straight lines meet all values."""
    allowed, kept = STRAIGHT * (1.0 + np.abs(values).max(axis=0)), [0]
    for index in range(1, points.size - 1):
        last, after = kept[-1], index + 1
        share = (points[index] - points[last]) / (points[after] - points[last])
        straight = values[last] + share * (values[after] - values[last])
        if (np.abs(values[index] - straight) > allowed).any():
            kept.append(index)
    return [*kept, points.size - 1]
