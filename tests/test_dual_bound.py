"""The bound beside a local search: never above the optimum, computed when it is cheap, and reported everywhere."""

import io
import itertools
import threading
from dataclasses import replace

import numpy as np
import pyomo.environ as pyo
import pytest
from fake_clock import FakeClock
from milp_oracle import exact_optimum
from random_models import random_network, random_problem
from scipy import sparse
from scripted_method import Scripted

from pyomo_relugrad import Network
from pyomo_relugrad.modeling.block import ReluNetworkBlock
from pyomo_relugrad.network.curves import TANH
from pyomo_relugrad.problem import EmbeddedNetwork, Incumbent, Problem
from pyomo_relugrad.programs import HIGHS_THREAD
from pyomo_relugrad.proof import ProofInTurns, bound_seconds
from pyomo_relugrad.proof.root_bound import TIME_SHARE, dual_bound
from pyomo_relugrad.run import Clock, Driver, Options, Past, Report, Stop, Worker
from pyomo_relugrad.solve import search
from pyomo_relugrad.solve.bounded_search import BoundedSearch, bounders_for, milp_beside, suits_milp
from pyomo_relugrad.solve.local_search import LocalSearch


def box_problem(network: Network, lower: float, upper: float, maximize: bool = False) -> Problem:
    """The first output over a box, with a cost on the first input."""
    n, m = network.n_inputs, network.n_outputs
    free = np.full(m, np.inf)
    cost = np.zeros(n + m)
    cost[0], cost[n] = 0.1, 1.0
    return Problem(
        -cost if maximize else cost,
        np.r_[np.full(n, lower), -free],
        np.r_[np.full(n, upper), free],
        networks=(EmbeddedNetwork(network, np.arange(n), n + np.arange(m)),),
        constant=2.0,
        maximize=maximize,
    )


def small_box(seed: int, maximize: bool = False) -> Problem:
    return box_problem(random_network(np.random.default_rng(seed), (3, 8, 8, 2)), -1.0, 1.0, maximize)


def affine_box() -> Problem:
    """All ReLUs are active: y = 3 x0 + x1 + 1 over [0, 1]^2, minimum with the costs at the origin: 3."""
    network = Network.from_layers([[[1.0, 0.0], [2.0, 1.0]], [[1.0, 1.0]]], [[0.5, 0.5], [0.0]])
    return box_problem(network, 0.0, 1.0)


# --- the number ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(8))
def test_over_a_box_the_bound_is_below_the_optimum(seed):
    problem = small_box(seed)
    optimum = exact_optimum(problem)
    assert optimum - 10 <= dual_bound(problem) <= optimum


@pytest.mark.parametrize("family", ["window", "equality", "integer", "chained", "shared"])
@pytest.mark.parametrize("seed", [3, 4])
def test_with_rows_the_bound_is_below_the_optimum(family, seed):
    problem = random_problem(family, seed)
    optimum = exact_optimum(problem)
    assert np.isfinite(dual_bound(problem))
    assert dual_bound(problem) <= optimum


def test_rows_make_the_bound_tighter():
    problem = small_box(1)
    row = np.zeros((1, problem.n_columns))
    row[0, :3] = 1.0
    cut = replace(problem, rows=sparse.csr_array(row), row_lower=np.array([1.5]), row_upper=np.array([np.inf]))
    assert dual_bound(problem) + 0.1 < dual_bound(cut) <= exact_optimum(cut)
    high = float(np.quantile(problem.propagate(np.random.default_rng(0).uniform(-1, 1, (200, 5)))[:, 3], 0.5))
    demand = replace(problem, lower=np.r_[problem.lower[:3], high, -np.inf])
    assert dual_bound(problem) + 1e-3 < dual_bound(demand) <= exact_optimum(demand)


def test_the_bound_is_exact_where_every_relu_is_decided():
    assert dual_bound(affine_box()) == pytest.approx(3.0, abs=1e-9)


