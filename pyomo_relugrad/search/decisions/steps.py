"""Steps by which columns follow from others, for many points at once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from scipy import sparse

from pyomo_relugrad.arrays import Array
from pyomo_relugrad.problem import FEASIBILITY_TOLERANCE, Stage
from pyomo_relugrad.problem.presolve.mixing_sets import MixingSet


class Filling(Protocol):
    """Fills in some columns."""

    @property
    def reads(self) -> Array:
        """Columns (k,) that these are computed from."""

    def fill(self, V: Array) -> None:
        """Set these columns (rows of an (n, B) array) from others, in place."""

    def limited(self, changed: set[int]) -> Filling | None:
        """What of it depends on some columns, to which what follows is added; None for nothing."""


@dataclass
class LinearForm:
    """``constant + sum(coefficient * v[column])``.

    Parameters
    ----------
    coefficients : dict of int to float
        By column.
    constant : float
    """

    coefficients: dict[int, float] = field(default_factory=dict)
    constant: float = 0.0

    def plus(self, factor: float, other: LinearForm) -> LinearForm:
        """Add a multiple of another."""
        coefficients = dict(self.coefficients)
        for column, value in other.coefficients.items():
            coefficients[column] = coefficients.get(column, 0.0) + factor * value
        return LinearForm(coefficients, self.constant + factor * other.constant)

    def depends_on(self, changed: set[int]) -> bool:
        """Whether some columns are among its own."""
        return not changed.isdisjoint(self.coefficients)


class AffineMap:
    """Many affine functions as one sparse matrix.

    Parameters
    ----------
    functions : sequence of LinearForm
    n_columns : int
    """

    def __init__(self, functions: Sequence[LinearForm], n_columns: int) -> None:
        sizes = [len(function.coefficients) for function in functions]
        columns = [column for function in functions for column in function.coefficients]
        values = [value for function in functions for value in function.coefficients.values()]
        indptr = np.concatenate([[0], np.cumsum(sizes)]).astype(int)
        self._matrix = sparse.csr_array(
            (np.array(values, float), np.array(columns, int), indptr), shape=(len(functions), n_columns)
        )
        self._constants = np.array([[function.constant] for function in functions]).reshape(-1, 1)

    @property
    def reads(self) -> Array:
        """Columns (k,) that they hold."""
        return np.unique(self._matrix.indices)

    def __call__(self, V: Array) -> Array:
        """Values (k, B) at points (n, B)."""
        values = np.asarray(self._matrix @ V)
        values += self._constants
        return values


class LargestOf:
    """The largest of some affine functions, for many such groups.

    Parameters
    ----------
    groups : sequence of sequences of LinearForm
        None of them empty.
    n_columns : int
    """

    def __init__(self, groups: Sequence[Sequence[LinearForm]], n_columns: int) -> None:
        # The first of each group, the second of each, and so on: arrays are compared as a whole.
        self._longest = max(map(len, groups))
        ranks = range(self._longest)
        self._functions = AffineMap([group[min(rank, len(group) - 1)] for rank in ranks for group in groups], n_columns)

    @property
    def reads(self) -> Array:
        """Columns (k,) that they hold."""
        return self._functions.reads

    def __call__(self, V: Array) -> Array:
        """Values (groups, B) at points (n, B)."""
        values = self._functions(V)
        return np.asarray(values.reshape(self._longest, -1, values.shape[1]).max(axis=0))


class Equations:
    """Columns that equations give.

    Parameters
    ----------
    columns : list of int
    values : list of LinearForm
    integers : (n,) boolean array
    """

    def __init__(self, columns: list[int], values: list[LinearForm], integers: Array) -> None:
        self._columns, self._values = np.array(columns), AffineMap(values, integers.size)
        self._is_integer = integers[self._columns][:, None]
        self._given = columns, values, integers

    @property
    def reads(self) -> Array:
        """Columns (k,) that these are computed from."""
        return self._values.reads

    @property
    def forms(self) -> Iterator[tuple[int, LinearForm]]:
        """The columns and what they are."""
        return zip(*self._given[:2], strict=True)

    def fill(self, V: Array) -> None:
        """Solve the equations."""
        values = self._values(V)
        V[self._columns] = np.where(self._is_integer, np.round(values), values)

    def limited(self, changed: set[int]) -> Equations | None:
        """What of it depends on some columns."""
        columns, values, integers = self._given
        kept = [index for index, value in enumerate(values) if value.depends_on(changed)]
        changed.update(columns[index] for index in kept)
        return Equations([columns[i] for i in kept], [values[i] for i in kept], integers) if kept else None


@dataclass(frozen=True)
class Branch:
    """What follows from one value of a binary.

    Parameters
    ----------
    values : dict of int to LinearForm
        Of the columns that follow.
    excesses : tuple of LinearForm
        Not positive where the value is possible.
    """

    values: dict[int, LinearForm]
    excesses: tuple[LinearForm, ...]

    def depends_on(self, changed: set[int]) -> bool:
        """Whether anything of it holds some columns."""
        return any(form.depends_on(changed) for form in (*self.values.values(), *self.excesses))


class Switches:
    """Binaries that take the value which violates less, and columns that follow from them.

    Parameters
    ----------
    binaries : list of int
    branches : list of (Branch, Branch)
        For zero and for one.
    lower, upper : (n,) arrays
        Bounds of all columns: what cannot be positive within them tells nothing.
    """

    def __init__(self, binaries: list[int], branches: list[tuple[Branch, Branch]], lower: Array, upper: Array) -> None:
        n_columns, self.binaries = lower.size, np.array(binaries)
        self._columns = np.array([column for pair in branches for column in pair[0].values], int)
        self._owner = np.repeat(np.arange(len(branches)), [len(pair[0].values) for pair in branches])
        self._values = [
            AffineMap([pair[side].values[column] for pair in branches for column in pair[0].values], n_columns)
            for side in (0, 1)
        ]
        excesses = [[_telling(pair[side].excesses, lower, upper) for pair in branches] for side in (0, 1)]
        self._excesses = [LargestOf(groups, n_columns) for groups in excesses]
        self._given = branches, lower, upper

    @property
    def branches(self) -> Iterator[tuple[int, tuple[Branch, Branch]]]:
        """The binaries, and what follows where each is zero and where it is one."""
        return zip(self.binaries.tolist(), self._given[0], strict=True)

    @property
    def kinks(self) -> Iterator[tuple[int, float]]:
        """Columns and values of theirs at which a binary switches whatever the others are."""
        for excess in (excess for pair in self._given[0] for branch in pair for excess in branch.excesses):
            held = {column: value for column, value in excess.coefficients.items() if value}
            if len(held) == 1:
                yield from ((column, -excess.constant / value) for column, value in held.items())

    @property
    def reads(self) -> Array:
        """Columns (k,) that these are computed from."""
        parts = [*(part.reads for part in self._values), *(part.reads for part in self._excesses)]
        return np.unique(np.concatenate(parts))

    def fill(self, V: Array) -> None:
        """Choose the binaries."""
        off, on = (np.maximum(excesses(V), 0.0) for excesses in self._excesses)
        is_on = on < off
        V[self.binaries] = is_on
        if self._columns.size:
            V[self._columns] = np.where(is_on[self._owner], self._values[1](V), self._values[0](V))

    def limited(self, changed: set[int]) -> Switches | None:
        """What of it depends on some columns."""
        branches, lower, upper = self._given
        kept = [i for i, pair in enumerate(branches) if any(branch.depends_on(changed) for branch in pair)]
        binaries = self.binaries[kept].tolist()
        changed.update(binaries, *(branches[i][0].values for i in kept))
        return Switches(binaries, [branches[i] for i in kept], lower, upper) if kept else None


def _telling(excesses: Sequence[LinearForm], lower: Array, upper: Array) -> list[LinearForm]:
    """The functions that may be positive within bounds, each of them once; zero where there is none."""
    told: dict[tuple[object, float], LinearForm] = {}
    for excess in excesses:
        coefficients = {column: value for column, value in excess.coefficients.items() if value}
        largest = sum(max(value * lower[column], value * upper[column]) for column, value in coefficients.items())
        if excess.constant + largest > 0:
            told[frozenset(coefficients.items()), excess.constant] = LinearForm(coefficients, excess.constant)
    return list(told.values()) or [LinearForm()]


class Levels:
    """Columns between the tightest of their rows: at the end that costs less, in the middle where none does.

    Parameters
    ----------
    columns : list of int
    lower, upper : list of list of LinearForm
        At least one for each column; infinite constants are no bounds.
    cost : (n,) array
    integers : (n,) boolean array
    """

    def __init__(
        self,
        columns: list[int],
        lower: list[list[LinearForm]],
        upper: list[list[LinearForm]],
        cost: Array,
        integers: Array,
    ) -> None:
        self._columns = np.array(columns)
        self._largest = LargestOf(lower, cost.size)
        self._negative = LargestOf([[LinearForm().plus(-1.0, one) for one in ones] for ones in upper], cost.size)
        self._cost, self._is_integer = cost[self._columns][:, None], integers[self._columns][:, None]
        self._given = lower, upper, cost, integers

    @property
    def reads(self) -> Array:
        """Columns (k,) that these are computed from."""
        return np.union1d(self._largest.reads, self._negative.reads)

    def fill(self, V: Array) -> None:
        """Choose the levels."""
        low, high = self._ends(V)
        bounded = np.isfinite(low) & np.isfinite(high) & ~self._is_integer
        with np.errstate(invalid="ignore"):
            free = np.where(bounded, (low + high) / 2, np.where(np.isfinite(low), low, high))
        V[self._columns] = np.where(self._cost > 0, low, np.where(self._cost < 0, high, free))

    def limited(self, changed: set[int]) -> Levels | None:
        """What of it depends on some columns."""
        lower, upper, cost, integers = self._given
        sides = enumerate(zip(lower, upper, strict=True))
        kept = [i for i, (low, high) in sides if any(form.depends_on(changed) for form in (*low, *high))]
        parts = self._columns[kept].tolist(), [lower[i] for i in kept], [upper[i] for i in kept]
        changed.update(parts[0])
        return Levels(*parts, cost, integers) if kept else None

    def with_room(self, V: Array) -> Array:
        """The columns (k,) that have more than one value at some of the points (n, B)."""
        low, high = self._ends(V)
        return np.asarray(self._columns[(high - low > FEASIBILITY_TOLERANCE).any(axis=1)])

    def _ends(self, V: Array) -> tuple[Array, Array]:
        low, high = self._largest(V), -self._negative(V)
        low = np.where(self._is_integer, np.ceil(low - FEASIBILITY_TOLERANCE), low)
        return low, np.where(self._is_integer, np.floor(high + FEASIBILITY_TOLERANCE), high)


class Quantile:
    """A column that some of many rows bound, as far as it may go, and the binaries that say which of them count.

    Parameters
    ----------
    rows : MixingSet
    lower, upper : float
        Bounds of the column.
    """

    def __init__(self, rows: MixingSet, lower: float, upper: float) -> None:
        self._rows, self._lower, self._upper = rows, lower, upper

    @property
    def reads(self) -> Array:
        """Columns (k,) that these are computed from."""
        return np.unique(self._rows.others.indices)

    def fill(self, V: Array) -> None:
        """Choose both."""
        largest, binaries = self._rows.chosen(V.T)
        V[self._rows.column] = np.clip(self._rows.sign * largest, self._lower, self._upper)
        V[self._rows.binaries] = binaries.T

    def limited(self, changed: set[int]) -> Quantile | None:
        """The whole of it where it depends on some columns."""
        if changed.isdisjoint(self.reads.tolist()):
            return None
        changed.update([self._rows.column], self._rows.binaries.tolist())
        return self


class Networks:
    """Outputs of networks."""

    def __init__(self, stages: tuple[Stage, ...]) -> None:
        self._stages = stages

    @property
    def reads(self) -> Array:
        """Columns (k,) that these are computed from."""
        return np.unique(np.concatenate([stage.inputs.ravel() for stage in self._stages]))

    def fill(self, V: Array) -> None:
        """Evaluate the networks."""
        for stage in self._stages:
            stage.propagate(V.T)

    def limited(self, changed: set[int]) -> Networks | None:
        """Those that read some columns."""
        before = list(changed)
        kept = [stage.part(np.flatnonzero(np.isin(stage.inputs, before).any(axis=1))) for stage in self._stages]
        kept = [stage for stage in kept if len(stage.inputs)]
        for stage in kept:
            changed.update(stage.outputs.ravel().tolist())
        return Networks(tuple(kept)) if kept else None
