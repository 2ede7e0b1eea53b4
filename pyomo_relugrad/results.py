"""What a search found, as Pyomo's results: the new interface's `Results` and the legacy `SolverResults`."""

from __future__ import annotations

import math

from pyomo.common.config import ConfigValue
from pyomo.common.enums import ObjectiveSense
from pyomo.contrib.solver.common.results import (
    Results,
    SolutionStatus,
    TerminationCondition,
    legacy_solver_status_map,
    legacy_termination_condition_map,
)
from pyomo.core.base import Model, SymbolMap
from pyomo.core.base.block import BlockData
from pyomo.core.base.label import NumericLabeler
from pyomo.core.base.objective import Objective
from pyomo.opt import SolverResults, SolverStatus
from pyomo.opt import TerminationCondition as LegacyTermination
from pyomo.opt.results.solution import Solution
from pyomo.opt.results.solution import SolutionStatus as LegacySolutionStatus

from pyomo_relugrad.compile import CompiledModel
from pyomo_relugrad.search.budget import Stop
from pyomo_relugrad.search.driver import SearchResult
from pyomo_relugrad.solution_loader import PoolLoader

_TERMINATION = {
    Stop.FINISHED: TerminationCondition.convergenceCriteriaSatisfied,
    Stop.TIME_LIMIT: TerminationCondition.maxTimeLimit,
    Stop.ITERATION_LIMIT: TerminationCondition.iterationLimit,
    Stop.CALLBACK: TerminationCondition.interrupted,
    Stop.INTERRUPTED: TerminationCondition.interrupted,
    Stop.INFEASIBLE: TerminationCondition.provenInfeasible,
    Stop.UNBOUNDED: TerminationCondition.unbounded,
}

#: Where Pyomo's own table says nothing, or more than a local search knows.
_LEGACY = {
    TerminationCondition.convergenceCriteriaSatisfied: (SolverStatus.ok, LegacyTermination.feasible),
    TerminationCondition.locallyInfeasible: (SolverStatus.warning, LegacyTermination.noSolution),
    TerminationCondition.emptyModel: (SolverStatus.warning, LegacyTermination.noSolution),
}


def results_of_search(model: BlockData, compiled: CompiledModel, found: SearchResult) -> Results:
    """The results of a search.

    Parameters
    ----------
    model : BlockData
    compiled : CompiledModel
    found : SearchResult

    Returns
    -------
    Results
        With ``SolutionStatus.feasible`` where there is a feasible point, never ``optimal``; the objective and its bound
        in the model's sense; and in ``extra_info`` what a local search can tell beside.
    """
    problem, best = compiled.problem, found.incumbent
    results = Results()
    results.solution_loader = PoolLoader(model, compiled, found.pool)
    results.termination_condition = _TERMINATION[found.stop]
    if best is None and found.stop is Stop.FINISHED:
        results.termination_condition = TerminationCondition.locallyInfeasible
    results.solution_status = SolutionStatus.noSolution if best is None else SolutionStatus.feasible
    results.incumbent_objective = None if best is None else problem.reported(best.objective)
    results.objective_bound = problem.reported(-math.inf)

    shown = best or found.least_violated
    history = [(elapsed, problem.reported(objective)) for elapsed, objective in found.history]
    results.extra_info.number_of_variables = problem.n_columns
    results.extra_info.number_of_constraints = problem.n_rows
    results.extra_info.points_evaluated = found.points
    results.extra_info.iterations = found.iterations
    results.extra_info.violation = None if shown is None else shown.violation
    results.extra_info.network_error = None if shown is None else shown.network_error
    results.extra_info.add("history", ConfigValue(history, description="Time and objective of each new incumbent."))
    return results


def results_without_search(model: BlockData, termination: TerminationCondition) -> Results:
    """The results where there was nothing to search: an empty model, or one seen to be infeasible at once."""
    results = Results()
    results.solution_loader = PoolLoader(model, None, ())
    results.termination_condition = termination
    results.solution_status = SolutionStatus.noSolution
    return results


def legacy_results(model: BlockData, results: Results, loaded: bool) -> SolverResults:
    """The results as ``pyo.SolverFactory(...).solve`` returns them.

    Parameters
    ----------
    model : BlockData
    results : Results
    loaded : bool
        Whether the incumbent's values are in the model already. Then ``model.solutions`` notes it, as after Pyomo's
        classic solvers; else it is in the results, for ``model.solutions.load_from``.
    """
    legacy = SolverResults()
    legacy.solver.name = results.solver_name
    legacy.solver.status, legacy.solver.termination_condition = _LEGACY.get(results.termination_condition) or (
        legacy_solver_status_map[results.termination_condition],
        legacy_termination_condition_map[results.termination_condition],
    )
    legacy.solver.termination_message = str(results.termination_condition)
    legacy.solver.wallclock_time = results.timing_info.wall_time
    _describe_problem(legacy, model, results)
    legacy._smap_id = None
    if results.solution_loader.get_number_of_solutions():
        _insert_incumbent(legacy, results)
    if loaded:
        _move_solution(legacy, model)
    legacy.timing_info = results.timing_info.value()
    legacy.extra_info = results.extra_info.value()
    return legacy


def _describe_problem(legacy: SolverResults, model: BlockData, results: Results) -> None:
    known = results.extra_info.value()
    legacy.problem.number_of_variables = known.get("number_of_variables", 0)
    legacy.problem.number_of_constraints = known.get("number_of_constraints", 0)
    objectives = list(model.component_data_objects(Objective, active=True, descend_into=True))
    legacy.problem.number_of_objectives = len(objectives)
    legacy.problem.sense = objectives[0].sense if objectives else ObjectiveSense.minimize
    bounds = (results.objective_bound, results.incumbent_objective)
    if legacy.problem.sense == ObjectiveSense.maximize:
        bounds = bounds[::-1]
    legacy.problem.lower_bound, legacy.problem.upper_bound = bounds


def _insert_incumbent(legacy: SolverResults, results: Results) -> None:
    """Put the best solution in; ``model.solutions.load_from`` would take several in the wrong order."""
    symbols = SymbolMap(NumericLabeler("x"))
    solution = Solution()
    solution.symbol_map = symbols
    solution.status = LegacySolutionStatus.feasible
    solution.gap = None
    for var, value in results.solution_loader.get_vars().items():
        solution.variable[symbols.getSymbol(var)] = {"Value": value}
    legacy.solution.insert(solution)
    legacy._smap, legacy._smap_id = symbols, id(symbols)


def _move_solution(legacy: SolverResults, model: BlockData) -> None:
    """Move the solution to ``model.solutions``, where Pyomo's command line looks for it."""
    if isinstance(model, Model):
        model.solutions.clear(clear_symbol_maps=False)
        if legacy._smap_id is not None:
            model.solutions.add_symbol_map(legacy._smap)
            model.solutions.add_solution(legacy.solution[0], legacy._smap_id)
            model.solutions.index = 0
    legacy.solution.clear()
    legacy._smap = legacy._smap_id = None
