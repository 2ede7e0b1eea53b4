"""Models with OMLT's own blocks: their networks are read as OMLT states them, and every variable gets its value."""

import itertools
import logging
import pathlib

import numpy as np
import pyomo.environ as pyo
import pytest
from highs_start import highs_log, start_value
from omlt import OffsetScaling, OmltBlock
from omlt.gbt import GBTBigMFormulation, GradientBoostedTreeModel
from omlt.io import load_onnx_neural_network
from omlt.neuralnet import (
    FullSpaceNNFormulation,
    FullSpaceSmoothNNFormulation,
    NetworkDefinition,
    ReducedSpaceNNFormulation,
    ReducedSpaceSmoothNNFormulation,
    ReluBigMFormulation,
    ReluComplementarityFormulation,
    ReluPartitionFormulation,
)
from omlt.neuralnet.activations import tanh_activation_constraint
from omlt.neuralnet.layer import ConvLayer2D, DenseLayer, IndexMapper, InputLayer, Layer, PoolingLayer2D
from omlt.scaling import ScalingInterface
from omlt_edits import FORMULATIONS as COMMON_FORMULATIONS
from omlt_edits import add_in_a_row, broken, optimum
from pyomo.common.tee import capture_output
from pyomo.contrib.solver.common.factory import SolverFactory as NewSolverFactory
from pyomo.opt import SolverFactory
from pyomo.util.infeasible import find_infeasible_constraints

from pyomo_relugrad.errors import ModelError
from pyomo_relugrad.modeling.block import ReluNetworkBlock
from pyomo_relugrad.modeling.compile import compile_model
from pyomo_relugrad.modeling.errors import IncompatibleModel
from pyomo_relugrad.modeling.omlt.transform import ExpandToOmlt
from pyomo_relugrad.network import Network

FORMULATIONS = COMMON_FORMULATIONS | {
    "complementarity": ReluComplementarityFormulation,
    "reduced-space": lambda net: ReducedSpaceNNFormulation(net, {"relu": lambda x: (x + abs(x)) / 2}),
}
MILP = ("bigm", "full-space", "partition", "partition in three")
ACTIVATIONS = {
    "linear": lambda z: z,
    "relu": lambda z: np.maximum(z, 0),
    "sigmoid": lambda z: 1 / (1 + np.exp(-z)),
    "softplus": lambda z: np.log1p(np.exp(z)),
    "tanh": np.tanh,
    "elu": np.tanh,
}
NETWORKS = pathlib.Path(__file__).parents[2] / "shared" / "networks" / "omlt"


def dense_definition(
    seed=0, widths=(3, 6, 5, 2), scaled=True, dtype=np.float64, activations=None, shape=None, scaling_dtype=np.float64
):
    """A network of dense layers, its scaling, and the same as a plain function in the user's units."""
    rng = np.random.default_rng(seed)
    offset, factor = rng.uniform(-1, 1, widths[0]), rng.uniform(0.5, 2, widths[0])
    out_offset, out_factor = rng.uniform(-1, 1, widths[-1]), rng.uniform(0.5, 2, widths[-1])
    parts = [part.astype(scaling_dtype) for part in (offset, factor, out_offset, out_factor)]
    scaling = OffsetScaling(*parts) if scaled else None
    size = (lambda n: [n]) if shape is None else (lambda n: [*shape, n])
    bounds = {i if shape is None else (*np.zeros(len(shape), int).tolist(), i): (-1, 2) for i in range(widths[0])}
    definition = NetworkDefinition(scaling, unscaled_input_bounds=bounds)
    layers = [InputLayer(size(widths[0]))]
    definition.add_layer(layers[0])
    activations = activations or ["relu"] * (len(widths) - 2) + ["linear"]
    for (a, b), activation in zip(itertools.pairwise(widths), activations, strict=True):
        weight, bias = (rng.normal(size=(a, b)) / np.sqrt(a)).astype(dtype), rng.normal(size=b).astype(dtype) * 0.3
        layers.append(DenseLayer(size(a), size(b), weight, bias, activation=activation))
        definition.add_layer(layers[-1])
        definition.add_edge(layers[-2], layers[-1])

    def function(x):
        z = (np.asarray(x) - offset) / factor if scaled else np.asarray(x)
        for layer in layers[1:]:
            z = z @ layer.weights.astype(float) + layer.biases.astype(float)
            z = ACTIVATIONS[layer.activation](z)
        return z * out_factor + out_offset if scaled else z

    return definition, function


