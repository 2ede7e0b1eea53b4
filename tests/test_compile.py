"""Pyomo models as Problems: rows, bounds, objective and networks, against the Pyomo expressions themselves."""

import re
from itertools import pairwise

import numpy as np
import pyomo.environ as pyo
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyomo.common.errors import InfeasibleConstraintException
from pyomo.contrib.piecewise import PiecewiseLinearFunction
from pyomo.contrib.solver.common.util import IncompatibleModelError
from pyomo.core.base.range import NumericRange
from pyomo.core.expr import numeric_expr
from pyomo.core.staleflag import StaleFlagManager
from pyomo.gdp import Disjunct, Disjunction
from pyomo.mpec import Complementarity, complements
from pyomo.network import Arc, Port
from scipy import sparse

from pyomo_relugrad.errors import InfeasibleProblemError, ModelError
from pyomo_relugrad.modeling.block import ReluNetworkBlock
from pyomo_relugrad.modeling.compile import CompiledModel, compile_model
from pyomo_relugrad.modeling.embedding import Embedding
from pyomo_relugrad.modeling.errors import IncompatibleModel, InfeasibleModel
from pyomo_relugrad.modeling.solver.solution_loader import PoolLoader
from pyomo_relugrad.network import Network
from pyomo_relugrad.problem import Incumbent, Shape, is_positive_semidefinite
from pyomo_relugrad.problem.presolve import presolve

#: Two inputs, one output.
SMALL = Network.from_layers([[[1.0, -1.0]], [[2.0]]], [[0.5], [1.0]])


def random_network(rng, sizes):
    weights = [rng.normal(size=(b, a)) for a, b in pairwise(sizes)]
    return Network.from_layers(weights, [rng.normal(size=b) for b in sizes[1:]])


def column_names(compiled):
    return [variable.name for variable in compiled.columns]


def load(model, compiled, values):
    """Give the model's variables the values of the columns, as the solver does."""
    PoolLoader(model, compiled, [Incumbent(np.array(values), 0.0, 0.0, 0.0)]).load_vars()


def rows_by_name(compiled):
    """{constraint: ({variable: coefficient}, lower, upper)}."""
    problem, names = compiled.problem, column_names(compiled)
    found = {}
    for row, constraint in enumerate(compiled.constraints):
        part = slice(problem.rows.indptr[row], problem.rows.indptr[row + 1])
        entries = zip(problem.rows.indices[part], problem.rows.data[part], strict=True)
        key = None if constraint is None else constraint.name
        found[key] = ({names[c]: v for c, v in entries}, problem.row_lower[row], problem.row_upper[row])
    return found


def bounds_by_name(compiled):
    return bounds_of(compiled.problem)


def presolved(model):
    """The problem of a model after the presolve."""
    return presolve(compile_model(model).problem).problem


def bounds_of(problem):
    """{variable: (lower, upper)}."""
    return dict(
        zip(problem.column_names, zip(problem.lower.tolist(), problem.upper.tolist(), strict=True), strict=True)
    )


# --- against the Pyomo expressions ------------------------------------------------------------------------------


def random_model(rng):
    """A model with everything that is linear or convex quadratic in it, at a feasible point."""
    m = pyo.ConcreteModel()
    m.x = pyo.Var(range(4), bounds=lambda m, i: (-1 - i, 2) if i else (None, None))
    m.z = pyo.Var(range(2), domain=pyo.Integers, bounds=(-2.5, 3.5))
    m.b = pyo.Var(domain=pyo.Binary)
    m.unused = pyo.Var(bounds=(0, 1))
    m.p = pyo.Param(range(3), initialize=lambda m, i: float(rng.normal()), mutable=True)
    m.e = pyo.Expression(expr=m.x[0] * m.p[0] + 2 * (m.z[0] - m.p[1]))
    m.sub = pyo.Block()
    m.sub.w = pyo.Var()
    m.nn = ReluNetworkBlock(network=random_network(rng, (3, 4, 2)), inputs=[m.x[1], m.x[2], m.z[1]])
    m.chained = ReluNetworkBlock(
        network=random_network(rng, (2, 3, 1)), inputs=[m.nn.outputs[0] - m.b, m.x[3]], scaling={"inputs": (1.0, 2.0)}
    )
    for variable, value in zip([*m.x.values(), m.sub.w], rng.uniform(-1, 2, 5).tolist(), strict=True):
        variable.value = value
    m.z[0].value, m.z[1].value, m.b.value = rng.integers(-2, 4), rng.integers(-2, 4), rng.integers(0, 2)
    m.sub.w.fixed = bool(rng.integers(2))
    propagate(m)
    variables = [*m.x.values(), *m.z.values(), m.b, m.sub.w, m.e, m.nn.outputs[1]]

    def expression():
        chosen = rng.choice(len(variables), size=rng.integers(1, 5), replace=False)
        return sum((float(rng.normal()) * variables[k] for k in chosen), float(rng.normal()))

    def room():
        return float(rng.exponential()) * float(rng.integers(2))

    def gap(first, second):
        return pyo.value(second) - pyo.value(first)

    def less(m, i):
        first, second = expression(), expression()
        return first + gap(first, second) <= second + room()

    def ranged(m, i):
        body = expression()
        return m.p[2] + gap(m.p[2], body) - room(), body, pyo.value(body) + room()

    m.less = pyo.Constraint(range(3), rule=less)
    m.range = pyo.Constraint(range(2), rule=ranged)
    first, second = expression() / 2, m.p[0] * expression()
    m.sub.equal = pyo.Constraint(expr=first + gap(first, second) == second)
    m.single = pyo.Constraint(range(2), rule=lambda m, i: -3 * m.x[i] <= room() - 3 * m.x[i].value)
    m.cap = pyo.Constraint(expr=m.chained.outputs[0] <= m.chained.outputs[0].value + room())
    m.inactive = pyo.Constraint(expr=m.x[0] ** 3 <= -100)
    m.inactive.deactivate()
    m.less[0].deactivate()
    sense = pyo.maximize if rng.integers(2) else pyo.minimize
    curved = (m.x[0] - 2 * m.x[1] + m.sub.w) ** 2 + m.p[0] ** 2 * m.x[2] ** 2
    m.o = pyo.Objective(expr=expression() + m.z[0] + (curved if sense == pyo.minimize else -curved), sense=sense)
    return m


