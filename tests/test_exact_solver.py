"""`SolverFactory('relugrad.exact')`: proven results, options and errors, in the legacy and the new interface."""

import io
import os
from pathlib import Path

import numpy as np
import pyomo.environ as pyo
import pytest
from interruption import output_after_interrupt
from omlt import OmltBlock
from omlt.neuralnet import NetworkDefinition, ReluBigMFormulation
from omlt.neuralnet.layer import DenseLayer, InputLayer
from omlt_oracle import proven_optimum
from pyomo.contrib.solver.common.factory import SolverFactory as NewSolverFactory
from pyomo.contrib.solver.common.results import SolutionStatus, TerminationCondition
from pyomo.contrib.solver.common.util import NoOptimalSolutionError
from pyomo.opt import SolverStatus, check_available_solvers
from pyomo.opt import TerminationCondition as LegacyTermination
from random_models import as_pyomo, random_network, random_problem
from small_models import knapsack

from pyomo_relugrad.errors import ModelError
from pyomo_relugrad.modeling.block import ReluNetworkBlock


def surrogate(sizes: tuple[int, ...] = (3, 8, 8, 1), demand: float | None = None) -> pyo.ConcreteModel:
    """Maximize a network's output over [-1, 1]^n, at least `demand`."""
    model = pyo.ConcreteModel()
    model.x = pyo.Var(range(sizes[0]), bounds=(-1, 1))
    model.nn = ReluNetworkBlock(network=random_network(np.random.default_rng(1), sizes), inputs=model.x)
    if demand is not None:
        model.demand = pyo.Constraint(expr=model.nn.outputs[0] >= demand)
    model.goal = pyo.Objective(expr=model.nn.outputs[0], sense=pyo.maximize)
    return model


def omlt_surrogate(sizes: tuple[int, ...] = (3, 8, 8, 1)) -> pyo.ConcreteModel:
    """The same as `surrogate`, in an OmltBlock."""
    network = random_network(np.random.default_rng(1), sizes)
    definition = NetworkDefinition(scaled_input_bounds=dict.fromkeys(range(sizes[0]), (-1, 1)))
    previous = InputLayer([sizes[0]])
    definition.add_layer(previous)
    for layer in network.layers:
        activation = "linear" if layer is network.layers[-1] else "relu"
        weight = layer.weights[0].T
        dense = DenseLayer([weight.shape[0]], [weight.shape[1]], weight, layer.bias, activation=activation)
        definition.add_layer(dense)
        definition.add_edge(previous, dense)
        previous = dense
    model = pyo.ConcreteModel()
    model.nn = OmltBlock()
    model.nn.build_formulation(ReluBigMFormulation(definition))
    model.goal = pyo.Objective(expr=model.nn.outputs[0], sense=pyo.maximize)
    return model


HARD = (8, 40, 40, 1)


# --- proven results -----------------------------------------------------------------------------------------------


def test_both_factories_know_the_solver() -> None:
    assert check_available_solvers("relugrad.exact") == ["relugrad.exact"]
    legacy, new = pyo.SolverFactory("relugrad.exact"), NewSolverFactory("relugrad.exact")
    assert legacy.available()
    assert legacy.warm_start_capable()
    assert new.name == "relugrad.exact"


@pytest.mark.parametrize(("family", "seed"), [("window", 3), ("equality", 0), ("integer", 2), ("chained", 2)])
def test_legacy_results_are_optimal_and_equal_those_of_omlt_and_highs(family: str, seed: int) -> None:
    problem = random_problem(family, seed)
    model = as_pyomo(problem)
    results = pyo.SolverFactory("relugrad.exact").solve(model, rel_gap=1e-6, time_limit=60)
    pyo.assert_optimal_termination(results)
    assert results.solver.status == SolverStatus.ok
    optimum = problem.reported(proven_optimum(problem))
    tolerance = 3e-6 * (1 + abs(optimum))
    assert pyo.value(model.objective) == pytest.approx(optimum, abs=tolerance)
    assert results.problem.lower_bound == pytest.approx(optimum, abs=tolerance)
    assert results.problem.upper_bound == pytest.approx(optimum, abs=tolerance)
    assert results.solver.name == "relugrad.exact"


def test_new_results_are_optimal() -> None:
    model = surrogate()
    results = NewSolverFactory("relugrad.exact").solve(model)
    pyo.assert_optimal_termination(results)
    assert results.solution_status == SolutionStatus.optimal
    assert results.termination_condition == TerminationCondition.convergenceCriteriaSatisfied
    assert 0 <= results.objective_bound - results.incumbent_objective <= 1e-4 * abs(results.incumbent_objective) + 1e-6
    assert pyo.value(model.goal) == pytest.approx(results.incumbent_objective)
    assert results.extra_info.nodes > 0
    assert model.nn.get_error() <= 1e-6


