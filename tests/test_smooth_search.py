"""Searches over problems with smooth expressions: known optima are found, and nothing undefined is reported."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np
import pytest

from pyomo_relugrad.errors import ModelError
from pyomo_relugrad.expression import ExpressionBuilder, Node
from pyomo_relugrad.network import Network
from pyomo_relugrad.problem import EmbeddedExpression, EmbeddedNetwork, Incumbent, Problem, ReducedObjective
from pyomo_relugrad.run import Budget, SearchLog, Stop
from pyomo_relugrad.search import LpDescent, Method, ProjectedDescent, SequentialLp
from pyomo_relugrad.search.regions.region import Region
from pyomo_relugrad.search.sequential.near_rows import restored
from pyomo_relugrad.search.sequential.polish_ends import while_promising
from pyomo_relugrad.search.sequential.smooth_polish import polisher_of
from pyomo_relugrad.solve import search, solve_exactly

INF = np.inf

Formula = Callable[..., Node]


def problem_of(
    bounds: Sequence[tuple[float, float]],
    formulas: Sequence[tuple[Formula, Sequence[int]]],
    cost: Sequence[float],
    rows: Sequence[tuple[Sequence[float], float, float]] = (),
    **fields: object,
) -> Problem:
    """A problem of some columns, then one for each formula of the columns given with it."""
    builder = ExpressionBuilder()
    expressions = []
    for number, (formula, columns) in enumerate(formulas):
        node = formula(builder, *(builder.input(column) for column in columns))
        expression, inputs = builder.build([node])
        expressions.append(EmbeddedExpression(expression, np.array(inputs), [len(bounds) + number], f"f{number}"))
    sides = np.array([*bounds, *[(-INF, INF)] * len(formulas)])
    matrix = np.array([row for row, _, _ in rows]) if rows else None
    return Problem(
        np.array(cost, float),
        sides[:, 0],
        sides[:, 1],
        matrix,
        [low for _, low, _ in rows] if rows else None,
        [high for _, _, high in rows] if rows else None,
        expressions=tuple(expressions),
        **fields,  # type: ignore[arg-type]
    )


def product(builder: ExpressionBuilder, *factors: Node) -> Node:
    return builder.product(*factors)


def square(builder: ExpressionBuilder, x: Node) -> Node:
    return builder.function("square", x)


def squares(builder: ExpressionBuilder, *terms: Node) -> Node:
    return builder.sum([builder.function("square", term) for term in terms])


def found(problem: Problem, optimum: float, method: str | Method = "auto") -> Incumbent:
    """The point of a search that ends once it has the optimum; where it has not, it takes some seconds."""
    target = optimum + 1e-5 * (1.0 + abs(optimum))

    def is_there(progress) -> bool:  # type: ignore[no-untyped-def]
        point = progress.incumbent
        return point is not None and point.is_feasible and point.objective <= target

    result = search(problem, method, time_limit=15.0, callback=is_there)
    assert result.incumbent is not None
    assert result.incumbent.objective == pytest.approx(optimum, rel=1e-5, abs=1e-5)
    assert result.incumbent.is_feasible
    return result.incumbent


def hock_schittkowski() -> Problem:
    """Problem 71 of the collection of Hock and Schittkowski: an inequality and an equation, both nonlinear."""

    def objective(b: ExpressionBuilder, w: Node, x: Node, y: Node, z: Node) -> Node:
        return b.sum([b.product(w, z, b.sum([w, x, y])), y])

    columns = [0, 1, 2, 3]
    return problem_of(
        [(1.0, 5.0)] * 4,
        [(objective, columns), (product, columns), (squares, columns)],
        [0, 0, 0, 0, 1, 0, 0],
        [([0, 0, 0, 0, 0, 1, 0], 25.0, INF), ([0, 0, 0, 0, 0, 0, 1], 40.0, 40.0)],
    )


def rosenbrock(b: ExpressionBuilder, x: Node, y: Node) -> Node:
    first = b.function("square", b.affine([x], [-1.0], 1.0))
    second = b.function("square", b.affine([y, b.function("square", x)], [1.0, -1.0]))
    return b.affine([first, second], [1.0, 100.0])


CASES = {
    "bilinear on a box": (problem_of([(-1, 1), (-2, 1)], [(product, [0, 1])], [0, 0.5, 1]), -3.0),
    "curved valley": (problem_of([(-2, 2), (-2, 2)], [(rosenbrock, [0, 1])], [0, 0, 1]), 0.0),
    "no bounds": (problem_of([(-INF, INF)] * 2, [(rosenbrock, [0, 1])], [0, 0, 1]), 0.0),
    "equation": (
        problem_of([(-INF, INF)] * 2, [(squares, [0, 1])], [1, 1, 0], [([0, 0, 1], 1.0, 1.0)]),
        -np.sqrt(2),
    ),
    "hyperbola": (problem_of([(0, INF)] * 2, [(product, [0, 1])], [1, 1, 0], [([0, 0, 1], 4.0, INF)]), 4.0),
    "two nonlinear rows": (hock_schittkowski(), 17.0140173),
    "badly scaled": (
        problem_of([(0, 1e6), (0, 1e-3)], [(product, [0, 1])], [1e-6, -1e3, 0], [([0, 0, 1], 100.0, 100.0)]),
        -0.9,
    ),
    "outside of the domain": (
        problem_of([(-5, 5)], [(lambda b, x: b.function("log", x), [0])], [1, -1]),
        1.0,
    ),
    "slope without limit": (problem_of([(0, 5)], [(lambda b, x: b.function("sqrt", x), [0])], [1, 1]), 0.0),
    "overflow": (problem_of([(-100, 1000)], [(lambda b, x: b.function("exp", x), [0])], [-1, 1]), 1.0),
    "integers and a product": (
        problem_of(
            [(0, 10), (0, 10)],
            [(product, [0, 1])],
            [3, 2, 0],
            [([0, 0, 1], 7.5, INF)],
            integers=[True, False, False],
        ),
        13.5,
    ),
    "integers alone": (problem_of([(0, 10)], [(square, [0])], [-6.6, 1], integers=[True, False]), -10.8),
}


@pytest.mark.parametrize("case", CASES)
def test_known_optima_are_found(case: str) -> None:
    problem, optimum = CASES[case]
    point = found(problem, optimum)
    assert np.isfinite(point.values).all()


def around_a_network(rows: bool) -> tuple[Problem, Callable[[float, float], float]]:
    """``x*|y - 0.3 x| - 0.4 x**2 + 0.1 y`` on a square or a triangle, and the function by itself."""
    distance = Network.from_layers([[[-0.3, 1.0], [0.3, -1.0]], [[1.0, 1.0]]], [[0.0, 0.0], [0.0]])

    def objective(b: ExpressionBuilder, x: Node, d: Node) -> Node:
        return b.affine([b.product(x, d), b.function("square", x)], [1.0, -0.4])

    bounds = [(-1.0, 1.0), (-1.0, 1.0), (-INF, INF)]
    limits = [([1.0, 1.0, 0, 0], -INF, 1.0), ([1.0, -2.0, 0, 0], -1.5, INF)] if rows else []
    network = EmbeddedNetwork(distance, [0, 1], [2])
    problem = problem_of(bounds, [(objective, [0, 2])], [0, 0.1, 0, 1], limits, networks=(network,))
    return problem, lambda x, y: x * np.abs(y - 0.3 * x) - 0.4 * x**2 + 0.1 * y


@pytest.mark.parametrize("rows", [False, True])
@pytest.mark.parametrize("method", ["auto", ProjectedDescent(batch=16), LpDescent(), SequentialLp(), "neighbourhoods"])
def test_methods_find_the_best_of_a_grid(rows: bool, method: str | Method) -> None:
    problem, function = around_a_network(rows)
    x, y = np.meshgrid(np.linspace(-1, 1, 801), np.linspace(-1, 1, 801))
    inside = (x + y <= 1.0) & (x - 2 * y >= -1.5) if rows else np.ones(x.shape, bool)
    point = found(problem, float(function(x, y)[inside].min()), method)
    assert point.objective == pytest.approx(function(*point.values[:2]))


def test_a_polish_does_not_stop_at_a_kink() -> None:
    """From a point on a kink, or at the end of the wrong side, the far side is better."""
    network = Network.from_layers([[[1.0], [1.0]], [[-2.0, 1.0]]], [[0.0, -0.5], [0.0]])
    problem = problem_of(
        [(-1, 1), (-INF, INF)], [(square, [0])], [-0.5, -1, 1], networks=(EmbeddedNetwork(network, [0], [1]),)
    )
    grid = np.linspace(-1, 1, 200_001)
    best = (grid**2 - 0.5 * grid - network.value(grid[:, None])[:, 0]).min()
    polish = polisher_of(problem)
    for start in (0.0, 0.5, -1.0, 1.0):
        *_, last = [point for point in polish(problem.propagate(np.array([[start, 0, 0]]))[0], Budget(np.inf)) if point]
        assert last.objective == pytest.approx(best, abs=1e-8)


def test_a_polish_crosses_a_kink_that_it_begins_at() -> None:
    """``x**2 / 100 - x + relu(x - 0.9) / 2`` falls on both sides of its kink; the region of a kink is the left one."""
    network = Network.from_layers([[[1.0]], [[1.0]]], [[-0.9], [0.0]])
    problem = problem_of(
        [(0, 1), (-INF, INF)], [(square, [0])], [-1, 0.5, 0.01], networks=(EmbeddedNetwork(network, [0], [1]),)
    )
    *_, last = [p for p in polisher_of(problem)(problem.propagate(np.array([[0.9, 0, 0]]))[0], Budget(np.inf)) if p]
    assert last.values[0] == 1.0


def test_polished_points_meet_the_conditions_of_first_order() -> None:
    problem = hock_schittkowski()
    *_, last = [p for p in polisher_of(problem)(problem.propagate(np.full((1, 7), 3.0))[0], Budget(np.inf)) if p]
    assert last.violation <= 1e-8
    assert last.values[:4] == pytest.approx([1.0, 4.74299964, 3.82114998, 1.37940829], abs=1e-4)
    assert last.objective == pytest.approx(17.0140173, abs=1e-6)


def polished(problem: Problem, start: Sequence[float]) -> list[Incumbent | None]:
    """What a polish from a start yields, a point or None for each step, without the last steps in vain."""
    found = list(polisher_of(problem)(problem.propagate(np.array([start], float))[0], Budget(np.inf)))
    return found[: max(k + 1 for k, point in enumerate(found) if point is not None)]


@pytest.mark.parametrize("start", [(5, 5, 0.5, 0.1), (1, 5, 1, 0.2), (5, 1.2, 0.4, 0.2)])
def test_a_polish_moves_along_rows_whose_columns_are_at_bounds(start: Sequence[float]) -> None:
    """Two tanks in series, ``2 - c1 = V1 c1`` and ``c1 - c2 = V2 c2``: the last one's content ends at its bound."""
    problem = problem_of(
        [(0.1, 5), (0.1, 5), (-4e4, 4e4), (-4e4, 0.2)],
        [(product, [0, 2]), (product, [1, 3])],
        [1, 1, 0, 0, 0, 0],
        [([0, 0, 1, 0, 1, 0], 2, 2), ([0, 0, -1, 1, 0, 1], 0, 0)],
    )
    last = polished(problem, [*start, 0, 0])[-1]
    assert last is not None
    assert last.objective == pytest.approx(2 * (np.sqrt(10) - 1), abs=1e-8)


