"""Products with an integer factor, abs, min, max and special ordered sets: read, linearized, solved and refused."""

import numpy as np
import pyomo.environ as pyo
import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st
from milp_oracle import exact_optimum
from pyomo.core.expr.numeric_expr import MaxExpression, MinExpression

from pyomo_relugrad import ReluNetworkBlock, deadline
from pyomo_relugrad.deadline import OutOfTime
from pyomo_relugrad.errors import InfeasibleProblemError, ModelError
from pyomo_relugrad.modeling.compile import CompiledModel, compile_model
from pyomo_relugrad.modeling.errors import IncompatibleModel, InfeasibleModel
from pyomo_relugrad.network import Network, crown_bounds
from pyomo_relugrad.problem import Maximum, Problem, Product, SpecialOrderedSet
from pyomo_relugrad.problem.operations import BinaryDigits, WindowChoice
from pyomo_relugrad.problem.presolve import linearize, presolve
from pyomo_relugrad.run import Stop
from pyomo_relugrad.solve import array_problem, solve_exactly

seeds = st.integers(0, 10**6)
SOLVERS = ("relugrad", "relugrad.exact")


def network(seed: int, n_inputs: int = 2) -> Network:
    rng = np.random.default_rng(seed)
    return Network.from_layers(
        [rng.normal(size=(5, n_inputs)), rng.normal(size=(1, 5))], [rng.normal(size=5), rng.normal(size=1)]
    )


def variables() -> pyo.ConcreteModel:
    """Two continuous variables, two binaries and an integer."""
    m = pyo.ConcreteModel()
    m.x = pyo.Var(range(2), bounds=(-2, 3))
    m.b = pyo.Var(range(2), domain=pyo.Binary)
    m.n = pyo.Var(domain=pyo.Integers, bounds=(-3, 4))
    return m


def solved(m: pyo.ConcreteModel, solver: str = "relugrad.exact") -> float:
    """The objective as Pyomo evaluates it at the answer, which satisfies each constraint as it is written."""
    limits = {"iteration_limit": 500} if solver == "relugrad" else {"time_limit": 60}
    results = pyo.SolverFactory(solver).solve(m, **limits)
    if solver == "relugrad.exact":
        pyo.assert_optimal_termination(results)
    for constraint in m.component_data_objects(pyo.Constraint, active=True):
        if not constraint.name.startswith("nn"):
            assert constraint.slack() >= -1e-6, constraint.name
    return pyo.value(next(m.component_data_objects(pyo.Objective, active=True)))


def by_highs(m: pyo.ConcreteModel) -> float:
    """The optimum of a linear model."""
    solver = pyo.SolverFactory("appsi_highs")
    solver.config.mip_gap = 0.0
    solver.solve(m)
    return pyo.value(next(m.component_data_objects(pyo.Objective, active=True)))


# --- reading expressions ----------------------------------------------------------------------------------------


def random_expression(rng: np.random.Generator, m: pyo.ConcreteModel, depth: int = 3):
    """An expression whose products have at most one continuous factor."""
    if depth == 0:
        every = [*m.x.values(), *m.b.values(), m.n]
        return float(rng.integers(-2, 3)) + sum(float(rng.integers(-2, 3)) * v for v in rng.choice(every, 2))
    kind = rng.integers(7)
    inner = random_expression(rng, m, depth - 1)
    if kind == 0:
        return inner - random_expression(rng, m, depth - 1)
    if kind == 1:
        return (m.b[0] + 2 * m.b[1] * m.n - 1) * inner
    if kind == 2:
        return abs(inner)
    if kind == 3:
        return MaxExpression([inner, random_expression(rng, m, 0), 1.5])
    if kind == 4:
        return MinExpression([inner, random_expression(rng, m, 0)])
    if kind == 5:
        return (m.b[0] - m.n) ** int(rng.integers(4)) + inner / 4
    return m.b[0] ** 3 * m.b[1] * m.x[0] - inner


def at_random(m: pyo.ConcreteModel, rng: np.random.Generator) -> None:
    for v in m.component_data_objects(pyo.Var):
        v.set_value(float(rng.uniform(*v.bounds)) if v.is_continuous() else int(rng.integers(v.lb, v.ub + 1)))