@pytest.mark.parametrize("width", [1e-4, 1e-6])
def test_a_quadratic_program_over_a_narrow_box(width: float) -> None:
    m = pyo.ConcreteModel()
    m.x = pyo.Var(bounds=(0, width))
    m.o = pyo.Objective(expr=(m.x / width - 0.3) ** 2)
    results = pyo.SolverFactory("relugrad.exact").solve(m)
    assert results.solver.termination_condition == LegacyTermination.optimal
    assert pyo.value(m.o) == pytest.approx(0.0, abs=1e-4)


def test_a_milp_without_networks() -> None:
    model = knapsack()
    results = pyo.SolverFactory("relugrad.exact").solve(model, load_solutions=False)
    assert results.solver.termination_condition == LegacyTermination.optimal
    assert str(results.solution[0].status) == "optimal"
    model.solutions.load_from(results)
    assert (model.x.value, model.n.value) == (pytest.approx(0.25), 7)
    assert results.problem.upper_bound == pytest.approx(7.25)


def test_an_omlt_block_is_solved_and_filled() -> None:
    reference = surrogate()
    pyo.SolverFactory("relugrad.exact").solve(reference, rel_gap=1e-6)
    model = omlt_surrogate()
    results = pyo.SolverFactory("relugrad.exact").solve(model, rel_gap=1e-6)
    pyo.assert_optimal_termination(results)
    assert pyo.value(model.goal) == pytest.approx(pyo.value(reference.goal), abs=1e-4)
    for constraint in model.component_data_objects(pyo.Constraint, active=True):
        assert constraint.slack() >= -1e-6


# --- no optimum ---------------------------------------------------------------------------------------------------


def test_infeasible_models_are_proven_so_and_keep_their_values() -> None:
    model = surrogate(demand=100.0)
    model.x[0].set_value(0.5)
    results = pyo.SolverFactory("relugrad.exact").solve(model)
    assert results.solver.termination_condition == LegacyTermination.infeasible
    assert (model.x[0].value, model.x[1].value) == (0.5, None)
    with pytest.raises(NoOptimalSolutionError, match=r"relugrad\.exact found no feasible point: provenInfeasible"):
        NewSolverFactory("relugrad.exact").solve(model)


def test_infeasibility_that_only_a_proof_finds() -> None:
    model = surrogate()
    best = NewSolverFactory("relugrad.exact").solve(model, rel_gap=1e-6).objective_bound
    results = pyo.SolverFactory("relugrad.exact").solve(surrogate(demand=best + 1e-3))
    assert results.solver.termination_condition == LegacyTermination.infeasible


def test_an_unbounded_objective_is_reported() -> None:
    model = pyo.ConcreteModel()
    model.x = pyo.Var(domain=pyo.NonNegativeReals)
    model.up = pyo.Objective(expr=model.x, sense=pyo.maximize)
    results = pyo.SolverFactory("relugrad.exact").solve(model)
    assert results.solver.termination_condition == LegacyTermination.unbounded


def test_a_time_limit_is_no_proof() -> None:
    model = surrogate(HARD)
    results = pyo.SolverFactory("relugrad.exact").solve(model, time_limit=0.5, rel_gap=0)
    assert results.solver.termination_condition == LegacyTermination.maxTimeLimit
    assert not pyo.check_optimal_termination(results)
    assert results.problem.lower_bound == pytest.approx(pyo.value(model.goal))
    assert pyo.value(model.goal) < results.problem.upper_bound < np.inf
    new = NewSolverFactory("relugrad.exact").solve(surrogate(HARD), time_limit=0.5, rel_gap=0)
    assert new.solution_status == SolutionStatus.feasible
    assert new.termination_condition == TerminationCondition.maxTimeLimit


# --- Ctrl-C and the callback --------------------------------------------------------------------------------------


def test_the_callback_sees_bound_and_nodes_and_ends_the_solve() -> None:
    seen = []

    def callback(progress: object) -> bool:
        seen.append((progress.bound, progress.nodes))
        return progress.nodes > 100

    results = NewSolverFactory("relugrad.exact").solve(surrogate(HARD), callback=callback, rel_gap=0)
    assert results.termination_condition == TerminationCondition.interrupted
    assert results.objective_bound == seen[-1][0]
    assert seen[0] == (np.inf, 0)
    assert seen[-1][1] > 100


