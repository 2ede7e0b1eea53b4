"""Limits that hold inside every step: the deadline around a run, and who looks at it."""

from dataclasses import replace

import numpy as np
import pytest
from fake_clock import FakeClock
from milp_oracle import exact_optimum
from random_models import random_network, random_problem
from scipy import sparse

from pyomo_relugrad import deadline
from pyomo_relugrad.deadline import OutOfTime
from pyomo_relugrad.network import crown_bounds
from pyomo_relugrad.network.bounds.relaxation import CHUNK_ENTRIES
from pyomo_relugrad.problem import EmbeddedNetwork, Problem, ReducedObjective, bound_problem
from pyomo_relugrad.problem.presolve.chains import compose_chains
from pyomo_relugrad.problem.presolve.row_tightening import RowTightening
from pyomo_relugrad.programs import LinearProgram, build_big_m
from pyomo_relugrad.programs.linear_program import SHORTEST_LIMIT
from pyomo_relugrad.proof import SearchTree, prove, prove_by_milp
from pyomo_relugrad.proof.boxes.program_bounder import ProgramBounder
from pyomo_relugrad.proof.root_bound import dual_bound
from pyomo_relugrad.run import Options, Stop
from pyomo_relugrad.search.regions.facets import FacetProgram
from pyomo_relugrad.search.regions.layout import layout_of
from pyomo_relugrad.search.regions.region import Region
from pyomo_relugrad.solve import search, solve_exactly


def chain(length: int = 3) -> Problem:
    """One network after another, x -> y1 -> y2 -> ...; each has another input of its own."""
    network = random_network(np.random.default_rng(0), (2, 6, 6, 1))
    columns = np.arange(length)
    networks = tuple(
        EmbeddedNetwork(network, [0 if i == 0 else length + i, 1 + i], [length + 1 + i]) for i in range(length)
    )
    free = np.full(length, np.inf)
    rows = sparse.csr_array(np.ones((1, 2 * length + 1)) * (np.arange(2 * length + 1) <= length))
    return Problem(
        np.r_[np.zeros(length + 1), np.ones(columns.size)],
        np.r_[np.full(length + 1, -1.0), -free],
        np.r_[np.full(length + 1, 1.0), free],
        rows,
        np.array([-np.inf]),
        np.array([1.0]),
        networks=networks,
    )


# --- the deadline -------------------------------------------------------------------------------------------------


def test_of_nested_limits_the_earliest_counts(monkeypatch):
    clock = FakeClock.installed(monkeypatch)
    assert deadline.remaining() == np.inf
    with deadline.time_limit(10.0):
        with deadline.time_limit(60.0):
            assert deadline.remaining() == pytest.approx(10.0)
        with deadline.time_limit(2.0):
            clock.now += 3.0
            assert deadline.remaining() == 0.0
            with pytest.raises(OutOfTime):
                deadline.checkpoint()
        deadline.checkpoint()
        assert deadline.remaining() == pytest.approx(7.0)
    assert deadline.remaining() == np.inf
    deadline.checkpoint()


def test_a_limit_ends_with_its_block_also_after_an_error():
    with pytest.raises(ZeroDivisionError), deadline.time_limit(1.0):
        raise ZeroDivisionError
    assert deadline.remaining() == np.inf


# --- HiGHS --------------------------------------------------------------------------------------------------------


def set_limit(program: LinearProgram) -> float:
    return program._highs.getOptionValue("time_limit")[1]


def test_the_limit_of_a_mixed_integer_program_is_what_was_asked_at_every_solve():
    """HiGHS counts it from the start of each run."""
    program = LinearProgram(
        np.full(3, -1.0), np.zeros(3), np.ones(3), np.ones((1, 3)), None, np.full(1, 1.5), np.ones(3)
    )
    for asked in (7.0, 7.0, 3.0):
        assert program.solve(asked).is_optimal
        assert set_limit(program) == asked


@pytest.mark.parametrize("quadratic", [None, sparse.csr_array(np.eye(3))])
def test_the_limit_of_other_programs_is_on_a_clock_that_runs_on(quadratic):
    program = LinearProgram(
        np.full(3, -1.0), np.zeros(3), np.ones(3), np.ones((1, 3)), None, np.full(1, 1.5), quadratic=quadratic
    )
    for asked in (7.0, 7.0, 3.0):
        before = program._highs.getRunTime()
        assert program.solve(asked).is_optimal
        assert set_limit(program) == pytest.approx(before + asked)


def test_a_program_has_no_more_time_than_the_deadline_leaves(monkeypatch):
    clock = FakeClock.installed(monkeypatch)
    program = LinearProgram(np.full(2, -1.0), np.zeros(2), np.ones(2), integers=np.ones(2))
    with deadline.time_limit(5.0):
        program.solve(60.0)
        assert set_limit(program) == pytest.approx(5.0)
        clock.now += 4.0
        program.solve()
        assert set_limit(program) == pytest.approx(1.0)
        clock.now += 4.0
        program.solve()
        assert set_limit(program) == SHORTEST_LIMIT


# --- steps --------------------------------------------------------------------------------------------------------