def compiled_unless_refused(m: pyo.ConcreteModel, rng: np.random.Generator) -> CompiledModel:
    """The compiled model; an example whose row is nothing but a number above its side is left out."""
    try:
        return compile_model(m)
    except InfeasibleModel:
        at_random(m, rng)
        assume(pyo.value(m.c.body) <= 1)
        raise


@settings(max_examples=60, deadline=None)
@given(seed=seeds)
def test_operations_have_the_values_of_the_expressions(seed):
    rng, m = np.random.default_rng(seed), variables()
    m.o = pyo.Objective(expr=random_expression(rng, m))
    m.c = pyo.Constraint(expr=random_expression(rng, m) <= 1)
    compiled = compiled_unless_refused(m, rng)
    problem = compiled.problem
    for _ in range(5):
        at_random(m, rng)
        v = compiled.values()
        for operation in problem.operations:
            v[operation.outputs] = operation.value(v)
        assert problem.objective(v[None])[0] == pytest.approx(pyo.value(m.o), abs=1e-9)
        row = problem.row_violations(v[None])[0].max(initial=0.0)
        assert row == pytest.approx(max(pyo.value(m.c.body) - 1, 0), abs=1e-9)
        assert problem.network_error(v[None])[0] == 0
        wrong = v.copy()
        for operation in problem.operations:
            wrong[operation.outputs] += 0.5
            assert problem.network_error(wrong[None])[0] >= 0.5 - 1e-9 or len(problem.operations) > 1
            low, high = operation.range(problem.lower, problem.upper)
            assert low - 1e-9 <= v[operation.output] <= high + 1e-9 or np.isinf(low)
        point = problem.incumbent(wrong)
        assert point.network_error == problem.network_error(point.values[None])[0]


@settings(max_examples=30, deadline=None)
@example(seed=353)
@given(seed=seeds)
def test_the_presolved_problem_has_the_same_points(seed):
    """Where integers and continuous variables are chosen, the rest follows, and is feasible where the model is."""
    rng, m = np.random.default_rng(seed), variables()
    m.o = pyo.Objective(expr=random_expression(rng, m))
    m.c = pyo.Constraint(expr=random_expression(rng, m) <= 1)
    compiled = compiled_unless_refused(m, rng)
    try:
        reduced = presolve(compiled.problem)
    except InfeasibleProblemError:
        reduced = None
    for _ in range(5):
        at_random(m, rng)
        if reduced is None:
            assert pyo.value(m.c.body) > 1
            continue
        start = reduced.reduce(compiled.values())
        if (
            (start < reduced.problem.lower - 1e-9) | (start > reduced.problem.upper + 1e-9)
        ).any():  # that the row implies
            assert pyo.value(m.c.body) > 1
            continue
        inside = reduced.problem.incumbent(np.nan_to_num(start))
        outside = compiled.problem.measure(reduced.restore(inside.values))
        assert outside.objective == pytest.approx(pyo.value(m.o), abs=1e-8)
        assert outside.network_error <= 1e-9
        assert inside.is_feasible == outside.is_feasible == (pyo.value(m.c.body) <= 1 + 1e-6)


def test_powers_of_binaries_are_the_binaries():
    m = variables()
    m.o = pyo.Objective(expr=m.b[0] ** 2 + 3 * m.b[1] ** 4 - m.b[0] ** 3 * m.b[0])
    problem = compile_model(m).problem
    assert (problem.operations, problem.quadratic) == ((), None)
    assert sorted(problem.cost) == [0, 3]


def test_convex_quadratic_objectives_stay_quadratic():
    m = variables()
    m.o = pyo.Objective(expr=(m.x[0] + m.b[0] - 1) ** 2 + (m.n - 0.4) ** 2)
    problem = compile_model(m).problem
    assert problem.operations == ()
    assert problem.quadratic.nnz == 5
    m.o.set_value(m.o.expr + m.b[1] * m.x[1])
    problem = compile_model(m).problem
    assert [type(operation) for operation in problem.operations] == [Product]
    assert problem.quadratic.nnz == 5
    assert solved(m) == pytest.approx(0.4**2 - 2, abs=1e-4), "HiGHS's quadratic solver cycles here"


