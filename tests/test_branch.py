"""Branch and bound: exact optima on every kind of problem, sound bounds when it is stopped, its parts one by one."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from milp_oracle import exact_optimum
from random_models import random_network, random_problem
from scipy import sparse

from pyomo_relugrad.network import Network
from pyomo_relugrad.network.bounds import Relaxation
from pyomo_relugrad.problem import EmbeddedNetwork, Problem
from pyomo_relugrad.problem.presolve.chains import compose_chains
from pyomo_relugrad.problem.presolve.row_tightening import RowTightening
from pyomo_relugrad.proof import SearchTree, prove
from pyomo_relugrad.proof.boxes.bounding import BoundedNodes
from pyomo_relugrad.proof.boxes.branching import split_nodes, split_scores
from pyomo_relugrad.proof.boxes.nodes import Nodes
from pyomo_relugrad.proof.boxes.relaxations import gap_by_input
from pyomo_relugrad.proof.candidates import IncumbentPolish
from pyomo_relugrad.proof.chain_tree import ChainTree, LinkTree
from pyomo_relugrad.proof.queue import NodeQueue
from pyomo_relugrad.run import Options, Stop, run_proof
from pyomo_relugrad.solve import search


def box_problem(networks, cost, lower, upper, **options) -> Problem:
    return Problem(np.array(cost, float), np.array(lower, float), np.array(upper, float), networks=networks, **options)


def single_network_box(seed: int, sizes=(3, 8, 8, 2)) -> Problem:
    rng = np.random.default_rng(seed)
    network = random_network(rng, sizes)
    n, m = sizes[0], sizes[-1]
    embedded = EmbeddedNetwork(network, np.arange(n), np.arange(n, n + m))
    free = np.full(m, np.inf)
    cost = rng.normal(size=n + m) * np.r_[np.full(n, 0.3), np.ones(m)]
    return box_problem((embedded,), cost, np.r_[np.full(n, -1.0), -free], np.r_[np.full(n, 1.0), free])


def assert_proven(problem: Problem, optimum: float, **options) -> None:
    result = prove(problem, time_limit=60, relative_gap=1e-4, **options)
    if optimum == np.inf:
        assert result.stop is Stop.INFEASIBLE
        assert result.incumbent is None
        assert result.bound == np.inf
        return
    tolerance = 2e-4 * (1 + abs(optimum))
    assert result.stop is Stop.OPTIMAL
    assert result.incumbent.is_feasible
    assert result.incumbent.objective == pytest.approx(optimum, abs=tolerance)
    assert optimum - tolerance <= result.bound <= optimum + 1e-6 * (1 + abs(optimum))
    assert result.bound <= result.incumbent.objective


# --- optima ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(8))
def test_boxes_are_solved_to_the_optimum(seed):
    problem = single_network_box(seed)
    assert_proven(problem, exact_optimum(problem))


@pytest.mark.parametrize(
    ("family", "seed"),
    [
        *(("equality", seed) for seed in range(4)),
        *(("integer", seed) for seed in range(5)),
        *(("chained", seed) for seed in (0, 2, 4)),
        ("shared", 1),
        ("window", 3),
    ],
)
def test_models_of_every_family_are_solved_to_the_optimum(family, seed):
    problem = random_problem(family, seed)
    assert_proven(problem, exact_optimum(problem))


@pytest.mark.parametrize("seed", [1, 6])
def test_quadratic_objectives_are_proven(seed):
    problem = random_problem("quadratic", seed)
    result = prove(problem, time_limit=60, relative_gap=1e-3)
    assert result.stop is Stop.OPTIMAL
    found = search(problem, iteration_limit=300, seed=seed)
    assert result.bound <= found.incumbent.objective + 1e-6
    assert result.incumbent.objective <= found.incumbent.objective + 1e-3 * (1 + abs(found.incumbent.objective))


@pytest.mark.parametrize("seed", range(4))
def test_quadratic_objectives_over_boxes_are_proven(seed):
    """The distance of two outputs to a target, which a point of the box attains: the optimum is the input's cost."""
    problem = single_network_box(seed, (2, 8, 2))
    rng = np.random.default_rng(seed)
    target = problem.propagate(rng.uniform(-1, 1, size=(1, 4)))[0, 2:]
    quadratic = sparse.csr_array(np.diag([0.0, 0.0, 2.0, 2.0]))
    problem = Problem(
        np.r_[0.0, 0.0, -2 * target],
        problem.lower,
        problem.upper,
        networks=problem.networks,
        quadratic=quadratic,
        constant=float(target @ target),
    )
    result = prove(problem, time_limit=30, absolute_gap=1e-3)
    assert result.stop is Stop.OPTIMAL
    assert -1e-3 - 1e-9 <= result.bound <= 1e-9
    assert -1e-12 <= result.incumbent.objective <= 1e-3 + 1e-9


