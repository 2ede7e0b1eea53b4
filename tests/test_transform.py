"""relugrad.omlt: network blocks expanded into OMLT's formulations, checked against the network and with HiGHS."""

import io
import itertools
import pickle
import re

import numpy as np
import pyomo.environ as pyo
import pytest
from highs_start import highs_log, start_value
from hypothesis import given, settings
from hypothesis import strategies as st
from omlt import OmltBlock
from omlt.neuralnet import NetworkDefinition, ReluBigMFormulation, ReluPartitionFormulation
from omlt_edits import add_in_a_row, dense_layers
from pyomo.common.errors import MouseTrap
from pyomo.core.expr import identify_variables
from pyomo.gdp import Disjunct, Disjunction
from pyomo.util.infeasible import find_infeasible_constraints
from scipy import sparse

from pyomo_relugrad import ReluNetworkBlock
from pyomo_relugrad.errors import ModelError
from pyomo_relugrad.modeling.omlt.transform import MAX_TIGHTENING_SECONDS
from pyomo_relugrad.network import Layer, Network, crown_bounds, interval_bounds

MILP = ("bigm", "partition", "full-space")
FORMULATIONS = (*MILP, "complementarity", "reduced-space")


def random_network(seed=0, widths=(3, 6, 5, 2)):
    rng = np.random.default_rng(seed)
    weights = [rng.normal(size=(b, a)) / np.sqrt(a) for a, b in itertools.pairwise(widths)]
    return Network.from_layers(weights, [rng.normal(size=width) * 0.3 for width in widths[1:]])


def residual_network(seed=0):
    """Sparse weights, skips, a constant layer, and a layer that nothing reads."""
    rng = np.random.default_rng(seed)
    shape = {0: 3, 1: 6, 2: 5, 3: 2, 4: 4}

    def layer(number, *sources):
        dense = [rng.normal(size=(shape[number], shape[source])) for source in sources]
        weights = [
            sparse.csr_array(np.where(abs(w) > 0.5, w, 0)) if i % 2 == 0 else w * (abs(w) > 0.3)
            for i, w in enumerate(dense)
        ]
        return Layer(sources, tuple(weights), rng.normal(size=shape[number]))

    shape[5] = 2
    return Network(3, (layer(1, 0), layer(2, 0, 1), layer(3), layer(4, 1), layer(5, 0, 2, 3)))


NETWORKS = {"chain": random_network(), "residual": residual_network()}


def model_around(network, start=None, inputs=None):
    m = pyo.ConcreteModel()
    m.x = pyo.Var(range(network.n_inputs), bounds=(-1, 2))
    if start is not None:
        for variable, value in zip(m.x.values(), start, strict=True):
            variable.set_value(value, skip_validation=True)
    m.nn = ReluNetworkBlock(network=network, inputs=m.x if inputs is None else inputs(m))
    m.limit = pyo.Constraint(expr=pyo.quicksum(m.x.values()) <= 2)
    m.o = pyo.Objective(expr=m.nn.outputs[0] - 0.5 * m.nn.outputs[1], sense=pyo.maximize)
    return m


def expand(model, **options):
    return pyo.TransformationFactory("relugrad.omlt").apply_to(model, **options)


def violated(model, tolerance=1e-9):
    return [c.name for c, *_ in find_infeasible_constraints(model, tol=tolerance)]


def best_on_grid(model, network):
    """The best objective on a grid over the box, by the network alone."""
    axis = np.linspace(-1, 2, 25)
    points = np.stack(np.meshgrid(*[axis] * network.n_inputs), -1).reshape(-1, network.n_inputs)
    points = points[points.sum(axis=1) <= 2]
    return float((network.value(points) @ [1, -0.5]).max())


@pytest.mark.parametrize("formulation", FORMULATIONS)
@pytest.mark.parametrize("name", NETWORKS)
def test_every_variable_is_valued_and_every_constraint_holds(name, formulation):
    network = NETWORKS[name]
    for seed in range(5):
        point = np.random.default_rng(seed).uniform(-1, 2, network.n_inputs)
        m = model_around(network, point)
        expand(m, formulation=formulation)
        assert all(variable.value is not None for variable in m.component_data_objects(pyo.Var))
        assert [m.nn.outputs[j].value for j in range(2)] == pytest.approx(network.value([point])[0], abs=1e-12)
        assert violated(m.nn) == []


