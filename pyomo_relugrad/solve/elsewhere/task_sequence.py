"""A search that is limited by iterations, as a sequence of tasks: its answer does not depend on who does them."""

from dataclasses import replace

from pyomo_relugrad.arrays import Array
from pyomo_relugrad.problem import Incumbent, Problem
from pyomo_relugrad.run import Clock, Options, Record, Report, Stop, Worker
from pyomo_relugrad.solve.elsewhere.task_pool import TaskPool
from pyomo_relugrad.solve.elsewhere.tasks import MAX_KNOWN, options_of_task, search_of, summary
from pyomo_relugrad.solve.local_search import LocalSearch

#: Steps of a task.
TASK_STEPS = 1000
#: Tasks that may be under way at once: each knows what all but the last so many before it have found.
WINDOW = 16
#: Seconds between two looks at tasks that others do, where there is nothing else to do.
WAIT_SECONDS = 0.05


class TaskSequence(Worker):
    """A first search of so many steps, and others that begin at the best points of those before.

    What a task knows, and its seed, follow from its number alone. So do the order in which reports are handed on, and
    the end: all steps are done, or a task has ended by itself with nothing better.

    Parameters
    ----------
    problem : Problem
        As `presolve` leaves it.
    options : Options
        With a limit of iterations.
    clock : Clock
        Of the whole run.
    start : (n,) array, optional
        A warm start, NaN where a column has no value.
    """

    def __init__(self, problem: Problem, options: Options, clock: Clock, start: Array | None = None) -> None:
        self._problem, self._options, self._clock = problem, options, clock
        self._steps = options.iteration_limit or 0
        self._n_tasks = -(-self._steps // TASK_STEPS)
        self._pool = TaskPool(problem, options)
        self._record = Record()
        #: What is known after each task, as far as the sequence has come.
        self._known: list[tuple[Incumbent, ...]] = []
        self._next, self._lost = 1, list[int]()
        #: Reports of tasks that are not due in the sequence.
        self._reports: dict[int, Report] = {}
        first = replace(options, iteration_limit=min(TASK_STEPS, self._steps))
        self._number, self._search = 0, LocalSearch(problem, first, clock, start)
        self._own: list[Report] = []

    def step(self) -> Report:
        """A step of the task that is done here; what others have done is taken meanwhile."""
        if self._number == 0:
            return self._first()
        if self._search.is_done and self._has_next():
            self._begin(self._take_next())
        self._ask_others(WAIT_SECONDS if self._search.is_done else 0.0)
        if not self._search.is_done:
            self._own.append(self._search.step())
            if self._search.is_done:
                self._reports[self._number] = summary(self._own, self._known_to(self._number))
        return self._handed_on()

    def close(self) -> tuple[Report, ...]:
        """What is in hand."""
        self._pool.close()
        own = () if self._search.is_done or self._number == 0 else (summary(self._own, ()),)
        return (*self._search.close(), *own, *self._reports.values())

    def _first(self) -> Report:
        """A step of the first task, which reports as it goes on."""
        report = self._search.step()
        for point in report.points:
            self._record.add(point, self._clock.elapsed)
        if report.stop is not Stop.ITERATION_LIMIT or self._n_tasks == 1:
            return report
        self._known.append(tuple(self._record.pool[:MAX_KNOWN]))
        self._begin(self._take_next())
        return replace(report, stop=None)

    def _learn(self, report: Report) -> bool:
        """Book the next task of the sequence; return whether it brought a better point."""
        is_better = False
        for point in report.points:
            is_better = self._record.add(point, self._clock.elapsed) or is_better
        self._known.append(tuple(self._record.pool[:MAX_KNOWN]))
        return is_better

    def _handed_on(self) -> Report:
        """The reports that are due in the sequence."""
        total = Report()
        while (number := len(self._known)) in self._reports:
            report = self._reports.pop(number)
            is_better = self._learn(report)
            total = total.with_work([report])
            if number + 1 == self._n_tasks:
                return replace(total, stop=report.stop or Stop.ITERATION_LIMIT)
            if report.stop is not Stop.ITERATION_LIMIT and not is_better:
                return replace(total, stop=report.stop or Stop.FINISHED)
        return total

    # --- who does what ------------------------------------------------------------------------------------------

    def _ask_others(self, seconds: float) -> None:
        """Take back what others have done, and give them what comes next, once the run has lasted for a while."""
        is_alone = self._options.executor is None and self._options.cores == 1
        if is_alone or self._clock.elapsed < self._pool.start_seconds:
            return
        for task, report in self._pool.done(seconds):
            if report is None:
                self._lost.append(task.number)
            else:
                self._reports[task.number] = report
        for _ in range(self._pool.room()):
            if self._has_next():
                number = self._take_next()
                if not self._pool.submit(number, self._options_of(number), self._known_to(number)):
                    self._lost.append(number)

    def _begin(self, number: int) -> None:
        """Do a task here."""
        self._number, self._own = number, []
        options = replace(self._options_of(number), device=self._options.device)
        self._search = search_of(self._problem, options, self._known_to(number))

    def _has_next(self) -> bool:
        """Whether there is a task that nobody does, and all that it is to know is known."""
        return bool(self._lost) or (self._next < self._n_tasks and max(self._next - WINDOW, 0) < len(self._known))

    def _take_next(self) -> int:
        if self._lost:
            return self._lost.pop(0)
        self._next += 1
        return self._next - 1

    def _known_to(self, number: int) -> tuple[Incumbent, ...]:
        return self._known[max(number - WINDOW, 0)]

    def _options_of(self, number: int) -> Options:
        steps = min(TASK_STEPS, self._steps - number * TASK_STEPS)
        return options_of_task(self._options, number, self._clock.remaining, steps)
