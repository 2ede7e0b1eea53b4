"""Branch and bound over smooth expressions: bounds hold, optima are proven, what is not defined is never feasible."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy import sparse

from pyomo_relugrad.arrays import RowBlock, SparseRows
from pyomo_relugrad.expression import ExpressionBuilder, Node
from pyomo_relugrad.network import Network
from pyomo_relugrad.problem import EmbeddedExpression, EmbeddedNetwork, Problem
from pyomo_relugrad.programs import ExpressionRows, proven_minimum
from pyomo_relugrad.proof import BlockTree, SearchTree, prove
from pyomo_relugrad.proof.boxes.expressions import ExpressionRelaxation
from pyomo_relugrad.proof.boxes.frontier import Frontier
from pyomo_relugrad.proof.boxes.node_program import NodeProgram, NodeRows
from pyomo_relugrad.proof.boxes.nodes import Nodes
from pyomo_relugrad.proof.root_bound import dual_bound
from pyomo_relugrad.run import Options, Stop, run_proof
from pyomo_relugrad.solve import solve_exactly

HAT = Network.from_layers([[[1.0], [-2.0]], [[-1.0, 1.0]]], [[-0.5, 1.0], [0.75]])


def problem_of(*terms: str, bounds: list[tuple[float, float]], cost: list[float], rows: object = None, **more: object):
    """Columns for inputs, then one for each term of `TERMS`, by name."""
    n_inputs = len(bounds)
    b = ExpressionBuilder()
    inputs = [b.input(i) for i in range(n_inputs)]
    expressions = []
    for i, term in enumerate(terms):
        built = b.build([TERMS[term](b, *inputs)])
        expressions.append(EmbeddedExpression(built.expression, np.array(built.inputs), [n_inputs + i], term))
    lower, upper = np.array(bounds + [(-np.inf, np.inf)] * len(terms)).T
    if rows is not None:
        more |= {"rows": np.array(rows[0]), "row_lower": np.array(rows[1]), "row_upper": np.array(rows[2])}
    return Problem(np.array(cost), lower, upper, expressions=tuple(expressions), **more)


def _six_hump(b: ExpressionBuilder, x: Node, y: Node) -> Node:
    """The camel function with six humps, whose least value is -1.0316284535."""
    x2, y2 = b.product(x, x), b.product(y, y)
    terms = [x2, b.product(x2, x2), b.power(x, b.constant(6.0)), b.product(x, y), y2, b.product(y2, y2)]
    return b.affine(terms, [4.0, -2.1, 1 / 3, 1.0, -4.0, 4.0])


TERMS = {
    "product": lambda b, x, y: b.product(x, y),
    "ratio": lambda b, x, y: b.quotient(x, y),
    "sin": lambda b, x, *_: b.function("sin", x),
    "log": lambda b, x, *_: b.function("log", x),
    "root of difference": lambda b, x, y: b.function("sqrt", b.affine([x, y], [1.0, -1.0])),
    "camel": _six_hump,
    "root of the second": lambda b, x, y: b.function("sqrt", y),
    "square": lambda b, x, *_: b.power(x, b.constant(2.0)),
    "cube": lambda b, x, *_: b.power(x, b.constant(3.0)),
}


def case(**arguments: object) -> dict[str, object]:
    return arguments


# Where the sine and a tenth of its argument are lowest, up to 12.
LOWEST_SINE = 2 * np.pi - np.arccos(-0.1)

CASES = {
    "product over a box": (case(terms=["product"], bounds=[(-1, 2), (-3, 1)], cost=[0, 0, 1]), -6.0),
    "product over a row": (
        case(terms=["product"], bounds=[(0, 1), (0, 1)], cost=[0, 0, -1], rows=([[1, 2, 0]], [-np.inf], [1])),
        -0.125,
    ),
    "equation": (
        case(terms=["product"], bounds=[(0.1, 10), (0.1, 10)], cost=[1, 1, 0], rows=([[0, 0, 1]], [1], [1])),
        2.0,
    ),
    "sine": (case(terms=["sin"], bounds=[(0, 12)], cost=[0.0, 1]), -1.0),
    "sine and a slope": (case(terms=["sin"], bounds=[(0, 12)], cost=[0.1, 1]), 0.1 * LOWEST_SINE + np.sin(LOWEST_SINE)),
    "camel": (case(terms=["camel"], bounds=[(-2, 2), (-1, 1)], cost=[0, 0, 1]), -1.0316284535),
    "where it is defined": (case(terms=["log"], bounds=[(-2, 3)], cost=[0, -1]), -np.log(3)),
    "ratio": (case(terms=["ratio"], bounds=[(1, 2), (0.5, 4)], cost=[0, 0.5, 1]), 2 * np.sqrt(0.5)),
    "two terms": (
        case(terms=["cube", "product"], bounds=[(-1, 1), (-1, 1)], cost=[0, 0, 1, 1]),
        -2.0,
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_known_optima_are_proven(name: str) -> None:
    arguments, optimum = CASES[name]
    arguments = dict(arguments)
    problem = problem_of(*arguments.pop("terms"), **arguments)
    assert dual_bound(problem) <= optimum + 1e-9 * (1 + abs(optimum))
    result = prove(problem, relative_gap=1e-4, node_limit=6000)
    assert result.stop is Stop.OPTIMAL
    assert result.incumbent.is_feasible
    assert result.incumbent.objective == pytest.approx(optimum, rel=2e-4)
    assert result.bound <= optimum + 1e-6
    assert result.bound == pytest.approx(optimum, rel=2e-4)


def revenues(n: int, budget: float, **more: object) -> Problem:
    """Revenues of n prices and demands of one network, with a row over the prices."""
    price, demand, income = np.arange(3 * n).reshape(3, n)
    b = ExpressionBuilder()
    product = b.build([b.product(b.input(0), b.input(1))]).expression
    cost, row = np.zeros(3 * n), np.zeros((1, 3 * n))
    cost[income], row[0, price] = -1.0, 1.0
    lower, upper = np.full(3 * n, -np.inf), np.full(3 * n, np.inf)
    lower[price], upper[price] = 0.0, 2.0
    return Problem(
        cost,
        lower,
        upper,
        row,
        np.array([-np.inf]),
        np.array([budget]),
        networks=tuple(EmbeddedNetwork(HAT, [p], [d]) for p, d in zip(price, demand, strict=True)),
        expressions=tuple(
            EmbeddedExpression(product, [p, d], [i]) for p, d, i in zip(price, demand, income, strict=True)
        ),
        **more,
    )


@pytest.mark.parametrize("budget", [0.6, 1.0, 4.0])
def test_products_with_networks_are_proven(budget: float) -> None:
    grid = np.linspace(0, 2, 2001)
    income = grid * HAT.value(grid[:, None])[:, 0]
    best = np.maximum.accumulate(income)
    rest = np.clip(np.searchsorted(grid, budget - grid, side="right") - 1, -1, 2000)
    optimum = (income + best[rest])[rest >= 0].max()
    problem = revenues(2, budget)
    assert dual_bound(problem) <= -optimum + 1e-9
    result = prove(problem, relative_gap=1e-4, node_limit=2000)
    assert result.stop is Stop.OPTIMAL
    assert -result.incumbent.objective == pytest.approx(optimum, abs=1e-3)
    assert -result.bound >= optimum - 1e-9


def test_exact_solves_prove_smooth_problems() -> None:
    result = solve_exactly(revenues(2, 1.0), time_limit=30.0)
    assert result.stop is Stop.OPTIMAL
    assert result.bound == pytest.approx(result.incumbent.objective, rel=2e-4)


def test_integers_times_continuous_columns_are_proven() -> None:
    problem = problem_of(
        "product",
        bounds=[(0, 5), (0, 3)],
        cost=[1, 1, -1],
        rows=([[1.0, 2.0, 0.0]], [-np.inf], [6.3]),
        integers=np.array([True, False, False]),
    )
    result = prove(problem, relative_gap=1e-6)
    values = [(x, (6.3 - x) / 2) for x in range(6)]
    assert result.incumbent.objective == pytest.approx(min(x + y - x * y for x, y in values))


def test_where_an_expression_is_nowhere_defined_nothing_is_feasible() -> None:
    problem = problem_of("root of difference", bounds=[(0, 1), (2, 3)], cost=[0, 0, 1])
    result = prove(problem)
    assert result.incumbent is None
    assert result.stop is Stop.INFEASIBLE


@pytest.mark.parametrize(("term", "bounds"), [("log", [(0, np.inf), (0, np.inf)]), ("square", [(-2, 1e17), (0, 4)])])
def test_no_node_is_lost_where_a_function_has_no_value_at_its_centre(
    term: str, bounds: list[tuple[float, float]]
) -> None:
    """The logarithm's is infinite there, and the square is no number that the package counts with."""
    problem = problem_of(
        term,
        "root of the second",
        bounds=bounds,
        cost=[-0.6, -1.1, 0, -1],
        quadratic=sparse.csr_array(np.diag([2.0, 2.0, 0.0, 0.0])),
        constant=0.3**2 + 0.55**2,
    )
    feasible = problem.incumbent(np.array([0.3, 0.55, 0.0, 0.0])).objective
    assert feasible == pytest.approx(-(0.55**0.5))
    start = problem.incumbent(np.array([1.0, 0.55, 0.0, 0.0]))
    for known in (None, start):
        result = prove(problem, start=known, node_limit=20)
        assert result.stop is Stop.NODE_LIMIT
        assert result.bound <= feasible