def propagate(m):
    """Give linked inputs and outputs of both blocks their values."""
    for block in (m.nn, m.chained):
        links = block.component("input_links")
        for link in links.values() if links is not None else ():
            variable = block.inputs[link.index()]
            variable.set_value(pyo.value(link.expr.arg(1)), skip_validation=True)
        point = np.array([[variable.value for variable in block.inputs.values()]], float)
        for variable, value in zip(block.outputs.values(), block.scaled_network.value(point)[0], strict=True):
            variable.set_value(float(value), skip_validation=True)


def disturb(m, rng):
    """Change one variable of a feasible point, by little or by much, and perhaps what follows from it."""
    free = [v for v in m.component_data_objects(pyo.Var) if not v.fixed and v is not m.unused]
    variable = free[rng.integers(len(free))]
    step = float(rng.choice([1.0, 0.5, 1e-3]) * rng.choice([-1, 1]))
    variable.set_value(variable.value + step, skip_validation=True)
    if rng.integers(2):
        propagate(m)


def pyomo_violation(m):
    """Largest violation of an active constraint, a bound or a domain of the model, as Pyomo evaluates it."""
    worst = 0.0
    for constraint in m.component_data_objects(pyo.Constraint, active=True):
        worst = max(worst, -constraint.slack())
    for variable in m.component_data_objects(pyo.Var):
        if variable is m.unused or variable.fixed:
            continue
        low, high = variable.bounds
        worst = max(worst, 0 if low is None else low - variable.value, 0 if high is None else variable.value - high)
        if not variable.is_continuous():
            worst = max(worst, abs(variable.value - round(variable.value)))
    return worst


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 10**6))
def test_a_point_is_feasible_in_the_problem_exactly_where_it_is_in_the_model(seed):
    rng = np.random.default_rng(seed)
    m = random_model(rng)
    compiled = compile_model(m)
    problem = compiled.problem
    assert "unused" not in column_names(compiled)
    assert pyomo_violation(m) < 1e-9, "the point that the model was built around"
    reference = {id(variable): variable.value for variable in m.component_data_objects(pyo.Var)}
    for attempt in range(8):
        for variable in m.component_data_objects(pyo.Var):
            variable.set_value(reference[id(variable)], skip_validation=True)
        if attempt:
            disturb(m, rng)
        V = compiled.values()[None, :]
        violation = max(problem.violation(V)[0], problem.network_error(V)[0])
        # Not the same size: bounds that a block derived for its outputs are left out.
        assert (pyomo_violation(m) <= 1e-9) == (violation <= 1e-9)
        assert problem.reported(float(problem.objective(V)[0])) == pytest.approx(pyo.value(m.o), rel=1e-9, abs=1e-9)
        activity = problem.rows @ V[0]
        slack = np.minimum(activity - problem.row_lower, problem.row_upper - activity)
        np.testing.assert_allclose(slack, [constraint.slack() for constraint in compiled.constraints], atol=1e-9)


def test_rows_bounds_and_objective_by_hand():
    m = pyo.ConcreteModel()
    m.x, m.y, m.f = pyo.Var(bounds=(0, 4)), pyo.Var(domain=pyo.NonNegativeReals), pyo.Var(initialize=3.0)
    m.f.fix()
    m.k = pyo.Var(domain=pyo.Integers, bounds=(0.5, 2.5))
    m.p = pyo.Param(initialize=2.0, mutable=True)
    m.a = pyo.Constraint(expr=m.x + m.p * m.y + m.f <= 7)
    m.b = pyo.Constraint(expr=(1, m.x - m.k, 5))
    m.c = pyo.Constraint(expr=2 * m.x + m.y == 1 + m.y + m.k)
    m.d = pyo.Constraint(expr=-2 * m.y >= -10)
    m.o = pyo.Objective(expr=m.x - 3 * m.y + m.f, sense=pyo.maximize)
    compiled = compile_model(m)
    assert rows_by_name(compiled) == {
        "a": ({"x": 1.0, "y": 2.0}, -np.inf, 4.0),
        "b": ({"x": 1.0, "k": -1.0}, 1.0, 5.0),
        "c": ({"x": 2.0, "k": -1.0}, 1.0, 1.0),
        "d": ({"y": -2.0}, -10.0, np.inf),
    }
    assert bounds_by_name(compiled) == {"x": (0, 4), "y": (0, np.inf), "k": (0.5, 2.5)}
    reduced = presolved(m)
    assert bounds_of(reduced) == {"x": (0, 4), "y": (0, 5), "k": (1, 2)}
    assert reduced.row_names == ("a", "b", "c")
    problem = compiled.problem
    assert dict(zip(column_names(compiled), problem.cost, strict=True)) == {"x": -1.0, "y": 3.0, "k": 0.0}
    assert (problem.constant, problem.maximize, problem.quadratic) == (-3.0, True, None)
    assert problem.integers.tolist() == [False, False, True]
    assert (problem.column_names, problem.row_names) == (("x", "y", "k"), ("a", "b", "c", "d"))
    assert compiled.objective is m.o
    m.p.value = 5.0
    assert rows_by_name(compile_model(m))["a"][0] == {"x": 1.0, "y": 5.0}


