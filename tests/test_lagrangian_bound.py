"""Bounds of networks that rows link: never above the optimum whatever the multipliers are, and near it at good ones."""

from dataclasses import replace

import numpy as np
import pytest
from fake_clock import FakeClock
from milp_oracle import exact_optimum
from random_models import random_network, random_problem
from scipy import sparse

from pyomo_relugrad.problem import FEASIBILITY_TOLERANCE, EmbeddedNetwork, Problem, rounded_up
from pyomo_relugrad.proof import LagrangianBound, ProofInTurns, SearchTree
from pyomo_relugrad.proof.lagrangian import Lagrangian
from pyomo_relugrad.proof.lagrangian_bound import _BoundedBlock
from pyomo_relugrad.run import Clock, Driver, Options, Past, Report, Stop, Worker
from pyomo_relugrad.solve import Portfolio, Route, search, solve_exactly
from pyomo_relugrad.solve.searches import Searches
from pyomo_relugrad.solve.team import Team

BLOCKS, INPUTS = 4, 2


def shared_budget(seed: int, alike: bool, share: float = 0.3) -> Problem:
    """Outputs of networks of some inputs each, less binaries' costs; a budget of all inputs, and of the binaries.

    A network counts as far as its binary is one.
    """
    random = np.random.default_rng(seed)
    first = random_network(random, (INPUTS, 6, 1))
    networks = [first if alike else random_network(random, (INPUTS, 6, 1)) for _ in range(BLOCKS)]
    width = INPUTS + 2  # inputs, output, binary
    n = BLOCKS * width
    place = np.arange(n).reshape(BLOCKS, width)
    inputs, outputs, binaries = place[:, :INPUTS], place[:, INPUTS], place[:, -1]
    lower, upper = np.zeros(n), np.ones(n)
    lower[outputs], upper[outputs] = -np.inf, np.inf
    integers = np.zeros(n, bool)
    integers[binaries] = True
    cost = np.zeros(n)
    cost[outputs], cost[binaries] = -1.0, 0.05
    budget = np.zeros(n)
    budget[inputs.ravel()] = 1.0 if alike else random.uniform(0.5, 1.5, inputs.size)
    count, switches = np.zeros(n), np.zeros((BLOCKS, n))
    count[binaries] = 1.0
    for block in range(BLOCKS):
        switches[block, inputs[block]], switches[block, binaries[block]] = 1.0, -INPUTS
    return Problem(
        cost,
        lower,
        upper,
        sparse.csr_array(np.vstack([budget, count, switches])),
        np.full(2 + BLOCKS, -np.inf),
        np.r_[share * budget.sum(), BLOCKS - 1.0, np.zeros(BLOCKS)],
        integers,
        networks=tuple(map(EmbeddedNetwork, networks, inputs, outputs[:, None])),
        constant=3.0,
    )


def in_turns(problem: Problem, past: Past | None = None) -> ProofInTurns:
    return ProofInTurns(lambda start: LagrangianBound(problem, Options(absolute_gap=0.0), start, past))


@pytest.mark.parametrize("alike", [False, True])
@pytest.mark.parametrize("seed", range(4))
def test_no_multipliers_lead_above_the_optimum(seed, alike):
    problem, random = shared_budget(seed, alike), np.random.default_rng(seed)
    optimum = exact_optimum(problem)
    start = search(problem, iteration_limit=20).incumbent
    for size in (0.0, 1.0):
        past = Past(multipliers=size * random.normal(size=problem.n_rows))
        assert LagrangianBound.suits(problem)
        bounder = in_turns(problem, past)
        bounds = [bounder.run(start, 0.05)[0] for _ in range(2)]
        assert bounds == sorted(bounds)
        assert -np.inf < bounds[-1] <= optimum + 1e-9


@pytest.mark.parametrize("seed", range(2))
def test_rounds_come_to_the_bound_of_the_best_multipliers(seed):
    """Beside the optimum there is a duality gap, at most what one of the blocks makes."""
    problem = shared_budget(seed, alike=True)
    optimum, start = exact_optimum(problem), search(problem, iteration_limit=20).incumbent
    bounder = in_turns(problem)
    first = bounder.run(start, 0.05)[0]
    for _ in range(8):
        last, point = bounder.run(start, 0.1)
    assert point is None or point.objective >= optimum - 1e-6
    gap = optimum - last
    assert gap <= max(0.3 * (optimum - first), 0.02 * abs(optimum))