def test_a_column_may_be_read_twice_and_by_several_networks():
    rng = np.random.default_rng(5)
    network = random_network(rng, (3, 7, 1))
    inf = np.inf
    embeddings = (EmbeddedNetwork(network, [0, 0, 1], [2]), EmbeddedNetwork(network, [1, 0, 1], [3]))
    problem = box_problem(embeddings, [0.3, 0, 1, -1], [-1, -1, -inf, -inf], [1, 1, inf, inf])
    grid = np.stack(np.meshgrid(*[np.linspace(-1, 1, 201)] * 2), axis=-1).reshape(-1, 2)
    values = problem.objective(problem.propagate(np.c_[grid, np.zeros((len(grid), 2))]))
    result = prove(problem, relative_gap=0, absolute_gap=1e-5)
    assert result.stop is Stop.OPTIMAL
    assert result.bound <= values.min()
    assert result.incumbent.objective == pytest.approx(values.min(), abs=0.05)
    capped = Problem(
        problem.cost, problem.lower, np.r_[1, 1, inf, float(np.quantile(values, 0.5))], networks=embeddings
    )
    assert_proven(capped, exact_optimum(capped))


def test_problems_without_a_network_are_linear_and_integer_programs():
    rows = sparse.csr_array([[1.0, 2.0]])
    problem = Problem(
        np.array([-1.0, -1.0]), np.zeros(2), np.full(2, 3.5), rows, np.array([-np.inf]), np.array([6.2]),
        np.array([True, True]),
    )  # fmt: skip
    assert_proven(problem, exact_optimum(problem))


def test_networks_without_relus_are_proven():
    affine = EmbeddedNetwork(Network.from_layers([[[2.0, -1.0]]], [[0.5]]), np.array([0, 1]), np.array([2]))
    rows = sparse.csr_array(np.array([[1.0, 0.0, 1.0]]))
    lower, upper, free = np.array([-1.0, -1.0, -np.inf]), np.array([1.0, 1.0, np.inf]), np.full(1, np.inf)
    problem = Problem(np.array([0.0, 0.0, 1.0]), lower, upper, rows, np.array([-1.0]), free, networks=(affine,))
    assert_proven(problem, -5 / 6)


def test_integers_beside_the_network_are_branched_on():
    """A binary switches a fixed charge for using more of an input."""
    rng = np.random.default_rng(2)
    embedded = EmbeddedNetwork(random_network(rng, (2, 8, 1)), [0, 1], [3])
    problem = Problem(
        np.array([0.1, 0.0, 0.4, 1.0]),
        np.array([-1.0, -1.0, 0.0, -np.inf]),
        np.array([1.0, 1.0, 3.0, np.inf]),
        sparse.csr_array([[1.0, 1.0, -0.7, 0.0], [0.0, 1.0, 1.3, 0.0]]),
        np.array([-np.inf, 0.35]),
        np.array([-0.4, np.inf]),
        np.array([False, False, True, False]),
        (embedded,),
    )
    assert_proven(problem, exact_optimum(problem))


