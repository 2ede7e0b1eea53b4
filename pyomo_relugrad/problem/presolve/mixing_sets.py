"""Bounds of a column that many rows bound, each with a binary that decides whether it counts, where some have to."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from scipy import sparse

from pyomo_relugrad.arrays import Array
from pyomo_relugrad.problem.presolve.row_tightening import ROUNDING, Tightening, loosened
from pyomo_relugrad.problem.problem import Problem

# Rows that a set needs, at least.
MIN_ROWS = 3
# Rounding of a sum of weights, relative to the sum of their sizes.
WEIGHT_ROUNDING = 1e-9


@dataclass(frozen=True, eq=False)
class MixingSet:
    """Rows ``t + factors * b + others @ v <= sides``, of which binaries with ``weights @ b >= least`` count.

    Parameters
    ----------
    column : int
        That of t.
    sign : float
        Minus one where t is the negative of the column.
    others : (s, n) csr_array
    binaries : (s,) int array
    factors, sides, weights : (s,) arrays
    least : float
    """

    column: int
    sign: float
    others: sparse.csr_array
    binaries: Array
    factors: Array
    sides: Array
    weights: Array
    least: float

    def largest(self, lower: Array, upper: Array) -> Array:
        """What t is at most over boxes (N, n); minus infinite where nothing is feasible."""
        low, high = lower.T, upper.T
        positive, negative = self.others.maximum(0), self.others.minimum(0)
        with np.errstate(invalid="ignore"):
            rest = positive @ low + negative @ high
            sizes = positive @ np.abs(low) - negative @ np.abs(high)
            off = (self.sides[:, None] - rest + ROUNDING * sizes).T  # (N, s)
        off = np.where(np.isnan(off), np.inf, off)
        on = off - self.factors
        off = np.where(lower[:, self.binaries] > 0.5, -np.inf, off)
        on = np.where(upper[:, self.binaries] < 0.5, -np.inf, on)
        return self._largest(off, on)

    def chosen(self, V: Array) -> tuple[Array, Array]:
        """The largest t (N,) at given values of the other columns (N, n), and the binaries (N, s) that leave it."""
        off = (self.sides[:, None] - self.others @ V.T).T
        on = off - self.factors
        largest = self._largest(off, on)
        may_be_off, may_be_on = off >= largest[:, None], on >= largest[:, None]
        return largest, may_be_on & ((self.weights > 0.0) | ~may_be_off)

    def _largest(self, off: Array, on: Array) -> Array:
        """The largest of the values that leaves enough binaries a choice, by bisection."""
        values = np.sort(np.concatenate([off, on], axis=1), axis=1)
        rows, count = np.arange(len(values)), values.shape[1]
        first, last = np.full(len(values), -1), np.full(len(values), count - 1)
        while (first < last).any():
            middle = (first + last + 1) // 2
            is_enough = self._is_enough(off, on, values[rows, middle])
            first, last = np.where(is_enough, middle, first), np.where(is_enough, last, middle - 1)
        return np.where(first < 0, -np.inf, values[rows, first.clip(min=0)])

    def _is_enough(self, off: Array, on: Array, value: Array) -> Array:
        """Whether binaries can be chosen such that every row leaves t the value."""
        may_be_off, may_be_on = off >= value[:, None], on >= value[:, None]
        most = np.where(may_be_on, np.where(may_be_off, self.weights.clip(min=0.0), self.weights), 0.0)
        slack = WEIGHT_ROUNDING * np.abs(self.weights).sum()
        return (may_be_off | may_be_on).all(axis=1) & (most.sum(axis=1) >= self.least - slack)


class MixingTightening(Tightening):
    """Tightens columns such as the level that some of many scenarios have to reach.

    The intersection of such rows is a mixing set with a knapsack row (Luedtke, Ahmed, Nemhauser, "An integer
    programming approach for linear programs with probabilistic constraints", Mathematical Programming 122, 2010). A
    quantile of what single rows leave the column bounds it; each row by itself does not, nor does a relaxation of the
    binaries.
    """

    def __init__(self, problem: Problem) -> None:
        self._sets = list(mixing_sets(problem))
        #: (n,) booleans: the binaries of the sets.
        self.decides = np.zeros(problem.n_columns, bool)
        for each in self._sets:
            self.decides[each.binaries] = True

    def rounds(self, lower: Array, upper: Array) -> tuple[Array, Array]:
        """The same, with sides that may cross."""
        lower, upper = lower.copy(), upper.copy()
        for each in self._sets:
            largest = each.largest(lower, upper)
            most = np.where(np.isinf(largest), largest, loosened(largest, 1))
            if each.sign > 0:
                upper[:, each.column] = np.minimum(upper[:, each.column], most)
            else:
                lower[:, each.column] = np.maximum(lower[:, each.column], -most)
            is_empty = np.isneginf(largest)  # a column without bounds has to tell that too
            lower[is_empty, each.column], upper[is_empty, each.column] = np.inf, -np.inf
        return lower, upper


def mixing_sets(problem: Problem) -> Iterator[MixingSet]:
    """All of them that a knapsack row has."""
    is_binary = problem.integers & (problem.lower >= 0.0) & (problem.upper <= 1.0)
    rows = problem.rows
    n_binaries = abs(rows).sign() @ is_binary.astype(float)
    lengths = np.diff(rows.indptr)
    knapsacks = np.flatnonzero((n_binaries == lengths) & (lengths >= MIN_ROWS))
    in_knapsack = is_binary & (abs(rows[knapsacks]).sum(axis=0) > 0.0)
    n_in_knapsack = abs(rows).sign() @ in_knapsack.astype(float)
    switched = _switched_rows(
        problem, is_binary, np.flatnonzero((n_binaries == 1) & (n_in_knapsack == 1) & (lengths > 1))
    )
    for number in knapsacks.tolist() if switched else []:
        entries = slice(rows.indptr[number], rows.indptr[number + 1])
        for sign, side in ((1.0, problem.row_lower[number]), (-1.0, -problem.row_upper[number])):
            if not np.isfinite(side):
                continue
            weights = dict(zip(rows.indices[entries].tolist(), (sign * rows.data[entries]).tolist(), strict=True))
            for (column, direction), found in switched.items():
                chosen = [row for row in found if row.binary in weights]
                if len({row.binary for row in chosen}) == len(chosen) >= MIN_ROWS:
                    yield _joined(problem, column, direction, chosen, weights, side)


@dataclass(frozen=True)
class _SwitchedRow:
    """A row with one binary, as ``scale * row <= side``, in which a column has the factor 1 or -1."""

    number: int
    binary: int
    factor: float
    scale: float
    side: float


def _switched_rows(problem: Problem, is_binary: Array, numbers: Array) -> dict[tuple[int, float], list[_SwitchedRow]]:
    """By column and direction, the rows that bound it together with a binary."""
    rows, found = problem.rows, defaultdict(list)
    for number in numbers.tolist():
        entries = slice(rows.indptr[number], rows.indptr[number + 1])
        columns, values = rows.indices[entries], rows.data[entries]
        place = int(np.argmax(is_binary[columns]))
        for sign, side in ((1.0, problem.row_upper[number]), (-1.0, -problem.row_lower[number])):
            if not np.isfinite(side):
                continue
            for column, value in zip(columns.tolist(), (sign * values).tolist(), strict=True):
                if value == 0.0 or is_binary[column]:
                    continue
                scale = sign / abs(value)
                row = _SwitchedRow(number, int(columns[place]), scale * values[place], scale, side / abs(value))
                found[column, float(np.sign(value))].append(row)
    return {key: rows for key, rows in found.items() if len(rows) >= MIN_ROWS}


def _joined(
    problem: Problem, column: int, direction: float, chosen: list[_SwitchedRow], weights: dict[int, float], least: float
) -> MixingSet:
    """A set of some rows; other binaries of the knapsack row help as much as they can."""
    binaries = np.array([row.binary for row in chosen])
    others = sparse.diags_array([row.scale for row in chosen]) @ problem.rows[[row.number for row in chosen]]
    others = sparse.lil_array(others)
    others[:, column] = 0.0
    others[np.arange(len(chosen)), binaries] = 0.0
    most = sum(max(weight, 0.0) for binary, weight in weights.items() if binary not in set(binaries.tolist()))
    return MixingSet(
        column,
        direction,
        sparse.csr_array(others),
        binaries,
        np.array([row.factor for row in chosen]),
        np.array([row.side for row in chosen]),
        np.array([weights[binary] for binary in binaries.tolist()]),
        least - most,
    )