def pooled_definition(seed=0):
    """A convolution with a ReLU, a pooling layer, and a dense layer on the flattened image."""
    rng = np.random.default_rng(seed)
    definition = NetworkDefinition(
        scaled_input_bounds=dict.fromkeys(itertools.product(range(1), range(5), range(5)), (-1, 1))
    )
    image = InputLayer([1, 5, 5])
    convolution = ConvLayer2D([1, 5, 5], [2, 4, 4], [1, 1], rng.normal(size=(2, 1, 2, 2)), activation="relu")
    pooling = PoolingLayer2D([2, 4, 4], [1, 2, 2], [2, 2], "max", [2, 2], 2)
    dense = DenseLayer(
        [4], [3], rng.normal(size=(4, 3)), rng.normal(size=3), input_index_mapper=IndexMapper([1, 2, 2], [4])
    )
    layers = [image, convolution, pooling, dense]
    add_in_a_row(definition, layers)
    return definition, layers


def model_around(definition, formulation="bigm"):
    m = pyo.ConcreteModel()
    m.nn = OmltBlock()
    m.nn.build_formulation(FORMULATIONS[formulation](definition))
    inputs, outputs = list(m.nn.inputs.values()), list(m.nn.outputs.values())
    m.limit = pyo.Constraint(expr=pyo.quicksum(inputs) <= 2)
    m.o = pyo.Objective(expr=outputs[0] - 0.5 * outputs[1], sense=pyo.maximize)
    return m


def omlt_embeddings(model):
    return compile_model(model).embeddings


def set_omlt_values(model):
    """Give every variable of the blocks the value that follows from those of the inputs."""
    for embedding in omlt_embeddings(model):
        point = np.array([variable.value for variable in embedding.inputs])
        for variable, value in embedding.replaced_values(point):
            if not variable.fixed:
                variable.set_value(value, skip_validation=True)


def set_inputs(block, point):
    for variable, value in zip(block.inputs.values(), point, strict=True):
        variable.set_value(float(value), skip_validation=True)


def forget(model):
    for variable in model.component_data_objects(pyo.Var):
        variable.set_value(None)


def violated(model, tolerance=1e-9):
    return [c.name for c, *_ in find_infeasible_constraints(model, tol=tolerance)]


def assert_agrees(embedding, function, points):
    for point in points:
        assert embedding.network.value([point])[0] == pytest.approx(function(point), abs=1e-9)


@pytest.mark.parametrize("formulation", FORMULATIONS)
@pytest.mark.parametrize("scaled", [True, False])
def test_a_block_becomes_its_network_and_every_variable_its_value(formulation, scaled):
    definition, function = dense_definition(scaled=scaled)
    m = model_around(definition, formulation)
    rng = np.random.default_rng(1)
    points = rng.uniform(-1, 2, (10, 3))
    (embedding,) = omlt_embeddings(m)
    assert embedding.name == "nn"
    assert_agrees(embedding, function, points)
    for point in points:
        forget(m)
        set_inputs(m.nn, point)
        set_omlt_values(m)
        assert all(variable.value is not None for variable in m.component_data_objects(pyo.Var))
        assert violated(m.nn) == []
        assert [v.value for v in m.nn.outputs.values()] == pytest.approx(function(point), abs=1e-9)


