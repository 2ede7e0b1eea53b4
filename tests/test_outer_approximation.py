"""Convex and concave parts of nonlinear models: found as squares, and proven by mixed-integer programs and tangents."""

from dataclasses import replace

import numpy as np
import pyomo.environ as pyo
import pytest
from scipy import sparse

from pyomo_relugrad import Network, ReluNetworkBlock
from pyomo_relugrad.arrays import RowBlock, SparseRows
from pyomo_relugrad.expression import ExpressionBuilder
from pyomo_relugrad.modeling.compile import compile_model
from pyomo_relugrad.modeling.compile.squares import with_squares
from pyomo_relugrad.network.curves import TANH
from pyomo_relugrad.problem import EmbeddedExpression, Problem
from pyomo_relugrad.problem.presolve import presolve
from pyomo_relugrad.programs import TangentCuts, free_huge_rows
from pyomo_relugrad.proof import MilpProof, prove
from pyomo_relugrad.proof.outer_approximation import OuterApproximation, is_convex_around_networks
from pyomo_relugrad.run import Options, Route, run_proof
from pyomo_relugrad.solve.portfolio import Portfolio


def polynomial_of(matrix: np.ndarray) -> dict[tuple[int, ...], float]:
    """``x @ matrix @ x`` for a symmetric matrix."""
    n = len(matrix)
    return {(i, j): matrix[i, j] * (1 if i == j else 2) for i in range(n) for j in range(i, n)}


@pytest.mark.parametrize("sign", [1.0, -1.0])
@pytest.mark.parametrize(("n", "rank"), [(2, 1), (3, 3), (12, 5), (30, 30)])
def test_definite_parts_are_squares(n: int, rank: int, sign: float) -> None:
    rng = np.random.default_rng(n)
    scale = 10.0 ** rng.integers(-7, 8, size=n)  # small coefficients belong to large columns
    factors = rng.normal(size=(rank, n)) * scale
    matrix = sign * factors.T @ factors
    rest, squares = with_squares({(): 3.0, (0,): 2.0, **polynomial_of(matrix)}, lambda column: True)
    assert rest == {(): 3.0, (0,): 2.0}
    assert len(squares) == rank
    assert all(sign * square.weight > 0 for square in squares)
    x = rng.normal(size=(5, n)) / scale
    found = sum(weight * (x[:, columns] @ np.array(each)) ** 2 for weight, columns, each in squares)
    np.testing.assert_allclose(found, np.einsum("bi,ij,bj->b", x, matrix, x), rtol=1e-9)


def test_other_products_stay_as_they_are() -> None:
    separable = {(0, 0): 1.0, (1, 1): 2.0, (2,): 1.0}
    assert with_squares(separable, lambda column: True) == (separable, [])
    indefinite = {(0, 0): 1.0, (0, 1): 3.0, (1, 1): 1.0}
    definite = {(2, 2): 1.0, (2, 3): 1.0, (3, 3): 1.0}
    rest, squares = with_squares({**indefinite, **definite}, lambda column: True)
    assert rest == indefinite
    assert [square.columns for square in squares] == [[2, 3], [3]]
    assert with_squares(definite, lambda column: column != 3)[1] == []  # an integer, say


def ellipsoid(least: bool = False, **network: object) -> pyo.ConcreteModel:
    """The largest output of a network over an ellipsoid, or outside of it."""
    rng = np.random.default_rng(3)
    m = pyo.ConcreteModel()
    m.x = pyo.Var(range(3), bounds=(-1, 1))
    weights, biases = [rng.normal(size=(8, 3)), rng.normal(size=(1, 8))], [rng.normal(size=8), np.zeros(1)]
    m.nn = ReluNetworkBlock(network=Network.from_layers(weights, biases, **network), inputs=m.x)
    size = m.x[0] ** 2 + m.x[0] * m.x[1] + m.x[1] ** 2 + (m.x[1] - m.x[2]) ** 2
    m.row = pyo.Constraint(expr=size >= 0.5 if least else size <= 0.5)
    m.o = pyo.Objective(expr=m.nn.outputs[0], sense=pyo.maximize)
    return m


def problem_of(m: pyo.ConcreteModel) -> Problem:
    return presolve(compile_model(m).problem).problem


def test_which_problems_tangents_are_enough_for() -> None:
    problem = problem_of(ellipsoid())
    assert is_convex_around_networks(problem)
    assert Portfolio().routes_for(problem) == (Route.BRANCH, Route.MILP)
    assert Portfolio(few_inputs=2).routes_for(problem) == (Route.MILP, Route.BRANCH)
    assert not is_convex_around_networks(problem_of(ellipsoid(least=True)))
    assert not is_convex_around_networks(problem_of(ellipsoid(activation=TANH)))
    assert not is_convex_around_networks(replace(problem, expressions=()))


def test_a_network_over_an_ellipsoid_is_proven_by_tangents() -> None:
    problem = problem_of(ellipsoid())
    expected = prove(problem, relative_gap=1e-3).incumbent
    outer = run_proof(OuterApproximation(problem, Options(), None))
    assert outer.bound <= expected.objective
    assert outer.bound == pytest.approx(expected.objective, rel=2e-3)


