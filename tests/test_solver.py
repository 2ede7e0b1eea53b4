"""`SolverFactory('relugrad')`: results, options and errors, in the legacy and the new interface."""

import copy
import io
import json
import logging
import os
import pickle
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyomo.environ as pyo
import pytest
from interruption import output_after_interrupt
from pyomo.common.timing import HierarchicalTimer
from pyomo.contrib.solver.common.factory import SolverFactory as NewSolverFactory
from pyomo.contrib.solver.common.results import SolutionStatus, TerminationCondition
from pyomo.contrib.solver.common.util import (
    NoDualsError,
    NoFeasibleSolutionError,
    NoOptimalSolutionError,
    NoReducedCostsError,
    NoSolutionError,
)
from pyomo.opt import SolverStatus, check_available_solvers
from pyomo.opt import TerminationCondition as LegacyTermination
from scripted_method import Scripted
from small_models import knapsack

from pyomo_relugrad import Network
from pyomo_relugrad.errors import ModelError
from pyomo_relugrad.modeling.block import ReluNetworkBlock
from pyomo_relugrad.modeling.solver import SolveProgress
from pyomo_relugrad.problem import Incumbent, Problem
from pyomo_relugrad.run import SearchContext, Stop


def contradiction() -> pyo.ConcreteModel:
    """No point: n is an integer between 0.25 and 0.75. Only the relaxation has solutions."""
    model = knapsack()
    model.between = pyo.Constraint(expr=(0.5, 2 * model.n, 1.5))
    return model


def tent() -> pyo.ConcreteModel:
    """Minimize the network |x - 1| over [-3, 3], with y <= 5 - x as a row: optimum 0 at x = 1."""
    network = Network.from_layers([[[1.0], [-1.0]], [[1.0, 1.0]]], [[-1.0, 1.0], [0.0]], name="tent")
    model = pyo.ConcreteModel()
    model.x = pyo.Var(bounds=(-3, 3), initialize=2.5)
    model.nn = ReluNetworkBlock(network=network, inputs=[model.x])
    model.row = pyo.Constraint(expr=model.nn.outputs[0] + model.x <= 5)
    model.distance = pyo.Objective(expr=model.nn.outputs[0] + 10)
    return model


def values(model: pyo.ConcreteModel) -> list[float | None]:
    return [var.value for var in model.component_data_objects(pyo.Var)]


# --- methods with a known course, in place of a search ------------------------------------------------------------


def endless(problem: Problem, context: SearchContext) -> Iterator[Incumbent | None]:
    """Yield the lower bounds, which are feasible in `knapsack`, then signs of life until the budget is exhausted."""
    yield problem.incumbent(problem.lower)
    while not context.budget.is_exhausted():
        context.budget.count(points=3)
        yield None


def rising(problem: Problem, context: SearchContext) -> Iterator[Incumbent | None]:
    """Yield n = 0, 1, ..., 6 in `knapsack`."""
    for n in range(7):
        context.budget.count(points=2)
        yield problem.incumbent(np.array([0.0, n]))


def unfeasible(problem: Problem, context: SearchContext) -> Iterator[Incumbent | None]:
    """Yield the upper bounds, which violate the row of `knapsack` by 5.5."""
    yield problem.incumbent(problem.upper)


# --- results ------------------------------------------------------------------------------------------------------


def test_both_factories_know_the_solver() -> None:
    assert check_available_solvers("relugrad") == ["relugrad"]
    legacy = pyo.SolverFactory("relugrad")
    assert legacy.available()
    assert legacy.license_is_valid()
    assert legacy.warm_start_capable()
    new = NewSolverFactory("relugrad")
    assert new.available()
    assert new.version() == legacy.version()
    assert new.name == "relugrad"


def test_legacy_results_are_feasible_and_never_optimal() -> None:
    model = knapsack()
    results = pyo.SolverFactory("relugrad").solve(model)
    assert results.solver.status == SolverStatus.ok
    assert results.solver.termination_condition == LegacyTermination.feasible
    assert not pyo.check_optimal_termination(results)
    assert pyo.value(model.profit) == pytest.approx(7.25)
    assert model.n.value == 7
    assert (results.problem.lower_bound, results.problem.upper_bound) == (pytest.approx(7.25), pytest.approx(7.25))
    assert results.problem.number_of_variables == 2
    assert results.problem.number_of_constraints == 1
    assert results.solver.wallclock_time > 0
    assert len(results.solution) == 0


