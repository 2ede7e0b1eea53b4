"""Branch and bound over ReLUs: bounds that hold for any multipliers, their derivatives, and optima."""

from dataclasses import replace

import numpy as np
import pytest
from milp_oracle import exact_optimum
from random_models import random_network, random_problem
from scipy import sparse
from test_bounds import random_network as random_graph

from pyomo_relugrad.errors import ModelError
from pyomo_relugrad.network import Network
from pyomo_relugrad.network.bounds import Relaxation
from pyomo_relugrad.problem import EmbeddedNetwork, Problem
from pyomo_relugrad.proof import ReluTree, misfit
from pyomo_relugrad.proof.relus.ascent import Scales, _Moments, ascend
from pyomo_relugrad.proof.relus.branching import split_scores
from pyomo_relugrad.proof.relus.dual import Dual
from pyomo_relugrad.proof.relus.leaves import LeafProgram
from pyomo_relugrad.proof.relus.nodes import Multipliers
from pyomo_relugrad.run import Options, Stop, run_proof
from pyomo_relugrad.solve import Portfolio, Route, solve_exactly


def problem_around(network, seed: int, with_rows: bool = True) -> Problem:
    """Random costs; a row on inputs, one on outputs with both sides, a bound on an output, and a column apart."""
    rng = np.random.default_rng(seed)
    n, m = network.n_inputs, network.n_outputs
    values = network.value(rng.uniform(-1, 1, (500, n)))
    lower, upper = np.r_[-np.ones(n + 1), np.full(m, -np.inf)], np.r_[np.ones(n + 1), np.full(m, np.inf)]
    rows = np.zeros((2, n + 1 + m))
    rows[0, : n + 1], rows[1, -1] = rng.normal(size=n + 1), 1.0
    if with_rows:
        upper[n + 1] = np.quantile(values[:, 0], 0.9)
    sides = [-np.inf, np.quantile(values[:, -1], 0.3)], [0.5, np.quantile(values[:, -1], 0.6)]
    return Problem(
        np.r_[0.3 * rng.normal(size=n + 1), rng.normal(size=m)], lower, upper,
        rows=sparse.csr_array(rows) if with_rows else None,
        row_lower=np.array(sides[0]) if with_rows else None,
        row_upper=np.array(sides[1]) if with_rows else None,
        networks=(EmbeddedNetwork(network, np.arange(n), n + 1 + np.arange(m)),), constant=0.25,
    )  # fmt: skip


def dual_of(problem: Problem, dtype=np.float64) -> Dual:
    (embedded,) = problem.networks
    sides = (side[None, embedded.inputs] for side in (problem.lower, problem.upper))
    return Dual(problem, Relaxation(embedded.network, *sides), dtype)


def random_multipliers(dual: Dual, count: int, rng: np.random.Generator) -> Multipliers:
    gamma = rng.normal(size=(count, dual.n_rows)) * rng.choice([0.0, 1.0], (count, dual.n_rows))
    alpha, beta = rng.random((2, count, dual.n_relus))
    return Multipliers(alpha, beta * rng.choice([0.0, 0.5], beta.shape), gamma.clip(*dual.gamma_range))


