"""Names of inputs and outputs: whatever is given under names counts by name, in any order, or is refused."""

import copy
import io
import pickle
from collections import namedtuple

import numpy as np
import pyomo.environ as pyo
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from omlt.scaling import OffsetScaling
from onnx import TensorProto, helper
from onnx_models import weights
from random_networks import random_network

import pyomo_relugrad as relugrad
from pyomo_relugrad import DataHull, ReluNetworkBlock, maximize, minimize
from pyomo_relugrad.errors import ModelError, NetworkValueError
from pyomo_relugrad.network import (
    Network,
    TensorSpec,
    by_name,
    order_by_name,
    prune_weights,
    rescale_neurons,
    without_stable_neurons,
)
from pyomo_relugrad.network.building import fold_scaling, substitute_inputs

NAMES = ("temperature", "pressure", "flow", "recycle")
NETWORK = random_network([4, 7, 2], 3).with_names(NAMES, ("yield", "cost"))
POINT = np.array([0.3, -0.2, 0.9, 0.5])
VALUE = dict(zip(NAMES, POINT.tolist(), strict=True))

orders = st.permutations(NAMES)


def model(order):
    m = pyo.ConcreteModel()
    m.x = pyo.Var(order, initialize=VALUE, bounds=(-1, 1))
    m.t = pyo.Var([7], order, initialize={(7, name): VALUE[name] for name in order}, bounds=(-1, 1))
    m.p = pyo.Param(order, initialize=VALUE, mutable=True)
    m.e = pyo.Expression(order, initialize={name: m.x[name] + 0 for name in order})
    return m


Columns = namedtuple("Columns", NAMES)

KEYED_INPUTS = {
    "indexed variable": lambda m, order: m.x,
    "reference": lambda m, order: pyo.Reference(m.x),
    "slice": lambda m, order: m.t[7, :],
    "reference to a slice": lambda m, order: pyo.Reference(m.t[7, :]),
    "variable with names in one index": lambda m, order: m.t,
    "expression": lambda m, order: m.e,
    "parameter": lambda m, order: m.p,
    "dictionary": lambda m, order: {name: m.x[name] for name in order},
    "dictionary of sums": lambda m, order: {name: m.x[name] + 1 - 1 for name in order},
    "named tuple": lambda m, order: Columns(**{name: m.x[name] for name in NAMES}),
}


@pytest.mark.parametrize("form", KEYED_INPUTS)
@given(order=orders)
@settings(max_examples=8, deadline=None)
def test_inputs_under_names_count_by_name(form, order):
    m = model(order)
    m.nn = ReluNetworkBlock(network=NETWORK, inputs=KEYED_INPUTS[form](m, order))
    for link in m.nn.input_links.values() if m.nn.component("input_links") else ():
        variable, term = link.expr.args
        variable.set_value(pyo.value(term), skip_validation=True)
    assert [pyo.value(entry) for entry in m.nn.inputs.values()] == pytest.approx(POINT)
    for position, output in enumerate(m.nn.outputs.values()):
        output.set_value(float(NETWORK.value(POINT[None])[0, position]), skip_validation=True)
    assert m.nn.get_error() == pytest.approx(0.0, abs=1e-12)


@given(order=orders)
@settings(max_examples=8, deadline=None)
def test_a_series_counts_by_name(order):
    pandas = pytest.importorskip("pandas")
    m = model(NAMES)
    series = pandas.Series({name: m.x[name] for name in order})
    m.nn = ReluNetworkBlock(network=NETWORK, inputs=series)
    assert [entry.name for entry in m.nn.inputs.values()] == [f"x[{name}]" for name in NAMES]


