"""Piecewise-linear functions of one variable, many at once, which may jump and may differ at single points."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from pyomo_relugrad.arrays import Array

TOLERANCE = 1e-6
"""What the float32 constants of a file leave of two points that are one, or of two values that meet, relatively."""

_ROUNDING = 1e-12


@dataclass(frozen=True, eq=False)
class Pieces:
    """``n`` functions: affine between neighbouring knots, with values of their own at the knots.

    Parameters
    ----------
    knots : (n, K) array
        Ascending in each row; infinite where a row has fewer.
    at : (n, K) array
        Values at the knots.
    slopes, offsets : (n, K + 1) arrays
        Between knots ``p - 1`` and ``p`` the function is ``slopes[:, p] * t + offsets[:, p]``.
    """

    knots: Array
    at: Array
    slopes: Array
    offsets: Array

    @classmethod
    def affine(cls, slopes: Array, offsets: Array) -> Pieces:
        """Functions without knots."""
        none = np.empty((len(slopes), 0))
        return cls(none, none, slopes[:, None], offsets[:, None])

    @property
    def n(self) -> int:
        """Number of functions."""
        return len(self.knots)

    @property
    def _arrays(self) -> tuple[Array, Array, Array, Array]:
        return self.knots, self.at, self.slopes, self.offsets

    @property
    def sides(self) -> tuple[Array, Array]:
        """Limits from the left and from the right at the knots, zero where a knot is infinite."""
        places = np.where(np.isfinite(self.knots), self.knots, 0.0)
        left = self.slopes[:, :-1] * places + self.offsets[:, :-1]
        right = self.slopes[:, 1:] * places + self.offsets[:, 1:]
        return left, right

    def taken(self, rows: Array) -> Pieces:
        """The functions of the given rows; the function zero where a row is negative."""
        parts = zip(self._arrays, (np.inf, 0.0, 0.0, 0.0), strict=True)
        return Pieces(*(np.where((rows >= 0)[:, None], own[rows], empty) for own, empty in parts))

    def stacked(self, others: Sequence[Pieces]) -> Pieces:
        """These functions, followed by those of the others."""
        parts = (part._arrays for part in _padded(self, *others))
        return Pieces(*(np.concatenate(own) for own in zip(*parts, strict=True)))

    def substituted(self, scale: Array, shift: Array) -> Pieces:
        """The functions of ``scale * t + shift`` in place of their variable; scales may be zero or negative."""
        mirrored = self._mirrored(scale < 0.0)
        safe = np.where(scale == 0.0, 1.0, abs(scale))[:, None]
        signed = np.where(scale < 0.0, -shift, shift)[:, None]
        moved = Pieces(
            (mirrored.knots - signed) / safe,
            mirrored.at,
            mirrored.slopes * safe,
            mirrored.offsets + mirrored.slopes * signed,
        )
        constant = moved._at_point(np.zeros(self.n))
        return choose(scale[:, None] == 0.0, Pieces.affine(np.zeros(self.n), constant), moved)

    def scaled(self, factors: Array) -> Pieces:
        """The functions times a constant each."""
        by = factors[:, None]
        return Pieces(self.knots, self.at * by, self.slopes * by, self.offsets * by)

    def plus(self, other: Pieces) -> Pieces:
        """The sums, row by row."""
        left, right = _common(self, other)
        return Pieces(
            left.knots, left.at + right.at, left.slopes + right.slopes, left.offsets + right.offsets
        )._simplified()

    def times(self, other: Pieces) -> Pieces | None:
        """The products, row by row; None where one is quadratic."""
        left, right = _common(self, other)
        lower, upper = _ends(left.knots)
        if ((lower < upper) & (left.slopes != 0.0) & (right.slopes != 0.0)).any():
            return None
        return Pieces(
            left.knots,
            left.at * right.at,
            left.slopes * right.offsets + right.slopes * left.offsets,
            left.offsets * right.offsets,
        )._simplified()

    def signs(self) -> Pieces:
        """-1, 0 or 1 where the functions are negative, zero or positive."""
        slopes = np.where(abs(self.slopes) <= _ROUNDING * abs(self.slopes).max(axis=1, keepdims=True), 0.0, self.slopes)
        roots = np.where(slopes != 0.0, -self.offsets / np.where(slopes != 0.0, slopes, 1.0), np.inf)
        lower, upper = _ends(self.knots)
        split = self._refined(np.where((roots > lower) & (roots < upper), roots, np.inf))
        inside = _inner_points(split.knots)
        values = split.slopes * inside + split.offsets
        sizes = abs(split.slopes * inside) + abs(split.offsets)
        left, right = split.sides
        tiny = _ROUNDING * np.maximum(abs(split.at), np.maximum(abs(left), abs(right)))
        places = np.where(np.isfinite(split.knots), split.knots, 0.0)
        tiny = np.maximum(tiny, _ROUNDING * abs(split.slopes[:, 1:] * places))
        return Pieces(
            split.knots,
            np.where(abs(split.at) <= tiny, 0.0, np.sign(split.at)),
            np.zeros_like(split.slopes),
            np.where(abs(values) <= _ROUNDING * sizes, 0.0, np.sign(values)),
        )._simplified()

    def mapped(self, function: Callable[[Array], Array]) -> Pieces:
        """A function of the values of these functions, which must be constant on each piece."""
        return Pieces(self.knots, function(self.at), self.slopes, function(self.offsets))._simplified()

    def relu(self) -> Pieces:
        """``max(f, 0)``."""
        result = self.times(self.signs().mapped(lambda values: (values > 0.0).astype(np.float64)))
        assert result is not None  # a factor that is constant on each piece
        return result

    def jumps(self, scale: Array) -> Array:
        """Which functions (n,) are not continuous; `scale` is the size of the variable's coefficients."""
        left, right = self.sides
        sizes = np.maximum(abs(self.slopes) * scale[:, None], abs(self.offsets))
        allowed = TOLERANCE * np.maximum(sizes[:, :-1], sizes[:, 1:])
        apart = np.maximum(abs(left - right), np.maximum(abs(self.at - left), abs(self.at - right)))
        return (np.isfinite(self.knots) & (apart > allowed)).any(axis=1)

    def _mirrored(self, rows: Array) -> Pieces:
        """The functions of ``-t`` in the given rows."""
        flip = rows[:, None]
        return Pieces(
            np.where(flip, -self.knots[:, ::-1], self.knots),
            np.where(flip, self.at[:, ::-1], self.at),
            np.where(flip, -self.slopes[:, ::-1], self.slopes),
            np.where(flip, self.offsets[:, ::-1], self.offsets),
        )

    def _refined(self, knots: Array) -> Pieces:
        """The same functions with more knots; such that are one up to rounding are made equal."""
        if not knots.shape[1]:
            return self
        everything = np.concatenate([self.knots, knots], axis=1)
        order = np.argsort(everything, axis=1, kind="stable")
        merged = _snapped(np.take_along_axis(everything, order, axis=1))
        snapped = np.take_along_axis(merged, np.argsort(order, axis=1), axis=1)[:, : self.knots.shape[1]]
        finite = np.isfinite(merged)
        own = (snapped[:, :, None] == merged[:, None, :]) & finite[:, None, :]
        piece = (snapped[:, :, None] < _inner_points(merged)[:, None, :]).sum(axis=1)
        slopes = np.take_along_axis(self.slopes, piece, axis=1)
        offsets = np.take_along_axis(self.offsets, piece, axis=1)
        places = np.where(finite, merged, 0.0)
        at = slopes[:, :-1] * places + offsets[:, :-1]
        if self.knots.shape[1]:
            at = np.where(own.any(axis=1), np.take_along_axis(self.at, own.argmax(axis=1), axis=1), at)
        return Pieces(merged, at, slopes, offsets)

    def _at_point(self, points: Array) -> Array:
        """Values (n,) at one point of each function's variable."""
        piece = (self.knots < points[:, None]).sum(axis=1, keepdims=True)
        values = np.take_along_axis(self.slopes, piece, axis=1) * points[:, None]
        values = values + np.take_along_axis(self.offsets, piece, axis=1)
        met = self.knots == points[:, None]
        if self.knots.shape[1]:
            own = np.take_along_axis(self.at, met.argmax(axis=1)[:, None], axis=1)
            values = np.where(met.any(axis=1, keepdims=True), own, values)
        return values[:, 0]

    def _simplified(self) -> Pieces:
        """Without the knots where nothing changes."""
        left, _ = self.sides
        same = (self.slopes[:, :-1] == self.slopes[:, 1:]) & (self.offsets[:, :-1] == self.offsets[:, 1:])
        knots = np.where(same & (self.at == left), np.inf, self.knots)
        order = np.argsort(knots, axis=1, kind="stable")
        width = int(np.isfinite(knots).sum(axis=1).max(initial=0) + (knots == -np.inf).sum(axis=1).max(initial=0))
        following = np.concatenate([np.zeros((self.n, 1), dtype=order.dtype), order + 1], axis=1)
        kept = np.take_along_axis(knots, order, axis=1)[:, :width]
        return Pieces(
            kept,
            np.take_along_axis(self.at, order, axis=1)[:, :width],
            _filled(np.take_along_axis(self.slopes, following, axis=1)[:, : width + 1], kept),
            _filled(np.take_along_axis(self.offsets, following, axis=1)[:, : width + 1], kept),
        )