def test_without_finite_bounds_there_is_a_bound_only_where_the_network_has_one():
    network = Network.from_layers([[[1.0], [-1.0]], [[1.0, 1.0]]], [[-3.0, 3.0], [0.25]])
    problem = box_problem(network, -np.inf, np.inf)
    assert dual_bound(replace(problem, cost=np.array([0.0, 1.0]))) == pytest.approx(2.25, abs=1e-6)
    assert dual_bound(replace(problem, cost=np.array([0.0, -1.0]))) == -np.inf


# --- during a search ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(3))
def test_a_search_reports_the_bound(seed):
    problem, seen = small_box(seed), []
    found = search(problem, iteration_limit=400, callback=lambda progress: seen.append(progress.bound))
    assert found.bound == pytest.approx(dual_bound(problem))
    assert found.bound <= found.incumbent.objective
    assert seen[0] == -np.inf  # the first incumbent does not wait for the bound
    assert sorted(set(seen)) in ([-np.inf, found.bound], [-np.inf])


def test_a_search_ends_where_its_bound_proves_the_incumbent():
    found = search(affine_box(), time_limit=60)
    assert found.stop is Stop.FINISHED
    assert found.elapsed < 30
    assert found.incumbent.objective == pytest.approx(3.0)
    assert found.bound == pytest.approx(3.0)


def test_a_bound_that_would_take_too_long_is_left_out():
    problem = small_box(0)
    seconds = bound_seconds(problem)
    assert seconds > 0
    assert search(problem, iteration_limit=5, time_limit=0.9 * seconds / TIME_SHARE).bound == -np.inf


def test_linked_columns_do_not_weaken_the_bound():
    """Columns that rows set equal to inputs are merged before the bound is computed."""
    problem = small_box(2)
    n = problem.n_columns
    rows = sparse.csr_array(np.c_[np.eye(3, n), -np.eye(3)])
    linked = replace(
        problem,
        cost=np.r_[problem.cost, np.zeros(3)],
        lower=np.r_[np.full(n, -np.inf), np.full(3, -1.0)],
        upper=np.r_[np.full(n, np.inf), np.full(3, 1.0)],
        rows=rows,
        row_lower=np.zeros(3),
        row_upper=np.zeros(3),
        integers=np.zeros(n + 3, bool),
    )
    assert search(linked, iteration_limit=100).bound == pytest.approx(dual_bound(problem))


@pytest.mark.parametrize("seed", range(4))
def test_with_a_quadratic_objective_the_bound_is_below_every_point(seed):
    problem = random_problem("quadratic", seed)
    bound, points = dual_bound(problem), np.random.default_rng(seed).uniform(-1, 1, (20_000, problem.n_columns))
    points = problem.propagate(points)
    objectives = problem.objective(points)[problem.violation(points) <= 1e-9]
    assert objectives.min() - 2 < bound <= objectives.min()
    found = search(problem, iteration_limit=100)
    assert bound <= found.bound + 1e-9  # the surroundings may be better than the tangent
    assert found.bound <= found.incumbent.objective


@pytest.mark.parametrize("with_row", [False, True])
def test_the_bound_of_a_quadratic_objective_is_exact_where_every_relu_is_decided(with_row):
    """With y = 3 x0 + x1 + 1 over [0, 1]^2, (y - 2)^2 / 2 - 5 is smallest where y = 2."""
    network = affine_box().networks[0].network
    problem = box_problem(network, 0.0, 1.0)
    row = {"rows": sparse.csr_array([[1.0, 1.0, 0.0]]), "row_lower": np.array([1.0]), "row_upper": np.array([np.inf])}
    problem = replace(
        problem,
        cost=np.array([0.0, 0.0, -2.0]),
        quadratic=sparse.csr_array(np.diag([0.0, 0.0, 1.0])),
        constant=2.0 - 5.0,
        **(row if with_row else {}),
    )
    assert dual_bound(problem) == pytest.approx(-5.0, abs=1e-6)
    demand = replace(problem, lower=np.array([0.5, 0.5, -np.inf]))
    assert dual_bound(demand) == pytest.approx(-4.5, abs=1e-6)


