"""Descents over chains of networks whose kinks are rounded off, and the quadratic programs of their steps."""

from dataclasses import replace

import numpy as np
import pytest
from random_networks import random_network
from scipy import sparse

from pyomo_relugrad.network import Network
from pyomo_relugrad.problem import EmbeddedNetwork, Problem
from pyomo_relugrad.problem.presolve import presolve
from pyomo_relugrad.programs import LinearProgram, dense_quadratic, dense_quadratic_minimum, priced_quadratic_minimum
from pyomo_relugrad.run import Budget, Past, SearchContext
from pyomo_relugrad.search import Auto, SequentialLp, SmoothingDescent
from pyomo_relugrad.search.sequential.merit import Merit
from pyomo_relugrad.search.smoothing.chain import ROUNDED_RELU, Chain, rounded
from pyomo_relugrad.search.smoothing.descent import ChainDescent
from pyomo_relugrad.search.smoothing.prices import Prices
from pyomo_relugrad.search.smoothing.search import is_chain
from pyomo_relugrad.search.smoothing.tails import Tails
from pyomo_relugrad.search.soft_rows import SoftRows
from pyomo_relugrad.solve import search

STEPS = 5


def horizon(seed: int = 0, top: float = 1.0) -> Problem:
    """A state in two numbers that follows a target: ``x[k + 1] = network(x[k], u[k])``, the state at most `top`."""
    random, network = np.random.default_rng(seed), random_network([3, 6, 2], seed)
    n = 3 * STEPS + 2
    state = [np.array([3 * k, 3 * k + 1]) for k in range(STEPS + 1)]
    control = [3 * k + 2 for k in range(STEPS)]
    weights, lower, upper = np.zeros(n), np.full(n, -np.inf), np.full(n, np.inf)
    weights[np.concatenate(state)], weights[control] = 1.0, 0.1
    lower[control], upper[control] = -1.0, 1.0
    lower[:2] = upper[:2] = 0.3
    upper[np.concatenate(state[1:])] = top
    ramp = np.zeros((STEPS - 1, n))
    for k in range(STEPS - 1):
        ramp[k, [control[k + 1], control[k]]] = 1.0, -1.0
    networks = tuple(EmbeddedNetwork(network, [*state[k], control[k]], state[k + 1]) for k in range(STEPS))
    sides = np.full(STEPS - 1, 0.8)
    target, quadratic = random.uniform(-1, 1, n) * weights, sparse.csr_array(sparse.diags_array(weights))
    return Problem(-target, lower, upper, ramp, -sides, sides, networks=networks, quadratic=quadratic)


def parts(problem: Problem) -> tuple[Problem, Chain, np.ndarray]:
    """The problem presolved, its chain, and a point."""
    reduced = presolve(problem).problem
    moving = np.flatnonzero(~reduced.is_output & (reduced.lower < reduced.upper))
    v = np.where(np.isfinite(reduced.lower), reduced.lower, 0.0)
    v[moving] = np.random.default_rng(1).uniform(-0.3, 0.3, moving.size)
    samples = v + np.where(np.isin(np.arange(v.size), moving), 0.1, 0.0) * np.random.default_rng(0).standard_normal(
        (8, v.size)
    )
    return reduced, Chain.of(reduced, moving, reduced.propagate(samples)), reduced.propagate(v[None])[0]


@pytest.mark.parametrize("guesses", [dense_quadratic.MAX_GUESSES, 0])
@pytest.mark.parametrize("seed", range(5))
def test_a_quadratic_program_has_the_optimum_of_highs(seed, guesses, monkeypatch):
    monkeypatch.setattr(dense_quadratic, "MAX_GUESSES", guesses)  # without any, by least squares
    random = np.random.default_rng(seed)
    root, gradient, rows = (random.standard_normal(shape) for shape in ((6, 6), 6, (9, 6)))
    hessian, upper = root.T @ root + 0.1 * np.eye(6), random.uniform(0.1, 1, 9)
    free = np.full(6, np.inf)
    program = LinearProgram(
        gradient, -free, free, rows, np.full(9, -np.inf), upper, quadratic=sparse.csr_array(hessian)
    )
    x = dense_quadratic_minimum(hessian, gradient, rows, upper)
    assert (rows @ x <= upper + 1e-9).all()
    assert gradient @ x + 0.5 * x @ hessian @ x == pytest.approx(program.solve().objective, abs=1e-6)


