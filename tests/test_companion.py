"""A search on another core beside each of many short solves of one model."""

import math
import time
from concurrent.futures import Future
from dataclasses import replace

import numpy as np
import pytest
from random_networks import random_network

from pyomo_relugrad.problem import EmbeddedNetwork, Problem
from pyomo_relugrad.run import Clock, Options, Past, Report, Worker
from pyomo_relugrad.solve.elsewhere import companion
from pyomo_relugrad.solve.elsewhere.companion import CompanionTask, search_beside, with_companion


def horizon(cost: float = 1.0) -> Problem:
    """Four networks that feed each other, each with a decision of its own."""
    network, n = random_network([2, 8, 1], 3), 9
    networks = tuple(EmbeddedNetwork(network, [4 + k, k], [5 + k]) for k in range(4))
    lower, upper = np.full(n, -1.0), np.full(n, 1.0)
    lower[4] = upper[4] = 0.5
    lower[5:], upper[5:] = -np.inf, np.inf
    return Problem(np.r_[np.full(4, 0.1), np.full(5, cost)], lower, upper, networks=networks)


class Alone(Worker):
    """Reports nothing."""

    def step(self):
        """Nothing."""
        return Report()


class HereExecutor:
    """Does what it is given at once, and keeps it."""

    def __init__(self):
        self.tasks = []

    def submit(self, function, task):
        """The result, or the error, as a future."""
        self.tasks.append(task)
        future = Future()
        try:
            future.set_result(function(task))
        except Exception as error:
            future.set_exception(error)
        return future


@pytest.fixture
def executor(monkeypatch):
    here = HereExecutor()
    monkeypatch.setattr(companion, "worker_processes", lambda count, niceness: here)
    monkeypatch.setattr(companion, "_kept", {})
    return here


def joined(problem: Problem, past: Past, seconds: float = 0.9, **options) -> Worker:
    """What becomes of a worker whose solve begins at the origin."""
    start = np.zeros(problem.n_columns)
    return with_companion(Alone(), problem, Options(seconds, threads=2, **options), Clock(seconds), start, past)


def test_the_problem_is_sent_once_and_numbers_with_each_solve(executor):
    past, problem, other = Past(solves=2, ran_out=True, chains={0.0: None}), horizon(), None
    assert isinstance(joined(horizon(), past), Alone)  # the process has to be sent the problem first
    for cost in (1.0, 1.0, 2.0):
        other = joined(replace(problem, cost=cost * problem.cost), past)
    assert [task.problem is None for task in executor.tasks] == [False, False, True, True]
    assert isinstance(joined(horizon(), past), Alone)  # of another network
    (report,) = other.close()
    best = report.points[0]
    assert best.is_feasible
    assert best.objective == pytest.approx(2 * problem.objective(best.values[None])[0])
    assert best.objective < replace(problem, cost=2 * problem.cost).incumbent(np.zeros(9)).objective


def test_a_process_that_has_lost_the_problem_is_sent_it_again(executor):
    past, problem = Past(solves=2, ran_out=True, chains={0.0: None}), horizon()
    joined(problem, past)
    companion._kept.clear()
    assert joined(problem, past).close() == ()
    joined(problem, past)
    assert [task.problem is None for task in executor.tasks] == [False, True, False]
    joined(horizon(), Past(solves=2, ran_out=True, chains={0.0: None}))
    executor.submit(search_beside, executor.tasks[2])  # once more, with two models at hand
    assert len(companion._kept) == 2


def test_problems_with_integers_have_none(executor):
    past, problem = Past(solves=2, ran_out=True, chains={0.0: None}), horizon()
    for _ in range(2):
        assert isinstance(joined(replace(problem, integers=np.arange(9) == 1), past), Alone)
    assert not executor.tasks


def test_solves_that_end_early_are_long_or_share_a_core_have_none_and_nobody_waits_for_one_that_is_late(executor):
    problem = horizon()
    shared = Past(solves=2, ran_out=True, had_core=False, chains={0.0: None})
    for past in (Past(solves=2, chains={0.0: None}), Past(solves=2, ran_out=True), shared):
        assert isinstance(joined(problem, past), Alone)
    past = Past(solves=2, ran_out=True, chains={0.0: None})
    assert isinstance(joined(problem, past, seconds=5.0), Alone)
    assert not executor.tasks
    joined(problem, past)
    executor.submit = lambda function, task: Future()
    worker = joined(problem, past)
    begin = time.perf_counter()
    assert worker.close() == ()
    assert time.perf_counter() - begin < 0.5
    assert isinstance(joined(problem, past), Alone)  # it is still at work


def test_a_search_whose_time_is_over_does_nothing(monkeypatch):
    monkeypatch.setattr(companion, "_kept", {})
    problem = horizon()
    assert search_beside(CompanionTask("a", math.inf, problem)) == Report()
    late = CompanionTask("a", time.monotonic() - 1.0, None, {}, np.zeros(9))
    assert search_beside(late) == Report()
    for name in "bc":
        search_beside(CompanionTask(name, 0.0, problem))
    with pytest.raises(KeyError):
        search_beside(late)