@pytest.mark.parametrize("formulation", FORMULATIONS)
def test_compiled_models_hold_the_network_and_nothing_else_of_the_block(formulation):
    definition, function = dense_definition()
    m = model_around(definition, formulation)
    compiled = compile_model(m)
    problem = compiled.problem
    assert sorted(problem.column_names) == [f"nn.inputs[{i}]" for i in range(3)] + [f"nn.outputs[{i}]" for i in (0, 1)]
    assert problem.row_names == ("limit",)
    inputs = problem.networks[0].inputs
    assert problem.lower[inputs] == pytest.approx(-1, abs=1e-9)
    assert problem.upper[inputs] == pytest.approx(2, abs=1e-9)
    point = np.zeros((1, 5))
    point[0, inputs] = [0.5, -0.5, 1.5]
    outputs = problem.propagate(point)[0, problem.networks[0].outputs]
    assert outputs == pytest.approx(function([0.5, -0.5, 1.5]), abs=1e-9)


@pytest.mark.parametrize("formulation", MILP)
def test_highs_takes_the_values_as_a_start(formulation):
    definition, _ = dense_definition()
    m = model_around(definition, formulation)
    forget(m)
    set_inputs(m.nn, [0.1, 0.2, -0.3])
    set_omlt_values(m)
    start = pyo.value(m.o)
    assert start_value(highs_log(m)) == pytest.approx(start, abs=1e-6)
    assert pyo.value(m.o) >= start


def test_convolution_and_pooling_are_as_the_block_states_them(caplog):
    definition, layers = pooled_definition()
    m = pyo.ConcreteModel()
    m.nn = OmltBlock()
    m.nn.build_formulation(FullSpaceNNFormulation(definition))
    m.o = pyo.Objective(expr=m.nn.outputs[0], sense=pyo.maximize)

    def function(x):
        z = np.reshape(x, (1, 5, 5))
        for layer in layers[1:]:
            z = layer.eval_single_layer(z)
        return z

    with caplog.at_level(logging.WARNING):
        (embedding,) = omlt_embeddings(m)
        omlt_embeddings(m)
    assert [record.message.count("OMLT drops their biases") for record in caplog.records] == [1]
    rng = np.random.default_rng(0)
    for point in rng.uniform(-1, 1, (10, 25)):
        assert_agrees(embedding, function, [point])
        forget(m)
        set_inputs(m.nn, point)
        set_omlt_values(m)
        assert violated(m) == []
        assert all(variable.value is not None for variable in m.component_data_objects(pyo.Var))
    assert "MIP start solution is feasible" in highs_log(m)
    assert list(compile_model(m).problem.row_names) == []


@pytest.mark.parametrize("name", ["keras_conv_7x7_relu", "convx1_gemmx1", "keras_linear_131_relu"])
def test_networks_from_files(name):
    file = NETWORKS / f"{name}.onnx"
    if not file.exists():
        pytest.skip("the collection of network files is not there")
    import onnx

    with capture_output():
        definition = load_onnx_neural_network(onnx.load(file))
    layers = list(definition.layers)
    indexes = [i[0] if len(i) == 1 else i for i in layers[0].output_indexes]
    bounded = NetworkDefinition(scaled_input_bounds=dict.fromkeys(indexes, (-1, 1)))
    for layer in layers:
        bounded.add_layer(layer)
    for layer in layers:
        for successor in definition.successors(layer):
            bounded.add_edge(layer, successor)
    m = pyo.ConcreteModel()
    m.nn = OmltBlock()
    m.nn.build_formulation(FullSpaceNNFormulation(bounded))
    (embedding,) = omlt_embeddings(m)
    for point in np.random.default_rng(0).uniform(-1, 1, (3, embedding.network.n_inputs)):
        forget(m)
        set_inputs(m.nn, point)
        set_omlt_values(m)
        assert violated(m, 1e-6) == []
        assert embedding.network.value([point])[0] == pytest.approx([v.value for v in m.nn.outputs.values()], rel=1e-6)


