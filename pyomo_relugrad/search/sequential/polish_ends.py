"""When a polish is given up."""

from collections.abc import Iterator

import numpy as np

from pyomo_relugrad.problem import Incumbent

#: Steps of a polish whose gain, so many times, would not reach the best point: then it ends.
RECENT_STEPS, PATIENCE = 5, 10.0
#: Relative gain of a step that does not count in a polish of what is nearly optimal.
LITTLE = 1e-7


def while_promising(
    polish: Iterator[Incumbent | None], best: float, recent: int = RECENT_STEPS, patience: float = PATIENCE
) -> Iterator[Incumbent | None]:
    """The points of a polish, as long as the gain of its recent steps, so many times, may bring it to `best`."""
    values = list[float]()
    for point in polish:
        yield point
        values.append(values[-1] if point is None and values else np.inf if point is None else point.objective)
        missing = values[-1] - best
        window = values[-recent:]
        is_behind = len(window) == recent and is_lower(best, values[-1])
        if is_behind and missing > patience * (window[0] - window[-1]):
            return


def while_gaining(polish: Iterator[Incumbent | None]) -> Iterator[Incumbent | None]:
    """The points of a polish of what is nearly optimal, until a step after the first brings little."""
    before = np.inf
    for number, point in enumerate(polish):
        yield point
        if number and (point is None or not point.objective < before - LITTLE * (1.0 + abs(before))):
            return
        before = np.inf if point is None else point.objective


def is_lower(objective: float, before: float) -> bool:
    """Whether the best objective fell by more than rounding; the first feasible point counts."""
    return objective < before - (1e-9 * (1.0 + abs(before)) if np.isfinite(before) else 0.0)
