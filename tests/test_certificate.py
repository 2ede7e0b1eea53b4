"""Bounds of linear programs by their multipliers: they hold whatever the multipliers are, and however badly scaled."""

from dataclasses import replace

import numpy as np
import pytest
from random_models import random_network
from scipy import sparse

from pyomo_relugrad.problem import EmbeddedNetwork, Problem
from pyomo_relugrad.programs import LinearProgram, LinearStatus, certified, proven_minimum
from pyomo_relugrad.run import Options, Route, Stop
from pyomo_relugrad.solve import Portfolio, solve_exactly

INF = np.inf


def random_program(random: np.random.Generator, n: int = 6, m: int = 4):
    """Cost, bounds, rows and sides of a program with a point, some sides infinite."""
    rows = random.normal(size=(m, n)) * (random.random((m, n)) < 0.6)
    point = random.uniform(-1, 1, n)
    lower, upper = point - random.random(n), point + random.random(n)
    sides = rows @ point - random.random(m), rows @ point + random.random(m)
    low, high = (np.where(random.random(m) < 0.7, side, sign * INF) for side, sign in zip(sides, (-1, 1), strict=True))
    return random.normal(size=n), lower, upper, sparse.csr_array(rows), low, high


@pytest.mark.parametrize("seed", range(5))
def test_multipliers_prove_no_more_than_the_optimum_and_the_best_ones_all_of_it(seed):
    random = np.random.default_rng(seed)
    program = random_program(random)
    solution = certified(LinearProgram(*program).solve(), *program)
    assert solution.objective - 1e-9 <= solution.bound <= solution.objective + 1e-12
    for scale in (1e-9, 1e-3, 1.0):
        wrong = solution.row_duals + scale * random.normal(size=4)
        assert proven_minimum(*program, wrong) <= solution.objective + 1e-12


def test_columns_without_bounds_have_no_minimum_but_where_rounding_alone_gives_them_a_cost():
    rows, side = sparse.csr_array([[1.0, 1.0], [1.0, -1.0]]), np.array([0.1, 0.3])
    program = np.array([1.0, 0.0]), np.full(2, -INF), np.full(2, INF), rows, side, np.full(2, INF)
    assert proven_minimum(*program, np.array([0.5, 0.5 + 1e-15])) == pytest.approx(0.2)
    assert proven_minimum(*program, np.array([0.5, 0.5 + 1e-7])) == -INF


@pytest.mark.parametrize("room", [1e-9, -1e-9])
def test_programs_are_empty_where_a_ray_shows_it(room):
    rows = sparse.csr_array([[1.0, 1e-6], [1.0, -1e-6]])
    program = np.zeros(2), np.zeros(2), np.array([1.0, 1e6]), rows, np.array([-INF, 0.5]), np.array([0.5 + room, INF])
    found = certified(LinearProgram(*program).solve(), *program)
    assert found.status is LinearStatus.OPTIMAL if room > 0 else found.bound <= 1e-9
    narrow = (*program[:4], np.array([-INF, 1.5]), np.array([0.5, INF]))
    empty = LinearProgram(*narrow).solve()
    assert certified(empty, *narrow).status is LinearStatus.INFEASIBLE
    unproven = certified(replace(empty, ray=None), *narrow)
    assert (unproven.status, unproven.bound) == (LinearStatus.FAILED, -INF)


@pytest.mark.parametrize("route", [Route.BRANCH, Route.MILP])
@pytest.mark.parametrize("seed", range(3))
def test_small_costs_of_wide_columns_count(seed, route):
    """A unit costs less than HiGHS's own tolerance, the whole range several times the gap."""
    random = np.random.default_rng(seed)
    network, width = random_network(random, (3, 4, 1)), 10.0 ** random.integers(3, 6)
    lower, upper = np.array([0.0, 0.0, -width, 0.0, -INF]), np.array([2.0, 3.0, width, width, INF])
    cost = np.array([0.3, 0.0, 3e-5 / width * random.choice([-1, 1]), -2e-5 / width, 0.5])
    row = np.array([[1.0, 1.0, 0.0, 1.0 / width, 0.0]])
    integers, embedded = np.array([True] * 4 + [False]), EmbeddedNetwork(network, [0, 1, 1], [4])
    problem = Problem(cost, lower, upper, sparse.csr_array(row), None, np.array([3.0]), integers, (embedded,))
    grid = np.array(
        [[a, b, c, d, 0.0] for a in range(3) for b in range(4) for c in (-width, width) for d in (0, width)]
    )
    points = problem.propagate(grid)
    optimum = problem.objective(points)[problem.violation(points) <= 0].min()
    problem = replace(problem, constant=-optimum)
    options = Options(relative_gap=0.0, absolute_gap=1e-6, threads=1)
    result = solve_exactly(problem, options, time_limit=20.0, portfolio=Portfolio(routes=(route,)))
    assert (result.stop, result.incumbent.objective) == (Stop.OPTIMAL, pytest.approx(0.0, abs=1e-6))
    assert result.bound <= 1e-9