def test_positions_and_sequences_stay_in_their_order():
    m = pyo.ConcreteModel()
    m.x = pyo.Var([3, 1, 0, 2])
    m.grid = pyo.Var([1, 0], [1, 0])
    m.a = ReluNetworkBlock(network=NETWORK, inputs=m.x)
    m.b = ReluNetworkBlock(network=NETWORK, inputs={3: m.x[0], 2: m.x[1], 1: m.x[2], 0: m.x[3]})
    m.c = ReluNetworkBlock(network=NETWORK, inputs=m.grid)
    m.d = ReluNetworkBlock(network=NETWORK, inputs=[m.x[0], m.x[1], m.x[2], m.x[3]])
    assert [v.name for v in m.a.inputs.values()] == ["x[3]", "x[1]", "x[0]", "x[2]"]
    assert [v.name for v in m.b.inputs.values()] == ["x[3]", "x[2]", "x[1]", "x[0]"]
    assert [v.name for v in m.c.inputs.values()] == ["grid[1,1]", "grid[1,0]", "grid[0,1]", "grid[0,0]"]
    assert [v.name for v in m.d.inputs.values()] == ["x[0]", "x[1]", "x[2]", "x[3]"]


MISMATCHES = {
    "missing": (["temperature", "pressure", "flow"], "missing 'recycle'. Give all 4 names"),
    "unknown": ([*NAMES, "time"], "unknown 'time'. Give"),
    "spelled otherwise": (
        ["Temperature", *NAMES[1:]],
        r"missing 'temperature'; unknown 'Temperature' \(is 'temper",
    ),
    "all others": (["a", "b", "c", "d"], "missing 'temperature', 'pressure', 'flow', 'recycle'; unknown 'a', 'b', 'c'"),
    "mixed with positions": (["temperature", 1, 2, 3], "missing 'pressure', 'flow', 'recycle'; unknown 1, 2, 3"),
    "outputs": (["yield", "cost"], "unknown 'yield', 'cost'"),
}


@pytest.mark.parametrize("case", MISMATCHES)
@pytest.mark.parametrize("form", ["dictionary", "indexed variable", "slice", "bounds", "scaling"])
def test_other_names_are_refused_with_what_is_missing_and_unknown(case, form):
    keys, message = MISMATCHES[case]
    m = pyo.ConcreteModel()
    m.x = pyo.Var(keys)
    m.nn = ReluNetworkBlock()
    arguments = {
        "dictionary": {"inputs": dict(m.x.items())},
        "indexed variable": {"inputs": m.x},
        "slice": {"inputs": m.x[:]},
        "bounds": {"input_bounds": dict.fromkeys(keys, (0, 1))},
        "scaling": {"scaling": {"inputs": (dict.fromkeys(keys, 0.0), 1.0)}},
    }
    with pytest.raises(ModelError, match=message) as caught:
        m.nn.build(NETWORK, **arguments[form])
    assert str(caught.value).startswith("network block 'nn': ")
    with pytest.raises(ModelError, match=message):
        maximize(NETWORK, {"yield": 1, "cost": 0}, dict.fromkeys(keys, 0.0), 1)


def test_names_in_one_index_must_be_all():
    m = pyo.ConcreteModel()
    m.x = pyo.Var([0, 1], NAMES[:2])
    with pytest.raises(ModelError, match="missing 'flow', 'recycle'; given twice 'temperature', 'pressure'"):
        m.nn = ReluNetworkBlock(network=NETWORK, inputs=m.x)


def test_without_names_a_component_is_taken_in_its_order_and_a_mapping_by_text_is_refused():
    network = NETWORK.with_names([])
    m = model(NAMES[::-1])
    m.nn = ReluNetworkBlock(network=network, inputs=m.x)
    assert [v.name for v in m.nn.inputs.values()] == [f"x[{name}]" for name in NAMES[::-1]]
    with pytest.raises(ModelError, match=r"no input 'recycle'; it has 0 to 3, without names: see Network.with_names"):
        m.other = ReluNetworkBlock(network=network, inputs=dict(m.x.items()))
    with pytest.raises(ModelError, match=r"lower has the keys .* have no names: give an array, or name them"):
        maximize(network, [1, 0], dict.fromkeys(NAMES, 0), 1)
    m.y = pyo.Var(["yield", "cost", "a", "b"])
    with pytest.raises(ModelError, match="are names of other parts of the network, not inputs"):
        m.wrong = ReluNetworkBlock(network=network, inputs=m.y)


