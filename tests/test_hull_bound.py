"""Networks of one varying input as the hulls of their curves: nothing feasible is cut off, and the bound is close."""

from dataclasses import replace
from itertools import islice
from types import SimpleNamespace

import numpy as np
import pytest
from milp_oracle import exact_optimum
from random_models import random_network
from scipy import sparse

from pyomo_relugrad.problem import EmbeddedNetwork, Incumbent, Problem
from pyomo_relugrad.proof import HullsFirst, MilpProof, hulls_first, with_hulls
from pyomo_relugrad.run import Options, Report, Stop, run_proof
from pyomo_relugrad.solve import Portfolio, Route

MACHINES, WIDTH = 3, 4  # size, output of cost, output of time, switch


def switched_machines(seed: int, scale: float = 1.0) -> Problem:
    """Sizes between limits where machines are switched on, costs and times by networks, a demand and a time limit."""
    random = np.random.default_rng(seed)
    network = random_network(random, (2, 5, 4, 2))
    n = MACHINES * WIDTH + 1
    place = np.arange(n - 1).reshape(MACHINES, WIDTH)
    lower, upper, integers = np.zeros(n), np.full(n, scale), np.zeros(n, bool)
    lower[place[:, 1:3]], upper[place[:, 1:3]] = -np.inf, np.inf
    upper[place[:, 3]], integers[place[:, 3]] = 1.0, True
    lower[-1] = upper[-1] = 0.5  # an input that does not vary
    cost, demand, hours = np.zeros(n), np.zeros(n), np.zeros(n)
    cost[place[:, 1]], cost[place[:, 3]] = 1.0, random.uniform(0.1, 0.5, MACHINES)
    demand[place[:, 0]], hours[place[:, 2]] = 1.0, 1.0
    on = np.zeros((2 * MACHINES, n))
    for machine, (size, _, _, switch) in enumerate(place):
        on[2 * machine, [size, switch]] = 1.0, -scale
        on[2 * machine + 1, [size, switch]] = -1.0, 0.3 * scale
    problem = Problem(
        cost,
        lower,
        upper,
        sparse.csr_array(np.vstack([demand, hours, on])),
        np.r_[scale, np.full(2 * MACHINES + 1, -np.inf)],
        np.r_[np.inf, np.inf, np.zeros(2 * MACHINES)],
        integers,
        networks=tuple(EmbeddedNetwork(network, [row[0], n - 1], row[1:3]) for row in place),
        constant=1.0,
    )
    limit = float(np.median(feasible_points(problem, seed, 200) @ hours))
    return replace(problem, row_upper=np.r_[np.inf, limit, np.zeros(2 * MACHINES)])


def feasible_points(problem: Problem, seed: int, count: int) -> np.ndarray:
    random, scale = np.random.default_rng(seed), problem.upper[0]
    V = np.tile(np.where(np.isfinite(problem.lower), problem.lower, 0.0), (count, 1))
    V[:, 3:-1:WIDTH] = random.integers(0, 2, (count, MACHINES))
    V[:, :-1:WIDTH] = V[:, 3:-1:WIDTH] * scale * random.choice([0.3, 1.0, random.uniform(0.3, 1.0)], (count, MACHINES))
    V = problem.propagate(V)
    return V[problem.violation(V) <= 1e-9]


def best_of(problem: Problem, seed: int) -> Incumbent:
    points = feasible_points(problem, seed, 400)
    return problem.measure(points[np.argmin(problem.objective(points))])


@pytest.mark.parametrize("scale", [1.0, 1e4])
@pytest.mark.parametrize("seed", range(3))
def test_what_is_feasible_stays_feasible_at_the_same_objective(seed, scale):
    problem = switched_machines(seed, scale)
    relaxed = with_hulls(problem)
    assert relaxed is not None
    assert not relaxed.networks
    points = feasible_points(problem, seed, 400)
    assert len(points) > 20
    assert relaxed.violation(points).max() <= 1e-9
    assert np.array_equal(relaxed.objective(points), problem.objective(points))


def test_off_the_curve_little_is_feasible():
    """An output that is convex in the input, from above by its chord."""
    network = random_network(np.random.default_rng(0), (1, 6, 1))
    network = type(network).from_layers(
        [layer.weights[0] if k == 0 else abs(layer.weights[0]) for k, layer in enumerate(network.layers)],
        [layer.bias for layer in network.layers],
    )
    problem = Problem(
        np.array([0.0, 1.0]), np.array([-1.0, -np.inf]), np.array([1.0, np.inf]),
        networks=(EmbeddedNetwork(network, [0], [1]),),
    )  # fmt: skip
    relaxed = with_hulls(problem)
    assert relaxed is not None
    x = np.linspace(-1.0, 1.0, 101)
    value = network.value(x[:, None])[:, 0]
    chord = np.interp(x, [-1.0, 1.0], value[[0, -1]])
    room = 0.02 * np.ptp(value)
    for output, is_feasible in ((value, True), (chord, True), (value - room, False), (chord + room, False)):
        assert ((relaxed.violation(np.c_[x, output]) <= 1e-9) == is_feasible).all()