def test_classic_results_are_whole_whichever_way_they_are_looked_at_first() -> None:
    results = pyo.SolverFactory("relugrad").solve(knapsack())
    assert [len(copy.deepcopy(results)[name]) for name in ("Problem", "Solver", "Solution")] == [1, 1, 0]
    assert copy.deepcopy(results.solver) == copy.deepcopy(results).solver
    assert "Termination condition: feasible" in str(copy.deepcopy(results))
    assert copy.deepcopy(results).json_repn()["Problem"][0]["Number of variables"] == 2
    assert pickle.loads(pickle.dumps(results.problem))[0].sense == pyo.maximize
    results.solver.message = "ours"
    assert results.solver[0].message == "ours"
    assert "Solution: \n- number of solutions: 0" in str(results)


def test_a_loaded_solution_is_the_models_first_one() -> None:
    model = knapsack()
    pyo.SolverFactory("relugrad").solve(model)
    (solution,) = model.solutions
    assert model.solutions.index == 0
    assert solution.status == "feasible"
    assert solution._entry["variable"] == {id(var): (var, {"Value": var.value}) for var in (model.x, model.n)}


def test_a_loaded_solution_has_the_variables_that_were_fixed() -> None:
    model = knapsack()
    model.n.fix(1)
    pyo.SolverFactory("relugrad").solve(model)
    best = model.x.value
    model.n.unfix()
    model.n.value, model.x.value = 0, 0.0
    model.solutions.select(0)
    assert (model.x.value, model.n.value) == (best, 1)


def test_new_results_are_feasible_and_never_optimal() -> None:
    model = knapsack()
    results = NewSolverFactory("relugrad").solve(model, seed=4)
    assert results.solution_status == SolutionStatus.feasible
    assert results.termination_condition == TerminationCondition.convergenceCriteriaSatisfied
    assert not pyo.check_optimal_termination(results)
    assert results.incumbent_objective == pytest.approx(7.25)
    assert results.objective_bound == pytest.approx(7.25)
    assert pyo.value(model.profit) == pytest.approx(7.25)
    assert results.extra_info.seed == 4
    assert results.extra_info.method == "auto"
    assert results.extra_info.violation <= 1e-6
    assert results.extra_info.history[-1][1] == results.incumbent_objective
    assert "Found" in results.solver_log
    assert results.timing_info.wall_time > 0


def test_a_minimization_has_its_bound_below() -> None:
    model = tent()
    results = pyo.SolverFactory("relugrad").solve(model)
    assert results.problem.lower_bound <= 10
    assert results.problem.upper_bound == pytest.approx(10)
    assert results.problem.sense == pyo.minimize


def test_a_network_is_searched_and_its_outputs_are_loaded() -> None:
    model = tent()
    results = NewSolverFactory("relugrad").solve(model)
    assert results.incumbent_objective == pytest.approx(10)
    assert model.x.value == pytest.approx(1)
    assert model.nn.get_error() <= 1e-9
    assert results.extra_info.network_error <= 1e-9


def test_a_model_without_objective_is_a_search_for_a_feasible_point() -> None:
    model = knapsack()
    model.profit.deactivate()
    results = pyo.SolverFactory("relugrad").solve(model)
    assert results.solver.termination_condition == LegacyTermination.feasible
    assert 2 * model.x.value + model.n.value <= 7.5 + 1e-6


def test_a_part_of_a_model_is_solved_alone() -> None:
    outer = pyo.ConcreteModel()
    outer.part = pyo.Block()
    outer.part.transfer_attributes_from(knapsack())
    outer.other = pyo.Var(initialize=3.0)
    results = pyo.SolverFactory("relugrad").solve(outer.part)
    assert results.solver.termination_condition == LegacyTermination.feasible
    assert pyo.value(outer.part.profit) == pytest.approx(7.25)
    assert outer.other.value == 3.0