def test_inputs_without_bounds():
    network = Network.from_layers([[[1.0], [-1.0]], [[1.0, 1.0]]], [[-3.0, 3.0], [0.25]])
    problem = box_problem((EmbeddedNetwork(network, [0], [1]),), [0, 1], [-np.inf] * 2, [np.inf] * 2)
    assert_proven(problem, 0.25)
    rows = sparse.csr_array([[1.0, 0.0]])
    shifted = Problem(
        problem.cost, problem.lower, problem.upper, rows, np.array([5.0]), np.array([np.inf]),
        networks=problem.networks,
    )  # fmt: skip
    assert_proven(shifted, 2.25)


@pytest.mark.parametrize("seed", range(4))
def test_infeasible_demands_are_proven_infeasible(seed):
    problem = single_network_box(seed)
    best = exact_optimum(Problem(np.r_[0, 0, 0, 1.0, 0], problem.lower, problem.upper, networks=problem.networks))
    upper = problem.upper.copy()
    upper[3] = best - 1e-3
    assert_proven(Problem(problem.cost, problem.lower, upper, networks=problem.networks), np.inf)
    rows, sides = sparse.csr_array([[1.0, 1.0, 0, 0, 0]]), (np.array([2.5]), np.array([np.inf]))
    result = prove(Problem(problem.cost, problem.lower, problem.upper, rows, *sides, networks=problem.networks))
    assert result.stop is Stop.INFEASIBLE
    assert result.nodes == 0


# --- being stopped -----------------------------------------------------------------------------------------------


def test_a_point_that_only_the_tolerance_allows_is_not_called_optimal():
    problem = single_network_box(0, (2, 4, 1))
    cost, row = np.array([1.0, 1.0, 0.0]), sparse.csr_array([[1.0, 1.0, 0.0]])
    lower, low, high = problem.lower * [0, 0, 1], np.array([-np.inf]), np.array([-5e-7])
    problem = replace(problem, cost=cost, lower=lower, rows=row, row_lower=low, row_upper=high)
    start = problem.incumbent(problem.propagate(np.zeros((1, 3)))[0])
    result = prove(problem, start=start)
    assert (result.stop, result.bound, result.incumbent.is_feasible) == (Stop.FINISHED, -np.inf, True)
    assert prove(problem).stop is Stop.INFEASIBLE


def hard_problem() -> Problem:
    return single_network_box(1, (9, 40, 40, 1))


@pytest.mark.parametrize(
    ("options", "status"),
    [
        ({"node_limit": 100}, Stop.NODE_LIMIT),
        ({"callback": lambda progress: progress.nodes > 50}, Stop.CALLBACK),
    ],
)
def test_a_stopped_proof_keeps_a_valid_bound(options, status):
    problem = hard_problem()
    result = prove(problem, relative_gap=0, **options)
    assert result.stop is status
    points = np.random.default_rng(0).uniform(-1, 1, size=(20_000, problem.n_columns))
    assert result.bound <= problem.objective(problem.propagate(points)).min()
    assert result.gap == result.incumbent.objective - result.bound > 0
    (times, values), (bound_times, bounds) = (np.transpose(pairs) for pairs in (result.history, result.bound_history))
    assert (np.diff(times) >= 0).all()
    assert (np.diff(bound_times) >= 0).all()
    assert (np.diff(bounds) >= -1e-9).all()
    assert (np.diff(values) <= 0).all()
    assert (values[-1], bounds[-1]) == (result.incumbent.objective, pytest.approx(result.bound))


def test_ctrl_c_returns_incumbent_and_bound(monkeypatch):
    problem = hard_problem()
    calls = []

    def interrupt(progress):
        calls.append(progress)
        if len(calls) == 3:
            raise KeyboardInterrupt

    result = prove(problem, callback=interrupt)
    assert result.stop is Stop.INTERRUPTED
    assert np.isfinite(result.bound)
    assert result.incumbent is not None


