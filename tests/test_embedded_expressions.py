"""Smooth expressions inside problems: evaluated, differentiated, measured and presolved beside networks."""

from __future__ import annotations

import numpy as np
import pytest

from pyomo_relugrad.errors import InfeasibleProblemError, ModelError
from pyomo_relugrad.expression import Expression, ExpressionBuilder
from pyomo_relugrad.network import Network
from pyomo_relugrad.problem import EmbeddedExpression, EmbeddedNetwork, Problem, ReducedObjective, Shape
from pyomo_relugrad.problem.presolve import presolve

INF = np.inf
BUILDER = ExpressionBuilder()
X, Y = BUILDER.input("x"), BUILDER.input("y")
PRODUCT = BUILDER.build([BUILDER.product(X, Y)]).expression
LOGARITHM = BUILDER.build([BUILDER.function("log", X)]).expression
ROOT = BUILDER.build([BUILDER.function("sqrt", X)]).expression
HAT = Network.from_layers([[[1.0], [-2.0]], [[1.0, 1.0]]], [[-0.5, 1.0], [0.25]])


def problem_of(n: int, *expressions: EmbeddedExpression, **fields: object) -> Problem:
    """Zero costs, bounds from -2 to 2 on what no expression and no network writes."""
    written = [column for each in (*expressions, *fields.get("networks", ())) for column in each.outputs]  # type: ignore[attr-defined]
    lower, upper = np.full(n, -2.0), np.full(n, 2.0)
    lower[written], upper[written] = -np.inf, np.inf
    return Problem(**{"cost": np.zeros(n), "lower": lower, "upper": upper, "expressions": expressions, **fields})  # type: ignore[arg-type]


def revenue(n: int = 2) -> Problem:
    """Prices 0..n-1, demands by a network of each price, revenues to be maximized."""
    price, demand, income = np.arange(3 * n).reshape(3, n)
    networks = tuple(EmbeddedNetwork(HAT, [p], [d], f"demand {p}") for p, d in zip(price, demand, strict=True))
    products = [EmbeddedExpression(PRODUCT, [p, d], [i]) for p, d, i in zip(price, demand, income, strict=True)]
    cost = np.zeros(3 * n)
    cost[income] = -1.0
    return problem_of(3 * n, *products, networks=networks, cost=cost)


def test_stages_hold_networks_and_expressions_in_their_order() -> None:
    problem = revenue(3)
    assert [stage.inputs.shape for stage in problem.stages] == [(3, 1), (3, 2)]
    (v,) = problem.propagate(np.array([[0.1, 1.0, -2.0, 0, 0, 0, 0, 0, 0]]))
    assert v[6:] == pytest.approx(v[:3] * HAT.value(v[:3, None]).ravel())
    assert problem.shape is Shape.BOX


def test_an_expression_that_feeds_a_network_comes_first() -> None:
    network = EmbeddedNetwork(HAT, [2], [3])
    problem = problem_of(4, EmbeddedExpression(PRODUCT, [0, 1], [2]), networks=(network,))
    (v,) = problem.propagate(np.array([[0.5, 1.5, 0.0, 0.0]]))
    assert v[2:] == pytest.approx([0.75, HAT.value([[0.75]])[0, 0]])


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_gradients_through_products_of_networks(dtype: type) -> None:
    problem, random = revenue(), np.random.default_rng(0)
    objective = ReducedObjective(problem, dtype)
    points = random.uniform(-2, 2, (5, 2)).astype(dtype)
    values, gradient = objective.value_and_gradient(points)
    step = 1e-6
    for column in range(2):
        moved = points.astype(np.float64)
        moved[:, column] += step
        difference = (problem.objective(objective.points(moved)) - problem.objective(objective.points(points))) / step
        assert gradient[:, column] == pytest.approx(difference, abs=1e-4)
    assert values == pytest.approx(problem.objective(objective.points(points)), abs=1e-5)
    V = objective.points(points)
    assert problem.pull_back(V, problem.objective_gradient(V))[:, :2] == pytest.approx(gradient, abs=1e-5)


def test_a_repeated_input_has_the_sum_of_both_derivatives() -> None:
    problem = problem_of(2, EmbeddedExpression(PRODUCT, [0, 0], [1]), cost=np.array([0.0, 1.0]))
    V = problem.propagate(np.array([[1.5, 0.0]]))
    assert problem.pull_back(V, problem.objective_gradient(V)).tolist() == [[3.0, 0.0]]


@pytest.mark.parametrize("value", [-1.0, 0.0])
def test_a_point_outside_of_the_domain_is_never_feasible(value: float) -> None:
    problem = problem_of(2, EmbeddedExpression(LOGARITHM, [0], [1]))
    point = problem.incumbent(np.array([value, 0.0]))
    assert (point.violation, point.network_error, point.is_feasible) == (np.inf, np.inf, False)
    assert not problem.measure(np.array([value, 0.0])).is_feasible
    assert problem.incumbent(np.array([1.0, 5.0])).is_feasible


