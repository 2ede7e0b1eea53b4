"""Local searches one after another, each of them continued from turn to turn."""

from dataclasses import replace

from pyomo_relugrad.arrays import Array
from pyomo_relugrad.problem import Incumbent, Problem
from pyomo_relugrad.run import Clock, Options, Past, Report, Stop, Worker
from pyomo_relugrad.solve.local_search import LocalSearch


class Searches(Worker):
    """A local search, and when it has ended another one with a new seed from the best point.

    Parameters
    ----------
    problem : Problem
    options : Options
        The seed is that of the first search; the limit of iterations holds for each.
    clock : Clock
    start : (n,) array, optional
        The user's warm start.
    past : Past, optional
        What the searches leave to each other and to proofs.
    """

    def __init__(
        self, problem: Problem, options: Options, clock: Clock, start: Array | None = None, past: Past | None = None
    ) -> None:
        self._seed = options.seed
        # Without functions the first step of a search is all that there is to find.
        self._repeats = bool(problem.functions)
        self._best: Incumbent | None = None
        self._present = LocalSearch(problem, options, clock, start, past)

    @property
    def has_ended(self) -> bool:
        """Whether the present search has ended; `step` begins the next one."""
        return self._present.is_done

    @property
    def can_go_on(self) -> bool:
        """Whether there is anything left to search."""
        return self._repeats or not self.has_ended

    @property
    def expect_gains(self) -> bool:
        """Whether the present search's method expects to gain, though it has been in vain for a while."""
        return self._present.budget.is_unsettled

    def offer(self, point: Incumbent) -> bool:
        """Take note of the incumbent, and hand it to the search if it is better than all of its own."""
        self._best = point
        return self._present.offer(point)

    def bound_at_once(self) -> Report:
        """Compute the relaxation's bound, if that has not been done and there is time."""
        return self._present.bound_at_once()

    def step(self) -> Report:
        """Go on by one step of the present search, or of the next one; its end is not that of the searches."""
        if self._repeats and self._present.is_done:
            self._seed += 1
            self._present = self._present.again(self._seed, None if self._best is None else self._best.values)
        report = self._present.step()
        return replace(report, stop=report.stop if report.stop in (Stop.INFEASIBLE, Stop.UNBOUNDED) else None)

    def close(self) -> tuple[Report, ...]:
        """What the search has in hand."""
        return self._present.close()