def test_a_model_without_an_objective_has_no_cost():
    m = pyo.ConcreteModel()
    m.x = pyo.Var(range(2), bounds=(0, 1))
    m.c = pyo.Constraint(expr=m.x[0] + m.x[1] <= 1)
    compiled = compile_model(m)
    assert compiled.objective is None
    assert not compiled.problem.cost.any()
    assert compiled.problem.shape is Shape.POLYTOPE


def test_an_empty_model():
    compiled = compile_model(pyo.ConcreteModel())
    assert (compiled.columns, compiled.constraints, compiled.problem.n_columns) == ((), (), 0)
    assert compiled.values().shape == (0,)


def test_a_block_of_a_model_sees_variables_from_outside():
    m = pyo.ConcreteModel()
    m.x = pyo.Var(range(2), bounds=(0, 1))
    m.sub = pyo.Block()
    m.sub.c = pyo.Constraint(expr=m.x[0] + m.x[1] <= 1)
    m.sub.o = pyo.Objective(expr=m.x[1])
    m.sub.inner = pyo.Block()
    m.sub.inner.r = pyo.Reference(m.x)
    m.outside = pyo.Constraint(expr=m.x[0] == 1)
    compiled = compile_model(m.sub)
    assert set(column_names(compiled)) == {"x[0]", "x[1]"}
    assert list(rows_by_name(compiled)) == ["sub.c"]


def test_deactivated_parts_are_not_there():
    m = pyo.ConcreteModel()
    m.x = pyo.Var(range(3), bounds=(0, 1))
    m.off = pyo.Block()
    m.off.c = pyo.Constraint(expr=m.x[0] ** 2 <= 1)
    m.off.sos = pyo.SOSConstraint(var=m.x, sos=1)
    m.off.deactivate()
    m.first, m.second = pyo.Objective(expr=m.x[0]), pyo.Objective(expr=m.x[1])
    m.first.deactivate()
    m.nn = ReluNetworkBlock(network=SMALL, inputs=[m.x[0], m.x[1]])
    m.nn.deactivate()
    compiled = compile_model(m)
    assert column_names(compiled) == ["x[1]"]
    assert compiled.problem.networks == ()


# --- networks ---------------------------------------------------------------------------------------------------


def test_a_network_over_a_box_stays_a_box():
    m = pyo.ConcreteModel()
    m.nn = ReluNetworkBlock(network=SMALL, input_bounds=(0, 1))
    m.o = pyo.Objective(expr=m.nn.outputs[0])
    compiled = compile_model(m)
    assert m.nn.outputs[0].ub is not None
    assert compiled.problem.shape is Shape.BOX
    assert column_names(compiled) == ["nn.inputs[0]", "nn.inputs[1]", "nn.outputs[0]"]
    assert compiled.problem.networks[0].name == "nn"
    m.narrow = pyo.Constraint(expr=2 * m.nn.inputs[0] <= 1)
    assert presolved(m).shape is Shape.BOX
    assert bounds_of(presolved(m))["nn.inputs[0]"] == (0, 0.5)
    m.nn.outputs[0].setub(1.5)
    assert bounds_of(presolved(m))["nn.outputs[0]"] == (-np.inf, 1.5)
    assert presolved(m).shape is Shape.GENERAL


def test_bounds_that_the_block_set_never_bind_after_the_inputs_were_widened():
    m = pyo.ConcreteModel()
    m.x = pyo.Var(range(2), bounds=(0, 1))
    m.nn = ReluNetworkBlock(network=SMALL, inputs=m.x)
    m.next = ReluNetworkBlock(network=SMALL, inputs=[m.nn.outputs[0], m.x[0]])
    m.x.setub(10)
    problem = compile_model(m).problem
    incumbent = problem.incumbent(np.array([10.0, 0.0, 0.0, 0.0]))
    assert incumbent.is_feasible
    assert m.nn.outputs[0].ub >= incumbent.values[2] == 22.0, "it is brought up to date"