def test_a_wrong_value_is_an_error() -> None:
    problem = problem_of(3, EmbeddedExpression(PRODUCT, [0, 1], [2]))
    assert problem.measure(np.array([1.5, 2.0, 2.5])).network_error == 0.5


def test_slopes_without_limit_are_numbers() -> None:
    problem = problem_of(2, EmbeddedExpression(ROOT, [0], [1]), cost=np.array([0.0, 1.0]))
    V = problem.propagate(np.zeros((1, 2)))
    assert problem.pull_back(V, problem.objective_gradient(V))[0, 0] > 1e6


@pytest.mark.parametrize("expression", [PRODUCT, LOGARITHM])
def test_columns_are_counted(expression: Expression) -> None:
    with pytest.raises(ModelError, match=f"expression 'f' has {expression.n_inputs} inputs, got 3 columns"):
        EmbeddedExpression(expression, [0, 1, 2], [3], "f")


def test_messages_tell_networks_from_expressions() -> None:
    network, expression = EmbeddedNetwork(HAT, [0], [1], "n"), EmbeddedExpression(LOGARITHM, [0], [1], "e")
    with pytest.raises(ModelError, match="networks and expressions 'n' and 'e' write the same column"):
        problem_of(2, expression, networks=(network,)).stages  # noqa: B018
    back = EmbeddedExpression(LOGARITHM, [1], [0], "e")
    with pytest.raises(ModelError, match="networks and expressions feed each other in a circle: n, e"):
        problem_of(2, back, networks=(network,)).stages  # noqa: B018


def test_what_needs_regions_refuses_expressions() -> None:
    with pytest.raises(ModelError, match="expression 'f' is smooth, and what was asked for needs networks"):
        problem_of(2, EmbeddedExpression(LOGARITHM, [0], [1], "f")).network_stages  # noqa: B018


# --- presolve ---------------------------------------------------------------------------------------------------------


def test_tied_columns_are_renumbered_and_separated() -> None:
    rows = [[0.0, 1.0, -1.0, 0.0], [1.0, 0.0, 0.0, -1.0]]
    expressions = EmbeddedExpression(LOGARITHM, [0], [1], "e"), EmbeddedExpression(ROOT, [3], [2], "r")
    problem = problem_of(4, *expressions, rows=rows, row_lower=np.zeros(2), row_upper=np.zeros(2))
    reduced = presolve(problem)
    assert [each.inputs.tolist() for each in reduced.problem.expressions] == [[0], [0]]
    assert len({column for each in reduced.problem.expressions for column in each.outputs.tolist()}) == 2
    assert reduced.problem.n_rows == 1


def test_a_fixed_point_is_a_row() -> None:
    """``x == log(x) + ...`` as a column that is tied to the output that follows from it."""
    problem = problem_of(
        2, EmbeddedExpression(LOGARITHM, [0], [1]), rows=[[1.0, -1.0]], row_lower=[0.0], row_upper=[0.0]
    )
    reduced = presolve(problem).problem
    assert reduced.n_columns == 2
    assert (reduced.row_lower == reduced.row_upper).all()


def test_bounds_follow_from_ranges() -> None:
    """``y = log(x)`` on 1..4: a bound of 10 on y says nothing, one of 1 is kept, and y + z == 0 bounds z."""
    expression = EmbeddedExpression(LOGARITHM, [0], [1], "e")
    sides = np.array([[1.0, 4.0], [-INF, 10.0], [-INF, INF]])
    rows = {"rows": [[0.0, 1.0, 1.0]], "row_lower": [0.0], "row_upper": [0.0]}
    reduced = presolve(problem_of(3, expression, lower=sides[:, 0], upper=sides[:, 1], **rows)).problem
    assert reduced.upper[1] == INF
    assert [reduced.lower[2], reduced.upper[2]] == pytest.approx([-np.log(4.0), 0.0], abs=1e-6)
    sides[1, 1] = 1.0
    assert presolve(problem_of(3, expression, lower=sides[:, 0], upper=sides[:, 1], **rows)).problem.upper[1] == 1.0
    sides[1, 1] = -1.0
    with pytest.raises(InfeasibleProblemError, match="column 1 can have no value by its expression: its lower"):
        presolve(problem_of(3, expression, lower=sides[:, 0], upper=sides[:, 1]))
    sides[0] = -4.0, -1.0
    with pytest.raises(InfeasibleProblemError, match="by its expression: it is not defined anywhere within the bounds"):
        presolve(problem_of(3, expression, lower=sides[:, 0], upper=sides[:, 1]))
