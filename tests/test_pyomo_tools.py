"""Pyomo's own transformations and reports on models with networks: the right answer, or a refusal that says what to do.

The oracle of an optimum is the expansion of the same model, solved by HiGHS.
"""

import io
import logging
import pickle
import re

import numpy as np
import pyomo.contrib.piecewise  # noqa: F401 - registers its transformations
import pyomo.environ as pyo
import pytest
from pyomo.common.errors import PyomoException
from pyomo.contrib.incidence_analysis import IncidenceGraphInterface
from pyomo.core import TransformationFactory
from pyomo.gdp import Disjunct, Disjunction
from pyomo.util.check_units import assert_units_consistent
from pyomo.util.infeasible import find_infeasible_bounds, find_infeasible_constraints
from pyomo.util.model_size import build_model_size_report
from small_models import shallow_network

from pyomo_relugrad import DataHull
from pyomo_relugrad.errors import ModelError
from pyomo_relugrad.modeling.block import ReluNetworkBlock, ReluNetworkBlockData
from pyomo_relugrad.modeling.block.input_ranges import linked_term
from pyomo_relugrad.modeling.errors import IncompatibleModel, UnexpandedNetworkError

TOLERANCE = 1e-5

#: What `find_infeasible_bounds` says of variables without a value: those that no active row contains.
NO_VALUE = 4


def plant():
    """Networks of variables, expressions and own inputs, between rows, integers, equalities and fixed variables."""
    m = pyo.ConcreteModel()
    m.x = pyo.Var(range(3), bounds=(-1, 2), initialize=0.5)
    m.k = pyo.Var(domain=pyo.Integers, bounds=(0, 3), initialize=1)
    m.z = pyo.Var(bounds=(0, 5), initialize=1)
    m.feed = pyo.Var(bounds=(-4, 4), initialize=0.25)
    m.feed.fix()
    m.same = pyo.Var(bounds=(-4, 4), initialize=0.25)
    m.alias = pyo.Var(bounds=(-1, 2), initialize=0.5)
    m.mixed = ReluNetworkBlock(network=shallow_network(0, 3, 2), inputs=[m.x[0], 0.5 * m.x[1] + 0 * m.z + m.same, m.k])
    m.plain = ReluNetworkBlock(network=shallow_network(1, 3, 2), inputs=[m.alias, m.x[2], m.same])
    scaling = {"inputs": (0.5, 2.0), "outputs": (1.0, 3.0)}
    m.own = ReluNetworkBlock(network=shallow_network(2, 2, 1), input_bounds=(-1, 1), scaling=scaling)
    m.passed_on = pyo.Constraint(expr=m.same == m.feed)
    m.renamed = pyo.Constraint(expr=m.alias == m.x[1])
    m.joined = pyo.Constraint(expr=m.own.inputs[0] == m.x[0] - 0 * m.z)
    m.demand = pyo.Constraint(expr=m.mixed.outputs[0] + m.plain.outputs[1] <= 4)
    m.budget = pyo.Constraint(expr=m.x[0] + m.x[1] + 0 * m.z <= 3)
    m.single = pyo.Constraint(expr=m.x[2] <= 1.5)
    m.range = pyo.Constraint(expr=(-3, m.x[0] - m.x[2] + m.z, 3))
    gain = m.mixed.outputs[1] - m.plain.outputs[0] + m.own.outputs[0]
    m.profit = pyo.Objective(expr=gain - 0.3 * m.k + 0.1 * m.z, sense=pyo.maximize)
    m.scaling_factor = pyo.Suffix(direction=pyo.Suffix.EXPORT)
    m.scaling_factor[m.x[0]] = 10
    m.scaling_factor[m.k] = 1
    m.scaling_factor[m.mixed.outputs[1]] = 0.1
    m.scaling_factor[m.demand] = 3
    return m