def any_network(rng):
    """Random widths, sources, sparsity, zero rows and biases that put pre-activations on kinks and far from them."""
    widths = [int(rng.integers(1, 5)) for _ in range(rng.integers(2, 6))]
    layers = []
    for number, width in enumerate(widths[1:], start=1):
        sources = tuple(s for s in range(number) if rng.random() < 0.6) if number < len(widths) - 1 else (number - 1,)
        weights = []
        for source in sources:
            weight = np.round(rng.normal(size=(width, widths[source])), int(rng.integers(0, 4)))
            weight[rng.random(weight.shape) < rng.choice([0.0, 0.5, 0.95])] = 0
            weights.append(sparse.csr_array(weight) if rng.random() < 0.5 else weight)
        layers.append(Layer(sources, tuple(weights), rng.choice([0.0, 0.1, 3.0]) * rng.normal(size=width)))
    return Network(widths[0], tuple(layers))


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32 - 1), st.sampled_from(FORMULATIONS), st.sampled_from(["interval", "crown", "lp"]))
def test_any_network_at_any_point_of_its_box_satisfies_its_expansion(seed, formulation, bounds):
    rng = np.random.default_rng(seed)
    network = any_network(rng)
    lower = rng.choice([-1.0, 0.0, 5.0], network.n_inputs)
    upper = lower + rng.choice([0.0, 1.0, 30.0], network.n_inputs)
    corner = rng.choice([0.0, 1.0], network.n_inputs)
    point = lower + (upper - lower) * (corner if rng.random() < 0.5 else rng.random(network.n_inputs))
    m = pyo.ConcreteModel()
    m.x = pyo.Var(range(network.n_inputs), initialize=dict(enumerate(point.tolist())))
    m.nn = ReluNetworkBlock(network=network, inputs=m.x, input_bounds=list(zip(lower, upper, strict=True)))
    expand(m, formulation=formulation, bounds=bounds)
    outputs = [variable.value for variable in m.nn.outputs.values()]
    assert outputs == pytest.approx(network.value([point])[0], rel=1e-12, abs=1e-12)
    scale = 1 + max(abs(v.value) for v in m.component_data_objects(pyo.Var))
    assert violated(m, 1e-9 * scale**2) == []
    for variable in m.component_data_objects(pyo.Var):
        low, high = variable.bounds
        assert low is None or variable.value >= low - 1e-9 * scale
        assert high is None or variable.value <= high + 1e-9 * scale


@pytest.mark.parametrize("formulation", MILP)
@pytest.mark.parametrize("name", NETWORKS)
def test_highs_takes_the_start_and_finds_what_the_network_gives(name, formulation):
    network = NETWORKS[name]
    m = model_around(network, [0.3, -0.2, 0.4])
    start = pyo.value(network.value([[0.3, -0.2, 0.4]])[0] @ [1, -0.5])
    expand(m, formulation=formulation)
    assert start_value(highs_log(m)) == pytest.approx(start, abs=1e-6)
    assert m.nn.get_error() < 1e-5
    assert pyo.value(m.o) >= best_on_grid(m, network) - 1e-6


@pytest.mark.parametrize("name", NETWORKS)
def test_formulations_agree_on_the_optimum(name):
    optima = []
    for formulation in MILP:
        m = model_around(NETWORKS[name])
        expand(m, formulation=formulation)
        pyo.assert_optimal_termination(pyo.SolverFactory("appsi_highs").solve(m))
        optima.append(pyo.value(m.o))
    assert optima == pytest.approx([optima[0]] * len(MILP), abs=1e-5)


