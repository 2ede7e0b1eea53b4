"""ReLUs whose epigraph is enough: found where they are, nowhere else, and what follows for proofs and searches."""

import itertools
from dataclasses import replace

import numpy as np
import pytest
from milp_oracle import exact_optimum
from random_models import random_network

from pyomo_relugrad.network import Network, widened
from pyomo_relugrad.problem import EmbeddedNetwork, Problem, bound_problem, epigraph_relus, is_linear_program
from pyomo_relugrad.programs import build_big_m
from pyomo_relugrad.proof import prove_by_milp
from pyomo_relugrad.run import Stop
from pyomo_relugrad.search import Auto
from pyomo_relugrad.solve import Route, search, solve_exactly


def convex_network(seed: int, sizes: tuple[int, ...] = (3, 8, 6, 1)) -> Network:
    """A network that is convex in its inputs, with a bypass from the inputs to a deeper layer."""
    rng = np.random.default_rng(seed)
    weights = [rng.normal(size=(sizes[1], sizes[0]))]
    weights += [rng.random(size=(b, a)) for a, b in itertools.pairwise(sizes[1:])]
    return Network.from_layers(weights, [rng.normal(size=size) for size in sizes[1:]])


def around(network: Network, cost: float = 1.0, width: float = 2.0, **rows: object) -> Problem:
    """Optimize one output, with random costs of the inputs."""
    n = network.n_inputs
    return Problem(
        np.append(np.random.default_rng(9).normal(size=n), cost),
        np.append(np.full(n, -width), -np.inf),
        np.append(np.full(n, width), np.inf),
        networks=(EmbeddedNetwork(network, np.arange(n), np.array([n])),),
        **rows,
    )


def n_binaries(problem: Problem) -> int:
    bounds = bound_problem(problem)
    return int(build_big_m(problem, bounds, epigraph_relus(problem, bounds)).integers.sum())


@pytest.mark.parametrize("seed", range(4))
def test_a_convex_network_that_is_minimized_is_solved_as_one_linear_program(seed):
    problem = around(convex_network(seed))
    assert is_linear_program(problem)
    assert n_binaries(problem) == 0
    result = solve_exactly(problem, time_limit=30)
    assert result.stop is Stop.OPTIMAL
    assert result.routes == (Route.MILP,)
    assert result.points == 0
    assert result.incumbent.objective == pytest.approx(exact_optimum(problem), abs=1e-5)


@pytest.mark.parametrize("seed", range(3))
def test_rows_that_ask_for_small_outputs_leave_it_a_linear_program(seed):
    """A cap on the output, here as a row, with costs on the inputs alone."""
    network = convex_network(seed)
    middle = float(network.value(np.zeros((1, 3)))[0, 0])
    problem = around(network, cost=0.0, rows=[[0.5, 0.0, 0.0, 1.0]], row_lower=[-np.inf], row_upper=[middle])
    assert is_linear_program(problem)
    result = solve_exactly(problem, time_limit=30)
    assert result.stop is Stop.OPTIMAL
    assert result.incumbent.is_feasible
    assert result.incumbent.objective == pytest.approx(exact_optimum(problem), abs=1e-5)


def test_a_convex_network_needs_no_bounds_on_its_inputs():
    network = Network.from_layers([[[1.0], [-1.0]], [[2.0, 1.0]]], [[-3.0, 3.0], [0.5]])  # 2 (x - 3)+ + (3 - x)+ + 0.5
    problem = around(network, width=np.inf)
    problem = replace(problem, cost=np.array([0.25, 1.0]))
    for run in (solve_exactly, search):
        result = run(problem, time_limit=30)
        assert result.incumbent.objective == pytest.approx(1.25, abs=1e-6)
        assert result.bound == pytest.approx(1.25, abs=1e-5)


def test_the_search_ends_at_the_optimum_of_the_linear_program():
    problem = around(convex_network(5))
    result = search(problem, Auto(), time_limit=30)
    assert result.stop is Stop.FINISHED  # a heuristic calls nothing optimal
    assert result.incumbent.objective == pytest.approx(exact_optimum(problem), abs=1e-5)
    assert result.gap <= 1e-5


@pytest.mark.parametrize(
    "change",
    [
        lambda problem: replace(problem, cost=-problem.cost),
        lambda problem: replace(problem, lower=np.append(problem.lower[:-1], 3.0)),
        lambda problem: replace(problem, rows=[[0.0, 0.0, 0.0, 1.0]], row_lower=np.array([3.0]), row_upper=None),
        lambda problem: replace(problem, rows=[[1.0, 0.0, 0.0, -1.0]], row_lower=None, row_upper=np.array([-3.0])),
        lambda problem: replace(problem, integers=np.array([False, False, False, True])),
    ],
    ids=["maximized", "bound", "row below", "row above", "integer output"],
)
def test_what_asks_for_large_outputs_needs_binaries(change):
    problem = change(around(convex_network(0)))
    problem = Problem(**{name: getattr(problem, name) for name in ("cost", "lower", "upper", "rows", "row_lower",
                                                                  "row_upper", "integers", "networks")})  # fmt: skip
    assert not is_linear_program(problem)
    assert n_binaries(problem) > 0


