"""What users do with one model between solves, and what else stands beside networks: each answer is checked anew.

The oracle is the expansion of a copy of the model as it stands, solved by HiGHS.
"""

import numpy as np
import pyomo.environ as pyo
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyomo.contrib.piecewise import PiecewiseLinearFunction
from pyomo.core.expr.visitor import replace_expressions
from pyomo.mpec import ComplementarityList, complements
from pyomo.util.infeasible import find_infeasible_constraints
from small_models import shallow_network

from pyomo_relugrad.errors import ModelError
from pyomo_relugrad.modeling.block import ReluNetworkBlock
from pyomo_relugrad.network import Network


def blend():
    m = pyo.ConcreteModel()
    m.x = pyo.Var(range(2), bounds=(0, 1))
    m.y = pyo.Var(bounds=(-50, 1))
    m.n = pyo.Var(domain=pyo.Integers, bounds=(0, 3))
    m.price = pyo.Param(initialize=0.2, mutable=True)
    m.limit = pyo.Param(initialize=1.5, mutable=True)
    m.nn = ReluNetworkBlock(network=shallow_network(0, 2, 1), inputs=m.x)
    m.row = pyo.Constraint(expr=m.x[0] + m.x[1] + 0.2 * m.n <= m.limit)
    m.floor = pyo.Constraint(expr=m.y <= m.nn.outputs[0] + 0.1 * m.n)
    m.o = pyo.Objective(expr=m.nn.outputs[0] + m.y - m.price * m.n, sense=pyo.maximize)
    return m


def oracle(m):
    copy = m.clone()
    pyo.TransformationFactory("relugrad.omlt").apply_to(copy)
    pyo.assert_optimal_termination(pyo.SolverFactory("appsi_highs").solve(copy))
    return pyo.value(next(copy.component_data_objects(pyo.Objective, active=True)))


def assert_solved(m, solver=None):
    """The proven optimum is that of HiGHS, and every active row holds."""
    expected = oracle(m)
    solver = solver or pyo.SolverFactory("relugrad.exact")
    pyo.assert_optimal_termination(solver.solve(m, time_limit=30))
    found = pyo.value(next(m.component_data_objects(pyo.Objective, active=True)))
    assert found == pytest.approx(expected, abs=1e-3)
    assert list(find_infeasible_constraints(m, tol=1e-5)) == []


# --- one model, many solves ---------------------------------------------------------------------------------------


def replace_network(m):
    m.del_component(m.nn)
    m.nn = ReluNetworkBlock(network=shallow_network(5, 2, 1), inputs=m.x)
    m.floor.set_value(m.y <= m.nn.outputs[0])
    m.o.set_value(m.nn.outputs[0] + m.y)


def other_objective(m):
    m.o.deactivate()
    m.other = pyo.Objective(expr=m.nn.outputs[0] - m.x[0], sense=pyo.minimize)