@pytest.mark.parametrize(
    ("limit", "new", "legacy"),
    [
        ({"iteration_limit": 5}, TerminationCondition.iterationLimit, LegacyTermination.maxIterations),
        ({"time_limit": 0.01}, TerminationCondition.maxTimeLimit, LegacyTermination.maxTimeLimit),
        ({"timelimit": 0.01}, TerminationCondition.maxTimeLimit, LegacyTermination.maxTimeLimit),
    ],
)
def test_a_search_ended_by_a_limit_loads_its_best_point(limit: dict, new: object, legacy: object) -> None:
    model = knapsack()
    results = NewSolverFactory("relugrad").solve(model, method=Scripted(endless), **limit)
    assert results.termination_condition == new
    assert results.solution_status == SolutionStatus.feasible
    assert values(model) == [0, 0]
    model = knapsack()
    classic = pyo.SolverFactory("relugrad").solve(model, method=Scripted(endless), **limit)
    assert classic.solver.termination_condition == legacy
    assert classic.solver.status == SolverStatus.aborted
    assert values(model) == [0, 0]


def test_work_is_reported() -> None:
    results = NewSolverFactory("relugrad").solve(knapsack(), method=Scripted(endless), iteration_limit=5)
    assert (results.extra_info.points_evaluated, results.extra_info.iterations) == (15, 5)
    results = NewSolverFactory("relugrad").solve(knapsack(), method=Scripted(rising))
    assert [objective for _, objective in results.extra_info.history] == [0, 1, 2, 3, 4, 5, 6]


def test_the_time_limit_covers_the_compilation() -> None:
    given = []

    def note(problem: Problem, context: SearchContext) -> Iterator[Incumbent | None]:
        given.append(context.budget.time_limit)
        yield problem.incumbent(problem.lower)

    results = NewSolverFactory("relugrad").solve(knapsack(), method=Scripted(note), time_limit=100)
    compiling = results.timing_info.timer.get_total_time("compile")
    assert 0 < given[0] <= 100 - compiling
    NewSolverFactory("relugrad").solve(knapsack(), method=Scripted(note), time_limit=0)
    assert given[1] == 0


# --- no feasible point --------------------------------------------------------------------------------------------


def test_without_a_feasible_point_the_legacy_interface_warns(caplog: pytest.LogCaptureFixture) -> None:
    model = knapsack()
    model.x.set_value(0.5)
    results = pyo.SolverFactory("relugrad").solve(model, method=Scripted(unfeasible))
    assert results.solver.status == SolverStatus.warning
    assert results.solver.termination_condition == LegacyTermination.noSolution
    assert values(model) == [0.5, None]
    assert "relugrad found no feasible point: locallyInfeasible" in caplog.text


def test_without_a_feasible_point_the_new_interface_raises() -> None:
    model = knapsack()
    solver = NewSolverFactory("relugrad", method=Scripted(unfeasible))
    with pytest.raises(NoOptimalSolutionError, match=r"no feasible point: locallyInfeasible\. Set raise_exception"):
        solver.solve(model)
    with pytest.raises(NoFeasibleSolutionError, match=r"no feasible point: locallyInfeasible\. Set load_solutions"):
        solver.solve(model, raise_exception_on_nonoptimal_result=False)
    results = solver.solve(model, raise_exception_on_nonoptimal_result=False, load_solutions=False)
    assert results.solution_status == SolutionStatus.noSolution
    assert results.termination_condition == TerminationCondition.locallyInfeasible
    assert results.incumbent_objective is None
    assert results.extra_info.violation == pytest.approx(5.5)
    assert results.solution_loader.get_number_of_solutions() == 0
    assert results.solution_loader.get_solution_ids() == []
    with pytest.raises(NoSolutionError):
        results.solution_loader.load_vars()
    assert values(model) == [None, None]


def test_the_legacy_interface_raises_where_asked_to() -> None:
    with pytest.raises(NoOptimalSolutionError):
        pyo.SolverFactory("relugrad").solve(contradiction(), raise_exception_on_nonoptimal_result=True)


@pytest.mark.parametrize(
    ("stop", "new", "legacy"),
    [
        (Stop.INFEASIBLE, TerminationCondition.provenInfeasible, LegacyTermination.infeasible),
        (Stop.UNBOUNDED, TerminationCondition.unbounded, LegacyTermination.unbounded),
    ],
)
def test_what_the_search_proves_is_reported(stop: Stop, new: object, legacy: object) -> None:
    def proof(problem: Problem, context: SearchContext) -> Iterator[Incumbent | None]:
        context.budget.stop = stop
        yield None

    results = NewSolverFactory("relugrad").solve(
        knapsack(), method=Scripted(proof), raise_exception_on_nonoptimal_result=False, load_solutions=False
    )
    assert (results.termination_condition, results.solution_status) == (new, SolutionStatus.noSolution)
    assert (
        pyo.SolverFactory("relugrad").solve(knapsack(), method=Scripted(proof)).solver.termination_condition == legacy
    )