def test_a_bound_that_is_no_number_says_nothing() -> None:
    nodes = replace(Nodes.whole(np.zeros(1), np.ones(1), 0, np.zeros(0)), bound=np.array([np.nan]))
    frontier = Frontier(np.zeros(1, bool))
    frontier.add(nodes)
    assert frontier.bound == -np.inf
    assert len(frontier.take(1, 0.0)) == 1
    sides = np.array([0.0]), np.array([np.inf])
    rows = sparse.csr_array(np.array([[1e300]])), np.array([-np.inf]), np.array([1e300])
    assert proven_minimum(np.array([-1e300]), *sides, *rows, np.array([-1e300])) == -np.inf


def test_relaxations_and_rows_hold_at_samples() -> None:
    problem = problem_of("camel", "ratio", bounds=[(-2, 2), (0.5, 1)], cost=[0, 0, 1, 1])
    rng = np.random.default_rng(0)
    low = rng.uniform([-2, 0.5], [1.5, 0.9], (6, 2))
    high = rng.uniform(low, [2, 1])
    points = rng.uniform(low, high, (200, 6, 2))
    whole = [np.concatenate([side, np.zeros((6, 2))], axis=1) for side in (low, high)]
    for blocks in (ExpressionRows(problem).first(*whole), ExpressionRows(problem).at(*whole, whole[1])):
        for node, (rows, below, above) in enumerate(blocks):
            V = problem.propagate(np.concatenate([points[:, node], np.zeros((200, 2))], axis=1))
            for row in range(len(below)):
                part = slice(rows.indptr[row], rows.indptr[row + 1])
                values = V[:, rows.indices[part]] @ rows.data[part]
                assert (values >= below[row] - 1e-12).all()
                assert (values <= above[row] + 1e-12).all()
    for embedded in problem.expressions:
        box = [side[:, embedded.inputs] for side in whole]
        relaxation = ExpressionRelaxation(embedded.expression, *box)
        for weight in (1.0, -2.0):
            functions = relaxation.substitute(np.full((6, 1), weight), None, keep_adjoints=True)
            values = weight * embedded.expression.value(points[:, :, embedded.inputs].reshape(-1, 2)).reshape(200, 6)
            bounds = (
                np.einsum("ri,sri->sr", functions.coefficients, points[:, :, embedded.inputs]) + functions.constants
            )
            assert (bounds <= values + 1e-12).all()
            assert (functions.minima <= values.min(axis=0)).all()
            assert (relaxation.gap_by_input(functions, None) >= 0).all()