@pytest.mark.parametrize("start", [(5, 1), (3, 3)])
def test_a_polish_takes_long_steps_along_a_curved_equation(start: Sequence[float]) -> None:
    problem = problem_of(
        [(0.1, 10), (0.1, 10)],
        [(lambda b, x, y: b.product(b.function("exp", x), y), [0, 1])],
        [1, 1, 0],
        [([0, 0, 1], 50, 50)],
    )
    points = polished(problem, [*start, 0])
    assert points[-1] is not None
    assert points[-1].objective == pytest.approx(1 + np.log(50), abs=1e-8)
    assert len(points) < 15


def test_a_polish_comes_far_along_a_column_without_bound() -> None:
    """``x y == 1000``: the smallest ``x`` is where ``y`` is a thousand times what it was."""
    problem = problem_of([(1, 1000), (1, INF)], [(product, [0, 1])], [1, 0, 0], [([0, 0, 1], 1000, 1000)])
    points = polished(problem, [1000, 1, 1000])
    assert points[-1] is not None
    assert points[-1].objective == pytest.approx(1, abs=1e-8)
    assert len(points) < 40


def test_a_polish_does_not_jam_between_rows_that_are_nearly_active() -> None:
    """The lowest point above eight paraboloids whose vertices lie close together."""
    rng = np.random.default_rng(3)
    vertices, slopes = 0.01 * rng.normal(size=(8, 3)), 30 * rng.normal(size=(8, 3))

    def paraboloid(k: int) -> Formula:
        def formula(b: ExpressionBuilder, *xs: Node) -> Node:
            squares = [b.function("square", b.affine([x], [1.0], -vertices[k, i])) for i, x in enumerate(xs)]
            return b.affine([*squares, *xs], [300.0] * 3 + slopes[k].tolist())

        return formula

    rows = [([0, 0, 0, 1, *(-np.eye(8)[k])], 0, INF) for k in range(8)]
    formulas = [(paraboloid(k), range(3)) for k in range(8)]
    problem = problem_of([(-3, 3)] * 3 + [(-1e4, 1e4)], formulas, [0, 0, 0, 1] + [0] * 8, rows)
    points = polished(problem, [0.5, 0.5, 0.5, 5000] + [0] * 8)
    assert points[-1] is not None
    assert points[-1].objective == pytest.approx(-0.027703, abs=1e-6)
    assert len(points) < 50