def test_an_infeasible_linear_part_is_proven() -> None:
    model = knapsack()
    model.impossible = pyo.Constraint(expr=model.x + model.n >= 12)
    results = pyo.SolverFactory("relugrad").solve(model)
    assert results.solver.termination_condition == LegacyTermination.infeasible
    assert values(model) == [None, None]


@pytest.mark.parametrize(
    ("upper", "advice"), [(None, "lack one: 'x'"), (1e25, "counts as unbounded beyond 1e+20, as in HiGHS")]
)
def test_an_unbounded_objective_is_reported(upper, advice, caplog: pytest.LogCaptureFixture) -> None:
    model = pyo.ConcreteModel()
    model.x = pyo.Var(bounds=(0, upper))
    model.up = pyo.Objective(expr=model.x, sense=pyo.maximize)
    results = pyo.SolverFactory("relugrad").solve(model)
    assert results.solver.termination_condition == LegacyTermination.unbounded
    assert advice in caplog.text


def test_an_unbounded_objective_names_the_variables_without_bounds(caplog: pytest.LogCaptureFixture) -> None:
    model = pyo.ConcreteModel()
    model.x = pyo.Var([1, 2], bounds=(0, None))
    model.z = pyo.Var(bounds=(0, 1))
    model.nn = ReluNetworkBlock(network=Network.from_layers([[[1.0, 1.0]], [[1.0]]], [[0.0], [0.0]]), inputs=model.x)
    model.up = pyo.Objective(expr=model.nn.outputs[0] + model.z, sense=pyo.maximize)
    stream = io.StringIO()
    results = pyo.SolverFactory("relugrad").solve(model, tee=stream)
    assert results.solver.termination_condition == LegacyTermination.unbounded
    expected = "the objective is unbounded: give both bounds to the variables that lack one: 'x[1]', 'x[2]'"
    assert [record.getMessage() for record in caplog.records] == [f"relugrad: {expected}"]
    assert expected in stream.getvalue()


def test_an_objective_of_zero_has_no_sign() -> None:
    model = knapsack()
    model.profit.expr = 0 * model.x
    results = pyo.SolverFactory("relugrad").solve(model)
    assert str(results.problem.lower_bound) == "0.0"


def test_a_constant_row_that_fails_is_infeasible_before_any_search(caplog: pytest.LogCaptureFixture) -> None:
    model = knapsack()
    model.x.fix(2)
    model.fixed = pyo.Constraint(expr=model.x <= 1)
    results = NewSolverFactory("relugrad").solve(
        model, raise_exception_on_nonoptimal_result=False, load_solutions=False
    )
    assert results.termination_condition == TerminationCondition.provenInfeasible
    assert "fixed" in results.solver_log
    assert "relugrad: the model is infeasible: constraint 'fixed' cannot hold: 2 <= 1" in caplog.text
    assert pyo.SolverFactory("relugrad").solve(model).solver.termination_condition == LegacyTermination.infeasible


def test_a_model_without_variables_is_empty() -> None:
    model = pyo.ConcreteModel()
    results = NewSolverFactory("relugrad").solve(
        model, raise_exception_on_nonoptimal_result=False, load_solutions=False
    )
    assert results.termination_condition == TerminationCondition.emptyModel
    assert pyo.SolverFactory("relugrad").solve(model).solver.termination_condition == LegacyTermination.noSolution


@pytest.mark.parametrize(("solver", "condition"), [("relugrad", "feasible"), ("relugrad.exact", "optimal")])
def test_a_model_whose_variables_are_fixed_is_a_point(solver: str, condition: str) -> None:
    model = knapsack()
    for variable, number in zip(model.component_data_objects(pyo.Var), (1.5, 2), strict=True):
        variable.fix(number)
    results = pyo.SolverFactory(solver).solve(model)
    assert results.solver.termination_condition == condition
    assert (
        results.problem.lower_bound
        == results.problem.upper_bound
        == pyo.value(next(model.component_data_objects(pyo.Objective)))
    )


