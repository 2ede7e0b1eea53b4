"""Searches side by side: what is shared, what is lost with a worker, and what does not depend on workers."""

from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass, replace

import numpy as np
import pyomo.environ as pyo
import pytest
from executors import Inline
from fake_clock import FakeClock
from random_models import random_problem
from random_networks import random_network
from scripted_method import Scripted

import pyomo_relugrad as relugrad
from pyomo_relugrad.problem.presolve import presolve
from pyomo_relugrad.run import Clock, Options, Report, Stop, Worker, packed
from pyomo_relugrad.run.processes import WorkerProcesses
from pyomo_relugrad.search import Auto
from pyomo_relugrad.search.relaxation import LinearRelaxation
from pyomo_relugrad.search.sequential.elite import Elite
from pyomo_relugrad.search.sequential.search import SequentialLp
from pyomo_relugrad.search.sequential.starts import Starts
from pyomo_relugrad.solve import array_problem, search
from pyomo_relugrad.solve.elsewhere import islands, task_pool, task_sequence
from pyomo_relugrad.solve.elsewhere.islands import Islands
from pyomo_relugrad.solve.elsewhere.tasks import Task, options_of_task, perform, search_of
from pyomo_relugrad.solve.local_search import LocalSearch

WIDE = random_network((20, 60, 60, 1), 3)
BOX = array_problem(random_network((4, 12, 12, 1), 3), None, -1.0, 1.0)


@pytest.fixture
def at_once(monkeypatch):
    """Others join from the first step on, and are looked at after each."""
    monkeypatch.setattr(task_pool.TaskPool, "start_seconds", 0.0)
    monkeypatch.setattr(islands, "LOOK_SECONDS", 0.0)
    monkeypatch.setattr(islands, "TURN_SECONDS", 0.02)


@pytest.fixture
def short_tasks(monkeypatch, at_once):
    monkeypatch.setattr(task_sequence, "TASK_STEPS", 20)
    monkeypatch.setattr("pyomo_relugrad.solve.local.TASK_STEPS", 20)
    monkeypatch.setattr(task_sequence, "WINDOW", 3)


def outcome(result):
    points = [(point.objective, point.values.tobytes()) for point in result.pool]
    return result.stop, result.points, result.iterations, points


# --- limited by iterations ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("problem", [BOX, random_problem("equality", 1), random_problem("window", 2)])
def test_with_an_iteration_limit_the_answer_is_the_same_for_any_number_of_workers(short_tasks, problem):
    alone = search(problem, iteration_limit=100, seed=4, threads=1)
    assert alone.iterations > 20
    inline = Inline(lost=(1, 2))
    assert outcome(search(problem, iteration_limit=100, seed=4, executor=inline)) == outcome(alone)
    assert len(inline.tasks) > 2
    for workers in (2, 4) if problem is BOX else ():
        with ThreadPoolExecutor(workers) as pool:
            found = search(problem, iteration_limit=100, seed=4, executor=pool, threads=workers)
        assert outcome(found) == outcome(alone)


def test_another_seed_gives_other_tasks(short_tasks):
    first, second = (search(BOX, iteration_limit=200, seed=seed) for seed in (0, 1))
    assert outcome(first) != outcome(second)


def test_few_steps_are_one_search(short_tasks):
    inline = Inline()
    search(BOX, iteration_limit=20, executor=inline)
    assert not inline.tasks


def test_a_sequence_of_tasks_does_all_steps_or_ends_when_tasks_end_in_vain(short_tasks):
    result = search(BOX, Auto(), iteration_limit=150)
    assert (result.stop, result.iterations) == (Stop.ITERATION_LIMIT, 150)
    small = array_problem(random_network((2, 3, 1), 0), None, 0.0, 1.0)
    done = search(small, iteration_limit=10**6)
    assert done.stop is Stop.FINISHED
    assert done.iterations < 10**5


def test_published_methods_run_alone(short_tasks):
    inline = Inline()
    search(BOX, "ppga", iteration_limit=100, executor=inline)
    assert not inline.tasks