def test_blocks_that_are_alike_are_bounded_once():
    problem = shared_budget(0, alike=True)
    start = search(problem, iteration_limit=20).incumbent
    for given, count in ((problem, 1), (shared_budget(0, alike=False), BLOCKS)):
        bounder = LagrangianBound(given, Options(), start)
        bounder.step()
        assert len(bounder._distinct) == count
    dearer = problem.cost.copy()
    dearer[INPUTS + 1] += 0.1
    bounder = LagrangianBound(replace(problem, cost=dearer), Options(), start)
    bounder.step()
    assert len(bounder._distinct) == 2


class NothingProven:
    """Stands for HiGHS on a block, which it ends at once, but for the third one."""

    def __init__(self, block):
        self.block, block.is_solved = block, False

    def step(self):
        self.block.is_solved = self.block.numbers != [2]
        return Report(())

    def close(self):
        pass

    pause = resume = close


def test_at_the_same_multipliers_only_blocks_that_are_open_are_taken_up_again(monkeypatch):
    problem, begun = shared_budget(0, alike=False), []

    def proof(block, *_):
        begun.append(block.numbers[0])
        return NothingProven(block)

    monkeypatch.setattr(_BoundedBlock, "proof", proof)
    monkeypatch.setattr(_BoundedBlock, "take", lambda *_: -np.inf)
    bounder = LagrangianBound(problem, Options(), search(problem, iteration_limit=20).incumbent)
    FakeClock.installed(monkeypatch, tick=0.1)
    for _ in range(80):
        bounder.step()
    assert begun[:BLOCKS] == [*range(BLOCKS)]
    assert set(begun[BLOCKS:]) == {2}


def test_what_does_not_fall_apart_has_no_such_bound():
    assert not LagrangianBound.suits(random_problem("window", 3))
    problem = shared_budget(0, alike=True)
    quadratic = sparse.csr_array(np.eye(problem.n_columns))
    assert not LagrangianBound.suits(replace(problem, quadratic=quadratic))


def test_an_exact_solve_bounds_blocks(monkeypatch):
    """Also by this alone, without a point to begin with."""
    problem = shared_budget(0, alike=True)
    assert Portfolio().routes_for(problem)[-1] is Route.BLOCKS
    monkeypatch.setattr(Searches, "step", lambda _: Report())
    bounds: list[float] = []

    def is_enough(progress):
        bounds.append(progress.bound)
        return len(set(bounds)) > 3

    portfolio = Portfolio((Route.BLOCKS,), owed_seconds=0.0)
    result = solve_exactly(problem, time_limit=30.0, portfolio=portfolio, callback=is_enough)
    assert result.routes == (Route.BLOCKS,)
    assert bounds[0] < result.bound <= exact_optimum(problem) + 1e-9


def test_bounds_of_blocks_go_on_at_the_multipliers_of_the_search(monkeypatch):
    problem = shared_budget(0, alike=True)
    team = Team(problem, Options(), Portfolio(), Clock(10.0))
    team._searches._present._past.multipliers = given = np.where(np.isinf(problem.row_lower), -1.0, 1.0)
    team._open(Route.BLOCKS)
    (blocks,) = [runner._prover for runner in team._runners]
    tried = []
    for block in blocks._distinct:
        block.is_solved = True
    monkeypatch.setattr(blocks, "_round", lambda places, bounds, duals, seconds: iter(tried.append(duals) or ()))
    blocks.step()
    blocks.step()
    assert not tried[0].any()
    assert np.array_equal(tried[1], given[blocks._lagrangian.links])


# --- a proof in turns ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("family", "seed"), [("window", 3), ("equality", 4), ("integer", 4), ("chained", 7)])
def test_a_proof_in_turns_goes_on_where_it_ended(family, seed):
    problem = random_problem(family, seed)
    start = search(problem, iteration_limit=30).incumbent
    optimum = exact_optimum(problem)
    made = []

    def make(point):
        made.append(SearchTree(problem, Options(relative_gap=1e-6, absolute_gap=1e-6), point))
        return made[-1]

    turns, bounds = ProofInTurns(make), []
    while turns.is_open and len(bounds) < 1000:
        bounds.append(turns.run(start, 0.1)[0])
        assert bounds[-1] <= optimum + 1e-5 * (1 + abs(optimum))
    assert len(made) == 1
    assert bounds == sorted(bounds)
    assert bounds[-1] == pytest.approx(optimum, rel=1e-5, abs=1e-5)