def test_a_model_that_cannot_be_handled_keeps_its_values() -> None:
    model = knapsack()
    model.x.set_value(0.5)
    model.cubic = pyo.Constraint(expr=pyo.floor(model.x) <= 1)
    timer = HierarchicalTimer()
    with pytest.raises(ModelError, match="cubic"):
        pyo.SolverFactory("relugrad").solve(model, timer=timer)
    assert values(model) == [0.5, None]
    timer.start("compile")  # the timer was stopped, so that it can start again
    timer.stop("compile")


# --- options ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("factory", [pyo.SolverFactory, NewSolverFactory])
@pytest.mark.parametrize("given", [{"sead": 1}, {"options": {"sead": 1}}, {"solver_options": {"sead": 1}}])
def test_an_unknown_option_is_an_error_that_lists_the_known_ones(factory: object, given: dict) -> None:
    with pytest.raises(
        ModelError, match=r"unknown option 'sead' of solver 'relugrad' .is 'seed' meant.*: give one of callback, .*seed"
    ):
        factory("relugrad").solve(knapsack(), **given)


@pytest.mark.parametrize("factory", [pyo.SolverFactory, NewSolverFactory])
def test_options_of_the_constructor_are_checked_by_the_solve(factory: object) -> None:
    stream = io.StringIO()
    factory("relugrad", timelimit=30).solve(knapsack(), tee=stream)
    assert "time limit 30 s" in stream.getvalue()
    with pytest.raises(ModelError, match="unknown option 'sead'"):
        factory("relugrad", sead=1).solve(knapsack())


@pytest.mark.parametrize("name", ["relugrad", "relugrad.exact"])
def test_what_is_no_model_is_refused(name: str) -> None:
    with pytest.raises(ModelError, match=f"{name} solves Pyomo models and blocks, and was given 3: give"):
        pyo.SolverFactory(name).solve(3)


def test_an_abstract_model_is_refused() -> None:
    model = pyo.AbstractModel()
    model.x = pyo.Var()
    with pytest.raises(ModelError, match=r"model 'unknown' is abstract: solve what its create_instance\(\) returns"):
        pyo.SolverFactory("relugrad").solve(model)


def test_an_unknown_method_is_an_error_that_lists_the_known_ones() -> None:
    with pytest.raises(ModelError, match="unknown method 'magic': give one of auto"):
        pyo.SolverFactory("relugrad").solve(knapsack(), method="magic")


def test_an_option_with_a_bad_value_is_named() -> None:
    with pytest.raises(ValueError, match="seed"):
        pyo.SolverFactory("relugrad").solve(knapsack(), seed=-1)
    with pytest.raises(ValueError, match="callback"):
        pyo.SolverFactory("relugrad").solve(knapsack(), callback=3)


def test_one_option_under_two_names_is_an_error() -> None:
    with pytest.raises(ModelError, match="option 'time_limit' is given twice, as 3 and as 4"):
        pyo.SolverFactory("relugrad").solve(knapsack(), time_limit=3, timelimit=4)


@pytest.mark.parametrize("factory", [pyo.SolverFactory, NewSolverFactory])
def test_options_are_taken_from_everywhere_the_nearest_first(factory: object) -> None:
    seeds = []

    def seed_of(**given: object) -> int:
        stream = io.StringIO()
        solver.solve(knapsack(), tee=stream, **given)
        seeds.append(stream.getvalue().split("seed ")[1].split("\n")[0].split(",")[0])
        return int(seeds[-1])

    solver = factory("relugrad", seed=1)
    assert seed_of() == 1
    solver.config.solver_options["seed"] = 2
    assert seed_of() == 2
    assert seed_of(options={"seed": 3}) == 3
    assert seed_of(options={"seed": 3}, seed=4) == 4
    assert seed_of() == 2


def test_nothing_of_a_call_stays_in_the_solver() -> None:
    solver = pyo.SolverFactory("relugrad", seed=5, time_limit=30)
    solver.options["method"] = "auto"
    before = solver.config.value()
    solver.solve(knapsack(), options={"seed": 3}, timelimit=9, tee=io.StringIO(), load_solutions=False, warmstart=True)
    with pytest.raises(ModelError):
        solver.solve(knapsack(), options={"nonsense": 3})
    assert solver.config.value() == before
    assert solver.options.value() == {"method": "auto"}