def test_a_quadratic_program_without_a_point_or_a_minimum_has_none():
    sides = np.array([[1.0], [-1.0]])
    assert dense_quadratic_minimum(np.eye(1), np.zeros(1), sides, np.array([-1.0, -1.0])) is None
    assert dense_quadratic_minimum(-np.eye(1), np.zeros(1), sides, np.ones(2)) is None
    assert dense_quadratic_minimum(np.eye(1), np.array([np.nan]), sides, np.ones(2)) is None


def test_sides_that_were_paid_in_another_program_are_active_where_they_have_no_price():
    prices, multipliers = np.array([np.inf, 3.0]), np.array([np.inf, 3.0])
    for _ in range(2):
        minimum = priced_quadratic_minimum(np.eye(2), -np.ones(2), np.eye(2), np.full(2, 0.5), prices, multipliers)
        np.testing.assert_allclose(minimum.point, 0.5)
        multipliers = minimum.multipliers
    np.testing.assert_allclose(multipliers, 0.5)


def test_a_priced_program_without_rows_has_its_minimum():
    minimum = priced_quadratic_minimum(2 * np.eye(2), -np.ones(2), np.zeros((0, 2)), *np.zeros((3, 0)))
    np.testing.assert_allclose(minimum.point, 0.5)


def test_a_rounded_network_is_the_network_far_from_its_kinks():
    network, X = random_network([3, 6, 4, 2], 0), np.random.default_rng(0).uniform(-1, 1, (50, 3))
    narrow, wide = (rounded(network, [np.full(6, width), np.full(4, width)]) for width in (1e-9, 0.5))
    np.testing.assert_allclose(narrow.value(X), network.value(X), atol=1e-8)
    assert np.abs(wide.value(X) - network.value(X)).max() > 1e-3
    z = np.linspace(-2, 2, 9)
    np.testing.assert_allclose(ROUNDED_RELU.value(z), [0, 0, 0, 0.0625, 0.25, 0.5625, 1, 1.5, 2])


@pytest.mark.parametrize("share", [0.0, 0.5])
def test_derivatives_along_the_chain_are_those_of_differences(share):
    problem, chain, v = parts(horizon())
    chain = chain.rounded(share) if share else chain
    (v,) = chain.propagate(v[None])
    models, length = chain.models(v[None], np.zeros((1, v.size))), 1e-6
    for column, moving in enumerate(chain.moving):
        moved = np.repeat(v[None], 2, axis=0)
        moved[:, moving] += [-length, length]
        moved = chain.propagate(moved)
        np.testing.assert_allclose(np.diff(moved, axis=0)[0] / (2 * length), models.slopes[0, :, column], atol=1e-5)
        change = np.diff(problem.objective(moved))[0] / (2 * length)
        assert change == pytest.approx(models.gradients[0, column], abs=1e-5)


def test_points_descend_side_by_side_as_each_does_alone():
    problem, chain, v = parts(horizon(top=0.6))
    samples = problem.propagate(v + 0.1 * np.random.default_rng(0).standard_normal((8, v.size)))
    chain = chain.rounded(0.3)
    V = np.clip(samples[:3], problem.lower, problem.upper)
    merit = Merit.scaled_to(problem, samples, 10.0)
    prices = Prices.of_problem(problem, merit, SoftRows(problem))
    descent = ChainDescent(problem, chain.moving, prices, Budget(), np.full(STEPS, 2.0))
    *_, together = descent.run(chain, V, 4)
    for start, end in zip(V, together, strict=True):
        *_, (alone,) = descent.run(chain, start[None], 4)
        np.testing.assert_allclose(alone, end, atol=1e-9)
    assert (merit.of(problem, problem.propagate(together)) < merit.of(problem, problem.propagate(V))).all()


@pytest.mark.parametrize("length", [1e-4, 1e-3, np.inf])
def test_a_first_step_has_the_length_that_is_wanted_and_later_ones_may_be_longer(length):
    problem, chain, v = parts(horizon())
    merit = Merit.scaled_to(problem, problem.propagate(v[None]), 10.0)
    prices = Prices.of_problem(problem, merit, SoftRows(problem))
    descent = ChainDescent(problem, chain.moving, prices, Budget(), np.full(STEPS, 2.0))
    plans = [v, *(V[0] for V in descent.run(chain, v[None], 4, length))]
    taken = [np.sqrt(np.mean(np.square(step / 2.0))) for step in np.diff(np.array(plans)[:, chain.moving], axis=0)]
    if np.isfinite(length):
        assert length / 2 <= taken[0] <= 1.6 * length
        assert max(taken) > 3 * taken[0]
    else:
        assert taken[0] > 0.01


