"""The pool of solutions that a search found, as Pyomo's solution loader."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NoReturn

from pyomo.common.collections import ComponentMap
from pyomo.contrib.solver.common.solution_loader import SolutionLoader
from pyomo.contrib.solver.common.util import NoDualsError, NoReducedCostsError
from pyomo.core.base.block import BlockData
from pyomo.core.base.constraint import ConstraintData
from pyomo.core.base.var import VarData
from pyomo.core.staleflag import StaleFlagManager

from pyomo_relugrad.modeling.compile.model import CompiledModel
from pyomo_relugrad.problem import Incumbent


class PoolLoader(SolutionLoader):
    """Distinct solutions of one model, numbered from 0, best first.

    Without further words every method speaks of solution 0, the incumbent; ``loader.solution(2).load_vars()`` or
    ``with loader.solution(2): loader.load_vars()`` takes another one.

    Parameters
    ----------
    model : BlockData
        The model that was solved.
    compiled : CompiledModel
        Says which variable each of the incumbents' values belongs to.
    pool : sequence of Incumbent
        Best first, at least one.
    """

    def __init__(self, model: BlockData, compiled: CompiledModel, pool: Sequence[Incumbent]) -> None:
        self._pyomo_model = model
        self._compiled = compiled
        self._pool = tuple(pool)
        self._solution_id: int | None = None
        #: What was loaded last.
        self.loaded: Mapping[VarData, float] = ComponentMap()

    def get_number_of_solutions(self) -> int:
        """Number of solutions."""
        return len(self._pool)

    def get_solution_ids(self) -> list[int]:
        """The numbers of the solutions, best first."""
        return list(range(len(self._pool)))

    def _set_solution_id(self, solution_id: int | None) -> int | None:
        """Choose the solution that the methods speak of, None for the incumbent, and return the one before."""
        if solution_id is not None and solution_id not in range(len(self._pool)):
            raise ValueError(f"there is no solution {solution_id!r}: give one of {self.get_solution_ids()}")
        previous, self._solution_id = self._solution_id, solution_id
        return previous

    def get_vars(self, vars_to_load: Sequence[VarData] | None = None) -> Mapping[VarData, float]:
        """The values of the variables asked for, all of them by default."""
        values = self._compiled.solution(self._pool[self._solution_id or 0].values)
        return values if vars_to_load is None else ComponentMap((var, values[var]) for var in vars_to_load)

    def load_vars(self, vars_to_load: Sequence[VarData] | None = None) -> None:
        """Load the values of the variables asked for, all of them by default, into the model."""
        self.loaded = self.get_vars(vars_to_load)
        for variable, value in self.loaded.items():
            variable.set_value(value, skip_validation=True)
        StaleFlagManager.mark_all_as_stale(delayed=True)

    def load_import_suffixes(self) -> None:
        """Empty the model's import suffixes: a local search has no duals and no reduced costs."""
        self._collect_and_clear_import_suffixes()

    def get_duals(self, cons_to_load: Sequence[ConstraintData] | None = None) -> NoReturn:
        """Raise NoDualsError: a local search has none."""
        raise NoDualsError()

    def get_reduced_costs(self, vars_to_load: Sequence[VarData] | None = None) -> NoReturn:
        """Raise NoReducedCostsError: a local search has none."""
        raise NoReducedCostsError()