def test_user_bounds_on_outputs_stay_unless_they_follow():
    m = pyo.ConcreteModel()
    m.x = pyo.Var(range(2), bounds=(0, 1))
    m.y = pyo.Var(bounds=(0, 4.5))  # values lie in [1, 4]
    m.nn = ReluNetworkBlock(network=SMALL, inputs=m.x, outputs=[m.y])
    assert bounds_of(presolved(m))["y"] == (-np.inf, np.inf)
    m.y.setub(3.5)
    assert bounds_of(presolved(m))["y"] == (-np.inf, 3.5)
    m.x[0].fix(0.0)
    assert bounds_of(presolved(m))["y"] == (-np.inf, np.inf), "a fixed input narrows the interval"
    m.y.setub(0.5)
    with pytest.raises(
        InfeasibleProblemError, match=r"variable 'y' can have no value by its network: its lower bound is 0\.9"
    ):
        presolved(m)


def test_fixed_inputs_and_outputs_are_points():
    m = pyo.ConcreteModel()
    m.x = pyo.Var(range(2), bounds=(0, 1))
    m.nn = ReluNetworkBlock(network=SMALL, inputs=m.x)
    m.c = pyo.Constraint(expr=m.x[0] + m.x[1] + m.nn.outputs[0] <= 5)
    m.x[0].fix(0.25)
    m.nn.outputs[0].fix(2.5)
    compiled = compile_model(m)
    assert bounds_by_name(compiled) == {"x[0]": (0.25, 0.25), "x[1]": (0, 1), "nn.outputs[0]": (2.5, 2.5)}
    assert list(rows_by_name(compiled)) == ["c"]
    assert presolved(m).n_rows == 0, "the row has one free variable left: it is a bound, and says nothing new"
    load(m, compiled, [9.0, 0.5, 9.0])
    assert (m.x[0].value, m.x[1].value, m.nn.outputs[0].value) == (0.25, 0.5, 2.5)


def test_bounds_of_inputs_are_found_through_rows():
    m = pyo.ConcreteModel()
    m.x = pyo.Var(range(2), bounds=(0, 1))
    m.nn = ReluNetworkBlock(network=SMALL, inputs=[m.x[0] - 2 * m.x[1] + 1, 3.0])
    m.next = ReluNetworkBlock(network=SMALL, inputs=[2 * m.nn.outputs[0], m.x[0]])
    bounds = bounds_of(presolved(m))
    assert bounds["nn.linked_inputs[0]"] == pytest.approx((-1, 2), abs=1e-8)
    assert bounds["nn.linked_inputs[1]"] == (3, 3)
    np.testing.assert_allclose(bounds["next.linked_inputs[0]"], (2, 2))  # 0.5 + x - 3 < 0 everywhere: the output is 1


def test_bounds_found_for_integer_inputs_are_integers():
    m = pyo.ConcreteModel()
    m.x, m.k = pyo.Var(bounds=(0, 1)), pyo.Var(domain=pyo.Integers)
    m.nn = ReluNetworkBlock(network=SMALL, inputs=[m.x, m.k])
    m.c = pyo.Constraint(expr=(-3, 2 * m.k - m.x, 4.5))
    assert bounds_of(presolved(m))["k"] == (-1, 2)


def test_several_blocks_of_one_network_are_one_stage():
    m = pyo.ConcreteModel()
    m.x = pyo.Var(range(5), bounds=(0, 1))
    m.nn = ReluNetworkBlock(
        range(4), network=SMALL, inputs=lambda m, i: [m.x[i], m.x[i + 1]], scaling={"inputs": (0, 2)}
    )
    (stage,) = compile_model(m).problem.stages
    assert stage.inputs.shape == (4, 2)


@pytest.mark.parametrize("seed", range(5))
def test_outputs_written_twice_and_circles_have_the_same_solutions(seed):
    rng = np.random.default_rng(seed)
    m = pyo.ConcreteModel()
    m.x = pyo.Var(range(2), bounds=(-5, 5))
    m.y = pyo.Var(range(2))
    first, second, third = (random_network(rng, sizes) for sizes in ((2, 3, 2), (2, 4, 1), (2, 3, 2)))
    m.a = ReluNetworkBlock(network=first, inputs=m.x, outputs=m.y)
    m.b = ReluNetworkBlock(network=second, inputs=m.x, outputs=[m.y[1]])
    m.c = ReluNetworkBlock(network=third, inputs=m.y, outputs=[m.x[0], m.y[0]])
    compiled = compile_model(m)
    problem = compiled.problem
    assert len(compiled.columns) == problem.n_columns == 4
    assert {variable.name for variable in compiled.columns} == {"x[0]", "x[1]", "y[0]", "y[1]"}
    assert compiled.constraints == ()
    point = {name: float(rng.normal()) for name in ("x[0]", "x[1]", "y[0]", "y[1]")}
    for variable in (*m.x.values(), *m.y.values()):
        variable.set_value(point[variable.name], skip_validation=True)
    V = compiled.values()[None, :]
    x, y = np.array([[point["x[0]"], point["x[1]"]]]), np.array([[point["y[0]"], point["y[1]"]]])
    errors = [first.value(x) - y, second.value(x) - y[:, 1:], third.value(y) - [[x[0, 0], y[0, 0]]]]
    for embedded, error in zip(problem.networks, errors, strict=True):
        np.testing.assert_allclose(embedded.network.value(V[:, embedded.inputs]) - V[:, embedded.outputs], error)
    assert problem.network_error(V)[0] == pytest.approx(max(np.abs(error).max() for error in errors))
    reduced = presolve(problem)
    consistent = reduced.problem.propagate(np.nan_to_num(reduced.reduce(V[0]))[None])
    assert reduced.problem.network_error(consistent)[0] == pytest.approx(0, abs=1e-12)
    assert reduced.problem.row_violations(consistent).max() == pytest.approx(
        problem.network_error(reduced.restore(consistent[0])[None])[0]
    )