@given(order=st.permutations(["yield", "cost"]))
def test_outputs_under_names_count_by_name(order):
    m = model(NAMES)
    m.y = pyo.Var(order)
    m.nn = ReluNetworkBlock(network=NETWORK, inputs=m.x, outputs=m.y)
    assert [v.name for v in m.nn.outputs.values()] == ["y[yield]", "y[cost]"]


@given(order=orders)
@settings(max_examples=8, deadline=None)
def test_bounds_and_scaling_under_names_count_by_name(order):
    pandas = pytest.importorskip("pandas")
    bounds = {name: (i, i + 1.5) for i, name in enumerate(NAMES)}
    expected = dict(enumerate(bounds.values()))
    low, high = ({name: bounds[name][side] for name in order} for side in (0, 1))
    for given_bounds in (
        {name: bounds[name] for name in order},
        (low, high),
        (pandas.Series(low), pandas.Series(high)),
        pandas.DataFrame([low, high], index=["min", "max"]),
    ):
        m = pyo.ConcreteModel()
        m.nn = ReluNetworkBlock(network=NETWORK, input_bounds=given_bounds)
        assert m.nn.input_bounds == expected
    offset, factor = dict(zip(NAMES, [1.0, 2.0, 3.0, 4.0], strict=True)), dict(zip(NAMES, [5, 6, 7, 8], strict=True))
    shuffled = [{name: values[name] for name in order} for values in (offset, factor)]
    outputs = [{"cost": 9.0, "yield": 10.0}, {"cost": 11.0, "yield": 12.0}]
    for scaling in (
        {"inputs": tuple(shuffled), "outputs": tuple(outputs)},
        {"inputs": tuple(map(pandas.Series, shuffled)), "outputs": tuple(map(pandas.Series, outputs))},
        OffsetScaling(*shuffled, *outputs),
    ):
        m = pyo.ConcreteModel()
        m.nn = ReluNetworkBlock(network=NETWORK, scaling=scaling)
        assert m.nn.scaling.input_offset.tolist() == [1, 2, 3, 4]
        assert m.nn.scaling.input_factor.tolist() == [5, 6, 7, 8]
        assert m.nn.scaling.output_offset.tolist() == [10, 9]
        assert m.nn.scaling.output_factor.tolist() == [12, 11]


@pytest.mark.parametrize("optimize", [maximize, minimize])
def test_arrays_of_maximize_count_by_name(optimize):
    pandas = pytest.importorskip("pandas")
    lower = dict(zip(NAMES, [-1.0, -0.5, 0.0, 0.25], strict=True))
    prices = dict(zip(NAMES, [0.1, -2.0, 3.0, 0.5], strict=True))
    row = dict(zip(NAMES, [1.0, 2.0, 3.0, 4.0], strict=True))
    limits = {"row_upper": 2.0, "iteration_limit": 100, "time_limit": float("inf")}
    plain = optimize(
        NETWORK, [1.0, -2.0], list(lower.values()), 1.0,
        input_objective=list(prices.values()), A=[list(row.values())], start=POINT * 0, **limits,
    )  # fmt: skip
    order = ["flow", "temperature", "recycle", "pressure"]
    named = optimize(
        NETWORK, {"cost": -2.0, "yield": 1.0}, pandas.Series(lower)[order], 1.0,
        input_objective={name: prices[name] for name in order}, A=pandas.DataFrame([row])[order],
        start=pandas.Series(dict.fromkeys(order, 0.0)), **limits,
    )  # fmt: skip
    assert named.value == plain.value
    assert named.x.tolist() == plain.x.tolist()


def test_rows_of_a_data_frame_count_by_name():
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame([VALUE, VALUE])
    shuffled = frame[["recycle", "flow", "pressure", "temperature"]]
    assert np.array_equal(NETWORK.value(shuffled), NETWORK.value(frame.to_numpy()))
    with pytest.raises(NetworkValueError, match="missing 'flow'; unknown 'Flow'"):
        NETWORK.value(frame.rename(columns={"flow": "Flow"}))


