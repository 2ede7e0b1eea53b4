"""Several solutions: a search that ends by itself begins anew until it has as many as are wanted."""

import json
from pathlib import Path

import numpy as np
import pytest
from random_models import random_network
from scripted_method import Scripted

from pyomo_relugrad import maximize, minimize
from pyomo_relugrad.cli import main
from pyomo_relugrad.problem import EmbeddedNetwork, Problem
from pyomo_relugrad.run import Options, Stop
from pyomo_relugrad.solve import solve_locally

PLANT = str(Path(__file__).parents[1] / "examples" / "plant.onnx")
NETWORK = random_network(np.random.default_rng(1), (3, 8, 8, 1))


def box() -> Problem:
    lower, upper = np.array([-1.0, -1.0, -1.0, -np.inf]), np.array([1.0, 1.0, 1.0, np.inf])
    networks = (EmbeddedNetwork(NETWORK, np.arange(3), np.array([3])),)
    return Problem(np.array([0.0, 0.0, 0.0, 1.0]), lower, upper, networks=networks)


def one_point(problem, context):
    """A search that ends with one random point."""
    x = context.random.uniform(-1, 1, 3)
    yield problem.incumbent(np.append(x, 0.0))


def same_point(problem, context):
    yield problem.incumbent(np.zeros(4))


@pytest.mark.parametrize(("method", "wanted", "found"), [(one_point, 6, 6), (one_point, 1, 1), (same_point, 6, 1)])
def test_a_search_that_ends_begins_anew_until_it_has_enough_or_finds_nothing_new(method, wanted, found):
    options = Options(time_limit=np.inf, method=Scripted(method), solutions=wanted, threads=1)
    result = solve_locally(box(), options)
    assert result.stop is Stop.FINISHED
    assert len(result.pool) == found


@pytest.mark.parametrize(("solve", "sign"), [(maximize, 1.0), (minimize, -1.0)])
def test_arrays_have_as_many_solutions_as_are_wanted_best_first(solve, sign):
    best = solve(NETWORK, lower=-1, upper=1, time_limit=20.0, solutions=12, threads=1)
    values = [sign * solution.value for solution in best.solutions]
    assert len(values) >= 12
    assert values == sorted(values, reverse=True)
    assert best.solutions[0].value == best.value
    for solution in best.solutions:
        assert solution.y == pytest.approx(NETWORK.value(solution.x[None])[0], abs=1e-9)
        assert solution.value == pytest.approx(solution.y[0], abs=1e-9)


def test_the_command_line_shows_as_many_as_are_wanted(capsys):
    asked = ["maximize", PLANT, "--lower", "0", "--upper", "1", "--time-limit", "0.5", "--solutions", "3"]
    main([*asked, "--json"])
    shown = json.loads(capsys.readouterr().out)
    assert len(shown["solutions"]) == 3
    assert shown["solutions"][0] == {key: shown[key] for key in ("objective", "inputs", "outputs")}
    main(asked)
    printed = capsys.readouterr().out
    assert "Solution 2, objective" in printed
    assert "Solution 4" not in printed
