"""What users add to a block of OMLT, or change in it, is part of the model: obeyed, or refused by name."""

import io
from types import SimpleNamespace

import numpy as np
import omlt_edits
import pyomo.environ as pyo
import pytest
from omlt import OmltBlock
from omlt.neuralnet import (
    FullSpaceNNFormulation,
    NetworkDefinition,
    ReducedSpaceNNFormulation,
    ReluBigMFormulation,
    ReluComplementarityFormulation,
    ReluPartitionFormulation,
)
from omlt.neuralnet.layer import ConvLayer2D, DenseLayer, IndexMapper, InputLayer, PoolingLayer2D
from omlt_edits import EDITS, EXPANSIONS, FORMULATIONS, add_in_a_row, broken, built, optimum, random_model
from pyomo.contrib.solver.common.factory import SolverFactory as NewSolverFactory
from pyomo.repn import generate_standard_repn

from pyomo_relugrad.errors import ModelError
from pyomo_relugrad.modeling.block import ReluNetworkBlock
from pyomo_relugrad.modeling.compile import compile_model
from pyomo_relugrad.modeling.errors import IncompatibleModel
from pyomo_relugrad.network import Network

EVERY = (*FORMULATIONS, *EXPANSIONS)
TOLERANCE = 1e-5


def solved(model, name, **options):
    """A copy of the model with the values that a solver loads, None where it finds no point; and the results."""
    copy = model.clone()
    options |= {"rel_gap": 1e-8} if name == "relugrad.exact" else {"iteration_limit": 50}
    results = pyo.SolverFactory(name).solve(copy, time_limit=60, load_solutions=False, options=options)
    if len(results.solution) == 0:
        return None, results
    copy.solutions.load_from(results)
    return copy, results


def assert_as_it_stands(model):
    """The proof ends with the optimum of the rows as they stand, and neither solver breaks one or says too much."""
    status, truth = optimum(model)
    found, results = solved(model, "relugrad.exact")
    condition = str(results.solver.termination_condition)
    if status == "infeasible":
        assert found is None
        assert condition == "infeasible"
    elif status == "optimal":
        assert condition == "optimal"
        assert broken(found) == []
        assert pyo.value(found.best) == pytest.approx(truth, abs=TOLERANCE * (1 + abs(truth)))
    else:
        assert condition != "optimal"
    found, results = solved(model, "relugrad")
    if found is not None:
        assert status != "infeasible"
        assert broken(found) == []
        if status == "optimal":
            gain = (pyo.value(found.best) - truth) * -model.best.sense
            assert gain <= TOLERANCE * (1 + abs(truth))
    elif status == "optimal":
        assert str(results.solver.termination_condition) != "infeasible"
    return found


@pytest.mark.parametrize("edit", EDITS)
@pytest.mark.parametrize("seed", [0, pytest.param(1, marks=pytest.mark.slow)])
def test_edited_models_are_solved_as_they_stand(edit, seed):
    rng = np.random.default_rng([seed, *edit.encode()])
    model = random_model(rng, EVERY[int(rng.integers(len(EVERY)))])
    EDITS[edit](model, built(model), rng)
    assert_as_it_stands(model)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(40))
def test_several_edits_at_once(seed):
    rng = np.random.default_rng([7, seed])
    model = random_model(rng, EVERY[seed % len(EVERY)])
    for edit in rng.choice(list(EDITS), 3, replace=False):
        EDITS[str(edit)](model, built(model), rng)
    assert_as_it_stands(model)


# --- how each is taken ----------------------------------------------------------------------------------------------


@pytest.fixture
def model():
    return random_model(np.random.default_rng(3), "bigm")


def layer_of(model, position):
    block = built(model)
    return block.layer[block.layers.at(position + 1)]


def outputs_of(model):
    (embedding,) = (one for one in compile_model(model).embeddings if one.name == "nn")
    return [variable.name for variable in embedding.outputs[2:]]


def note_of(model):
    blocks = compile_model(model)
    assert blocks.embeddings == ()
    (note,) = blocks.notes
    assert "OmltBlock 'nn' is taken as the rows that it states: " in note
    return note


@pytest.mark.parametrize("formulation", EVERY)
def test_untouched_blocks_are_networks_and_nothing_else(formulation):
    model = random_model(np.random.default_rng(0), formulation)
    assert outputs_of(model) == []
    embedding = compile_model(model).embeddings[0]
    left = {id(row) for row in model.nn.component_data_objects(pyo.Constraint, active=True, descend_into=True)}
    assert left == {id(row) for row in embedding.replaced}