def test_batched_shapes_and_float32_weights():
    definition, function = dense_definition(shape=(1,), scaled=False, dtype=np.float32)
    m = model_around(definition)
    (embedding,) = omlt_embeddings(m)
    assert embedding.network.dtype == np.float64
    assert_agrees(embedding, function, np.random.default_rng(0).uniform(-1, 2, (5, 3)))
    set_inputs(m.nn, [0.1, 0.2, 0.3])
    set_omlt_values(m)
    assert violated(m, 1e-6) == []  # Pyomo evaluates float32 coefficients in float32


def test_clones_stand_for_themselves():
    definition, function = dense_definition()
    m = model_around(definition)
    del definition
    copy = m.clone()
    (embedding,) = omlt_embeddings(copy)
    assert all(variable.model() is copy for variable in (*embedding.inputs, *embedding.outputs))
    assert_agrees(embedding, function, np.random.default_rng(0).uniform(-1, 2, (5, 3)))
    set_inputs(copy.nn, [0.1, 0.2, 0.3])
    set_omlt_values(copy)
    assert violated(copy) == []
    assert m.nn.outputs[0].value == 0


def test_several_blocks_share_what_they_have_in_common():
    definition, _ = dense_definition()
    m = pyo.ConcreteModel()
    m.nn = OmltBlock([1, 2])
    m.sub = pyo.Block()
    m.sub.off = OmltBlock()
    for block in (m.nn[1], m.nn[2], m.sub.off):
        block.build_formulation(ReluBigMFormulation(definition))
    m.empty = OmltBlock()
    m.link = pyo.Constraint([0, 1], rule=lambda m, i: m.nn[1].outputs[i] == m.nn[2].inputs[i])
    m.sub.deactivate()
    first, second = omlt_embeddings(m)
    assert [first.name, second.name] == ["nn[1]", "nn[2]"]
    assert first.network is second.network
    assert compile_model(m).problem.n_rows == 2


def test_expansions_of_network_blocks_are_networks_still():
    network = Network.from_layers([[[1.0, -1.0], [1.0, 1.0]], [[1.0, -2.0]]], [[0.0, 0.5], [0.0]])
    for formulation in ("bigm", "partition", "complementarity", "reduced-space"):
        m = pyo.ConcreteModel()
        m.x = pyo.Var([0, 1], bounds=(0, 1))
        m.nn = ReluNetworkBlock(network=network, inputs=m.x)
        m.o = pyo.Objective(expr=m.nn.outputs[0])
        ExpandToOmlt().apply_to(m, formulation=formulation)
        (embedding,) = omlt_embeddings(m)
        assert embedding.network is network
        problem = compile_model(m).problem
        assert sorted(problem.column_names) == ["nn.outputs[0]", "x[0]", "x[1]"]
        assert problem.n_rows == 0
        assert np.isinf(problem.upper[problem.networks[0].outputs]).all()
        m.x[0], m.x[1] = 0.25, 1.0
        set_omlt_values(m)
        m.nn.outputs[0] = network.value([[0.25, 1.0]])[0, 0]
        assert violated(m) == []


def test_stable_binaries_that_an_expansion_fixed_are_no_change():
    network = Network.from_layers([[[1.0, -1.0], [1.0, 1.0]], [[1.0, -2.0]]], [[0.0, 0.5], [0.0]])
    m = pyo.ConcreteModel()
    m.x = pyo.Var([0, 1], bounds=(0, 1))
    m.nn = ReluNetworkBlock(network=network, inputs=m.x)
    ExpandToOmlt().apply_to(m)
    assert m.nn.omlt.layer[1].q_relu[1].fixed
    (embedding,) = omlt_embeddings(m)
    assert embedding.network is network