def test_names_survive_what_keeps_the_inputs():
    box = np.full(4, -1.0), np.full(4, 1.0)
    for kept in (
        pickle.loads(pickle.dumps(NETWORK)),
        copy.deepcopy(NETWORK),
        NETWORK.astype(np.float32),
        prune_weights(NETWORK, 0.3),
        rescale_neurons(NETWORK, *box),
        without_stable_neurons(NETWORK, *box),
        fold_scaling(NETWORK, np.zeros(4), np.ones(4), np.zeros(2), np.ones(2)),
    ):
        assert (kept.input_names, kept.output_names) == (NAMES, ("yield", "cost"))
    mapped = substitute_inputs(NETWORK, np.ones((4, 1)), np.zeros(4))
    assert (mapped.input_names, mapped.output_names) == ((), ("yield", "cost"))
    m = model(NAMES[::-1])
    m.nn = ReluNetworkBlock(network=NETWORK, inputs=m.x, scaling={"inputs": (0, 2)})
    for other in (m.clone(), pickle.loads(pickle.dumps(m))):
        assert other.nn.scaled_network.input_names == NAMES


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["a", "a", "b", "c"], "two inputs have the same name, 'a'"),
        (["a", "b"], "there are 2 names for the 4 inputs"),
        (["a", "b", "c", 4], "the input name 4 is not text"),
    ],
)
def test_names_that_name_nothing_are_refused(names, message):
    with pytest.raises(NetworkValueError, match=message):
        NETWORK.with_names(names)


def test_print_stats_says_which_variable_is_which_input():
    m = model(NAMES[::-1])
    m.nn = ReluNetworkBlock(network=NETWORK, inputs=m.x)
    text = io.StringIO()
    m.nn.print_stats(text)
    assert "  input temperature: x[temperature]\n  input pressure: x[pressure]\n" in text.getvalue()
    assert "  output cost: nn.outputs[1]\n" in text.getvalue()


def test_inputs_of_another_block_count_by_its_names():
    m = model(NAMES)
    other = NETWORK.with_names(["flow", "recycle", "temperature", "pressure"])
    strange = NETWORK.with_names(["flow", "recycle", "temperature", "speed"])
    m.first = ReluNetworkBlock(network=NETWORK, inputs=m.x)
    m.second = ReluNetworkBlock(network=other, inputs=m.first.inputs)
    m.last = ReluNetworkBlock(network=random_network([2, 3, 1], 0).with_names(["a", "b"]), inputs=m.first.outputs)
    assert [v.name for v in m.second.inputs.values()] == [f"x[{name}]" for name in other.input_names]
    assert [v.name for v in m.last.inputs.values()] == ["first.outputs[0]", "first.outputs[1]"]
    with pytest.raises(ModelError, match="missing 'speed'; unknown 'pressure'"):
        m.wrong = ReluNetworkBlock(network=strange, inputs=m.first.inputs)


# --- where names come from --------------------------------------------------------------------------------------


def file_of_columns(order):
    """A file as skl2onnx writes it: one input of one column for each feature."""
    inputs = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["N", 1]) for name in order]
    nodes = [
        helper.make_node("Concat", list(order), ["x"], axis=1),
        helper.make_node("Gemm", ["x", "w"], ["h"]),
        helper.make_node("Relu", ["h"], ["y"]),
    ]
    outputs = [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["N", 3])]
    stored = [helper.make_tensor("w", TensorProto.FLOAT, (4, 3), weights(0, 4, 3).ravel())]
    return helper.make_model(
        helper.make_graph(nodes, "columns", inputs, outputs, stored), opset_imports=[helper.make_opsetid("", 17)]
    )


@given(order=orders)
@settings(max_examples=8, deadline=None)
def test_tensors_of_one_number_name_the_inputs_of_a_file(order):
    network = relugrad.load_onnx(file_of_columns(NAMES))
    assert network.input_names == NAMES
    assert network.output_names == (), "one tensor of three numbers names none of them"
    m = model(order)
    m.nn = ReluNetworkBlock(network=network, inputs=m.x)
    assert [v.name for v in m.nn.inputs.values()] == [f"x[{name}]" for name in NAMES]