@pytest.mark.parametrize("formulation", EVERY)
def test_bounds_on_hidden_variables_make_them_outputs(formulation):
    model = random_model(np.random.default_rng(0), formulation)
    variable = layer_of(model, 1).z[1]
    variable.setub(variable.ub / 2)
    assert outputs_of(model) == [variable.name]
    variable.setub(1e3)
    assert outputs_of(model) == []
    variable.fix(0.1)
    assert outputs_of(model) == [variable.name]


def test_a_variable_that_another_row_or_network_reads_becomes_an_output(model):
    first, second = layer_of(model, 1).z, layer_of(model, 2).zhat
    model.row = pyo.Constraint(expr=first[0] + second[1] <= 0.2)
    assert outputs_of(model) == [first[0].name, second[1].name]
    del model.row
    absolute_value = Network.from_layers([[[1.0], [-1.0]], [[1.0, 1.0]]], [[0, 0], [0]])
    model.next = ReluNetworkBlock(network=absolute_value, inputs=[first[1]])
    assert outputs_of(model) == [first[1].name]
    model.best.set_value(model.next.outputs[0])
    found, _ = solved(model, "relugrad.exact")
    assert broken(found) == []
    assert found.next.get_error() < 1e-9


def test_rows_between_the_hidden_variables_of_two_networks():
    rng = np.random.default_rng(11)
    model = random_model(rng, "bigm")
    model.other = OmltBlock()
    model.other.build_formulation(ReluPartitionFormulation(omlt_edits.random_definition(rng, (3, 4, 2, 1))))
    theirs = model.other.layer[model.other.layers.at(2)].z
    model.tied = pyo.Constraint(expr=layer_of(model, 1).z[0] == theirs[1] + 0.05)
    model.best.set_value(model.best.expr + model.other.outputs[0])
    assert_as_it_stands(model)


def test_only_the_rows_of_touched_binaries_stay(model):
    binary = layer_of(model, 1).q_relu[1]
    model.count = pyo.Constraint(expr=binary <= 0)
    embedding = compile_model(model).embeddings[0]
    replaced = {id(row) for row in embedding.replaced}
    kept = [
        row.name
        for row in model.nn.component_data_objects(pyo.Constraint, descend_into=True)
        if id(row) not in replaced
    ]
    assert len(kept) == 4
    assert all(name.endswith("_relu[1]") for name in kept)
    assert sorted(outputs_of(model)) == sorted([layer_of(model, 1).z[1].name, layer_of(model, 1).zhat[1].name])


def relax(layer):
    layer.q_relu[0].domain = pyo.UnitInterval


def count(layer):
    layer.q_relu[0].domain = pyo.NonNegativeIntegers


def state_otherwise(layer):
    layer.dense_layer[0].set_value(layer.zhat[0] == layer.z[0])


CHANGES = [
    (lambda layer: layer._z_upper_bound_relu[0].deactivate(), "constraint '{}._z_upper_bound_relu[0]' is deactivated"),
    (lambda layer: layer.deactivate(), "'{}' is deactivated"),
    (lambda layer: layer.del_component("dense_layer"), "'{}' has no Constraint 'dense_layer' any more"),
    (lambda layer: layer._z_lower_bound_relu.__delitem__(0), "'{}._z_lower_bound_relu' has"),
    (relax, "its binary '{}.q_relu[0]' is relaxed"),
    (count, "its binary '{}.q_relu[0]' is relaxed"),
    (lambda layer: layer.q_relu[0].fix(0.5), "its binary '{}.q_relu[0]' is fixed at 0.5"),
    (state_otherwise, "its constraint '{}.dense_layer[0]' is not the one that OMLT built"),
]


@pytest.mark.parametrize(("change", "reason"), CHANGES)
def test_blocks_that_do_not_state_their_network_are_rows(model, change, reason):
    layer = layer_of(model, 1)
    change(layer)
    assert reason.format(layer.name) in note_of(model)