def test_scaled_variables_may_be_used():
    definition, _ = dense_definition()
    m = model_around(definition)
    m.nn.scaled_outputs[1].setlb(-0.25)
    m.cap = pyo.Constraint(expr=m.nn.scaled_inputs[0] + m.nn.scaled_inputs[1] <= 0.5)
    problem = compile_model(m).problem
    names = set(problem.column_names)
    assert {"nn.scaled_inputs[0]", "nn.scaled_outputs[1]"} <= names
    column = problem.column_names.index("nn.scaled_outputs[1]")
    assert problem.lower[column] == -0.25
    point = np.array([0.3, 0.1, 0.2])
    forget(m)
    set_inputs(m.nn, point)
    set_omlt_values(m)
    values = np.array([variable.value for variable in compile_model(m).columns])
    assert np.abs(problem.propagate(values[None, :])[0] - values).max() < 1e-9


def test_objectives_of_scaled_outputs_are_bounded_by_the_network(caplog):
    m = model_around(dense_definition()[0])
    m.o.set_value(m.nn.scaled_outputs[0] + m.nn.scaled_inputs[1])
    pyo.SolverFactory("relugrad").solve(m, time_limit=5, options={"iteration_limit": 50})
    assert "unbounded" not in caplog.text
    found = pyo.value(m.o)
    assert violated(m, 1e-6) == []
    assert start_value(highs_log(m)) == pytest.approx(found, abs=1e-6)
    assert pyo.value(m.o) == pytest.approx(found, abs=1e-4)


def test_bounds_of_scaled_inputs_count():
    definition, _ = dense_definition()
    m = model_around(definition)
    m.nn.scaled_inputs[0].setub(0.125)
    m.nn.inputs.setlb(None)
    m.nn.inputs.setub(None)
    problem = compile_model(m).problem
    scaled = definition.scaling_object.get_scaled_input_expressions({i: m.nn.inputs[i] for i in range(3)})
    column = problem.networks[0].inputs[0]
    set_inputs(m.nn, [problem.upper[column], 2.0, 2.0])
    assert pyo.value(scaled[0]) == pytest.approx(0.125)
    assert problem.upper[problem.networks[0].inputs[1]] == pytest.approx(2.0)
    assert problem.lower == pytest.approx(np.where(problem.is_input, -1, -np.inf))


def refused(model):
    with pytest.raises(IncompatibleModel) as error:
        omlt_embeddings(model)
    assert isinstance(error.value, ModelError)
    return str(error.value)


def test_unknown_activations_are_refused_by_name():
    definition, _ = dense_definition(activations=["relu", "elu", "linear"])
    m = pyo.ConcreteModel()
    m.nn = OmltBlock()
    m.nn.build_formulation(
        FullSpaceNNFormulation(definition, activation_constraints={"elu": tanh_activation_constraint})
    )
    message = refused(m)
    assert "OmltBlock 'nn'" in message
    assert "DenseLayer" in message
    assert "'elu'" in message
    assert "ipopt" in message


SMOOTH_FORMULATIONS = {
    "full-space smooth": (FullSpaceSmoothNNFormulation, ["sigmoid", "softplus", "tanh"]),
    "reduced-space smooth": (ReducedSpaceSmoothNNFormulation, ["tanh", "sigmoid", "linear"]),
    "full-space": (FullSpaceNNFormulation, ["relu", "tanh", "linear"]),
}


@pytest.mark.parametrize("name", SMOOTH_FORMULATIONS)
def test_a_scaling_in_float32_is_read(name):
    formulation, activations = SMOOTH_FORMULATIONS[name]
    definition, function = dense_definition(activations=activations, dtype=np.float32, scaling_dtype=np.float32)
    m = pyo.ConcreteModel()
    m.nn = OmltBlock()
    m.nn.build_formulation(formulation(definition))
    (embedding,) = omlt_embeddings(m)
    points = np.random.default_rng(1).uniform(-1, 2, (20, 3))
    assert embedding.network.value(points) == pytest.approx(np.array([function(x) for x in points]), abs=1e-6)