def test_options_of_the_command_line_are_words() -> None:
    solver = pyo.SolverFactory("relugrad")
    solver.set_options("seed=11 method=auto")
    solver.set_options({"timelimit": None})
    stream = io.StringIO()
    solver.solve(knapsack(), tee=stream)
    assert "method auto, seed 11\n" in stream.getvalue()


@pytest.mark.parametrize("names", [("seconds", "Seed", "Threads"), ("TimeLimit", "random_seed", "threads")])
def test_options_have_the_names_of_other_solvers_too(names: tuple[str, ...]) -> None:
    solver = NewSolverFactory("relugrad")
    results = solver.solve(knapsack(), options=dict(zip(names, (30, 7, 1), strict=True)))
    config = results.solver_config
    assert (config.time_limit, config.seed, config.threads) == (30, 7, 1)


def test_keywords_without_meaning_are_noted_at_the_debug_level(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG, logger="pyomo_relugrad"):
        pyo.SolverFactory("relugrad").solve(knapsack(), keepfiles=True)
    assert "keyword 'keepfiles' is ignored" in caplog.text


def test_the_number_of_threads_is_told_and_refused_where_it_is_none() -> None:
    stream = io.StringIO()
    pyo.SolverFactory("relugrad").solve(knapsack(), threads=2, tee=stream)
    assert "method auto, seed 0, 2 cores\n" in stream.getvalue()
    with pytest.raises(ModelError, match="the number of threads is 0: give the number of cores to use, 1 or more"):
        pyo.SolverFactory("relugrad").solve(knapsack(), threads=0)


def test_a_warm_start_hands_over_the_values_that_are_there_and_the_best_of_the_others() -> None:
    starts = []

    def note(problem: Problem, context: SearchContext) -> Iterator[Incumbent | None]:
        starts.append(context.start)
        yield problem.incumbent(problem.lower)

    model = knapsack()
    model.n.set_value(3)
    pyo.SolverFactory("relugrad").solve(model, method=Scripted(note), warmstart=True)
    np.testing.assert_array_equal(starts[0], [2, 3])
    pyo.SolverFactory("relugrad").solve(model, method=Scripted(note))
    assert starts[1] is None


def test_timers_are_reported(capsys: pytest.CaptureFixture[str]) -> None:
    results = NewSolverFactory("relugrad").solve(knapsack(), report_timing=True)
    printed = capsys.readouterr().out
    for name in ("compile", "search", "load"):
        assert results.timing_info.timer.get_num_calls(name) == 1
        assert name in printed
    own = HierarchicalTimer()
    own.start("outer")
    pyo.SolverFactory("relugrad").solve(knapsack(), timer=own)
    own.stop("outer")
    assert own.get_num_calls("outer.search") == 1


# --- the callback and Ctrl-C ----------------------------------------------------------------------------------------


def test_the_callback_sees_each_incumbent_in_the_sense_of_the_model() -> None:
    model, seen = knapsack(), []

    def callback(progress: SolveProgress) -> None:
        assert progress.get_vars()[model.n] == progress.objective
        seen.append((progress.points, progress.objective, progress.violation, progress.is_new))

    pyo.SolverFactory("relugrad").solve(model, method=Scripted(rising), callback=callback)
    assert seen == [(2 * (n + 1), n, 0.0, True) for n in range(7)]


def test_the_callback_sees_that_there_is_no_feasible_point_yet() -> None:
    seen = []
    model = knapsack()
    pyo.SolverFactory("relugrad").solve(model, method=Scripted(unfeasible), callback=seen.append)
    assert (seen[0].objective, seen[0].violation) == (None, pytest.approx(5.5))
    assert seen[0].get_vars()[model.x] == 2


def test_the_callback_ends_the_search() -> None:
    model = knapsack()
    results = NewSolverFactory("relugrad").solve(model, method=Scripted(rising), callback=lambda p: p.objective >= 3)
    assert results.termination_condition == TerminationCondition.interrupted
    assert model.n.value == 3


def test_an_interrupt_returns_the_best_point() -> None:
    def interrupt(progress: SolveProgress) -> None:
        if progress.objective == 4:
            raise KeyboardInterrupt

    model = knapsack()
    results = NewSolverFactory("relugrad").solve(model, method=Scripted(rising), callback=interrupt)
    assert results.termination_condition == TerminationCondition.interrupted
    assert model.n.value == 4
    classic = pyo.SolverFactory("relugrad").solve(model, method=Scripted(rising), callback=interrupt)
    assert classic.solver.status == SolverStatus.aborted
    assert classic.solver.termination_condition == LegacyTermination.resourceInterrupt


