"""Few integers from which all else follows: composition, branch and bound over them, and the search."""

import itertools

import numpy as np
import pyomo.environ as pyo
import pytest

from pyomo_relugrad.modeling.compile import compile_model
from pyomo_relugrad.problem.presolve import presolve
from pyomo_relugrad.proof import LatticeTree
from pyomo_relugrad.run import Options, run_proof
from pyomo_relugrad.search.lattice.boxes import OpenBoxes
from pyomo_relugrad.search.lattice.composition import Composition


def drawn(seed, sense=pyo.minimize):
    """Three integers, a total and a function of them, rows with products, a quotient in the objective."""
    random = np.random.default_rng(seed)
    a, b, c = random.integers(-4, 6, (3, 4)).astype(float)
    m = pyo.ConcreteModel()
    m.x = pyo.Var([0, 1, 2], domain=pyo.Integers, bounds=(-3, 5))
    m.total = pyo.Var(bounds=(-6, 11))
    m.f = pyo.Var(bounds=(-100, 100))
    x = m.x
    m.sum = pyo.Constraint(expr=m.total == x[0] + x[1] + 0.5 * x[2])
    m.def_f = pyo.Constraint(expr=m.f == pyo.exp(0.3 * x[0]) - x[1] * pyo.sqrt(x[2] + 4))
    m.row = pyo.Constraint(expr=a[0] * x[0] * x[1] + a[1] * x[1] ** 2 + a[2] * x[2] + a[3] * m.total <= 9.0)
    m.curved = pyo.Constraint(expr=b[0] * x[0] ** 2 + b[1] * x[1] * x[2] + m.f >= b[2] - 8.0)
    m.o = pyo.Objective(expr=c[0] * x[0] ** 2 + c[1] * x[0] * x[2] + c[2] * m.f + (x[1] + 4) / (x[2] + 7), sense=sense)
    return m


def enumerated(m):
    """The best objective over all points, and how many are feasible."""
    values = []
    for point in itertools.product(range(-3, 6), repeat=3):
        for i, value in enumerate(point):
            m.x[i] = value
        m.total = point[0] + point[1] + 0.5 * point[2]
        m.f = np.exp(0.3 * point[0]) - point[1] * np.sqrt(point[2] + 4)
        slacks = [m.row.uslack(), m.curved.lslack(), m.total.value + 6, 11 - m.total.value, 100 - abs(m.f.value)]
        if min(slacks) >= -1e-9:
            values.append(pyo.value(m.o))
    return (min(values) if m.o.is_minimizing() else max(values)) if values else None


@pytest.mark.parametrize("seed", range(6))
def test_a_proof_finds_what_enumeration_does(seed):
    sense = pyo.maximize if seed % 2 else pyo.minimize
    problem = presolve(compile_model(drawn(seed, sense)).problem).problem
    assert LatticeTree.suits(problem)
    result = run_proof(LatticeTree(problem, Options(relative_gap=0.0, absolute_gap=0.0)))
    best = enumerated(drawn(seed, sense))
    assert problem.reported(result.incumbent.objective) == pytest.approx(best, abs=1e-7)
    assert result.bound == pytest.approx(result.incumbent.objective, abs=1e-9)


def test_a_composition_has_the_objective_and_the_rows_of_a_problem():
    problem = presolve(compile_model(drawn(1)).problem).problem
    found = Composition.of(problem)
    points = np.random.default_rng(0).integers(-3, 6, (50, 3)).astype(float)
    values = found.expression.value(points)
    assert [problem.column_name(column) for column in found.columns] == ["x[0]", "x[1]", "x[2]"]
    V = problem.completed(np.array([found.point(x, np.zeros(problem.n_columns)) for x in points]))
    assert values[:, 0] + problem.constant == pytest.approx(problem.objective(V))
    violated = np.maximum(found.lower - values, values - found.upper).max(axis=1) > 1e-6
    assert 2 < violated.sum() < 48
    assert violated.tolist() == (problem.violation(V) > 1e-6).tolist()


def test_without_a_point_the_bound_is_infinite():
    m = drawn(0)
    m.none = pyo.Constraint(expr=m.x[0] ** 2 + m.x[1] ** 2 == 3)
    result = run_proof(LatticeTree(presolve(compile_model(m).problem).problem, Options()))
    assert result.incumbent is None
    assert result.bound == np.inf


@pytest.mark.parametrize("solver", ["relugrad", "relugrad.exact"])
def test_a_gear_train(solver):
    """Both prove the optimum at once, which squares of ratios keep from programs."""
    m = pyo.ConcreteModel()
    m.n = pyo.Var(range(4), domain=pyo.Integers, bounds=(12, 30))
    m.o = pyo.Objective(expr=1e4 * (m.n[0] * m.n[1] / (m.n[2] * m.n[3]) - 1 / 6.931) ** 2)
    results = pyo.SolverFactory(solver).solve(m, threads=1, time_limit=20)
    teeth = np.arange(12, 31)
    products = np.unique(np.multiply.outer(teeth, teeth))
    best = (1e4 * (np.divide.outer(products, products) - 1 / 6.931) ** 2).min()
    assert pyo.value(m.o) == pytest.approx(best, rel=1e-9)
    assert results.problem.lower_bound == pytest.approx(best, rel=2e-4)  # the gap of an exact solve


