"""Columns that are products or maxima of others, sets of which few columns may differ from zero, and what follows."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any, TypeAlias

import numpy as np

from pyomo_relugrad.arrays import Array
from pyomo_relugrad.errors import ModelError


@dataclass(frozen=True)
class Product:
    """``v[output] = v[first] * v[second]``.

    Parameters
    ----------
    output, first, second : int
        Columns.
    """

    output: int
    first: int
    second: int

    @property
    def outputs(self) -> list[int]:
        """The column of the product."""
        return [self.output]

    def value(self, v: Array) -> Array:
        """The product (1,) at a point (n,), or (1, B) at points (n, B)."""
        return v[[self.first]] * v[[self.second]]

    def range(self, lower: Array, upper: Array) -> tuple[float, float]:
        """Smallest and largest value in a box."""
        sides = [(side[self.first], other[self.second]) for side in (lower, upper) for other in (lower, upper)]
        corners = [0.0 if 0.0 in pair else pair[0] * pair[1] for pair in sides]
        return float(min(corners)), float(max(corners))

    def renumbered(self, columns: Array) -> Product:
        """The same where column ``i`` has become ``columns[i]``."""
        return Product(*(int(columns[column]) for column in (self.output, self.first, self.second)))


@dataclass(frozen=True, eq=False)
class Maximum:
    """``v[output] = max(matrix @ v[inputs] + offset)``; absolute values and, negated, minima are maxima.

    Parameters
    ----------
    output : int
        Column.
    inputs : (k,) int array
        Columns.
    matrix : (n_pieces, k) array
    offset : (n_pieces,) array
    """

    output: int
    inputs: Array
    matrix: Array
    offset: Array

    def __post_init__(self) -> None:
        if self.matrix.shape != (len(self.offset), len(self.inputs)):
            raise ModelError(
                f"a maximum of {len(self.offset)} functions of {len(self.inputs)} columns has a matrix of shape "
                f"{self.matrix.shape}"
            )

    @property
    def outputs(self) -> list[int]:
        """The column of the maximum."""
        return [self.output]

    def value(self, v: Array) -> Array:
        """The maximum (1,) at a point (n,), or (1, B) at points (n, B)."""
        offset = self.offset.reshape(-1, *[1] * (v.ndim - 1))
        return (self.matrix @ v[self.inputs] + offset).max(axis=0, keepdims=True)

    def range(self, lower: Array, upper: Array) -> tuple[float, float]:
        """Bounds of the value in a box, by interval arithmetic."""
        positive, negative = np.maximum(self.matrix, 0.0), np.minimum(self.matrix, 0.0)
        with np.errstate(invalid="ignore"):
            low = np.where(positive, positive * lower[self.inputs], negative * upper[self.inputs])
            high = np.where(positive, positive * upper[self.inputs], negative * lower[self.inputs])
        ends = [np.where(self.matrix != 0.0, side, 0.0).sum(axis=1) + self.offset for side in (low, high)]
        return float(ends[0].max()), float(ends[1].max())

    def renumbered(self, columns: Array) -> Maximum:
        """The same where column ``i`` has become ``columns[i]``."""
        return replace(self, output=int(columns[self.output]), inputs=columns[self.inputs])


@dataclass(frozen=True, eq=False)
class SpecialOrderedSet:
    """At most `kind` columns differ from zero, and they follow one another.

    Parameters
    ----------
    columns : (n,) int array
        In their order.
    kind : int
        1 or 2, as in SOS1 and SOS2.
    name : str, optional
        For messages.
    windows : (n_windows, n) booleans
        Which columns each choice allows to differ from zero.
    """

    columns: Array
    kind: int
    name: str = ""
    windows: Array = field(init=False)

    def __post_init__(self) -> None:
        if self.kind not in (1, 2):
            raise ModelError(f"special ordered set '{self.name}' is of kind {self.kind}; relugrad knows 1 and 2")
        n = len(self.columns)
        first = np.arange(max(n - self.kind, 0) + 1)[:, None]
        object.__setattr__(self, "windows", (np.arange(n) >= first) & (np.arange(n) < first + self.kind))

    def violation(self, v: Array) -> float:
        """The size of the largest column outside of the best window, at a point (n,)."""
        return float(self._outside(v).min())

    def choice(self, v: Array) -> Array:
        """The window outside of which the columns are smallest, at a point (n,) or at each of points (n, B)."""
        return np.asarray(self._outside(v).argmin(axis=0))

    def _outside(self, v: Array) -> Array:
        """The size of the largest column outside of each window: (windows,) or (windows, B)."""
        windows = self.windows if v.ndim == 1 else self.windows[:, :, None]
        return np.where(windows, 0.0, np.abs(v[self.columns])).max(axis=1, initial=0.0)

    def renumbered(self, columns: Array) -> SpecialOrderedSet:
        """The same where column ``i`` has become ``columns[i]``."""
        return replace(self, columns=columns[self.columns])


@dataclass(frozen=True, eq=False)
class WindowChoice:
    """Binary columns of which the one is 1 that tells the window of a special ordered set."""

    outputs: list[int]
    ordered_set: SpecialOrderedSet

    def value(self, v: Array) -> Array:
        """The binaries (k,) at a point (n,), or (k, B) at points (n, B)."""
        is_chosen = np.equal.outer(np.arange(len(self.outputs)), self.ordered_set.choice(v))
        return np.where(np.isnan(v[self.ordered_set.columns]).any(axis=0), np.nan, is_chosen)

    def renumbered(self, columns: Array) -> WindowChoice:
        """The same where column ``i`` has become ``columns[i]``."""
        return WindowChoice([int(columns[column]) for column in self.outputs], self.ordered_set.renumbered(columns))


@dataclass(frozen=True, eq=False)
class BinaryDigits:
    """Binary columns: ``v[argument] = least + sum(2**j * v[outputs[j]])``."""

    outputs: list[int]
    argument: int
    least: int

    def value(self, v: Array) -> Array:
        """The digits (k,) at a point (n,), or (k, B) at points (n, B)."""
        number = np.round(v[self.argument] - self.least)
        return np.floor(np.multiply.outer(0.5 ** np.arange(len(self.outputs)), number)) % 2

    def renumbered(self, columns: Array) -> BinaryDigits:
        """The same where column ``i`` has become ``columns[i]``."""
        return BinaryDigits([int(columns[column]) for column in self.outputs], int(columns[self.argument]), self.least)


#: Columns (`outputs`) whose values (`value`) follow from those of others; NaN where one that is needed is NaN.
Follower: TypeAlias = Product | Maximum | WindowChoice | BinaryDigits


def renumbered(parts: Iterable[Any], columns: Array) -> tuple[Any, ...]:
    """Each of the parts where column ``i`` has become ``columns[i]``."""
    return tuple(part.renumbered(columns) for part in parts)