INTERRUPTED = """
import sys
sys.path.insert(0, {tests!r})
import pyomo.environ as pyo
from test_exact_solver import HARD, surrogate
model = surrogate(HARD)
said = []
def callback(progress):
    if progress.nodes and not said:
        said.append(print("proving", flush=True))
results = pyo.SolverFactory("relugrad.exact").solve(model, time_limit=90, rel_gap=0, callback=callback)
found, bound = pyo.value(model.goal), results.problem.upper_bound
print(results.solver.termination_condition, found <= bound < float("inf"), results.solver.wallclock_time < 40)
"""


@pytest.mark.skipif(os.name == "nt", reason="signals are sent in another way")
def test_ctrl_c_returns_the_best_point_and_the_bound() -> None:
    assert output_after_interrupt(INTERRUPTED, "proving", timeout=80) == "resourceInterrupt True True\n"


# --- options and log ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["rel_gap", "mip_rel_gap", "mipgap", "MIPGap"])
def test_the_gap_has_the_names_that_mip_users_know(name: str) -> None:
    results = NewSolverFactory("relugrad.exact").solve(surrogate(HARD), time_limit=60, options={name: 0.9})
    assert results.solution_status == SolutionStatus.optimal
    assert results.solver_config.rel_gap == 0.9
    with pytest.raises(ModelError, match=rf"unknown option '{name}' of solver 'relugrad': .*exact' takes rel_gap"):
        NewSolverFactory("relugrad").solve(knapsack(), options={name: 0.5})


def test_an_absolute_gap_is_enough() -> None:
    results = NewSolverFactory("relugrad.exact").solve(surrogate(HARD), time_limit=60, mip_abs_gap=1e3)
    assert results.solution_status == SolutionStatus.optimal


def test_an_unknown_option_is_an_error_that_lists_the_known_ones() -> None:
    for factory in (pyo.SolverFactory, NewSolverFactory):
        with pytest.raises(
            ModelError, match=r"unknown option 'gap' of solver 'relugrad\.exact'.*: give one of abs_gap, bounds"
        ):
            factory("relugrad.exact").solve(knapsack(), gap=1)


def test_options_with_bad_values_are_named() -> None:
    with pytest.raises(ValueError, match="bounds"):
        pyo.SolverFactory("relugrad.exact").solve(knapsack(), bounds="magic")
    with pytest.raises(ValueError, match="rel_gap"):
        pyo.SolverFactory("relugrad.exact").solve(knapsack(), rel_gap=-1)
    model = surrogate((40, 8, 1))
    with pytest.raises(ModelError, match="HiGHS does not take the option mip_magic = 1: give"):
        pyo.SolverFactory("relugrad.exact").solve(model, highs_options={"mip_magic": 1})


def test_the_log_tells_bound_gap_and_nodes(tmp_path: Path) -> None:
    stream = io.StringIO()
    results = pyo.SolverFactory("relugrad.exact").solve(
        surrogate(), tee=stream, logfile=str(tmp_path / "log"), seed=3, rel_gap=1e-5
    )
    log = stream.getvalue()
    assert log == (tmp_path / "log").read_text()
    assert ": search and proof over trained ReLU networks\n" in log
    assert "Search   method auto, seed 3, relative gap 1e-05\n" in log
    assert "Points      Nodes         Incumbent           Bound      Gap" in log
    assert "Ended    optimal after" in log
    assert f"{results.extra_info['nodes']} nodes bounded by " in log
    assert f"Bound    {results.problem.upper_bound:.8g}, gap 0.00%\n" in log
    assert max(len(line) for line in log.split("\n")) <= 100


def test_a_warm_start_is_an_incumbent_at_once() -> None:
    model = surrogate()
    pyo.SolverFactory("relugrad.exact").solve(model, rel_gap=1e-6)
    best, seen = pyo.value(model.goal), []
    pyo.SolverFactory("relugrad.exact").solve(model, warmstart=True, callback=lambda p: seen.append(p.objective))
    assert seen[0] == pytest.approx(best)


@pytest.mark.parametrize("name", ["rel_gap", "abs_gap"])
def test_gaps_that_are_no_numbers_are_refused(name) -> None:
    with pytest.raises(ModelError, match="gap is nan: give a number of 0 or more"):
        pyo.SolverFactory("relugrad.exact").solve(surrogate(HARD), time_limit=1, **{name: float("nan")})
