import inspect
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from random_networks import random_network
from scipy import sparse

from pyomo_relugrad import maximize, minimize
from pyomo_relugrad.errors import ModelError
from pyomo_relugrad.network import Layer, Network
from pyomo_relugrad.problem import EmbeddedNetwork, Problem
from pyomo_relugrad.programs import LinearProgram
from pyomo_relugrad.run import Budget, SearchContext, Stop
from pyomo_relugrad.search import METHODS, Auto, LpDescent, ProjectedDescent
from pyomo_relugrad.solve import array_problem, search

LITERATURE = ["ppga", "ppga-lr", "lp-walk", "relaxing-walk", "sampling", "milp-walk", "pruned"]
ALL = ["auto", *LITERATURE]
#: Methods that follow one of several equally good solutions of a MILP or a degenerate LP: rounding decides which.
AMONG_EQUALS = ["relaxing-walk", "milp-walk", "pruned"]
INF = np.inf


def rescaled(network, seed):
    """The same function up to rounding: hidden neurons scaled by factors between 0.01 and 100."""
    random = np.random.default_rng(seed)
    scales, layers = [np.ones(network.n_inputs)], []
    for index, layer in enumerate(network.layers):
        last = index == len(network.layers) - 1
        factor = np.ones(layer.width) if last else 10.0 ** random.uniform(-2, 2, layer.width)
        weights = tuple(
            w / scales[source] * factor[:, None] for source, w in zip(layer.sources, layer.weights, strict=True)
        )
        layers.append(Layer(layer.sources, weights, layer.bias * factor))
        scales.append(factor)
    return Network(network.n_inputs, tuple(layers))


def best_on_grid(network, lower, upper, rows=None, side=INF, points=801):
    axes = [np.linspace(a, b, points) for a, b in zip(lower, upper, strict=True)]
    grid = np.stack(np.meshgrid(*axes), axis=-1).reshape(-1, len(lower))
    if rows is not None:
        grid = grid[grid @ rows <= side]
    return float(network.value(grid).max())


@pytest.mark.parametrize("method", ALL)
def test_every_method_finds_the_maximum_over_a_box(method):
    network = random_network([2, 12, 8, 1], seed=3)
    best = maximize(network, lower=-1, upper=1, method=method, iteration_limit=200, seed=1)
    assert best.value >= best_on_grid(network, [-1, -1], [1, 1]) - 1e-4
    assert best.value == pytest.approx(float(network.value(best.x[None, :])[0, 0]), abs=1e-12)


@pytest.mark.parametrize("method", ALL)
def test_every_method_respects_a_row(method):
    network = random_network([2, 12, 8, 1], seed=5)
    row = np.array([1.0, 2.0])
    best = maximize(
        network, lower=-1, upper=1, A=row[None, :], row_upper=-0.5, method=method, iteration_limit=200, seed=1
    )
    assert row @ best.x <= -0.5 + 1e-6
    assert best.value >= best_on_grid(network, [-1, -1], [1, 1], row, -0.5) - 2e-3


@pytest.mark.parametrize("method", ALL)
def test_every_method_handles_polytopes_with_equations(method):
    network = random_network([4, 10, 10, 1], seed=6)
    A = np.array([[1.0, 1.0, 1.0, 1.0], [1.0, -1.0, 0.0, 0.5], [0.0, 1.0, 2.0, 0.0]])
    best = maximize(
        network, lower=0, upper=1, A=A, row_lower=[2.0, -INF, -INF], row_upper=[2.0, 0.1, 1.5],
        method=method, iteration_limit=100,
    )  # fmt: skip
    activity = A @ best.x
    assert activity[0] == pytest.approx(2.0, abs=1e-6)
    assert (activity[1:] <= np.array([0.1, 1.5]) + 1e-6).all()


def values_found(network, method, seed, iterations):
    result = maximize(
        network, lower=0, upper=1, method=method, iteration_limit=iterations, time_limit=INF, seed=seed
    ).result
    return [value for _, value in result.history]