def test_the_surroundings_bound_a_problem_without_networks():
    problem = Problem(np.array([-1.0, -1.0]), np.zeros(2), np.full(2, 3.5), integers=np.array([True, False]))
    found = search(problem)
    assert found.bound == pytest.approx(-6.5)
    assert found.stop is Stop.FINISHED


# --- by programs while the search is in vain ----------------------------------------------------------------------


def feasible_point(problem: Problem) -> Incumbent:
    found = search(problem, iteration_limit=30).incumbent
    assert found is not None
    return found


def milp_in_turns(problem: Problem) -> ProofInTurns:
    return ProofInTurns(lambda start: milp_beside(problem, Options(), start))


@pytest.mark.parametrize(("family", "seed"), [("window", 3), ("equality", 4), ("integer", 4), ("chained", 3)])
def test_a_program_that_ends_has_the_optimum_as_its_bound(family, seed):
    problem = replace(random_problem(family, seed), constant=3.0)
    milp, start = milp_in_turns(problem), feasible_point(problem)
    bound, point = milp.run(start, 30.0)
    assert not milp.is_open
    optimum = exact_optimum(problem)
    assert optimum - 1e-5 * (1 + abs(optimum)) <= bound <= optimum
    assert (point or start).objective == pytest.approx(optimum, rel=1e-5, abs=1e-5)


def test_a_program_stands_still_between_turns_and_ends_when_told():
    problem = box_problem(random_network(np.random.default_rng(0), (6, 20, 20, 2)), -1.0, 1.0)
    milp, start = milp_in_turns(problem), feasible_point(problem)
    bounds = [milp.run(start, 0.05)[0] for _ in range(2)]
    assert milp.is_open
    assert bounds == sorted(bounds)
    assert bounds[-1] <= start.objective
    (thread,) = [thread for thread in threading.enumerate() if thread.name == HIGHS_THREAD]
    milp.close()
    thread.join(10.0)
    assert not thread.is_alive()


def test_where_there_is_no_formulation_no_program_runs():
    problem = small_box(0)
    assert suits_milp(problem)
    quadratic = sparse.csr_array(np.diag([1.0] + [0.0] * (problem.n_columns - 1)))
    assert not suits_milp(replace(problem, quadratic=quadratic))
    assert not suits_milp(box_problem(random_network(np.random.default_rng(0), (3, 250, 250, 2)), -1, 1))
    assert not suits_milp(replace(problem, lower=np.where(problem.is_input, -np.inf, problem.lower)))


class Runs:
    """Takes the time that it is given, and proves the same each time."""

    first_share, longest_first, growth, is_open = 0.1, 2.0, 2.0, True

    def __init__(self, clock, check=lambda *_: None, bound=-50.0):
        self.clock, self.check, self.bound, self.spent, self.is_closed = clock, check, bound, 0.0, False

    def run(self, start, seconds):
        self.check(start, seconds)
        self.clock.now += seconds
        self.spent += seconds
        return self.bound, None

    def close(self):
        self.is_closed = True


class Steps(Worker):
    """Takes half a second a step, and has a new point at some of them; the last one ends it."""

    def __init__(self, clock, points, last=1000):
        self.clock, self.points, self.last, self.count = clock, points, last, 0

    def step(self):
        self.clock.now += 0.5
        self.count += 1
        found = self.points.get(self.count)
        return Report(() if found is None else (found,), stop=Stop.FINISHED if self.count == self.last else None)


