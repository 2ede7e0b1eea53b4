"""ReluNetworkBlock: what users may hand to it, what it knows, and how it is copied."""

import io
import itertools
import pickle
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnxruntime
import pandas as pd
import pyomo.environ as pyo
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from omlt.scaling import OffsetScaling
from onnx import TensorProto, helper, numpy_helper
from scipy import sparse

from pyomo_relugrad.errors import ModelError, NetworkFileNotFoundError, NetworkValueError
from pyomo_relugrad.modeling.block import ReluNetworkBlock, ReluNetworkBlockData, unexpanded_blocks
from pyomo_relugrad.network import Layer, Network, TensorSpec
from pyomo_relugrad.network.building import fold_scaling


def random_network(seed, sizes=(3, 6, 5, 2), inputs=(), outputs=()):
    rng = np.random.default_rng(seed)
    layers = tuple(
        Layer((k,), (rng.normal(size=(b, a)),), rng.normal(size=b))
        for k, (a, b) in enumerate(itertools.pairwise(sizes))
    )
    return Network(sizes[0], layers, inputs, outputs, name="random")


def set_values(component, values):
    for variable, value in zip(component.values(), values, strict=True):
        variable.set_value(float(value), skip_validation=True)


def model_with(network=None, **arguments):
    m = pyo.ConcreteModel()
    m.x = pyo.Var(range(3), bounds=(-1, 2))
    m.y = pyo.Var(["first", "second"])
    m.nn = ReluNetworkBlock(network=network or random_network(0), **arguments)
    return m


# --- inputs and outputs -----------------------------------------------------------------------------------------


def test_own_variables_have_the_given_bounds_and_count_from_zero():
    m = model_with(input_bounds=[(0, 1), (None, 2), (-np.inf, np.inf)])
    assert list(m.nn.inputs) == [0, 1, 2]
    assert [m.nn.inputs[i].bounds for i in range(3)] == [(0, 1), (None, 2), (None, None)]
    assert m.nn.input_bounds == {0: (0, 1), 1: (None, 2), 2: (None, None)}
    assert list(m.nn.outputs) == [0, 1]
    assert len(list(m.component_data_objects(pyo.Var))) == 3 + 2 + 3 + 2


INPUT_FORMS = {
    "indexed variable": lambda m: m.x,
    "reference": lambda m: pyo.Reference(m.x),
    "slice": lambda m: m.x[:],
    "list": lambda m: [m.x[0], m.x[1], m.x[2]],
    "array": lambda m: np.array([m.x[0], m.x[1], m.x[2]], dtype=object),
    "generator": lambda m: (m.x[i] for i in range(3)),
    "values": lambda m: m.x.values(),
    "by position": lambda m: {2: m.x[2], 0: m.x[0], 1: m.x[1]},
    "by name": lambda m: {"point": m.x},
    "by name and list": lambda m: {"point": [m.x[0], m.x[1], m.x[2]]},
    "by name and position": lambda m: {("point", 1): m.x[1], ("point", 2): m.x[2], ("point", 0): m.x[0]},
    "by name and index": lambda m: {("point", (i,)): m.x[i] for i in range(3)},
    "by index of the only tensor": lambda m: {(i,): m.x[i] for i in range(3)},
}


@pytest.mark.parametrize("form", INPUT_FORMS)
def test_inputs_may_be_given_as(form):
    m = pyo.ConcreteModel()
    m.x = pyo.Var(range(3), bounds=(-1, 2))
    network = random_network(0, inputs=(TensorSpec("point", (3,)),))
    m.nn = ReluNetworkBlock(network=network, inputs=INPUT_FORMS[form](m))
    assert all(m.nn.inputs[i] is m.x[i] for i in range(3))
    assert m.nn.component("input_links") is None


def test_several_named_tensors_are_concatenated_row_by_row():
    specs = (TensorSpec("flag", ()), TensorSpec("image", (2, 2)))
    network = random_network(0, sizes=(5, 4, 1), inputs=specs)
    m = pyo.ConcreteModel()
    m.flag = pyo.Var()
    m.pixel = pyo.Var([0, 1], [0, 1])
    m.a = ReluNetworkBlock(network=network, inputs={"image": m.pixel, "flag": m.flag})
    m.b = ReluNetworkBlock(
        network=network, inputs={"flag": m.flag, **{("image", index): m.pixel[index] for index in m.pixel}}
    )
    for block in (m.a, m.b):
        assert [block.inputs[i].name for i in range(5)] == [
            "flag",
            "pixel[0,0]",
            "pixel[0,1]",
            "pixel[1,0]",
            "pixel[1,1]",
        ]


def test_scalar_variable_and_named_outputs():
    network = random_network(0, sizes=(1, 3, 2), outputs=(TensorSpec("cost", ()), TensorSpec("risk", ())))
    m = pyo.ConcreteModel()
    m.x, m.cost, m.risk = pyo.Var(bounds=(0, 1)), pyo.Var(), pyo.Var()
    m.nn = ReluNetworkBlock(network=network, inputs=m.x, outputs={"risk": m.risk, "cost": m.cost})
    assert m.nn.inputs[0] is m.x
    assert m.nn.outputs[0] is m.cost
    assert m.nn.outputs[1] is m.risk
    assert m.cost.bounds == (None, None), "bounds of the user's variables are the user's"