CHANGES = {
    "parameter": lambda m: m.price.set_value(-0.4),
    "side": lambda m: m.limit.set_value(0.5),
    "fix input": lambda m: m.x[0].fix(0.3),
    "fix input outside its bounds": lambda m: m.x[0].fix(1.5),
    "fix output": lambda m: m.nn.outputs[0].setub(0.0),
    "fix integer": lambda m: m.n.fix(2),
    "widen bounds": lambda m: m.x.setub(1.4),
    "narrow bounds": lambda m: m.x.setlb(0.45),
    "row off": lambda m: m.floor.deactivate(),
    "network off": lambda m: m.nn.deactivate(),
    "another network": replace_network,
    "relaxed": lambda m: setattr(m.n, "domain", pyo.Reals),
    "other objective": other_objective,
    "new row": lambda m: m.add_component("late", pyo.Constraint(expr=m.nn.outputs[0] <= 0.1)),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_changed_model_is_read_anew(change):
    m = blend()
    if change == "network off":
        m.nn.outputs[0].setub(2)  # an ordinary variable then, that needs a bound of its own
    solver = pyo.SolverFactory("relugrad.exact")
    assert_solved(m, solver)
    CHANGES[change](m)
    assert_solved(m, solver)


@pytest.mark.parametrize("change", ["widened", "fixed outside"])
def test_solutions_lie_within_bounds_that_follow_from_changed_inputs(change):
    """Also those of the outputs of a network that reads another one's."""
    first, second = (Network.from_layers([[[1.0, 1.0]], [[factor]]], [[0.0], [0.0]]) for factor in (1.0, 2.0))
    m = pyo.ConcreteModel()
    m.x = pyo.Var(range(2), bounds=(0, 1))
    m.first = ReluNetworkBlock(network=first, inputs=m.x)
    m.second = ReluNetworkBlock(network=second, inputs=[m.first.outputs[0], m.x[1]])
    m.o = pyo.Objective(expr=m.second.outputs[0], sense=pyo.maximize)
    assert (m.first.outputs[0].ub, m.second.outputs[0].ub) == (pytest.approx(2), pytest.approx(6))
    if change == "widened":
        m.x.setub(3)
    else:
        m.x[0].fix(5, skip_validation=True)
    pyo.SolverFactory("relugrad").solve(m, iteration_limit=50)
    best = 18 if change == "widened" else 14
    assert pyo.value(m.o) == pytest.approx(best, abs=1e-5)
    assert all(v.lb - 1e-6 <= v.value <= v.ub + 1e-6 for b in (m.first, m.second) for v in b.outputs.values())


def test_what_was_undone_is_as_before():
    m = blend()
    solver = pyo.SolverFactory("relugrad.exact")
    first = oracle(m)
    m.x[0].fix(0.9)
    m.nn.deactivate()
    m.row.deactivate()
    solver.solve(m, time_limit=10)
    m.x[0].unfix()
    m.nn.activate()
    m.row.activate()
    assert_solved(m, solver)
    assert pyo.value(m.o) == pytest.approx(first, abs=1e-3)


def test_expanding_and_reversing_again_and_again():
    m = blend()
    expansion = pyo.TransformationFactory("relugrad.omlt")
    expected = oracle(m)
    for upper in (1.0, 0.6, 1.0):
        m.x.setub(upper)
        token = expansion.apply_to(m)
        with pytest.raises(ModelError, match="target 'nn' neither is nor holds an active ReluNetworkBlock"):
            expansion.apply_to(m, targets=m.nn)
        pyo.SolverFactory("appsi_highs").solve(m)
        by_highs = pyo.value(m.o)
        expansion.apply_to(m, reverse=token)
        assert_solved(m)
        assert pyo.value(m.o) == pytest.approx(by_highs, abs=1e-3)
    assert by_highs == pytest.approx(expected, abs=1e-3)


def test_variables_of_another_model_are_constants_of_neither():
    owner = blend()
    m = pyo.ConcreteModel()
    m.nn = ReluNetworkBlock(network=shallow_network(1, 2, 1), inputs=owner.x)
    m.o = pyo.Objective(expr=m.nn.outputs[0])
    pyo.assert_optimal_termination(pyo.SolverFactory("relugrad.exact").solve(m, time_limit=20))
    point = np.array([[owner.x[0].value, owner.x[1].value]])
    assert pyo.value(m.o) == pytest.approx(shallow_network(1, 2, 1).value(point)[0, 0], abs=1e-6)
    assert not owner.x[0].stale


# --- what stands beside a network ---------------------------------------------------------------------------------


def curve(x):
    return 2 * x * (1 - x) - (3 * (x - 0.5) ** 2 if x > 0.5 else 0)


POINTS = [0, 0.25, 0.5, 0.75, 1.0]


@pytest.mark.parametrize("form", ["BIGM_BIN", "DCC", "DLOG", "CC", "LOG", "MC", "INC"])
def test_piecewise_functions_with_binaries_are_ordinary_rows(form):
    m = blend()
    m.z = pyo.Var(bounds=(-50, 50))
    m.curve = pyo.Piecewise(m.z, m.x[0], pw_pts=POINTS, pw_repn=form, pw_constr_type="EQ", f_rule=lambda m, x: curve(x))
    m.o.set_value(m.nn.outputs[0] + 2 * m.z)
    assert_solved(m)
    assert m.z.value == pytest.approx(np.interp(m.x[0].value, POINTS, [curve(x) for x in POINTS]), abs=1e-5)


@pytest.mark.parametrize("form", ["SOS2", "BIGM_SOS1"])
def test_piecewise_functions_by_ordered_sets_have_the_same_optimum(form):
    found = {}
    for own in (form, "INC"):
        m = blend()
        m.z = pyo.Var(bounds=(-50, 50))
        m.curve = pyo.Piecewise(
            m.z, m.x[0], pw_pts=POINTS, pw_repn=own, pw_constr_type="EQ", f_rule=lambda m, x: curve(x)
        )
        m.o.set_value(m.nn.outputs[0] + 2 * m.z)
        pyo.assert_optimal_termination(pyo.SolverFactory("relugrad.exact").solve(m, time_limit=60))
        assert m.z.value == pytest.approx(np.interp(m.x[0].value, POINTS, [curve(x) for x in POINTS]), abs=1e-5)
        found[own] = pyo.value(m.o)
    assert found[form] == pytest.approx(found["INC"], rel=2e-4)


@pytest.mark.parametrize(
    "name",
    ["incremental", "disaggregated_logarithmic", "convex_combination", "multiple_choice", "reduced_inner_repn_gdp"],
)
def test_piecewise_linear_functions_are_transformed_beside_the_network(name):
    m = blend()
    m.z = pyo.Var(bounds=(-50, 50))
    m.curve = PiecewiseLinearFunction(points=POINTS, function=curve)
    m.defined = pyo.Constraint(expr=m.z == m.curve(m.x[0]))
    m.o.set_value(m.nn.outputs[0] + 2 * m.z)
    pyo.TransformationFactory(f"contrib.piecewise.{name}").apply_to(m)
    if name.endswith("gdp"):
        pyo.TransformationFactory("gdp.bigm").apply_to(m)
    assert_solved(m)
    assert m.z.value == pytest.approx(np.interp(m.x[0].value, POINTS, [curve(x) for x in POINTS]), abs=1e-5)


def test_complementarities_are_transformed_beside_the_network():
    m = blend()
    m.either = ComplementarityList(rule=(complements(m.x[0] >= 0, m.x[1] >= part) for part in (0.2,)))
    pyo.TransformationFactory("mpec.simple_disjunction").apply_to(m)
    pyo.TransformationFactory("gdp.bigm").apply_to(m)
    assert_solved(m)
    assert min(m.x[0].value, m.x[1].value - 0.2) == pytest.approx(0, abs=1e-5)


def test_named_expressions_ranges_and_skipped_rows():
    m = blend()
    m.sum = pyo.Expression(expr=2 * m.x[0] + m.x[1])
    m.between = pyo.Constraint(expr=(-5, m.sum + m.nn.outputs[0], m.limit))
    m.some = pyo.Constraint([1, 2], rule=lambda m, i: pyo.Constraint.Skip if i == 1 else m.sum >= 0.2)
    m.o.set_value(m.nn.outputs[0] - m.sum)
    assert_solved(m)


DOMAINS = {
    "within": lambda: pyo.Var(within=pyo.NonNegativeIntegers, bounds=(None, 3.5)),
    "positive": lambda: pyo.Var(domain=pyo.PositiveIntegers, bounds=(0, 4)),
    "boolean": lambda: pyo.Var(domain=pyo.Boolean),
    "interval": lambda: pyo.Var(domain=pyo.IntegerInterval(bounds=(-1, 2))),
    "reals": lambda: pyo.Var(domain=pyo.RealInterval(bounds=(0.25, 2))),
    "percent": lambda: pyo.Var(domain=pyo.PercentFraction),
    "consecutive values": lambda: pyo.Var(domain=[1, 2, 3]),
}


@pytest.mark.parametrize("name", DOMAINS)
def test_domains_hold(name):
    m = blend()
    m.v = DOMAINS[name]()
    m.more = ReluNetworkBlock(network=shallow_network(7, 2, 1), inputs=[m.v, m.x[0]])
    m.cap = pyo.Constraint(expr=m.v + m.x[1] <= 3.7)
    m.o.set_value(m.nn.outputs[0] + m.more.outputs[0])
    assert_solved(m)
    assert m.v.value in m.v.domain


# --- rewritten variables ------------------------------------------------------------------------------------------


@given(st.integers(0, 10_000))
@settings(max_examples=15, deadline=None)
def test_any_affine_change_of_variables_keeps_the_optimum(seed):
    """What scaling and substituting transformations do to rows and networks, with factors of both signs."""
    rng = np.random.default_rng(seed)
    m = blend()
    expected = oracle(m)
    m.u = pyo.Var(range(2))
    substitution = {}
    for i, mix in enumerate(rng.permutation(2).tolist()):
        factor, shift = float(rng.choice([-1, 1]) * rng.uniform(0.1, 10)), float(rng.normal())
        substitution[id(m.x[i])] = factor * m.u[mix] + shift
        ends = sorted((bound - shift) / factor for bound in m.x[i].bounds)
        m.u[mix].setlb(ends[0])
        m.u[mix].setub(ends[1])
    for component in m.component_data_objects((pyo.Constraint, pyo.Objective), active=True):
        component.set_value(replace_expressions(component.expr, substitution, remove_named_expressions=True))
    pyo.assert_optimal_termination(pyo.SolverFactory("relugrad.exact").solve(m, time_limit=30))
    assert pyo.value(m.o) == pytest.approx(expected, abs=1e-3)
    assert list(find_infeasible_constraints(m, tol=1e-5)) == []