def test_a_descent_goes_on_from_the_multipliers_of_where_the_last_one_ended(monkeypatch):
    problem, chain, v = parts(horizon(top=0.0))
    prices = Prices.of_problem(problem, Merit.scaled_to(problem, v[None], 10.0), SoftRows(problem))
    budget, begun = Budget(), list[float]()
    descent = ChainDescent(problem, chain.moving, prices, budget, np.full(STEPS, 2.0))

    def noted(*program, **options):
        begun.append(program[-1].max())
        return priced_quadratic_minimum(*program, **options)

    monkeypatch.setattr("pyomo_relugrad.search.smoothing.descent.priced_quadratic_minimum", noted)
    V = np.stack([v, v + 0.1 * np.isin(np.arange(v.size), chain.moving)])
    *_, V = descent.run(chain, V, 4, 0.1)
    begun.clear()
    V = np.stack([v, V[1]])
    list(descent.run(chain, V, 1, 0.1))
    assert begun[0] == 0.0
    assert begun[1] > 0.0


def test_no_program_of_a_step_begins_when_the_time_is_over(monkeypatch):
    problem, chain, v = parts(horizon())
    prices = Prices.of_problem(problem, Merit.scaled_to(problem, v[None], 10.0), SoftRows(problem))
    budget, solved = Budget(), list[float]()
    descent = ChainDescent(problem, chain.moving, prices, budget, np.full(STEPS, 2.0))

    def last(*program, **options):
        solved.append(budget.time_limit)
        budget.time_limit = 0.0
        return priced_quadratic_minimum(*program, **options)

    monkeypatch.setattr("pyomo_relugrad.search.smoothing.descent.priced_quadratic_minimum", last)
    list(descent.run(chain, np.repeat(v[None], 8, axis=0), 4, 0.1))
    assert len(solved) == 1


def test_a_chain_fits_the_same_networks_between_the_same_columns():
    problem, chain, _ = parts(horizon())
    assert chain.fits(replace(problem, cost=problem.cost + 1), chain.moving)
    assert not chain.fits(problem, chain.moving[1:])
    assert not chain.fits(parts(horizon(seed=1))[0], chain.moving)
    assert not chain.fits(replace(problem, networks=problem.networks[:-1]), chain.moving)
    other = replace(problem.networks[0], inputs=problem.networks[0].inputs[::-1])
    assert not chain.fits(replace(problem, networks=(other, *problem.networks[1:])), chain.moving)


def test_other_tails_are_the_plan_up_to_some_link():
    problem, chain, v = parts(horizon())
    tails, random = Tails(problem, chain.moving, problem.lower, problem.upper), np.random.default_rng(0)
    plan = v[chain.moving]
    for V in (tails.moved(v, 200, random), tails.levelled(v, 200, random)):
        others = np.delete(V, chain.moving, axis=1)
        np.testing.assert_array_equal(others, np.repeat(np.delete(v, chain.moving)[None], 200, axis=0))
        plans = V[:, chain.moving]
        assert ((plans >= -1) & (plans <= 1)).all()
        is_kept = plans == plan
        begins = np.where(is_kept.all(axis=1), STEPS, is_kept.argmin(axis=1))
        assert set(begins.tolist()) >= set(range(STEPS))
    sooner = [[*plan[:begin], *plan[begin + 1 :], plan[-1]] for begin in range(STEPS)]
    found = {tuple(row) for row in tails.moved(v, 200, random)[:, chain.moving]}
    assert found >= {tuple(row) for row in sooner}


def test_the_hessian_has_the_curvature_of_valleys():
    """Of ``|x|``, written with two ReLUs and twice handed on: rounded off within 1, it is ``(x^2 + 1) / 2`` there."""
    absolute, onward = ([[1.0], [-1.0]], [[1.0, 1.0]]), ([[1.0], [-1.0]], [[1.0, -1.0]])
    problem = absolute_value(absolute, onward)
    chain = Chain.of(problem, np.array([0]), np.repeat([[-1.0], [1.0]], 4, axis=1)).rounded(1.0)
    (v,) = chain.propagate(np.zeros((1, 4)))
    assert chain.models(v[None], np.zeros((1, v.size))).hessians[0, 0, 0] == pytest.approx(1.0)