def test_expressions_and_numbers_are_linked_by_rows():
    m = pyo.ConcreteModel()
    m.x = pyo.Var(range(3))
    m.p = pyo.Param(initialize=2.0, mutable=True)
    m.total = pyo.Var()
    m.nn = ReluNetworkBlock(
        network=random_network(0),
        inputs=[m.x[0] + 2 * m.x[1], m.x[2], m.p],
        outputs=[3 * m.total, m.x[0]],
        input_bounds=(0, 5),
    )
    assert m.nn.inputs[1] is m.x[2]
    assert m.nn.outputs[1] is m.x[0]
    assert m.nn.inputs[0].bounds == (0, 5)
    assert sorted(m.nn.input_links) == [0, 2]
    assert sorted(m.nn.output_links) == [0]
    assert list(m.nn.input_domain) == [1]
    set_values(m.x, [1.0, 4.0, 7.0])
    m.nn.inputs[0].value, m.nn.inputs[2].value, m.total.value = 8.0, 2.5, 1.0
    m.nn.outputs[0].set_value(2.0, skip_validation=True)
    assert pyo.value(m.nn.input_links[0].body) == -1.0
    assert pyo.value(m.nn.input_links[2].body) - m.nn.input_links[2].ub == 0.5
    assert pyo.value(m.nn.output_links[0].body) == -1.0
    assert m.nn.input_domain[1].slack() == -2.0


def test_a_reference_is_not_met_twice_by_walkers():
    m = model_with()
    m.other = ReluNetworkBlock(network=random_network(0), inputs=m.x, outputs=m.y)
    found = list(m.component_data_objects(pyo.Var))
    assert len(found) == len({id(variable) for variable in found}) == 10
    m.other.inputs.fix(1.0)
    assert all(variable.fixed for variable in m.x.values())
    assert m.other.outputs.extract_values() == {0: None, 1: None}


# --- bounds -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "given_bounds",
    [
        (0, 1),
        (np.array(0.0), np.float32(1)),
        [(0, 1)] * 3,
        [np.array([0, 1])] * 3,
        np.array([[0, 1]] * 3),
        (np.zeros(3), np.ones(3)),
        ([0, 0, 0], [1, 1, 1]),
        {0: (0, 1), 1: (0, 1), 2: (0, 1)},
        {"point": (0, 1)},
        {"point": (np.zeros(3), np.ones(3))},
    ],
)
def test_forms_of_input_bounds(given_bounds):
    network = random_network(0, inputs=(TensorSpec("point", (3,)),))
    m = model_with(network, input_bounds=given_bounds)
    assert m.nn.input_bounds == {0: (0, 1), 1: (0, 1), 2: (0, 1)}


def test_input_bounds_over_variables_of_the_user_are_rows():
    m = pyo.ConcreteModel()
    m.x = pyo.Var(range(3), bounds=(-1, 2))
    m.nn = ReluNetworkBlock(
        network=random_network(0), inputs=m.x, input_bounds={0: (0, None), 1: (None, 9), 2: (None, None)}
    )
    assert m.x[0].bounds == (-1, 2)
    assert sorted(m.nn.input_domain) == [0, 1]
    assert m.nn.input_bounds == {0: (0, 2), 1: (-1, 2), 2: (-1, 2)}


def test_two_inputs_have_pairs_of_bounds():
    network = random_network(0, sizes=(2, 4, 1))
    for given_bounds in ([(0, 1), (2, 3)], np.array([[0, 1], [2, 3]])):
        assert model_with(network, inputs=None, input_bounds=given_bounds).nn.input_bounds == {0: (0, 1), 1: (2, 3)}
    with pytest.raises(ModelError, match=r"block 'nn': two arrays .* may be pairs .* give one array, .*column_stack"):
        model_with(network, inputs=None, input_bounds=(np.array([0, 1]), np.array([2, 3])))


def test_later_values_of_mutable_bounds_hold():
    m = pyo.ConcreteModel()
    m.limit = pyo.Param(initialize=1.0, mutable=True)
    m.x = pyo.Var(range(3), bounds=(0, 4))
    m.rows = ReluNetworkBlock(network=random_network(0), inputs=m.x, input_bounds=(0, m.limit))
    m.own = ReluNetworkBlock(network=random_network(0), input_bounds={0: (-m.limit, 2), 1: (0, 1), 2: (None, None)})
    for model in (m, m.clone()):
        model.limit.set_value(0.25)
        assert model.rows.input_bounds == dict.fromkeys(range(3), (0, 0.25))
        assert model.own.input_bounds == {0: (-0.25, 2), 1: (0, 1), 2: (None, None)}
        assert model.rows.input_domain[2].ub == 0.25
        model.limit.set_value(3)
        assert model.rows.input_bounds == dict.fromkeys(range(3), (0, 3))


def test_fixed_inputs_and_integer_domains_are_in_the_box():
    m = model_with(inputs=None, input_bounds=(0, 1))
    m.nn.inputs[1].fix(0.25)
    m.nn.inputs[2].domain = pyo.Binary
    lower, upper = m.nn.input_box()
    np.testing.assert_array_equal(lower, [0, 0.25, 0])
    np.testing.assert_array_equal(upper, [1, 0.25, 1])


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10**6))
def test_output_bounds_hold_all_values(seed):
    rng = np.random.default_rng(seed)
    network = random_network(seed)
    scaling = {"inputs": (rng.normal(size=3), rng.uniform(0.1, 3, 3)), "outputs": (rng.normal(), rng.uniform(0.1, 3))}
    m = pyo.ConcreteModel()
    m.nn = ReluNetworkBlock(network=network, input_bounds=(-1, 2), scaling=scaling)
    values = m.nn.scaled_network.value(rng.uniform(-1, 2, size=(100, 3)))
    for j in range(2):
        assert m.nn.outputs[j].lb <= values[:, j].min()
        assert m.nn.outputs[j].ub >= values[:, j].max()


