"""Slack columns, and the prices of the rows that they loosen."""

import numpy as np
import pytest
from scipy import sparse

from pyomo_relugrad.problem import Problem
from pyomo_relugrad.programs import LinearProgram, priced_quadratic_minimum
from pyomo_relugrad.run import Budget
from pyomo_relugrad.search.completion import Completion
from pyomo_relugrad.search.relaxation import LinearRelaxation
from pyomo_relugrad.search.soft_rows import SoftRows

INF = np.inf


def soft_problem(**changes) -> Problem:
    """Columns x, y, then over and under of x's set-point, the size of y, and what lets ``x + y`` exceed 1 by halves."""
    given = {
        "cost": np.array([1.0, 1.0, 3.0, 2.0, 0.5, 4.0]),
        "lower": np.array([-2.0, -2.0, 0.0, 0.0, 0.0, 0.25]),
        "upper": np.array([2.0, 2.0, INF, INF, INF, INF]),
        "rows": np.array(
            [
                [1.0, 0.0, -1.0, 1.0, 0.0, 0.0],
                [0.0, -1.0, 0.0, 0.0, 1.0, 0.0],
                [0.0, 1.0, 0.0, 0.0, 1.0, 0.0],
                [1.0, 1.0, 0.0, 0.0, 0.0, -2.0],
            ]
        ),
        "row_lower": np.array([0.5, 0.0, 0.0, -INF]),
        "row_upper": np.array([0.5, INF, INF, 1.0]),
    }
    return Problem(**(given | changes))


def test_slacks_are_what_a_linear_program_makes_of_them():
    problem = soft_problem()
    soft, random = SoftRows(problem), np.random.default_rng(0)
    np.testing.assert_array_equal(soft.columns, [2, 3, 4, 5])
    np.testing.assert_array_equal(soft.below, [2.0, 0.5, 0.5, 0.0])
    np.testing.assert_array_equal(soft.above, [3.0, 0.0, 0.0, 2.0])
    V = np.column_stack([random.uniform(-2, 2, (8, 2)), np.full((8, 4), 9.0)])
    for v, whole in zip(V, soft.loosened(V), strict=True):
        decided = np.arange(6) < 2
        held = [np.where(decided, v, side) for side in (problem.lower, problem.upper)]
        program = LinearProgram(problem.cost, *held, problem.rows, problem.row_lower, problem.row_upper)
        np.testing.assert_allclose(whole, program.solve().values, atol=1e-9)
        kept = soft.without.row_activity(np.clip(whole, soft.without.lower, soft.without.upper)[None])[0]
        paid = (
            np.maximum(problem.row_lower - kept, 0) @ soft.below + np.maximum(kept - problem.row_upper, 0) @ soft.above
        )
        assert problem.cost @ whole == pytest.approx(problem.cost @ np.append(v[:2], problem.lower[2:]) + paid)


@pytest.mark.parametrize(
    ("changes", "left"),
    [
        ({"cost": np.array([1.0, 1.0, 0.0, 2.0, 0.5, 4.0])}, [3, 4, 5]),  # free of charge
        ({"upper": np.array([2.0, 2.0, INF, INF, INF, 3.0])}, [2, 3, 4]),  # with an end
        ({"quadratic": sparse.csr_array(np.diag([0.0, 0, 0, 1, 0, 0]))}, [2, 4, 5]),
        ({"integers": np.arange(6) == 3}, [2, 4, 5]),
        ({"row_lower": np.array([0.5, 0.1, 0.0, -INF])}, [2, 3, 5]),  # both rows of the size may be violated at once
        ({"row_upper": np.array([0.5, INF, INF, INF])}, [2, 3, 4]),  # nothing to loosen
    ],
)
def test_other_columns_are_no_slacks(changes, left):
    np.testing.assert_array_equal(SoftRows(soft_problem(**changes)).columns, left)


