"""Every other solver and writer refuses an unexpanded network block; tools that do not solve work as usual."""

import io
import logging
import pickle
import re

import numpy as np
import pyomo.environ as pyo
import pytest
from pyomo.common.errors import PyomoException
from pyomo.contrib.fbbt.fbbt import compute_bounds_on_expr, fbbt
from pyomo.contrib.solver.common.factory import SolverFactory as NewSolverFactory
from pyomo.contrib.solver.common.util import IncompatibleModelError
from pyomo.contrib.solver.solvers.scip import base as scip
from pyomo.core.expr.visitor import identify_variables, polynomial_degree, replace_expressions
from pyomo.gdp import Disjunct, Disjunction
from pyomo.opt import WriterFactory
from pyomo.repn import generate_standard_repn
from pyomo.repn.linear import LinearRepnVisitor
from pyomo.repn.plugins.standard_form import LinearStandardFormCompiler
from pyomo.repn.quadratic import QuadraticRepnVisitor
from pyomo.repn.util import VarRecorder
from pyomo.util.infeasible import log_infeasible_constraints
from pyomo.util.report_scaling import report_scaling

from pyomo_relugrad.errors import ModelError
from pyomo_relugrad.modeling.block import ReluNetworkBlock, unexpanded_blocks
from pyomo_relugrad.modeling.block.guards import GUIDANCE, NetworkOutputExpression
from pyomo_relugrad.modeling.errors import UnexpandedNetworkError
from pyomo_relugrad.network import Network

NETWORK = Network.from_layers([[[1.0, -1.0], [0.5, 2.0]], [[2.0, 1.0], [0.0, 1.0]]], [[0.5, 0.0], [1.0, 0.0]])


def model(n_blocks=1):
    """A model that any LP solver would solve to a wrong optimum if it dropped the networks."""
    m = pyo.ConcreteModel()
    m.x = pyo.Var(range(2), bounds=(0, 1), initialize=0.5)
    m.sub = pyo.Block()
    m.sub.nn = ReluNetworkBlock(network=NETWORK, inputs=m.x)
    if n_blocks > 1:
        m.more = ReluNetworkBlock(range(n_blocks - 1), network=NETWORK, inputs=lambda b, i: b.x)
    m.budget = pyo.Constraint(expr=m.x[0] + m.x[1] <= 1.5)
    m.o = pyo.Objective(expr=m.sub.nn.outputs[0], sense=pyo.maximize)
    return m


SAYS_WHAT_TO_DO = re.escape(GUIDANCE)

SOLVERS = {
    "highs": lambda m: pyo.SolverFactory("highs").solve(m),
    "appsi_highs": lambda m: pyo.SolverFactory("appsi_highs").solve(m),
    "new highs": lambda m: NewSolverFactory("highs").solve(m),
    "persistent appsi_highs": lambda m: pyo.SolverFactory("appsi_highs").set_instance(m),
    "generate_standard_repn": lambda m: generate_standard_repn(m.sub.nn.network_equations[0].body),
    "linear repn": lambda m: LinearRepnVisitor({}, var_recorder=VarRecorder({}, None)).walk_expression(
        m.sub.nn.network_equations[0].body
    ),
    "quadratic repn": lambda m: QuadraticRepnVisitor({}, var_recorder=VarRecorder({}, None)).walk_expression(
        m.sub.nn.network_equations[0].body
    ),
}


@pytest.mark.parametrize("all_fixed", [False, True])
@pytest.mark.parametrize("solver", SOLVERS)
def test_solvers_that_walk_the_constraints_are_told_what_to_do(solver, all_fixed):
    m = model()
    if all_fixed:  # the network is a number then, but solvers would not know which outputs it has
        m.x.fix()
    message = rf"^network block 'sub\.nn' is not expanded into constraints, which this .* needs: {SAYS_WHAT_TO_DO}$"
    with pytest.raises(UnexpandedNetworkError, match=message) as caught:
        SOLVERS[solver](m)
    assert isinstance(caught.value, IncompatibleModelError)
    assert isinstance(caught.value, ModelError)
    assert m.x[0].value == 0.5
    assert m.sub.nn.outputs[0].value is None


@pytest.mark.parametrize("all_fixed", [False, True])
@pytest.mark.parametrize("form", ["lp", "lp_v1", "lp_v2", "nl", "nl_v1", "nl_v2", "mps", "bar", "gams"])
def test_file_writers_refuse_by_name(form, all_fixed, tmp_path):
    m = model()
    if all_fixed:
        m.x.fix()
    with pytest.raises(UnexpandedNetworkError, match=r"'sub\.nn' is not expanded .*" + SAYS_WHAT_TO_DO):
        m.write(str(tmp_path / f"model.{form[:3].strip('_')}"), format=form)


