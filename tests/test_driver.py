"""The one loop of all runs, with workers that do what they are told."""

import signal
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest
from fake_clock import FakeClock

from pyomo_relugrad import deadline
from pyomo_relugrad.deadline import OutOfTime
from pyomo_relugrad.problem import Incumbent, Problem
from pyomo_relugrad.run import Clock, Driver, Options, Report, Stop, Worker
from pyomo_relugrad.run.interrupts import deferred_interrupts

#: Minimize x over 1 <= x, as a row, and 0 <= x <= 9.
PROBLEM = Problem(np.array([1.0]), np.array([0.0]), np.array([9.0]), np.ones((1, 1)), np.array([1.0]), np.array([9.0]))
EXACT = Options(relative_gap=0.0, absolute_gap=0.0)


def point(value: float) -> Incumbent:
    return PROBLEM.incumbent(np.array([value]))


class Scripted(Worker):
    """Reports what it is given; keeps what it is offered."""

    def __init__(self, *reports: Report, last: tuple[Report, ...] = ()) -> None:
        self._reports, self._last = iter(reports), last
        self.offered: list[float] = []
        self.closed = 0

    def step(self) -> Report:
        return next(self._reports)

    def offer(self, incumbent: Incumbent) -> bool:
        self.offered.append(incumbent.objective)
        return True

    def close(self) -> tuple[Report, ...]:
        self.closed += 1
        return self._last


def drive(worker: Worker, callback=None, *, options: Options = EXACT, **limits):
    return Driver(PROBLEM, options, Clock(options.time_limit), callback, **limits).run(worker)


def test_a_bound_that_a_feasible_point_refutes_is_given_up():
    wrong = Report((point(5.0),), bound=4.0)
    result = drive(Scripted(wrong, Report((point(2.0),)), Report(bound=4.0), Report(bound=0.5, stop=Stop.FINISHED)))
    assert (result.stop, result.bound, result.incumbent.objective) == (Stop.FINISHED, 0.5, 2.0)
    assert [bound for _, bound in result.bound_history] == [0.5]
    tolerance = Report(bound=2.0 + 1e-6, stop=Stop.FINISHED)
    assert drive(Scripted(wrong, Report((point(2.0),)), tolerance)).stop is Stop.OPTIMAL


def test_a_worker_that_has_ended_says_why_and_its_work_adds_up():
    worker = Scripted(
        Report((point(3.0),), bound=0.5, evaluated=4, iterations=1),
        Report((point(5.0),), bound=0.25, evaluated=2, nodes=7),
        Report(bound=1.0, iterations=2, stop=Stop.ITERATION_LIMIT),
        last=(Report((point(2.0),), nodes=1), Report(evaluated=1)),
    )
    result = drive(worker)
    assert (result.stop, result.bound, result.incumbent.objective) == (Stop.ITERATION_LIMIT, 1.0, 2.0)
    assert (result.points, result.iterations, result.nodes) == (7, 3, 8)
    assert [value for _, value in result.history] == [3.0, 2.0]
    assert [value for _, value in result.bound_history] == [0.5, 1.0]
    assert [kept.objective for kept in result.pool] == [2.0, 3.0, 5.0]
    assert (worker.offered, worker.closed) == ([3.0], 1)


@pytest.mark.parametrize(
    ("report", "stop"),
    [
        (Report((point(3.0),), bound=3.0), Stop.OPTIMAL),
        (Report((point(3.0),), bound=3.0 + 1e-6), Stop.OPTIMAL),
        (Report(bound=np.inf), Stop.INFEASIBLE),
        (Report(stop=Stop.UNBOUNDED), Stop.UNBOUNDED),
        (Report((point(3.0),), bound=3.0, stop=Stop.FINISHED), Stop.OPTIMAL),
        (Report((point(3.0),), bound=2.9, stop=Stop.FINISHED), Stop.FINISHED),
        (Report((point(3.0),), stop=Stop.INFEASIBLE), Stop.FINISHED),
    ],
)
def test_what_is_proven_ends_the_run_whatever_the_worker_says(report, stop):
    result = drive(Scripted(report))
    assert result.stop is stop
    assert result.incumbent is None or result.bound <= result.incumbent.objective


@pytest.mark.parametrize(("solutions", "kept"), [(1, [2.0]), (2, [2.0, 3.0]), (4, [2.0, 3.0, 4.0])])
def test_a_proof_ends_a_run_once_it_has_as_many_solutions_as_are_wanted(solutions, kept):
    reports = [Report((point(value),), bound=2.0) for value in (2.0, 3.0, 2.0, 4.0)]
    result = drive(Scripted(*reports, Report(stop=Stop.FINISHED)), options=replace(EXACT, solutions=solutions))
    assert [one.objective for one in result.pool] == kept
    assert result.stop is Stop.OPTIMAL


def test_more_than_ten_solutions_are_kept_where_they_are_wanted():
    points = Report(tuple(point(1.0 + number / 4) for number in range(14)), stop=Stop.FINISHED)
    kept = [len(drive(Scripted(points), options=Options(solutions=wanted)).pool) for wanted in (1, 12, 13.0)]
    assert kept == [10, 12, 13]


