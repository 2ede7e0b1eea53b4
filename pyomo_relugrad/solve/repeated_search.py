"""A local search that begins anew where it ends with fewer points than are wanted."""

from dataclasses import replace

from pyomo_relugrad.problem import Incumbent
from pyomo_relugrad.run import Clock, Options, Record, Report, Stop, Worker
from pyomo_relugrad.solve.local_search import LocalSearch

#: Searches in a row without a new point after which there may be no more.
PATIENCE = 10


class RepeatedSearch(Worker):
    """Searches with one seed after another, until one of them ends with as many distinct points as are wanted.

    Parameters
    ----------
    first : LocalSearch
    options : Options
        Its seed, and how many points are wanted.
    clock : Clock
    """

    def __init__(self, first: LocalSearch, options: Options, clock: Clock) -> None:
        self._search, self._seed, self._clock = first, options.seed, clock
        self._wanted, self._record = options.solutions, Record(options.solutions)
        self._before = self._vain = 0

    def step(self) -> Report:
        """A step of the present search; where it has ended too early, the next one begins."""
        report = self._search.step()
        for point in report.points:
            self._record.add(point, self._clock.elapsed)
        if report.stop is not Stop.FINISHED or not self._goes_on():
            return report
        self._seed += 1
        self._search = self._search.again(self._seed)  # from nothing: beside the best point all has been seen
        return replace(report, stop=None)

    def offer(self, point: Incumbent) -> bool:
        """Take note of the incumbent."""
        return self._search.offer(point)

    def close(self) -> tuple[Report, ...]:
        """What the search has in hand."""
        return self._search.close()

    def _goes_on(self) -> bool:
        """Whether points are missing, and searches still find new ones."""
        found = len(self._record.pool)
        self._vain = 0 if found > self._before else self._vain + 1
        self._before = found
        return 0 < found < self._wanted and self._vain < PATIENCE
