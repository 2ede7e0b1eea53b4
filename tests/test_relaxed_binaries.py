"""Descents of binaries between their values: slopes of rows, where descents end, and rounds of them."""

import itertools
from typing import Any

import numpy as np
import pyomo.environ as pyo
import pytest
from model_families import commitment, new_model

from pyomo_relugrad import ReluNetworkBlock as Block
from pyomo_relugrad.errors import ModelError
from pyomo_relugrad.modeling.compile import compile_model
from pyomo_relugrad.run import Budget
from pyomo_relugrad.search.decisions import relaxed_rounds
from pyomo_relugrad.search.decisions.annealing import Annealing
from pyomo_relugrad.search.decisions.decisions import Decisions
from pyomo_relugrad.search.decisions.landscape import BlockLandscape
from pyomo_relugrad.search.decisions.relaxed_descent import RelaxedDescent
from pyomo_relugrad.search.decisions.relaxed_rounds import RelaxedRounds
from pyomo_relugrad.search.decisions.relaxed_rows import FULL, RelaxedRows
from pyomo_relugrad.search.decisions.runs import RunMoves

CORNERS = np.array(list(itertools.product((0.0, 1.0), repeat=8)))


def relaxed(model: pyo.ConcreteModel) -> tuple[Decisions, BlockLandscape, RelaxedRows]:
    """A model's decisions, how good they are, and its rows."""
    decisions = Decisions.of(compile_model(model).problem)
    assert decisions is not None
    landscape = BlockLandscape(decisions, decisions.random(64, np.random.default_rng(0)), 10.0)
    assert landscape.relaxed_rows is not None
    return decisions, landscape, landscape.relaxed_rows


def commitment_cost(X: np.ndarray, penalty: float) -> np.ndarray:
    """What starts cost, and `penalty` times smoothed violations of the rows of `commitment`, at decisions (8, B)."""
    hours = X.reshape(2, 4, -1)
    before = np.concatenate([np.broadcast_to([[[0.0]], [[1.0]]], (2, 1, X.shape[1])), hours[:, :-1]], axis=1)
    start, stop = np.maximum(hours - before, 0.0), np.maximum(before - hours, 0.0)
    excess = []
    for t in range(4):
        first = max(0, t - 1)
        excess.append(start[:, first : t + 1].sum(axis=1) - hours[:, t])
        excess.append(stop[:, first : t + 1].sum(axis=1) - 1.0 + hours[:, t])
    beyond = np.maximum(np.concatenate(excess), 0.0)
    smoothed = np.where(beyond < FULL, beyond**2 / (2 * FULL), beyond - FULL / 2)
    return np.asarray(0.2 * start.sum(axis=(0, 1)) + penalty * smoothed.sum(axis=0))


@pytest.mark.parametrize("penalty", [0.0, 3.0])
def test_slopes_are_those_of_costs_and_violations_between_binaries(penalty: float) -> None:
    """Starts and stops are differences of what is on, which need not be whole."""
    _, _, rows = relaxed(commitment())
    X = np.random.default_rng(0).uniform(0.05, 0.95, (8, 50))
    slopes = rows.slopes(X.astype(np.float32), penalty)
    for place, unit in enumerate(1e-6 * np.eye(8)):
        change = commitment_cost(X + unit[:, None], penalty) - commitment_cost(X - unit[:, None], penalty)
        np.testing.assert_allclose(slopes[place], change / 2e-6, atol=2e-4 * (1.0 + penalty))


def test_rows_of_decisions_alone_have_slopes_too() -> None:
    m, _, network = new_model(6, 3, 6, 1)
    m.x = pyo.Var(range(3), domain=pyo.Binary)
    m.few = pyo.Constraint(expr=2 * m.x[0] + 2 * m.x[1] <= 2)
    m.some = pyo.Constraint(expr=m.x[1] + 0.5 * m.x[2] >= 0.5)
    m.cost = Block(network=network, inputs=m.x)
    m.obj = pyo.Objective(expr=m.cost.outputs[0] + m.x[0])
    _, _, rows = relaxed(m)
    X = np.array([[1.0, 1.0, 0.0], [0.0, 0.0, 0.0], [0.0, 0.0, 1.0], [0.8, 0.4, 0.9]], np.float32)
    expected = [[2.0, 2.0, 0.0], [0.0, -2.0, -1.0], [0.0, 0.0, 0.0], [2.0, 2.0, 0.0]]
    np.testing.assert_allclose(rows.slopes(X.T, 2.0).T, expected, atol=1e-6)


def test_binaries_that_no_row_asks_for_stay_off() -> None:
    m, _, network = new_model(6, 2, 6, 1)
    m.x, m.bonus = pyo.Var(range(2), domain=pyo.Binary), pyo.Var(range(2), domain=pyo.Binary)
    m.only_beside = pyo.Constraint(range(2), rule=lambda m, i: m.bonus[i] + m.x[i] <= 1)
    m.cost = Block(network=network, inputs=m.x)
    m.obj = pyo.Objective(expr=m.cost.outputs[0] + m.x[0] - m.bonus[0] - m.bonus[1])
    _, _, rows = relaxed(m)
    np.testing.assert_array_equal(rows.slopes(np.full((2, 3), 0.5, np.float32), 2.0), np.zeros((2, 3)))