def feasible_points(problem: Problem, count: int, rng: np.random.Generator) -> np.ndarray:
    """Points at random, and others on splits' boundaries and corners."""
    decisions = ~problem.is_output
    points = np.zeros((count, problem.n_columns))
    lower, upper = problem.lower[decisions], problem.upper[decisions]
    shares = rng.random((count, lower.size))
    shares[: count // 3] = np.round(shares[: count // 3])
    points[:, decisions] = lower + shares * (upper - lower)
    points = problem.propagate(points)
    return points[problem.violation(points) <= 1e-6]


@pytest.mark.parametrize("seed", range(6))
def test_bounds_hold_for_any_multipliers_and_splits(seed):
    """At all feasible points whose activations agree with the splits; they are close at some."""
    rng = np.random.default_rng(seed)
    network = random_graph(seed) if seed % 2 else random_network(rng, (3, 6, 5, 2))
    problem = problem_around(network, seed)
    dual = dual_of(problem)
    assert dual.n_rows == 3
    points = feasible_points(problem, 20_000, rng)
    objective = problem.objective(points)
    patterns = network.activation_pattern(points[:, problem.networks[0].inputs])
    checked = 0
    for _ in range(30):
        pattern = patterns[rng.integers(len(patterns))]
        splits = np.where(rng.random(pattern.size) < 0.4, np.where(pattern, 1, -1), 0).astype(np.int8)
        inside = ((patterns == (splits > 0)) | (splits == 0)).all(axis=1)
        bounds = dual(np.repeat(splits[None], 8, axis=0), random_multipliers(dual, 8, rng)).bound
        assert bounds.max() <= objective[inside].min() + 1e-12
        checked += int(inside.sum())
    assert checked > 1000


@pytest.mark.parametrize("seed", range(4))
def test_gradients_are_derivatives_of_the_bounds(seed):
    rng = np.random.default_rng(seed)
    network = random_graph(seed) if seed % 2 else random_network(rng, (3, 5, 4, 2))
    dual = dual_of(problem_around(network, seed))
    splits = rng.integers(-1, 2, (1, dual.states.size)).astype(np.int8)
    start = random_multipliers(dual, 1, rng)
    start = Multipliers(start.alpha * 0.8 + 0.1, start.beta + 0.1, start.gamma)
    gradient = dual(splits, start).gradient
    for kind in ("alpha", "beta", "gamma"):
        values, slopes = getattr(start, kind), getattr(gradient, kind)
        for place in np.flatnonzero(values[0]):
            moved = []
            for sign in (1, -1):
                changed = values.copy()
                changed[0, place] += sign * 1e-6
                moved.append(dual(splits, replace(start, **{kind: changed})).bound[0])
            assert (moved[0] - moved[1]) / 2e-6 == pytest.approx(slopes[0, place], abs=1e-5 * (1 + abs(moved[0])))


def test_ascent_betters_bounds_and_stops_at_the_target():
    problem = problem_around(random_network(np.random.default_rng(1), (4, 8, 6, 2)), 1)
    dual = dual_of(problem, np.float32)
    splits, start = np.zeros((1, dual.states.size), np.int8), dual.first_multipliers(1)
    scales = Scales(np.ones(dual.states.size), np.ones(dual.n_rows))
    first = float(dual(splits, start).bound[0])
    found = ascend(dual, splits, start, scales, np.inf, 60)
    assert first + 0.1 < found.bound[0] <= exact_optimum(problem) + 1e-4
    assert dual_of(problem)(splits, found.multipliers).bound[0] == pytest.approx(found.bound[0], abs=1e-4)
    early = ascend(dual, splits, start, scales, first + 0.05, 60)
    assert first + 0.05 <= early.bound[0] < found.bound[0]


def test_steps_have_the_length_of_the_sizes_and_end_at_the_limits():
    """Along a gradient that stays the same, Adam's averages are the gradient."""
    parts = [np.array([[0.5, 0.9]]), np.array([[3.0, 0.1]]), np.array([[0.1, -2.0]])]
    slopes = [np.array([[-2.0, 5.0]]), np.array([[7.0, -1.0]]), np.array([[-3.0, 0.0]])]
    current, moments = Multipliers(*parts), _Moments(Multipliers(*parts))
    sizes = Multipliers(np.ones(1), np.array([2.0, 10.0]), np.array([4.0, 1.0]))
    expected = ([0.3, 1.0], [3.4, 0.0], [0.0, -2.0]), ([0.1, 1.0], [3.8, 0.0], [-0.8, -2.0])
    for values in expected:
        current = moments.moved(current, Multipliers(*slopes), sizes, 0.2)
        for part, value in zip(current.parts, values, strict=True):
            np.testing.assert_allclose(part, [value], atol=1e-12)


def test_the_relu_with_the_largest_error_is_split():
    problem = problem_around(random_network(np.random.default_rng(2), (3, 6, 2)), 2, with_rows=False)
    dual = dual_of(problem)
    splits = np.zeros((1, 6), np.int8)
    splits[0, 1] = 1
    scores = split_scores(dual, splits, np.array([[-2.0, -9.0, 0.5, 0.0, -0.1, 1.0]]))
    assert scores[0, 1] == -1.0
    assert (scores[0, dual.states[0] != 0] == -1.0).all()
    assert scores[0, 0] == pytest.approx(2.0 * dual.upper_intercept[0, 0]) or dual.states[0, 0] != 0


def check_proof(problem: Problem) -> None:
    """A tree over ReLUs finds and proves the optimum, or that there is no point."""
    optimum = exact_optimum(problem)
    result = run_proof(ReluTree(problem, Options()), time_limit=60)
    assert result.stop is (Stop.OPTIMAL if np.isfinite(optimum) else Stop.INFEASIBLE)
    if np.isfinite(optimum):
        assert result.incumbent.objective == pytest.approx(optimum, abs=1e-4 * (1 + abs(optimum)))
        assert result.bound <= optimum + 1e-9


@pytest.mark.parametrize("seed", range(16))
def test_trees_find_and_prove_the_optimum(seed):
    rng = np.random.default_rng(seed)
    sizes = ((3, 6, 2), (3, 5, 4, 2), (4, 5, 4, 2), (10, 7, 2))[seed % 4]
    problem = problem_around(random_network(rng, sizes), seed, with_rows=seed >= 6)
    check_proof(problem)


@pytest.mark.parametrize("seed", range(12))
def test_integers_are_branched_on_in_the_same_tree(seed):
    """Inputs of several values and binaries; half of the problems have rows, one no point."""
    rng = np.random.default_rng(seed)
    problem = problem_around(random_network(rng, ((4, 6, 2), (5, 5, 4, 2))[seed % 2]), seed, with_rows=seed >= 6)
    integers = np.zeros(problem.n_columns, bool)
    integers[:3] = True
    lower, upper = problem.lower.copy(), problem.upper.copy()
    lower[:3], upper[:3] = (-2.0, -1.0, 0.0), (2.0, 1.0, 1.0)
    problem = replace(problem, integers=integers, lower=lower, upper=upper)
    check_proof(problem)


@pytest.mark.parametrize("n_integers", [0, 2])
def test_a_problem_without_a_point_is_seen_as_such(n_integers):
    problem = problem_around(random_network(np.random.default_rng(3), (3, 6, 2)), 3)
    problem = replace(problem, integers=np.arange(problem.n_columns) < n_integers)
    most = float(problem.propagate(np.random.default_rng(0).uniform(-1, 1, (500, 6)))[:, -1].max())
    beyond = replace(problem, row_lower=np.array([-np.inf, most + 3.0]), row_upper=np.array([0.5, most + 4.0]))
    assert run_proof(ReluTree(beyond, Options()), time_limit=60).stop is Stop.INFEASIBLE


def test_a_leaf_is_a_linear_program():
    """Over all patterns of a small network the best leaf is the optimum."""
    problem = problem_around(random_network(np.random.default_rng(4), (3, 4, 2)), 4)
    dual = dual_of(problem)
    leaf = LeafProgram(problem, dual)
    values = []
    for number in range(16):
        splits = np.array([1 if number >> place & 1 else -1 for place in range(4)], np.int8)
        if not (splits * dual.states < 0).any():
            value, point = leaf.solve(splits, dual.states[0], problem.lower, problem.upper)
            values.append(value)
            if point is not None:
                assert problem.incumbent(point).objective == pytest.approx(value, abs=1e-4)
    assert min(values) == pytest.approx(exact_optimum(problem), abs=1e-4)
    assert min(values) <= exact_optimum(problem) + 1e-9


@pytest.mark.parametrize("value", [-0.5, 0.0])
def test_a_leaf_whose_constant_relu_has_the_other_sign_is_empty(value):
    weights = [np.eye(1), np.array([[1.0]]), np.ones((1, 1))]
    network = Network.from_layers(weights, [np.zeros(1), np.array([value]), np.zeros(1)])
    sides = np.array([-1.0, -np.inf]), np.array([1.0, np.inf])
    embedded = EmbeddedNetwork(network, [0], [1])
    problem = Problem(cost=np.array([0.0, 1.0]), lower=sides[0], upper=sides[1], networks=[embedded])
    leaf, box = LeafProgram(problem, dual_of(problem)), (problem.lower, problem.upper)
    # Where the first ReLU is inactive, the second one's pre-activation is the value; zero has either sign.
    assert (leaf.solve(np.array([-1, 1], np.int8), np.zeros(2, np.int8), *box) == (np.inf, None)) == (value < 0)
    assert leaf.solve(np.array([-1, -1], np.int8), np.zeros(2, np.int8), *box)[0] == pytest.approx(0.0, abs=1e-6)


def test_problems_without_an_objective_are_decided():
    rng = np.random.default_rng(0)
    network = random_network(rng, (2, 4, 1))
    sides = np.array([-1.0, -1.0, -np.inf]), np.array([1.0, 1.0, np.inf])
    problem = Problem(
        cost=np.zeros(3), lower=sides[0], upper=sides[1], networks=[EmbeddedNetwork(network, [0, 1], [2])]
    )
    assert run_proof(ReluTree(problem, Options())).stop is Stop.OPTIMAL


def test_what_does_not_fit_is_named():
    problem = problem_around(random_network(np.random.default_rng(0), (2, 4, 1)), 0)
    named = replace(problem, column_names=("x", "y", "z", "out"))
    assert misfit(problem) == ""
    cases = (
        (replace(named, lower=np.array([-1, -np.inf, -1, -np.inf])), "variable 'y' has no finite bounds"),
        (replace(named, quadratic=sparse.csr_array(np.eye(4))), "its objective is quadratic"),
        (random_problem("chained", 0), "it has 2 networks"),
        (problem_around(random_network(np.random.default_rng(0), (2, 1)), 0), "its network has no ReLUs"),
    )
    for other, reason in cases:
        with pytest.raises(ModelError, match=f"branch and bound over ReLUs is not for this problem: {reason}"):
            ReluTree(other, Options())


def test_an_exact_solve_may_take_it_and_takes_it_for_wide_inputs():
    problem = problem_around(random_network(np.random.default_rng(7), (3, 6, 2)), 7)
    result = solve_exactly(problem, portfolio=Portfolio(routes=(Route.RELUS,)), time_limit=60)
    assert result.stop is Stop.OPTIMAL
    assert result.routes == (Route.RELUS,)
    assert result.incumbent.objective == pytest.approx(exact_optimum(problem), abs=1e-3)
    wide = problem_around(random_network(np.random.default_rng(0), (Portfolio().few_inputs + 1, 4, 1)), 0)
    assert Portfolio().routes_for(wide) == (Route.MILP, Route.RELUS)


@pytest.mark.parametrize("distance", [0.3, 1e-3])
def test_multipliers_of_rows_alone_prove_that_there_is_no_point(distance):
    """The output is to be below its minimum: nodes are excluded long before all ReLUs are decided."""
    problem = problem_around(random_network(np.random.default_rng(1), (3, 8, 8, 1)), 1, with_rows=False)
    problem = replace(problem, cost=np.r_[np.zeros(4), 1.0])
    demand = replace(problem, upper=np.r_[problem.upper[:4], exact_optimum(problem) - problem.constant - distance])
    result = run_proof(ReluTree(demand, Options()), time_limit=60)
    assert result.stop is Stop.INFEASIBLE
    assert result.nodes <= 200


def at_a_point(rng: np.random.Generator, bias: float) -> tuple[Problem, Dual, float]:
    """A problem of one point, where pre-activations of the first layer are zero but for rounding; and its value."""
    x = rng.uniform(-1, 1, 3)
    first, second = rng.normal(size=(6, 3)), rng.normal(size=(2, 6))
    network = Network.from_layers([first, second], [-first @ x + (rng.random(6) < 0.5), np.full(2, bias)])
    problem = problem_around(network, 0, with_rows=False)
    lower, upper = problem.lower.copy(), problem.upper.copy()
    lower[:4] = upper[:4] = np.append(x, 0.5)
    problem = replace(problem, lower=lower, upper=upper)
    return problem, dual_of(problem), problem.objective(problem.propagate(np.r_[x, 0.5, 0, 0][None]))[0]


@pytest.mark.parametrize("bias", [0.0, 1e6])
def test_the_bound_at_a_point_is_below_its_value_by_rounding_alone(bias):
    rng = np.random.default_rng(5)
    for _ in range(40):
        problem, dual, value = at_a_point(rng, bias)
        multipliers = dual.first_multipliers(1)
        bound = dual(np.zeros((1, 6), np.int8), multipliers).bound[0]
        assert value - 1e-13 * (1 + bias) <= bound <= value
        preactivations = problem.networks[0].network.preactivations(problem.lower[None, :3])[0]
        splits = np.where(preactivations > 0, 1, -1).astype(np.int8)
        heavy = replace(multipliers, beta=np.where(np.abs(preactivations) < 0.5, 1e9, 0.0))
        assert dual(splits, heavy).bound[0] <= value