def test_output_bounds_follow_the_inputs_on_request_but_never_overrule_the_user():
    m = model_with(input_bounds=(0, 1))
    narrow = m.nn.outputs[0].bounds
    m.nn.outputs[1].setub(100.0)
    m.nn.inputs.setub(2.0)
    assert m.nn.outputs[0].bounds == narrow
    assert m.nn.has_automatic_bounds(0) == (True, True)
    assert m.nn.has_automatic_bounds(1) == (True, False)
    m.nn.inputs.setlb(-1.0)
    other = m.nn.outputs[1].lb
    assert m.nn.refresh_output_bounds()
    assert m.nn.outputs[0].ub > narrow[1]
    assert m.nn.outputs[1].lb < other
    assert m.nn.outputs[1].ub == 100.0
    assert m.nn.has_automatic_bounds(0) == (True, True)
    assert not m.nn.refresh_output_bounds()


def test_without_bounds_of_the_inputs_outputs_are_unbounded():
    m = pyo.ConcreteModel()
    m.nn = ReluNetworkBlock(network=Network.from_layers([[[1.0]], [[1.0]]], [[0.0], [0.0]]))
    assert m.nn.outputs[0].ub is None
    assert m.nn.outputs[0].lb is None or m.nn.outputs[0].lb <= 0


# --- scaling ----------------------------------------------------------------------------------------------------

OFFSETS = ([0.3, -2.0, 1e3], [2.0, 0.7, 1e-3], [5.0, -1e4], [10.0, 0.1])


def scaled_value(network, x):
    xo, xf, yo, yf = (np.array(part) for part in OFFSETS)
    return yo + yf * network.value(((x - xo) / xf)[None, :])[0]


@pytest.mark.parametrize("form", ["omlt", "mapping", "mapping of mappings"])
def test_scaling_is_that_of_omlt(form):
    xo, xf, yo, yf = OFFSETS
    forms = {
        "omlt": OffsetScaling(xo, xf, yo, yf),
        "mapping": {"inputs": (xo, xf), "outputs": (yo, yf)},
        "mapping of mappings": {"inputs": (dict(enumerate(xo)), dict(enumerate(xf))), "outputs": (yo, yf)},
    }
    network = random_network(3)
    m = model_with(network, scaling=forms[form])
    x = np.array([1.0, -1.5, 1000.002])
    set_values(m.nn.inputs, x)
    np.testing.assert_allclose(m.nn.scaled_network.value(x[None, :])[0], scaled_value(network, x), rtol=1e-9)
    set_values(m.nn.outputs, scaled_value(network, x))
    assert m.nn.get_error() == 0.0
    expected = (x - xo) / np.array(xf)
    np.testing.assert_array_equal([pyo.value(m.nn.scaled_inputs[i]) for i in range(3)], expected)
    scaled_outputs = [pyo.value(m.nn.scaled_outputs[j]) for j in range(2)]
    np.testing.assert_allclose(scaled_outputs, network.value(expected[None, :])[0], rtol=1e-9)
    assert m.nn.network is network
    for name, values in zip(("input_offset", "input_factor", "output_offset", "output_factor"), OFFSETS, strict=True):
        np.testing.assert_array_equal(getattr(m.nn.scaling, name), values)


class Shifting:
    """A scaling object of OMLT's interface with the two methods that it demands."""

    def get_scaled_input_expressions(self, x):
        return {k: self.scale(x[k]) for k in x}

    def get_unscaled_output_expressions(self, y):
        return {k: 3 * y[k] + 1 for k in y}

    def scale(self, x):
        return (x - 300) / 50


@pytest.mark.parametrize("names", [(), ("a", "b")])
def test_scaling_object_with_the_demanded_methods_alone(names):
    network = Network.from_layers([[[1.0, -1.0]]], [[0.5]]).with_names(names, ())
    m = model_with(network, scaling=Shifting())
    assert m.nn.scaling.input_offset.tolist() == [300, 300]
    assert m.nn.scaling.input_factor.tolist() == [50, 50]
    assert (m.nn.scaling.output_offset.tolist(), m.nn.scaling.output_factor.tolist()) == ([1], [3])


@pytest.mark.parametrize(
    ("scale", "reason"),
    [
        (lambda x: max(x, 250.0), "cannot be applied to variables"),
        (lambda x: np.clip(x, 250.0, 700.0), "cannot be applied to variables"),
        (lambda x: float(x) / 3, "cannot be applied to variables"),
        (lambda x: pyo.Expr_if(x >= 250, x, 250), "the scaling of entry 0 is not an offset and a positive factor"),
        (lambda x: pyo.log(1 + x), "the scaling of entry 0 is not"),
        (lambda x: x**3, "the scaling of entry 0 is not"),
        (lambda x: abs(x), "the scaling of entry 0 is not"),
        (lambda x: -x, "the scaling of entry 0 is not"),
        (lambda x: 5.0, "the scaling of entry 0 is not"),
    ],
)
def test_scaling_object_that_is_not_affine(scale, reason):
    given = Shifting()
    given.scale = scale
    with pytest.raises(ModelError, match=reason):
        model_with(Network.from_layers([[[1.0, -1.0]]], [[0.5]]), scaling=given)


def test_scaling_object_that_contradicts_itself():
    given = Shifting()
    given.get_unscaled_input_expressions = lambda x: {k: 50 * x[k] + 299 for k in x}
    with pytest.raises(ModelError, match="contradicts itself: get_unscaled_input_expressions does not undo"):
        model_with(Network.from_layers([[[1.0, -1.0]]], [[0.5]]), scaling=given)


