"""Which descents are by an interior-point method."""

from pyomo_relugrad.problem import Problem

#: One in so many descents is by an interior-point method, after the first two of a model without kinks (from initial
#: values and the relaxation): at most; after it failed again and again; and where networks have kinks, which hold it
#: up, and a feasible point is known.
INTERIOR, FAILING_INTERIOR, INTERIOR_AMONG_KINKS = 2, 32, 8


class InteriorTurns:
    """Which descents of a smooth problem are by an interior-point method."""

    def __init__(self, problem: Problem) -> None:
        self.has_kinks = any(stage.widths for stage in problem.stages)
        self._suits = not problem.is_piecewise_linear and not bool(problem.integers.any())
        self._number, self._next, self._interval = 0, 2 if self.has_kinks else 1, INTERIOR
        self._taken = 0

    def is_next(self, has_point: bool) -> bool:
        """Whether the next descent is one."""
        self._number += 1
        return self._suits and self._number >= self._next and not (self.has_kinks and has_point and self._is_early)

    @property
    def is_first(self) -> bool:
        """Whether the present descent is the first of all."""
        return self._number == 1

    @property
    def barrier(self) -> int:
        """Which barrier the present one has: the usual one from the first two starts, then others in turns."""
        return max(0, self._taken - 1)

    @property
    def _is_early(self) -> bool:
        return self._number % INTERIOR_AMONG_KINKS != 0

    def note(self, is_feasible: bool) -> None:
        """Whether one came to a feasible point: otherwise the next one is later."""
        self._taken += 1
        self._interval = INTERIOR if is_feasible else min(2 * self._interval, FAILING_INTERIOR)
        self._next = self._number + (1 if self.is_first else self._interval)