def test_equal_operations_share_a_column():
    m = variables()
    m.size = pyo.Expression(expr=abs(m.x[0]) + m.b[0] * m.n)
    m.c = pyo.Constraint(range(3), rule=lambda m, i: m.size + m.x[1] <= i + 1)
    assert len(compile_model(m).problem.operations) == 2


def test_fixed_factors_leave_a_linear_model():
    m = variables()
    m.o = pyo.Objective(expr=m.x[0] * m.x[1] + abs(m.x[0]))
    m.x[0].fix(-2)
    problem = compile_model(m).problem
    assert (problem.operations, problem.constant) == ((), 2)


# --- solving ----------------------------------------------------------------------------------------------------

LARGE = 100.0


class ByHand:
    """A model with operations, and the same one linearized by hand with large constants."""

    def __init__(self, seed: int) -> None:
        self.rng = np.random.default_rng(seed)
        self.model, self.linear = variables(), variables()
        self.linear.more = pyo.VarList()
        self.linear.rows = pyo.ConstraintList()

    def affine(self):
        coefficients, constant = self.rng.integers(-2, 3, size=5) / 2, self.rng.integers(-2, 3) / 2
        return [
            sum(float(c) * v for c, v in zip(coefficients, [*m.x.values(), *m.b.values(), m.n], strict=True)) + constant
            for m in (self.model, self.linear)
        ]

    def new(self, **options) -> pyo.Var:
        self.linear.more.add()
        variable = self.linear.more[len(self.linear.more)]
        if options:
            variable.domain = pyo.Binary
        return variable

    def largest(self, pieces):
        """Maximum by one binary per piece."""
        w, chosen = self.new(), [self.new(binary=True) for _ in pieces]
        self.linear.rows.add(sum(chosen) == 1)
        for piece, z in zip(pieces, chosen, strict=True):
            self.linear.rows.add(w >= piece)
            self.linear.rows.add(w <= piece + LARGE * (1 - z))
        return w

    def binary_times(self, binary, other):
        w = self.new()
        for side in (1, -1):
            self.linear.rows.add(side * w <= LARGE * binary)
            self.linear.rows.add(side * (w - other) <= LARGE * (1 - binary))
        return w

    def integer_times(self, other):
        chosen = {k: self.new(binary=True) for k in range(-3, 5)}
        self.linear.rows.add(sum(chosen.values()) == 1)
        self.linear.rows.add(sum(k * z for k, z in chosen.items()) == self.linear.n)
        return sum(k * self.binary_times(z, other) for k, z in chosen.items())

    def term(self):
        """A term of the model and the same one by hand."""
        kind = self.rng.integers(4)
        (first, by_hand), (second, other) = self.affine(), self.affine()
        if kind == 0:
            return abs(first), self.largest([by_hand, -by_hand])
        if kind == 1:
            return MinExpression([first, second]), -self.largest([-by_hand, -other])
        if kind == 2:
            return self.model.b[0] * first, self.binary_times(self.linear.b[0], by_hand)
        m, h = self.model, self.linear
        return m.n * (m.x[0] - m.b[1]), self.integer_times(h.x[0] - h.b[1])

    def build(self):
        weights = self.rng.choice([-1.0, 1.0, 2.0], 4)
        terms = [self.term() for _ in range(3)]
        (own, by_hand), (first, other) = self.affine(), self.term()
        for m, objective, row in ((self.model, own, first), (self.linear, by_hand, other)):
            position = int(m is self.linear)
            m.o = pyo.Objective(
                expr=objective + sum(w * term[position] for w, term in zip(weights, terms, strict=False)),
                sense=pyo.maximize if weights[3] > 1 else pyo.minimize,
            )
            m.c = pyo.Constraint(expr=row <= 1)
        return self


@settings(max_examples=8, deadline=None)
@given(seed=seeds)
def test_the_optimum_is_that_of_a_linearization_by_hand(seed):
    both = ByHand(seed).build()
    assert solved(both.model) == pytest.approx(by_highs(both.linear), rel=2e-4, abs=1e-5)


@pytest.mark.parametrize("seed", range(3))
def test_searches_find_the_optimum(seed):
    both = ByHand(seed).build()
    assert solved(both.model, "relugrad") == pytest.approx(by_highs(both.linear), rel=2e-4, abs=1e-5)