def test_embeddings_replace_constraints(monkeypatch):
    m = pyo.ConcreteModel()
    m.x, m.y = pyo.Var(range(2)), pyo.Var(bounds=(0, 3))
    m.exact = pyo.Block([1])
    m.exact[1].z = pyo.Var()
    m.exact[1].c = pyo.Constraint(expr=m.exact[1].z ** 2 <= m.y)
    m.sides = pyo.Constraint(range(2), rule=lambda m, i: m.x[i] ** 3 == 1)
    m.listed = pyo.Constraint(range(2), rule=lambda m, i: (m.x[i] ** 2 if i else m.x[i] + m.y) <= 9)
    m.o = pyo.Objective(expr=m.y)
    embedding = Embedding(
        network=SMALL,
        inputs=[m.x[0], m.x[1]],
        outputs=[m.y],
        name="exact",
        replaced=[m.exact[1].c, *m.sides.values(), m.listed[1]],
        input_lower=np.array([0.0, 0.25]),
        input_upper=np.array([1.0, np.inf]),
    )
    assert len(compile_model(m).problem.row_names) == 5
    monkeypatch.setattr("pyomo_relugrad.modeling.compile.model.read_omlt_blocks", lambda *found: ([embedding], []))
    compiled = compile_model(m)
    assert compiled.problem.row_names == ("listed[0]",)
    assert column_names(compiled) == ["x[0]", "x[1]", "y"]
    assert bounds_by_name(compiled)["x[0]"] == (0, 1)
    assert bounds_by_name(compiled)["x[1]"] == (0.25, np.inf)
    assert compiled.problem.networks[0].name == "exact"


# --- values -----------------------------------------------------------------------------------------------------


def test_values_and_load():
    m = pyo.ConcreteModel()
    m.x = pyo.Var(range(3), bounds=(0, 1))
    m.k = pyo.Var(domain=pyo.Integers)
    m.unused = pyo.Var(initialize=7.0)
    m.c = pyo.Constraint(expr=m.x[0] + m.x[2] + m.k <= 9)
    m.x[0].value = 0.5
    compiled = compile_model(m)
    assert isinstance(compiled, CompiledModel)
    assert column_names(compiled) == ["x[0]", "x[2]", "k"]
    np.testing.assert_array_equal(compiled.values(), [0.5, np.nan, np.nan])
    StaleFlagManager.mark_all_as_stale()
    load(m, compiled, [0.25, 1.0 + 1e-9, 3.0000001])
    assert (m.x[0].value, m.x[2].value, m.k.value, m.unused.value) == (0.25, 1.0 + 1e-9, 3, 7.0)
    assert isinstance(m.x[0].value, float)
    assert [v.stale for v in (m.x[0], m.x[2], m.k, m.unused, m.x[1])] == [False, False, False, True, True]
    m.x[1].value = 0.5
    assert not m.x[1].stale


def zero_times_everything(m):
    """Variables with the coefficient zero, written in many ways, and one that has another coefficient elsewhere."""
    m.p = pyo.Param(initialize=0.0, mutable=True)
    m.v = pyo.Var(range(8), bounds=lambda m, i: (-4.5, -2.5) if i < 2 else (2.5, None) if i < 4 else (-1, 1))
    m.v[1].domain = m.v[3].domain = pyo.Integers
    m.e = pyo.Expression(expr=m.p * m.v[2] + m.x[0])
    m.rows = pyo.ConstraintList()
    m.rows.add(m.p * m.v[0] + m.x[0] <= 5)
    m.rows.add(m.x[1] - 3 >= 2 * (m.p * m.v[1] - m.x[0]) - 9)
    m.rows.add(m.e <= m.x[2] + m.p * (m.v[3] + m.v[7]) + 4)
    m.rows.add(m.p * m.v[4] <= 1)
    m.rows.add(m.x[0] + m.v[7] + 3 * m.p >= -9)
    m.off = pyo.Constraint(expr=m.p * m.v[6] + m.x[0] <= 5)
    m.off.deactivate()
    m.o = pyo.Objective(expr=m.x[0] + m.p * m.v[5] ** 2 + m.p * m.v[5])


def test_variables_with_the_coefficient_zero_get_a_value_where_they_have_none():
    m = model_with(zero_times_everything)
    compiled = compile_model(m)
    assert "v[7]" in column_names(compiled)
    assert sorted(variable.name for variable in compiled.idle) == [f"v[{i}]" for i in range(6)]
    m.v[4].value = 7.0
    load(m, compiled, np.zeros(len(compiled.columns)))
    assert [m.v[i].value for i in range(6)] == [-2.5, -3, 2.5, 3, 7.0, 0]
    assert m.v[6].value is None
    for constraint in m.component_data_objects(pyo.Constraint, active=True):
        assert constraint.slack() > 0, "every row can be evaluated"
    assert pyo.value(m.o) == 0.0
    m.p.value = 1.0
    assert compile_model(m).idle == ()