def test_sharp_kinks_near_a_point_are_sides_with_what_their_valleys_cost():
    """Of ``|x|`` at 0.1: less than that to the left it falls, further on it rises, also where a side pays for it."""
    layers = ([[1.0], [-1.0]], [[1.0, 1.0]]), ([[1.0], [-1.0]], [[1.0, -1.0]])
    for cost, pull in ((1.0, 0.0), (0.25, 0.75)):
        problem = replace(absolute_value(*layers), cost=cost * np.eye(4)[3])
        chain = Chain.of(problem, np.array([0]), np.repeat([[-1.0], [1.0]], 4, axis=1))
        (v,) = chain.propagate(np.array([[1e-12, 0.0, 0.0, 0.0]]))
        (kinks,) = chain.models(v[None], pull * np.eye(4)[None, 3]).kinks
        first = kinks.numbers < 2
        np.testing.assert_allclose(kinks.normals[first], [[-1.0], [-1.0]])
        np.testing.assert_allclose(kinks.distances, 1e-12)
        np.testing.assert_allclose(kinks.prices[first], 1.0)


def test_a_descent_on_sharp_kinks_ends_at_a_vertex_of_them():
    """The least of ``|x| - 0.4 x + |y - 0.3|`` and links that hand it on, from far away, in a few steps."""
    bend = Network.from_layers(
        [[[1.0, 0.0], [-1.0, 0.0], [0.0, 1.0], [0.0, -1.0]], [[0.6, 1.4, 1.0, 1.0]]], [[0.0, 0.0, -0.3, 0.3], [0.0]]
    )
    onward = Network.from_layers([[[1.0], [-1.0]], [[1.0, -1.0]]], [np.zeros(2), np.zeros(1)])
    networks = EmbeddedNetwork(bend, [0, 1], [2]), EmbeddedNetwork(onward, [2], [3]), EmbeddedNetwork(onward, [3], [4])
    side = np.array([2.0, 2.0, np.inf, np.inf, np.inf])
    problem = Problem(np.eye(5)[4], -side, side, networks=networks)
    start = problem.propagate(np.array([[0.9, -0.8, 0.0, 0.0, 0.0], [-0.9, 0.8, 0.0, 0.0, 0.0]]))
    chain = Chain.of(problem, np.arange(2), start)
    prices = Prices.of_problem(problem, Merit.scaled_to(problem, start, 10.0), SoftRows(problem))
    *_, ends = ChainDescent(problem, chain.moving, prices, Budget(), np.full(2, 4.0)).run(chain, start, 12, 0.1)
    np.testing.assert_allclose(ends[:, :2], [[0.0, 0.3]] * 2, atol=1e-9)


def absolute_value(*layers: tuple[list[list[float]], list[list[float]]]) -> Problem:
    """Minimize the end of a chain of three networks, |x| and two identities, over an interval."""
    first, onward = (Network.from_layers(weights, [np.zeros(2), np.zeros(1)]) for weights in layers)
    networks = tuple(EmbeddedNetwork(first if k == 0 else onward, [k], [k + 1]) for k in range(3))
    side = np.array([2.0, np.inf, np.inf, np.inf])
    return Problem(np.eye(4)[3], -side, side, networks=networks)


@pytest.mark.parametrize("seed", range(2))
def test_a_plan_is_feasible_and_as_good_as_that_of_the_sequential_method(seed):
    problem = horizon(seed, top=0.6)
    found = search(problem, SmoothingDescent(patience=2), seed=seed, iteration_limit=120).incumbent
    other = search(problem, SequentialLp(), seed=seed, iteration_limit=150).incumbent
    assert found.is_feasible
    assert found.violation <= 1e-7
    assert found.objective <= other.objective + 1e-3 * (1 + abs(other.objective))