@pytest.mark.parametrize("seed", range(2))
def test_the_bound_of_hulls_is_below_the_optimum_and_points_are_those_of_the_networks(seed):
    problem = switched_machines(seed)
    optimum, start = exact_optimum(problem), best_of(problem, seed)
    proof = HullsFirst(problem, Options(relative_gap=1e-9), start)
    while (report := proof.step()).stop is None:
        assert all(problem.measure(point.values).is_feasible for point in report.points)
    assert optimum - 0.5 * (1 + abs(optimum)) <= proof._of_hulls <= optimum
    assert proof.conclusion() is Stop.OPTIMAL
    assert proof.incumbent_value == pytest.approx(optimum, rel=1e-5, abs=1e-5)


def test_the_whole_program_goes_on_where_that_of_hulls_ends(monkeypatch):
    problem = switched_machines(1)
    solved = []

    class Watched(MilpProof):
        def _run_to_end(self, highs):
            solved.append(self.problem)
            super()._run_to_end(highs)

    monkeypatch.setattr(hulls_first, "MilpProof", Watched)
    options = Options(relative_gap=1e-9, absolute_gap=0.0)
    result = run_proof(HullsFirst(problem, options, best_of(problem, 1)), time_limit=30.0)
    assert [bool(each.networks) for each in solved] == [False, True]
    assert result.stop is Stop.OPTIMAL
    assert result.bound <= exact_optimum(problem) + 1e-6
    assert result.incumbent.objective == pytest.approx(exact_optimum(problem), rel=1e-4, abs=1e-5)


def test_hulls_are_left_where_nodes_raise_the_bound_no_more():
    vain, heard = hulls_first._Vain(), []
    for bound, nodes in ((-5.0, 0), (-4.0, 600), (-4.0, 1100), (-3.9999, 1199), (-3.9999, 1201)):
        heard.append(vain.is_so(SimpleNamespace(bound=bound, nodes=nodes), 0.0))
    assert heard == [False] * 4 + [True]


def test_hulls_are_left_in_vain_where_no_point_of_the_problem_is_known():
    """What counts is the gap to the relaxation's own point."""

    class Vain(MilpProof):
        incumbent_value, bound = 0.0, -1.0

        def step(self):
            self.nodes += 300
            return Report()

    problem = switched_machines(0)
    steps = HullsFirst(problem, Options())._run(Vain(with_hulls(problem), Options()))
    assert len(list(islice(steps, 9))) == 2


def test_a_point_below_the_bound_of_hulls_refutes_it_and_is_not_called_optimal():
    """HiGHS's presolve has cut off optima before."""
    problem = switched_machines(1)
    point, proof = best_of(problem, 1), HullsFirst(problem, Options())
    proof._of_hulls = point.objective + 0.1
    proof.offer(point)
    assert proof.bound == -np.inf
    assert proof.conclusion() is None


def test_a_proof_on_hulls_stands_still_and_ends_when_told():
    problem = switched_machines(0)
    proof = HullsFirst(problem, Options(), best_of(problem, 0))
    proof.pause()
    proof.step()
    assert proof._present._may_work.is_set() is False
    proof.resume()
    assert proof._present._may_work.is_set()
    thread = proof._present._thread
    proof.close()
    thread.join(10.0)
    assert not thread.is_alive()


def test_the_bound_of_hulls_stays_when_the_whole_is_taken_up():
    problem = switched_machines(0)
    proof = HullsFirst(problem, Options(), best_of(problem, 0))
    proof._of_hulls = -0.5 * abs(proof.incumbent_value) - 100.0
    proof._present = MilpProof(problem, Options())
    assert proof.bound == proof._of_hulls


def test_networks_of_several_varying_inputs_stay():
    problem = switched_machines(0)
    assert HullsFirst.suits(problem)
    assert Portfolio().routes_for(problem)[0] is Route.MILP
    wider = replace(problem, lower=np.r_[problem.lower[:-1], 0.0])
    assert with_hulls(wider) is None
    assert not HullsFirst.suits(wider)
    assert not HullsFirst.suits(replace(problem, integers=np.zeros_like(problem.integers)))
