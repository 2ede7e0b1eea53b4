"""All that a group of networks can do, as a table: its breakpoints along one input, each value of its integer inputs.

A group is what is left of the networks when all rows are taken away: networks that share free columns. Along one
continuous input everything is piecewise linear, so the table holds it exactly, between its points as well.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product

import numpy as np
from scipy import sparse
from scipy.sparse.csgraph import connected_components

from pyomo_relugrad.arrays import Array
from pyomo_relugrad.deadline import checkpoint
from pyomo_relugrad.problem import NetworkStage, Problem

#: Multiplications of one evaluation of all tables up to which they are made.
MAX_WORK = 1e9
#: Entries of the points behind all tables.
MAX_ENTRIES = 2e7


@dataclass(frozen=True, eq=False)
class Table:
    """Points of some columns, of which one is chosen, or a value between two that are joined.

    Parameters
    ----------
    columns : (c,) int array
    points : (k, c) array
    joined : (k,) boolean array
        Whether all between a point and the one after it can be chosen, too. False for the last one.
    """

    columns: Array
    points: Array
    joined: Array


def network_groups(problem: Problem) -> tuple[Array, int]:
    """(n,) the number of each column's group, -1 where no function has it or it is fixed; how many groups there are.

    Examples
    --------
    >>> from pyomo_relugrad.network import Network
    >>> from pyomo_relugrad.problem import EmbeddedNetwork
    >>> double = Network.from_layers([[[2.0]]], [[0.0]])
    >>> networks = EmbeddedNetwork(double, [0], [3]), EmbeddedNetwork(double, [1], [4])
    >>> groups, count = network_groups(Problem(np.zeros(5), np.zeros(5), np.ones(5), networks=networks))
    >>> groups.tolist(), count
    ([0, 1, -1, 0, 1], 2)
    """
    free = (problem.lower < problem.upper) | problem.is_output
    columns = [np.concatenate([embedded.inputs, embedded.outputs]) for embedded in problem.functions]
    owner = np.repeat(np.arange(len(columns)), [part.size for part in columns])
    column = np.concatenate([np.zeros(0, int), *columns])
    kept = free[column]
    n = problem.n_columns
    edges = sparse.coo_array((np.ones(kept.sum()), (column[kept], n + owner[kept])), shape=(n + len(columns),) * 2)
    _, component = connected_components(edges, directed=False)
    groups = np.full(n, -1)
    touched = np.unique(column[kept])
    numbers, groups[touched] = np.unique(component[touched], return_inverse=True)
    return groups, numbers.size


def exact_tables(problem: Problem, max_combinations: int) -> list[Table] | None:
    """A table for each group of networks, None where a group has too many inputs or values for one.

    Parameters
    ----------
    problem : Problem
    max_combinations : int
        Of the values of a group's integer inputs.
    """
    groups, count = network_groups(problem)
    grid = _Grid.of(problem, groups, count, max_combinations)
    if grid is None:
        return None
    T = grid.ends
    for stage in problem.relu_stages if len(T) > 1 else ():
        members = groups[stage.outputs[:, 0]]
        for layer in range(len(stage.network.widths)):
            checkpoint()
            T = _with_crossings(T, _preactivations(stage, grid.points(T), T.shape[:2], layer), members)
            if T.size * (problem.n_columns / count) > MAX_ENTRIES:
                return None
    return grid.tables(T)


@dataclass(frozen=True, eq=False)
class _Grid:
    """Points of all groups at once: groups do not touch each other, so that one point holds a value for each.

    ``T`` (K, C, U) are values of the continuous inputs of U groups, for C combinations of integer ones, in order.

    Parameters
    ----------
    problem : Problem
    groups : (n,) int array
    continuous : (U,) int array
        The continuous input of each group, -1 where there is none.
    integers : tuple of (columns, combinations)
        The integer inputs (i,) of each group, and their values (c, i).
    """

    problem: Problem
    groups: Array
    continuous: Array
    integers: tuple[tuple[Array, Array], ...]

    @classmethod
    def of(cls, problem: Problem, groups: Array, count: int, max_combinations: int) -> _Grid | None:
        """The grid, None where tables would be too large."""
        free_inputs = (groups >= 0) & ~problem.is_output
        if count == 0 or not np.isfinite([problem.lower[free_inputs], problem.upper[free_inputs]]).all():
            return None
        continuous, integers = np.full(count, -1), []
        smooth = np.flatnonzero(free_inputs & ~problem.integers)
        if np.bincount(groups[smooth], minlength=count).max(initial=0) > 1:
            return None
        continuous[groups[smooth]] = smooth
        whole = np.flatnonzero(free_inputs & problem.integers)
        ranges = problem.upper - problem.lower + 1
        for group in range(count):
            own = whole[groups[whole] == group]
            if ranges[own].prod() > max_combinations:
                return None
            values = [np.arange(problem.lower[i], problem.upper[i] + 1) for i in own]
            integers.append((own, np.array(list(product(*values)), float)))
        grid = cls(problem, groups, continuous, tuple(integers))
        work = grid.n_combinations * sum(len(stage.inputs) * stage.network.n_weights for stage in problem.relu_stages)
        return None if max(work / MAX_WORK, grid.n_combinations * problem.n_columns / MAX_ENTRIES) > 1 else grid

    @property
    def n_combinations(self) -> int:
        """The most combinations of integer inputs that a group has."""
        return max(len(values) for _, values in self.integers)

    @property
    def ends(self) -> Array:
        """Both ends of each continuous input; one value where no group has any."""
        columns = self.continuous
        ends = np.stack([self.problem.lower[columns], self.problem.upper[columns]])
        ends = np.where(columns >= 0, ends, 0.0) if (columns >= 0).any() else np.zeros((1, columns.size))
        return np.repeat(ends[:, None, :], self.n_combinations, axis=1)

    def points(self, T: Array) -> Array:
        """Points (K * C, n) with propagated outputs."""
        problem, (K, C, _) = self.problem, T.shape
        base = np.clip(0.0, problem.lower, problem.upper)
        V = np.broadcast_to(base, (K, C, problem.n_columns)).copy()
        moving = self.continuous >= 0
        V[:, :, self.continuous[moving]] = T[:, :, moving]
        for columns, values in self.integers:
            if columns.size:
                V[:, :, columns] = np.resize(values, (C, columns.size))
        return problem.propagate(V.reshape(K * C, -1))

    def tables(self, T: Array) -> list[Table]:
        """The tables with the points of `T`."""
        K, C, _ = T.shape
        V = self.points(T).reshape(K, C, -1)
        goes_on = np.zeros(T.shape, bool)
        goes_on[:-1] = T[1:] > T[:-1]
        kept = np.concatenate([np.ones((1, C, len(self.integers)), bool), goes_on[:-1]])
        tables = []
        for group, (_, values) in enumerate(self.integers):
            columns = np.flatnonzero(self.groups == group)
            combination, place = np.nonzero(kept[:, : len(values), group].T)
            points = V[place[:, None], combination[:, None], columns]
            tables.append(Table(columns, points, goes_on[place, combination, group]))
        return tables


def _preactivations(stage: NetworkStage, V: Array, shape: tuple[int, ...], layer: int) -> Array:
    """(K, C, members, width) what enters the ReLUs of a layer at the points."""
    values = stage.network.preactivations(stage.gather(V))[layer]
    return values.reshape(*shape, len(stage.inputs), -1)


def _with_crossings(T: Array, z: Array, members: Array) -> Array:
    """`T` and the zeros of `z` (K, C, members, width), which is linear in between; shorter curves repeat their end."""
    _, C, U = T.shape
    k, c, member, relu = np.nonzero((z[:-1] < 0) & (z[1:] > 0) | (z[:-1] > 0) & (z[1:] < 0))
    group = members[member]
    left, right = z[k, c, member, relu], z[k + 1, c, member, relu]
    begin, end = T[k, c, group], T[k + 1, c, group]
    crossings = np.clip(begin + left / (left - right) * (end - begin), begin, end)
    curve = np.concatenate([np.tile(np.arange(C * U), len(T)), c * U + group])
    value = np.concatenate([T.ravel(), crossings])
    order = np.lexsort((value, curve))
    curve, value = curve[order], value[order]
    is_new = np.append(True, (curve[1:] != curve[:-1]) | (value[1:] != value[:-1]))
    curve, value = curve[is_new], value[is_new]
    counts = np.bincount(curve, minlength=C * U)
    ends = np.cumsum(counts)
    places = np.minimum(np.arange(counts.max())[:, None], counts - 1) + (ends - counts)
    return value[places].reshape(-1, C, U)