def unexpanded(m):
    blocks = m.component_data_objects(pyo.Block, active=True, descend_into=(pyo.Block, Disjunct))
    return [block for block in blocks if isinstance(block, ReluNetworkBlockData)]


def active_objective(m):
    return pyo.value(next(m.component_data_objects(pyo.Objective, active=True)))


def by_highs(m):
    pyo.assert_optimal_termination(pyo.SolverFactory("appsi_highs").solve(m))
    return active_objective(m)


def by_proof(m):
    """The optimum by our proof, which satisfies each constraint and bound of the model by Pyomo's own evaluation."""
    pyo.assert_optimal_termination(pyo.SolverFactory("relugrad.exact").solve(m, time_limit=30))
    assert list(find_infeasible_constraints(m, tol=TOLERANCE)) == []
    beyond = find_infeasible_bounds(m, tol=TOLERANCE)
    assert [variable.name for variable, fault in beyond if not fault & NO_VALUE] == []
    return active_objective(m)


def expanded(m):
    pyo.TransformationFactory("relugrad.omlt").apply_to(m)
    return m


@pytest.fixture(scope="module")
def optimum():
    return by_highs(expanded(plant()))


# --- transformations ----------------------------------------------------------------------------------------------

#: Transformations that need the networks' algebra: they refuse by name, and work after ``relugrad.omlt``.
AFTER_EXPANSION = (
    "contrib.constraints_to_var_bounds",
    "contrib.deactivate_trivial_constraints",
    "contrib.piecewise.nonlinear_to_pwl",
    "contrib.remove_zero_terms",
    "core.tighten_constraints_from_vars",
)

#: Not for a model like this one, with or without networks: another kind of model, other arguments, other solvers.
OTHERS = (
    "contrib.fourier_motzkin_elimination",
    "contrib.induced_linearity",
    "contrib.piecewise.univariate_nonlinear_decomposition",
    "contrib.strip_var_bounds",
    "core.add_slack_variables",
    "core.kkt",
    "core.lp_dual",
    "core.nonnegative_vars",
    "core.radix_linearization",
    "gdp.bilinear",
    "gdp.cuttingplane",
)

#: Transformations that change what the model says: their own tests are below.
MEANING = ("core.fix_integer_vars", "core.fix_discrete", "core.relax_integer_vars")
RELAXING = ("core.relax_discrete", "core.relax_integrality")

TRANSFORMATIONS = sorted(set(TransformationFactory) - {*AFTER_EXPANSION, *OTHERS, *MEANING, *RELAXING, "relugrad.omlt"})


@pytest.mark.parametrize("name", TRANSFORMATIONS)
def test_what_keeps_the_meaning_keeps_the_answer(name, optimum):
    m = plant()
    pyo.TransformationFactory(name).apply_to(m)
    assert by_proof(m) == pytest.approx(optimum, abs=1e-3)


@pytest.mark.parametrize("name", AFTER_EXPANSION)
def test_what_needs_the_algebra_is_told_to_expand_first(name, optimum):
    with pytest.raises(UnexpandedNetworkError, match=r"'mixed' is not expanded .*'relugrad\.omlt'\) first"):
        pyo.TransformationFactory(name).apply_to(plant())
    m = expanded(plant())
    pyo.TransformationFactory(name).apply_to(m)
    assert by_highs(m) == pytest.approx(optimum, abs=1e-3)
    assert by_proof(m) == pytest.approx(optimum, abs=1e-3)


@pytest.mark.parametrize("name", sorted(set(TransformationFactory) - {"relugrad.omlt", "core.kkt"}))
def test_nothing_is_dropped_in_silence(name, optimum):
    """After any transformation of the unexpanded model, each solver gives its optimum or says a name."""
    try:
        m = pyo.TransformationFactory(name).create_using(plant())
    except Exception:
        return
    with pytest.raises((UnexpandedNetworkError, PyomoException)):
        pyo.SolverFactory("appsi_highs").solve(m)