def sites(seed: int) -> pyo.ConcreteModel:
    """Open two of three sites, each of which earns what a network says."""
    m = pyo.ConcreteModel()
    m.site = pyo.RangeSet(3)
    m.open = pyo.Var(m.site, domain=pyo.Binary)
    m.x = pyo.Var(m.site, range(2), bounds=(0, 1))
    m.nn = ReluNetworkBlock(m.site, network=network(seed, 3), inputs=lambda m, s: [m.x[s, 0], m.x[s, 1], 0.3 * s])
    m.two = pyo.Constraint(expr=sum(m.open.values()) <= 2)
    m.profit = pyo.Objective(expr=sum(m.open[s] * m.nn[s].outputs[0] for s in m.site), sense=pyo.maximize)
    return m


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("seed", [1, 3])
def test_a_binary_times_an_output(solver, seed):
    earned = [
        -exact_optimum(array_problem(network(seed, 3), None, [0, 0, 0.3 * s], [1, 1, 0.3 * s])) for s in range(1, 4)
    ]
    best = sum(sorted(np.maximum(earned, 0.0))[1:])
    assert solved(sites(seed), solver) == pytest.approx(best, rel=2e-4, abs=1e-5)


@pytest.mark.parametrize("solver", SOLVERS)
def test_absolute_values_of_outputs(solver):
    """The distance from a target is pressed down: no network is added, and no binary."""
    m = pyo.ConcreteModel()
    m.nn = ReluNetworkBlock(network=network(3), input_bounds=(-1, 1))
    m.far = pyo.Constraint(expr=abs(m.nn.inputs[0]) + abs(m.nn.inputs[1]) <= 0.5)
    m.o = pyo.Objective(expr=abs(m.nn.outputs[0] - 0.7))
    problem = presolve(compile_model(m).problem).problem
    assert len(problem.networks) == 1
    assert not problem.integers.any()
    grid = np.stack(np.meshgrid(*[np.linspace(-0.5, 0.5, 401)] * 2), axis=-1).reshape(-1, 2)
    values = network(3).value(grid[np.abs(grid).sum(axis=1) <= 0.5])[:, 0]
    assert solved(m, solver) <= np.abs(values - 0.7).min() + 1e-6


@pytest.mark.parametrize("solver", SOLVERS)
def test_absolute_values_that_are_pressed_up(solver):
    m = pyo.ConcreteModel()
    m.x = pyo.Var(bounds=(-3, 2))
    m.y = pyo.Var(bounds=(-1, 1))
    m.o = pyo.Objective(expr=abs(m.x) - abs(m.y - m.x), sense=pyo.maximize)
    m.c = pyo.Constraint(expr=abs(m.x + m.y) >= 3)
    assert len(presolve(compile_model(m).problem).problem.networks) == 2
    assert solved(m, solver) == pytest.approx(1)


def test_equations_with_operations_give_the_users_variable_its_value():
    m = variables()
    m.size = pyo.Var()
    m.says = pyo.Constraint(expr=m.size == abs(m.x[0]) - m.b[0] * m.x[1])
    m.o = pyo.Objective(expr=m.size)
    assert solved(m) == pytest.approx(-3)


@pytest.mark.parametrize("solver", SOLVERS)
def test_values_that_feed_a_network(solver):
    m = variables()
    m.flow = pyo.Var(bounds=(-5, 5))
    m.c = pyo.Constraint(expr=m.flow == m.b[0] * m.x[0])
    m.nn = ReluNetworkBlock(network=network(1), inputs=[m.flow, m.x[1]])
    m.o = pyo.Objective(expr=m.nn.outputs[0] - 0.1 * m.b[0])
    found = solved(m, solver)
    best = min(
        0.0 * b - 0.1 * b + network(1).value(np.stack([b * x, y], axis=-1).reshape(-1, 2)).min()
        for b in (0, 1)
        for x, y in [np.meshgrid(*[np.linspace(-2, 3, 201)] * 2)]
    )
    assert found <= best + 1e-6