def test_tensors_of_several_numbers_or_the_only_one_name_no_entry():
    assert Network.from_layers([[[1.0]]], [[0.0]]).input_names == ()
    one = random_network([1, 2, 1], 0)
    assert Network(1, one.layers, (TensorSpec("X", (1,)),)).input_names == ()
    two = random_network([3, 2, 1], 0)
    named = Network(3, two.layers, (TensorSpec("a", (1,)), TensorSpec("b", (2,))))
    assert named.input_names == ()
    m = pyo.ConcreteModel()
    m.x = pyo.Var([("b", 1), ("a", 0), ("b", 0)])
    m.nn = ReluNetworkBlock(network=named, inputs=m.x)
    assert [v.index() for v in m.nn.inputs.values()] == [("a", 0), ("b", 0), ("b", 1)]


@pytest.mark.filterwarnings("ignore:lbfgs failed to converge")
class TestScikitLearn:
    @staticmethod
    def frame():
        pandas = pytest.importorskip("pandas")
        table = np.random.default_rng(0).normal(size=(60, 4)) * [30, 2, 0.1, 5] + [300, 10, 1, 0]
        return pandas.DataFrame(table, columns=list(NAMES))

    @pytest.mark.parametrize("form", ["network", "scaled", "passthrough first", "reduced", "scaled target", "skl2onnx"])
    @given(data=st.data())
    @settings(max_examples=6, deadline=None)
    def test_a_pipeline_fitted_on_a_data_frame_is_read_with_its_names(self, form, data):
        pytest.importorskip("sklearn")
        if form == "skl2onnx":
            pytest.importorskip("skl2onnx")
        frame, pipeline = self.frame(), self.fitted(form)
        network = relugrad.load_sklearn(pipeline)
        assert network.input_names == NAMES
        order = data.draw(orders)
        m = pyo.ConcreteModel()
        m.x = pyo.Var(order)
        m.nn = ReluNetworkBlock(network=network, inputs=m.x)
        row = frame.iloc[[data.draw(st.integers(0, 59))]] * data.draw(st.floats(0.5, 2))
        for name in order:
            m.x[name] = float(row[name].iloc[0])
        expected = float(np.ravel(pipeline.predict(row))[0])
        m.nn.outputs[0].set_value(expected, skip_validation=True)
        assert m.nn.get_error() <= 1e-4 * max(1.0, abs(expected))

    def fitted(self, form):
        from sklearn.compose import TransformedTargetRegressor
        from sklearn.decomposition import PCA
        from sklearn.linear_model import LinearRegression
        from sklearn.neural_network import MLPRegressor
        from sklearn.pipeline import make_pipeline
        from sklearn.preprocessing import StandardScaler

        regressor = MLPRegressor(hidden_layer_sizes=(6,), solver="lbfgs", max_iter=15, random_state=0)
        scaled = make_pipeline(StandardScaler(), regressor)
        estimator = {
            "network": regressor,
            "scaled": scaled,
            "passthrough first": make_pipeline("passthrough", *scaled[:], memory=None),
            "reduced": make_pipeline(StandardScaler(), PCA(2), regressor),
            "scaled target": TransformedTargetRegressor(scaled, transformer=StandardScaler()),
            "skl2onnx": make_pipeline(StandardScaler(), LinearRegression()),
        }[form]
        frame = self.frame()
        return estimator.fit(frame, abs(frame.to_numpy() @ [0.1, 3.0, -20.0, 1.0]))

    def test_words_of_classes_name_the_scores(self):
        pytest.importorskip("sklearn")
        from sklearn.neural_network import MLPClassifier

        classifier = MLPClassifier(hidden_layer_sizes=(4,), solver="lbfgs", max_iter=5, random_state=0)
        frame = self.frame()
        words, numbers = np.array(["cat", "ox", "dog"])[np.arange(60) % 3], np.arange(60) % 3
        assert relugrad.load_sklearn(classifier.fit(frame, words)).output_names == ("cat", "dog", "ox")
        assert relugrad.load_sklearn(classifier.fit(frame, numbers)).output_names == ()
        assert relugrad.load_sklearn(classifier.fit(frame, words == "ox")).output_names == ()