def test_changes_between_two_solves_are_seen(model):
    layer = layer_of(model, 1)
    assert outputs_of(model) == []
    row, inputs = layer.dense_layer[0], layer_of(model, 0).z
    form = generate_standard_repn(row.body)
    weights = [-c for c in form.linear_coefs[1:]]
    assert form.linear_vars[0] is layer.zhat[0]
    model.weight = pyo.Param(mutable=True, initialize=weights[0])
    others = sum(weight * inputs[i] for i, weight in enumerate(weights[1:], start=1))
    row.set_value(layer.zhat[0] == model.weight * inputs[0] + others - form.constant)
    assert outputs_of(model) == []
    model.weight.set_value(weights[0] + 0.1)
    assert f"'{row.name}' is not the one" in note_of(model)
    model.weight.set_value(weights[0])
    assert outputs_of(model) == []
    row.set_value(layer.zhat[0] == layer.z[0])
    assert f"'{row.name}' is not the one" in note_of(model)


def test_changed_rows_that_are_not_linear_are_refused_by_name(model):
    layer = layer_of(model, 1)
    layer.dense_layer[0].set_value(layer.zhat[0] == layer.z[0] ** 2)
    with pytest.raises(IncompatibleModel) as error:
        compile_model(model)
    assert isinstance(error.value, ModelError)
    assert "OmltBlock 'nn' is not a ReLU network that relugrad handles" in str(error.value)
    assert f"because '{layer.dense_layer[0].name}' is not linear" in str(error.value)
    assert "deactivate the block" in str(error.value)


def test_other_components_inside_of_a_block_are_refused_by_name(model):
    layer = layer_of(model, 1)
    layer.on = pyo.BooleanVar()
    layer.one = pyo.LogicalConstraint(expr=layer.on.implies(layer.on))
    with pytest.raises(IncompatibleModel, match=r"LogicalConstraint 'nn.layer\[.*\].one' cannot be handled"):
        pyo.SolverFactory("relugrad").solve(model)


def test_sets_of_inner_variables_are_obeyed(model):
    layer = layer_of(model, 1)
    layer.one = pyo.SOSConstraint(var=layer.z, sos=1)
    pyo.SolverFactory("relugrad.exact").solve(model, time_limit=60)
    assert sorted(abs(z.value) for z in layer.z.values())[-2] <= 1e-6


def test_renamed_parts_leave_the_rows(model):
    model.scaling_factor = pyo.Suffix(direction=pyo.Suffix.EXPORT)
    model.scaling_factor[model.budget] = 10.0
    scaled = pyo.TransformationFactory("core.scale_model").create_using(model)
    assert len(compile_model(scaled).notes) == 1
    status, truth = optimum(model)
    results = pyo.SolverFactory("relugrad.exact").solve(scaled, options={"rel_gap": 1e-8})
    assert status == "optimal"
    assert results.problem.upper_bound == pytest.approx(truth, abs=TOLERANCE)


def test_the_log_says_which_block_is_taken_as_rows(model):
    pyo.TransformationFactory("core.relax_integer_vars").apply_to(model)
    log = io.StringIO()
    pyo.SolverFactory("relugrad").solve(model, tee=log, options={"iteration_limit": 1})
    assert "Note     OmltBlock 'nn' is taken as the rows that it states: its binary 'nn.layer" in log.getvalue()


# --- other formulations ---------------------------------------------------------------------------------------------


def twins(formulation):
    """The same network in a formulation and in big-M, whose optima HiGHS can find."""
    models = []
    for build in (formulation, ReluBigMFormulation):
        rng = np.random.default_rng(5)
        model = pyo.ConcreteModel()
        model.nn = OmltBlock()
        model.nn.build_formulation(build(omlt_edits.random_definition(rng, (3, 5, 4, 2))))
        model.best = pyo.Objective(expr=model.nn.outputs[0] - model.nn.outputs[1], sense=pyo.maximize)
        models.append(model)
    return models


def test_hidden_variables_of_complementarity_formulations_are_obeyed():
    smooth, mixed = twins(ReluComplementarityFormulation)
    assert outputs_of(smooth) == []
    for model in (smooth, mixed):
        first, second = layer_of(model, 1), layer_of(model, 2)
        first.z[0].setub(0.1)
        second.zhat[1].setlb(-0.2)
        model.row = pyo.Constraint(expr=first.z[1] + second.z[0] <= 0.4)
    slack = layer_of(smooth, 1)._complementarity[2].v
    slack.setub(0.3)
    mixed.limit = pyo.Constraint(expr=layer_of(mixed, 1).z[2] - layer_of(mixed, 1).zhat[2] <= 0.3)
    found, results = solved(smooth, "relugrad.exact")
    assert str(results.solver.termination_condition) == "optimal"
    assert broken(found) == []
    assert pyo.value(found.best) == pytest.approx(optimum(mixed)[1], abs=TOLERANCE)
    smooth.nn.layer[smooth.nn.layers.at(2)]._complementarity[0].ccon.deactivate()
    with pytest.raises(IncompatibleModel, match=r"ccon' is deactivated.* is not linear"):
        compile_model(smooth)