@pytest.mark.parametrize("solver", SOLVERS)
def test_a_start_without_the_operations_values_is_complete(solver):
    m = variables()
    m.c = pyo.Constraint(expr=m.b[0] * m.x[0] + abs(m.x[1]) + m.n * m.x[0] >= 9)
    m.o = pyo.Objective(expr=m.x[0] + m.x[1])
    m.x[0].value, m.x[1].value, m.b[0].value, m.n.value = 2.75, 0.0, 1, 3
    compiled = compile_model(m)
    reduced = presolve(compiled.problem)
    start = reduced.reduce(compiled.values())
    assert reduced.problem.incumbent(start).is_feasible
    assert not np.isnan(start[~reduced.problem.is_output]).any()
    pyo.SolverFactory(solver).solve(m, warmstart=True, iteration_limit=50)
    assert pyo.value(m.o) <= 2.75


# --- special ordered sets ---------------------------------------------------------------------------------------


@settings(max_examples=10, deadline=None)
@given(seed=seeds, kind=st.sampled_from([1, 2]))
def test_ordered_sets_have_the_best_window(seed, kind):
    rng = np.random.default_rng(seed)
    n = int(rng.integers(1, 6))
    lower, upper = -rng.integers(0, 3, n).astype(float), rng.integers(1, 4, n).astype(float)
    cost, weights = rng.normal(size=n), rng.permutation(n) + 1.0
    m = pyo.ConcreteModel()
    m.x = pyo.Var(range(n), bounds=lambda m, i: (lower[i], upper[i]))
    m.s = pyo.SOSConstraint(var=m.x, sos=kind, weights=dict(enumerate(weights)))
    m.o = pyo.Objective(expr=sum(cost[i] * m.x[i] for i in range(n)))
    order = np.argsort(weights)
    gain = np.minimum(cost * lower, cost * upper)[order]
    best = min(gain[first : first + kind].sum() for first in range(max(n - kind, 0) + 1))
    assert solved(m) == pytest.approx(min(best, 0.0), abs=1e-6)
    values = np.array([m.x[i].value for i in range(n)])[order]
    assert SpecialOrderedSet(np.arange(n), kind).violation(values) <= 1e-6


def test_ordered_sets_are_measured():
    problem = Problem(np.zeros(4), np.zeros(4), np.ones(4), ordered_sets=(SpecialOrderedSet(np.array([0, 2, 3]), 2),))
    points = np.array([[0, 1, 0.5, 0.5], [0.25, 1, 0.5, 0.5], [1, 1, 0, 1], [0, 1, 0, 0]])
    np.testing.assert_array_equal([problem.measure(v).violation for v in points], [0, 0.25, 1, 0])


def test_binaries_in_a_set_need_no_others():
    m = pyo.ConcreteModel()
    m.b = pyo.Var(range(4), domain=pyo.Binary)
    m.s = pyo.SOSConstraint(var=m.b, sos=1)
    m.o = pyo.Objective(expr=-m.b[0] - 2 * m.b[3])
    reduced = presolve(compile_model(m).problem).problem
    assert (reduced.n_columns, reduced.n_rows) == (4, 1)
    assert solved(m) == pytest.approx(-2)


# --- what follows -----------------------------------------------------------------------------------------------


def test_digits_and_choices_follow_from_their_arguments():
    digits = BinaryDigits([1, 2, 3], 0, -3)
    for value in range(-3, 5):
        bits = digits.value(np.array([float(value), 0, 0, 0]))
        assert -3 + bits @ [1, 2, 4] == value
    choice = WindowChoice([3, 4], SpecialOrderedSet(np.arange(3), 2))
    np.testing.assert_array_equal(choice.value(np.array([0, 0.5, 0.5, 0, 0])), [0, 1])
    assert np.isnan(choice.value(np.array([np.nan, 0.5, 0.5, 0, 0]))).all()
    points = np.array([[0, 0.5, 0.5, 0, 0], [0.5, 0, 0, 0, 0], [0, np.nan, 0, 0, 0]]).T
    for count in range(4):  # a search may have none to complete
        expected = np.array([[0, 1], [1, 0], [np.nan, np.nan]])[:count].T
        np.testing.assert_array_equal(choice.value(points[:, :count]), expected)
    assert np.isnan(digits.value(np.full(4, np.nan))).all()


