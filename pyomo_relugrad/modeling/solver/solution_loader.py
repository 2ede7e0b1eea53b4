"""The pool of solutions that a search found, as Pyomo's solution loader."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Any, NoReturn

from pyomo.common.collections import ComponentMap
from pyomo.contrib.solver.common import solution_loader as pyomo_loader
from pyomo.contrib.solver.common.util import NoDualsError, NoReducedCostsError, NoSolutionError
from pyomo.core.base.block import BlockData
from pyomo.core.base.constraint import ConstraintData
from pyomo.core.base.suffix import Suffix
from pyomo.core.base.var import VarData
from pyomo.core.staleflag import StaleFlagManager

from pyomo_relugrad.modeling.compile.model import CompiledModel
from pyomo_relugrad.problem import Incumbent

#: Pyomo 6.10.1 renamed the base class and its methods; `PoolLoader` defines the names of before and after.
_Base: Any = getattr(pyomo_loader, "SolutionLoader", None) or pyomo_loader.SolutionLoaderBase


class PoolLoader(_Base):
    """Distinct solutions of one model, numbered from 0, best first.

    Without further words every method speaks of solution 0, the incumbent; ``loader.solution(2).load_vars()`` or
    ``with loader.solution(2): loader.load_vars()`` takes another one.

    Parameters
    ----------
    model : BlockData
        The model that was solved.
    compiled : CompiledModel or None
        Says which variable each of the incumbents' values belongs to; None where there was nothing to search.
    pool : sequence of Incumbent
        Best first; empty where no feasible point was found.
    """

    def __init__(self, model: BlockData, compiled: CompiledModel | None, pool: Sequence[Incumbent]) -> None:
        self._pyomo_model = model
        self._compiled = compiled
        self._pool = tuple(pool)
        self._active = 0

    def get_number_of_solutions(self) -> int:
        """Number of solutions."""
        return len(self._pool)

    def get_solution_ids(self) -> list[int]:
        """The numbers of the solutions, best first."""
        return list(range(len(self._pool)))

    def solution(self, solution_id: int | None) -> PoolView:
        """A view on one solution, also a context manager in which this loader speaks of it.

        Parameters
        ----------
        solution_id : int or None
            None is the incumbent.
        """
        return PoolView(self, solution_id)

    def _set_solution_id(self, solution_id: int | None) -> int:
        """Choose the solution that the methods speak of, and return the one before."""
        chosen = 0 if solution_id is None else solution_id
        if chosen not in range(max(len(self._pool), 1)):
            raise ValueError(f"there is no solution {solution_id!r}; the solutions are {self.get_solution_ids()}")
        previous, self._active = self._active, chosen
        return previous

    def get_vars(self, vars_to_load: Sequence[VarData] | None = None) -> Mapping[VarData, float]:
        """The values of the variables asked for, all of them by default.

        Raises
        ------
        NoSolutionError
            If there is no solution.
        """
        compiled, incumbent = self._active_solution()
        values = compiled.solution(incumbent.values)
        return values if vars_to_load is None else ComponentMap((var, values[var]) for var in vars_to_load)

    #: The name of `get_vars` before Pyomo 6.10.1.
    get_primals = get_vars

    def load_vars(self, vars_to_load: Sequence[VarData] | None = None) -> None:
        """Write the values of the variables asked for into the model, all of them by default."""
        if vars_to_load is None:
            compiled, incumbent = self._active_solution()
            compiled.load(incumbent.values)
            return
        for var, value in self.get_vars(vars_to_load).items():
            var.set_value(value, skip_validation=True)
        StaleFlagManager.mark_all_as_stale(delayed=True)

    def _active_solution(self) -> tuple[CompiledModel, Incumbent]:
        if self._compiled is None or not self._pool:
            raise NoSolutionError()
        return self._compiled, self._pool[self._active]

    def load_solution(self) -> None:
        """Write the values of the variables into the model, and empty the suffixes that a solver would fill."""
        self.load_vars()
        self.load_import_suffixes()

    def load_import_suffixes(self) -> None:
        """Empty the model's import suffixes: a local search has no duals and no reduced costs."""
        for suffix in self._pyomo_model.component_objects(Suffix, active=True, descend_into=True):
            if suffix.import_enabled():
                suffix.clear()

    def get_duals(self, cons_to_load: Sequence[ConstraintData] | None = None) -> NoReturn:
        """Raise NoDualsError: a local search has none."""
        raise NoDualsError()

    def get_reduced_costs(self, vars_to_load: Sequence[VarData] | None = None) -> NoReturn:
        """Raise NoReducedCostsError: a local search has none."""
        raise NoReducedCostsError()


class PoolView:
    """One solution of a `PoolLoader`: offers the loader's methods, and is a context manager that yields the loader.

    Parameters
    ----------
    loader : PoolLoader
    solution_id : int or None
    """

    def __init__(self, loader: PoolLoader, solution_id: int | None) -> None:
        self._loader = loader
        self._solution_id = solution_id
        self._previous: list[int] = []

    def __enter__(self) -> PoolLoader:
        self._previous.append(self._loader._set_solution_id(self._solution_id))
        return self._loader

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._loader._set_solution_id(self._previous.pop())

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._loader, name)

        def of_this_solution(*args: Any, **kwds: Any) -> Any:
            with self:
                return method(*args, **kwds)

        return of_this_solution