def walk_over_facets(problem: Problem) -> None:
    objective = ReducedObjective(problem)
    region = Region.at(objective, np.zeros(objective.size))
    program = FacetProgram(layout_of(objective), *(side[objective.columns] for side in (problem.lower, problem.upper)))
    program._add_all_facets(region)


STEPS = {
    "CROWN": lambda problem: crown_bounds(problem.networks[0].network, -np.ones((1, 2)), np.ones((1, 2))),
    "slopes": lambda problem: crown_bounds(
        problem.networks[0].network, -np.ones((1, 2)), np.ones((1, 2)), slope_steps=1
    ),
    "joining": compose_chains,
    "row tightening": lambda problem: RowTightening(problem)(problem.lower[None], problem.upper[None]),
    "big-M bounds": bound_problem,
    "root bound": dual_bound,
    "facets": walk_over_facets,
}


@pytest.mark.parametrize("step", STEPS)
def test_every_long_step_looks_at_the_deadline(step):
    problem = chain()
    STEPS[step](problem)
    with pytest.raises(OutOfTime), deadline.time_limit(0.0):
        STEPS[step](problem)


def looks(monkeypatch: pytest.MonkeyPatch, module: str) -> list[None]:
    """Grows at every checkpoint of a module."""
    seen: list[None] = []
    monkeypatch.setattr(f"pyomo_relugrad.{module}.checkpoint", lambda: seen.append(None))
    return seen


def test_joining_looks_at_the_deadline_for_every_network_that_is_joined(monkeypatch):
    seen = looks(monkeypatch, "network.building.composition")
    compose_chains(chain(5))
    assert len(seen) == 2 + 3 + 4 + 5


def test_crown_looks_at_the_deadline_in_every_chunk_of_neurons(monkeypatch):
    seen, width = looks(monkeypatch, "network.bounds.relaxation"), 1000
    network = random_network(np.random.default_rng(0), (200, width, width, 1))  # too many inputs for one product
    crown_bounds(network, -np.ones((1, 200)), np.ones((1, 200)))
    assert len(seen) > 2 + width // (CHUNK_ENTRIES // width)


def test_the_mixed_integer_model_is_built_layer_by_layer(monkeypatch):
    seen, problem = looks(monkeypatch, "programs.big_m"), chain(4)
    build_big_m(problem, bound_problem(problem))
    assert len(seen) == 4 * 2


def test_bounding_nodes_looks_at_the_deadline_for_every_node(monkeypatch):
    problem = compose_chains(chain()).problem
    bounder = ProgramBounder(problem)
    seen = looks(monkeypatch, "proof.boxes.node_program")
    root = bounder.root()
    assert len(seen) == 4  # the inputs that vary
    bounder(root, np.inf)
    assert len(seen) > 4


# --- proofs and searches ------------------------------------------------------------------------------------------


def test_a_step_that_is_given_up_leaves_the_bound_valid():
    problem = random_problem("window", 3)
    tree = SearchTree(problem, Options(relative_gap=0.0, absolute_gap=0.0))
    steps = tree.steps()
    for _ in range(2):
        next(steps)
    before = tree.bound
    with pytest.raises(OutOfTime), deadline.time_limit(0.0):
        next(steps)
    assert tree.bound <= before + 1e-9
    assert tree.conclusion() is None
    assert tree.bound <= exact_optimum(problem)


@pytest.mark.parametrize("proof", [prove, prove_by_milp])
def test_a_proof_without_time_ends_with_nothing_proven(proof):
    problem = chain()
    start = problem.incumbent(np.zeros(problem.n_columns))
    result = proof(problem, start=start, time_limit=0.0)
    assert (result.stop, result.bound, result.incumbent) == (Stop.TIME_LIMIT, -np.inf, start)


def test_branch_and_bound_does_not_begin_what_would_outlast_the_time(monkeypatch):
    problem = chain()
    monkeypatch.setattr("pyomo_relugrad.proof.boxes.tree.bound_seconds", lambda *_: 100.0)
    assert prove(problem, time_limit=99.0).stop is Stop.TIME_LIMIT
    assert prove(problem, time_limit=1e6).stop is Stop.OPTIMAL


@pytest.mark.parametrize("solve", [search, solve_exactly])
def test_a_deadline_inside_a_step_ends_a_solve_and_keeps_what_was_found(solve, monkeypatch):
    """The clock jumps behind the limit while a point is evaluated."""
    problem = random_problem("integer", 1)
    start = problem.incumbent(exact_point(problem))
    clock = FakeClock.installed(monkeypatch, tick=1e-6)
    seen = []

    def callback(progress):
        seen.append(progress)
        clock.now += 25.0

    result = solve(problem, start=start.values, time_limit=20.0, callback=callback)
    assert result.stop is Stop.TIME_LIMIT
    assert result.incumbent.objective <= start.objective
    assert len(seen) <= 8


def exact_point(problem: Problem) -> np.ndarray:
    return solve_exactly(replace(problem)).incumbent.values


def test_the_deadline_does_not_outlive_a_solve():
    problem = random_problem("window", 0)
    search(problem, iteration_limit=2, time_limit=50.0)
    prove(problem, node_limit=1, time_limit=50.0)
    assert deadline.remaining() == np.inf