def test_newton_restores_equations() -> None:
    problem = hock_schittkowski()
    objective = ReducedObjective(problem)
    v = problem.propagate(np.array([[1.0, 5.0, 5.0, 1.0, 0, 0, 0]]))[0]
    moved = restored(objective, v, objective.columns, np.ones(4))
    assert moved is not None
    assert problem.violation(moved[None])[0] <= 1e-9
    assert problem.violation(v[None])[0] > 1.0


def test_newton_leaves_columns_at_bounds_that_its_steps_would_cross() -> None:
    problem = problem_of(
        [(0, 1)] * 8 + [(0, 9)],
        [(lambda b, *xs: b.sum([*xs[:-1], b.product(b.constant(0.1), xs[-1], xs[-1])]), range(9))],
        [0] * 10,
        [([0] * 9 + [1], 9.6, 9.6)],
    )
    objective = ReducedObjective(problem)
    v = problem.propagate(np.array([[1.0] * 8 + [3.0, 0.0]]))[0]
    moved = restored(objective, v, objective.columns, np.ones(9))
    assert moved is not None
    assert moved[:9] == pytest.approx([1.0] * 8 + [4.0])


def test_newton_gives_up_where_there_is_no_point() -> None:
    problem = problem_of([(-1, 1)], [(square, [0])], [1, 0], [([0, 1], 2.0, INF)])
    objective = ReducedObjective(problem)
    assert restored(objective, problem.propagate(np.array([[0.5, 0.0]]))[0], objective.columns, np.ones(1)) is None