# --- limited by time ------------------------------------------------------------------------------------------------


class Idle(Worker):
    """Finds nothing itself."""

    def __init__(self):
        self.offered = []

    def step(self):
        return Report(evaluated=1)

    def offer(self, point):
        self.offered.append(point)
        return True


def beside(executor, clock=None, own=None, problem=BOX, **options):
    options = Options(executor=executor, **options)
    return Islands(own or Idle(), presolve(problem).problem, options, clock or Clock(5.0))


def test_islands_report_points_and_go_on_from_turn_to_turn(at_once):
    inline = Inline()
    worker = beside(inline, threads=1)
    first = [worker.step() for _ in range(3)]
    assert first[0].evaluated == 1  # its tasks have only been sent
    assert first[1].evaluated > 1
    assert any(report.points for report in first)
    numbers = [task.number for task in inline.tasks]
    assert numbers == sorted(set(numbers))
    assert len({task.options.seed for task in inline.tasks}) == len(numbers)
    assert [task.options.executor for task in inline.tasks] == [None] * len(numbers)


def test_islands_are_told_what_the_run_has_found(at_once):
    inline = Inline()
    worker = beside(inline, threads=1)
    best = BOX.incumbent(np.zeros(BOX.n_columns))
    worker.offer(best)
    worker.step()
    assert [point.objective for point in inline.tasks[0].known] == [best.objective]
    report = worker.step()
    assert all(point.objective < best.objective for point in report.points)


def test_short_runs_are_left_alone(monkeypatch):
    clock = FakeClock.installed(monkeypatch)
    inline = Inline(lost=range(9))
    worker = beside(inline, Clock(1.05))
    worker.step()
    clock.now += 0.5  # less than a second is left
    worker.step()
    assert not inline.tasks
    worker = beside(inline, Clock(100.0))
    worker.step()
    assert not inline.tasks
    clock.now += 0.5
    worker.step()
    assert inline.tasks


def test_turns_are_short_in_the_beginning_and_near_the_end(monkeypatch):
    clock, inline = FakeClock.installed(monkeypatch), Inline(lost=range(9))
    worker = beside(inline, Clock(20.0), threads=1)
    for seconds in (0.2, 4.8, 13.0):
        clock.now += seconds
        worker.step()
        worker._pool._tasks.clear()
    assert [task.seconds for task in inline.tasks] == pytest.approx([0.04, 0.5, 0.2])


def test_a_worker_says_how_long_it_is_left_alone(at_once, monkeypatch):
    clock, inline = FakeClock.installed(monkeypatch), Inline()
    worker = beside(inline, Clock(100.0))
    worker._own.seconds_alone = 3.0
    for now, is_joined in ((2.5, False), (1.0, True)):
        clock.now += now
        worker.step()
        assert bool(inline.tasks) is is_joined


def test_processes_that_are_there_join_sooner(monkeypatch):
    clock, there = FakeClock.installed(monkeypatch), Inline()
    monkeypatch.setattr(task_pool, "worker_processes", lambda count: there)
    for are_at_hand, seconds in ([False, (0.05, 0.06)], [True, (0.02, 0.02)]):
        there.are_at_hand = are_at_hand
        there.tasks.clear()
        worker = beside(None, Clock(100.0), threads=2)
        for wait_seconds, is_joined in zip(seconds, (False, True), strict=True):
            clock.now += wait_seconds
            worker.step()
            assert bool(there.tasks) is is_joined


@pytest.mark.parametrize(
    ("family", "seconds", "afresh"),
    [("window", 0.04, [True, True, False, False]), ("window", 0.2, [False] * 4), ("integer", 0.04, [False] * 4)],
)
def test_early_islands_of_continuous_problems_begin_from_nothing(monkeypatch, family, seconds, afresh):
    clock, there = FakeClock.installed(monkeypatch), Inline(lost=range(9))
    monkeypatch.setattr(task_pool, "worker_processes", lambda count: there)
    there.are_at_hand = True
    worker = beside(None, Clock(100.0), problem=random_problem(family, 1), threads=3)
    clock.now += seconds
    worker.step()
    assert [task.afresh for task in there.tasks] == afresh