@pytest.mark.parametrize("name", SMOOTH_FORMULATIONS)
def test_smooth_activations(name):
    formulation, activations = SMOOTH_FORMULATIONS[name]
    definition, function = dense_definition(activations=activations, dtype=np.float32)  # as files hold them
    m = pyo.ConcreteModel()
    m.nn = OmltBlock()
    m.nn.build_formulation(formulation(definition))
    (embedding,) = omlt_embeddings(m)
    assert set(embedding.network.smooth_activations) == set(activations) - {"linear", "relu"}
    points = np.random.default_rng(1).uniform(-1, 2, (20, 3))
    assert embedding.network.value(points) == pytest.approx(np.array([function(x) for x in points]), rel=1e-9)
    set_inputs(m.nn, points[0])
    set_omlt_values(m)
    assert not list(find_infeasible_constraints(m, tol=1e-6))  # Pyomo computes in float32 here
    m.o = pyo.Objective(expr=m.nn.outputs[0])
    SolverFactory("relugrad").solve(m, iteration_limit=3)
    assert not list(find_infeasible_constraints(m, tol=1e-6))
    assert pyo.value(m.o) < function(points[0])[0]


def test_smooth_activation_that_was_changed():
    definition, _ = dense_definition(activations=["sigmoid", "tanh", "linear"])
    m = pyo.ConcreteModel()
    m.nn = OmltBlock()
    m.nn.build_formulation(FullSpaceSmoothNNFormulation(definition))
    layer = list(m.nn.layer.values())[2]
    row = layer._smooth_monotonic_activation_constraint[0]
    for changed, reason in (
        (layer.z[0] == 1.01 * pyo.tanh(layer.zhat[0]), "is not the layer"),
        (layer.z[0] == pyo.tanh(layer.zhat[1]), "is not the layer"),
        (layer.z[0] <= pyo.tanh(layer.zhat[0]), "not the one that OMLT built"),
    ):
        row.set_value(changed)
        with pytest.raises(IncompatibleModel, match=reason):
            omlt_embeddings(m)


def stump():
    """One tree: 1 where x is at most 0.5, else 2."""
    onnx = pytest.importorskip("onnx")
    helper = onnx.helper
    node = helper.make_node(
        "TreeEnsembleRegressor",
        ["x"],
        ["y"],
        domain="ai.onnx.ml",
        nodes_treeids=[0, 0, 0],
        nodes_nodeids=[0, 1, 2],
        nodes_featureids=[0, 0, 0],
        nodes_modes=["BRANCH_LEQ", "LEAF", "LEAF"],
        nodes_values=[0.5, 0.0, 0.0],
        nodes_truenodeids=[1, 0, 0],
        nodes_falsenodeids=[2, 0, 0],
        nodes_missing_value_tracks_true=[0, 0, 0],
        nodes_hitrates=[1.0, 1.0, 1.0],
        target_treeids=[0, 0],
        target_nodeids=[1, 2],
        target_ids=[0, 0],
        target_weights=[1.0, 2.0],
        n_targets=1,
        post_transform="NONE",
        base_values=[0.0],
    )
    graph = helper.make_graph(
        [node],
        "trees",
        [helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, ["batch", 1])],
        [helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, ["batch", 1])],
    )
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("ai.onnx.ml", 1)]
    return GradientBoostedTreeModel(helper.make_model(graph, opset_imports=opsets), scaled_input_bounds={0: (0, 1)})


@pytest.mark.parametrize("solver", ["relugrad", "relugrad.exact"])
def test_trees_beside_a_network_are_rows(solver):
    m = model_around(dense_definition(scaled=False)[0])
    m.trees = OmltBlock()
    m.trees.build_formulation(GBTBigMFormulation(stump()))
    m.same = pyo.Constraint(expr=m.trees.inputs[0] == m.nn.inputs[0])
    m.o.set_value(m.o.expr + m.trees.outputs[0])
    blocks = compile_model(m)
    assert [embedding.name for embedding in blocks.embeddings] == ["nn"]
    (note,) = blocks.notes
    assert "OmltBlock 'trees' is taken as the rows that it states: a GBTBigMFormulation" in note
    truth = optimum(m, "o")[1]
    options = {"rel_gap": 1e-7} if solver == "relugrad.exact" else {"iteration_limit": 200}
    pyo.SolverFactory(solver).solve(m, time_limit=20, options=options)
    assert broken(m) == []
    assert pyo.value(m.o) == pytest.approx(truth, abs=1e-5)


