"""``pyo.SolverFactory('relugrad')``: the solver with Pyomo's classic interface and results."""

from __future__ import annotations

import logging
import shlex
from collections.abc import Mapping
from functools import cached_property
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
from pyomo.core.base import Model, Objective, SymbolMap, Var
from pyomo.core.base.block import BlockData
from pyomo.core.base.label import NumericLabeler
from pyomo.core.base.PyomoModel import ModelSolution
from pyomo.core.base.var import VarData
from pyomo.opt import SolverResults, SolverStatus
from pyomo.opt import TerminationCondition as LegacyTermination
from pyomo.opt.results.container import ListContainer, MapContainer
from pyomo.opt.results.problem import ProblemInformation
from pyomo.opt.results.solution import Solution
from pyomo.opt.results.solution import SolutionStatus as LegacySolutionStatus
from pyomo.opt.results.solver import SolverInformation

from pyomo_relugrad.modeling.solver.config import configure
from pyomo_relugrad.modeling.solver.local import Relugrad
from pyomo_relugrad.modeling.solver.results import SIZES, outcome, results_table
from pyomo_relugrad.modeling.solver.solution_loader import PoolLoader

logger = logging.getLogger(__name__)

#: Where Pyomo's own table says nothing, or more than a local search knows.
_LEGACY = {
    TerminationCondition.convergenceCriteriaSatisfied: (SolverStatus.ok, LegacyTermination.feasible),
    TerminationCondition.locallyInfeasible: (SolverStatus.warning, LegacyTermination.noSolution),
    TerminationCondition.emptyModel: (SolverStatus.warning, LegacyTermination.noSolution),
}


class _Section(ListContainer):
    """A section of classic results that is put together when it is first looked at, which takes Pyomo a while.

    Parameters
    ----------
    cls : type
        Of the section's one entry.
    values : mapping
        What the entry holds.
    """

    def __init__(self, cls: type[MapContainer], values: Mapping[str, Any]) -> None:
        super().__init__(cls)
        del self._list
        self._values = values

    @cached_property
    def _list(self) -> list[MapContainer]:
        entry = self._cls()
        for name, value in self._values.items():
            setattr(entry, name, value)
        return [entry]

    def __len__(self) -> int:
        return len(self._list)

    def __eq__(self, other: object) -> bool:
        return self._list == getattr(other, "_list", None)


class ClassicResults(SolverResults):
    """Pyomo's classic results, which notebooks show as a table.

    Parameters
    ----------
    problem, solver : mapping, optional
        What the sections hold.
    """

    def __init__(self, problem: Mapping[str, Any] | None = None, solver: Mapping[str, Any] | None = None) -> None:
        super().__init__()
        self["Problem"] = _Section(ProblemInformation, problem or {})
        self["Solver"] = _Section(SolverInformation, solver or {})

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
        legacy = _classic(model, results)
        if results.solution_loader.get_number_of_solutions():
            _put_incumbent(model, results, legacy, config.load_solutions)
            self._kept.of(model).end_solve()
        elif config.load_solutions and isinstance(model, Model):
            model.solutions.clear(clear_symbol_maps=False)
        return legacy

    def set_options(self, options: str | Mapping[str, Any]) -> None:
        """Keep options for the solves to come, given as a mapping or as ``"name=value name=value"``."""
        if isinstance(options, str):
            options = dict(word.partition("=")[::2] for word in shlex.split(options))
        for name, value in options.items():
            self.options[name] = value

    def warm_start_capable(self) -> bool:
        """Return True: ``solve(model, warmstart=True)`` starts from the variables' values."""
        return True


def _classic(model: BlockData, results: Results) -> ClassicResults:
    """The results in classic terms, with what Pyomo's own translation leaves out and scripts read."""
    condition, timing = results.termination_condition, results.timing_info
    is_proven = results.solution_status == SolutionStatus.optimal
    statuses = None if is_proven else _LEGACY.get(condition)
    status, termination = statuses or (legacy_solver_status_map[condition], legacy_termination_condition_map[condition])
    message = outcome(results).replace(": ", ", ")  # YAML's sign
    solver = {
        "name": results.solver_name,
        "status": status,
        "termination_condition": termination,
        "termination_message": message,
        "message": message,
        "time": timing.wall_time,
        "wallclock_time": timing.wall_time,
        "user_time": timing.user_time,
        "system_time": timing.system_time,
        "return_code": 0,
        "error_rc": 0,
    }
    info = results.extra_info.value()
    objective = next(model.component_data_objects(Objective, active=True), None)
    sense = ObjectiveSense.minimize if objective is None else objective.sense
    sides = results.objective_bound, results.incumbent_objective
    low, high = sides if sense == ObjectiveSense.minimize else sides[::-1]
    problem = {
        "name": model.name,
        "number_of_solutions": results.solution_loader.get_number_of_solutions(),
        **{size: info.get(size, 0) for size in SIZES},
        "number_of_objectives": 0 if objective is None else 1,
        "sense": sense,
        "lower_bound": low,
        "upper_bound": high,
    }
    legacy = ClassicResults(problem, solver)
    legacy._smap, legacy._smap_id = None, None
    legacy.extra_info, legacy.timing_info = info, timing.value()
    return legacy


def _put_incumbent(model: BlockData, results: Results, legacy: ClassicResults, is_loaded: bool) -> None:
    """Put the incumbent into classic results or, where it has been loaded, into ``model.solutions``.

    There Pyomo's command line looks for it. The others stay outside: ``model.solutions.load_from`` would take several
    in the wrong order.
    """
    sides = results.objective_bound, results.incumbent_objective
    gap = None if None in sides else abs(sides[0] - sides[1])
    is_proven = results.solution_status == SolutionStatus.optimal
    status = LegacySolutionStatus.optimal if is_proven else LegacySolutionStatus.feasible
    loader = results.solution_loader
    values = loader.loaded if is_loaded and isinstance(loader, PoolLoader) else loader.get_vars()
    if not is_loaded:
        _into_results(legacy, values, status, gap)
        return
    legacy.solution._active = True  # is shown, without solutions
    if isinstance(model, Model):
        _into_model(model, values, status, gap)


def _into_results(
    legacy: ClassicResults, values: Mapping[VarData, float], status: LegacySolutionStatus, gap: float | None
) -> None:
    """Put values into classic results, with the symbols by which ``model.solutions.load_from`` reads them."""
    incumbent, symbols = Solution(), SymbolMap(NumericLabeler("x"))
    incumbent.status, incumbent.gap = status, gap
    for var, value in values.items():
        incumbent.variable[symbols.getSymbol(var)] = {"Value": value}
    legacy.solution.insert(incumbent)
    legacy._smap, legacy._smap_id = symbols, id(symbols)


def _into_model(model: Model, values: Mapping[VarData, float], status: LegacySolutionStatus, gap: float | None) -> None:
    """Make values and those of fixed variables the one entry of ``model.solutions``, as its ``add_solution`` does."""
    entry = {id(var): (var, {"Value": value}) for var, value in values.items()}
    entry.update((id(var), (var, {"Value": var.value})) for var in model.component_data_objects(Var) if var.fixed)
    solution = ModelSolution()
    solution.status, solution.gap = status, gap
    solution._entry["variable"] = entry
    model.solutions.clear(clear_symbol_maps=False)
    model.solutions.solutions.append(solution)
    model.solutions.index = 0