@pytest.mark.parametrize(
    ("formulation", "stock"), [("bigm", ReluBigMFormulation), ("partition", ReluPartitionFormulation)]
)
def test_linear_relaxations_are_those_of_omlt_or_tighter(formulation, stock):
    """Equal for big-M; the partition gets the bounds of the pre-activations on top."""
    for seed in range(3):
        network = random_network(seed)
        m = model_around(network)
        expand(m, formulation=formulation)
        definition = NetworkDefinition(scaled_input_bounds=dict.fromkeys(range(3), (-1, 2)))
        add_in_a_row(definition, dense_layers(network))
        other = pyo.ConcreteModel()
        other.nn = OmltBlock()
        other.nn.build_formulation(stock(definition))
        other.limit = pyo.Constraint(expr=pyo.quicksum(other.nn.inputs.values()) <= 2)
        other.o = pyo.Objective(expr=other.nn.outputs[0] - 0.5 * other.nn.outputs[1], sense=pyo.maximize)
        values = []
        for model in (m, other):
            for binary in model.component_data_objects(pyo.Var):
                if binary.is_binary() and not binary.fixed:
                    binary.domain = pyo.UnitInterval
            pyo.assert_optimal_termination(pyo.SolverFactory("appsi_highs").solve(model))
            values.append(pyo.value(model.o))
        if formulation == "bigm":
            assert values[0] == pytest.approx(values[1], abs=1e-6)
        else:
            assert values[0] <= values[1] + 1e-6


def test_bounds_away_from_zero_raise_no_warnings(caplog):
    m = model_around(NETWORKS["chain"])
    m.x.setlb(1)
    expand(m)
    assert m.nn.omlt.scaled_inputs[0].bounds == (1, 2)
    assert m.nn.omlt.layer[0].z[0].bounds == (1, 2)
    assert caplog.text == ""


def test_an_unvalued_input_leaves_everything_unvalued():
    m = model_around(NETWORKS["chain"])
    m.x[0] = 1.0
    expand(m)
    assert {v.name for v in m.component_data_objects(pyo.Var) if v.value is not None and not v.fixed} == {"x[0]"}


def test_names_follow_omlt_and_do_not_change_between_runs(tmp_path):
    texts = []
    for run in range(2):
        m = model_around(NETWORKS["residual"], [0, 0, 0])
        expand(m)
        m.write(str(tmp_path / f"{run}.lp"), io_options={"symbolic_solver_labels": True})
        texts.append((tmp_path / f"{run}.lp").read_text())
    assert texts[0] == texts[1]
    assert not re.search(r"\d{7,}", re.sub(r"\S*[eE.]\S*", "", texts[0]))
    child = m.nn.omlt
    assert child is m.nn.expansion
    assert [len(c) for c in (child.inputs, child.scaled_inputs, child.outputs, child.scaled_outputs)] == [3, 3, 2, 2]
    assert [len(child.layer[k].z) for k in child.layers] == [3, 6, 5, 2, 4, 2]
    assert [len(child.layer[k].q_relu) for k in (1, 2, 3, 4)] == [6, 5, 2, 4]


@pytest.mark.parametrize(
    ("formulation", "suffix"), [*itertools.product(MILP, ["lp", "mps"]), *itertools.product(FORMULATIONS, ["nl"])]
)
def test_files_can_be_written(formulation, suffix, tmp_path):
    m = model_around(NETWORKS["residual"], [0.3, -0.2, 0.4])
    expand(m, formulation=formulation)
    m.write(str(tmp_path / f"model.{suffix}"))
    assert (tmp_path / f"model.{suffix}").stat().st_size > 1000


def test_zero_weights_make_no_terms():
    network = NETWORKS["residual"]
    m = model_around(network)
    expand(m)
    for k, layer in enumerate(network.layers, start=1):
        stored = sum(w.count_nonzero() if sparse.issparse(w) else np.count_nonzero(w) for w in layer.weights)
        rows = m.nn.omlt.layer[k].affine_layer.values()
        assert sum(len(list(identify_variables(row.body))) - 1 for row in rows) == stored


@pytest.mark.parametrize("formulation", MILP)
@pytest.mark.parametrize("name", NETWORKS)
def test_each_kind_of_bounds_is_within_the_one_before_and_cuts_nothing_off(name, formulation):
    ranges, optima = [], []
    for bounds in ("interval", "crown", "lp"):
        m = model_around(NETWORKS[name], [0.3, -0.2, 0.4])
        expand(m, formulation=formulation, bounds=bounds)
        assert violated(m.nn) == []
        layers = [m.nn.omlt.layer[k].zhat for k in (1, 2)] + [m.nn.omlt.outputs]
        ranges.append(np.array([variable.bounds for layer in layers for variable in layer.values()]))
        pyo.assert_optimal_termination(pyo.SolverFactory("appsi_highs").solve(m))
        optima.append(pyo.value(m.o))
    for looser, tighter in itertools.pairwise(ranges):
        assert (tighter[:, 0] >= looser[:, 0]).all()
        assert (tighter[:, 1] <= looser[:, 1]).all()
        assert np.diff(tighter).sum() < 0.99 * np.diff(looser).sum()
    assert optima == pytest.approx([optima[0]] * 3, abs=1e-5)