def test_relaxed_complementarity_is_refused():
    model, _ = twins(ReluComplementarityFormulation)
    layer_of(model, 1).mpec_bound = 1e-3
    with pytest.raises(IncompatibleModel, match=r"ccon' is not the one that OMLT built"):
        compile_model(model)


def reduced(activation):
    return lambda definition: ReducedSpaceNNFormulation(definition, {"relu": activation})


def test_reduced_space_takes_a_relu_and_nothing_like_it():
    model, mixed = twins(reduced(lambda x: (x + abs(x)) / 2))
    for one in (model, mixed):
        one.nn.scaled_outputs[0].setub(0.5)
    found, _ = solved(model, "relugrad.exact")
    assert broken(found) == []
    assert pyo.value(found.best) == pytest.approx(optimum(mixed)[1], abs=TOLERANCE)
    for other in (
        lambda x: (x + pyo.sqrt(x**2 + 1e-6)) / 2,
        lambda x: pyo.log(1 + pyo.exp(x)),
        lambda x: 0.505 * x + 0.495 * abs(x),
        lambda x: (x + abs(x)) / 2 + 1e-3,
    ):
        model, _ = twins(reduced(other))
        with pytest.raises(IncompatibleModel, match=r"its expression 'nn.layer\[.*\].z\[0\]' is not the layer"):
            compile_model(model)


def test_changed_expressions_are_refused():
    model, _ = twins(reduced(lambda x: (x + abs(x)) / 2))
    layer = layer_of(model, 2)
    layer.zhat[1].set_value(layer.zhat[1].expr + 0.01)
    with pytest.raises(IncompatibleModel, match=r"zhat\[1\]' is not the layer"):
        compile_model(model)


def test_own_activation_constraints_are_read_as_they_are():
    """A relaxation under the name of a ReLU: rows, although the definition says that it is a network."""

    def triangle(net_block, net, layer_block, layer):
        layer_block.above = pyo.Constraint(layer.output_indexes, rule=lambda b, *i: b.z[i] >= b.zhat[i])
        layer_block.positive = pyo.Constraint(layer.output_indexes, rule=lambda b, *i: b.z[i] >= 0)
        layer_block.z.setub(3.0)

    definition = omlt_edits.random_definition(np.random.default_rng(2), (3, 4, 3, 2))
    model = pyo.ConcreteModel()
    model.nn = OmltBlock()
    model.nn.build_formulation(FullSpaceNNFormulation(definition, activation_constraints={"relu": triangle}))
    model.best = pyo.Objective(expr=model.nn.outputs[0] + model.nn.outputs[1])
    assert "states a ReLU in a way that relugrad does not know" in note_of(model)
    assert_as_it_stands(model)


def pooled():
    rng = np.random.default_rng(4)
    definition = NetworkDefinition(scaled_input_bounds={(0, r, c): (-1, 1) for r in range(5) for c in range(5)})
    layers = [
        InputLayer([1, 5, 5]),
        ConvLayer2D([1, 5, 5], [1, 4, 4], [1, 1], rng.normal(size=(1, 1, 2, 2)), activation="relu"),
        PoolingLayer2D([1, 4, 4], [1, 2, 2], [2, 2], "max", [2, 2], 1),
        DenseLayer([4], [2], rng.normal(size=(4, 2)), np.zeros(2), input_index_mapper=IndexMapper([1, 2, 2], [4])),
    ]
    add_in_a_row(definition, layers)
    model = pyo.ConcreteModel()
    model.nn = OmltBlock()
    model.nn.build_formulation(FullSpaceNNFormulation(definition))
    model.best = pyo.Objective(expr=model.nn.outputs[0], sense=pyo.maximize)
    return model


def test_chosen_elements_of_a_maximum_are_obeyed():
    model = pooled()
    assert outputs_of(model) == []
    pooling = layer_of(model, 2)
    next(iter(pooling.q_maxpool.values())).fix(1)
    list(pooling.z.values())[3].setub(0.2)
    list(layer_of(model, 1).z.values())[5].setub(0.1)
    embedding = compile_model(model).embeddings[0]
    assert len(embedding.outputs) > 2
    assert_as_it_stands(model)
    pooling._q_sum_maxpool.deactivate()
    assert "_q_sum_maxpool" in note_of(model)