def test_a_turn_that_begins_from_nothing_hears_of_points_in_the_next(monkeypatch):
    clock, problem, heard = FakeClock.installed(monkeypatch), presolve(BOX).problem, []
    best = search(problem, iteration_limit=50).incumbent

    def course(problem, context):
        while True:
            heard.append((context.start is None, len(context.known), [*context.offered]))
            clock.now += 0.006
            yield None

    options = replace(options_of_task(Options(), 1, np.inf, None), method=Scripted(course))
    with packed(problem) as parcel:
        for afresh in (True, False):
            assert not perform(Task(1, parcel, options, (best,), seconds=0.01, afresh=afresh)).report.points
    (begun, *_, last) = heard
    assert begun == (True, 0, [])
    assert [point.objective for point in last[2]] == [best.objective]


def test_there_are_two_tasks_for_each_core_beside_those_in_use(at_once, monkeypatch):
    sent = []
    monkeypatch.setattr(task_pool, "worker_processes", lambda count: Inline())
    monkeypatch.setattr(task_pool.TaskPool, "done", lambda self, seconds=0.0: sent.append(len(self._tasks)) or [])
    worker = beside(None, threads=4)
    worker._own.__class__ = type("Busy", (Idle,), {"cores_beside": 1})
    worker.step()
    worker.step()
    assert sent == [0, 4]
    assert worker._pool.under_way == 3


def test_a_lost_task_is_no_loss_and_a_broken_executor_leaves_the_run_alone(at_once):
    inline = Inline(lost=(0,))
    worker = beside(inline, threads=1)
    reports = [worker.step() for _ in range(4)]
    assert any(report.points for report in reports)
    broken = Inline(lost=range(100))
    worker = beside(broken, threads=1)
    assert sum(worker.step().evaluated for _ in range(9)) == 9
    assert len(broken.tasks) == task_pool.MAX_FAILURES
    closed = ThreadPoolExecutor(1)
    closed.shutdown()
    worker = beside(closed)
    assert sum(worker.step().evaluated for _ in range(3)) == 3


def test_a_method_that_cannot_travel_leaves_the_run_alone(at_once):
    @dataclass(frozen=True)
    class Local(Auto):
        pass

    with WorkerProcesses(1) as pool:
        worker = beside(pool, method=Local())
        assert sum(worker.step().evaluated for _ in range(3)) == 3
        assert not pool._threads


def test_what_islands_have_in_hand_at_the_end_counts(at_once):
    inline = Inline()
    worker = beside(inline, threads=1)
    worker.step()
    assert [bool(report.points) for report in worker.close()] == [True]


def test_a_search_takes_better_points_of_others(at_once):
    known = search(BOX, iteration_limit=400).incumbent
    seen = []

    def course(problem, context):
        for _ in range(3):
            seen.append([point.objective for point in context.take_offered()])
            yield None

    own = LocalSearch(presolve(BOX).problem, Options(method=Scripted(course)), Clock())
    own.step()
    assert own.offer(known)
    own.step()
    own.step()
    assert seen == [[], [known.objective], []]


@pytest.mark.parametrize("solver", ["relugrad", "relugrad.exact"])
def test_pyomo_takes_threads_and_an_executor(at_once, solver):
    m = pyo.ConcreteModel()
    m.x = pyo.Var(range(20), bounds=(-1, 1))
    m.nn = relugrad.ReluNetworkBlock(network=WIDE, inputs=m.x)
    m.best = pyo.Objective(expr=m.nn.outputs[0], sense=pyo.maximize)
    inline = Inline()
    pyo.SolverFactory(solver).solve(
        m, executor=inline, threads=1, time_limit=60, callback=lambda progress: len(inline.tasks) > 1
    )
    assert len(inline.tasks) > 1