# --- objectives -------------------------------------------------------------------------------------------------


def test_convexity_is_that_of_the_eigenvalues():
    rng = np.random.default_rng(0)
    for _ in range(200):
        size, rank = rng.integers(1, 12), rng.integers(1, 12)
        factor = rng.normal(size=(size, rank)) * (rng.random((size, rank)) < 0.4)
        matrix = factor @ factor.T
        assert is_positive_semidefinite(sparse.csr_array(matrix))
        shifted = matrix - np.diag(rng.random(size) * 1e-3 * np.abs(matrix).max(initial=0.1))
        expected = np.linalg.eigvalsh(shifted).min() > -1e-9 * np.abs(shifted).max()
        assert is_positive_semidefinite(sparse.csr_array(shifted)) == expected


@pytest.mark.parametrize("factor", [1.0, -1.0, 0.5])
def test_a_product_alone_is_never_convex(factor):
    assert not is_positive_semidefinite(sparse.csr_array([[0.0, factor], [factor, 0.0]]))
    assert not is_positive_semidefinite(sparse.csr_array([[0.0, factor], [factor, 2.0]]))


@pytest.mark.parametrize("indefinite", [False, True])
def test_convexity_of_a_large_sparse_matrix(indefinite):
    size = 5000  # a path: tridiagonal, factorised without ever being dense
    matrix = sparse.diags_array(
        [np.full(size - 1, -1.0), np.full(size, 2.0), np.full(size - 1, -1.0)], offsets=(-1, 0, 1)
    )
    matrix = sparse.csr_array(matrix)
    if indefinite:
        matrix[2500, 2500] = 0.5
    assert is_positive_semidefinite(matrix) is not indefinite


CONVEX = {
    "sum of squares": (lambda m: m.x[0] ** 2 + (m.x[1] - m.x[2]) ** 2, pyo.minimize),
    "concave maximized": (lambda m: -((m.x[0] + m.x[1]) ** 2), pyo.maximize),
    "cancelling": (lambda m: m.x[0] * m.x[1] - m.x[1] * m.x[0] + m.x[2], pyo.minimize),
    "fixed factor": (lambda m: m.f * m.x[0], pyo.minimize),
}
NOT_CONVEX = {
    "product": (lambda m: m.x[0] * m.x[1], pyo.minimize),
    "concave": (lambda m: -(m.x[0] ** 2), pyo.minimize),
    "convex maximized": (lambda m: m.x[0] ** 2 + m.x[1], pyo.maximize),
    "slightly": (lambda m: m.x[0] ** 2 + m.x[1] ** 2 + 2.01 * m.x[0] * m.x[1], pyo.minimize),
}


def model_with_objective(expression, sense):
    m = pyo.ConcreteModel()
    m.x = pyo.Var(range(3), bounds=(-1, 1))
    m.f = pyo.Var(initialize=2.0)
    m.f.fix()
    m.cost = pyo.Objective(expr=expression(m), sense=sense)
    return m


@pytest.mark.parametrize("case", CONVEX)
def test_convex_objectives(case):
    m = model_with_objective(*CONVEX[case])
    compiled = compile_model(m)
    for point in np.random.default_rng(0).normal(size=(5, 3)):
        m.x.set_values(dict(enumerate(point.tolist())), skip_validation=True)
        found = compiled.problem.reported(float(compiled.problem.objective(compiled.values()[None, :])[0]))
        assert found == pytest.approx(pyo.value(m.cost), abs=1e-12)


@pytest.mark.parametrize("case", NOT_CONVEX)
def test_products_of_other_quadratic_objectives_are_smooth_terms(case):
    m = model_with_objective(*NOT_CONVEX[case])
    m.more = pyo.Var(bounds=(-1, 1))
    m.cost.set_value(m.cost.expr + (m.more**2 if m.cost.is_minimizing() else -(m.more**2)))
    compiled = compile_model(m)
    problem = compiled.problem
    assert problem.expressions
    assert problem.quadratic.nnz == 1  # the part of its own is convex
    for point in np.random.default_rng(0).normal(size=(5, 4)):
        for variable, value in zip([*m.x.values(), m.more], point.tolist(), strict=True):
            variable.set_value(value, skip_validation=True)
        found = problem.reported(float(problem.objective(problem.propagate(compiled.values()))[0]))
        assert found == pytest.approx(pyo.value(m.cost), abs=1e-12)


# --- refusals ---------------------------------------------------------------------------------------------------


def add_disjunct(m):
    m.part = Disjunct()
    m.part.c = pyo.Constraint(expr=m.x[0] <= 0.5)


def deactivate_equations(m):
    m.nn = ReluNetworkBlock(network=SMALL, inputs=[m.x[0], m.x[1]])
    m.nn.network_equations.deactivate()


