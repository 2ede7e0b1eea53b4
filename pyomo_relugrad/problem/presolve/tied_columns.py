"""Columns that equal each other become one: models link a network's inputs and outputs to variables by such rows."""

from dataclasses import replace

import numpy as np
from scipy import sparse
from scipy.sparse.csgraph import connected_components

from pyomo_relugrad.arrays import Array
from pyomo_relugrad.problem.operations import renumbered
from pyomo_relugrad.problem.presolve.reduction import Reduced
from pyomo_relugrad.problem.presolve.short_rows import with_rows
from pyomo_relugrad.problem.problem import Problem


def substitute_tied_columns(problem: Problem) -> Reduced | None:
    """Merge columns that rows ``a x - a y = 0`` tie, so that ``nn.inputs[i] == x[i]`` leaves a box a box.

    A column may then be written by two functions, or be both input and output of one: `separate_outputs` splits it.
    """
    if not problem.n_rows:
        return None
    ties, first, second = _ties(problem)
    if ties.size == 0:
        return None
    n = problem.n_columns
    links = sparse.coo_array((np.ones(first.size), (first, second)), shape=(n, n))
    n_groups, group = connected_components(links, directed=False)
    kept = np.setdiff1d(np.arange(problem.n_rows), ties)
    return Reduced(_merged(with_rows(problem, kept), group, n_groups), group)


def _ties(problem: Problem) -> tuple[Array, Array, Array]:
    """Rows ``a x - a y = 0`` and their two columns."""
    rows = problem.rows
    candidates = np.flatnonzero((np.diff(rows.indptr) == 2) & (problem.row_lower == 0) & (problem.row_upper == 0))
    places = rows.indptr[candidates]
    opposite = (rows.data[places] == -rows.data[places + 1]) & (rows.data[places] != 0)
    candidates, places = candidates[opposite], places[opposite]
    return candidates, rows.indices[places], rows.indices[places + 1]


def _merged(problem: Problem, group: Array, n_groups: int) -> Problem:
    """The problem in one column for each group."""
    spread = sparse.csr_array((np.ones(group.size), (np.arange(group.size), group)), shape=(group.size, n_groups))
    lower, upper = np.full(n_groups, -np.inf), np.full(n_groups, np.inf)
    np.maximum.at(lower, group, problem.lower)
    np.minimum.at(upper, group, problem.upper)
    integers = np.zeros(n_groups, bool)
    np.logical_or.at(integers, group, problem.integers)
    names = [""] * n_groups
    for column in range(len(problem.column_names) - 1, -1, -1):
        names[group[column]] = problem.column_names[column]
    return replace(
        problem,
        cost=spread.T @ problem.cost,
        lower=lower,
        upper=upper,
        rows=sparse.csr_array(problem.rows @ spread),
        integers=integers,
        networks=renumbered(problem.networks, group),
        expressions=renumbered(problem.expressions, group),
        quadratic=None if problem.quadratic is None else sparse.csr_array(spread.T @ problem.quadratic @ spread),
        column_names=tuple(names) if problem.column_names else (),
        operations=renumbered(problem.operations, group),
        ordered_sets=renumbered(problem.ordered_sets, group),
        followers=renumbered(problem.followers, group),
    )