def test_maximize_and_minimize_take_an_executor(at_once):
    inline = Inline()
    for function in (relugrad.maximize, relugrad.minimize):
        inline.tasks.clear()
        function(WIDE, lower=-1, upper=1, executor=inline, threads=1, callback=lambda _: len(inline.tasks) > 1)
        assert len(inline.tasks) > 1


# --- tasks ----------------------------------------------------------------------------------------------------------


def task(parcel, **changes):
    return replace(Task(1, parcel, options_of_task(Options(), 1, np.inf, 30)), **changes)


def test_a_task_depends_on_nothing_but_itself():
    problem = presolve(array_problem(WIDE, None, -1.0, 1.0)).problem
    with packed(problem) as parcel:
        first, again = (perform(task(parcel)).report for _ in range(2))
        other = perform(task(parcel, options=options_of_task(Options(), 2, np.inf, 30))).report
        known = perform(task(parcel, known=first.points)).report
    values = [report.points[0].values.tobytes() for report in (first, again, other)]
    assert values[0] == values[1] != values[2]
    assert (first.stop, first.iterations, len(first.points)) == (Stop.ITERATION_LIMIT, 30, 1)
    assert all(point.objective < first.points[0].objective for point in known.points)


def test_a_turn_ends_soon_after_a_better_point_which_others_are_told(monkeypatch):
    clock, steps = FakeClock.installed(monkeypatch), []
    problem = presolve(BOX).problem
    points = sorted((problem.incumbent(np.full(problem.n_columns, x)) for x in (0.0, 0.5)), key=lambda p: -p.objective)

    def course(problem, context):
        for point in (None, points[1], *[None] * 99):
            steps.append(point)
            clock.now += 0.006
            yield point

    options = replace(options_of_task(Options(), 1, np.inf, None), method=Scripted(course))
    with packed(problem) as parcel:
        for known, n_steps, found in ((points[:1], 2, points[1:]), (points[1:], 17, [])):
            steps.clear()
            report = perform(Task(1, parcel, options, tuple(known), seconds=0.1)).report
            assert [point.objective for point in report.points] == [point.objective for point in found]
            assert len(steps) == n_steps
            monkeypatch.setattr("pyomo_relugrad.solve.elsewhere.tasks._kept.search", None)


def test_a_descent_beside_another_search_begins_elsewhere():
    problem = presolve(random_problem("window", 1)).problem
    known, begun = search(problem, iteration_limit=50).incumbent, []

    def course(problem, context):
        starts = Starts(SequentialLp(), problem, LinearRelaxation(problem), context, Elite(8))
        begun.append((len(starts._queue), context.start is None, context.relaxed is None))
        yield None

    options = replace(options_of_task(Options(), 1, np.inf, None), method=Scripted(course))
    for own in (search_of(problem, options, (known,)), LocalSearch(problem, options, Clock(), known.values)):
        while not own.is_done:
            own.step()
    assert begun == [(0, False, False), (2, False, False)]


def test_a_worker_without_the_problem_asks_for_it(at_once, monkeypatch):
    with packed(presolve(BOX).problem) as parcel:
        pass
    assert perform(task(parcel)).report is None
    inline = Inline()
    worker = beside(inline, threads=1)
    monkeypatch.setattr(
        "pyomo_relugrad.run.parcel._mapped", lambda path: (_ for _ in ()).throw(FileNotFoundError(path))
    )
    reports = [worker.step() for _ in range(4)]
    assert any(report.points for report in reports)
    assert [task.parcel.content is None for task in inline.tasks[:3]] == [True, False, True]  # it travelled once


# --- real processes -------------------------------------------------------------------------------------------------


def test_processes_of_this_machine_join_and_a_killed_one_is_replaced(at_once):
    worker = beside(None, Clock(), threads=2)
    pool = task_pool.worker_processes(1)
    try:
        for _ in range(2):
            while not worker.step().points:
                wait(worker._pool._tasks, timeout=5.0)
            (process,) = pool.processes
            process.kill()
            worker._record.pool.clear()  # so that any point is news
    finally:
        worker.close()
        pool.shutdown()