def test_a_proof_whose_first_step_takes_far_longer_does_not_begin():
    problem = random_problem("window", 3)
    tree = SearchTree(problem, Options())
    turns = ProofInTurns(lambda start: tree)
    bound, point = turns.run(search(problem, iteration_limit=5).incumbent, tree.first_seconds / 100)
    assert (bound, point, turns.is_open, tree.nodes) == (-np.inf, None, False, 0)


# --- bounds of whole objectives -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("cost", "integers", "constant", "bound", "rounded"),
    [
        ([1.0, -2.0, 0.0], [1, 1, 0], 0.0, -9.23, -9.0),
        ([1.0, -2.0, 0.0], [1, 1, 0], 0.5, -9.23, -8.5),
        ([0.5, 1.5, 0.0], [1, 1, 0], 0.0, 2.2, 2.5),
        ([1.0, 1.0, 0.0], [1, 1, 0], 0.0, 3.0 + 1e-7, 3.0 + 1e-7),  # rounding aside it is 3
        ([1.0, 1.0, 0.0], [1, 1, 0], 0.0, 100.0 + 2e-5, 100.0 + 2e-5),  # solvers' tolerances aside it is 100
        ([1e-3, 2e-3, 0.0], [1, 1, 0], 0.0, 1.0 + 1e-6, 1.0 + 1e-6),
        ([1e-3, 2e-3, 0.0], [1, 1, 0], 0.0, 1.0001, 1.001),
        ([1e-7, 2e-7, 0.0], [1, 1, 0], 0.0, 1.0 + 1.5e-7, 1.0 + 1.5e-7),  # steps are smaller than tolerances
        ([1.0, 1.3, 0.0], [1, 1, 0], 0.0, 2.2, 2.2),
        ([1.0, 1.0, 1.0], [1, 1, 0], 0.0, 2.2, 2.2),
        ([0.0, 0.0, 0.0], [1, 1, 0], 1.0, 0.2, 0.2),
        ([1.0, 1.0, 0.0], [1, 1, 0], 0.0, -np.inf, -np.inf),
        ([1.0, 1.0, 0.0], [1, 1, 0], 0.0, np.inf, np.inf),
    ],
)
def test_bounds_are_rounded_up_to_a_value_that_the_objective_can_have(cost, integers, constant, bound, rounded):
    problem = Problem(
        np.array(cost), np.zeros(3), np.full(3, 5.0), integers=np.array(integers, bool), constant=constant
    )
    assert rounded_up(problem, bound) == pytest.approx(rounded, abs=1e-12)
    quadratic = replace(problem, quadratic=sparse.csr_array(np.eye(3)))
    assert rounded_up(quadratic, bound) == bound


def test_a_rounded_bound_ends_a_run():
    class Counts(Worker):
        """One worse than the best, a bound between the two."""

        def step(self):
            return Report((problem.incumbent(np.array([1.0, 0.0])),), bound=0.2)

    problem = Problem(np.ones(2), np.zeros(2), np.ones(2), integers=np.ones(2, bool))
    result = Driver(problem, Options(), Clock(10.0)).run(Counts())
    assert (result.stop, result.bound) == (Stop.OPTIMAL, 1.0)


@pytest.mark.parametrize("price", [0.5, 2.0, 1e4])
def test_the_bound_at_multipliers_holds_for_columns_of_no_block_and_points_within_the_tolerance(price):
    """A column that buys budget at a cost of one: worth it, or not."""
    own = shared_budget(0, alike=False)
    more = np.zeros((own.n_rows, 1))
    more[0] = -1.0
    problem = replace(
        own,
        cost=np.r_[own.cost, 1.0],
        lower=np.r_[own.lower, -0.5],
        upper=np.r_[own.upper, 2.0],
        integers=np.r_[own.integers, False],
        rows=sparse.hstack([own.rows, more], format="csr"),
    )
    lagrangian, duals = Lagrangian(problem), np.array([-price, 0.0])
    assert not lagrangian.in_block[-1]
    bought = min((1.0 - price) * t for t in (-0.5, 2.0))
    expected = -price * (own.row_upper[0] + FEASIBILITY_TOLERANCE) + bought + own.constant
    assert expected - 1e-6 * (1.0 + abs(expected)) <= lagrangian.bound(duals, 0.0) <= expected