def test_without_scaling_scaled_values_are_the_values():
    m = model_with(inputs=None)
    set_values(m.nn.inputs, [1, 2, 3])
    assert [pyo.value(m.nn.scaled_inputs[i]) for i in range(3)] == [1, 2, 3]
    assert m.nn.scaled_network is m.nn.network
    assert m.nn.scaling is None


def test_blocks_with_equal_scaling_share_the_folded_network():
    network = random_network(0)
    m = pyo.ConcreteModel()
    m.nn = ReluNetworkBlock([1, 2], rule=lambda b, i: b.build(network, scaling={"inputs": (1.0, [2.0, 2.0, 2.0])}))
    m.other = ReluNetworkBlock(network=network, scaling={"inputs": (1.0, 3.0)})
    assert m.nn[1].scaled_network is m.nn[2].scaled_network
    assert m.nn[1].scaled_network is not m.other.scaled_network


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10**6), sparsely=st.booleans(), single=st.booleans())
def test_fold_scaling_agrees_with_scaling_by_hand(seed, sparsely, single):
    rng = np.random.default_rng(seed)
    dtype = np.float32 if single else np.float64

    def weight(rows, columns):
        dense = rng.normal(size=(rows, columns)).astype(dtype)
        return sparse.csr_array(dense * (rng.random(dense.shape) < 0.5)) if sparsely else dense

    bias = lambda rows: rng.normal(size=rows).astype(dtype)  # noqa: E731
    layers = (
        Layer((0,), (weight(4, 3),), bias(4)),
        Layer((0, 1), (weight(5, 3), weight(5, 4)), bias(5)),
        Layer((), (), bias(2)),
        Layer((0, 2, 3), (weight(2, 3), weight(2, 5), weight(2, 2)), bias(2)),
    )
    network = Network(3, layers, name="branches")
    xo, xf, yo, yf = rng.normal(size=3), rng.uniform(0.5, 2, 3), rng.normal(size=2), rng.uniform(0.5, 2, 2)
    folded = fold_scaling(network, xo, xf, yo, yf)
    X = rng.normal(size=(20, 3))
    tolerance = 1e-4 if single else 1e-11
    expected = yo + yf * network.astype(np.float64).value((X - xo) / xf)
    np.testing.assert_allclose(folded.value(X), expected, rtol=tolerance, atol=tolerance)
    assert (folded.dtype, folded.name, folded.widths) == (np.dtype(dtype), "branches", network.widths)


def test_fold_scaling_refuses_bad_factors_and_sizes():
    network = random_network(0)
    ones, twos = np.ones(3), np.ones(2)
    with pytest.raises(NetworkValueError, match="a factor that is not positive and finite"):
        fold_scaling(network, ones, np.array([1.0, 0.0, 1.0]), twos, twos)
    with pytest.raises(NetworkValueError, match="the output scaling has 3 offsets and 2 factors: give 2"):
        fold_scaling(network, ones, ones, ones, twos)


# --- indexed blocks and abstract models -------------------------------------------------------------------------


def by_rule(model, t):
    return model.x[t, :]


def test_indexed_block_with_rules_mappings_and_constants():
    network = random_network(0)
    m = pyo.ConcreteModel()
    m.T = pyo.Set(initialize=[1, 2])
    m.x = pyo.Var(m.T, range(3), bounds=(0, 1))
    m.a = ReluNetworkBlock(m.T, network=network, inputs=by_rule)
    m.b = ReluNetworkBlock(m.T, network={1: network, 2: random_network(1)}, inputs={t: m.x[t, :] for t in m.T})
    m.c = ReluNetworkBlock(m.T, ["k"], network=network, input_bounds=(0, 1), scaling={"inputs": (0.0, 2.0)})
    assert m.a[2].inputs[1] is m.x[2, 1]
    assert m.b[1].inputs[0] is m.x[1, 0]
    assert m.b[1].network is m.a[1].network is m.a[2].network
    assert m.b[2].network is not network
    assert m.c[1, "k"].scaled_network is m.c[2, "k"].scaled_network
    assert [block.name for block in unexpanded_blocks(m)] == ["a[1]", "a[2]", "b[1]", "b[2]", "c[1,k]", "c[2,k]"]


def test_indexed_block_reads_a_file_once(tmp_path):
    path = tmp_path / "small.onnx"
    path.write_bytes(onnx_bytes())
    m = pyo.ConcreteModel()
    m.nn = ReluNetworkBlock([1, 2], network=str(path))
    m.one = ReluNetworkBlock(network=path)
    m.two = ReluNetworkBlock(network=path.read_bytes())
    assert m.nn[1].network is m.nn[2].network
    for block in (m.one, m.two):
        np.testing.assert_array_equal(block.network.value([[3.0]]), m.nn[1].network.value([[3.0]]))


def onnx_bytes():
    graph = helper.make_graph(
        [helper.make_node("Gemm", ["x", "W"], ["h"]), helper.make_node("Relu", ["h"], ["y"])],
        "small",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [None, 1])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [None, 2])],
        [numpy_helper.from_array(np.array([[2.0, -2.0]], np.float32), "W")],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8).SerializeToString()