def test_relaxed_integers_come_back():
    m = plant()
    relaxation = pyo.TransformationFactory("core.relax_integer_vars")
    relaxation.apply_to(m)
    relaxed = by_proof(m)
    assert relaxed == pytest.approx(by_highs(expanded(m.clone())), abs=1e-3)
    relaxation.apply_to(m, undo=True)
    assert m.k.domain is pyo.Integers
    assert by_proof(m) <= relaxed + 1e-4 * (1 + abs(relaxed))  # the gap to which both are proven
    assert m.k.value == round(m.k.value)


def test_fixed_integers_are_constants():
    m = plant()
    m.k.set_value(2)
    pyo.TransformationFactory("core.fix_integer_vars").apply_to(m)
    found = by_proof(m)
    assert m.k.value == 2
    assert found == pytest.approx(by_highs(expanded(m)), abs=1e-3)


def test_slack_variables_are_part_of_the_rows():
    m = plant()
    m.demand.set_value(m.mixed.outputs[0] + m.plain.outputs[1] <= -60)
    pyo.TransformationFactory("core.add_slack_variables").apply_to(m, targets=[m.demand, m.mixed.network_equations])
    found = by_proof(m)
    reference = plant()
    reference.demand.set_value(reference.mixed.outputs[0] + reference.plain.outputs[1] <= -60)
    pyo.TransformationFactory("relugrad.omlt").apply_to(reference)
    links = list(reference.mixed.omlt.link_outputs.values())
    pyo.TransformationFactory("core.add_slack_variables").apply_to(reference, targets=[reference.demand, *links])
    assert found == pytest.approx(by_highs(reference), abs=1e-3)
    assert found > 1


@pytest.mark.parametrize("rename", [True, False])
def test_a_scaled_model_has_the_same_optimum_and_hands_it_back(rename, optimum):
    m = plant()
    m.scaling_factor[m.plain.network_equations[0]] = -4.0
    m.scaling_factor[m.mixed.outputs[0]] = -2.0
    scaling = pyo.TransformationFactory("core.scale_model")
    scaled = scaling.create_using(m, rename=rename)
    assert by_proof(scaled) == pytest.approx(optimum, abs=1e-3)
    scaling.propagate_solution(scaled, m)
    assert pyo.value(m.profit) == pytest.approx(optimum, abs=1e-3)
    assert max(block.get_error() for block in (m.mixed, m.plain, m.own)) < 1e-5


@pytest.mark.parametrize("rename", [True, False])
def test_a_scaled_block_says_nothing_wrong(rename):
    m = plant()
    scaled = pyo.TransformationFactory("core.scale_model").create_using(m, rename=rename)
    for ask in (
        lambda block: block.get_error(),
        lambda block: block.refresh_output_bounds(),
        lambda block: block.print_stats(file=io.StringIO()),
        lambda block: pyo.TransformationFactory("relugrad.omlt").apply_to(scaled),
    ):
        with pytest.raises(ModelError, match=r"network block 'mixed'.*'relugrad\.omlt'\) before other transformations"):
            ask(scaled.mixed)
    if rename:
        with pytest.raises(AttributeError, match=r"'own' has no component 'outputs' any more.*core\.scale_model"):
            scaled.own.outputs  # noqa: B018 - the error is what is asked for


@pytest.mark.parametrize("rename", [True, False])
def test_an_expanded_model_can_be_scaled(rename, optimum):
    scaled = pyo.TransformationFactory("core.scale_model").create_using(expanded(plant()), rename=rename)
    assert by_proof(scaled) == pytest.approx(optimum, abs=1e-3)
    assert by_highs(scaled) == pytest.approx(optimum, abs=1e-3)