def test_others_do_not_suit():
    m = drawn(0)
    m.free = pyo.Var(bounds=(0, 1))
    m.more = pyo.Constraint(expr=m.free <= m.x[0] * m.x[1])
    assert OpenBoxes.suit(presolve(compile_model(m).problem).problem) is None
    linear = pyo.ConcreteModel()
    linear.x = pyo.Var([0, 1], domain=pyo.Integers, bounds=(0, 5))
    linear.o = pyo.Objective(expr=linear.x[0] - linear.x[1])
    assert OpenBoxes.suit(presolve(compile_model(linear).problem).problem) is None


def test_points_that_the_gap_leaves_out_count_in_the_bound():
    """Of 0 to 4 the gap leaves out 2, which is the best, and ranges do not tell that 3 and 4 are no better."""
    m = pyo.ConcreteModel()
    m.x = pyo.Var(domain=pyo.Integers, bounds=(0, 4))
    m.o = pyo.Objective(expr=3 - 3 * pyo.cos(20 * (m.x - 2)) - m.x)
    problem = presolve(compile_model(m).problem).problem
    start = problem.incumbent(np.where(problem.integers, 3.0, 0.0))
    result = run_proof(LatticeTree(problem, Options(relative_gap=0.0, absolute_gap=0.8), start))
    assert result.incumbent.objective == pytest.approx(-3 * np.cos(20))
    assert result.bound <= -2.0


def test_a_column_may_miss_its_bound_by_rounding():
    """0.3 - 0.1 * 3 is not zero, but its root is."""
    m = pyo.ConcreteModel()
    m.x = pyo.Var([0, 1], domain=pyo.Integers, bounds=(1, 4))
    m.y = pyo.Var(bounds=(0, None))
    m.def_y = pyo.Constraint(expr=m.y == 0.3 * m.x[0] - 0.1 * m.x[1])
    m.o = pyo.Objective(expr=3 * pyo.sqrt(m.y) + 0.1 * m.x[0] ** 2 - m.x[1])
    problem = presolve(compile_model(m).problem).problem
    result = run_proof(LatticeTree(problem, Options(relative_gap=0.0, absolute_gap=0.0)))
    assert problem.reported(result.incumbent.objective) == pytest.approx(-2.9)


@pytest.mark.parametrize("size", [1e11, 1e40])
def test_points_that_numbers_are_too_large_for_are_not_disproven(size):
    """Equations of large numbers miss by rounding, as do points beyond what counts as a number."""
    m = pyo.ConcreteModel()
    m.x = pyo.Var([0, 1], domain=pyo.Integers, bounds=(1, 9))
    m.y, m.z = pyo.Var(), pyo.Var()
    m.def_y = pyo.Constraint(expr=3 * m.y == size * (0.3 * m.x[0] ** 2 + 0.1 * m.x[1] - 0.7 * m.x[0] * m.x[1]))
    m.def_z = pyo.Constraint(expr=7 * m.z == m.y - m.x[0] * m.x[1] * size / 3)
    m.o = pyo.Objective(expr=(m.y / size - 1) ** 2 + m.x[0] + m.z / size)
    problem = presolve(compile_model(m).problem).problem
    result = run_proof(LatticeTree(problem, Options()))
    x = np.arange(1.0, 10.0)
    products = np.multiply.outer(x, x)
    y = (0.3 * x[:, None] ** 2 + 0.1 * x - 0.7 * products) / 3
    assert result.bound <= ((y - 1) ** 2 + x[:, None] + (y - products / 3) / 7).min() + 1e-9


@pytest.mark.parametrize(("length", "suits"), [(8, True), (800, False)])
def test_equations_in_any_order_give_columns_values_up_to_a_size(length, suits):
    m = pyo.ConcreteModel()
    m.u = pyo.Var([0, 1], domain=pyo.Integers, bounds=(0, 5))
    m.x = pyo.Var(range(length), bounds=(-9, 9))
    m.x[0].fix(1.0)
    m.step = pyo.Constraint(
        range(length - 1, 0, -1), rule=lambda m, k: m.x[k] == 0.9 * m.x[k - 1] + 0.1 * m.u[k % 2] - 0.3
    )
    m.o = pyo.Objective(expr=m.x[length - 1] ** 2 + m.u[0] * m.u[1])
    assert LatticeTree.suits(presolve(compile_model(m).problem).problem) == suits


def test_moves_stay_where_what_was_left_out_holds():
    """Once x[1] is 1 in the whole box nothing is left of the row on it alone; with 2 the objective would be better."""
    m = pyo.ConcreteModel()
    m.x = pyo.Var([0, 1, 2], domain=pyo.Integers)
    for column, bounds in zip(m.x.values(), [(0, 59), (1, 2), (-2, 2)], strict=True):
        column.setlb(bounds[0])
        column.setub(bounds[1])
    m.y = pyo.Var(bounds=(-1000, 1000))
    m.def_y = pyo.Constraint(expr=4 * m.y == m.x[0] ** 2)
    m.row = pyo.Constraint(expr=m.x[1] ** 4 <= 3.7)
    m.o = pyo.Objective(
        expr=4 * m.y**2 + 4 * m.x[0] * m.x[2] ** 2 - 4 * m.y**3 + m.x[0] ** 2 * m.x[1] ** 2, sense=pyo.maximize
    )
    problem = presolve(compile_model(m).problem).problem
    result = run_proof(LatticeTree(problem, Options(relative_gap=0.0, absolute_gap=0.0)))
    assert problem.reported(result.incumbent.objective) == pytest.approx(36)
    assert result.bound == pytest.approx(result.incumbent.objective)
