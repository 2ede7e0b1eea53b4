"""Exchanges of integers: what moves together, and models with equations on outputs whose optimum is known."""

import itertools

import numpy as np
import pyomo.environ as pyo
import pytest
from scipy import sparse

from pyomo_relugrad.modeling.compile import compile_model
from pyomo_relugrad.network import Network
from pyomo_relugrad.problem import EmbeddedNetwork, Problem
from pyomo_relugrad.problem.presolve import presolve
from pyomo_relugrad.search.following import Following
from pyomo_relugrad.search.neighbourhoods.integer_exchanges import IntegerExchanges
from pyomo_relugrad.search.sequential.integers import integer_neighbours
from pyomo_relugrad.solve import search

INF = np.inf


def one_of_each(n_pairs: int) -> Problem:
    """Of each two binaries exactly one is 1."""
    n = 2 * n_pairs
    rows = sparse.csr_array(np.kron(np.eye(n_pairs), np.ones((1, 2))))
    return Problem(np.zeros(n), np.zeros(n), np.ones(n), rows, np.ones(n_pairs), np.ones(n_pairs), np.ones(n, bool))


def levels(kinks: list[float], targets: list[float]) -> Problem:
    """Source j gives a gain times relu(x_j - kink_j); those that share a target must reach it together.

    Binary j chooses between two targets; the cost is the sum of all x. Columns: x, flow (2 per source), binary, output.
    """
    k = len(kinks)
    n = 5 * k
    x, flow, binary, output = (
        np.arange(k),
        np.arange(k, 3 * k).reshape(k, 2),
        np.arange(3 * k, 4 * k),
        np.arange(4 * k, n),
    )
    rows, low, high = [], [], []

    def add(entries, least, most):
        row = np.zeros(n)
        for column, value in entries:
            row[column] += value
        rows.append(row)
        low.append(least)
        high.append(most)

    for j in range(k):
        add([(output[j], 1.0), (flow[j, 0], -1.0), (flow[j, 1], -1.0)], 0.0, 0.0)
        add([(flow[j, 0], 1.0), (binary[j], 5.0)], -INF, 5.0)
        add([(flow[j, 1], 1.0), (binary[j], -5.0)], -INF, 0.0)
    for side, target in enumerate(targets):
        add([(column, 1.0) for column in flow[:, side]], target, target)
    lower, upper = np.zeros(n), np.ones(n)
    upper[x], upper[flow], lower[output], upper[output] = 2.0, 5.0, -INF, INF
    cost = np.zeros(n)
    cost[x] = 1.0
    networks = tuple(
        EmbeddedNetwork(Network.from_layers([[[1.0]], [[1.0 + j % 3]]], [[-kink], [0.0]]), x[[j]], output[[j]])
        for j, kink in enumerate(kinks)
    )
    integers = np.isin(np.arange(n), binary)
    return Problem(
        cost, lower, upper, sparse.csr_array(np.array(rows)), np.array(low), np.array(high), integers, networks
    )


def least_cost(kinks: list[float], targets: list[float]) -> float:
    """By enumeration of the binaries and of the sources that are at neither of their ends."""
    best = INF
    for side in itertools.product((0, 1), repeat=len(kinks)):
        costs = [reach([j for j, s in enumerate(side) if s == t], kinks, target) for t, target in enumerate(targets)]
        best = min(best, sum(costs))
    return best


def reach(sources: list[int], kinks: list[float], target: float) -> float:
    """The least sum of x with which some sources give a total: all but one are at zero or full."""
    best = INF
    for partial in sources:
        others = [j for j in sources if j != partial]
        for full in itertools.product((False, True), repeat=len(others)):
            used = [j for j, is_full in zip(others, full, strict=True) if is_full]
            rest = target - sum((1.0 + j % 3) * (2.0 - kinks[j]) for j in used)
            if -1e-12 <= rest <= (1.0 + partial % 3) * (2.0 - kinks[partial]):
                needed = 0.0 if rest <= 1e-12 else kinks[partial] + rest / (1.0 + partial % 3)
                best = min(best, 2.0 * len(used) + needed)
    return best


def test_a_move_takes_with_it_what_the_rows_tie_to_it():
    exchanges = IntegerExchanges(one_of_each(2))
    v = np.array([1.0, 0.0, 0.0, 1.0])
    assert exchanges.moves(v).tolist() == [0, 3, 5, 6]
    points, kept = exchanges.points(v, np.array([[5], [6]]))
    assert points.tolist() == [[0, 1, 0, 1], [1, 0, 1, 0]]
    assert kept.tolist() == [0, 1]


def test_moves_that_the_rows_exclude_are_left_out():
    exchanges = IntegerExchanges(one_of_each(2))
    v = np.array([1.0, 0.0, 0.0, 1.0])
    points, kept = exchanges.points(v, np.array([[0, 3], [3, 6], [0, 6]]))
    assert kept.tolist() == [0, 1, 2]
    assert np.isin(points.reshape(-1, 2, 2).sum(axis=2), 1).all()
    both = Problem(np.zeros(2), np.zeros(2), np.ones(2), np.ones((1, 2)), np.ones(1), np.ones(1), np.ones(2, bool))
    assert IntegerExchanges(both).points(np.array([0.0, 0.0]), np.array([[2, 3]]))[0].shape == (0, 2)


def test_fixed_integers_and_outputs_are_not_exchanged():
    problem = levels([0.1, 0.2], [0.5, 0.5])
    assert IntegerExchanges(problem).columns.tolist() == [6, 7]


@pytest.mark.parametrize("seed", range(3))
def test_equations_on_outputs_are_met_at_the_least_cost(seed):
    random = np.random.default_rng(seed)
    kinks, targets = random.uniform(0.1, 0.9, size=6).round(3).tolist(), [2.5, 4.0]
    found = search(levels(kinks, targets), seed=seed, iteration_limit=6000)
    assert found.incumbent is not None
    assert found.incumbent.objective == pytest.approx(least_cost(kinks, targets), abs=1e-5)


def test_what_follows_from_integers_moves_with_them():
    m = pyo.ConcreteModel()
    m.n = pyo.Var(range(2), domain=pyo.Integers, bounds=(0, 9), initialize=4)
    m.total, m.w = pyo.Var(bounds=(0, 40), initialize=15), pyo.Var(bounds=(0, 90), initialize=6)
    m.x = pyo.Var(bounds=(1, 2), initialize=1.5)
    m.sum = pyo.Constraint(expr=m.total == 2 * m.n[0] + m.n[1] + 3)
    m.product = pyo.Constraint(expr=m.n[0] * m.x + m.n[1] * pyo.exp(m.x) <= 200)
    m.ratio = pyo.Constraint(expr=m.w * (m.x + 1) == m.total)
    compiled = compile_model(m)
    reduced = presolve(compiled.problem)
    v = reduced.problem.incumbent(np.nan_to_num(reduced.reduce(compiled.values()))).values
    following = Following(reduced.problem)
    assert following.columns.size == 2  # digits and products are not moved themselves
    exchanges = IntegerExchanges(reduced.problem)
    near, _ = exchanges.points(v, exchanges.moves(v)[:, None])
    for points in (near, integer_neighbours(reduced.problem, following, v, np.random.default_rng(0), 20)):
        assert len(np.unique(points[:, following.columns], axis=0)) > 3
        np.testing.assert_allclose(reduced.problem.violation(points), 0, atol=1e-9)
