"""Searches that end when they have been in vain for long."""

import re
from typing import Any

import numpy as np
import pyomo.environ as pyo
import pytest
from fake_clock import FakeClock
from model_families import commitment
from pyomo.contrib.solver.common.factory import SolverFactory
from pyomo.contrib.solver.common.results import TerminationCondition
from random_models import random_network

from pyomo_relugrad.modeling.compile.model import CompiledModel
from pyomo_relugrad.problem import EmbeddedNetwork, Problem
from pyomo_relugrad.run import Clock, Driver, Options, Report, SearchResult, Stop, Worker
from pyomo_relugrad.solve import local, search, stagnation
from pyomo_relugrad.solve.local_search import LocalSearch
from pyomo_relugrad.solve.stagnation import UntilStagnation

PROBLEM = Problem(np.array([1.0]), np.array([0.0]), np.array([99.0]), np.zeros((0, 1)), np.zeros(0), np.zeros(0))


class Gaining(Worker):
    """A step a second; better points after some of them."""

    def __init__(self, clock: FakeClock, gains: tuple[float, ...]) -> None:
        self._clock, self._begin, self._gains = clock, clock.now, gains

    def step(self) -> Report:
        self._clock.now += 1.0
        after = self._clock.now - self._begin
        points = [PROBLEM.incumbent(np.array([99.0 - after]))] if after in self._gains else []
        return Report(tuple(points))


def run(
    monkeypatch: pytest.MonkeyPatch, *gains: float, limit: float = 90.0, solutions: int = 1, is_unsettled: bool = False
) -> SearchResult:
    fake = FakeClock.installed(monkeypatch)
    options, clock = Options(limit, solutions=solutions), Clock(limit)
    driver = Driver(PROBLEM, options, clock, lambda progress: progress.elapsed >= 200.0)
    search = LocalSearch(PROBLEM, options, clock)
    search.budget.is_unsettled = is_unsettled
    return driver.run(UntilStagnation(Gaining(fake, gains), search, options, clock))


@pytest.mark.parametrize(
    ("gains", "end"), [((1.0,), 15.0), ((1.0, 5.0), 15.0), ((1.0, 14.0), 42.0), ((1.0, 9.0, 26.0), 78.0)]
)
def test_a_search_ends_after_twice_the_time_of_its_best_point_in_vain(
    gains: tuple[float, ...], end: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    result = run(monkeypatch, *gains)
    assert (result.stop, result.elapsed) == (Stop.FINISHED, end)
    assert result.reason == f"no better point in {end - gains[-1]:.0f} s, the best one took {gains[-1]:.1f} s"


def test_a_search_goes_on_while_it_gains_or_has_no_point(monkeypatch: pytest.MonkeyPatch) -> None:
    for gains in (), (1.0, 12.0, 31.0):
        result = run(monkeypatch, *gains)
        assert (result.stop, result.elapsed, result.reason) == (Stop.TIME_LIMIT, 90.0, "")


def test_a_search_goes_on_whose_step_brings_a_better_point_when_it_is_to_end(monkeypatch: pytest.MonkeyPatch) -> None:
    result = run(monkeypatch, 1.0, 15.0)
    assert (result.history[-1], result.elapsed) == ((15.0, 84.0), 45.0)


@pytest.mark.parametrize("options", [{"limit": np.inf}, {"solutions": 2}, {"is_unsettled": True}])
def test_a_search_goes_on_that_has_no_limit_wants_many_points_or_expects_to_gain(
    options: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run(monkeypatch, 1.0, **options).elapsed >= 90.0


def test_users_are_told_why_a_search_ended_before_its_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stagnation, "LEAST_SECONDS", 0.0)
    monkeypatch.setattr(stagnation, "VAIN", 0.0)
    model = commitment()
    results = pyo.SolverFactory("relugrad").solve(model, time_limit=60, threads=1, tee=True)
    assert results.solver.termination_condition == pyo.TerminationCondition.feasible
    assert re.match(r"feasible, no better point in 0 s, the best one took 0\.\d s; objective", results.solver.message)
    assert results.extra_info["reason"].startswith("no better point")


def test_published_methods_use_all_of_the_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stagnation, "LEAST_SECONDS", 0.0)
    monkeypatch.setattr(stagnation, "VAIN", 0.0)
    lower, upper = np.array([0.0, 0.0, -np.inf]), np.array([1.0, 1.0, np.inf])
    network = EmbeddedNetwork(random_network(np.random.default_rng(0), (2, 9, 1)), [0, 1], [2])
    rows = np.zeros((0, 3)), np.zeros(0), np.zeros(0)
    problem = Problem(np.array([0.1, 0.2, 1.0]), lower, upper, *rows, networks=(network,))
    for method, stop in ("sampling", Stop.TIME_LIMIT), ("sequential-lp", Stop.FINISHED):
        result = search(problem, method, time_limit=0.2, threads=1)
        assert (result.stop, bool(result.reason)) == (stop, stop is Stop.FINISHED)


@pytest.mark.parametrize(("method", "is_helped"), [("sampling", False), ("sequential-lp", True)])
def test_published_methods_get_no_points_of_others(
    method: str, is_helped: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    helpers: list[object] = []
    monkeypatch.setattr(local, "bounders_for", lambda *arguments: helpers.append(arguments) or [])
    search(PROBLEM, method, time_limit=0.05)
    assert bool(helpers) is is_helped


def test_the_best_point_is_not_spoken_of_where_pyomo_refutes_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stagnation, "LEAST_SECONDS", 0.0)
    monkeypatch.setattr(stagnation, "VAIN", 0.0)
    monkeypatch.setattr(CompiledModel, "refuted", lambda compiled, point: "a row is violated")
    solver = SolverFactory("relugrad")
    options = {"time_limit": 60, "threads": 1, "load_solutions": False}
    results = solver.solve(commitment(), raise_exception_on_nonoptimal_result=False, **options)
    assert results.termination_condition is TerminationCondition.locallyInfeasible
    assert "reason" not in results.extra_info.value()