def test_unknown_layers_are_rows():
    class Strange(Layer):
        pass

    definition, _ = dense_definition(widths=(3, 2), scaled=False)
    last = Strange([2], [2], activation="linear")
    before = list(definition.layers)[-1]
    definition.add_layer(last)
    definition.add_edge(before, last)

    def constraints(net_block, net, layer_block, layer):
        layer_block.same = pyo.Constraint(layer.output_indexes)

    m = pyo.ConcreteModel()
    m.nn = OmltBlock()
    m.nn.build_formulation(FullSpaceNNFormulation(definition, layer_constraints={Strange: constraints}))
    (note,) = compile_model(m).notes
    assert "layers of type Strange" in note


def test_blocks_with_unusual_scaling_are_rows():
    class Mixing(ScalingInterface):
        def get_scaled_input_expressions(self, x):
            return {k: x[k] + x[0] for k in x}

        def get_unscaled_output_expressions(self, y):
            return dict(y)

    definition = NetworkDefinition(Mixing(), scaled_input_bounds={0: (0, 1), 1: (0, 1)})
    layers = [InputLayer([2]), DenseLayer([2], [2], np.eye(2), np.zeros(2))]
    for layer in layers:
        definition.add_layer(layer)
    definition.add_edge(*layers)
    Mixing.get_unscaled_input_expressions = Mixing.get_scaled_input_expressions
    m = pyo.ConcreteModel()
    m.nn = OmltBlock()
    m.nn.build_formulation(FullSpaceNNFormulation(definition))
    (note,) = compile_model(m).notes
    assert "the scaling of entry" in note


@pytest.mark.parametrize("formulation", MILP)
@pytest.mark.parametrize("interface", ["legacy", "new"])
def test_models_solve_by_the_change_of_the_solvers_name(formulation, interface):
    definition, function = dense_definition()
    m = model_around(definition, formulation)
    if interface == "legacy":
        pyo.SolverFactory("relugrad").solve(m, time_limit=2, options={"iteration_limit": 50})
    else:
        NewSolverFactory("relugrad").solve(m, time_limit=2, iteration_limit=50)
    found = pyo.value(m.o)
    point = [v.value for v in m.nn.inputs.values()]
    assert [v.value for v in m.nn.outputs.values()] == pytest.approx(function(point), abs=1e-9)
    assert not any(v.stale for v in m.component_data_objects(pyo.Var) if v.parent_component().local_name != "zhat")
    assert violated(m, 1e-6) == []
    assert start_value(highs_log(m)) == pytest.approx(found, abs=1e-6)
    assert pyo.value(m.o) >= found - 1e-6


def test_an_expanded_model_can_be_searched_again():
    rng = np.random.default_rng(0)
    network = Network.from_layers([rng.normal(size=(8, 3)), rng.normal(size=(1, 8))], [np.zeros(8), [0.0]])
    m = pyo.ConcreteModel()
    m.x = pyo.Var(range(3), bounds=(-1, 1))
    m.nn = ReluNetworkBlock(network=network, inputs=m.x)
    m.o = pyo.Objective(expr=m.nn.outputs[0], sense=pyo.maximize)
    ExpandToOmlt().apply_to(m)
    pyo.SolverFactory("relugrad").solve(m, options={"iteration_limit": 50})
    assert violated(m, 1e-6) == []
    found = pyo.value(m.o)
    assert start_value(highs_log(m)) == pytest.approx(found, abs=1e-6)