@pytest.mark.parametrize(
    ("time_limit", "gains", "last", "runs"),
    [
        (10.0, (1,), 1000, [(2.5, 1.0), (7.5, 2.0)]),  # in vain for two lengths, and in no more than 0.4 of all time
        (10.0, range(1, 18), 1000, []),
        (10.0, (1, 4, 7, 10), 1000, [(7.0, 1.0)]),
        (10.0, (5,), 6, [(3.0, 1.0)]),  # at its end, however lately it gained
        (0.5, (1,), 1000, []),  # too short
        (np.inf, (1,), 20, []),
    ],
)
def test_programs_run_while_the_search_is_in_vain(monkeypatch, time_limit, gains, last, runs):
    problem, seen, clock = small_box(0), [], FakeClock.installed(monkeypatch)
    best = feasible_point(problem)
    points = {count: replace(best, objective=best.objective + 1.0 - 0.01 * count) for count in gains}
    begin = clock.now

    def check(start, seconds):
        seen.append((clock.now - begin, seconds))
        assert start.objective == min(point.objective for count, point in points.items() if count <= steps.count)

    options, steps, bounder = Options(time_limit=time_limit), Steps(clock, points, last), Runs(clock, check)
    driver_clock = Clock(time_limit)
    worker = BoundedSearch(steps, [bounder], options, driver_clock)
    result = Driver(problem, options, driver_clock).run(worker)
    assert seen == runs
    assert result.bound == (-50.0 if runs else -np.inf)


def test_a_short_solve_does_not_look_for_what_suits_it():
    problem = random_problem("integer", 0)
    assert bounders_for(problem, Options(time_limit=0.9), Past()) == []
    assert bounders_for(problem, Options(time_limit=5.0), Past())


def test_branching_ends_where_its_bound_ends_the_search():
    rng = np.random.default_rng(0)
    weights, biases = [rng.normal(size=(4, 2)), rng.normal(size=(1, 4))], [rng.normal(size=4), np.zeros(1)]
    problem = box_problem(Network.from_layers(weights, biases, activation=TANH), -1.0, 1.0)
    options = Options(time_limit=60.0, relative_gap=1e-6, absolute_gap=1e-6)
    best, bound = feasible_point(problem), -np.inf
    (bounder,) = [way for way in bounders_for(problem, options, Past()) if isinstance(way, ProofInTurns)]
    while bounder.is_open:
        bound, found = bounder.run(best, 1.0)
        best = found or best
    assert options.is_proven(best.objective, bound)


def test_the_one_with_the_best_bound_has_more_time(monkeypatch):
    problem, clock = small_box(0), FakeClock.installed(monkeypatch)
    bounders = [Runs(clock, bound=bound) for bound in (-60.0, -50.0, -60.0)]
    for each in bounders:
        each.growth = 1.0
    own_clock = Clock(100.0)
    steps = Steps(clock, {1: feasible_point(problem)})
    Driver(problem, Options(), own_clock).run(BoundedSearch(steps, bounders, Options(), own_clock))
    assert all(each.is_closed for each in bounders)
    spent = [each.spent for each in bounders]
    assert min(spent) > 0.0
    assert spent[1] >= 2.0 * max(spent[0], spent[2])
    assert 30.0 <= sum(spent) <= 40.0


class Closing(Runs):
    """Closes the same share of its gap to -1 in each run."""

    growth = 1.0

    def __init__(self, clock, bound, share):
        super().__init__(clock, bound=bound)
        self.share = share

    def run(self, start, seconds):
        bound, point = super().run(start, seconds)
        self.bound += self.share * (-1.0 - self.bound)
        return bound, point


def test_the_one_that_goes_on_closing_its_gap_has_most_time(monkeypatch):
    """Though at first others have better bounds."""
    problem, clock = small_box(0), FakeClock.installed(monkeypatch)
    bounders = [Closing(clock, -20.0, 0.0), Closing(clock, -90.0, 0.2), Closing(clock, -60.0, 0.0)]
    own_clock = Clock(400.0)
    steps = Steps(clock, {1: replace(feasible_point(problem), objective=-1.0)})
    result = Driver(problem, Options(), own_clock).run(BoundedSearch(steps, bounders, Options(), own_clock))
    spent = [each.spent for each in bounders]
    assert min(spent) > 0.0
    assert spent[1] > 2.0 * (spent[0] + spent[2])
    assert result.bound > -2.0


def test_small_gains_keep_no_bounder_waiting(monkeypatch):
    problem, clock = small_box(0), FakeClock.installed(monkeypatch)
    best = replace(feasible_point(problem), objective=-1.0)
    spent = []
    for gain in (1e-5, 0.01):
        points = {count: replace(best, objective=-1.0 - gain * count) for count in range(1, 1000)}
        own_clock, bounder = Clock(10.0), Runs(clock)
        Driver(problem, Options(), own_clock).run(
            BoundedSearch(Steps(clock, points), [bounder], Options(time_limit=10.0), own_clock)
        )
        spent.append(bounder.spent)
    assert spent[0] >= 3.0
    assert spent[1] == 0.0