def test_aggregated_variables_get_their_values(optimum):
    m = plant()
    aggregation = pyo.TransformationFactory("contrib.aggregate_vars")
    aggregation.apply_to(m)
    assert by_proof(m) == pytest.approx(optimum, abs=1e-3)
    aggregation.update_variables(m)
    assert m.alias.value == pytest.approx(m.x[1].value, abs=1e-6)
    inputs = np.array([[m.alias.value, m.x[2].value, m.same.value]])
    expected = shallow_network(1, 3, 2).value(inputs)[0]
    assert [v.value for v in m.plain.outputs.values()] == pytest.approx(expected.tolist(), abs=1e-5)


def test_equations_that_were_taken_away_are_missed():
    m = plant()
    del m.plain.network_equations[1]
    with pytest.raises(IncompatibleModel, match=r"'plain': its network equations were changed or deactivated"):
        pyo.SolverFactory("relugrad").solve(m)
    m = plant()
    m.own.del_component("network_equations")
    with pytest.raises(IncompatibleModel, match=r"'own': its network equations were changed or deactivated"):
        pyo.SolverFactory("relugrad").solve(m)


def test_a_changed_equation_of_an_expression_s_row_bounds_nothing():
    """After the row of an expression is written anew, its second argument is no longer the user's expression."""
    m = plant()
    row = m.mixed.input_links[1]
    row.set_value((row.body, 0.0))
    assert linked_term(m.mixed, 1) is None
    m.mixed.linked_inputs[1].setlb(-5)
    m.mixed.linked_inputs[1].setub(6)
    assert by_highs(expanded(m)) == pytest.approx(by_highs(expanded(plant())), abs=1e-3)


# --- networks in disjuncts ----------------------------------------------------------------------------------------


def processes(expressions=False):
    """One of two processes, each with a surrogate of its own."""
    m = pyo.ConcreteModel()
    m.x = pyo.Var(range(3), bounds=(0, 1))
    m.y = pyo.Var(bounds=(-20, 20))
    m.process = Disjunct([0, 1])
    for number in (0, 1):
        part = m.process[number]
        inputs = [m.x[0], 0.5 * m.x[1] + 0.1 if expressions else m.x[1], m.x[2]]
        part.nn = ReluNetworkBlock(network=shallow_network(number, 3, 1), inputs=inputs)
        part.says = pyo.Constraint(expr=m.y == part.nn.outputs[0])
    m.process[1].limit = pyo.Constraint(expr=m.x[0] + m.x[1] <= 0.7)
    m.choice = Disjunction(expr=[m.process[0], m.process[1]])
    m.profit = pyo.Objective(expr=m.y - 0.1 * m.x[1], sense=pyo.maximize)
    return m


def best_process(expressions):
    """The better of the two models in which one process is chosen."""
    found = []
    for number in (0, 1):
        m = pyo.ConcreteModel()
        m.x = pyo.Var(range(3), bounds=(0, 1))
        inputs = [m.x[0], 0.5 * m.x[1] + 0.1 if expressions else m.x[1], m.x[2]]
        m.nn = ReluNetworkBlock(network=shallow_network(number, 3, 1), inputs=inputs)
        if number == 1:
            m.limit = pyo.Constraint(expr=m.x[0] + m.x[1] <= 0.7)
        m.profit = pyo.Objective(expr=m.nn.outputs[0] - 0.1 * m.x[1], sense=pyo.maximize)
        found.append(by_highs(expanded(m)))
    return max(found)


#: Solves a mixed-integer program for each row.
MANY_SOLVES = "gdp.mbigm"

REFORMULATIONS = {
    "gdp.bigm": {},
    "gdp.hull": {},
    "gdp.mbigm": {"solver": "appsi_highs"},
    "gdp.bound_pretransformation": {},
}