def test_other_compilers_refuse_by_name():
    m = model()
    with pytest.raises(UnexpandedNetworkError, match=r"'sub\.nn' is not expanded .*" + SAYS_WHAT_TO_DO):
        LinearStandardFormCompiler().write(m)
    with pytest.raises(UnexpandedNetworkError, match=r"'sub\.nn' is not expanded .*" + SAYS_WHAT_TO_DO):
        WriterFactory("gams_writer_v2").write(m, io.StringIO())
    with pytest.raises(UnexpandedNetworkError, match=r"'sub\.nn' is not expanded .*" + SAYS_WHAT_TO_DO):
        scip._PyomoToScipVisitor(None).exitNode(m.sub.nn.network_equations[0].expr.arg(1), [0.0, 0.0])


def test_derivatives_are_refused_by_name():
    m = model()
    with pytest.raises(UnexpandedNetworkError, match=r"'sub\.nn' is not expanded .*" + SAYS_WHAT_TO_DO):
        report_scaling(m)


METASOLVERS = {
    "gdpopt.loa": {"mip_solver": "appsi_highs", "nlp_solver": "appsi_highs"},
    "gdpopt.gloa": {"mip_solver": "appsi_highs", "nlp_solver": "appsi_highs"},
    "multistart": {"solver": "appsi_highs"},
}


@pytest.mark.parametrize("solver", METASOLVERS)
def test_metasolvers_refuse_by_name(solver):
    with pytest.raises(UnexpandedNetworkError, match=r"'sub\.nn' is not expanded .*" + SAYS_WHAT_TO_DO):
        pyo.SolverFactory(solver).solve(model(), **METASOLVERS[solver])


def test_the_first_of_several_blocks_is_named(tmp_path):
    m = model(n_blocks=3)
    m.sub.nn.deactivate()
    with pytest.raises(UnexpandedNetworkError, match=r"network block 'more\[0\]' is not expanded"):
        pyo.SolverFactory("appsi_highs").solve(m)
    with pytest.raises(UnexpandedNetworkError, match=r"network block 'more\[0\]' is not expanded"):
        m.write(str(tmp_path / "model.lp"), format="lp")


def test_disjunctions_elsewhere_transform_and_the_result_is_still_refused(tmp_path):
    m = model()
    m.d = Disjunction(expr=[[m.x[0] <= 0.2], [m.x[0] >= 0.8]])
    pyo.TransformationFactory("gdp.bigm").apply_to(m)
    with pytest.raises(UnexpandedNetworkError):
        pyo.SolverFactory("appsi_highs").solve(m)
    with pytest.raises(UnexpandedNetworkError):
        m.write(str(tmp_path / "model.lp"), format="lp")


@pytest.mark.parametrize("transformation", ["gdp.bigm", "gdp.hull"])
def test_a_network_inside_a_disjunct_is_never_silently_dropped(transformation):
    m = pyo.ConcreteModel()
    m.x = pyo.Var(range(2), bounds=(0, 1))
    m.on, m.off = Disjunct(), Disjunct()
    m.on.nn = ReluNetworkBlock(network=NETWORK, inputs=m.x)
    m.off.c = pyo.Constraint(expr=m.x[0] == 0)
    m.d = Disjunction(expr=[m.on, m.off])
    m.o = pyo.Objective(expr=m.on.nn.outputs[0] if transformation == "gdp.bigm" else m.x[0], sense=pyo.maximize)
    with pytest.raises((PyomoException, ValueError)):  # noqa: PT012 - either step may refuse
        pyo.TransformationFactory(transformation).apply_to(m)
        pyo.SolverFactory("appsi_highs").solve(m)


# --- deactivation and expansion ---------------------------------------------------------------------------------


def test_a_deactivated_block_drops_out_and_its_outputs_are_ordinary_variables(tmp_path):
    m = model(n_blocks=2)
    m.sub.nn.deactivate()
    m.more.deactivate()
    assert list(unexpanded_blocks(m)) == []
    results = pyo.SolverFactory("appsi_highs").solve(m)
    assert pyo.check_optimal_termination(results)
    assert m.sub.nn.outputs[0].value == pytest.approx(m.sub.nn.outputs[0].ub)
    m.sub.nn.activate()
    assert [block.name for block in unexpanded_blocks(m)] == ["sub.nn"]
    m.sub.deactivate()
    assert list(unexpanded_blocks(m)) == []
    assert [block.name for block in unexpanded_blocks(m.sub.nn)] == ["sub.nn"]


