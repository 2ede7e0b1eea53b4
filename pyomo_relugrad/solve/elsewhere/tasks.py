"""A unit of a search's work as data, and the function that does it, in whichever process."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace

import numpy as np

from pyomo_relugrad import deadline
from pyomo_relugrad.deadline import OutOfTime
from pyomo_relugrad.problem import Incumbent, Problem
from pyomo_relugrad.programs import solver_threads
from pyomo_relugrad.run import Clock, Options, Parcel, Report
from pyomo_relugrad.solve.local_search import LocalSearch

#: Points that a task begins with.
MAX_KNOWN = 8
#: Seconds of a turn that has found a better point, which the others are told.
NEWS_SECONDS = 0.01


@dataclass(frozen=True)
class Task:
    """A part of a search.

    Parameters
    ----------
    number : int
        Among the tasks of a run.
    parcel : Parcel
        The presolved problem.
    options : Options
        From `options_of_task`.
    known : tuple of Incumbent, optional
        Good points, the best first.
    seconds : float, optional
        A turn: the worker's search of this problem goes on for so long, and keeps what it has for the next one. Without
        a turn the task is a search of its own, which depends on nothing but the task.
    afresh : bool, optional
        Whether a search that begins in the turn is not told the points: good ones keep it from finding others.
    """

    number: int
    parcel: Parcel
    options: Options
    known: tuple[Incumbent, ...] = ()
    seconds: float | None = None
    afresh: bool = False


@dataclass(frozen=True)
class TaskReport:
    """What came of a task.

    Parameters
    ----------
    worker : str
        Who did it.
    report : Report, optional
        None where the worker has to be given the problem first.
    """

    worker: str
    report: Report | None = None


def perform(task: Task) -> TaskReport:
    """Do a task."""
    worker = f"{socket.gethostname()} {os.getpid()} {threading.get_ident()}"
    try:
        problem: Problem = task.parcel.open()
    except OSError:
        return TaskReport(worker)
    reports = list[Report]()
    with solver_threads(), suppress(OutOfTime), deadline.time_limit(task.options.time_limit):
        reports.extend(_whole(task, problem) if task.seconds is None else _turn(task, problem, task.seconds))
    return TaskReport(worker, summary(reports, task.known))


def options_of_task(options: Options, number: int, time_limit: float, iteration_limit: int | None) -> Options:
    """A run's options with limits and the seed of a task."""
    seed = int(np.random.SeedSequence([options.seed, number]).generate_state(1)[0])
    return replace(
        options,
        seed=seed,
        threads=1,
        executor=None,
        device=None,
        time_limit=time_limit,
        iteration_limit=iteration_limit,
    )


def search_of(problem: Problem, options: Options, known: tuple[Incumbent, ...]) -> LocalSearch:
    """The search that a task begins with, from the best point that is known."""
    start = known[0].values if known else None
    search = LocalSearch(problem, options, Clock(options.time_limit), start, beside=True)
    for point in known[1:]:
        search.offer(point)
    return search


def summary(reports: Iterable[Report], known: tuple[Incumbent, ...]) -> Report:
    """One report of many: of points only the best one, if it is better than what was known."""
    best = known[0] if known else None
    found: tuple[Incumbent, ...] = ()
    total = Report()
    for report in reports:
        for point in report.points:
            if _is_better(point, best):
                best, found = point, (point,)
        total = replace(total.with_work([replace(report, points=())]), stop=report.stop)
    return replace(total, points=found)


def _is_better(point: Incumbent, other: Incumbent | None) -> bool:
    if other is None or point.is_feasible != other.is_feasible:
        return other is None or point.is_feasible
    return point.objective < other.objective if point.is_feasible else point.violation < other.violation


def _whole(task: Task, problem: Problem) -> Iterator[Report]:
    """The reports of a search from its beginning to its end."""
    search = search_of(problem, task.options, task.known)
    while not search.is_done:
        yield search.step()


# --- searches that go on from turn to turn --------------------------------------------------------------------------


class _Kept(threading.local):
    """The search that a thread keeps from one turn to the next, and the parcel that its problem came in."""

    parcel: str = ""
    search: LocalSearch | None = None


_kept = _Kept()


def _turn(task: Task, problem: Problem, seconds: float) -> Iterator[Report]:
    """The reports of a turn; a search that ends in it is not gone on with."""
    clock = Clock(min(seconds, task.options.time_limit))
    search = _kept.search if _kept.parcel == task.parcel.name else None
    if search is None:
        search = search_of(problem, task.options, () if task.afresh else task.known)
    else:
        for point in task.known:
            search.offer(point)
    _kept.search = None
    best = task.known[0] if task.known else None
    is_news = False
    while not (clock.is_over or (is_news and clock.elapsed >= NEWS_SECONDS)):
        report = search.step()
        is_news = is_news or any(_is_better(point, best) for point in report.points)
        yield report
        if search.is_done:
            return
    _kept.parcel, _kept.search = task.parcel.name, search
