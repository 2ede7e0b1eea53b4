"""What a search found, as Pyomo's `Results`."""

import math
from collections.abc import Mapping
from typing import Any

from pyomo.common.config import ConfigValue
from pyomo.contrib.solver.common.results import Results, SolutionStatus, TerminationCondition
from pyomo.contrib.solver.common.solution_loader import NoSolutionSolutionLoader
from pyomo.core.base.block import BlockData

from pyomo_relugrad.modeling.compile.model import CompiledModel
from pyomo_relugrad.modeling.solver.solution_loader import PoolLoader
from pyomo_relugrad.notebook import html_table
from pyomo_relugrad.problem import Problem
from pyomo_relugrad.run import SearchResult, Stop, value_in_words

_TERMINATION = {
    Stop.FINISHED: TerminationCondition.convergenceCriteriaSatisfied,
    Stop.OPTIMAL: TerminationCondition.convergenceCriteriaSatisfied,
    Stop.TIME_LIMIT: TerminationCondition.maxTimeLimit,
    Stop.ITERATION_LIMIT: TerminationCondition.iterationLimit,
    Stop.CALLBACK: TerminationCondition.interrupted,
    Stop.INTERRUPTED: TerminationCondition.interrupted,
    Stop.INFEASIBLE: TerminationCondition.provenInfeasible,
    Stop.UNBOUNDED: TerminationCondition.unbounded,
}

#: Why a solve ended, in words.
_IN_WORDS = {
    TerminationCondition.convergenceCriteriaSatisfied: "the search came to its end",
    TerminationCondition.maxTimeLimit: "time limit",
    TerminationCondition.iterationLimit: "iteration limit",
    TerminationCondition.interrupted: "interrupted",
    TerminationCondition.provenInfeasible: "infeasible",
    TerminationCondition.locallyInfeasible: "the search came to its end",
    TerminationCondition.unbounded: "unbounded",
    TerminationCondition.emptyModel: "the model has no variables",
}

#: Entries of ``extra_info`` that notebooks show, and their names there.
_SHOWN = {
    "number_of_variables": "variables",
    "number_of_constraints": "constraints",
    "points_evaluated": "points evaluated",
    "iterations": "steps",
    "nodes": "nodes",
    "violation": "violation",
    "network_error": "network error",
}

#: What the loader says where there is nothing to load.
NO_SOLUTION = "no feasible point was found; results.termination_condition tells why the search ended"

#: Numbers in ``extra_info`` that tell how large the problem is.
SIZES = (
    "number_of_variables",
    "number_of_binary_variables",
    "number_of_integer_variables",
    "number_of_continuous_variables",
    "number_of_constraints",
    "number_of_nonzeros",
)


def results_of_search(model: BlockData, compiled: CompiledModel, found: SearchResult) -> Results:
    """The results of a search.

    Returns
    -------
    Results
        With ``SolutionStatus.feasible`` where there is a feasible point, and ``optimal`` only where a proof ended with
        it; the objective and its bound in the model's sense; and in ``extra_info`` what else is known.
    """
    problem, best = compiled.problem, found.incumbent
    results = results_without_solution(model, _TERMINATION[found.stop])
    if best is not None:
        results.solution_loader = PoolLoader(model, compiled, found.pool)
        results.solution_status = SolutionStatus.optimal if found.stop is Stop.OPTIMAL else SolutionStatus.feasible
        results.incumbent_objective = problem.reported(best.objective)
    elif found.stop is Stop.FINISHED:
        results.termination_condition = TerminationCondition.locallyInfeasible
    if found.reason:
        results.extra_info.reason = found.reason
    results.objective_bound = problem.reported(found.bound)

    shown = best or found.least_violated
    history, bound_history = (
        [(elapsed, problem.reported(value)) for elapsed, value in pairs]
        for pairs in (found.history, found.bound_history)
    )
    info = results.extra_info
    for size, number in zip(SIZES, _sizes(problem), strict=True):
        info[size] = number
    info.points_evaluated, info.iterations, info.nodes = found.points, found.iterations, found.nodes
    info.violation, info.network_error = (None, None) if shown is None else (shown.violation, shown.network_error)
    info.add("history", ConfigValue(history, description="Time and objective of each new incumbent."))
    info.add("bound_history", ConfigValue(bound_history, description="Time and value of each better bound."))
    return results


def _sizes(problem: Problem) -> tuple[int, ...]:
    """The numbers named in `SIZES`; integer variables are counted without the binary ones."""
    binary = problem.integers & (problem.lower >= 0) & (problem.upper <= 1)
    n_binary, n_integer = int(binary.sum()), int((problem.integers & ~binary).sum())
    n_continuous = problem.n_columns - n_binary - n_integer
    return problem.n_columns, n_binary, n_integer, n_continuous, problem.n_rows, int(problem.rows.nnz)


class RelugradResults(Results):
    """Pyomo's results, which say in a line what was found."""

    def __repr__(self) -> str:
        return f"<Results of {self.solver_name or 'relugrad'}: {outcome(self)}>"

    def __str__(self) -> str:
        return repr(self)

    def _repr_html_(self) -> str:
        title = f"{self.solver_name or 'relugrad'}: {outcome(self)}"
        return results_table(title, self.extra_info.value(), self.timing_info.wall_time or 0.0)


def results_table(title: str, info: Mapping[str, Any], seconds: float) -> str:
    """What was done, by ``extra_info``, as a table in HTML."""
    rows = [(name, info[key]) for key, name in _SHOWN.items() if info.get(key) is not None]
    return html_table(title, rows, note=f"{seconds:.2f} s")


def outcome(results: Results) -> str:
    """In a line: why the solve ended, and what it found."""
    condition, reason = results.termination_condition, results.extra_info.value().get("reason")
    end = _IN_WORDS.get(condition, condition.name)
    if results.incumbent_objective is None:
        return f"{end}: {reason or 'no feasible point was found'}"
    bound = math.inf if results.objective_bound is None else results.objective_bound
    status = (
        results.solution_status.name
        if results.solution_status is SolutionStatus.optimal
        else f"feasible: {reason or end}"
    )
    return f"{status}; objective {value_in_words(results.incumbent_objective, bound)}"


def results_without_solution(model: BlockData, termination: TerminationCondition, reason: str = "") -> Results:
    """The results where no feasible point is known; `reason` says why there is none."""
    results = RelugradResults()
    if reason:
        results.extra_info.reason = reason
    results.solution_loader = NoSolutionSolutionLoader(model, NO_SOLUTION)
    results.termination_condition = termination
    results.solution_status = SolutionStatus.noSolution
    return results