def network_of_a_product(m):
    m.nn = ReluNetworkBlock(network=SMALL, inputs=[m.x[0], m.x[1]])
    call = m.nn.network_equations[0].expr.arg(1)
    m.c = pyo.Constraint(expr=call.create_node_with_local_data((m.x[0] * m.x[1], m.x[2])) <= 3)


def arcs(m):
    m.p, m.q = Port(initialize={"v": m.x[0]}), Port(initialize={"v": m.x[1]})
    m.arc = Arc(source=m.p, destination=m.q)


def add(name, component):
    return lambda m: m.add_component(name, component(m))


def fixed_without_value(m):
    m.x[0].fix(None)
    m.c = pyo.Constraint(expr=m.x[0] + m.x[1] <= 1)


def fixed_network_input_without_value(m):
    m.nn = ReluNetworkBlock(network=SMALL, inputs=[m.x[0], m.x[1]])
    m.x[0].fixed = True


def fixed_network_input_at_nan(m):
    fixed_network_input_without_value(m)
    m.x[0].fix(float("nan"), skip_validation=True)


def domain(values):
    """A variable over these values, in a row and in the model."""

    def change(m):
        m.v = pyo.Var(domain=values)
        m.c = pyo.Constraint(expr=m.v + m.x[0] <= 3)

    return change


SEMICONTINUOUS = pyo.RangeSet(ranges=[NumericRange(0, 0, 0), NumericRange(3, 5, 0)])


def piecewise_function(m):
    m.f = PiecewiseLinearFunction(points=[0, 0.5, 1], function=lambda x: x)
    m.c = pyo.Constraint(expr=m.f(m.x[0]) <= 3)


def missing_parameter(m):
    m.p = pyo.Param(mutable=True)
    m.c = pyo.Constraint(expr=m.p * m.x[0] + m.x[1] <= 3)


def infinite_coefficient(m):
    m.p = pyo.Param(mutable=True, initialize=float("inf"))
    m.c = pyo.Constraint(expr=m.p * m.x[0] + m.x[1] <= 3)


def empty_expression(use):
    def change(m):
        m.e = pyo.Expression([1])
        m.c = pyo.Constraint(expr=use(m.e[1], m) <= 3)

    return change


INCOMPATIBLE = {
    "empty": (empty_expression(lambda e, m: m.x[0] * e), r"'c' holds the expression 'e\[1\]', which is empty"),
    "empty in a maximum": (
        empty_expression(lambda e, m: numeric_expr.MaxExpression((m.x[0], e))),
        r"'c' holds the expression 'e\[1\]', which is empty",
    ),
    "floor": (add("c", lambda m: pyo.Constraint(expr=pyo.floor(m.x[0]) <= 1)), r"constraint 'c' holds 'floor'"),
    "disjunct": (add_disjunct, r"Disjunct 'part' cannot be handled by relugrad: apply .*gdp\.bigm"),
    "disjunction": (
        add("d", lambda m: Disjunction(expr=[[m.x[0] <= 0], [m.x[0] >= 1]])),
        r"Disjunct(ion)? 'd.*' cannot be handled by relugrad: apply TransformationFactory\('gdp\.bigm'\) first",
    ),
    "logical": (
        lambda m: (
            m.add_component("b", pyo.BooleanVar()),
            m.add_component("l", pyo.LogicalConstraint(expr=m.b.lor(m.b))),
        ),
        r"LogicalConstraint 'l' cannot be handled by relugrad: apply .*core\.logical_to_linear",
    ),
    "complementarity": (
        add("k", lambda m: Complementarity(expr=complements(m.x[0] >= 0, m.x[1] >= 0))),
        r"Complementarity 'k' cannot be handled by relugrad: apply .*mpec\.simple_disjunction",
    ),
    "arc": (arcs, r"Arc 'arc' cannot be handled by relugrad: apply .*network\.expand_arcs"),
    "two objectives": (
        lambda m: (m.add_component("o", pyo.Objective(expr=m.x[0])), m.add_component("q", pyo.Objective(expr=m.x[1]))),
        r"several objectives are active: 'o', 'q'; deactivate all but one",
    ),
    "equations off": (deactivate_equations, r"network block 'nn': its network equations were changed or deactivated"),
    "network of a product": (network_of_a_product, r"'c' holds a network as an expression and is not .*relugrad\.omlt"),
    "fixed without value": (fixed_without_value, r"variable 'x\[0\]' in 'c' is fixed but has no value"),
    "fixed at nan": (fixed_network_input_at_nan, r"variable 'x\[0\]' is fixed at nan: fix it at a finite number"),
    "fixed input": (fixed_network_input_without_value, r"variable 'x\[0\]' is fixed but has no value"),
    "domain": (domain(pyo.RangeSet(0, 10, 2)), r"variable 'v' has the domain .* handles intervals .* binary variables"),
    "separate values": (domain([1, 3, 7]), r"variable 'v' has the domain \{1, 3, 7\}: .* with binary variables"),
    "separate reals": (domain([0.5, 2.5]), r"variable 'v' has the domain \{0\.5, 2\.5\}: .* with binary variables"),
    "semicontinuous": (domain(SEMICONTINUOUS), r"variable 'v' has the domain .*0.*3\.\.5.* with binary variables"),
    "anything": (domain(pyo.Any), r"variable 'v' has the domain Any: .* with binary variables"),
    "piecewise": (piecewise_function, r"PiecewiseLinearFunction 'f' .*apply .*contrib\.piecewise"),
    "parameter": (missing_parameter, r"'c' cannot be evaluated: .*\(p\)"),
    "infinite": (infinite_coefficient, r"'c' has a coefficient that is NaN or infinite: give"),
    "ranged": (
        add("c", lambda m: pyo.Constraint(expr=pyo.inequality(m.x[0], m.x[1], m.x[2]))),
        r"'c'.*variable lower bound",
    ),
}