def choose(condition: Array, chosen: Pieces, other: Pieces) -> Pieces:
    """The functions of `chosen` in the rows where a condition (n, 1) holds, else those of `other`."""
    parts = (part._arrays for part in _padded(chosen, other))
    return Pieces(*(np.where(condition, *own) for own in zip(*parts, strict=True)))._simplified()


def _filled(values: Array, knots: Array) -> Array:
    """Values of the pieces, those between infinite knots the same as those beside them."""
    result = values.copy()
    for column in range(knots.shape[1]):
        result[:, column + 1] = np.where(knots[:, column] == np.inf, result[:, column], result[:, column + 1])
    for column in reversed(range(knots.shape[1])):
        result[:, column] = np.where(knots[:, column] == -np.inf, result[:, column + 1], result[:, column])
    return result


def _snapped(knots: Array) -> Array:
    """Ascending knots, those made equal that are one up to rounding."""
    result = knots.copy()
    places = np.where(np.isfinite(knots), abs(knots), 0.0)
    allowed = TOLERANCE * places + _ROUNDING * places.max(axis=1, initial=0.0, keepdims=True)
    for column in range(1, knots.shape[1]):
        before, own = result[:, column - 1], result[:, column]
        both = np.isfinite(before) & np.isfinite(own)
        near = both & (np.where(both, own, 0.0) - np.where(both, before, 0.0) <= allowed[:, column])
        result[:, column] = np.where(near, before, own)
    return result


def _padded(*parts: Pieces) -> list[Pieces]:
    """All with the same number of knots, some of them infinite."""
    width = max(part.knots.shape[1] for part in parts)
    return [part._refined(np.full((part.n, width - part.knots.shape[1]), np.inf)) for part in parts]


def _common(left: Pieces, right: Pieces) -> tuple[Pieces, Pieces]:
    """Both functions with the knots of both."""
    first = left._refined(right.knots)
    return first, right._refined(left.knots)


def _ends(knots: Array) -> tuple[Array, Array]:
    """Where each piece begins and ends."""
    infinite = np.full((len(knots), 1), np.inf)
    return np.concatenate([-infinite, knots], axis=1), np.concatenate([knots, infinite], axis=1)


def _inner_points(knots: Array) -> Array:
    """A point inside each piece."""
    lower, upper = _ends(knots)
    below, above = np.isfinite(lower), np.isfinite(upper)
    both = 0.5 * (np.where(below, lower, 0.0) + np.where(above, upper, 0.0))
    one = np.where(below, lower + 1.0 + abs(lower), np.where(above, upper - 1.0 - abs(upper), 0.0))
    return np.where(below & above, both, one)
