"""Runs on the presolved problem: its limits, and what is told of the original."""

import numpy as np
import pytest

from pyomo_relugrad import deadline
from pyomo_relugrad.deadline import OutOfTime
from pyomo_relugrad.errors import ModelError
from pyomo_relugrad.network import Network
from pyomo_relugrad.problem import EmbeddedNetwork, Problem
from pyomo_relugrad.run import Clock, SearchResult, Stop
from pyomo_relugrad.solve import presolved
from pyomo_relugrad.solve.presolved import run_presolved

INF = np.inf


def box() -> Problem:
    return Problem(np.ones(1), np.zeros(1), np.ones(1))


def unused(*_):
    raise AssertionError("nothing is to run")


@pytest.mark.parametrize(("error", "stop"), [(OutOfTime, Stop.TIME_LIMIT), (KeyboardInterrupt, Stop.INTERRUPTED)])
def test_a_presolve_that_is_stopped_ends_the_run(error, stop, monkeypatch):
    seen = []

    def presolve(problem):
        seen.append(deadline.remaining())
        raise error

    monkeypatch.setattr(presolved, "presolve", presolve)
    result = run_presolved(box(), None, None, unused, Clock(60.0))
    assert (result.stop, result.incumbent, result.bound) == (stop, None, -INF)
    assert seen[0] <= 60.0


def test_tightening_is_given_up_where_there_is_no_time():
    network = Network.from_layers([[[1.0]], [[1.0]]], [[0.0], [0.0]])
    problem = Problem(
        np.ones(3), np.array([0.0, -INF, -INF]), np.array([1.0, INF, 1.0]), np.ones((1, 3)), np.zeros(1),
        np.full(1, INF), networks=(EmbeddedNetwork(network, [0], [1]),),
    )  # fmt: skip
    assert np.isfinite(presolved.presolve(problem).problem.lower[2])
    with deadline.time_limit(0.0):
        assert presolved.presolve(problem).problem.lower[2] == -INF


def test_nothing_is_optimal_without_a_feasible_point_of_the_original():
    """A tie whose sides differ by little in the reduced problem, and by 1e4 times as much in the original."""
    rows = np.array([[1e4, -1e4]])
    problem = Problem(np.ones(2), np.zeros(2), np.ones(2), rows, np.zeros(1), np.zeros(1))
    scaled = Problem(np.ones(2), np.zeros(2), np.ones(2), rows, np.full(1, 1e-3), np.full(1, 1e-3))

    def run(reduced, *_):
        point = reduced.incumbent(np.full(reduced.n_columns, 2e-6))
        return SearchResult((point,), None, Stop.OPTIMAL, 1, 1, 0.0, ((0.0, point.objective),), bound=point.objective)

    assert run_presolved(problem, None, None, run, Clock()).stop is Stop.OPTIMAL
    result = run_presolved(scaled, None, None, run, Clock())
    assert (result.stop, result.pool, result.history) == (Stop.FINISHED, (), ())
    assert result.least_violated is not None


@pytest.mark.parametrize(("coefficient", "least", "shown"), [(1e15, 0.5, "1e[+]15"), (1.0, 1e20, "1e[+]20")])
def test_rows_with_numbers_that_no_linear_program_takes_are_named(coefficient, least, shown):
    rows = np.array([[1.0, 1.0, 0.0], [0.0, coefficient, 1.0]])
    low, high = np.array([0.5, least]), np.full(2, INF)
    problem = Problem(np.ones(3), np.zeros(3), np.array([INF, INF, 1.0]), rows, low, high, row_names=("few", "supply"))
    with pytest.raises(ModelError, match=rf"constraint 'supply' has numbers up to {shown}: .*choose other units"):
        run_presolved(problem, None, None, unused, Clock())