@settings(max_examples=20, deadline=None)
@given(seed=seeds)
def test_renumbered_operations_read_the_same_values(seed):
    rng = np.random.default_rng(seed)
    v, order = rng.normal(size=6), rng.permutation(6)
    moved = np.empty(6)
    moved[order] = v
    maximum = Maximum(5, np.array([0, 2]), rng.normal(size=(3, 2)), rng.normal(size=3))
    ordered = SpecialOrderedSet(np.array([0, 3, 1]), 1)
    for part in (Product(5, 1, 2), maximum, WindowChoice([3, 4], ordered), BinaryDigits([4, 5], 0, -2)):
        again = part.renumbered(order)
        np.testing.assert_array_equal(again.value(moved), part.value(v))
        np.testing.assert_array_equal(again.outputs, order[list(part.outputs)])
    assert ordered.renumbered(order).violation(moved) == ordered.violation(v)


# --- refusals ---------------------------------------------------------------------------------------------------


def model(build) -> pyo.ConcreteModel:
    m = variables()
    m.free = pyo.Var()
    m.half = pyo.Var(bounds=(0, None))
    m.many = pyo.Var(domain=pyo.Integers, bounds=(0, 5000))
    m.any = pyo.Var(domain=pyo.Integers)
    m.p = pyo.Param(initialize=2.0, mutable=True)
    build(m)
    return m


def row(expression):
    return lambda m: setattr(m, "c", pyo.Constraint(expr=expression(m) <= 1))