def test_an_error_in_the_callback_leaves_the_values_alone() -> None:
    model = knapsack()
    model.x.set_value(0.5)

    def fail(progress: SolveProgress) -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        pyo.SolverFactory("relugrad").solve(model, method=Scripted(rising), callback=fail)
    assert values(model) == [0.5, None]


INTERRUPTED = """
import sys
sys.path.insert(0, {tests!r})
import pyomo.environ as pyo
from test_solver import Scripted, endless, knapsack
model = knapsack()
said = []
def callback(progress):
    if not said:
        said.append(print("searching", flush=True))
results = pyo.SolverFactory("relugrad").solve(model, method=Scripted(endless), time_limit=60, callback=callback)
print(results.solver.termination_condition, model.n.value, results.solver.wallclock_time < 30)
"""


@pytest.mark.skipif(os.name == "nt", reason="signals are sent in another way")
def test_ctrl_c_returns_the_best_point() -> None:
    assert output_after_interrupt(INTERRUPTED, "searching", timeout=50) == "resourceInterrupt 0 True\n"


# --- solutions ----------------------------------------------------------------------------------------------------


def test_solutions_that_were_not_loaded_are_loaded_later() -> None:
    model = knapsack()
    results = pyo.SolverFactory("relugrad").solve(model, method=Scripted(rising), load_solutions=False)
    assert values(model) == [None, None]
    assert len(results.solution) == 1
    assert results.problem.number_of_solutions == 7
    written = json.loads(json.dumps(results.json_repn()))
    assert [entry["Value"] for entry in written["Solution"][1]["Variable"].values()] == [0, 6]
    model.solutions.load_from(results)
    assert values(model) == [0, 6]


def test_the_pool_is_loaded_by_number() -> None:
    model = knapsack()
    results = NewSolverFactory("relugrad").solve(model, method=Scripted(rising), load_solutions=False)
    loader = results.solution_loader
    assert values(model) == [None, None]
    assert loader.get_number_of_solutions() == 7
    assert loader.get_solution_ids() == list(range(7))
    assert loader.get_vars()[model.n] == 6
    with loader.solution(2):
        assert loader.get_vars([model.n])[model.n] == 4
        with loader.solution(3) as inner:
            assert inner.get_vars()[model.n] == 3
        loader.load_solution()
    assert values(model) == [0, 4]
    assert loader.solution(1).get_vars()[model.n] == 5
    assert loader.solution(None).get_vars()[model.n] == 6
    loader.load_vars([model.n])
    assert values(model) == [0, 6]
    with pytest.raises(ValueError, match=r"there is no solution 7: give one of \[0, 1"):
        loader.solution(7).load_vars()


def test_a_local_search_has_no_duals_and_empties_their_suffixes() -> None:
    model = knapsack()
    model.dual = pyo.Suffix(direction=pyo.Suffix.IMPORT)
    model.rc = pyo.Suffix(direction=pyo.Suffix.IMPORT)
    model.kept = pyo.Suffix(direction=pyo.Suffix.EXPORT)
    model.dual[model.capacity] = 1.5
    model.kept[model.capacity] = 2.5
    pyo.SolverFactory("relugrad").solve(model)
    assert len(model.dual) == 0
    assert model.kept[model.capacity] == 2.5
    loader = NewSolverFactory("relugrad").solve(model).solution_loader
    with pytest.raises(NoDualsError):
        loader.get_duals()
    with pytest.raises(NoReducedCostsError):
        loader.get_reduced_costs()


def test_values_that_were_loaded_are_not_stale() -> None:
    model = knapsack()
    model.x.set_value(0.5)
    pyo.SolverFactory("relugrad").solve(model, load_solutions=False)
    assert model.x.stale
    pyo.SolverFactory("relugrad").solve(model)
    assert not model.x.stale
    model.n.set_value(1)
    assert not model.n.stale


def test_legacy_results_can_be_pickled_and_printed() -> None:
    results = pyo.SolverFactory("relugrad").solve(knapsack())
    copy = pickle.loads(pickle.dumps(results))
    assert copy.solver.termination_condition == LegacyTermination.feasible
    assert copy.extra_info["seed"] == 0
    assert "Termination condition: feasible" in str(results)


