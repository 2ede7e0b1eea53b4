"""The same problem written in other ways: columns and rows in another order, outputs tied by rows, bounds as rows."""

from dataclasses import replace

import numpy as np
from scipy import sparse

from pyomo_relugrad.problem import EmbeddedNetwork, Problem


def reordered(problem: Problem, seed: int) -> tuple[Problem, np.ndarray]:
    """The problem with its columns, rows and networks in another order, and the new number of each column."""
    rng = np.random.default_rng(seed)
    order, rows = rng.permutation(problem.n_columns), rng.permutation(problem.n_rows)
    number = np.argsort(order)
    networks = [
        EmbeddedNetwork(e.network, number[e.inputs], number[e.outputs], e.name)
        for e in (problem.networks[i] for i in rng.permutation(len(problem.networks)))
    ]
    moved = replace(
        problem,
        cost=problem.cost[order],
        lower=problem.lower[order],
        upper=problem.upper[order],
        integers=problem.integers[order],
        rows=problem.rows[rows][:, order],
        row_lower=problem.row_lower[rows],
        row_upper=problem.row_upper[rows],
        networks=tuple(networks),
    )
    return moved, number


def outputs_tied_by_rows(problem: Problem) -> Problem:
    """The problem with a column of the user's for each output, which a row sets equal to it and the rest speaks of."""
    outputs, n = np.flatnonzero(problem.is_output), problem.n_columns
    count = outputs.size
    ties = np.zeros((count, n + count))
    ties[np.arange(count), outputs], ties[np.arange(count), n + np.arange(count)] = 1.0, -1.0
    rows = sparse.csr_array(sparse.hstack([problem.rows, sparse.csr_array((problem.n_rows, count))]))
    return replace(
        problem,
        cost=np.concatenate([np.where(problem.is_output, 0.0, problem.cost), problem.cost[outputs]]),
        lower=np.concatenate([problem.lower, np.full(count, -50.0)]),
        upper=np.concatenate([problem.upper, np.full(count, 50.0)]),
        integers=np.concatenate([problem.integers, np.zeros(count, bool)]),
        rows=sparse.vstack([rows, sparse.csr_array(ties)]),
        row_lower=np.concatenate([problem.row_lower, np.zeros(count)]),
        row_upper=np.concatenate([problem.row_upper, np.zeros(count)]),
    )


def bounds_as_rows(problem: Problem) -> Problem:
    """The problem with a row in place of the bounds of each column that is neither integer nor fixed."""
    moved = np.flatnonzero(~problem.integers & (problem.lower < problem.upper))
    rows = sparse.csr_array((np.ones(moved.size), (np.arange(moved.size), moved)), (moved.size, problem.n_columns))
    free = np.isin(np.arange(problem.n_columns), moved)
    return replace(
        problem,
        lower=np.where(free, -np.inf, problem.lower),
        upper=np.where(free, np.inf, problem.upper),
        rows=sparse.csr_array(sparse.vstack([problem.rows, rows])),
        row_lower=np.concatenate([problem.row_lower, problem.lower[moved]]),
        row_upper=np.concatenate([problem.row_upper, problem.upper[moved]]),
    )
