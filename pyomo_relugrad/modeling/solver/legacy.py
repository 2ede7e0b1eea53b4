"""``pyo.SolverFactory('relugrad')``: the solver with Pyomo's classic interface and results."""

from __future__ import annotations

import logging
import shlex
from collections.abc import Mapping
from typing import Any

from pyomo.common.config import document_class_CONFIG
from pyomo.common.enums import ObjectiveSense
from pyomo.contrib.solver.common.base import LegacySolverWrapper
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

from pyomo_relugrad.modeling.solver.config import configure
from pyomo_relugrad.modeling.solver.local import Relugrad
from pyomo_relugrad.modeling.solver.results import SIZES

logger = logging.getLogger(__name__)

#: Where Pyomo's own table says nothing, or more than a local search knows.
_LEGACY = {
    TerminationCondition.convergenceCriteriaSatisfied: (SolverStatus.ok, LegacyTermination.feasible),
    TerminationCondition.locallyInfeasible: (SolverStatus.warning, LegacyTermination.noSolution),
    TerminationCondition.emptyModel: (SolverStatus.warning, LegacyTermination.noSolution),
}


@document_class_CONFIG(methods=["solve"])
class LegacyRelugrad(LegacySolverWrapper, Relugrad):
    """What ``pyo.SolverFactory('relugrad')`` returns: `Relugrad` with Pyomo's classic results.

    Where no feasible point is found it warns and returns, as Pyomo's classic solvers do.
    """

    def solve(self, model: BlockData, **kwds: Any) -> SolverResults:
        """Search for a good feasible point of the model and load it.

        Parameters
        ----------
        model : BlockData
            As for `Relugrad.solve`.

        Returns
        -------
        SolverResults
            With ``TerminationCondition.feasible`` where the search came to its end with a feasible point.

        Raises
        ------
        ModelError
            As `Relugrad.solve`.
        NoOptimalSolutionError
            If there is no feasible point and ``raise_exception_on_nonoptimal_result``, here False by default, is set.
        """
        config = configure(self.config, {"raise_exception_on_nonoptimal_result": False}, kwds)
        if config.raise_exception_on_nonoptimal_result:
            results = Relugrad.solve(self, model, **kwds)
        else:
            results = self._run(model, config)
        if results.solution_loader.get_number_of_solutions() == 0:
            logger.warning("%s found no feasible point: %s", self.name, results.termination_condition.name)
        return legacy_results(model, results, loaded=config.load_solutions)

    def set_options(self, options: str | Mapping[str, Any]) -> None:
        """Keep options for the solves to come, given as a mapping or as ``"name=value name=value"``."""
        if isinstance(options, str):
            options = dict(word.partition("=")[::2] for word in shlex.split(options))
        for name, value in options.items():
            self.options[name] = value

    def warm_start_capable(self) -> bool:
        """Return True: ``solve(model, warmstart=True)`` starts from the variables' values."""
        return True


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
    legacy.solver.status, legacy.solver.termination_condition = _legacy_outcome(results)
    legacy.solver.termination_message = str(results.termination_condition)
    _describe_run(legacy, results)
    _describe_problem(legacy, model, results)
    legacy._smap_id = None
    if results.solution_loader.get_number_of_solutions():
        _insert_incumbent(legacy, results)
    if loaded:
        _move_solution(legacy, model)
    legacy.timing_info = results.timing_info.value()
    legacy.extra_info = results.extra_info.value()
    return legacy


def _legacy_outcome(results: Results) -> tuple[SolverStatus, LegacyTermination]:
    """Status and termination condition in Pyomo's classic terms."""
    if results.solution_status == SolutionStatus.optimal:
        return SolverStatus.ok, LegacyTermination.optimal
    condition = results.termination_condition
    if condition in _LEGACY:
        return _LEGACY[condition]
    return legacy_solver_status_map[condition], legacy_termination_condition_map[condition]


def _describe_run(legacy: SolverResults, results: Results) -> None:
    """Times and return code, where scripts written for other solvers look for them."""
    timing = results.timing_info
    legacy.solver.time = legacy.solver.wallclock_time = timing.wall_time
    legacy.solver.user_time, legacy.solver.system_time = timing.user_time, timing.system_time
    legacy.solver.message = str(results.termination_condition)
    legacy.solver.return_code = legacy.solver.error_rc = 0


def _describe_problem(legacy: SolverResults, model: BlockData, results: Results) -> None:
    known = results.extra_info.value()
    legacy.problem.name = model.name
    for size in SIZES:
        setattr(legacy.problem, size, known.get(size, 0))
    objectives = list(model.component_data_objects(Objective, active=True, descend_into=True))
    legacy.problem.number_of_objectives = len(objectives)
    legacy.problem.number_of_solutions = results.solution_loader.get_number_of_solutions()
    legacy.problem.sense = objectives[0].sense if objectives else ObjectiveSense.minimize
    bounds = (results.objective_bound, results.incumbent_objective)
    if legacy.problem.sense == ObjectiveSense.maximize:
        bounds = bounds[::-1]
    legacy.problem.lower_bound, legacy.problem.upper_bound = bounds


def _insert_incumbent(legacy: SolverResults, results: Results) -> None:
    """Put the best solution in; ``model.solutions.load_from`` would take several in the wrong order."""
    symbols = SymbolMap(NumericLabeler("x"))
    solution = Solution()
    proven = results.solution_status == SolutionStatus.optimal
    solution.status = LegacySolutionStatus.optimal if proven else LegacySolutionStatus.feasible
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