def test_an_interrupted_batch_stays_in_the_bound(monkeypatch):
    tree = SearchTree(hard_problem(), Options())
    steps = tree.steps()
    for _ in range(3):
        next(steps)
    before = tree.bound

    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(tree._candidates, "try_on", interrupt)
    with pytest.raises(KeyboardInterrupt):
        next(steps)
    assert tree.bound <= before + 1e-9


def test_a_start_is_used():
    problem = hard_problem()
    optimum = prove(problem, node_limit=3000).incumbent
    assert prove(problem, start=optimum, node_limit=1).incumbent.objective <= optimum.objective


@pytest.mark.parametrize("with_row", [False, True])
def test_new_incumbents_are_polished_to_a_local_optimum(with_row):
    """No descent by small steps from the first batch's incumbent comes lower; rows of the inputs stay met."""
    problem = hard_problem()
    if with_row:
        sides = {"row_lower": np.array([-np.inf]), "row_upper": np.array([0.5])}
        problem = replace(problem, rows=sparse.csr_array([[1.0] * 9 + [0.0]]), **sides)
    first = prove(problem, node_limit=1).incumbent
    assert first.is_feasible
    raw = IncumbentPolish(problem)
    moves = np.random.default_rng(0).normal(size=(4000, 10)) * np.geomspace(1e-3, 1e-1, 4000)[:, None]
    around = problem.propagate((first.values + moves).clip(problem.lower, problem.upper))
    around = around[problem.violation(around) <= 1e-9]
    assert len(around) > 100
    assert problem.objective(around).min() >= first.objective - 1e-9
    assert problem.objective(raw(around[0])[None])[0] < problem.objective(around[:1])[0]


def test_an_infeasible_start_is_ignored():
    problem = random_problem("window", 3)
    wrong = problem.incumbent(np.zeros(problem.n_columns))
    assert not wrong.is_feasible
    assert prove(problem, start=wrong, node_limit=1).incumbent is not wrong


# --- parts -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(6))
def test_joined_chains_compute_the_same(seed):
    problem = random_problem("chained", seed)
    flat = compose_chains(problem).problem
    assert not any(flat.is_output[embedded.inputs].any() for embedded in flat.networks)
    points = np.random.default_rng(seed).uniform(-1, 1, size=(50, problem.n_columns))
    np.testing.assert_allclose(flat.propagate(points), problem.propagate(points), atol=1e-10)


def test_chains_of_three_with_skips_and_crossed_outputs_are_joined():
    rng = np.random.default_rng(0)
    first, second, third = (random_network(rng, sizes) for sizes in ((2, 5, 3), (3, 4, 2), (4, 6, 1)))
    networks = (
        EmbeddedNetwork(third, [5, 0, 2, 6], [7]),
        EmbeddedNetwork(first, [1, 0], [4, 3, 2]),
        EmbeddedNetwork(second, [3, 2, 1], [6, 5]),
    )
    problem = Problem(np.ones(8), np.full(8, -1.0), np.full(8, 1.0), networks=networks)
    points = rng.uniform(-1, 1, size=(50, 8))
    np.testing.assert_allclose(compose_chains(problem).problem.propagate(points), problem.propagate(points), atol=1e-10)


def chain(n_steps: int, state_bound: float = np.inf) -> Problem:
    """Networks in a row: each reads a state and a control, and writes the next state."""
    rng, networks = np.random.default_rng(0), []
    n = 2 * n_steps + 1
    for step in range(n_steps):
        networks.append(EmbeddedNetwork(random_network(rng, (2, 5, 5, 1)), [2 * step, 2 * step + 1], [2 * step + 2]))
    lower, upper = np.full(n, -1.0), np.full(n, 1.0)
    lower[2::2], upper[2::2] = -state_bound, state_bound
    return box_problem(tuple(networks), np.where(np.arange(n) == n - 1, 1.0, 0.1), lower, upper)