@pytest.mark.parametrize("method", [method for method in ALL if method not in AMONG_EQUALS])
@settings(max_examples=4, deadline=None)
@given(seed=st.integers(0, 10**6))
def test_rescaling_neurons_changes_nothing_that_a_method_finds(method, seed):
    network = random_network([6, 12, 10, 1], seed)
    plain, other = (values_found(net, method, seed, 40) for net in (network, rescaled(network, seed)))
    assert plain == pytest.approx(other, rel=1e-9, abs=1e-9)


@pytest.mark.parametrize("method", AMONG_EQUALS)
@settings(max_examples=2, deadline=None)
@given(seed=st.integers(0, 10**6))
@example(seed=773)  # a walk ends on a facet that is the side of a flat region
def test_rescaling_neurons_changes_no_answer(method, seed):
    network = random_network([2, 5, 3, 1], seed)
    plain, other = (values_found(net, method, seed, 50)[-1] for net in (network, rescaled(network, seed)))
    assert plain == pytest.approx(other, rel=1e-9, abs=1e-9)


@pytest.mark.parametrize("method", ALL)
def test_a_seed_always_gives_the_same_answer(method):
    network = random_network([5, 16, 1], seed=8)
    first, second = (maximize(network, lower=0, upper=1, method=method, iteration_limit=60, seed=4) for _ in range(2))
    assert (first.x == second.x).all()
    assert first.result.points == second.result.points


def test_auto_descends_on_small_polytopes_by_projections_and_by_linear_programs_in_turn(monkeypatch):
    def steps(count):
        points = [SimpleNamespace(number=10 * count + step, is_feasible=False) for step in range(count)]
        return lambda method, problem, domain, context: iter(points)

    monkeypatch.setattr(LpDescent, "search", steps(2))
    monkeypatch.setattr(ProjectedDescent, "search", steps(4))
    problem = array_problem(random_network([3, 4, 1], 0), None, 0.0, 1.0, rows=(np.eye(3)[:2], -INF, 0.5))
    yielded = list(Auto().run(problem, SearchContext(Budget(), np.random.default_rng(0))))
    assert [point.number for point in yielded[-6:]] == [20, 40, 21, 41, 42, 43]


@pytest.mark.parametrize("method", ALL)
def test_the_time_limit_is_held(method):
    network = random_network([60, 80, 80, 1], seed=9)
    result = maximize(network, lower=0, upper=1, method=method, time_limit=0.2).result
    assert result.stop in (Stop.TIME_LIMIT, Stop.FINISHED)
    assert result.incumbent is not None


@pytest.mark.parametrize("method", ALL)
def test_every_linear_program_is_given_what_is_left_of_the_time(method, monkeypatch):
    limits, solve = [], LinearProgram.solve

    def recorded(program, time_limit=INF):
        solution = solve(program, time_limit)
        limits.append(program._highs.getOptionValue("time_limit")[1] - program._highs.getRunTime())
        return solution

    monkeypatch.setattr(LinearProgram, "solve", recorded)
    random = np.random.default_rng(0)
    maximize(
        random_network([6, 10, 8, 1], 11), lower=0, upper=1, A=random.random((3, 6)), row_upper=1.5,
        method=method, time_limit=1e6, iteration_limit=30,
    )  # fmt: skip
    assert limits
    assert max(limits) <= 1e6


@pytest.mark.parametrize("method", ALL)
def test_an_interrupt_returns_the_best_so_far(method):
    def interrupt(progress):
        if progress.incumbent is not None and progress.iterations >= 3:
            raise KeyboardInterrupt

    best = maximize(random_network([5, 16, 1], 10), lower=0, upper=1, method=method, callback=interrupt)
    assert best.result.stop is Stop.INTERRUPTED


