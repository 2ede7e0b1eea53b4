"""The networks of a problem as linear rows: ``y - J x = t``, exact on given linear regions."""

from __future__ import annotations

import numpy as np

from pyomo_relugrad.arrays import Array, SparseRows
from pyomo_relugrad.problem import NetworkStage, Problem

#: One (k, n_relus) boolean array per stage of the problem: the activation pattern of each embedded network.
Patterns = tuple[Array, ...]


class Linearization:
    """Builds linking rows between input and output columns; their sparsity is found once.

    Fixed inputs enter the right-hand side, and outputs that nothing uses have no row.

    Parameters
    ----------
    problem : Problem
    """

    def __init__(self, problem: Problem) -> None:
        self._problem = problem
        free_columns = problem.lower < problem.upper
        used_columns = self._used_outputs()
        self._used = [used_columns[stage.outputs] for stage in problem.stages]
        self._free = [free_columns[stage.inputs] for stage in problem.stages]
        self._entries = [u[:, :, None] & f[:, None, :] for u, f in zip(self._used, self._free, strict=True)]
        self.n_links = int(sum(used.sum() for used in self._used))
        self._find_sparsity()

    def _used_outputs(self) -> Array:
        problem = self._problem
        used = problem.is_network_input | (problem.cost != 0)
        used |= np.isfinite(problem.lower) | np.isfinite(problem.upper)
        used[problem.rows.indices] = True
        if problem.quadratic is not None:
            used[problem.quadratic.indices] = True
        return used

    def _find_sparsity(self) -> None:
        """Order the entries by row and column, and find where equal places (repeated inputs) begin."""
        rows, columns, first = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)], 0
        for stage, used, entries in zip(self._problem.stages, self._used, self._entries, strict=True):
            numbers = np.full(used.shape, -1)
            numbers[used] = first + np.arange(int(used.sum()))
            first += int(used.sum())
            rows += [numbers[used], np.broadcast_to(numbers[:, :, None], entries.shape)[entries]]
            columns += [stage.outputs[used], np.broadcast_to(stage.inputs[:, None, :], entries.shape)[entries]]
        row, column = np.concatenate(rows), np.concatenate(columns)
        self._order = np.lexsort((column, row))
        row, column = row[self._order], column[self._order]
        fresh = np.ones(row.size, bool)
        fresh[1:] = (row[1:] != row[:-1]) | (column[1:] != column[:-1])
        self._begins = np.flatnonzero(fresh)
        self._indices = column[fresh].astype(np.int32)
        counts = np.bincount(row[fresh], minlength=self.n_links)
        self._indptr = np.concatenate([[0], np.cumsum(counts)]).astype(np.int32)

    def patterns(self, v: Array) -> Patterns:
        """Activation patterns of all networks at the point `v`, an (n,) array."""
        return tuple(stage.network.activation_pattern(v[stage.inputs]) for stage in self._problem.stages)

    def links(self, v: Array, patterns: Patterns | None = None) -> tuple[SparseRows, Array]:
        """Linking rows at a point.

        Parameters
        ----------
        v : (n,) array
        patterns : Patterns, optional
            The linear regions; by default those of `v`.

        Returns
        -------
        rows : SparseRows
            (n_links, n).
        right : (n_links,) array
            ``rows @ v == right`` is each network's affine function on its region.
        """
        data, right = [np.zeros(0)], [np.zeros(0)]
        for index, stage in enumerate(self._problem.stages):
            X = v[stage.inputs]
            J, offsets = stage.network.affine(X, None if patterns is None else patterns[index])
            used = self._used[index]
            data += [np.ones(int(used.sum())), -J[self._entries[index]]]
            fixed_part = np.einsum("kji,ki->kj", J, np.where(self._free[index], 0.0, X))
            right.append((offsets + fixed_part)[used])
        values = np.concatenate(data)[self._order]
        if values.size:
            values = np.add.reduceat(values, self._begins)
        return SparseRows(self._indptr, self._indices, values), np.concatenate(right)

    def link_weights(self, multipliers: Array) -> tuple[Array, ...]:
        """Spread one number per linking row over (k, n_outputs) arrays, one per stage; zero for unused outputs."""
        result, first = [], 0
        for used in self._used:
            weights = np.zeros(used.shape)
            count = int(used.sum())
            weights[used] = multipliers[first : first + count]
            first += count
            result.append(weights)
        return tuple(result)


def stage_preactivations(stage: NetworkStage, v: Array, target: Array, pattern: Array) -> tuple[Array, Array]:
    """Pre-activations of a stage's networks at `v` and at `target`, under one affine extension.

    Returns
    -------
    at_point, at_target : (k, n_relus) arrays
        Values of the affine functions that the pre-activations are on the regions of `pattern`.
    """
    X = v[stage.inputs]
    values, slopes = stage.network.linearize(X, target[stage.inputs] - X, pattern)
    empty = [np.zeros((len(X), 0))]
    at_point = np.concatenate(empty + list(values[:-1]), axis=1)
    return at_point, at_point + np.concatenate(empty + list(slopes[:-1]), axis=1)