def test_a_region_is_the_tangent_of_what_is_smooth() -> None:
    problem, _ = around_a_network(rows=False)
    objective = ReducedObjective(problem)
    region = Region.at(objective, np.array([0.5, -0.4]))
    step = np.array([[1e-6, 2e-6]])
    moved = Region.at(objective, region.u + step[0])
    assert region.slopes(step)[0] == pytest.approx(moved.preactivations - region.preactivations, abs=1e-12)
    change = problem.objective(moved.v[None])[0] - problem.objective(region.v[None])[0]
    assert region.gradient @ step[0] == pytest.approx(change, abs=1e-10)
    there = region.moved_to(moved.u)
    assert there.gradient == pytest.approx(moved.gradient)
    assert region.flipped(np.array([0])).signs.tolist() == [-region.signs[0], region.signs[1]]


def test_points_without_a_value_are_never_starts_of_anything() -> None:
    problem, _ = CASES["outside of the domain"]
    objective = ReducedObjective(problem, np.float32)
    values, gradient = objective.value_and_gradient(np.array([[-1.0], [2.0]], np.float32))
    assert values[0] == INF
    assert gradient[0, 0] == 0.0
    assert gradient[1, 0] == pytest.approx(0.5)
    assert objective.value(np.array([[-1.0]]))[0] == INF


def test_the_log_counts_expressions() -> None:
    log = SearchLog()
    log.header(hock_schittkowski(), "method auto", 0.0)
    assert "Model    7 variables (0 integer), 2 rows, 2 nonzeros, 3 expressions; minimize (nonlinear)" in log.text


def test_an_infeasible_problem_is_not_called_feasible() -> None:
    problem = problem_of([(-1, 1)], [(square, [0])], [1, 0], [([0, 1], 2.0, INF)])
    result = search(problem, time_limit=5.0)
    assert result.incumbent is None or not result.incumbent.is_feasible


@pytest.mark.parametrize("method", ["ppga", "lp-walk", "sampling", "milp-walk", "relaxing-walk", "pruned"])
def test_methods_that_need_regions_refuse(method: str) -> None:
    problem, _ = around_a_network(rows=False)
    with pytest.raises(ModelError, match=f"method '{method}' handles piecewise-linear functions, and expression 'f0'"):
        search(problem, method, time_limit=1.0)


def test_a_proof_agrees_with_the_search() -> None:
    problem, _ = around_a_network(rows=True)
    proven = solve_exactly(problem, time_limit=15.0)
    assert proven.stop is Stop.OPTIMAL
    assert proven.incumbent is not None
    found(problem, proven.incumbent.objective)


def test_a_polish_ends_where_its_gains_would_not_reach_the_best_point() -> None:
    def points(objectives: Sequence[float]) -> Iterator[Incumbent]:
        return (Incumbent(np.zeros(1), objective, 0.0, 0.0) for objective in objectives)

    slow, fast = [10.0 - 0.01 * k for k in range(20)], [10.0 - 0.5 * k for k in range(20)]
    assert len(list(while_promising(points(slow), 1.0))) == 5
    assert len(list(while_promising(points(fast), 1.0))) == 20
    assert len(list(while_promising(points(slow), np.inf))) == 20