@pytest.mark.parametrize("method", ALL)
def test_rows_that_contradict_each_other_are_reported(method):
    problem = array_problem(random_network([2, 4, 1], 0), None, 0, 1, rows=(np.ones((1, 2)), 3.0, INF))
    assert search(problem, method, iteration_limit=50).stop is Stop.INFEASIBLE


@pytest.mark.parametrize("method", LITERATURE)
def test_missing_bounds_are_named(method):
    with pytest.raises(ModelError, match="finite bounds on the decision variables, but column 1 has none"):
        maximize(random_network([2, 4, 1], 0), lower=[0, 0], upper=[1, INF], method=method, iteration_limit=5)


@pytest.mark.parametrize("method", LITERATURE)
def test_methods_refuse_rows_on_outputs(method):
    network = random_network([1, 4, 1], 0)
    problem = Problem(
        cost=np.array([0.0, 1.0]),
        lower=np.array([0.0, network.value([[0.5]])[0, 0]]),
        upper=np.array([1.0, INF]),
        networks=(EmbeddedNetwork(network, [0], [1]),),
    )
    with pytest.raises(ModelError, match="use method 'auto'"):
        search(problem, method, iteration_limit=5)


@pytest.mark.parametrize("method", ALL)
def test_chains_repetitions_and_costs_on_inputs(method):
    inner, outer = random_network([2, 8, 2], 1), random_network([3, 8, 1], 2)
    problem = Problem(  # columns: x0 x1 x2 | inner(x0, x1), inner(x1, x2) | outer(inner..., x0)
        cost=np.array([0.3, -0.2, 0.0, 0, 0, 0, 0, -1.0]),
        lower=np.concatenate([np.full(3, -1.0), np.full(5, -INF)]),
        upper=np.concatenate([np.full(3, 1.0), np.full(5, INF)]),
        networks=(
            EmbeddedNetwork(inner, [0, 1], [3, 4]),
            EmbeddedNetwork(inner, [1, 2], [5, 6]),
            EmbeddedNetwork(outer, [3, 6, 0], [7]),
        ),
    )
    axes = np.linspace(-1, 1, 61)
    V = np.zeros((61**3, 8))
    V[:, :3] = np.stack(np.meshgrid(axes, axes, axes), axis=-1).reshape(-1, 3)
    grid = float(problem.objective(problem.propagate(V)).min())
    result = search(problem, method, iteration_limit=150, seed=2)
    assert result.incumbent.is_feasible
    assert result.incumbent.objective <= grid + 5e-3


def test_a_network_without_hidden_layers_beside_another_one_over_a_box():
    rng = np.random.default_rng(0)
    linear, other = random_network([2, 1], seed=1), random_network([2, 8, 1], seed=2)
    sides = np.array([-1.0, -1.0, -INF, -INF]), np.array([1.0, 1.0, INF, INF])
    problem = Problem(
        np.array([0.0, 0.0, 1.0, 1.0]), *sides,
        networks=(EmbeddedNetwork(linear, [0, 1], [2]), EmbeddedNetwork(other, [0, 1], [3])),
    )  # fmt: skip
    points = np.concatenate([rng.uniform(-1, 1, (1000, 2)), np.zeros((1000, 2))], axis=1)
    lowest = problem.objective(problem.propagate(points)).min()
    assert search(problem, iteration_limit=50).incumbent.objective <= lowest


@pytest.mark.parametrize("method", ALL)
def test_quadratic_objectives(method):
    network = random_network([2, 8, 1], 3)
    problem = Problem(
        cost=np.array([0.0, 0.0, -1.0]),
        lower=np.array([-1.0, -1.0, -INF]),
        upper=np.array([1.0, 1.0, INF]),
        networks=(EmbeddedNetwork(network, [0, 1], [2]),),
        quadratic=sparse.csr_array(np.diag([2.0, 2.0, 0.5])),
    )
    axes = np.linspace(-1, 1, 401)
    V = np.zeros((401**2, 3))
    V[:, :2] = np.stack(np.meshgrid(axes, axes), axis=-1).reshape(-1, 2)
    grid = float(problem.objective(problem.propagate(V)).min())
    result = search(problem, method, iteration_limit=120)
    tolerance = 1e-3 if method in ("auto", "ppga", "ppga-lr") else 0.5  # region LPs see the gradient only
    assert grid - 1e-4 <= result.incumbent.objective <= grid + tolerance


