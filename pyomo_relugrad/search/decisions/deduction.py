"""Which columns follow from others by rows and networks, and how."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np

from pyomo_relugrad.arrays import Array
from pyomo_relugrad.deadline import checkpoint
from pyomo_relugrad.problem import Problem, stacked
from pyomo_relugrad.search.decisions.steps import Branch, Equations, Filling, Levels, LinearForm, Networks, Switches

#: Columns that may follow from one binary.
MAX_SWITCHED = 8


@dataclass
class Found:
    """What follows at once from what is known.

    Parameters
    ----------
    equations : dict of int to LinearForm
    switches : dict of int to (Branch, Branch)
    levels : dict of int to (list of LinearForm, list of LinearForm)
        Lower and upper bounds.
    networks : list of int
    """

    equations: dict[int, LinearForm] = field(default_factory=dict)
    switches: dict[int, tuple[Branch, Branch]] = field(default_factory=dict)
    levels: dict[int, tuple[list[LinearForm], list[LinearForm]]] = field(default_factory=dict)
    networks: list[int] = field(default_factory=list)

    def columns(self, problem: Problem) -> set[int]:
        """All columns that follow."""
        columns = {*self.equations, *self.switches, *self.levels}
        columns |= {column for pair in self.switches.values() for column in pair[0].values}
        return columns | {column for index in self.networks for column in problem.networks[index].outputs.tolist()}

    def steps(self, problem: Problem) -> list[Filling]:
        """The steps that compute them."""
        steps: list[Filling] = []
        if self.equations:
            steps.append(Equations(list(self.equations), list(self.equations.values()), problem.integers))
        if self.switches:
            switches = list(self.switches), list(self.switches.values())
            steps.append(Switches(*switches, problem.lower, problem.upper))
        if self.levels:
            lower, upper = ([bounds[side] for bounds in self.levels.values()] for side in (0, 1))
            steps.append(Levels(list(self.levels), lower, upper, problem.cost, problem.integers))
        if self.networks:
            networks = [problem.networks[index] for index in self.networks]
            steps.append(Networks(stacked(networks, [0] * len(networks))))
        return steps


class Deduction:
    """Grows the set of known columns by what follows from it."""

    def __init__(self, problem: Problem) -> None:
        self._problem = problem
        rows = problem.rows.copy()
        rows.eliminate_zeros()
        self._rows: list[dict[int, float]] = [
            dict(zip(rows.indices[begin:end].tolist(), rows.data[begin:end].tolist(), strict=True))
            for begin, end in zip(rows.indptr[:-1], rows.indptr[1:], strict=True)
        ]
        self._sides = list(zip(problem.row_lower.tolist(), problem.row_upper.tolist(), strict=True))
        self._rows_of: list[list[int]] = [[] for _ in range(problem.n_columns)]
        for index, row in enumerate(self._rows):
            for column in row:
                self._rows_of[column].append(index)
        self._readers: list[list[int]] = [[] for _ in range(problem.n_columns)]
        for index, embedded in enumerate(problem.networks):
            for column in set(embedded.inputs.tolist()):
                self._readers[column].append(index)
        is_free = problem.lower < problem.upper
        is_binary = problem.integers & (problem.lower == 0) & (problem.upper == 1) & ~problem.is_output
        self._is_binary, self._is_output = is_binary.tolist(), problem.is_output.tolist()
        self._unknown = [set(row) for row in self._rows]
        self._unread = [set(embedded.inputs.tolist()) for embedded in problem.networks]
        #: Columns that are known.
        self.known = np.zeros(problem.n_columns, bool)
        self._switched = {binary: self._switched_by(binary) for binary in np.flatnonzero(is_binary).tolist()}
        self._switch_of = {c: b for b, sides in self._switched.items() for side in sides for c in side}
        self.steps: list[Filling] = []
        self.learn(np.flatnonzero(~is_free & ~problem.is_output).tolist())

    def learn(self, columns: Iterable[int]) -> None:
        """Take columns as known, and find all that follows."""
        frontier = set(columns)
        while frontier:
            checkpoint()
            touched = self._note(frontier)
            found = self._follow(touched, {reader for column in frontier for reader in self._readers[column]})
            self.steps += found.steps(self._problem)
            frontier = found.columns(self._problem)

    def _note(self, columns: set[int]) -> set[int]:
        """Take columns as known; the rows that hold them."""
        touched = {row for column in columns for row in self._rows_of[column]}
        self.known[list(columns)] = True
        for column in columns:
            for row in self._rows_of[column]:
                self._unknown[row].discard(column)
            for reader in self._readers[column]:
                self._unread[reader].discard(column)
        return touched

    def _follow(self, touched: set[int], readers: set[int]) -> Found:
        """What follows at once by rows or networks, some columns of which have just become known."""
        found, taken = Found(), set[int]()
        found.networks = [reader for reader in sorted(readers) if not self._unread[reader]]
        for row in sorted(touched):
            if self._is_equation(row) and len(self._unknown[row]) == 1:
                (column,) = self._unknown[row]
                if column not in taken and not self._is_output[column]:
                    found.equations[column] = self._solved(row, column)
                    taken.add(column)
        nearby = sorted({column for row in touched for column in self._unknown[row]} - taken)
        for binary in sorted({binary for column in nearby for binary in self._told_by(column)}):
            pair = None if binary in taken else self._branches(binary)
            if pair is not None and not taken & {binary, *pair[0].values}:
                found.switches[binary] = pair
                taken |= {binary, *pair[0].values}
        for column in nearby:
            if column not in taken and not self._is_output[column]:
                bounds = self._bounds(column)
                if bounds is not None:
                    found.levels[column] = bounds
        return found

    def _is_equation(self, row: int) -> bool:
        return self._sides[row][0] == self._sides[row][1]

    def _solved(
        self, row: int, column: int, substitutes: dict[int, LinearForm] | None = None, side: int = 0
    ) -> LinearForm:
        """A column at a side of a row."""
        rest = self._activity(row, substitutes or {}, without=column)
        return LinearForm({}, self._sides[row][side] / self._rows[row][column]).plus(-1 / self._rows[row][column], rest)

    def _activity(self, row: int, substitutes: dict[int, LinearForm], without: int = -1) -> LinearForm:
        """The row's terms but for one column, some columns substituted."""
        total = LinearForm()
        for column, value in self._rows[row].items():
            if column != without:
                total = total.plus(value, substitutes.get(column, LinearForm({column: 1.0})))
        return total

    def _bounds(self, column: int) -> tuple[list[LinearForm], list[LinearForm]] | None:
        """Bounds of a column by its rows, None where one holds other unknown columns, or where its value matters."""
        problem = self._problem
        if any(len(self._unknown[row]) > 1 for row in self._rows_of[column]):
            return None
        lower, upper = self._sided(column, self._rows_of[column], {})
        is_settled = bool(lower) and bool(upper)
        if problem.is_input[column] and not is_settled:
            return None
        lower.append(LinearForm({}, float(problem.lower[column])))
        upper.append(LinearForm({}, float(problem.upper[column])))
        return lower, upper

    def _sided(
        self, column: int, rows: list[int], substitutes: dict[int, LinearForm]
    ) -> tuple[list[LinearForm], list[LinearForm]]:
        """Lower and upper bounds of a column by rows."""
        bounds: tuple[list[LinearForm], list[LinearForm]] = ([], [])
        for row in rows:
            for side in (0, 1):
                if np.isfinite(self._sides[row][side]):
                    is_upper = (self._rows[row][column] > 0) == (side == 1)
                    bounds[is_upper].append(self._solved(row, column, substitutes, side))
        return bounds

    def is_last(self, column: int, binaries: Array) -> bool:
        """Whether a column and binaries without costs are all that is unknown in their rows, two of them at least."""
        group = {column, *binaries.tolist()}
        unknown = [self._unknown[row] for each in group for row in self._rows_of[each]]
        is_open = not self.known[list(group)].any() and not self._problem.cost[binaries].any()
        return is_open and all(columns <= group and len(columns) > 1 for columns in unknown)

    # --- binaries -----------------------------------------------------------------------------------------------

    def _told_by(self, column: int) -> list[int]:
        """The unknown binary from which a column follows, or which it is."""
        binary = self._switch_of.get(column, column)
        binary = column if self.known[binary] else binary
        return [binary] if self._is_binary[binary] else []

    def _switched_by(self, binary: int) -> tuple[dict[int, float], dict[int, float]]:
        """The columns that rows with a binary alone fix, and their values: where it is zero, and where it is one."""
        problem = self._problem
        fixed: tuple[dict[int, float], dict[int, float]] = ({}, {})
        for row in self._rows_of[binary]:
            others = [column for column in self._rows[row] if column != binary]
            if len(others) != 1 or self._is_output[others[0]]:
                continue
            (column,) = others
            for value in (0, 1):
                lower, upper = self._sided(column, [row], {binary: LinearForm({}, float(value))})
                if any(bound.constant <= problem.lower[column] for bound in upper):
                    fixed[value][column] = float(problem.lower[column])
                elif any(bound.constant >= problem.upper[column] for bound in lower):
                    fixed[value][column] = float(problem.upper[column])
        return fixed

    def _branches(self, binary: int) -> tuple[Branch, Branch] | None:
        """What follows from each value of a binary, None where something is left open or nothing tells the value."""
        off, on = self._switched[binary]
        columns = {column for column in (*off, *on) if not self.known[column]} | self._partners(binary)
        if len(columns) > MAX_SWITCHED:
            return None
        group = {binary, *columns}
        rows = sorted({row for column in group for row in self._rows_of[column] if self._unknown[row] <= group})
        branches = []
        for value in (0, 1):
            values: dict[int, LinearForm] | None = {
                column: LinearForm({}, constant)
                for column, constant in self._switched[binary][value].items()
                if column in columns
            }
            values = self._resolved(rows, columns, {binary: LinearForm({}, float(value)), **(values or {})})
            if values is None:
                return None
            branches.append(Branch({c: values[c] for c in sorted(columns)}, self._excesses(rows, columns, values)))
        is_told = all(any(e.coefficients or e.constant > 0 for e in branch.excesses) for branch in branches)
        return (branches[0], branches[1]) if is_told else None

    def _partners(self, binary: int) -> set[int]:
        """Other binaries that equations give once the value of one is known."""
        pairs = [self._unknown[row] for row in self._rows_of[binary] if self._is_equation(row)]
        return {column for pair in pairs if len(pair) == 2 for column in pair - {binary} if self._is_binary[column]}

    def _resolved(
        self, rows: list[int], columns: set[int], values: dict[int, LinearForm]
    ) -> dict[int, LinearForm] | None:
        """The columns' values in a branch, by equations; None where one has none."""
        values = dict(values)
        grows = True
        while grows:
            grows = False
            for row in rows:
                open_columns = [column for column in self._unknown[row] if column not in values]
                if len(open_columns) == 1 and self._is_equation(row):
                    values[open_columns[0]] = self._solved(row, open_columns[0], values)
                    grows = True
        return values if columns <= values.keys() else None

    def _excesses(self, rows: list[int], columns: set[int], values: dict[int, LinearForm]) -> tuple[LinearForm, ...]:
        """What must not be positive in a branch: of its rows and its columns' bounds."""
        problem, excesses = self._problem, [LinearForm()]
        functions = [(self._activity(row, values), *self._sides[row]) for row in rows]
        functions += [(values[column], problem.lower[column], problem.upper[column]) for column in sorted(columns)]
        for function, lower, upper in functions:
            if np.isfinite(upper):
                excesses.append(LinearForm({}, -float(upper)).plus(1.0, function))
            if np.isfinite(lower):
                excesses.append(LinearForm({}, float(lower)).plus(-1.0, function))
        return tuple(excess for excess in excesses if excess.coefficients or excess.constant >= 0)

    # --- decisions ----------------------------------------------------------------------------------------------

    def influence(self) -> Array:
        """(n,) how many columns each could make follow through equations over columns that binaries switch."""
        influence = np.zeros(self._problem.n_columns)
        for row, entries in enumerate(self._rows):
            owners = {self._switch_of[column] for column in entries if column in self._switch_of}
            for binary in owners if self._is_equation(row) else ():
                group = {binary, *self._switched[binary][0], *self._switched[binary][1]}
                outside = [column for column in self._unknown[row] if column not in group]
                influence[outside] += len(group) / max(len(outside), 1)
        return influence