@pytest.mark.parametrize(("bound", "stop"), [(-np.inf, Stop.UNBOUNDED), (-1e26, Stop.OPTIMAL)])
def test_a_point_whose_objective_counts_as_infinite_ends_the_run_as_unbounded_where_nothing_bounds_it(bound, stop):
    problem = Problem(np.array([1.0]), np.array([-np.inf]), np.array([0.0]))
    reports = [Report((problem.incumbent(np.array([value])),), bound=bound) for value in (-1e3, -1e26)]
    seen = []
    result = Driver(problem, EXACT, Clock(), seen.append).run(Scripted(*reports))
    assert (result.stop, result.incumbent.objective, len(seen)) == (stop, -1e26, 2)


def test_the_gap_of_the_options_counts():
    reports = [Report((point(3.0),), bound=bound) for bound in (1.0, 2.0, 2.8)]
    assert drive(Scripted(*reports), options=Options(relative_gap=0.4)).bound == 2.0


def test_what_is_reported_at_the_end_may_be_the_proof():
    worker = Scripted(Report((point(3.0),), stop=Stop.FINISHED), last=(Report(bound=3.0),))
    assert drive(worker).stop is Stop.OPTIMAL


def test_a_target_ends_the_run():
    worker = Scripted(*(Report((point(value),)) for value in (4.0, 3.0, 2.0, 1.0)))
    result = drive(worker, target=2.5)
    assert (result.stop, result.incumbent.objective) == (Stop.TARGET, 2.0)


def test_a_point_that_is_not_feasible_meets_no_target():
    worker = Scripted(Report((point(0.25),)), Report(stop=Stop.FINISHED))
    result = drive(worker, target=2.5)
    assert (result.stop, result.least_violated.violation, worker.offered) == (Stop.FINISHED, 0.75, [])


def test_nodes_and_the_clock_are_limits(monkeypatch):
    assert drive(Scripted(*(Report(nodes=3) for _ in range(9))), node_limit=7).nodes == 9
    clock = FakeClock.installed(monkeypatch, tick=0.1)
    result = drive(Scripted(*(Report() for _ in range(999))), options=Options(time_limit=5.0))
    assert result.stop is Stop.TIME_LIMIT
    assert clock.now < 1010.0


def test_a_step_has_the_time_that_is_left(monkeypatch):
    clock, seen = FakeClock.installed(monkeypatch), []

    class Slow(Scripted):
        def step(self) -> Report:
            seen.append(deadline.remaining())
            clock.now += 3.0
            deadline.checkpoint()
            return Report((point(1.0),))

    worker = Slow()
    result = drive(worker, options=Options(time_limit=7.0))
    assert (result.stop, seen, worker.closed) == (Stop.TIME_LIMIT, [7.0, 4.0, 1.0], 1)
    assert deadline.remaining() == np.inf


@pytest.mark.parametrize("where", ["step", "callback", "close"])
def test_a_run_that_is_interrupted_keeps_what_it_has(where):
    def interrupt(*_):
        raise KeyboardInterrupt if where != "close" else OutOfTime

    worker = Scripted(Report((point(3.0),), bound=1.0), Report(stop=Stop.FINISHED))
    if where == "step":
        reports = iter([Report((point(3.0),), bound=1.0)])
        worker.step = lambda: next(reports, None) or interrupt()
    if where == "close":
        worker.close = interrupt
    result = drive(worker, interrupt if where == "callback" else None)
    assert result.stop is (Stop.FINISHED if where == "close" else Stop.INTERRUPTED)
    assert (result.incumbent.objective, result.bound) == (3.0, 1.0)


@pytest.mark.parametrize("last", [1, 2, 3])
def test_the_callback_sees_every_step_and_ends_the_run(last):
    seen = []

    def callback(progress):
        seen.append((progress.points, progress.nodes, progress.is_new, progress.bound))
        return len(seen) == last

    worker = Scripted(
        Report((point(3.0),), evaluated=5), Report(bound=1.0, nodes=5), Report((point(2.0),), evaluated=1)
    )
    result = drive(worker, callback)
    assert seen == [(5, 0, True, -np.inf), (5, 5, False, 1.0), (6, 5, True, 1.0)][:last]
    assert result.stop is Stop.CALLBACK


def test_the_end_of_a_worker_is_no_news_for_the_callback():
    seen = []
    drive(Scripted(Report((point(3.0),)), Report(bound=1.0, stop=Stop.FINISHED)), seen.append)
    assert len(seen) == 1
    drive(Scripted(Report((point(3.0),)), Report((point(2.0),), stop=Stop.FINISHED)), seen.append)
    assert len(seen) == 3


def test_an_error_in_the_callback_passes_and_closes_the_worker():
    worker = Scripted(Report((point(3.0),)))
    with pytest.raises(ZeroDivisionError):
        drive(worker, lambda progress: 1 / 0)
    assert worker.closed == 1


def test_a_second_ctrl_c_waits_until_the_worker_is_closed():
    class Interrupted(Scripted):
        def step(self) -> Report:
            raise KeyboardInterrupt

        def close(self) -> tuple[Report, ...]:
            signal.raise_signal(signal.SIGINT)
            return super().close()

    worker = Interrupted()
    with pytest.raises(KeyboardInterrupt):
        drive(worker)
    assert worker.closed == 1
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_ctrl_c_is_not_deferred_where_python_does_not_hear_of_it():
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with deferred_interrupts():
            assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, before)
    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(drive, Scripted(Report(stop=Stop.FINISHED))).result().stop is Stop.FINISHED