def test_a_bound_that_the_network_keeps_anyway_harms_nothing():
    network = convex_network(1)
    least = bound_problem(around(network)).networks[0].output_lower[0, 0]
    kept = replace(around(network), lower=np.append(np.full(3, -2.0), least - 1.0))
    assert n_binaries(kept) == 0
    assert n_binaries(replace(kept, lower=np.append(np.full(3, -2.0), least + 1.0))) > 0


@pytest.mark.parametrize("way", ["bound", "row", "row of the negative"])
def test_what_the_network_keeps_anyway_leaves_it_a_linear_program(way):
    """As a cost that must not be negative does, which the network gives no negative value."""
    problem = around(convex_network(1))
    least = bound_problem(problem).networks[0].output_lower[0, 0]
    for limit, expected in ((least - 1.0, True), (least + 1.0, False)):
        if way == "bound":
            limited = replace(problem, lower=np.append(np.full(3, -2.0), limit))
        elif way == "row":
            limited = replace(problem, rows=[[0.0, 0.1, 0.0, 1.0]], row_lower=np.array([limit - 0.2]), row_upper=None)
        else:
            rows = [[0.0, 0.1, 0.0, -1.0]]
            limited = replace(problem, rows=rows, row_lower=None, row_upper=np.array([0.2 - limit]))
        assert is_linear_program(limited) is expected
        assert (n_binaries(limited) == 0) is expected
        result = solve_exactly(limited, time_limit=30)
        assert result.incumbent.objective == pytest.approx(exact_optimum(limited), abs=1e-4)


def test_only_relus_that_are_pressed_upwards_need_binaries():
    """The sum of a convex network and of the negative of another one."""
    first, second = ([[1.0, 0.5], [-1.0, 0.25]], [[1.0, 2.0]]), ([[0.5, -1.0], [1.0, 1.0], [0.3, 0.1]], [[-1.0] * 3])
    network = Network.from_layers(
        [np.array(first[0] + second[0]), np.array([first[1][0] + second[1][0]])], [np.zeros(5), np.zeros(1)]
    )
    ((mask,),) = epigraph_relus(around(network))
    assert mask.tolist() == [[True, True, False, False, False]]
    assert n_binaries(around(network)) == 3


def test_chained_networks_pass_on_what_presses_them():
    """Minimized, a convex and increasing function of a convex one is convex, and a decreasing one is not."""
    inner = convex_network(2, (2, 4, 1))
    for sign, expected in ((1.0, True), (-1.0, False)):
        outer = Network.from_layers([np.array([[sign], [2 * sign]]), np.ones((1, 2))], [np.array([0.5, -1.0]), [0.0]])
        embedded = (EmbeddedNetwork(inner, [0, 1], [2]), EmbeddedNetwork(outer, [2], [3]))
        free = np.array([np.inf, np.inf])
        problem = Problem(
            np.array([0.1, 0.1, 0.0, 1.0]), np.append([-1.0, -1.0], -free), np.append([1.0, 1.0], free),
            networks=embedded,
        )  # fmt: skip
        assert is_linear_program(problem) is expected
        result = solve_exactly(problem, time_limit=30)
        assert result.incumbent.objective == pytest.approx(exact_optimum(problem), abs=1e-4)


@pytest.mark.parametrize("seed", range(12))
def test_optima_stay_whatever_has_no_binary(seed):
    """Networks with all signs between rows on outputs, one shallow and one deep."""
    rng = np.random.default_rng(seed)
    network = random_network(rng, (3, 6, 2) if seed % 2 else (3, 5, 4, 2))
    values = network.value(rng.uniform(-1, 1, (500, 3)))
    problem = Problem(
        np.r_[0.1 * rng.normal(size=3), rng.normal(size=2)],
        np.r_[-np.ones(3), np.full(2, -np.inf)],
        np.r_[np.ones(3), np.full(2, np.inf)],
        rows=[[0, 0, 0, *rng.normal(size=2)]],
        row_lower=np.array([-np.inf]) if seed % 3 else np.array([np.quantile(values[:, 0], 0.2)]),
        row_upper=np.array([np.quantile(values[:, 1], 0.8)]),
        networks=(EmbeddedNetwork(network, np.arange(3), np.arange(3, 5)),),
    )
    optimum = exact_optimum(problem)
    result = prove_by_milp(problem, relative_gap=1e-7)
    assert result.stop is (Stop.OPTIMAL if np.isfinite(optimum) else Stop.INFEASIBLE)
    if np.isfinite(optimum):
        assert result.incumbent.objective == pytest.approx(optimum, abs=1e-5)


@pytest.mark.parametrize("sign", [-1.0, 1.0])
def test_each_block_of_a_large_layer_counts(sign, monkeypatch):
    """The last layer's first row harms both neurons one way, the two others one neuron each the other way."""
    monkeypatch.setattr(widened, "BLOCK_ENTRIES", 1)
    last = sign * np.array([[1.0, 1.0], [-1.0, 0.0], [0.0, -1.0]])
    network = Network.from_layers([np.eye(2), np.diag([1.0, -1.0]), last], [np.zeros(2), np.zeros(2), np.zeros(3)])
    free = np.full(3, np.inf)
    lower, upper = np.r_[-1.0, -1.0, -free], np.r_[1.0, 1.0, free]
    problem = Problem(
        np.r_[0.0, 0.0, np.ones(3)], lower, upper, networks=(EmbeddedNetwork(network, [0, 1], [2, 3, 4]),)
    )
    assert not np.stack(epigraph_relus(problem)).any()