def test_two_slacks_of_one_side_stay_columns():
    problem = Problem(np.ones(3), np.zeros(3), np.full(3, INF), np.array([[1.0, -1.0, -2.0]]), [-INF], [1.0])
    assert SoftRows(problem).columns.size == 0


def test_a_start_gets_its_slacks_without_a_program(monkeypatch):
    problem = soft_problem(integers=np.arange(6) < 2)
    monkeypatch.setattr(Completion, "_program", lambda *_: pytest.fail("a program was solved"))
    completion = Completion(problem, LinearRelaxation(problem), Budget())
    stale = np.array([2.0, -1.0, 0.0, 0.0, 0.0, 0.25])
    assert problem.incumbent(completion.with_slacks(stale)).is_feasible
    stale[0] = 5.0  # as a state that is fixed to another number now
    assert problem.incumbent(completion.with_slacks(stale)).is_feasible
    assert completion.is_whole(np.where(np.arange(6) < 2, stale, np.nan))


@pytest.mark.parametrize("seed", range(4))
def test_rows_with_prices_are_violated_where_that_is_cheaper(seed):
    random = np.random.default_rng(seed)
    root, gradient, rows = (random.standard_normal(shape) for shape in ((5, 5), 5, (40, 5)))
    hessian = root.T @ root + 1e-3 * np.eye(5)
    prices = np.where(np.arange(40) < 10, INF, random.exponential(1.0, 40))
    upper = np.where(np.isinf(prices), 0.5, random.uniform(-0.5, 1, 40))
    x, gain, multipliers = priced_quadratic_minimum(hessian, gradient, rows, upper, prices, np.zeros(40))
    again = priced_quadratic_minimum(hessian, gradient, rows, upper, prices, multipliers)
    np.testing.assert_allclose(x, again.point, atol=1e-9)
    np.testing.assert_allclose(gradient + hessian @ x + multipliers @ rows, 0.0, atol=1e-7)
    excess = rows @ x - upper
    assert (excess[:10] <= 1e-8).all()
    assert (multipliers == prices).any()
    assert (multipliers == 0.0).any()
    loose = np.vstack([np.zeros((10, 30)), -np.eye(30)])
    free, none = np.full(5, INF), np.zeros(30)
    program = LinearProgram(
        np.append(gradient, prices[10:]),
        np.append(-free, none),
        np.append(free, none + INF),
        np.hstack([rows, loose]),
        np.full(40, -INF),
        upper,
        quadratic=sparse.block_diag([sparse.csr_array(hessian), sparse.csr_array((30, 30))], format="csr"),
    )
    value = gradient @ x + x @ hessian @ x / 2 + prices[10:] @ np.maximum(excess[10:], 0)
    assert value == pytest.approx(program.solve().objective, abs=1e-6)
    assert gain == pytest.approx(prices[10:] @ np.maximum(-upper[10:], 0) - value, abs=1e-6)


@pytest.mark.parametrize("seed", range(3))
def test_a_program_may_lack_a_share_of_its_gain_and_ends_where_there_is_none(seed, monkeypatch):
    random = np.random.default_rng(seed)
    gradient, rows = random.standard_normal(20), random.standard_normal((120, 20))
    prices = np.where(np.arange(120) < 10, INF, random.exponential(0.1, 120))
    upper = np.where(np.isinf(prices), 0.1, random.uniform(-0.5, 0.2, 120))
    program = 0.1 * np.eye(20), gradient, rows, upper, prices, np.zeros(120)
    best, rough = priced_quadratic_minimum(*program), priced_quadratic_minimum(*program, gap=0.3)
    assert 0.7 * best.gain <= rough.gain < best.gain
    assert (rows[:10] @ rough.point <= 0.1 + 1e-6).all()
    monkeypatch.setattr("pyomo_relugrad.programs.priced_quadratic.MAX_PIVOTS", 12)
    assert priced_quadratic_minimum(*program) is None
    assert priced_quadratic_minimum(*program, least=1e3).gain < best.gain