@pytest.mark.parametrize("solver", ["relugrad", "relugrad.exact"])
def test_what_scripts_for_other_solvers_read_is_filled(solver: str, tmp_path: Path) -> None:
    model = knapsack()
    model.on = pyo.Var(domain=pyo.Binary)
    model.switch = pyo.Constraint(expr=model.x <= 2 * model.on)
    results = pyo.SolverFactory(solver).solve(model, iteration_limit=50)
    run, problem = results.solver, results.problem
    assert run.time == run.wallclock_time == results["Solver"][0]["Time"] > 0
    assert run.user_time >= 0
    assert run.system_time >= 0
    assert run.return_code == run.error_rc == 0
    assert run.message == run.termination_message != ""
    assert (problem.number_of_variables, problem.number_of_constraints, problem.number_of_nonzeros) == (3, 2, 4)
    assert problem.number_of_binary_variables == problem.number_of_integer_variables == 1
    assert problem.number_of_continuous_variables == 1
    results.write(filename=str(tmp_path / "results.json"), format="json")
    written = json.loads((tmp_path / "results.json").read_text())
    assert written["Solver"][0]["Time"] == run.time
    assert written["Problem"][0]["Number of nonzeros"] == 4
    assert "Time:" in str(results)


def test_nothing_searched_has_times_too() -> None:
    model = pyo.ConcreteModel()
    model.o = pyo.Objective(expr=0)
    results = pyo.SolverFactory("relugrad").solve(model)
    assert results.solver.time > 0
    assert results.problem.number_of_variables == results.problem.number_of_nonzeros == 0


def test_the_new_results_have_processor_times() -> None:
    timing = NewSolverFactory("relugrad").solve(knapsack()).timing_info
    assert timing.wall_time > 0
    assert timing.user_time >= 0
    assert timing.system_time >= 0


# --- the command line ---------------------------------------------------------------------------------------------

SCRIPT = """
import pyomo.environ as pyo
model = pyo.ConcreteModel()
model.x = pyo.Var(bounds=(0, 2))
model.n = pyo.Var(domain=pyo.Integers, bounds=(0, 9))
model.capacity = pyo.Constraint(expr=2 * model.x + model.n <= 7.5)
model.profit = pyo.Objective(expr=model.x + model.n, sense=pyo.maximize)
"""


def test_the_command_line_of_pyomo_finds_the_solver(tmp_path: Path) -> None:
    (tmp_path / "model.py").write_text(SCRIPT)
    pyomo = Path(sys.executable).with_name("pyomo")
    words = ["solve", "--solver=relugrad", "--solver-options=seed=3", "--stream-solver", "--json", "model.py"]
    done = subprocess.run([pyomo, *words], cwd=tmp_path, capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == 0, done.stderr
    assert "seed 3" in done.stdout
    assert "Function Value: 7.25" in done.stdout
    assert '"Value": 7' in (tmp_path / "results.json").read_text()


@pytest.mark.parametrize("solver", ["relugrad", "relugrad.exact"])
def test_highs_may_choose_its_threads_afterwards(solver: str) -> None:
    """HiGHS refuses another number of threads than that of the first solve in a process, unless it is told."""
    model = knapsack()
    pyo.SolverFactory(solver).solve(model, iteration_limit=5)
    highs = pyo.SolverFactory("appsi_highs")
    assert pyo.check_optimal_termination(highs.solve(model, options={"threads": 2}))
    assert pyo.check_optimal_termination(highs.solve(model, options={"threads": 2}))


@pytest.mark.parametrize("name", ["relugrad", "relugrad.exact"])
@pytest.mark.parametrize("copied", [copy.deepcopy, lambda solver: pickle.loads(pickle.dumps(solver))])
def test_copies_of_solvers_have_their_options(name, copied):
    """As pools of processes ask for."""
    for solver in (pyo.SolverFactory(name), NewSolverFactory(name)):
        solver.config.time_limit, solver.config.seed = 7.0, 3
        solver.config.solver_options["threads"] = 1
        again = copied(solver)
        assert (type(again), again.config.time_limit, again.config.seed) == (type(solver), 7.0, 3)
        assert again.config.solver_options.value() == {"threads": 1}
        again.config.seed = 4
        assert solver.config.seed == 3
    assert pyo.SolverFactory(name).config.seed == 0
