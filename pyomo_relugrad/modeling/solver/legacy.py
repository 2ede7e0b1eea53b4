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
from pyomo.core.base import Model, Objective, SymbolMap
from pyomo.core.base.block import BlockData
from pyomo.core.base.label import NumericLabeler
from pyomo.opt import SolverResults, SolverStatus
from pyomo.opt import TerminationCondition as LegacyTermination
from pyomo.opt.results.solution import Solution
from pyomo.opt.results.solution import SolutionStatus as LegacySolutionStatus

from pyomo_relugrad.modeling.solver.config import configure
from pyomo_relugrad.modeling.solver.local import Relugrad
from pyomo_relugrad.modeling.solver.results import SIZES, outcome, results_table

logger = logging.getLogger(__name__)

#: Where Pyomo's own table says nothing, or more than a local search knows.
_LEGACY = {
    TerminationCondition.convergenceCriteriaSatisfied: (SolverStatus.ok, LegacyTermination.feasible),
    TerminationCondition.locallyInfeasible: (SolverStatus.warning, LegacyTermination.noSolution),
    TerminationCondition.emptyModel: (SolverStatus.warning, LegacyTermination.noSolution),
}


class ClassicResults(SolverResults):
    """Pyomo's classic results, which notebooks show as a table."""

    def _repr_html_(self) -> str:
        return results_table(f"{self.solver.name}: {self.solver.message}", self.extra_info, self.solver.time)


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
        legacy, incumbent = self._map_results(model, results)
        return self._solution_handler(config.load_solutions, model, results, legacy, incumbent)

    def set_options(self, options: str | Mapping[str, Any]) -> None:
        """Keep options for the solves to come, given as a mapping or as ``"name=value name=value"``."""
        if isinstance(options, str):
            options = dict(word.partition("=")[::2] for word in shlex.split(options))
        for name, value in options.items():
            self.options[name] = value

    def warm_start_capable(self) -> bool:
        """Return True: ``solve(model, warmstart=True)`` starts from the variables' values."""
        return True

    def _map_results(self, model: BlockData, results: Results) -> tuple[SolverResults, Solution]:
        """The results in classic terms, with what Pyomo's own translation leaves out and scripts read."""
        condition, proven = results.termination_condition, results.solution_status == SolutionStatus.optimal
        legacy, incumbent = ClassicResults(), Solution()
        run, problem, timing = legacy.solver.add(), legacy.problem.add(), results.timing_info
        statuses = None if proven else _LEGACY.get(condition)
        run.status, run.termination_condition = statuses or (
            legacy_solver_status_map[condition],
            legacy_termination_condition_map[condition],
        )
        run.name = results.solver_name
        run.termination_message = run.message = outcome(results).replace(": ", ", ")  # YAML's sign
        run.time, run.wallclock_time = timing.wall_time, timing.wall_time
        run.user_time, run.system_time = timing.user_time, timing.system_time
        run.return_code = run.error_rc = 0
        problem.name = model.name
        problem.number_of_solutions = results.solution_loader.get_number_of_solutions()
        info = results.extra_info.value()
        for size in SIZES:
            setattr(problem, size, info.get(size, 0))
        objective = next(model.component_data_objects(Objective, active=True), None)
        problem.number_of_objectives = 0 if objective is None else 1
        problem.sense = ObjectiveSense.minimize if objective is None else objective.sense
        sides = results.objective_bound, results.incumbent_objective
        problem.lower_bound, problem.upper_bound = sides if problem.sense == ObjectiveSense.minimize else sides[::-1]
        incumbent.gap = None if None in sides else abs(sides[0] - sides[1])
        incumbent.status = LegacySolutionStatus.optimal if proven else LegacySolutionStatus.feasible
        legacy.extra_info = info
        return legacy, incumbent

    def _solution_handler(
        self, load_solutions: bool, model: BlockData, results: Results, legacy: SolverResults, incumbent: Solution
    ) -> SolverResults:
        """Put the incumbent into the results or, where it has been loaded, into ``model.solutions``.

        The others stay outside: ``model.solutions.load_from`` would take several in the wrong order.
        """
        symbols = SymbolMap(NumericLabeler("x"))
        legacy._smap, legacy._smap_id = None, None
        if results.solution_loader.get_number_of_solutions():
            for var, value in results.solution_loader.get_vars().items():
                incumbent.variable[symbols.getSymbol(var)] = {"Value": value}
            legacy.solution.insert(incumbent)
            legacy._smap, legacy._smap_id = symbols, id(symbols)
        if load_solutions:
            _move_solution(legacy, model)
        legacy.timing_info = results.timing_info.value()
        return legacy


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