def test_linear_programs_for_bounds_share_their_time(monkeypatch):
    """Blocks without time for linear programs get the bounds of CROWN."""
    m = pyo.ConcreteModel()
    m.x = pyo.Var(range(3), bounds=(-1, 2))
    m.nn = ReluNetworkBlock(range(3), network=NETWORKS["chain"], inputs=m.x)
    clock = itertools.count(0.0, MAX_TIGHTENING_SECONDS)  # a look at it takes all the time
    monkeypatch.setattr("pyomo_relugrad.modeling.omlt.transform.time.perf_counter", lambda: next(clock))
    expand(m, bounds="lp")
    crown = crown_bounds(NETWORKS["chain"], [[-1.0] * 3], [[2.0] * 3])
    for block in m.nn.values():
        assert [v.lb for v in block.omlt.layer[2].zhat.values()] == crown.lower[1][0].tolist()


def test_linear_programs_are_left_out_where_pre_activations_have_no_bounds():
    m = model_around(NETWORKS["chain"], [0.3, -0.2, 0.4])
    m.x[1].setub(None)
    expand(m, formulation="complementarity", bounds="lp")
    assert violated(m.nn) == []
    assert None in [v.ub for v in m.nn.omlt.layer[1].zhat.values()]


def test_bounds_hold_and_stable_binaries_are_fixed():
    network = Network.from_layers([[[1.0], [-1.0], [1.0]], [[1.0, 1.0, 1.0]]], [[3.0, -3.0, 0.0], [0.0]])
    m = pyo.ConcreteModel()
    m.x = pyo.Var(bounds=(-1, 2))
    m.nn = ReluNetworkBlock(network=network, inputs=[m.x])
    for formulation, name, active in (("bigm", "q_relu", 1), ("partition", "sig", 0)):
        token = expand(m, formulation=formulation)
        layer = m.nn.omlt.layer[1]
        binaries = layer.component(name)
        assert [binary.fixed for binary in binaries.values()] == [True, True, False]
        assert [binaries[0].value, binaries[1].value] == [active, 1 - active]
        expected = interval_bounds(network, [[-1.0]], [[2.0]])
        assert [v.lb for v in layer.zhat.values()] == expected.lower[0][0].tolist()
        assert [v.ub for v in layer.zhat.values()] == expected.upper[0][0].tolist()
        expand(m, reverse=token)


def test_slacks_of_complementarity_conditions_are_bounded():
    network = Network.from_layers([[[1.0], [-1.0]], [[1.0, 1.0]]], [[3.0, 0.5], [0.0]])
    m = pyo.ConcreteModel()
    m.x = pyo.Var(bounds=(-1, 2))
    m.nn = ReluNetworkBlock(network=network, inputs=[m.x])
    expand(m, formulation="complementarity")
    conditions = m.nn.omlt.layer[1]._complementarity
    assert [condition.v.bounds for condition in conditions.values()] == [(0, 0), pytest.approx((0, 1.5))]


def test_reverse_restores_the_model():
    m = model_around(NETWORKS["chain"], [0.3, -0.2, 0.4])
    before = snapshot(m)
    for formulation in FORMULATIONS:
        token = expand(m, formulation=formulation)
        assert m.nn.is_expanded
        assert expand(m, reverse=token) is None
        assert snapshot(m) == before
        assert not m.nn.is_expanded


def snapshot(model):
    text = io.StringIO()
    model.pprint(ostream=text)
    state = [(c.name, id(c)) for c in model.component_objects()]
    values = {v.name: v.bounds for v in model.component_data_objects(pyo.Var)}
    return re.sub(r"Value.*", "", text.getvalue()).count("\n"), state, values, model.nn.network_equations.active


def test_reverse_wants_the_token_of_this_model():
    m = model_around(NETWORKS["chain"], [0, 0, 0])
    token = expand(m)
    with pytest.raises(MouseTrap, match="clones"):
        expand(m.clone(), reverse=token)