def linear_tree():
    """A tree of two leaves in the attributes that the formulations read; no package for trees is needed."""
    bounds = {0: (0.0, 1.0), 1: (0.0, 1.0)}
    leaves = {
        1: {"slope": [1.0, -0.5], "intercept": 0.2, "bounds": {0: [0.0, 0.4], 1: [0.0, 1.0]}},
        2: {"slope": [-2.0, 1.0], "intercept": 1.0, "bounds": {0: [0.4, 1.0], 1: [0.0, 1.0]}},
    }
    return SimpleNamespace(
        scaling_object=None,
        scaled_input_bounds=bounds,
        unscaled_input_bounds=bounds,
        is_scaled=False,
        leaves={0: leaves},
        n_inputs=2,
        n_outputs=1,
    )


def with_tree(formulation):
    model = random_model(np.random.default_rng(3), "bigm")
    model.tree = OmltBlock()
    model.tree.build_formulation(formulation)
    model.tied = pyo.Constraint(expr=model.tree.inputs[0] == 0.5 + 0.5 * model.nn.inputs[0])
    model.best.set_value(model.best.expr + model.tree.outputs[0])
    return model


@pytest.mark.parametrize("transformation", ["bigm", "hull"])
def test_linear_trees_beside_a_network_are_rows(transformation):
    trees = pytest.importorskip("omlt.linear_tree", exc_type=ImportError)
    model = with_tree(trees.LinearTreeGDPFormulation(linear_tree(), transformation))
    blocks = compile_model(model)
    assert [embedding.name for embedding in blocks.embeddings] == ["nn"]
    assert "a LinearTreeGDPFormulation is not one of a neural network" in blocks.notes[0]
    assert_as_it_stands(model)


def test_trees_with_products_are_refused_by_name():
    trees = pytest.importorskip("omlt.linear_tree", exc_type=ImportError)
    model = with_tree(trees.LinearTreeHybridBigMFormulation(linear_tree()))
    with pytest.raises(IncompatibleModel, match=r"OmltBlock 'tree' .*'tree.linear_constraint\[0\]' is not linear"):
        compile_model(model)


# --- values ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("formulation", EVERY)
def test_loaded_later_every_variable_has_its_value(formulation):
    model = random_model(np.random.default_rng(1), formulation)
    for variable in model.component_data_objects(pyo.Var):
        if not variable.fixed:
            variable.set_value(None)
    results = pyo.SolverFactory("relugrad").solve(model, options={"iteration_limit": 5}, load_solutions=False)
    assert all(variable.value is None for variable in model.component_data_objects(pyo.Var) if not variable.fixed)
    model.solutions.load_from(results)
    assert all(variable.value is not None for variable in model.component_data_objects(pyo.Var))
    assert broken(model) == []


def test_the_callback_and_the_loader_give_hidden_values(model):
    seen = []
    solver = NewSolverFactory("relugrad")
    variable = layer_of(model, 1).z[0]
    results = solver.solve(model, iteration_limit=5, callback=lambda progress: seen.append(progress.get_vars()))
    assert all(variable in values for values in seen if len(values))
    assert results.solution_loader.get_vars([variable])[variable] == pytest.approx(variable.value, abs=1e-9)


def test_binaries_of_kept_rows_keep_the_values_of_the_solution(model):
    """At a pre-activation of zero either value of the binary is right for its rows, and one for the count."""
    layer = layer_of(model, 1)
    layer.zhat[0].fix(0.0)
    for one in (0, 1):
        model.count = pyo.Constraint(expr=layer.q_relu[0] == one)
        found, _ = solved(model, "relugrad.exact")
        assert broken(found) == []
        del model.count


def test_a_model_in_which_variables_are_fixed_is_left_as_it_was(model):
    layer = layer_of(model, 1)
    layer.q_relu[0].fix(1)
    layer.z[1].fix(0.25)
    compile_model(model)
    assert layer.q_relu[0].fixed
    assert layer.z[1].fixed
    assert layer.z[1].value == 0.25
    assert not layer.z[0].fixed


def test_hidden_variables_fixed_without_a_value_are_refused_by_name(model):
    for variable in (layer_of(model, 1).q_relu[0], layer_of(model, 1).zhat[1]):
        variable.set_value(None)
        variable.fixed = True
        with pytest.raises(IncompatibleModel, match="is fixed but has no value"):
            pyo.SolverFactory("relugrad").solve(model)
        variable.unfix()