@pytest.mark.parametrize(
    ("name", "expressions"),
    [(name, tied) for name in REFORMULATIONS for tied in (False, True) if name != MANY_SOLVES or tied],
)
def test_networks_in_disjuncts_are_expanded_and_then_reformulated(name, expressions):
    m = expanded(processes(expressions))
    options = {key: pyo.SolverFactory(solver) for key, solver in REFORMULATIONS[name].items()}
    pyo.TransformationFactory(name).apply_to(m, **options)
    if name == "gdp.bound_pretransformation":
        pyo.TransformationFactory("gdp.bigm").apply_to(m)
    best = best_process(expressions)
    assert by_highs(m) == pytest.approx(best, abs=1e-4)
    assert by_proof(m) == pytest.approx(best, abs=1e-3)


@pytest.mark.parametrize("name", ["gdp.bigm", "gdp.hull"])
def test_expanded_disjuncts_with_quadratic_rows_are_reformulated(name):
    m = expanded(processes())
    m.process[0].ball = pyo.Constraint(expr=m.x[0] ** 2 + m.x[1] ** 2 <= 0.5)
    m.process[1].product = pyo.Constraint(expr=m.x[0] * m.x[2] <= 0.3)
    pyo.TransformationFactory(name).apply_to(m)
    found = by_proof(m)
    x = np.stack(np.meshgrid(*3 * [np.linspace(0, 1, 61)]), axis=-1).reshape(-1, 3)
    allowed = (x[:, 0] ** 2 + x[:, 1] ** 2 <= 0.5, (x[:, 0] * x[:, 2] <= 0.3) & (x[:, 0] + x[:, 1] <= 0.7))
    values = [shallow_network(k, 3, 1).value(x)[:, 0] - 0.1 * x[:, 1] for k in (0, 1)]
    on_grid = max(value[may].max() for value, may in zip(values, allowed, strict=True))
    assert on_grid - 1e-4 <= found <= on_grid + 0.02


def test_cuts_between_relaxations_of_expanded_disjuncts_are_found_by_our_solver():
    m = expanded(processes(expressions=True))
    pyo.TransformationFactory("gdp.cuttingplane").apply_to(m, solver="relugrad.exact")
    assert by_proof(m) == pytest.approx(best_process(expressions=True), abs=1e-3)


def test_unexpanded_networks_in_disjuncts_are_read_from_their_big_m_rows():
    m = processes()
    pyo.TransformationFactory("gdp.bigm").apply_to(m)
    with pytest.raises(UnexpandedNetworkError, match=r"'process\[0\]\.nn' is not expanded .*before other transf"):
        pyo.SolverFactory("appsi_highs").solve(m)
    assert by_proof(m) == pytest.approx(best_process(False), abs=1e-3)
    chosen = [number for number in (0, 1) if m.process[number].binary_indicator_var.value > 0.5]
    assert len(chosen) == 1
    assert m.process[chosen[0]].nn.get_error() < 1e-5
    pyo.SolverFactory("relugrad").solve(m, iteration_limit=200)
    assert list(find_infeasible_constraints(m, tol=TOLERANCE)) == []


def test_chosen_disjuncts_are_ordinary_blocks():
    m = processes()
    m.process[0].indicator_var.set_value(False)
    m.process[1].indicator_var.set_value(True)
    pyo.TransformationFactory("gdp.fix_disjuncts").apply_to(m)
    found = by_proof(m)
    assert found == pytest.approx(by_highs(expanded(m)), abs=1e-3)


def test_disjunctions_are_refused_with_both_calls():
    with pytest.raises(IncompatibleModel, match=r"Disjunct.*'gdp\.bigm'\) first.*'relugrad\.omlt'\)"):
        pyo.SolverFactory("relugrad").solve(processes())


def test_reformulations_that_are_not_linear_in_the_inputs_are_refused():
    m = processes()
    with pytest.raises(UnexpandedNetworkError, match=r"'process\[0\]\.nn' is not expanded .*before other transf"):
        pyo.TransformationFactory("gdp.hull").apply_to(m)