def test_blocks_that_a_row_links_are_bounded_one_by_one() -> None:
    problem = revenues(6, 2.0)
    problem = replace(problem, cost=problem.cost * np.random.default_rng(1).uniform(0.8, 2.0, 18))
    assert BlockTree.suits(problem)
    by_blocks, together = (run_proof(tree(problem, Options()), node_limit=1000) for tree in (BlockTree, SearchTree))
    assert by_blocks.incumbent.is_feasible
    assert by_blocks.bound <= by_blocks.incumbent.objective + 1e-9
    assert by_blocks.bound == pytest.approx(by_blocks.incumbent.objective, rel=0.05)
    assert together.bound < by_blocks.bound


def test_rounds_over_blocks_go_on_until_multipliers_of_a_mixture_have_been_tried() -> None:
    problem = revenues(5, 0.7)
    problem = replace(problem, cost=problem.cost * np.random.default_rng(1).uniform(0.8, 2.0, 15))
    tree = BlockTree(problem, Options())
    for _ in tree._rounds():
        if tree._priced_bound >= tree.incumbent_value * 1.01:
            break
    assert tree.incumbent_value * 1.01 <= tree._priced_bound <= tree.incumbent_value


@pytest.mark.parametrize("seed", [0, 2])
def test_blocks_have_the_optimum_of_all_together(seed: int) -> None:
    rng = np.random.default_rng(seed)
    problem = revenues(3, 1.5)
    row = np.zeros((2, 9))
    row[0, [0, 1]], row[1, [2, 5]] = 1.0, rng.uniform(0.5, 1, 2)  # one links two blocks, one is in a single block
    rows = sparse.csr_array(np.concatenate([problem.rows.toarray(), row]))
    cost = problem.cost * rng.uniform(0.5, 2, 9)
    sides = np.array([0.3, 0.2, -np.inf]), np.array([rng.uniform(1, 2), np.inf, 1.2])
    problem = replace(problem, cost=cost, rows=rows, row_lower=sides[0], row_upper=sides[1])
    options = Options(relative_gap=1e-3)
    results = [run_proof(tree(problem, options), node_limit=3000) for tree in (BlockTree, SearchTree)]
    assert [result.stop for result in results] == [Stop.OPTIMAL] * 2
    assert results[0].bound <= results[1].incumbent.objective + 1e-6
    assert results[0].incumbent.objective == pytest.approx(results[1].incumbent.objective, rel=2e-3)