@pytest.mark.parametrize("case", INCOMPATIBLE)
def test_what_cannot_be_handled_is_named(case):
    change, message = INCOMPATIBLE[case]
    m = pyo.ConcreteModel()
    m.x = pyo.Var(range(3), bounds=(0, 1))
    change(m)
    with pytest.raises(IncompatibleModel, match=re.compile(message, re.DOTALL)) as caught:
        compile_model(m)
    assert isinstance(caught.value, IncompatibleModelError)
    assert isinstance(caught.value, ModelError)


def fix_all(m):
    m.x.fix(0.75)
    m.c = pyo.Constraint(expr=m.x[0] + m.x[1] <= 1)


def crossing_bounds(m):
    m.x[1].setlb(2)
    m.c = pyo.Constraint(expr=m.x[0] + m.x[1] <= 5)


def crossing_network_bounds(m):
    m.nn = ReluNetworkBlock(network=SMALL, inputs=[m.x[0], m.x[1]])
    m.x[1].setlb(2)


def no_integer(m):
    m.k = pyo.Var(domain=pyo.Integers, bounds=(0.25, 0.75))
    m.c = pyo.Constraint(expr=m.k + m.x[0] <= 5)


INFEASIBLE = {
    "constant row": (fix_all, r"constraint 'c' cannot hold: 1\.5 <= 1"),
    "crossed sides": (
        add("c", lambda m: pyo.Constraint(expr=pyo.inequality(m.sides[0], m.x[0] + m.x[1], m.sides[1]))),
        r"constraint 'c' cannot hold: 2.0 <= body <= 1.0",
    ),
    "infeasible": (add("c", lambda m: pyo.Constraint(expr=pyo.Constraint.Infeasible)), r"constraint 'c' cannot hold"),
}
WITHOUT_VALUES = {
    "crossed bounds": (
        crossing_bounds,
        r"variable 'x\[1\]' can have no value: its lower bound is 2.0, its upper bound 1.0",
    ),
    "crossed input": (crossing_network_bounds, r"variable 'x\[1\]' can have no value: its lower bound is 2.0"),
    "single rows": (add("c", lambda m: pyo.Constraint(expr=m.x[0] >= 2)), r"variable 'x\[0\]' can have no value"),
    "no integer": (no_integer, r"variable 'k' can have no value: its lower bound is 1.0, its upper bound 0.0"),
}


def model_with(change):
    m = pyo.ConcreteModel()
    m.x = pyo.Var(range(3), bounds=(0, 1))
    m.sides = pyo.Param([0, 1], initialize={0: 2.0, 1: 1.0}, mutable=True)
    change(m)
    return m


@pytest.mark.parametrize("case", INFEASIBLE)
def test_what_cannot_hold_is_named(case):
    change, message = INFEASIBLE[case]
    with pytest.raises(InfeasibleModel, match=message) as caught:
        compile_model(model_with(change))
    assert isinstance(caught.value, InfeasibleConstraintException)


@pytest.mark.parametrize("case", WITHOUT_VALUES)
def test_variables_without_a_value_are_named(case, caplog):
    change, message = WITHOUT_VALUES[case]
    m = model_with(change)
    with pytest.raises(InfeasibleProblemError, match=message):
        presolved(m)
    results = pyo.SolverFactory("relugrad").solve(m, load_solutions=False)
    assert str(results.solver.termination_condition) == "infeasible"
    assert re.search(f"the model is infeasible: {message}", caplog.text)


def test_satisfied_constant_rows_vanish():
    m = pyo.ConcreteModel()
    m.x = pyo.Var(range(2), initialize=0.5)
    m.x.fix()
    m.c = pyo.Constraint(expr=m.x[0] + m.x[1] == 1)
    m.open = pyo.Constraint(expr=pyo.inequality(-float("inf"), m.x[0], float("inf")))
    m.feasible = pyo.Constraint(expr=pyo.Constraint.Feasible)
    assert compile_model(m).constraints == ()


def test_a_bound_set_on_one_side_of_an_output_leaves_the_other_derived():
    """Bounds of the inputs may be changed afterwards: what the block derived from those of before does not stay."""
    m = pyo.ConcreteModel()
    m.x = pyo.Var(bounds=(-1, 1))
    m.nn = ReluNetworkBlock(network=Network.from_layers([[[1.0], [-1.0]], [[2.0, -2.0]]], [[0, 0], [0]]), inputs=[m.x])
    m.nn.outputs[0].setub(1.5)
    m.x.setlb(-5)
    compiled = compile_model(m)
    column = [v is m.nn.outputs[0] for v in compiled.columns].index(True)
    assert (compiled.problem.lower[column], compiled.problem.upper[column]) == (-np.inf, 1.5)