def test_levels_between_rows_are_no_such_function() -> None:
    m = commitment()
    m.reserve = pyo.Var(bounds=(0, 9))
    m.enough = pyo.Constraint(range(4), rule=lambda m, t: m.reserve >= m.on[0, t] - 0.5 * m.on[1, t])
    m.obj.set_value(m.obj.expr + m.reserve)
    decisions = Decisions.of(compile_model(m).problem)
    assert decisions is not None
    assert not RelaxedRows.suit(decisions)


def test_descents_end_at_plans_that_rows_allow_the_best_among_them() -> None:
    decisions, landscape, rows = relaxed(commitment())
    values = decisions.problem.objective(decisions.points(CORNERS))
    allowed = decisions.problem.violation(decisions.points(CORNERS)) <= 1e-9
    budget, random = Budget(iteration_limit=25), np.random.default_rng(0)
    descent = RelaxedDescent(points=64)
    *_, ends = descent.run(rows, landscape, float(np.ptp(values[allowed]) / 5), 25.0, budget, random)
    points = decisions.points(ends)
    is_allowed = decisions.problem.violation(points) <= 1e-9
    assert is_allowed.mean() > 0.8
    assert decisions.problem.objective(points[is_allowed]).min() == pytest.approx(values[allowed].min(), abs=1e-9)
    assert (budget.iterations, budget.points) == (25, 25 * 8 * 64)


def test_rounds_descend_and_anneal_from_the_lowest_points_so_far(monkeypatch: pytest.MonkeyPatch) -> None:
    """What others tell and the first point are among them; each of them is there once."""
    decisions, landscape, rows = relaxed(commitment())
    order = CORNERS[np.argsort(landscape.row_costs(CORNERS) + landscape.rest(CORNERS))]
    began: list[tuple[Any, Any]] = []

    def run(_: RelaxedDescent, *given: Any) -> Any:
        began.append(given[-2:])
        yield CORNERS  # what was met under way does not count
        yield order[[9, 9, 12 - len(began)]]

    def cycle(_: Annealing, starts: np.ndarray, *others: object) -> Any:
        began.append((starts, None))
        yield order[3 - (len(began) > 3)], None
        yield order[1 - (len(began) > 3)], None

    monkeypatch.setattr(RelaxedDescent, "run", run)
    monkeypatch.setattr(Annealing, "cycle", cycle)
    monkeypatch.setattr(relaxed_rounds, "PHASES", ((0.0, 0.3), (0.4, 0.2), (None, 0.1), (0.5, 0.2), (None, 0.2)))
    rounds, random = RelaxedRounds(RelaxedDescent(), rows, Annealing(chains=4)), np.random.default_rng(0)
    moves, others = RunMoves.of(decisions, random), iter([[order[6]]])
    X, budget = np.concatenate([order[[20]], CORNERS]), Budget(iteration_limit=9)
    steps = list(rounds.round(X, moves, landscape, 1.0, budget, random, lambda: next(others, [])))
    assert [passed for _, passed in began] == [0.0, 0.4, None, 0.5, None]
    starts = [start for start, _ in began]
    assert starts[0] is None
    np.testing.assert_array_equal(starts[1], order[[6, 9, 11, 20]])
    np.testing.assert_array_equal(starts[2], order[[6, 9, 10, 11]])
    np.testing.assert_array_equal(starts[3], order[[1, 3, 6, 9]])
    np.testing.assert_array_equal(starts[4], order[[1, 3, 6, 8]])
    for x, value, _ in steps:
        assert value == pytest.approx(landscape.merit(landscape.points(x[None]))[0])
    np.testing.assert_array_equal(steps[0][0], order[20])
    np.testing.assert_array_equal(steps[-1][0], order[0])


def test_descents_from_ends_stay_near_them_where_most_of_a_descent_has_passed() -> None:
    decisions, landscape, rows = relaxed(commitment())
    starts = CORNERS[decisions.problem.violation(decisions.points(CORNERS)) <= 1e-9][:2]
    moved = []
    for passed in (0.0, 0.99):
        budget, random = Budget(iteration_limit=9), np.random.default_rng(0)
        *_, ends = RelaxedDescent(points=8).run(rows, landscape, 3.0, 9.0, budget, random, starts, passed)
        moved.append(np.abs(ends - np.tile(starts, (4, 1))).mean())
    assert moved[1] == 0.0
    assert moved[0] > 0.1


@pytest.mark.parametrize("wrong", [{"points": 0}, {"first_step": 0.0}, {"momentum": 2.0}, {"penalty": -1.0}])
def test_settings_of_relaxed_descents_are_checked(wrong: dict[str, Any]) -> None:
    with pytest.raises(ModelError, match=f"relaxed descents has {next(iter(wrong))}=.*: give"):
        RelaxedDescent(**wrong)
