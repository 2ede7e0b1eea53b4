"""The merit and its first-order descent."""

import dataclasses

import numpy as np
import pytest
from random_models import FAMILIES, random_problem
from scipy import sparse

from pyomo_relugrad.problem import Problem
from pyomo_relugrad.run import Budget
from pyomo_relugrad.search.sequential.merit import Merit
from pyomo_relugrad.search.sequential.penalty_descent import penalty_descent
from pyomo_relugrad.search.sequential.step_model import column_scale


def points_of(problem, count=40):
    lower = np.where(np.isfinite(problem.lower), problem.lower, -2.0)
    upper = np.where(np.isfinite(problem.upper), problem.upper, 2.0)
    points = np.random.default_rng(0).uniform(lower, upper, size=(count, problem.n_columns))
    return problem.propagate(np.where(problem.integers, np.round(points), points))


@pytest.mark.parametrize("family", FAMILIES)
def test_merit_gradients_agree_with_finite_differences(family):
    problem = random_problem(family, 1)
    V = points_of(problem)
    merit = Merit.scaled_to(problem, V, 10.0)
    gradient = merit.gradient(problem, V)
    agreeing = 0
    for column in np.flatnonzero(~problem.is_output):
        shift = np.zeros(problem.n_columns)
        shift[column] = 1e-6
        above = merit.of(problem, problem.propagate(V + shift))
        below = merit.of(problem, problem.propagate(V - shift))
        smooth = np.abs(above + below - 2 * merit.of(problem, V)) < 1e-9
        numeric = (above - below) / 2e-6
        np.testing.assert_allclose(gradient[smooth, column], numeric[smooth], rtol=1e-3, atol=1e-3)
        agreeing += smooth.sum()
    assert agreeing > 20
    np.testing.assert_array_equal(gradient[:, problem.is_output], 0.0)


@pytest.mark.parametrize("family", FAMILIES)
def test_descents_end_lower_within_the_bounds(family):
    problem = random_problem(family, 1)
    V = points_of(problem)
    merit = Merit.scaled_to(problem, V, 10.0)
    W = penalty_descent(problem, V, merit, column_scale(problem), Budget())
    decides = ~problem.is_output
    assert (problem.lower[decides] <= W[:, decides]).all()
    assert (problem.upper[decides] >= W[:, decides]).all()
    np.testing.assert_array_equal(W[:, problem.integers], np.round(W[:, problem.integers]))
    np.testing.assert_allclose(problem.propagate(W), W, atol=1e-12)
    before, after = merit.of(problem, V), merit.of(problem, W)
    assert np.median(after) < np.median(before)
    if not problem.integers.any():
        assert (after <= before + 1e-12).all()


def test_restoration_ignores_the_objective():
    problem = random_problem("window", 1)
    V = points_of(problem)
    merit = Merit.scaled_to(problem, V, 10.0).restoring
    np.testing.assert_allclose(merit.of(problem, V), problem.row_violations(V) @ merit.row_penalties)
    assert (merit.of(problem, V) > 0).any()


def test_penalties_suit_the_units_of_rows_and_objective():
    problem = random_problem("window", 1)
    V = points_of(problem)
    units = np.array([1e-3, 1.0, 1e4])[: problem.n_rows]
    other = dataclasses.replace(
        problem,
        cost=100 * problem.cost,
        rows=sparse.csr_array(problem.rows * units[:, None]),
        row_lower=problem.row_lower * units,
        row_upper=problem.row_upper * units,
    )
    merit, scaled = Merit.scaled_to(problem, V, 10.0), Merit.scaled_to(other, V, 10.0)
    np.testing.assert_allclose(scaled.row_penalties * units, 100 * merit.row_penalties)
    np.testing.assert_allclose(scaled.of(other, V), 100 * merit.of(problem, V))


def test_penalties_are_finite_beside_exponentials():
    """Objectives of 1e300 and columns of 1e-300 at random points; numbers that overflow are errors in tests."""
    problem = Problem(np.array([1.0, 1.0]), np.full(2, -np.inf), np.full(2, np.inf), np.eye(2), None, np.zeros(2))
    merit = Merit.scaled_to(problem, np.array([[1e300, 1e-305], [0.0, 0.0]]), 10.0)
    assert np.isfinite(merit.row_penalties).all()