def test_reverse_twice_is_an_error():
    m = model_around(NETWORKS["chain"], [0, 0, 0])
    token = expand(m)
    expand(m, reverse=token)
    with pytest.raises(ModelError, match="'nn' is not expanded"):
        expand(m, reverse=token)


def test_create_using_leaves_the_model_alone():
    m = model_around(NETWORKS["chain"], [0.3, -0.2, 0.4])
    copy = pyo.TransformationFactory("relugrad.omlt").create_using(m)
    assert copy.nn.is_expanded
    assert not m.nn.is_expanded
    assert copy.nn.network is m.nn.network
    assert "MIP start solution is feasible" in highs_log(copy)


@pytest.mark.parametrize("formulation", FORMULATIONS)
@pytest.mark.parametrize("copy", [lambda m: m.clone(), lambda m: pickle.loads(pickle.dumps(m))])
def test_an_expanded_model_can_be_cloned_and_pickled(copy, formulation):
    m = model_around(NETWORKS["residual"], [0.3, -0.2, 0.4])
    expand(m, formulation=formulation)
    other = copy(m)
    assert other.nn.is_expanded
    assert other.nn.expansion.model() is other
    assert violated(other) == []
    assert {v.model() for c in other.component_data_objects(pyo.Constraint) for v in identify_variables(c.body)} == {
        other
    }


def test_targets_choose_blocks():
    m = pyo.ConcreteModel()
    m.x = pyo.Var(range(3), bounds=(0, 1))
    m.nn = ReluNetworkBlock(["a", "b"], network=NETWORKS["chain"], inputs=m.x)
    m.sub = pyo.Block()
    m.sub.nn = ReluNetworkBlock(network=NETWORKS["chain"])
    m.sub.nn.inputs.setlb(0)
    m.sub.nn.inputs.setub(1)
    token = expand(m, targets=m.nn["b"])
    assert [m.nn["a"].is_expanded, m.nn["b"].is_expanded, m.sub.nn.is_expanded] == [False, True, False]
    expand(m, targets=[m.sub])
    assert [m.nn["a"].is_expanded, m.sub.nn.is_expanded] == [False, True]
    expand(m, targets=[m.nn])
    assert m.nn["a"].is_expanded
    expand(m, reverse=token)
    assert [m.nn["a"].is_expanded, m.nn["b"].is_expanded, m.sub.nn.is_expanded] == [True, False, True]
    with pytest.raises(ModelError, match=r"target 'sub' neither is nor holds an active ReluNetworkBlock"):
        expand(m, targets=[m.sub])


def test_create_using_takes_targets():
    m = pyo.ConcreteModel()
    m.x = pyo.Var(range(3), bounds=(0, 1))
    m.nn = ReluNetworkBlock(["a", "b"], network=NETWORKS["chain"], inputs=m.x)
    copy = pyo.TransformationFactory("relugrad.omlt").create_using(m, targets=[m.nn["b"]])
    assert [copy.nn["a"].is_expanded, copy.nn["b"].is_expanded, m.nn["b"].is_expanded] == [False, True, False]


def test_networks_in_disjuncts():
    """One of two networks holds; the disjunction is transformed after the networks."""
    networks = random_network(1), random_network(2)
    m = pyo.ConcreteModel()
    m.x = pyo.Var(range(3), bounds=(0, 1))
    m.y = pyo.Var(bounds=(-10, 10))
    m.either = Disjunct([0, 1])
    for k, network in enumerate(networks):
        m.either[k].nn = ReluNetworkBlock(network=network, input_bounds=[(0, 1)] * 3)
        m.either[k].links = pyo.Constraint(range(3), rule=lambda b, i: b.nn.inputs[i] == b.model().x[i])
        m.either[k].c = pyo.Constraint(expr=m.y <= m.either[k].nn.outputs[0])
    m.one = Disjunction(expr=[m.either[0], m.either[1]])
    m.o = pyo.Objective(expr=m.y, sense=pyo.maximize)
    expand(m)
    pyo.TransformationFactory("gdp.bigm").apply_to(m)
    pyo.assert_optimal_termination(pyo.SolverFactory("appsi_highs").solve(m))
    points = np.random.default_rng(0).uniform(0, 1, (20000, 3))
    best = [float(network.value(points)[:, 0].max()) for network in networks]
    chosen = int(m.either[1].binary_indicator_var.value > 0.5)
    at_solution = networks[chosen].value([[v.value for v in m.x.values()]])[0, 0]
    assert pyo.value(m.o) == pytest.approx(at_solution, abs=1e-5)
    assert pyo.value(m.o) >= max(best) - 1e-6