@pytest.mark.parametrize("name", ["omlt/keras_linear_131_relu.onnx", "marabou/fc_2-2-3.onnx", "marabou/fc1.onnx"])
def test_outputs_are_those_of_onnxruntime_on_real_files(name):
    path = Path(__file__).parents[2] / "shared" / "networks" / name
    if not path.exists():
        pytest.skip("the folder of networks is not here")
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    (spec,) = session.get_inputs()
    m = pyo.ConcreteModel()
    m.nn = ReluNetworkBlock(network=path, input_bounds=(-1, 1))
    x = np.random.default_rng(0).uniform(-1, 1, m.nn.network.n_inputs).astype(np.float32)
    shape = [size if isinstance(size, int) else 1 for size in spec.shape]
    expected = np.concatenate([part.ravel() for part in session.run(None, {spec.name: x.reshape(shape)})])
    set_values(m.nn.inputs, x)
    set_values(m.nn.outputs, expected)
    assert m.nn.get_error() <= 1e-5 * max(1.0, np.abs(expected).max())
    for j, equation in m.nn.network_equations.items():
        assert pyo.value(equation.expr.arg(1)) == pytest.approx(expected[j], rel=1e-5, abs=1e-5)
        assert m.nn.outputs[j].lb <= expected[j] <= m.nn.outputs[j].ub


def test_rule_with_build():
    network = random_network(0)
    m = pyo.ConcreteModel()
    m.x = pyo.Var([1, 2], range(3))

    def rule(block, t):
        block.build(network=network, inputs=m.x[t, :])
        block.cap = pyo.Constraint(expr=block.outputs[0] <= 3)

    m.nn = ReluNetworkBlock([1, 2], rule=rule)
    assert m.nn[2].inputs[0] is m.x[2, 0]
    assert m.nn[1].cap.active


@pytest.mark.parametrize("seed", [0, 1])
def test_abstract_models(seed):
    network = random_network(seed)
    am = pyo.AbstractModel()
    am.T = pyo.Set(initialize=[1, 2])
    am.x = pyo.Var(am.T, range(3), bounds=(0, 1))
    am.y = pyo.Var(range(3), bounds=(0, 1))
    am.by_keyword = ReluNetworkBlock(am.T, network=network, inputs=by_rule)
    am.by_rule = ReluNetworkBlock(am.T, rule=lambda b, t: b.build(network, inputs=b.model().x[t, :]))
    am.scalar = ReluNetworkBlock(network=network, inputs=am.y)
    am.function = ReluNetworkBlock(network=network, inputs=lambda model: model.y)
    first, second = am.create_instance(), am.create_instance()
    for m in (first, second):
        assert m.by_keyword[2].inputs[0] is m.x[2, 0]
        assert m.by_rule[1].inputs[2] is m.x[1, 2]
        assert m.scalar.inputs[1] is m.y[1]
        assert m.function.inputs[1] is m.y[1]
        assert m.scalar.network is network
        assert m.scalar.outputs[0].lb is not None


def test_a_block_built_later():
    m = pyo.ConcreteModel()
    m.nn = ReluNetworkBlock()
    assert not m.nn.is_built
    assert list(unexpanded_blocks(m)) == []
    with pytest.raises(ModelError, match=r"network block 'nn' has no network yet: call build"):
        m.nn.network  # noqa: B018 - the access is what raises
    m.nn.build(random_network(0))
    assert m.nn.is_built
    with pytest.raises(ModelError, match="network block 'nn' already has a network"):
        m.nn.build(random_network(0))


# --- what a built block knows -----------------------------------------------------------------------------------


def test_get_error_compares_with_the_original_network():
    network = random_network(0)
    m = model_with(network)
    set_values(m.nn.inputs, [1.0, -2.0, 0.5])
    set_values(m.nn.outputs, network.value([[1.0, -2.0, 0.5]])[0] + [0.0, 0.125])
    assert m.nn.get_error() == pytest.approx(0.125, abs=1e-12)
    m.nn.outputs[1].value = None
    with pytest.raises(ModelError, match=r"variable 'nn.outputs\[1\]' has no value: solve the model first"):
        m.nn.get_error()


def test_get_error_sees_the_expressions_of_inputs():
    network = random_network(0)
    m = pyo.ConcreteModel()
    m.x = pyo.Var(range(3), initialize=0.5)
    m.nn = ReluNetworkBlock(network=network, inputs=[2 * m.x[0], m.x[1], m.x[2]])
    m.nn.inputs[0].value = 1.0
    set_values(m.nn.outputs, network.value([[1.0, 0.5, 0.5]])[0])
    assert m.nn.get_error() == pytest.approx(0.0, abs=1e-12)
    m.x[0].value = 0.75
    moved = np.abs(network.value([[1.5, 0.5, 0.5]]) - network.value([[1.0, 0.5, 0.5]])).max()
    assert m.nn.get_error() == pytest.approx(moved, abs=1e-12)
    m.x[0].value = None
    with pytest.raises(ModelError, match=r"variable 'nn\.linked_inputs\[0\]' has no value: solve the model first"):
        m.nn.get_error()


def test_print_stats(capsys):
    network = Network.from_layers([[[1.0], [1.0], [1.0]], [[1.0, 1.0, 1.0]]], [[5.0, -5.0, 0.0], [0.0]], name="toy")
    m = pyo.ConcreteModel()
    m.nn = ReluNetworkBlock(network=network, input_bounds=(-1, 1))
    expected = [
        ["Network", "block", "'nn':", "toy"],
        ["1", "input,", "1", "output"],
        ["layer", "shape", "weights", "relus", "active", "inactive", "unstable"],
        ["1", "1", "->", "3", "3", "3", "1", "1", "1"],
        ["output", "3", "->", "1", "3"],
        ["total", "6", "3", "1", "1", "1"],
    ]
    stream = io.StringIO()
    m.nn.print_stats(file=stream)
    assert [line.split() for line in stream.getvalue().splitlines()] == expected
    m.nn.inputs[0].fix(0.5)
    m.nn.print_stats()
    assert capsys.readouterr().out.splitlines()[3].split()[-3:] == ["2", "1", "0"], "a fixed input decides all ReLUs"