# --- data hulls ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", ["indexed variable", "dictionary", "inputs of a network"])
@given(order=orders)
@settings(max_examples=6, deadline=None)
def test_columns_of_a_hull_count_by_name(form, order):
    pandas = pytest.importorskip("pandas")
    table = pandas.DataFrame(np.random.default_rng(1).normal(size=(12, 4)) * [1, 10, 100, 1000], columns=list(order))
    m = pyo.ConcreteModel()
    m.x = pyo.Var(NAMES)
    m.nn = ReluNetworkBlock(network=NETWORK, inputs=m.x)
    inputs = {"indexed variable": m.x, "dictionary": dict(m.x.items()), "inputs of a network": m.nn.inputs}[form]
    m.hull = DataHull(inputs=inputs, data=table)
    row = next(iter(m.hull.weights))
    for weight in m.hull.weights.values():
        weight.set_value(0.0)
    m.hull.weights[row].set_value(1.0)
    for name in NAMES:
        m.x[name].set_value(float(table[name].iloc[row]))
    for constraint in m.hull.combination.values():
        assert abs(pyo.value(constraint.body) - constraint.ub) < 1e-12


def test_columns_of_a_hull_that_are_not_the_variables_are_refused():
    pandas = pytest.importorskip("pandas")
    m = pyo.ConcreteModel()
    m.x = pyo.Var(NAMES)
    table = pandas.DataFrame(np.eye(4), columns=["temperature", "pressure", "flow", "Recycle"])
    with pytest.raises(ModelError, match="names of the data's inputs: missing 'Recycle'; unknown 'recycle'"):
        m.hull = DataHull(inputs=m.x, data=table)
    repeated = pandas.DataFrame(np.eye(4), columns=["a", "b", "a", "c"])
    with pytest.raises(ModelError, match="the data: two columns have the same name, 'a'"):
        m.other = DataHull(inputs=list(m.x.values()), data=repeated)


def test_bounds_of_relus_and_pictures_count_by_name():
    pytest.importorskip("matplotlib").use("agg")
    from pyomo_relugrad.plotting import plot_ranges, plot_slice
    from pyomo_relugrad.programs import network_bounds

    low, high = dict(zip(NAMES, [0.0, -1, -2, -3], strict=True)), dict(zip(NAMES, [0.5, 1, 2, 3], strict=True))
    turned = [dict(reversed(side.items())) for side in (low, high)]
    plain = network_bounds(NETWORK, list(low.values()), list(high.values()))
    assert np.array_equal(network_bounds(NETWORK, *turned).output_upper, plain.output_upper)
    first, second = plot_ranges(NETWORK, list(low.values()), list(high.values())), plot_ranges(NETWORK, *turned)
    assert first.get_ylim() == second.get_ylim()
    point = {"recycle": 0.5, "flow": 0.9, "pressure": -0.2, "temperature": 0.3}
    objective = {"cost": 1.0, "yield": 0.0}
    ax = plot_slice(NETWORK, point, lower=turned[0], upper=turned[1], objective=objective, borders=False)
    assert ax.get_xlim() == pytest.approx((0.0, 0.5))
    with pytest.raises(ModelError, match=r"the point: .* missing 'flow'"):
        plot_slice(NETWORK, dict.fromkeys(("a", *NAMES[:2], "recycle"), 0.0), lower=0, upper=1, objective=[1, 0])


def test_order_and_numbers_by_name():
    assert order_by_name([("x", 1, "b"), ("x", 1, "a")], ["a", "b"], "input") == [1, 0]
    assert order_by_name([(0, 1), (1, 0)], ["a", "b"], "input") is None
    assert by_name({1: 5.0, 0: 4.0}, (), "input", "lower") == [4.0, 5.0]
    assert by_name(3.0, ("a",), "input", "lower") == 3.0
    with pytest.raises(
        ModelError, match="lower has the keys 0, 2, but the network's inputs are positions from 0 or 'a'"
    ):
        by_name({0: 1.0, 2: 2.0}, ("a", "b"), "input", "lower")
    with pytest.raises(ModelError, match="upper is ndarray, not a number or an array"):
        maximize(NETWORK, [1, 0], 0, np.zeros(1, dtype=[("flow", float), ("a", float)]))