def test_programs_go_on_from_points_that_are_not_quite_feasible(monkeypatch: pytest.MonkeyPatch) -> None:
    problem = problem_of(ellipsoid())
    start = problem.incumbent(np.zeros(problem.n_columns))
    monkeypatch.setattr(MilpProof, "_take_points", forgetful)
    outer = OuterApproximation(problem, Options(), start)
    for _ in outer.steps():
        pass
    assert outer.bound == pytest.approx(prove(problem, relative_gap=1e-3).incumbent.objective, rel=2e-3)


def forgetful(proof: MilpProof) -> None:
    """No point of HiGHS becomes an incumbent."""
    with proof._lock:
        points, proof._found = proof._found, []
    proof.last_point = points[-1] if points else proof.last_point


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_distances_are_proven(sign: float) -> None:
    m, rng = pyo.ConcreteModel(), np.random.default_rng(0)
    m.x = pyo.Var(range(2), bounds=(0, 10))
    network = Network.from_layers([[[1.0, -1.0]], [[2.0 * sign]]], [[0.5], [0.0]])
    m.nn = ReluNetworkBlock(network=network, inputs=m.x)  # convex, or else with a binary
    places = rng.uniform(0, 10, (4, 2))
    m.o = pyo.Objective(
        expr=sum(pyo.sqrt((m.x[0] - float(a)) ** 2 + (m.x[1] - float(b)) ** 2) for a, b in places) + m.nn.outputs[0]
    )
    results = pyo.SolverFactory("relugrad.exact").solve(m, time_limit=20)
    assert results.solver.termination_condition == pyo.TerminationCondition.optimal
    grid = np.stack(np.meshgrid(*[np.linspace(0, 10, 201)] * 2), axis=-1).reshape(-1, 2)
    values = sum(np.hypot(*(grid - place).T) for place in places) + network.value(grid)[:, 0]
    assert pyo.value(m.o) <= values.min() * (1 + 1e-4)  # the gap up to which it is proven
    assert results.problem.lower_bound >= values.min() - 0.05


@pytest.mark.parametrize(("exponent", "upper"), [(2.0, 1e17), (3.0, 1e17), (2.0, 1e6)])
def test_programs_of_wide_boxes_leave_out_what_highs_refuses(exponent: float, upper: float) -> None:
    """Far out functions have no value, and planes and tangents digits that do not count."""
    b = ExpressionBuilder()
    power = b.build([b.power(b.input(0), b.constant(exponent))])
    problem = Problem(
        np.array([-1.24, 0.1]),
        np.array([0.0, -np.inf]),
        np.array([upper, np.inf]),
        quadratic=sparse.csr_array(np.diag([2.0, 0.0])),
        expressions=(EmbeddedExpression(power.expression, np.array(power.inputs), [1], "power"),),
    )
    x = np.linspace(0, 2, 20001)
    optimum = (x**2 - 1.24 * x + 0.1 * x**exponent).min()
    start = problem.incumbent(np.array([1.0, 1.0]))
    result = run_proof(OuterApproximation(problem, Options(), start), node_limit=50, time_limit=5.0)
    assert result.bound <= optimum + 1e-6
    assert result.incumbent.objective == pytest.approx(optimum, abs=1e-3)


def test_rows_with_numbers_that_highs_refuses_are_free() -> None:
    rows = SparseRows(np.array([0, 2, 2, 3, 4]), np.array([0, 1, 1, 0]), np.array([1.0, -2e15, 3.0, 4.0]))
    block = RowBlock(rows, np.array([0.0, -1.0, -2.0, 1e20]), np.array([1.0, 2.0, 3.0, np.inf]))
    (indptr, indices, data), lower, upper = free_huge_rows(block)
    assert data.tolist() == [0.0, 0.0, 3.0, 0.0]
    assert lower.tolist() == [-np.inf, -1.0, -2.0, -np.inf]
    assert upper.tolist() == [np.inf, 2.0, 3.0, np.inf]
    assert indptr is rows.indptr
    assert indices is rows.indices


def test_tangents_are_combined_into_a_function_below_the_quadratic_part():
    """Multipliers of a linear program may be a little negative, or add up to more than one."""
    rng = np.random.default_rng(0)
    root = rng.normal(size=(3, 3))
    cuts = TangentCuts(Problem(np.zeros(3), -np.ones(3), np.ones(3), quadratic=sparse.csr_array(root @ root.T)))
    points = np.array([0.8, 0.7, -0.6]) + rng.uniform(-0.1, 0.1, (3, 3))
    for point in points:
        assert cuts.add(np.append(point, -np.inf))
    samples = np.concatenate([points, rng.uniform(-1, 1, (200, 3))])
    quadratic = 0.5 * ((samples @ root) ** 2).sum(axis=1)
    for multipliers in ([1.0, 0.0, 0.0], [0.2, 0.3, 0.5], [0.5, 0.7, 0.4], [1.0, -1e-3, -2e-3], [0.1, 0.0, 0.2]):
        slope, constant = cuts.combine(np.array(multipliers))
        assert (samples @ slope + constant <= quadratic + 1e-12).all()
    slope, constant = cuts.combine(np.array([0.0, 1.0, -0.5]))
    assert points[1] @ slope + constant == pytest.approx(0.5 * ((points[1] @ root) ** 2).sum())