@pytest.mark.parametrize("state_bound", [np.inf, 1.5])
def test_long_chains_are_split_where_networks_meet(state_bound):
    problem = chain(6, state_bound)
    split, joined, both = (
        run_proof(tree(problem, Options()), node_limit=limit)
        for tree, limit in ((LinkTree, 190), (SearchTree, 190), (ChainTree, 500))
    )
    assert split.stop is both.stop is Stop.OPTIMAL
    assert joined.stop is Stop.NODE_LIMIT
    assert joined.bound <= split.incumbent.objective == pytest.approx(both.incumbent.objective, rel=2e-4)


@pytest.mark.parametrize("seed", range(4))
def test_both_ways_of_chains_are_solved_to_the_optimum(seed, monkeypatch):
    monkeypatch.setattr("pyomo_relugrad.proof.chain_tree.TRIAL_NODES", 4)
    problem = random_problem("chained", seed)
    result, optimum = run_proof(ChainTree(problem, Options())), exact_optimum(problem)
    assert result.bound <= optimum + 1e-6 * (1 + abs(optimum))
    assert result.stop is (Stop.OPTIMAL if np.isfinite(optimum) else Stop.INFEASIBLE)


def test_long_chains_and_those_with_constraints_on_outputs_are_tried_in_two_ways():
    asked = chain(5), chain(4), chain(2, state_bound=1.0), single_network_box(0)
    assert [ChainTree.suits(problem) for problem in asked] == [True, False, True, False]


def test_columns_that_link_networks_are_split_and_no_other_outputs():
    problem = chain(2)
    assert np.flatnonzero(problem.links_networks).tolist() == [2]
    ones = np.ones((1, 5))
    scores = split_scores(problem, ones, -ones, ones)
    assert (scores[0] > 0).tolist() == [True, True, True, True, False]


def test_inputs_that_cancel_are_not_answerable_for_the_gap():
    """The last ReLU sees x0 alone: x1 enters two active neurons and leaves in their difference."""
    weights = [[[1.0, 1.0], [0.0, 1.0]], [[1.0, -1.0]], [[1.0]]]
    relaxation = Relaxation(Network.from_layers(weights, [[9.0, 9.0], [0.0], [0.0]]), [[-1.0, -1.0]], [[1.0, 3.0]])
    np.testing.assert_allclose(relaxation.sensitivities[0], [[[1.0, 0.0], [1.0, 1.0]]])
    gaps = gap_by_input(relaxation, relaxation.substitute(np.array([[-1.0]]), None, keep_adjoints=True))
    np.testing.assert_allclose(gaps, [[0.25, 0.0]], atol=1e-12)


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 10**6))
def test_tightening_keeps_every_feasible_point(seed):
    rng = np.random.default_rng(seed)
    n, m = int(rng.integers(1, 6)), int(rng.integers(1, 5))
    integers = rng.random(n) < 0.4
    rows = np.round(rng.normal(size=(m, n)), 1) * (rng.random((m, n)) < 0.7)
    lower = np.where(rng.random(n) < 0.2, -np.inf, np.floor(rng.normal(size=n) - 1))
    upper = np.where(rng.random(n) < 0.2, np.inf, np.maximum(np.where(np.isinf(lower), -9, lower), 1.0))
    points = rng.uniform(np.maximum(lower, -5), np.minimum(upper, 5), size=(300, n))
    points = np.where(integers, np.round(points), points)
    activity = points @ rows.T
    row_lower, row_upper = np.quantile(activity, 0.2, axis=0), np.quantile(activity, 0.7, axis=0)
    row_lower[rng.random(m) < 0.3] = -np.inf
    row_upper[rng.random(m) < 0.3] = np.inf
    problem = Problem(np.zeros(n), lower, upper, sparse.csr_array(rows), row_lower, row_upper, integers)
    new_lower, new_upper, possible = RowTightening(problem)(lower[None], upper[None])
    feasible = points[problem.violation(points) <= 0]
    assert possible[0] or not len(feasible)
    if len(feasible):
        assert (feasible >= new_lower[0]).all()
        assert (feasible <= new_upper[0]).all()
    assert (new_lower[0] >= lower - 1e-9).all()
    assert (new_upper[0] <= upper + 1e-9).all()


