"""Rows of binaries that may be fractions: what they cost, as a function of the decisions alone."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy import sparse

from pyomo_relugrad.arrays import Array
from pyomo_relugrad.search.decisions.decisions import Decisions
from pyomo_relugrad.search.decisions.steps import Branch, Equations, LinearForm, Networks, Switches

#: Coefficients that are rounding errors of a substitution, and violations above which slopes count in full.
TINY, FULL = 1e-9, 0.05


class RelaxedRows:
    """Slopes of what rows cost, and columns that follow from decisions, where binaries may be fractions.

    A binary that follows is as large as the rows ask by which it switches, ``max(0, forcing @ x + forced)``; other
    columns, and what the rows exceed, are affine in the decisions and these.

    Parameters
    ----------
    decisions : Decisions
    rows : (m, n) sparse array
    limits : (m, 1) array
        What the rows' activities are at most.
    """

    def __init__(self, decisions: Decisions, rows: sparse.csr_array, limits: Array) -> None:
        problem, self._size = decisions.problem, decisions.columns.size
        forms, forcing = _forms(decisions)
        ranks = range(max([1, *map(len, forcing)]))
        never = LinearForm({}, -1.0)
        padded = [group[rank] if rank < len(group) else never for rank in ranks for group in forcing]
        self._shape = len(ranks), len(forcing)
        forced, self._forced = _affine(padded, self._size)
        columns = sorted(forms)
        follows, constants = _affine([forms[column] for column in columns], self._size + len(forcing))
        others = np.setdiff1d(np.arange(problem.n_columns), columns)
        held = np.flatnonzero(np.abs(rows[:, others]).sum(axis=1) == 0)
        of_columns = sparse.csr_array(rows[held][:, columns])
        excess, beyond = sparse.csr_array(of_columns @ follows), of_columns @ constants - limits[held]
        excess.data[np.abs(excess.data) < TINY] = 0.0
        largest = np.abs(excess).max(axis=1).toarray().ravel()
        told = np.flatnonzero(largest > 0)
        scale = sparse.diags_array(1.0 / largest[told])
        excess, self._beyond = sparse.csr_array(scale @ excess[told]), scale @ beyond[told]
        excess.eliminate_zeros()
        cost = np.where(np.isin(columns, decisions.columns), 0.0, problem.cost[columns])
        single = np.float32
        self._excess, self._forcing = excess.astype(single), forced.astype(single)
        self._pulled, self._told = sparse.csr_array(self._excess.T), sparse.csr_array(self._forcing.T)
        self._beyond, self._forced = self._beyond.astype(single), self._forced.astype(single)
        #: Bounds (d,) of the decisions.
        self.lower, self.upper = (bound.astype(single) for bound in decisions.bounds)
        self._cost = np.asarray(follows.T @ cost, single)[:, None]

    @staticmethod
    def suit(decisions: Decisions) -> bool:
        """Whether all but outputs of networks follows by equations, and from binaries that switch."""
        return all(isinstance(step, Equations | Switches | Networks) for step in decisions.steps)

    def slopes(self, X: Array, penalty: float) -> Array:
        """Slopes (d, B) at decisions (d, B): of what follows, and of `penalty` times what rows exceed.

        Rows are in units of their largest coefficients.
        """
        n_ranks, n_shares = self._shape
        asked, shares = np.zeros((0, 0, 1), np.float32), np.zeros((0, X.shape[1]), np.float32)
        if n_shares:
            asked = (self._forcing @ X + self._forced).reshape(n_ranks, n_shares, -1)
            shares = np.maximum(asked.max(axis=0), 0.0)
        excess = self._excess @ np.concatenate([X, shares])
        excess += self._beyond
        excess *= np.float32(1.0 / FULL)
        slopes = self._pulled @ np.clip(excess, 0.0, 1.0, out=excess)
        slopes *= np.float32(penalty)
        slopes += self._cost
        own = slopes[: self._size]
        if n_shares:
            is_told = (asked > 0) & (asked == shares)
            own += self._told @ (is_told * slopes[self._size :]).reshape(n_ranks * n_shares, -1)
        return np.asarray(own)


def _forms(decisions: Decisions) -> tuple[dict[int, LinearForm], list[list[LinearForm]]]:
    """All columns but outputs, in decisions and shares of the binaries that follow; what rows ask of these shares."""
    problem, size = decisions.problem, decisions.columns.size
    forms = {column: LinearForm({place: 1.0}) for place, column in enumerate(decisions.columns.tolist())}
    for column in np.flatnonzero(problem.lower == problem.upper).tolist():
        forms[column] = LinearForm({}, float(problem.lower[column]))
    asked: list[list[LinearForm]] = []
    for step in decisions.steps:
        for column, form in step.forms if isinstance(step, Equations) else ():
            forms[column] = _substituted(form, forms)
        for binary, (off, on) in step.branches if isinstance(step, Switches) else ():
            share = size + len(asked)
            asked.append([_substituted(form, forms) for form in _asked(off, on)])
            forms[binary] = LinearForm({share: 1.0})
            for column, form in off.values.items():
                change = LinearForm({share: on.values[column].constant - form.constant})
                forms[column] = _substituted(form, forms).plus(1.0, change)
    return forms, asked


def _asked(off: Branch, on: Branch) -> list[LinearForm]:
    """Shares of a binary that its rows ask for at least: those that exceed less at one than at zero."""
    at_one = {_key(form): form.constant for form in on.excesses}
    gains = [(form, form.constant - at_one.get(_key(form), form.constant)) for form in off.excesses]
    return [LinearForm().plus(1.0 / gain, form) for form, gain in gains if form.coefficients and gain > 0]


def _key(form: LinearForm) -> frozenset[tuple[int, float]]:
    return frozenset(form.coefficients.items())


def _substituted(form: LinearForm, forms: dict[int, LinearForm]) -> LinearForm:
    total = LinearForm({}, form.constant)
    for column, value in form.coefficients.items():
        total = total.plus(value, forms[column])
    return total


def _affine(forms: Sequence[LinearForm], size: int) -> tuple[sparse.csr_array, Array]:
    """Affine functions: a matrix, and constants (k, 1)."""
    entries = [(row, *entry) for row, form in enumerate(forms) for entry in form.coefficients.items()]
    rows, columns, values = np.array(entries, float).reshape(-1, 3).T
    matrix = sparse.csr_array((values, (rows.astype(int), columns.astype(int))), shape=(len(forms), size))
    return matrix, np.array([[form.constant] for form in forms]).reshape(-1, 1)
