"""Assignments inside a problem, and exchanges of two of their binaries for two others, after which all rows still hold.

Binaries of an assignment lie in two rows each that say how many of theirs are one (each job is on one core, each core
has six jobs): edges of a graph whose nodes are rows. Two edges that are one may give way to two others between the same
four nodes.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import sparse

from pyomo_relugrad.arrays import Array
from pyomo_relugrad.problem import Problem
from pyomo_relugrad.programs import LinearProgram

#: Nodes of an assignment at most; pairs of them are kept in a table.
MAX_NODES = 3000


@dataclass(frozen=True, eq=False)
class Assignment:
    """All integer columns of a problem as the edges of an assignment.

    Parameters
    ----------
    problem : Problem
    columns : (e,) int array
        The binaries.
    rows : (r,) int array
        The nodes' rows.
    ends : (e, 2) int array
        The nodes of each edge.
    between : (r, r) int array
        The edge between two nodes; -1 where there is none.
    """

    problem: Problem
    columns: Array
    rows: Array
    ends: Array
    between: Array

    @classmethod
    def of(cls, problem: Problem) -> Assignment | None:
        """The assignment, None where some integer is no binary in two such rows."""
        matrix, columns = problem.rows, np.flatnonzero(problem.integers)
        if columns.size == 0:
            return None
        is_binary = problem.integers & (problem.lower == 0) & (problem.upper == 1)
        counts = sparse.csr_array(
            ((matrix.data == 1.0) & is_binary[matrix.indices], matrix.indices, matrix.indptr), matrix.shape
        )
        is_node = (counts.sum(axis=1) == np.diff(matrix.indptr)) & (problem.row_lower == problem.row_upper)
        rows = np.flatnonzero(is_node & (np.diff(matrix.indptr) > 0))
        if rows.size > MAX_NODES:
            return None
        incidence = sparse.csc_array(matrix[rows][:, columns])
        if not (np.diff(incidence.indptr) == 2).all():
            return None
        ends = incidence.indices.reshape(-1, 2)
        between = np.full((rows.size, rows.size), -1)
        between[ends[:, 0], ends[:, 1]] = between[ends[:, 1], ends[:, 0]] = np.arange(columns.size)
        return cls(problem, columns, rows, ends, between)

    def random(self, random: np.random.Generator) -> Array | None:
        """Values (e,) of the binaries in which all nodes' rows hold, None where none are found.

        Graphs of assignments have two sides; then each vertex of the program over their rows is whole.
        """
        problem, size = self.problem, self.columns.size
        sides = problem.row_lower[self.rows], problem.row_upper[self.rows]
        nodes = problem.rows[self.rows][:, self.columns]
        program = LinearProgram(random.random(size), np.zeros(size), np.ones(size), nodes, *sides)
        values = program.solve().values
        return None if values is None or np.abs(values - np.round(values)).max() > 1e-6 else np.round(values)

    def exchanges(self, x: Array) -> Array:
        """(k, 4) edges: two that are one in `x` (e,), then the two that may take their place."""
        is_one = x > 0.5
        active = np.flatnonzero(is_one)
        first, second = (active[side] for side in np.triu_indices(active.size, 1))
        found = []
        for side in (0, 1):
            third = self.between[self.ends[first, 0], self.ends[second, 1 - side]]
            fourth = self.between[self.ends[first, 1], self.ends[second, side]]
            is_new = (third >= 0) & (fourth >= 0) & ~is_one[third] & ~is_one[fourth]
            found.append(np.stack([first, second, third, fourth], axis=1)[is_new])
        return np.concatenate(found)

    def kicked(self, x: Array, count: int, random: np.random.Generator) -> Array:
        """The binaries (e,) after up to so many exchanges at random."""
        for exchange in random.permutation(self.exchanges(x))[:count]:
            if x[exchange].tolist() == [1.0, 1.0, 0.0, 0.0]:
                x = exchanged(x, exchange)
        return x


def exchanged(x: Array, exchange: Array) -> Array:
    """The binaries (e,) after one exchange (4,)."""
    x = x.copy()
    x[exchange[:2]], x[exchange[2:]] = 0.0, 1.0
    return x
