"""How much a turn costs and may cost: seconds where time is limited, steps where only steps are."""

from typing import Any

import numpy as np

from pyomo_relugrad.run import Budget
from pyomo_relugrad.search.sequential.step_model import MAX_NODES

#: Seconds of a mixed-integer program at least; and its share of the time since the last gain.
SHORTEST_SECONDS, VAIN_SHARE = 0.15, 0.1
#: Share of the time left that one program may take at most.
LARGEST_SHARE = 0.7


class Pace:
    """The clock of a search by neighbourhoods."""

    def __init__(self, budget: Budget) -> None:
        self._budget = budget
        self._last_gain = budget.worked

    @property
    def is_timed(self) -> bool:
        """Whether seconds count: where steps alone are limited, the answer must not depend on the machine."""
        return self._budget.is_timed

    def note_gain(self) -> None:
        """Programs become short again."""
        self._last_gain = self._budget.worked

    def seconds(self, least: float = SHORTEST_SECONDS) -> float:
        """What the next mixed-integer program may take: the longer all has been in vain, the more."""
        if not self.is_timed:
            return np.inf
        vain = VAIN_SHARE * (self._budget.worked - self._last_gain)
        return min(max(least, vain, SHORTEST_SECONDS), LARGEST_SHARE * self._budget.remaining)

    def options(self, **options: Any) -> dict[str, Any]:
        """Options of HiGHS."""
        return options if self.is_timed else {"mip_max_nodes": MAX_NODES, **options}