def test_nothing_to_expand_is_no_error():
    m = model_around(NETWORKS["chain"], [0, 0, 0])
    m.nn.deactivate()
    expand(m)
    assert not m.nn.is_expanded


def test_a_missing_bound_is_named():
    m = model_around(NETWORKS["chain"], [0, 0, 0])
    m.x[1].setub(None)
    for formulation in MILP:
        with pytest.raises(ModelError, match=r"block 'nn' .* input 'x\[1\]' has no finite upper bound.*input_bounds"):
            expand(m, formulation=formulation)
        assert not m.nn.is_expanded
        assert m.nn.component("omlt") is None
    for formulation in ("complementarity", "reduced-space"):
        token = expand(m, formulation=formulation)
        assert violated(m) == []
        expand(m, reverse=token)


def test_unknown_options_are_refused():
    m = model_around(NETWORKS["chain"], [0, 0, 0])
    with pytest.raises(ValueError, match="bigm"):
        expand(m, formulation="big-m")
    with pytest.raises(ValueError, match="interval"):
        expand(m, bounds="guess")


def test_fixed_inputs_may_be_freed_later():
    network = NETWORKS["chain"]
    m = model_around(network, [0.3, -0.2, 0.4])
    m.x.fix()
    m.x[2].setlb(None)
    m.x[1].fix(5.0, skip_validation=True)
    m.limit.deactivate()
    expand(m)
    pyo.assert_optimal_termination(pyo.SolverFactory("appsi_highs").solve(m))
    assert [v.value for v in m.nn.outputs.values()] == pytest.approx(network.value([[0.3, 5.0, 0.4]])[0], abs=1e-6)
    m.x[0].fix(-1.0)
    pyo.assert_optimal_termination(pyo.SolverFactory("appsi_highs").solve(m))
    assert [v.value for v in m.nn.outputs.values()] == pytest.approx(network.value([[-1.0, 5.0, 0.4]])[0], abs=1e-6)


def test_derived_bounds_of_outputs_follow_changed_bounds_of_inputs():
    """Bounds that held for the bounds of before would cut the optimum off."""
    double = Network.from_layers([[[1.0], [-1.0]], [[2.0, -2.0]]], [[0.0, 0.0], [0.0]])
    m = pyo.ConcreteModel()
    m.x = pyo.Var(bounds=(-1, 1))
    m.first = ReluNetworkBlock(network=double, inputs=[m.x])
    m.second = ReluNetworkBlock(network=double, inputs=m.first.outputs)
    m.kept = ReluNetworkBlock(network=double, inputs=[m.x])
    m.kept.outputs[0].setub(9)
    m.o = pyo.Objective(expr=m.second.outputs[0], sense=pyo.maximize)
    m.x.setub(5)
    m.x.setlb(0)
    expand(m, targets=[m.second])
    expand(m)
    pyo.SolverFactory("appsi_highs").solve(m)
    assert pyo.value(m.o) == pytest.approx(18)
    assert m.kept.outputs[0].bounds == pytest.approx((0, 9))
    assert m.first.outputs[0].bounds == pytest.approx((0, 10))


def test_outputs_of_inputs_fixed_outside_their_bounds_are_not_cut_off():
    double = Network.from_layers([[[1.0], [-1.0]], [[2.0, -2.0]]], [[0.0, 0.0], [0.0]])
    m = pyo.ConcreteModel()
    m.x = pyo.Var(bounds=(-1, 1))
    m.nn = ReluNetworkBlock(network=double, inputs=[m.x])
    m.o = pyo.Objective(expr=m.nn.outputs[0])
    m.x.fix(3, skip_validation=True)
    expand(m)
    pyo.SolverFactory("appsi_highs").solve(m)
    assert pyo.value(m.o) == pytest.approx(6)