def test_expansion_switches_the_equations_off(tmp_path):
    m = model()
    block = m.sub.nn
    assert block.expansion is None
    assert not block.is_expanded
    block.exact = pyo.Block()
    block.exact.c = pyo.Constraint(expr=block.outputs[0] == 3)
    block.set_expansion(block.exact)
    assert block.is_expanded
    assert block.expansion is block.exact
    assert list(unexpanded_blocks(m)) == []
    pyo.SolverFactory("appsi_highs").solve(m)
    assert block.outputs[0].value == pytest.approx(3)
    for form in ("lp", "lp_v1", "nl", "nl_v1", "mps", "bar", "gams"):
        m.write(str(tmp_path / f"model.{form[:3].strip('_')}"), format=form)
    copy = pickle.loads(pickle.dumps(m.clone()))
    assert copy.sub.nn.expansion is copy.sub.nn.exact
    block.set_expansion(None)
    block.del_component(block.exact)
    assert not block.is_expanded
    assert copy.sub.nn.is_expanded
    with pytest.raises(UnexpandedNetworkError):
        pyo.SolverFactory("highs").solve(m)


def test_an_expansion_must_be_a_component_of_the_block():
    m = model()
    m.elsewhere = pyo.Block()
    with pytest.raises(ModelError, match=r"the expansion of network block 'sub\.nn' must be one of its components"):
        m.sub.nn.set_expansion(m.elsewhere)


# --- tools that do not solve ------------------------------------------------------------------------------------


def test_equations_evaluate_to_the_network():
    m = model()
    rng = np.random.default_rng(0)
    for point in rng.uniform(-2, 2, size=(20, 2)):
        m.x.set_values(dict(enumerate(point.tolist())), skip_validation=True)
        expected = NETWORK.value(point[None, :])[0]
        for j, equation in m.sub.nn.network_equations.items():
            m.sub.nn.outputs[j].set_value(float(expected[j]) + 0.25, skip_validation=True)
            assert pyo.value(equation.body) - equation.lb == pytest.approx(0.25, abs=1e-12)
            assert pyo.value(equation.expr.arg(1)) == expected[j]


def test_infeasible_equations_are_logged(caplog):
    m = model()
    m.sub.nn.outputs[0].set_value(0.0, skip_validation=True)
    m.sub.nn.outputs[1].value = NETWORK.value([[0.5, 0.5]])[0, 1]
    with caplog.at_level(logging.INFO):
        log_infeasible_constraints(m, logger=logging.getLogger("here"))
    assert re.search(r"CONSTR sub\.nn\.network_equations\[0\]: ", caplog.text)
    assert "network_equations[1]" not in caplog.text


def test_printing():
    m = model()
    m.sub.nn.outputs.setub(None)
    m.sub.nn.outputs[0].value = m.sub.nn.outputs[1].value = 1.0
    stream = io.StringIO()
    m.pprint(ostream=stream)
    m.display(ostream=stream)
    assert "sub.nn.outputs[0] - sub.nn.network(x[0], x[1])[0]" in stream.getvalue()


def test_long_argument_lists_are_shortened():
    network = Network.from_layers([np.ones((1, 9))], [np.zeros(1)])
    m = pyo.ConcreteModel()
    m.nn = ReluNetworkBlock(network=network)
    inputs = ", ".join(f"nn.inputs[{i}]" for i in range(5))
    assert str(m.nn.network_equations[0].expr.arg(1)) == f"nn.network({inputs}, ..., nn.inputs[8])[0]"


def test_bounds_propagation_knows_interval_bounds(caplog):
    m = model()
    output, value = m.sub.nn.outputs[0], m.sub.nn.network_equations[0].expr.arg(1)
    assert compute_bounds_on_expr(value) == output.bounds
    fbbt(m)
    assert not caplog.records
    assert m.x[0].bounds == (0, 1)
    assert output.bounds == compute_bounds_on_expr(value)
    m.x[1].setub(0.25)
    low, high = compute_bounds_on_expr(2 * value + m.x[0])
    assert low >= 2.0
    assert high < 2 * output.ub
    m.x[0].setub(None)
    assert compute_bounds_on_expr(value)[1] is None


def test_walkers_of_expressions():
    m = model()
    value = m.sub.nn.network_equations[0].expr.arg(1)
    assert isinstance(value, NetworkOutputExpression)
    assert [variable.name for variable in identify_variables(value)] == ["x[0]", "x[1]"]
    assert polynomial_degree(value) is None
    m.y = pyo.Var(initialize=0.25)
    replaced = replace_expressions(value, {id(m.x[0]): m.y + 1})
    assert pyo.value(replaced) == NETWORK.value([[1.25, 0.5]])[0, 0]
    assert pyo.value(value) == NETWORK.value([[0.5, 0.5]])[0, 0]
    m.x.fix()
    assert value.is_fixed()
    assert value.clone().block is m.sub.nn


def test_copies_have_equations_of_their_own():
    m = model(n_blocks=3)
    for copy in (m.clone(), pickle.loads(pickle.dumps(m))):
        for block in unexpanded_blocks(copy):
            assert block.model() is copy
            value = block.network_equations[1].expr.arg(1)
            assert value.block is block
            assert value.arg(0) is copy.x[0]
        copy.name = "copy"
        with pytest.raises(UnexpandedNetworkError):
            pyo.SolverFactory("appsi_highs").solve(copy)