REFUSED = {
    "floor": (row(lambda m: pyo.floor(m.x[0])), r"constraint 'c' holds 'floor', which has no derivative\. Smooth func"),
    "ceil": (row(lambda m: m.b[0] * pyo.ceil(m.x[0] + 1)), r"constraint 'c' holds 'ceil', which has no derivative"),
    "choice": (
        row(lambda m: pyo.Expr_if(m.x[0] >= 0, m.x[0], m.x[1])),
        r"constraint 'c' holds 'Expr_if', which has no derivative.*choices by binary variables; another function of",
    ),
    "external function": (
        lambda m: (
            setattr(m, "f", pyo.ExternalFunction(lambda a: a**2)),
            setattr(m, "o", pyo.Objective(expr=m.x[1] + pyo.exp(m.f(m.x[0])))),
        ),
        r"objective 'o' holds 'f', which has no derivative\. .*by Piecewise, or by a network in a ReluNetworkBlock",
    ),
    "logarithm of a constant": (
        row(lambda m: m.x[0] * pyo.log(m.p - 3)),
        r"'c' cannot be evaluated: .*(domain error|positive input)",
    ),
    "power of a constant": (
        row(lambda m: m.x[0] + (m.p - 3) ** m.x[1]),
        r"'c' cannot be evaluated: -1\.0 has no power",
    ),
    "division by zero": (row(lambda m: m.x[0] ** 2 / (m.p - 2)), r"'c' cannot be evaluated: it divides by zero"),
    "infinite power": (row(lambda m: (m.x[0] - m.x[0]) ** -1 + m.x[1] ** 3), r"'c' cannot be evaluated"),
}
WITHOUT_BOUNDS = {
    "set": (
        lambda m: setattr(m, "s", pyo.SOSConstraint(var=pyo.Reference([m.free, m.x[0]]), sos=1)),
        r"special ordered set 's' needs both bounds of variable 'free'.* none follows from the rest of the model",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_has_no_derivative_or_no_value_is_refused(case):
    build, message = REFUSED[case]
    with pytest.raises(IncompatibleModel, match=message):
        compile_model(model(build))


def test_what_has_too_many_products_is_one_smooth_term():
    m = pyo.ConcreteModel()
    m.n = pyo.Var(range(500), domain=pyo.Integers, bounds=(0, 3))
    m.c = pyo.Constraint(expr=sum(m.n[i] for i in range(250)) * sum(m.n[i] for i in range(250, 500)) <= 1)
    problem = compile_model(m).problem
    assert (len(problem.operations), len(problem.expressions)) == (0, 1)
    assert problem.expressions[0].inputs.size == 500


def test_high_powers_of_constants_and_products_of_many_binaries_are_read():
    m = pyo.ConcreteModel()
    m.rate = pyo.Var(initialize=1.01)
    m.rate.fix()
    m.b = pyo.Var(range(100), domain=pyo.Binary)
    m.o = pyo.Objective(expr=m.rate**365 * pyo.prod(m.b[i] for i in range(100)) + m.b[0] ** 64)
    problem = compile_model(m).problem
    assert len(problem.operations) == 99
    assert problem.cost.max() == pytest.approx(1.01**365)


@pytest.mark.parametrize(
    "product",
    [lambda m: m.b[0] * m.free, lambda m: m.n * m.half, lambda m: m.many * m.x[0], lambda m: m.any**2],
    ids=["no bounds", "one bound", "many values", "any value"],
)
def test_products_that_rows_cannot_state_are_expressions(product):
    problem = presolve(compile_model(model(row(product))).problem).problem
    (product,) = problem.expressions
    v = problem.propagate(np.arange(1.0, problem.n_columns + 1)[None])[0]
    factors = v[product.inputs] if product.inputs.size == 2 else v[product.inputs[[0, 0]]]
    assert v[product.outputs] == factors.prod() != 0


@pytest.mark.parametrize("case", WITHOUT_BOUNDS)
@pytest.mark.parametrize("solver", SOLVERS)
def test_what_needs_bounds_says_which(case, solver):
    build, message = WITHOUT_BOUNDS[case]
    m = model(build)
    with pytest.raises(ModelError, match=message):
        pyo.SolverFactory(solver).solve(m)
    assert m.x[0].value is None


def test_bounds_may_follow_from_rows_and_networks():
    m = model(row(lambda m: m.b[0] * m.free + m.any * m.x[0]))
    m.few = pyo.Constraint(expr=(0, 2 * m.any, 7))
    m.nn = ReluNetworkBlock(network=network(0), inputs=[m.x[0], m.x[1]])
    m.tied = pyo.Constraint(expr=m.free == 2 * m.nn.outputs[0] + 1)
    m.o = pyo.Objective(expr=-m.free * m.b[0])
    assert solved(m) <= 0


def over_a_network(expression) -> Problem:
    m = model(lambda m: None)
    m.nn = ReluNetworkBlock(network=network(0), inputs=[m.x[0], m.x[1]])
    m.c = pyo.Constraint(expr=expression(m) <= 1)
    m.o = pyo.Objective(expr=m.nn.outputs[0])
    return compile_model(m).problem


def test_networks_are_bounded_by_crown_only_where_a_factor_or_a_set_needs_it(monkeypatch):
    passes = []

    def counted(*arguments):
        passes.append(arguments)
        return crown_bounds(*arguments)

    monkeypatch.setattr(linearize, "crown_bounds", counted)
    for expression, count in (
        (lambda m: m.b[0] * m.x[0] + abs(m.x[1]), 0),
        (lambda m: m.b[0] * m.nn.outputs[0], 1),
    ):
        passes.clear()
        presolve(over_a_network(expression))
        assert len(passes) == count


def test_bounds_by_crown_are_given_up_where_time_is_short(monkeypatch):
    def fail(*_):
        raise OutOfTime

    problem = over_a_network(lambda m: m.b[0] * m.nn.outputs[0])
    monkeypatch.setattr(linearize, "crown_bounds", fail)
    assert presolve(problem).problem.operations == ()


def test_what_cannot_be_linearized_in_time_ends_the_solve():
    problem = over_a_network(lambda m: m.b[0] * m.x[0] + m.x[1])
    with pytest.raises(OutOfTime), deadline.time_limit(0.0):
        presolve(problem)
    result = solve_exactly(problem, time_limit=0.0)
    assert (result.stop, result.incumbent, result.bound) == (Stop.TIME_LIMIT, None, -np.inf)


def test_wrong_data_is_refused():
    with pytest.raises(ModelError, match=r"special ordered set 's' is of kind 3; relugrad knows 1 and 2"):
        SpecialOrderedSet(np.arange(3), 3, "s")
    with pytest.raises(ModelError, match=r"a maximum of 2 functions of 3 columns has a matrix of shape \(2, 2\)"):
        Maximum(0, np.arange(3), np.ones((2, 2)), np.zeros(2))
