"""Tasks on their way: handed to an executor, with the problem for who needs it, and taken back when they are done."""

from __future__ import annotations

import logging
from concurrent.futures import FIRST_COMPLETED, Executor, Future, wait
from contextlib import ExitStack
from dataclasses import replace

from pyomo_relugrad.problem import Incumbent, Problem
from pyomo_relugrad.run import Options, Parcel, Report, packed, worker_processes
from pyomo_relugrad.search import find_method
from pyomo_relugrad.solve.elsewhere.tasks import Task, TaskReport, perform

logger = logging.getLogger(__name__)

#: Seconds of a run after which others are asked, and where processes of an earlier run are at hand.
START_SECONDS, START_THERE = 0.1, 0.03
#: Seconds that must be left then.
MIN_SECONDS = 1.0
#: Tasks under way for each worker of an executor that has been seen, and at first.
TASKS_PER_WORKER, FIRST_TASKS = 2, 4
#: Weights of a problem's networks from which its process gives up its own copy for the one that all share.
MIN_SHARED_WEIGHTS = 2**22
#: Tasks that fail one after another, for other reasons than a lost worker's, after which no others are given away.
MAX_FAILURES = 3


def others_may_help(problem: Problem, options: Options) -> bool:
    """Whether there are others that may work on a problem, and a search that several can share."""
    has_others = options.executor is not None or options.cores > 1
    return has_others and bool(problem.functions) and find_method(options.method, problem).cooperates


def _hold_what_is_packed(problem: Problem, parcel: Parcel) -> None:
    """Let large networks hold the arrays in the file, which all processes of this machine share, in place of theirs."""
    if sum(embedded.network.n_weights for embedded in problem.networks) < MIN_SHARED_WEIGHTS:
        return
    for own, packed_one in zip(problem.networks, parcel.read().networks, strict=True):
        own.network.hold(packed_one.network)


class TaskPool:
    """What a run gives to others.

    Parameters
    ----------
    problem : Problem
        As `presolve` leaves it.
    options : Options
        Threads and executor count.
    """

    def __init__(self, problem: Problem, options: Options) -> None:
        self._problem, self._options, self._cores = problem, options, options.cores
        self._executor: Executor | None = options.executor
        self._parcel: Parcel | None = None
        self._tasks: dict[Future[TaskReport], Task] = {}
        self._workers: set[str] = set()
        self._failures = 0
        self._stack = ExitStack()

    @property
    def start_seconds(self) -> float:
        """Seconds of a run after which others are asked, so that a short one is left alone."""
        are_at_hand = self._options.executor is None and worker_processes(self._cores - 1).are_at_hand
        return START_THERE if are_at_hand else START_SECONDS

    @property
    def under_way(self) -> int:
        """How many tasks others work at, or will soon."""
        return len(self._tasks) if self._options.executor else min(len(self._tasks), self._cores - 1)

    def room(self, cores_beside: int = 0, depth: int = 1) -> int:
        """How many more tasks there is room for, beside a main thread and other cores in use.

        Parameters
        ----------
        cores_beside : int, optional
        depth : int, optional
            Tasks for each process of this machine.
        """
        if self._failures >= MAX_FAILURES:
            return 0
        if self._options.executor is None:
            most = depth * (self._cores - 1 - cores_beside)
        else:
            most = self._options.threads or max(FIRST_TASKS, TASKS_PER_WORKER * len(self._workers))
        return max(most - len(self._tasks), 0)

    def submit(
        self,
        number: int,
        options: Options,
        known: tuple[Incumbent, ...] = (),
        seconds: float | None = None,
        afresh: bool = False,
    ) -> bool:
        """Give a task away, which `done` brings back; return whether that could be done."""
        try:
            if self._executor is None:
                self._executor = worker_processes(self._cores - 1)
            if self._parcel is None:
                self._parcel = self._stack.enter_context(packed(self._problem))
                _hold_what_is_packed(self._problem, self._parcel)
            self._hand_over(Task(number, self._parcel, options, known, seconds, afresh))
        except Exception as error:  # what cannot be pickled, an executor that is shut down
            self._note_failure(error, MAX_FAILURES)
            return False
        return True

    def done(self, seconds: float = 0.0) -> list[tuple[Task, Report | None]]:
        """The tasks that have come back, None in place of the reports of lost ones; wait up to so long for a first."""
        if seconds > 0.0 and self._tasks:
            wait(self._tasks, seconds, FIRST_COMPLETED)
        return [result for future in list(self._tasks) if future.done() for result in self._taken(future)]

    def close(self) -> None:
        """Call back what has not begun."""
        for future in self._tasks:
            future.cancel()
        self._stack.close()

    def _hand_over(self, task: Task) -> None:
        assert self._executor is not None
        self._tasks[self._executor.submit(perform, task)] = task

    def _taken(self, future: Future[TaskReport]) -> list[tuple[Task, Report | None]]:
        """What one future brought; nothing where the task has to be sent again, with the problem."""
        task = self._tasks.pop(future)
        try:
            answer = future.result()
            self._workers.add(answer.worker)
            if answer.report is None and task.parcel.content is None:
                self._hand_over(replace(task, parcel=task.parcel.with_content()))
                return []
        except Exception as error:
            self._note_failure(error, 1)
            return [(task, None)]
        self._failures = 0
        return [(task, answer.report)]

    def _note_failure(self, error: BaseException, count: int) -> None:
        self._failures += count
        end = "; the run goes on alone" if self._failures >= MAX_FAILURES else ""
        logger.info("a task was lost: %s: %s%s", type(error).__name__, error, end)
