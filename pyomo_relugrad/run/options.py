"""What the user asks of an exact solve."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from pyomo_relugrad.errors import ModelError
from pyomo_relugrad.programs.highs import silent_highs
from pyomo_relugrad.run.worker import allowed_gap


@dataclass(frozen=True)
class ExactOptions:
    """What a proof is asked for.

    Parameters
    ----------
    relative_gap, absolute_gap : float, optional
        The solve ends when incumbent minus bound is at most ``max(absolute_gap, relative_gap * |incumbent|)``.
    method : str, optional
        Of the local searches.
    iteration_limit : int, optional
        Of each local search.
    bounds : {"crown", "interval", "lp"}, optional
        Of the pre-activations in the MILP.
    highs_options : dict, optional
        Options of HiGHS for the MILP.

    Raises
    ------
    ModelError
        If a gap is NaN or negative, or HiGHS does not know an option, also where no MILP is solved.
    """

    relative_gap: float = 1e-4
    absolute_gap: float = 1e-6
    method: str = "auto"
    iteration_limit: int | None = None
    bounds: str = "crown"
    highs_options: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name, gap in (("relative", self.relative_gap), ("absolute", self.absolute_gap)):
            if not gap >= 0.0:
                raise ModelError(f"the {name} gap is {gap}: give 0 or more")
        silent_highs(self.highs_options)

    def allowed_gap(self, objective: float) -> float:
        """The gap at which an incumbent counts as proven."""
        return allowed_gap(objective, (self.relative_gap, self.absolute_gap))
