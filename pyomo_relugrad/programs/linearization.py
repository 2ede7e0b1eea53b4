"""The functions of a problem as linear rows: ``y - C x = t``, such as what they are on given linear regions."""

from collections.abc import Sequence

import numpy as np

from pyomo_relugrad.arrays import Array, RowBlock, SparseRows
from pyomo_relugrad.problem import Problem, Stage

#: One (k, n_relus) boolean array per stage of the problem: the activation pattern of each embedded network.
Patterns = tuple[Array, ...]


def used_outputs(problem: Problem, stages: Sequence[Stage]) -> list[Array]:
    """Per stage the outputs, by number, that objective, rows, bounds, integers or functions use in some embedding."""
    used = problem.is_input | (problem.cost != 0) | problem.integers
    used |= np.isfinite(problem.lower) | np.isfinite(problem.upper)
    used[problem.rows.indices] = True
    if problem.quadratic is not None:
        used[problem.quadratic.indices] = True
    return [np.flatnonzero(used[stage.outputs].any(axis=0)) for stage in stages]


class LinkRows:
    """Rows that link the used outputs of all functions to their inputs; their sparsity is found once.

    Inputs that the problem fixes enter the right-hand side, and outputs that nothing uses have no row.

    Parameters
    ----------
    problem : Problem
    copies : int, optional
        Blocks of rows, one below the other, each of which links all outputs.
    stages : sequence of Stage, optional
        The functions; by default all of the problem.
    """

    def __init__(self, problem: Problem, copies: int = 1, stages: Sequence[Stage] | None = None) -> None:
        self._stages = problem.stages if stages is None else stages
        self.used = used_outputs(problem, self._stages)
        columns = [stage.outputs[:, used].ravel() for stage, used in zip(self._stages, self.used, strict=True)]
        #: (n_links,) columns of the linked outputs, as their rows follow each other.
        self.columns = np.concatenate([np.zeros(0, int), *columns])
        is_fixed = problem.lower >= problem.upper
        fixed = np.where(is_fixed, problem.lower, 0.0)
        self._fixed = [fixed[stage.inputs] for stage in self._stages] if is_fixed.any() else []
        self._find_sparsity(is_fixed, copies)

    def _find_sparsity(self, is_fixed: Array, copies: int) -> None:
        """Order the entries by row and column, and find where equal places (repeated inputs) begin.

        Each entry has a place in the list of -1 and of all coefficients of one copy; -1 stands for an output itself.
        """
        n_links, first, place = self.columns.size, 0, 1
        rows, columns, places = [np.arange(n_links)], [self.columns], [np.zeros(n_links, int)]
        for stage, used in zip(self._stages, self.used, strict=True):
            k, n_inputs = stage.inputs.shape
            outputs = np.broadcast_to(first + np.arange(k * used.size).reshape(k, -1, 1), (k, used.size, n_inputs))
            inputs = np.broadcast_to(stage.inputs[:, None], outputs.shape)
            free = ~is_fixed[inputs]
            rows.append(outputs[free])
            columns.append(inputs[free])
            places.append(place + np.flatnonzero(free))
            first, place = first + k * used.size, place + outputs.size
        row, column = np.concatenate(rows), np.concatenate(columns)
        order = np.lexsort((column, row))
        row, column, entries = row[order], column[order], np.concatenate(places)[order]
        is_new = np.ones(row.size, bool)
        is_new[1:] = (row[1:] != row[:-1]) | (column[1:] != column[:-1])
        copy = np.arange(copies)[:, None]
        self._entries = np.where(entries > 0, entries + copy * (place - 1), 0).ravel()
        self._begins = np.flatnonzero(np.tile(is_new, copies))
        self._indices = np.tile(column[is_new], copies).astype(np.int32)
        counts = np.tile(np.bincount(row[is_new], minlength=n_links), copies)
        self._indptr = np.concatenate([[0], np.cumsum(counts)]).astype(np.int32)

    def build(self, coefficients: list[Array], constants: list[Array]) -> tuple[SparseRows, Array]:
        """Rows and right-hand sides of ``y - C x = t``.

        Parameters
        ----------
        coefficients, constants : lists of (k, used, n_inputs) and (k, used) arrays
            One of each per stage, the stages of one copy after those of the other.
        """
        values = -np.concatenate([[-1.0], *(C.ravel() for C in coefficients)])[self._entries]
        if self._begins.size < values.size:
            values = np.add.reduceat(values, self._begins)
        if self._fixed:
            fixed = self._fixed * (len(constants) // len(self._fixed))
            constants = [
                t + (C @ x[:, :, None])[:, :, 0] for C, t, x in zip(coefficients, constants, fixed, strict=True)
            ]
        right = np.concatenate([np.zeros(0), *(t.ravel() for t in constants)])
        return SparseRows(self._indptr, self._indices, values), right


def two_sided(rows: SparseRows, right: Array) -> RowBlock:
    """Rows of which the first half are at least, and the second half at most their right-hand sides."""
    lower, upper = right.copy(), right.copy()
    lower[right.size // 2 :], upper[: right.size // 2] = -np.inf, np.inf
    return RowBlock(rows, lower, upper)


class Linearization:
    """Links each used output to the affine function that its function is: on a linear region, or near a point."""

    def __init__(self, problem: Problem) -> None:
        self._problem, self._rows = problem, LinkRows(problem)
        self.n_links = self._rows.columns.size

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
            ``rows @ v == right`` is each network's affine function on its region, each expression's tangent.
        """
        jacobians, offsets = [], []
        for index, (stage, used) in enumerate(zip(self._problem.stages, self._rows.used, strict=True)):
            J, t = stage.affine(v[stage.inputs], None if patterns is None else patterns[index])
            jacobians.append(J[:, used])
            offsets.append(t[:, used])
        return self._rows.build(jacobians, offsets)