def test_clone_shares_the_network_and_nothing_else():
    m = model_with(inputs=None, input_bounds=(0, 1), scaling={"inputs": (0.0, 2.0)})
    m.other = ReluNetworkBlock(network=m.nn.network, inputs=m.x)
    copy = m.clone()
    assert copy.nn.network is m.nn.network
    assert copy.nn.scaled_network is m.nn.scaled_network
    assert copy.nn.inputs[0] is not m.nn.inputs[0]
    assert copy.other.inputs[0] is copy.x[0]
    copy.nn.inputs[0].setub(9)
    assert m.nn.inputs[0].ub == 1
    assert m.nn.clone().network is m.nn.network


def test_pickle():
    m = model_with(inputs=None, input_bounds=(0, 1), scaling={"inputs": (0.5, 2.0)})
    m.many = ReluNetworkBlock([1, 2], network=m.nn.network, inputs={1: m.x, 2: [m.x[0], m.x[1] + m.x[2], 1.0]})
    copy = pickle.loads(pickle.dumps(m))
    X = np.random.default_rng(0).normal(size=(5, 3))
    np.testing.assert_array_equal(copy.nn.scaled_network.value(X), m.nn.scaled_network.value(X))
    assert copy.many[1].inputs[2] is copy.x[2]
    assert copy.many[1].network is copy.nn.network
    assert isinstance(copy.many[2], ReluNetworkBlockData)
    copy.nn.refresh_output_bounds()
    assert copy.nn.outputs[0].bounds == m.nn.outputs[0].bounds
    assert [block.name for block in unexpanded_blocks(copy)] == ["nn", "many[1]", "many[2]"]


def test_a_large_block_keeps_its_expressions_small():
    network = random_network(0, sizes=(784, 64, 10))
    m = pyo.ConcreteModel()
    m.nn = ReluNetworkBlock(network=network, input_bounds=(0, 1))
    arguments = {id(equation.expr.arg(1)._args_) for equation in m.nn.network_equations.values()}
    assert len(arguments) == 1, "the outputs share one tuple of inputs"
    assert len(str(m.nn.network_equations[0].expr)) < 300


# --- messages ---------------------------------------------------------------------------------------------------

NAMED = random_network(0, inputs=(TensorSpec("left", (1,)), TensorSpec("right", (2,))))

FREE = pyo.Var(name="x", initialize=1.0)
FREE.construct()
MUTABLE = pyo.Param(name="p", initialize=1.0, mutable=True)
MUTABLE.construct()

REFUSALS = {
    "too few": ({"inputs": [1.0, 2.0]}, r"network block 'nn': the network has 3 inputs, but 2 were given"),
    "too many outputs": ({"outputs": [1.0] * 4}, r"the network has 2 outputs, but 4 were given"),
    "no such name": ({"inputs": {"wrong": 1.0}}, r"has no input 'wrong'; it has 0 to 2, 'left' of shape \(1,\)"),
    "no such position": ({"inputs": {7: 1.0}}, r"has no input 7; it has 0 to 2"),
    "no such index": ({"inputs": {("right", 2): 1.0}}, r"has no input \('right', 2\)"),
    "no such multi-index": ({"inputs": {("right", (0, 0)): 1.0}}, r"has no input \('right', \(0, 0\)\)"),
    "given twice": ({"inputs": {"left": 1.0, 0: 2.0, "right": [1.0, 2.0]}}, r"input 0 is given twice"),
    "missing": ({"inputs": {"left": 1.0}}, r"2 of the network's 3 inputs are not given, 1, 2"),
    "wrong number in tensor": (
        {"inputs": {"left": 1.0, "right": [1.0]}},
        r"input 'right' has 2 entries, and 1 were given",
    ),
    "text": ({"inputs": ["a", 1.0, 2.0]}, r"input 0 is 'a'"),
    "no number": ({"inputs": [1.0, float("nan"), 2.0]}, r"input 1 is nan, no finite number"),
    "array of no dimension": ({"inputs": [np.array(np.inf), 1.0, 2.0]}, r"input 0 is inf, no finite number"),
    "not iterable": ({"inputs": object()}, r"the network has 3 inputs, but 1 were given"),
    "crossed bounds": ({"input_bounds": (2, 1)}, r"the bounds of input 0 are empty, lower 2, upper 1"),
    "nan bound": ({"input_bounds": (float("nan"), 1)}, r"the bounds of input 0 are empty"),
    "bounds count": ({"input_bounds": [(0, 1)] * 4}, r"the network has 3 inputs, but 4 bounds were given"),
    "bounds form": ({"input_bounds": [(0, 1), (0, 1), 3]}, r"the bounds of input 2 are 3: give a pair"),
    "list in a bound": ({"input_bounds": (np.zeros(3), 1)}, r"the bounds of input 0 hold \[0\. 0\. 0\.\]"),
    "text in a bound": (
        {"input_bounds": ("low", 1)},
        r"the bounds of input 0 hold low",
    ),
    "variable in a bound": ({"input_bounds": (0, FREE)}, r"the bounds of input 0 hold x: .* as a constraint"),
    "scaling that changes": (
        {"scaling": {"inputs": (MUTABLE, 1)}},
        r"the scaling of inputs holds p, which is no number or may change: .*pyo\.value\(\.\.\.\) of a parameter",
    ),
    "scaling type": ({"scaling": 3.0}, r"scaling is 3\.0: give omlt\.OffsetScaling"),
    "scaling keys": ({"scaling": {"input": (0, 1)}}, r"scaling has the key 'input' \(is 'inputs' meant\?\)"),
    "scaling pair": ({"scaling": {"inputs": 3}}, r"scaling of inputs is 3"),
    "scaling size": ({"scaling": {"inputs": ([0, 0], 1)}}, r"the input offset has shape \(2,\)"),
    "scaling sign": ({"scaling": {"outputs": (0, -1)}}, r"are 0\.0 and -1\.0 for output 0"),
    "omlt scaling size": ({"scaling": OffsetScaling([0], [1], [0], [1])}, r"does not have the inputs 0 to 2"),
}