def curve():
    """A network of one input in the formulations' notebook: variables of the user's on both sides, scaling."""
    rng = np.random.default_rng(0)
    scaling = OffsetScaling({0: 0.2}, {0: 0.5}, {0: 1.0}, {0: 2.0})
    definition = NetworkDefinition(scaling, scaled_input_bounds={0: (-1.8, 1.8)})
    layers = [InputLayer([1])]
    for a, b, activation in ((1, 20, "relu"), (20, 20, "relu"), (20, 1, "linear")):
        layers.append(DenseLayer([a], [b], rng.normal(size=(a, b)), rng.normal(size=b), activation=activation))
    add_in_a_row(definition, layers)
    m = pyo.ConcreteModel()
    m.x, m.y = pyo.Var(initialize=0), pyo.Var(initialize=0)
    m.o = pyo.Objective(expr=m.y)
    m.nn = OmltBlock()
    m.nn.build_formulation(ReluBigMFormulation(definition))
    m.connect_inputs = pyo.Constraint(expr=m.x == m.nn.inputs[0])
    m.connect_outputs = pyo.Constraint(expr=m.y == m.nn.outputs[0])
    return m


def reformer():
    """One output maximized under a limit on another, bounds set on the block's inputs, as in the reformer notebook."""
    definition, function = dense_definition(3, (2, 10, 10, 10, 12))
    m = pyo.ConcreteModel()
    m.nn = OmltBlock()
    m.nn.build_formulation(ReluPartitionFormulation(definition))
    m.o = pyo.Objective(expr=m.nn.outputs[10], sense=pyo.maximize)
    m.con = pyo.Constraint(expr=m.nn.outputs[11] <= function([0.5, 0.25])[11])
    for i, bounds in ((0, (0.1, 0.8)), (1, (0.1, 0.4))):
        m.nn.inputs[i].setlb(bounds[0])
        m.nn.inputs[i].setub(bounds[1])
    return m


def image():
    """The difference of two scores over a small box around an image, as in the notebook on adversarial images."""
    definition, _ = pooled_definition()
    m = pyo.ConcreteModel()
    m.nn = OmltBlock()
    m.nn.build_formulation(FullSpaceNNFormulation(definition))
    for variable in m.nn.inputs.values():
        variable.setlb(0.4)
        variable.setub(0.6)
    m.o = pyo.Objective(expr=m.nn.outputs[1] - m.nn.outputs[0], sense=pyo.maximize)
    return m


@pytest.mark.parametrize("model", [curve, reformer, image])
def test_models_in_the_shapes_of_omlts_documentation(model):
    m = model()
    pyo.SolverFactory("relugrad").solve(m, time_limit=3)
    found = pyo.value(m.o)
    assert violated(m, 1e-6) == []
    assert start_value(highs_log(m)) == pytest.approx(found, abs=1e-6)
    assert pyo.value(m.o) == pytest.approx(found, abs=1e-5)


def test_linked_and_chained_blocks_are_solved():
    """Variables of the user's tied to a block's inputs by rows, and a second network on the first one's outputs."""
    first, second = dense_definition(1, (3, 5, 3), scaled=False)[0], dense_definition(2, (3, 5, 2), scaled=False)[0]
    m = pyo.ConcreteModel()
    m.x = pyo.Var(range(3), bounds=(-1, 1))
    m.first, m.second = OmltBlock(), OmltBlock()
    m.first.build_formulation(ReluBigMFormulation(first))
    m.second.build_formulation(ReluPartitionFormulation(second))
    m.into = pyo.Constraint(range(3), rule=lambda m, i: m.first.inputs[i] == m.x[i])
    m.between = pyo.Constraint(range(3), rule=lambda m, i: m.first.outputs[i] == m.second.inputs[i])
    m.o = pyo.Objective(expr=m.second.outputs[0] + m.x[0])
    pyo.SolverFactory("relugrad").solve(m, time_limit=5, options={"iteration_limit": 100})
    found = pyo.value(m.o)
    assert violated(m, 1e-6) == []
    assert start_value(highs_log(m)) == pytest.approx(found, abs=1e-6)
    assert found == pytest.approx(pyo.value(m.o), abs=1e-4)