def two_valleys() -> Problem:
    """Go left or right in six steps of at most a half, where the right is three times as good."""
    step = Network.from_layers([[[1.0, 1.0], [-1.0, -1.0]], [[1.0, -1.0]]], [np.zeros(2), np.zeros(1)])
    reward = Network.from_layers([[[1.0], [-1.0]], [[-3.0, -1.0]]], [[-1.0, -1.0], [0.0]])
    n, controls = 14, [2 * k + 1 for k in range(6)]
    networks = [EmbeddedNetwork(step, [2 * k, 2 * k + 1], [2 * k + 2]) for k in range(6)]
    lower, upper = np.full(n, -np.inf), np.full(n, np.inf)
    lower[0] = upper[0] = 0.0
    lower[controls], upper[controls] = -0.5, 0.5
    effort = sparse.csr_array(sparse.diags_array(0.01 * np.isin(np.arange(n), controls)))
    networks = (*networks, EmbeddedNetwork(reward, [12], [13]))
    return Problem(np.eye(n)[13], lower, upper, networks=networks, quadratic=effort)


def test_a_plan_of_the_same_model_with_other_numbers_is_left_for_a_better_valley():
    problem = presolve(two_valleys()).problem
    left = problem.incumbent(np.where(np.isfinite(problem.lower), problem.lower, 0.0))
    assert left.objective == pytest.approx(-2.0 + 6 * 0.00125)
    context = SearchContext(Budget(iteration_limit=30), np.random.default_rng(0), known=(left,), past=Past(solves=2))
    found = min(point.objective for point in SmoothingDescent().run(problem, context) if point is not None)
    assert found == pytest.approx(-6.0 + 6 * 0.00125)
    assert 0.0 in context.past.chains


def test_other_problems_are_left_to_other_methods():
    problem = presolve(horizon()).problem
    assert is_chain(problem)
    single = Problem(np.eye(4)[3], *np.array([[-1.0] * 3 + [-np.inf], [1.0] * 3 + [np.inf]]), networks=())
    assert not is_chain(single)
    assert search(single, SmoothingDescent()).points == 0


def test_where_the_time_is_over_no_other_method_is_set_up(monkeypatch):
    monkeypatch.setattr(Auto, "_by_shape", lambda *_: pytest.fail("it would end at once, and late"))
    problem = presolve(horizon()).problem
    budget, past = Budget(iteration_limit=3), Past(barren={"dynamic-programming"})
    for _ in Auto().run(problem, SearchContext(budget, np.random.default_rng(0), past=past)):
        pass
    assert budget.is_exhausted()


def test_a_plan_that_misses_limits_of_states_is_moved_onto_them():
    problem, chain, v = parts(horizon())
    upper = np.where(problem.is_output, v - 1e-3, problem.upper)
    tight = replace(problem, upper=np.where(np.arange(v.size) % 3 == 0, upper, problem.upper))
    prices = Prices.of_problem(tight, Merit.scaled_to(tight, v[None], 10.0), SoftRows(tight))
    descent = ChainDescent(tight, chain.moving, prices, Budget(), np.full(STEPS, 2.0))
    assert tight.violation(v[None])[0] >= 0.9e-3
    repaired = descent.repaired(chain, v)
    assert tight.violation(repaired[None])[0] <= 1e-6
    assert np.abs(repaired - v).max() < 0.1


def test_slacks_of_soft_limits_are_not_decided_but_follow():
    """A price on states above 0.2 instead of a limit: the plan is as good as one that decides the slacks, too."""
    hard = horizon()
    n, states = hard.n_columns, np.concatenate([each.outputs for each in hard.networks])
    count = states.size
    picks = sparse.csr_array((np.ones(count), (np.arange(count), states)), shape=(count, n))
    rows = sparse.block_array([[hard.rows, None], [picks, -sparse.eye_array(count)]], format="csr")
    soft = Problem(
        np.append(hard.cost, np.full(count, 2.0)),
        np.append(hard.lower, np.zeros(count)),
        np.append(hard.upper, np.full(count, np.inf)),
        rows,
        np.append(hard.row_lower, np.full(count, -np.inf)),
        np.append(hard.row_upper, np.full(count, 0.2)),
        networks=hard.networks,
        quadratic=sparse.block_diag([hard.quadratic, sparse.csr_array((count, count))], format="csr"),
    )
    assert SoftRows(presolve(soft).problem).columns.size >= count - 2
    found = search(soft, SmoothingDescent(patience=1), iteration_limit=35).incumbent
    other = search(soft, SequentialLp(), iteration_limit=15).incumbent
    assert found.is_feasible
    assert found.objective <= other.objective + 1e-3