def test_indicators_that_multiply_networks_are_read():
    m = processes()
    pyo.TransformationFactory("gdp.binary_multiplication").apply_to(m)
    assert by_proof(m) == pytest.approx(best_process(False), abs=1e-3)


def test_reversing_an_expansion_gives_bounds_back():
    m = processes(expressions=True)
    tied = m.process[0].nn.linked_inputs[1]
    token = pyo.TransformationFactory("relugrad.omlt").apply_to(m)
    assert (tied.lb, tied.ub) == (pytest.approx(0.1), pytest.approx(0.6))
    pyo.TransformationFactory("relugrad.omlt").apply_to(m, reverse=token)
    assert tied.bounds == (None, None)


@pytest.mark.parametrize("expressions", [False, True])
@pytest.mark.parametrize("name", ["gdp.bigm", "core.scale_model"])
def test_bounds_widened_before_a_transformation_are_noticed(name, expressions):
    """The bounds of outputs, on which big-M constants rest, are those of the inputs when the block was built."""

    def model(refresh):
        m = processes(expressions) if name == "gdp.bigm" else pyo.ConcreteModel()
        if name == "core.scale_model":
            m.x = pyo.Var([1, 2, 0], bounds=(0, 1))
            inputs = [m.x[0], 0.5 * m.x[1] + 0.1, m.x[2]] if expressions else m.x
            m.nn = ReluNetworkBlock(network=shallow_network(0, 3, 1), inputs=inputs)
            m.o = pyo.Objective(expr=m.nn.outputs[0])
            m.scaling_factor = pyo.Suffix()
            m.scaling_factor[m.x[1]] = 5.0
        m.x.setub(3)
        for block in unexpanded(m):
            if refresh:
                block.refresh_output_bounds()
            if name == "gdp.bigm" and expressions:
                block.linked_inputs[1].setlb(-5)
                block.linked_inputs[1].setub(5)
        pyo.TransformationFactory(name).apply_to(m)
        return m

    with pytest.raises(IncompatibleModel, match=r"nn': bounds of its inputs were widened .*refresh_output_bounds\(\)"):
        pyo.SolverFactory("relugrad").solve(model(refresh=False))
    by_proof(model(refresh=True))


# --- reports, copies and printing ---------------------------------------------------------------------------------


def test_reports_count_each_variable_once():
    report = build_model_size_report(plant())
    m = plant()
    assert report.activated.variables == len({id(v) for v in m.component_data_objects(pyo.Var)}) - 1  # one is fixed
    assert report.activated.constraints == sum(1 for _ in m.component_data_objects(pyo.Constraint))


def test_incidence_graphs_see_what_a_network_reads():
    m = plant()
    graph = IncidenceGraphInterface(m, include_inequality=False, method="identify_variables")
    assert {v.name for v in graph.get_adjacent_to(m.plain.network_equations[0])} == {
        "plain.outputs[0]",
        "alias",
        "x[2]",
        "same",
    }


@pytest.mark.parametrize("copied", [lambda m: m.clone(), lambda m: pickle.loads(pickle.dumps(m))])
def test_copies_of_transformed_models_are_solved(copied, optimum):
    m = pyo.TransformationFactory("core.scale_model").create_using(plant())
    assert by_proof(copied(m)) == pytest.approx(optimum, abs=1e-3)


def test_models_are_printed():
    m = plant()
    pyo.SolverFactory("relugrad").solve(m, iteration_limit=20)
    stream = io.StringIO()
    m.pprint(ostream=stream)
    m.display(ostream=stream)
    assert "plain.outputs[0] - plain.network(alias, x[2], same)[0]" in stream.getvalue()
    assert m.find_component("plain.inputs[1]") is m.x[2]
    assert m.plain.inputs.name == "plain.inputs"


def test_infeasible_rows_are_logged(caplog):
    m = plant()
    pyo.SolverFactory("relugrad").solve(m, iteration_limit=20)
    m.plain.outputs[1].set_value(99.0, skip_validation=True)
    with caplog.at_level(logging.INFO):
        found = [constraint.name for constraint, _, _ in find_infeasible_constraints(m)]
    assert "plain.network_equations[1]" in found


