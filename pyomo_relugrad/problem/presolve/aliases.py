"""Columns that equal each other become one: models link a network's inputs and outputs to variables by such rows."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy import sparse
from scipy.sparse.csgraph import connected_components

from pyomo_relugrad.arrays import Array
from pyomo_relugrad.errors import ModelError
from pyomo_relugrad.problem.embedding import EmbeddedNetwork
from pyomo_relugrad.problem.presolve.implied_bounds import closed_bounds, network_implied_bounds, rounded_bounds
from pyomo_relugrad.problem.problem import Problem


@dataclass(frozen=True, eq=False)
class Reduction:
    """A problem in fewer columns, and the way back.

    Parameters
    ----------
    problem : Problem
        The smaller problem.
    group : (n,) int array
        The column of the smaller problem that each column of the original became.
    """

    problem: Problem
    group: Array

    def restore(self, u: Array) -> Array:
        """A point of the original problem (n,) from one of the smaller."""
        return u[self.group]

    def reduce_start(self, v: Array) -> Array:
        """A start of the smaller problem: of equal columns, the first with a value (not NaN) gives it."""
        u = np.full(self.problem.n_columns, np.nan)
        for column in np.flatnonzero(~np.isnan(v))[::-1]:
            u[self.group[column]] = v[column]
        return u


def merge_aliases(problem: Problem) -> Reduction | None:
    """Merge columns linked by rows ``a x - a y = 0``, so that ``nn.inputs[i] == x[i]`` leaves a box a box.

    Returns
    -------
    Reduction or None
        None where nothing can be merged: there is no such row, two networks write linked columns, or a network would
        feed itself.
    """
    alias_rows, first, second = _alias_rows(problem)
    if alias_rows.size == 0:
        return None
    n = problem.n_columns
    links = sparse.coo_array((np.ones(first.size), (first, second)), shape=(n, n))
    n_groups, group = connected_components(links, directed=False)
    if np.bincount(group[problem.is_output], minlength=n_groups).max(initial=0) > 1:
        return None
    try:
        return Reduction(_without_implied_bounds(_merged(problem, group, n_groups, alias_rows)), group)
    except ModelError:  # a network would feed itself
        return None


def _alias_rows(problem: Problem) -> tuple[Array, Array, Array]:
    """Rows ``a x - a y = 0`` and their two columns."""
    rows = problem.rows
    candidates = np.flatnonzero((np.diff(rows.indptr) == 2) & (problem.row_lower == 0) & (problem.row_upper == 0))
    places = rows.indptr[candidates]
    opposite = (rows.data[places] == -rows.data[places + 1]) & (rows.data[places] != 0)
    candidates, places = candidates[opposite], places[opposite]
    return candidates, rows.indices[places], rows.indices[places + 1]


def _without_implied_bounds(problem: Problem) -> Problem:
    """Make output bounds infinite where interval arithmetic through the networks implies them."""
    implied_lower, implied_upper = network_implied_bounds(problem, problem.lower, problem.upper)
    return replace(
        problem,
        lower=np.where(problem.is_output & (implied_lower >= problem.lower), -np.inf, problem.lower),
        upper=np.where(problem.is_output & (implied_upper <= problem.upper), np.inf, problem.upper),
    )


def _merged(problem: Problem, group: Array, n_groups: int, alias_rows: Array) -> Problem:
    spread = sparse.csr_array((np.ones(group.size), (np.arange(group.size), group)), shape=(group.size, n_groups))
    lower, upper = np.full(n_groups, -np.inf), np.full(n_groups, np.inf)
    np.maximum.at(lower, group, problem.lower)
    np.minimum.at(upper, group, problem.upper)
    integers = np.zeros(n_groups, bool)
    np.logical_or.at(integers, group, problem.integers)
    lower, upper = closed_bounds(*rounded_bounds(lower, upper, integers))
    kept = np.setdiff1d(np.arange(problem.n_rows), alias_rows)
    names = [""] * n_groups
    for column in range(len(problem.column_names) - 1, -1, -1):
        names[group[column]] = problem.column_names[column]
    return Problem(
        cost=spread.T @ problem.cost,
        lower=lower,
        upper=upper,
        rows=sparse.csr_array(problem.rows[kept] @ spread),
        row_lower=problem.row_lower[kept],
        row_upper=problem.row_upper[kept],
        integers=integers,
        networks=tuple(
            EmbeddedNetwork(embedded.network, group[embedded.inputs], group[embedded.outputs], embedded.name)
            for embedded in problem.networks
        ),
        quadratic=None if problem.quadratic is None else sparse.csr_array(spread.T @ problem.quadratic @ spread),
        constant=problem.constant,
        maximize=problem.maximize,
        column_names=tuple(names) if problem.column_names else (),
        row_names=tuple(problem.row_names[row] for row in kept) if problem.row_names else (),
    )