def test_bounders_have_little_time_while_a_search_expects_to_gain(monkeypatch):
    problem, clock = small_box(0), FakeClock.installed(monkeypatch)
    spent = []
    for is_unsettled in (False, True):
        own_clock, bounder = Clock(100.0), Closing(clock, -50.0, 0.0)
        local = LocalSearch(problem, Options(), own_clock)
        local.budget.is_unsettled = is_unsettled
        steps = Steps(clock, {1: feasible_point(problem)})
        Driver(problem, Options(), own_clock).run(BoundedSearch(steps, [bounder], Options(), own_clock, local.budget))
        spent.append(bounder.spent)
    assert 30.0 <= spent[0] <= 40.0
    assert spent[1] <= 10.0


@pytest.mark.parametrize(
    ("share", "is_unsettled", "least", "most"),
    [(0.2, False, 55.0, 65.0), (0.1, False, 30.0, 40.0), (0.2, True, 5.0, 10.0)],
)
def test_a_bounder_that_goes_on_closing_much_has_more_of_all_time(monkeypatch, share, is_unsettled, least, most):
    problem, clock = small_box(0), FakeClock.installed(monkeypatch)
    own_clock, bounder = Clock(100.0), Closing(clock, -50.0, share)
    local = LocalSearch(problem, Options(), own_clock)
    local.budget.is_unsettled = is_unsettled
    steps = Steps(clock, {1: replace(feasible_point(problem), objective=-1.0)})
    Driver(problem, Options(), own_clock).run(BoundedSearch(steps, [bounder], Options(), own_clock, local.budget))
    assert least <= bounder.spent <= most


def test_no_program_runs_where_steps_are_limited(monkeypatch):
    monkeypatch.setattr(ProofInTurns, "run", pytest.fail)
    FakeClock.installed(monkeypatch, tick=0.01)
    search(random_problem("window", 3), iteration_limit=100, time_limit=1.0)


def test_a_program_that_proves_the_incumbent_ends_the_search(monkeypatch):
    """The search alone would go on; its own bound is far from the incumbent."""
    problem = random_problem("window", 3)
    FakeClock.installed(monkeypatch, tick=1e-3)
    monkeypatch.setattr(Scripted, "cooperates", True)
    result = search(
        problem, Scripted(lambda *_: itertools.repeat(None)), start=feasible_point(problem).values, time_limit=10.0
    )
    assert result.stop is Stop.FINISHED
    assert dual_bound(problem) < result.bound - 1e-3
    assert result.incumbent.objective == pytest.approx(exact_optimum(problem), abs=1e-5)


# --- in Pyomo -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("maximize", [False, True])
def test_results_log_and_callback_have_the_bound_in_the_sense_of_the_model(maximize):
    network = random_network(np.random.default_rng(3), (2, 8, 8, 1))
    model = pyo.ConcreteModel()
    model.x = pyo.Var(range(2), bounds=(-1, 1))
    model.nn = ReluNetworkBlock(network=network, inputs=model.x)
    model.goal = pyo.Objective(expr=model.nn.outputs[0], sense=pyo.maximize if maximize else pyo.minimize)
    log, seen = io.StringIO(), []
    results = pyo.SolverFactory("relugrad").solve(model, iteration_limit=300, tee=log, callback=seen.append)
    objective = pyo.value(model.goal)
    lower, upper = results.problem.lower_bound, results.problem.upper_bound
    bound = upper if maximize else lower
    assert np.isfinite(bound)
    assert lower <= upper
    assert objective == pytest.approx(lower if maximize else upper)
    assert f"Bound    {bound:.8g}, gap {100 * abs(objective - bound) / abs(objective):.2f}%" in log.getvalue()
    assert seen[0].bound == (np.inf if maximize else -np.inf)
