"""What a search found, as Pyomo's `Results`."""

from __future__ import annotations

from pyomo.common.config import ConfigValue
from pyomo.contrib.solver.common.results import Results, SolutionStatus, TerminationCondition
from pyomo.contrib.solver.common.solution_loader import NoSolutionSolutionLoader
from pyomo.core.base.block import BlockData

from pyomo_relugrad.modeling.compile.model import CompiledModel
from pyomo_relugrad.modeling.solver.solution_loader import PoolLoader
from pyomo_relugrad.problem import Problem
from pyomo_relugrad.run.budget import Stop
from pyomo_relugrad.run.result import SearchResult

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

    Parameters
    ----------
    model : BlockData
    compiled : CompiledModel
    found : SearchResult

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
    results.objective_bound = problem.reported(found.bound)

    shown = best or found.least_violated
    history, bound_history = (
        [(elapsed, problem.reported(value)) for elapsed, value in pairs]
        for pairs in (found.history, found.bound_history)
    )
    for size, number in zip(SIZES, _sizes(problem), strict=True):
        results.extra_info[size] = number
    results.extra_info.points_evaluated = found.points
    results.extra_info.iterations = found.iterations
    results.extra_info.nodes = found.nodes
    results.extra_info.violation = None if shown is None else shown.violation
    results.extra_info.network_error = None if shown is None else shown.network_error
    results.extra_info.add("history", ConfigValue(history, description="Time and objective of each new incumbent."))
    results.extra_info.add(
        "bound_history", ConfigValue(bound_history, description="Time and value of each better bound.")
    )
    return results


def _sizes(problem: Problem) -> tuple[int, ...]:
    """The numbers named in `SIZES`; integer variables are counted without the binary ones."""
    binary = problem.integers & (problem.lower >= 0) & (problem.upper <= 1)
    n_binary, n_integer = int(binary.sum()), int((problem.integers & ~binary).sum())
    n_continuous = problem.n_columns - n_binary - n_integer
    return problem.n_columns, n_binary, n_integer, n_continuous, problem.n_rows, int(problem.rows.nnz)


def results_without_solution(model: BlockData, termination: TerminationCondition) -> Results:
    """The results where no feasible point is known."""
    results = Results()
    results.solution_loader = NoSolutionSolutionLoader(model, NO_SOLUTION)
    results.termination_condition = termination
    results.solution_status = SolutionStatus.noSolution
    return results