def test_tightening_finds_what_a_row_leaves():
    problem = Problem(
        np.zeros(3), np.array([0.0, 0.0, -np.inf]), np.array([10.0, 10.0, np.inf]),
        sparse.csr_array([[1.0, 2.0, 0.0], [0.0, 1.0, -1.0]]), np.array([-np.inf, 0.0]), np.array([4.0, 0.0]),
        np.array([False, True, False]),
    )  # fmt: skip
    lower, upper, possible = RowTightening(problem)(problem.lower[None], problem.upper[None])
    np.testing.assert_allclose(upper, [[4.0, 2.0, 2.0]], atol=1e-6)
    np.testing.assert_allclose(lower, [[0.0, 0.0, 0.0]], atol=1e-6)
    assert possible.all()
    assert not RowTightening(problem)(np.array([[1.0, 2.0, 0.0]]), problem.upper[None])[2].any()


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10**6))
def test_the_queue_gives_the_smallest_bounds_first(seed):
    rng = np.random.default_rng(seed)
    queue, expected = NodeQueue(), []
    for _ in range(20):
        bounds = rng.normal(size=rng.integers(0, 30))
        marks = bounds[:, None]
        empty = np.zeros((len(bounds), 0))
        queue.add(Nodes(marks, marks, bounds, empty.astype(np.int8), empty, marks, bounds))
        expected = sorted([*expected, *bounds.tolist()])
        if expected and rng.random() < 0.7:
            count = int(rng.integers(1, 20))
            taken = queue.take(count)
            np.testing.assert_array_equal(taken.bound, expected[:count])
            np.testing.assert_array_equal(taken.lower[:, 0], taken.bound)
            expected = expected[count:]
        assert len(queue) == len(expected)
        assert queue.bound == (expected[0] if expected else np.inf)


@settings(max_examples=60, deadline=None)
@given(st.floats(-5, 5), st.floats(0, 4), st.floats(0, 1), st.sampled_from([0, 4, 8]))
def test_every_integer_of_a_cut_range_is_in_one_child(low, width, share, wide):
    """Cuts leave integer columns ranges with fractional ends."""
    high = low + width
    nodes = Nodes.whole(np.array([low]), np.array([high]), 0, np.zeros(1))
    point = np.array([[low + share * width]])
    children, _ = split_nodes(BoundedNodes(nodes, point, np.ones((1, 1)), point), np.array([True]), wide)
    for integer in range(-6, 11):
        holding = (children.lower[:, 0] <= integer) & (children.upper[:, 0] >= integer)
        assert holding.sum() == (low - 1e-6 <= integer <= high + 1e-6)
    assert (children.lower <= children.upper).all()


def test_an_incumbent_does_not_make_integer_solutions_vanish():
    """The incumbent's cutoff once cut an integer's range to fractional ends, and the split then lost one of them."""
    problem = random_problem("integer", 9)
    start = problem.incumbent(np.array([1.0, 0.6906116999268522, -2, -3, 0, 0, 1, -1.4959047315342135, 0, 0]))
    result = prove(problem, start=start, relative_gap=1e-7, absolute_gap=1e-7)
    assert start.is_feasible
    assert result.incumbent.objective == pytest.approx(exact_optimum(problem), abs=1e-6)


@pytest.mark.parametrize(("family", "seed"), [("window", 8), ("equality", 13)])
def test_no_optimum_is_beaten_by_violations(family, seed):
    """A point that misses a row by the tolerance may be better than the optimum by ten times that."""
    problem = random_problem(family, seed)
    result = prove(problem, relative_gap=1e-6, absolute_gap=1e-6)
    optimum = exact_optimum(problem)
    assert result.incumbent.violation <= 1e-7
    assert result.incumbent.objective >= optimum - 4e-7 * (1 + abs(optimum))