def test_units_are_checked():
    pytest.importorskip("pint")
    m = pyo.ConcreteModel()
    m.t = pyo.Var(range(2), bounds=(280, 400), units=pyo.units.K)
    m.y = pyo.Var(units=pyo.units.kg)
    m.nn = ReluNetworkBlock(network=shallow_network(3, 2, 1), inputs=m.t, outputs=[m.y])
    m.own = ReluNetworkBlock(network=shallow_network(3, 2, 1), inputs=[m.t[0], 2 * m.t[1]])
    m.c = pyo.Constraint(expr=m.t[0] + m.t[1] <= 700 * pyo.units.K)
    m.o = pyo.Objective(expr=m.y)
    assert_units_consistent(m)
    assert by_proof(m) == pytest.approx(by_highs(expanded(m)), abs=1e-2)
    m.wrong = pyo.Constraint(expr=m.t[0] + m.y <= 1)
    with pytest.raises(Exception, match=re.escape("units")):
        assert_units_consistent(m.wrong)


def heated():
    m = pyo.ConcreteModel()
    m.t = pyo.Var(bounds=(280, 400), units=pyo.units.K)
    m.flow = pyo.Param(initialize=2.0, mutable=True, units=pyo.units.mol / pyo.units.s)
    m.y = pyo.Var(units=pyo.units.kg)
    m.o = pyo.Objective(expr=m.y)
    return m


WITH_UNITS = {
    "parameter": lambda m: ReluNetworkBlock(network=shallow_network(3, 2, 1), inputs=[m.t, m.flow], outputs=[m.y]),
    "conversion": lambda m: ReluNetworkBlock(
        network=shallow_network(3, 2, 1),
        inputs=[m.t, pyo.units.convert(m.flow, to_units=pyo.units.mol / pyo.units.min)],
        outputs=[m.y],
    ),
    "bounds": lambda m: ReluNetworkBlock(
        network=shallow_network(3, 1, 1), inputs=[m.t], outputs=[m.y], input_bounds=[(300 * pyo.units.K, 390)]
    ),
    "scaling": lambda m: ReluNetworkBlock(
        network=shallow_network(3, 1, 1), inputs=[m.t], outputs=[m.y], scaling={"inputs": (300, 50), "outputs": (1, 2)}
    ),
}


@pytest.mark.parametrize("what", WITH_UNITS)
def test_units_fit_before_and_after_the_expansion(what):
    pytest.importorskip("pint")
    m = heated()
    m.nn = WITH_UNITS[what](m)
    assert_units_consistent(m)
    found = by_proof(m)
    expanded(m)
    assert_units_consistent(m)
    assert found == pytest.approx(by_highs(m), abs=1e-2)
    assert what != "bounds" or 300 - TOLERANCE <= m.t.value <= 390 + TOLERANCE


def test_units_of_a_data_hull_fit():
    pytest.importorskip("pint")
    m = heated()
    m.hull = DataHull(inputs=[m.t, m.flow], data=[[290, 1], [300, 3], [310, 1]])
    m.y.fix(0)
    assert_units_consistent(m)


def test_a_boolean_input_is_refused_with_what_to_give():
    m = processes()
    choice = m.process[0].indicator_var
    with pytest.raises(ModelError, match=r"input 1 is the Boolean variable 'process\[0\]\.indicator_var': give the"):
        m.more = ReluNetworkBlock(network=shallow_network(2, 2, 1), inputs=[m.x[0], choice])
    m.del_component("more")
    m.more = ReluNetworkBlock(network=shallow_network(2, 2, 1), inputs=[m.x[0], choice.get_associated_binary()])
    assert m.more.inputs[1] is m.process[0].binary_indicator_var