def test_auto_is_exact_at_a_vertex_of_a_region():
    network = Network.from_layers([[[1.0], [1.0]], [[2.0, -5.0]]], [[0.0, -0.3], [0.0]])
    best = maximize(network, lower=0, upper=1, iteration_limit=400)
    assert best.x[0] == pytest.approx(0.3, abs=1e-9)
    assert best.value == pytest.approx(0.6, abs=1e-9)


def test_minimize_is_maximize_of_the_negative():
    network = random_network([3, 10, 2], 12)
    low = minimize(network, [1.0, -2.0], lower=-1, upper=1, input_objective=[0.1, 0, 0], iteration_limit=300)
    high = maximize(network, [-1.0, 2.0], lower=-1, upper=1, input_objective=[-0.1, 0, 0], iteration_limit=300)
    assert low.value == pytest.approx(-high.value)


def test_minimize_lists_the_arguments_of_maximize_and_takes_them_by_position():
    assert inspect.signature(minimize) == inspect.signature(maximize)
    network = random_network([2, 6, 1], 12)
    low = minimize(network, None, -1, 1, input_objective=[0.1, 0.2], iteration_limit=60)
    assert low.value == pytest.approx(float(low.y[0] + [0.1, 0.2] @ low.x))
    assert low.value == pytest.approx(low.history[-1][1])
    assert low.bound <= low.value


def test_auto_never_falls_below_its_start():
    network = random_network([4, 12, 1], 13)
    start = np.array([0.2, 0.9, 0.1, 0.4])
    best = maximize(network, lower=0, upper=1, start=start, iteration_limit=1)
    assert best.value >= float(network.value(start[None, :])[0, 0])


def test_unbounded_inputs_do_not_crash_auto():
    network = Network.from_layers([[[1.0], [-1.0]], [[-1.0, -1.0]]], [[0.0, 0.0], [1.0]])
    assert maximize(network, iteration_limit=200).value == pytest.approx(1.0, abs=1e-6)


def test_arguments_of_the_wrong_shape_are_named():
    network = random_network([3, 4, 2], 0)
    with pytest.raises(ModelError, match="the network has 2 outputs: give their 2 weights as the objective"):
        maximize(network, lower=0, upper=1)
    with pytest.raises(ModelError, match=r"the objective is zero: .*bounds on the inputs are lower=\.\.\. and upper="):
        maximize(network, 0.0, 1.0)  # a lower and an upper bound, one place too early
    with pytest.raises(ModelError, match=r"lower\[1\] is NaN"):
        maximize(network, [1, 0], lower=[0.0, np.nan, 0.0], upper=1.0)
    with pytest.raises(ModelError, match="upper is NaN"):
        maximize(network, [1, 0], lower=0.0, upper=np.nan)
    with pytest.raises(ModelError, match=r"lower has shape \(2,\): give a number, or an array of shape \(3,\)"):
        maximize(network, [1, 0], lower=[0, 0], upper=1)
    with pytest.raises(ModelError, match=r"A has shape \(1, 2\): give a table of shape \(rows, 3\)"):
        maximize(network, [1, 0], lower=0, upper=1, A=np.ones((1, 2)))
    with pytest.raises(ModelError, match="no feasible point was found"):
        maximize(network, [1, 0], lower=0, upper=1, A=np.ones((1, 3)), row_lower=9.0)
    with pytest.raises(ModelError, match=r"unknown method 'magic': give one of auto"):
        maximize(network, [1, 0], lower=0, upper=1, method="magic")


def test_the_registry_knows_every_method():
    assert set(ALL) < set(METHODS)