@pytest.mark.parametrize("case", REFUSALS)
def test_refusals_name_the_block_and_the_fault(case):
    arguments, message = REFUSALS[case]
    m = pyo.ConcreteModel()
    m.nn = ReluNetworkBlock()
    with pytest.raises(ModelError, match=message) as caught:
        m.nn.build(NAMED, **arguments)
    assert str(caught.value).startswith("network block 'nn': ")
    assert not m.nn.is_built
    assert len(list(m.nn.component_objects())) == 0, "a refused build leaves nothing behind"


def test_an_empty_expression_is_named():
    m = pyo.ConcreteModel()
    m.x = pyo.Var()
    m.e = pyo.Expression()
    with pytest.raises(ModelError, match="input 2 holds the expression 'e', which is empty"):
        m.nn = ReluNetworkBlock(network=NAMED, inputs=[m.x, m.x, m.x + m.e])


def test_refusals_of_keywords(caplog):
    m = pyo.ConcreteModel()
    with pytest.raises(ModelError, match="takes network or rule, not both"):
        m.nn = ReluNetworkBlock(network=NAMED, rule=lambda b: None)
    with pytest.raises(ModelError, match="ReluNetworkBlock has inputs or outputs, but no network"):
        m.nn = ReluNetworkBlock(inputs=[1.0])
    with pytest.raises(ModelError, match=r"network block 'indexed\[2\]': inputs has no entry for the block's index 2"):
        m.indexed = ReluNetworkBlock([1, 2], network=NAMED, inputs={1: [1.0, 2.0, 3.0]})
    with pytest.raises(ModelError, match=r"the network is a dict: give a Network, a path"):
        m.wrong = ReluNetworkBlock(network={1: NAMED})
    with pytest.raises(
        ModelError,
        match=r"ReluNetworkBlock has no argument 'input' \(is 'inputs' meant\?\): give",
    ):
        m.misspelt = ReluNetworkBlock(network=NAMED, input=[1.0, 2.0, 3.0])
    with pytest.raises(ModelError, match=r"no argument 'input'"):
        m.each = ReluNetworkBlock([1, 2], network=NAMED, input=[1.0, 2.0, 3.0])
    with pytest.raises(NetworkFileNotFoundError, match=r"nowhere\.onnx"):
        m.missing = ReluNetworkBlock(network="nowhere.onnx")


def test_concrete_blocks_and_pickling_of_blocks_built_with_functions():
    block = ReluNetworkBlock(network=NAMED, input_bounds=(0, 1), concrete=True)
    assert block.outputs[0].ub is not None
    m = pyo.ConcreteModel()
    m.x = pyo.Var(range(3))
    m.nn = ReluNetworkBlock([1, 2], network=NAMED, inputs=lambda model, t: model.x)
    copy = pickle.loads(pickle.dumps(m))
    assert copy.nn[2].inputs[1] is copy.x[1]


# --- index sets that grow ---------------------------------------------------------------------------------------


def rows_of(model, t):
    return [model.x[t, k] for k in range(3)]


GROWING = {
    "function": lambda m: rows_of,
    "anonymous function": lambda m: lambda model, t: rows_of(model, t),
    "mapping": lambda m: {t: rows_of(m, t) for t in (1, 2, 3)},
    "slice": lambda m: m.x[3, :],
    "generator": lambda m: (m.x[3, k] for k in range(3)),
    "values": lambda m: {k: m.x[3, k] for k in range(3)}.values(),
    "reference": lambda m: pyo.Reference(m.x[3, :]),
}
COPIES = {
    "itself": lambda m: m,
    "clone": lambda m: m.clone(),
    "pickle": lambda m: pickle.loads(pickle.dumps(m)),
    "both": lambda m: pickle.loads(pickle.dumps(m.clone())).clone(),
}


@pytest.mark.parametrize("copied", COPIES)
@pytest.mark.parametrize("form", GROWING)
def test_indices_that_join_the_set_later_get_their_network(form, copied):
    m = pyo.ConcreteModel()
    m.t = pyo.Set(initialize=[1, 2])
    m.x = pyo.Var([1, 2, 3], range(3), bounds=(0, 1))
    m.nn = ReluNetworkBlock(m.t, network=NAMED, inputs=GROWING[form](m))
    m = COPIES[copied](m)
    m.t.add(3)
    if form == "anonymous function" and copied in ("pickle", "both"):  # pickle cannot keep it
        with pytest.raises(ModelError, match=r"'nn\[3\]': the function given as inputs was left out .* top level"):
            m.nn[3].network  # noqa: B018 - the block is built by being asked for
        return
    assert [variable.name for variable in m.nn[3].inputs.values()] == ["x[3,0]", "x[3,1]", "x[3,2]"]
    assert all(variable.model() is m for variable in m.nn[3].inputs.values())
    assert m.nn[3].network is m.nn[1].network
    assert sum(1 for _ in unexpanded_blocks(m)) == 3


def test_an_index_that_joins_later_and_was_not_given_is_named():
    m = pyo.ConcreteModel()
    m.t = pyo.Set(initialize=[1])
    m.x = pyo.Var(range(3))
    m.nn = ReluNetworkBlock(m.t, network=NAMED, inputs={1: m.x})
    m.t.add(2)
    with pytest.raises(ModelError, match=r"network block 'nn\[2\]': inputs has no entry for the block's index 2"):
        m.nn[2].network  # noqa: B018 - the block is built by being asked for