def test_blocks_that_cannot_meet_a_row_are_proven_infeasible() -> None:
    problem = replace(revenues(2, 9.0), row_lower=np.array([5.0]))
    assert run_proof(BlockTree(problem, Options()), node_limit=200).stop is Stop.INFEASIBLE


def test_which_problems_are_bounded_block_by_block() -> None:
    problem = revenues(2, 1.0)
    assert not BlockTree.suits(revenues(1, 1.0))
    assert not BlockTree.suits(replace(problem, quadratic=sparse.csr_array(np.eye(6))))
    chained = EmbeddedExpression(problem.expressions[0].expression, [4, 5], [6])
    wider = {
        name: np.append(getattr(problem, name), value) for name, value in (("cost", 0), ("lower", -9), ("upper", 9))
    }
    rows = sparse.csr_array(np.append(problem.rows.toarray(), [[0.0]], axis=1))
    joined = replace(problem, **wider, rows=rows, integers=None, expressions=(*problem.expressions, chained))
    assert not BlockTree.suits(joined)


def test_a_block_keeps_what_fixed_columns_add_to_its_rows() -> None:
    problem = revenues(3, 2.0)
    rows = sparse.csr_array(np.concatenate([problem.rows.toarray(), [[1.0, 0, 1.0, 0, 0, 0, 0, 0, 0]]]))
    lower, upper = problem.lower.copy(), problem.upper.copy()
    lower[2] = upper[2] = 0.5
    problem = replace(
        problem, lower=lower, upper=upper, rows=rows, row_lower=np.full(2, -np.inf), row_upper=np.array([2.0, 0.9])
    )
    blocks = [run_proof(tree(problem, Options())) for tree in (BlockTree, SearchTree)]
    assert blocks[0].incumbent.values[0] <= 0.4 + 1e-6
    assert blocks[0].incumbent.objective == pytest.approx(blocks[1].incumbent.objective, rel=3e-4)


def test_node_programs_leave_out_rows_with_numbers_that_highs_refuses() -> None:
    problem = Problem(np.array([-1.0]), np.zeros(1), np.ones(1), quadratic=sparse.csr_array([[1.0]]))
    rows = SparseRows(np.array([0, 1, 2, 3]), np.zeros(3, int), np.array([1e16, 1.0, 1.0]))
    links = RowBlock(rows, np.array([-np.inf, -1e300, -np.inf]), np.array([0.0, 0.5, -1e21]))
    program = NodeProgram(problem)
    slope, constant = program.first_tangent(links, problem.lower, problem.upper)
    np.testing.assert_allclose([slope[0], constant], [0.5, -0.125], atol=1e-6)
    nothing = RowBlock(SparseRows(np.zeros(1, int), np.zeros(0, int), np.zeros(0)), np.zeros(0), np.zeros(0))
    box = problem.lower[None], problem.upper[None]
    solutions = program.solve([NodeRows(links, nothing)], *box, np.inf)
    assert solutions.bound == pytest.approx(-0.375, abs=1e-6)
