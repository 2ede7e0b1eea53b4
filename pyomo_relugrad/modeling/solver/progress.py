"""What a callback of the Pyomo solvers is told."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from pyomo.common.collections import ComponentMap
from pyomo.core.base.var import VarData

from pyomo_relugrad.modeling.compile.model import CompiledModel
from pyomo_relugrad.run import Progress, value_in_words
from pyomo_relugrad.words import counted


@dataclass(frozen=True, eq=False)
class SolveProgress:
    """The state of a running solve in the model's sense and variables, given to the ``callback``.

    Parameters
    ----------
    elapsed : float
        Seconds since the solve began.
    points, iterations, nodes : int
        Evaluated points, batched steps, and nodes of branch and bound so far.
    objective : float or None
        Objective of the best feasible point, in the model's sense; None where there is none yet.
    violation : float or None
        Largest violation of a constraint, bound or network at the best point, None where there is no point yet.
    is_new : bool
        Whether that point is new since the last call.
    bound : float
        Bound on the optimum in the model's sense; infinite while none is known.
    """

    elapsed: float
    points: int
    iterations: int
    nodes: int
    objective: float | None
    violation: float | None
    is_new: bool
    bound: float
    _compiled: CompiledModel
    _progress: Progress

    def __repr__(self) -> str:
        found = (
            "no feasible point" if self.objective is None else f"objective {value_in_words(self.objective, self.bound)}"
        )
        return f"<SolveProgress: {self.elapsed:.2f} s, {counted(self.points, 'point')}; {found}>"

    @classmethod
    def of(cls, compiled: CompiledModel, progress: Progress) -> SolveProgress:
        """A run's progress in the terms of the model that was compiled."""
        point, reported = progress.incumbent, compiled.problem.reported
        return cls(
            elapsed=progress.elapsed,
            points=progress.points,
            iterations=progress.iterations,
            nodes=progress.nodes,
            objective=reported(point.objective) if point is not None and point.is_feasible else None,
            violation=None if point is None else max(point.violation, point.network_error),
            is_new=progress.is_new,
            bound=reported(progress.bound),
            _compiled=compiled,
            _progress=progress,
        )

    def get_vars(self) -> Mapping[VarData, float]:
        """The variables' values at the best point; empty where there is no point yet."""
        point = self._progress.incumbent
        return ComponentMap() if point is None else self._compiled.solution(point.values)