def test_inputs_may_be_a_list_of_one_component_for_each_tensor():
    m = pyo.ConcreteModel()
    m.u, m.v = pyo.Var(["c"], bounds=(0, 1)), pyo.Var(["b", "a"], bounds=(0, 1))
    m.nn = ReluNetworkBlock(network=NAMED, inputs=[m.u, m.v])
    assert [v.name for v in m.nn.inputs.values()] == ["u[c]", "v[b]", "v[a]"]
    with pytest.raises(ModelError, match="input 'left' has 1 entries, and 2 were given"):
        m.turned = ReluNetworkBlock(network=NAMED, inputs=[m.v, m.u])
    network = Network.from_layers([[[1.0, 2.0]]], [[0.0]]).with_names(["a", "b"])
    m.only = ReluNetworkBlock(network=network, inputs=[m.v])
    assert [v.name for v in m.only.inputs.values()] == ["v[a]", "v[b]"]


class TestRowsOfComponents:
    """Of what is indexed by the block's index and more, each block has its own entries."""

    network = Network.from_layers([[[1.0, 2.0]], [[3.0]]], [[0.0], [1.0]])

    def test_entries_begin_with_the_index(self):
        m = pyo.ConcreteModel()
        m.x, m.y = pyo.Var("ab", [1, 2], bounds=(0, 1)), pyo.Var("ab")
        m.nn = ReluNetworkBlock("ab", network=self.network, inputs=m.x, outputs=m.y)
        assert [v.name for v in m.nn["b"].inputs.values()] == ["x[b,1]", "x[b,2]"]
        assert m.nn["b"].outputs[0] is m.y["b"]

    def test_names_count_in_any_order_and_others_are_left_out(self):
        m = pyo.ConcreteModel()
        m.x = pyo.Var([1, 2, 3], ["flow", "cost", "heat"], bounds=(0, 1))
        network = self.network.with_names(inputs=["heat", "flow"])
        m.nn = ReluNetworkBlock([1, 2, 3], network=network, inputs=m.x)
        assert [v.name for v in m.nn[2].inputs.values()] == ["x[2,heat]", "x[2,flow]"]

    def test_indices_may_be_pairs(self):
        m = pyo.ConcreteModel()
        m.x = pyo.Var([0, 1], [0, 1], [0, 1], bounds=(0, 1))
        m.nn = ReluNetworkBlock([0, 1], [0, 1], network=self.network, inputs=m.x)
        assert [v.name for v in m.nn[1, 0].inputs.values()] == ["x[1,0,0]", "x[1,0,1]"]

    def test_what_has_the_networks_size_stands_for_every_block(self):
        m = pyo.ConcreteModel()
        m.x = pyo.Var([0, 1], bounds=(0, 1))
        m.nn = ReluNetworkBlock([0, 1], network=self.network, inputs=m.x)
        assert [list(m.nn[k].inputs.values()) for k in (0, 1)] == [list(m.x.values())] * 2

    def test_rows_of_another_length_are_refused(self):
        m = pyo.ConcreteModel()
        m.x = pyo.Var([0, 1], range(3), bounds=(0, 1))
        with pytest.raises(ModelError, match="has 2 inputs, but 3 were given"):
            m.nn = ReluNetworkBlock([0, 1], network=self.network, inputs=m.x)

    @pytest.mark.parametrize("network", [network, network.with_names(["a", "b"])])
    def test_an_index_without_entries_is_named(self, network):
        m = pyo.ConcreteModel()
        m.x = pyo.Var([1, 2], ["a", "b"], bounds=(0, 1))
        with pytest.raises(ModelError, match=r"'nn\[3\]', inputs: .* other indices of the block, and none at 3"):
            m.nn = ReluNetworkBlock([1, 2, 3], network=network, inputs=m.x)

    @pytest.mark.parametrize("names", [("b", "c"), ("x", "a"), ("A", "B")])
    @pytest.mark.parametrize("kind", ["component", "series"])
    def test_other_names_are_refused_as_without_an_index(self, names, kind):
        m = pyo.ConcreteModel()
        m.x = pyo.Var([1, 2], names, bounds=(0, 1))
        given = m.x if kind == "component" else pd.Series({key: m.x[key] for key in m.x})
        with pytest.raises(ModelError, match="the keys are not the names of the network's inputs: missing"):
            m.nn = ReluNetworkBlock([1, 2], network=self.network.with_names(["a", "b"]), inputs=given)

    def test_tensors_count_by_name_in_any_order(self):
        network = replace(self.network, inputs=(TensorSpec("u", (1,)), TensorSpec("v", (1,))))
        m = pyo.ConcreteModel()
        m.x = pyo.Var([1, 2], ["v", "u"], [0], bounds=(0, 1))
        m.nn = ReluNetworkBlock([1, 2], network=network, inputs=m.x)
        assert [v.name for v in m.nn[2].inputs.values()] == ["x[2,u,0]", "x[2,v,0]"]

    def test_entries_that_are_made_anew_are_found(self):
        m = pyo.ConcreteModel()
        m.x = pyo.Var(pyo.Any, ["a", "b"], dense=False, bounds=(0, 1))
        m.x[1, "a"], m.x[1, "b"]
        m.nn = ReluNetworkBlock(pyo.Any, network=self.network.with_names(["a", "b"]), inputs=m.x)
        m.nn[1]
        del m.nn[1], m.x[1, "a"]
        m.x[1, "a"].setub(0.5)
        assert m.nn[1].inputs[0] is m.x[1, "a"]