def test_an_input_fixed_without_a_value_is_named():
    m = model_around(random_network())
    m.x[1].fixed = True
    with pytest.raises(ModelError, match=r"block 'nn': its input 'x\[1\]' is fixed but has no value"):
        expand(m)


def test_bounds_of_integer_inputs_are_integers():
    """HiGHS 1.15 may miss optima where they are not."""
    network = Network.from_layers([[[1.0], [-1.0], [0.5]], [[1.0, 1.0, -2.0]]], [[-0.4, 0.2, 0.1], [0.0]])
    m = pyo.ConcreteModel()
    m.x = pyo.Var([0, 1], domain=pyo.Integers, bounds=(-0.4, 1.9))
    m.x[1].setub(None)
    m.x[1].fix(7)
    m.nn = ReluNetworkBlock([0, 1], network=network, inputs={0: [m.x[0]], 1: [m.x[1]]})
    m.x[1].setub(7.5)
    expand(m)
    assert [m.nn[k].omlt.inputs[0].bounds for k in (0, 1)] == [(0, 1), (0, 7)]


def test_inputs_outside_their_bounds_are_valued_all_the_same():
    network = NETWORKS["chain"]
    m = model_around(network, [7.0, -9.0, 0.0])
    expand(m)
    assert [m.nn.outputs[j].value for j in range(2)] == pytest.approx(network.value([[7.0, -9.0, 0.0]])[0])
    assert all(v.value is not None for v in m.nn.omlt.component_data_objects(pyo.Var))


def test_expressions_and_input_bounds_give_ranges_and_values():
    network = NETWORKS["chain"]
    m = model_around(network, [0.5, 0.25, 1.0], inputs=lambda m: [m.x[0], m.x[1] + 2 * m.x[2], 0.5])
    expand(m)
    assert m.nn.omlt.inputs[1].bounds == pytest.approx((-3, 6), abs=1e-9)
    assert [v.value for v in m.nn.inputs.values()] == [0.5, 2.25, 0.5]
    assert violated(m) == []
    assert "MIP start solution is feasible" in highs_log(m)
    m = pyo.ConcreteModel()
    m.x = pyo.Var(range(3))
    m.nn = ReluNetworkBlock(network=network, inputs=m.x, input_bounds=[(0, 1)] * 3)
    expand(m)
    assert [v.bounds for v in m.nn.omlt.inputs.values()] == [(0, 1)] * 3


def test_scaling_is_inside():
    network = NETWORKS["chain"]
    m = pyo.ConcreteModel()
    m.x = pyo.Var(range(3), bounds=(0, 200), initialize=120.0)
    scaling = {"inputs": (100.0, 50.0), "outputs": (-1.0, 10.0)}
    m.nn = ReluNetworkBlock(network=network, inputs=m.x, scaling=scaling)
    m.o = pyo.Objective(expr=m.nn.outputs[0])
    expand(m)
    expected = network.value([[0.4, 0.4, 0.4]])[0] * 10 - 1
    assert [v.value for v in m.nn.outputs.values()] == pytest.approx(expected)
    assert "MIP start solution is feasible" in highs_log(m)
    assert m.nn.get_error() < 1e-5


def test_networks_that_feed_each_other_are_valued_in_order():
    """The second network is declared first, and starts from stale values."""
    first, second = random_network(1, (3, 5, 3)), random_network(2, (3, 5, 2))
    m = pyo.ConcreteModel()
    m.x = pyo.Var(range(3), bounds=(0, 1), initialize=0.5)
    m.between = pyo.Var(range(3), bounds=(-50, 50), initialize=9.0)
    m.second = ReluNetworkBlock(network=second, inputs=m.between)
    m.first = ReluNetworkBlock(network=first, inputs=m.x, outputs=m.between)
    m.o = pyo.Objective(expr=m.second.outputs[0])
    expand(m)
    between = first.value([[0.5] * 3])
    assert [v.value for v in m.between.values()] == pytest.approx(between[0])
    assert [v.value for v in m.second.outputs.values()] == pytest.approx(second.value(between)[0])
    assert violated(m) == []
    assert "MIP start solution is feasible" in highs_log(m)


def test_a_fixed_output_keeps_its_value():
    m = model_around(NETWORKS["chain"], [0, 0, 0])
    m.nn.outputs[0].fix(3.25)
    expand(m)
    assert m.nn.outputs[0].value == 3.25
