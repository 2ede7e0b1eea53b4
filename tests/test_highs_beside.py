"""HiGHS beside a local search: when it works, what it brings, and whose core it has."""

from dataclasses import replace

import numpy as np
import pytest
from fake_clock import FakeClock
from random_models import random_problem

from pyomo_relugrad.errors import ModelError
from pyomo_relugrad.problem.presolve import presolve
from pyomo_relugrad.proof import MilpProof, prove_by_milp
from pyomo_relugrad.run import Clock, Options, Report, Stop, Worker
from pyomo_relugrad.solve import highs_beside, search
from pyomo_relugrad.solve.highs_beside import HighsBeside, may_work_beside
from pyomo_relugrad.solve.portfolio import Portfolio

PROBLEM = presolve(random_problem("integer", 3)).problem
TWO = Options(time_limit=20.0, threads=2)


@pytest.fixture(scope="module")
def feasible():
    return search(PROBLEM, iteration_limit=30).incumbent


class Idle(Worker):
    def __init__(self):
        self.offered, self.is_closed = [], False

    def step(self):
        return Report(evaluated=1)

    def offer(self, point):
        self.offered.append(point)
        return True

    def close(self):
        self.is_closed = True
        return (Report(evaluated=7),)


def test_it_finds_the_optimum_and_proves_it(monkeypatch, feasible):
    monkeypatch.setattr(highs_beside, "START_SECONDS", 0.0)
    worker = HighsBeside(Idle(), PROBLEM, TWO, Clock(20.0))
    worker.offer(feasible)
    reports = [worker.step()]
    worker._runner._prover._thread.join()
    reports += [worker.step(), worker.step()]
    optimum = prove_by_milp(PROBLEM, relative_gap=1e-7, absolute_gap=1e-7)
    assert optimum.stop is Stop.OPTIMAL
    assert reports[1].bound == pytest.approx(optimum.incumbent.objective, abs=1e-5)
    assert reports[1].bound < optimum.bound
    best = min((point.objective for report in reports for point in report.points), default=feasible.objective)
    assert best == pytest.approx(optimum.incumbent.objective, abs=1e-5)
    assert [report.stop for report in reports] == [None] * 3
    assert worker.cores_beside == 0
    worker.close()


def test_it_begins_beside_a_point_where_time_has_passed_and_is_left(monkeypatch, feasible):
    clock = FakeClock.installed(monkeypatch)
    begun = []
    monkeypatch.setattr(highs_beside, "Runner", lambda *made: begun.append(made) or Standing())
    for has_point, seconds, begins in ((False, 5.0, False), (True, 0.1, False), (True, 19.8, False), (True, 5.0, True)):
        begun.clear()
        worker = HighsBeside(Idle(), PROBLEM, TWO, Clock(20.0))
        assert worker.cores_beside == 1
        if has_point:
            worker.offer(feasible)
        clock.now += seconds
        worker.step()
        assert bool(begun) is begins
        assert worker.cores_beside == int(begins or seconds < highs_beside.START_SECONDS)


class Standing:
    """A proof that brings nothing."""

    is_done, is_due, worked = False, True, 0.0
    closes, bound = False, -np.inf

    def __init__(self):
        self.offered = []

    def step(self):
        return Report(nodes=3, bound=self.bound)

    def offer(self, point):
        self.offered.append(point)

    def closes_within(self, seconds, objective):
        return self.closes

    def close(self):
        raise ModelError("HiGHS has failed")


def test_it_leaves_its_core_to_islands_where_it_stands_still(feasible):
    worker = HighsBeside(Idle(), PROBLEM, TWO, Clock(20.0))
    runner = worker._runner = Standing()
    assert worker.cores_beside == 1
    runner.worked = 10.0
    assert worker.cores_beside == 0
    runner.closes = True
    assert worker.cores_beside == 1
    for runner.bound in (-np.inf, np.inf):  # that HiGHS has no point does not make the problem infeasible
        assert worker.step() == Report(evaluated=1, nodes=3)
    worker.offer(feasible)
    assert runner.offered == worker._own.offered == [feasible]
    with pytest.raises(ModelError, match="HiGHS has failed"):
        worker.close()
    assert worker._own.is_closed


@pytest.mark.parametrize(
    ("changes", "works"),
    [({}, True), ({"threads": 1}, False), ({"iteration_limit": 50}, False), ({"time_limit": np.inf}, False)],
)
def test_it_needs_a_core_and_a_time_limit(changes, works):
    assert may_work_beside(PROBLEM, replace(TWO, **changes)) is works


def test_it_is_for_small_problems_with_integers(monkeypatch):
    assert not may_work_beside(random_problem("window", 1), TWO)
    monkeypatch.setattr(highs_beside, "Portfolio", lambda: Portfolio(few_relus=10))
    assert not may_work_beside(PROBLEM, TWO)


def test_a_search_on_two_cores_ends_with_its_proof(monkeypatch):
    monkeypatch.setattr(highs_beside, "START_SECONDS", 0.0)
    begun, steps = [], MilpProof.steps
    monkeypatch.setattr(MilpProof, "steps", lambda proof: begun.append(proof) or steps(proof))
    found = search(PROBLEM, time_limit=20.0, threads=2)
    assert found.elapsed < 15.0
    assert found.bound == pytest.approx(found.incumbent.objective, abs=1e-5)
    assert len(begun) == 1
