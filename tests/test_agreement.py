"""Networks compared with what they were read from: what differs is found, and what only rounds is not."""

import itertools
import logging
import tracemalloc

import numpy as np
import onnxruntime
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper
from onnx_models import assert_agrees, make_model, weights
from scipy import sparse

from pyomo_relugrad.errors import NetworkMismatchError
from pyomo_relugrad.network import Layer, Network
from pyomo_relugrad.readers.agreement import DOUBLE, HALF, comparison_points, disagreement
from pyomo_relugrad.readers.onnx import load_onnx
from pyomo_relugrad.readers.onnx.graph import RULES
from pyomo_relugrad.readers.onnx.runtimes import OnnxRuntime

node = helper.make_node


def random_network(seed, depth, width, scale=1.0, n_inputs=5):
    rng, widths = np.random.default_rng(seed), [n_inputs, *[width] * depth, 3]
    matrices = [scale * rng.normal(size=(b, a)) * np.sqrt(2 / a) for a, b in itertools.pairwise(widths)]
    return Network.from_layers(matrices, [rng.normal(size=len(matrix)) for matrix in matrices])


def in_float32(network, points):
    return network.astype(np.float32).value(points).astype(np.float64)


class TestRounding:
    @settings(max_examples=40, deadline=None)
    @given(
        seed=st.integers(0, 10**6),
        depth=st.integers(0, 40),
        width=st.integers(1, 60),
        scale=st.sampled_from([0.3, 1.0, 3.0]),
    )
    def test_of_float32_is_allowed(self, seed, depth, width, scale):
        network = random_network(seed, depth, width, scale)
        points = comparison_points(network)
        assert disagreement(network, points, in_float32(network, points)) is None

    @pytest.mark.parametrize("depth", [0, 1, 3, 12, 40])
    @pytest.mark.parametrize("factor", [0.75, 1.001, -1.0])
    def test_hides_no_wrong_layer(self, depth, factor):
        network = random_network(depth, depth, 20)
        points = comparison_points(network)
        for index, layer in enumerate(network.layers):
            layers = list(network.layers)
            layers[index] = Layer(layer.sources, tuple(factor * weight for weight in layer.weights), layer.bias)
            found = disagreement(Network(network.n_inputs, layers), points, in_float32(network, points))
            assert found is not None
            assert found.difference > found.allowed

    @settings(max_examples=40, deadline=None)
    @given(seed=st.integers(0, 10**6), depth=st.integers(0, 5), change=st.sampled_from([1e-3, -0.1, 50.0]))
    def test_hides_no_wrong_bias_of_an_output(self, seed, depth, change):
        network = random_network(seed, depth, 20)
        points = comparison_points(network)
        last = network.layers[-1]
        changed = Layer(last.sources, last.weights, last.bias + change * np.eye(3)[seed % 3])
        wrong = Network(network.n_inputs, (*network.layers[:-1], changed))
        assert disagreement(wrong, points, in_float32(network, points)) is not None

    def test_clip_far_away_is_seen(self):
        network = Network.from_layers([np.eye(3)], [np.zeros(3)])
        points = comparison_points(network)
        for limit in (250.0, 5e3, 1e5):
            assert disagreement(network, points, np.minimum(points, limit)) is not None
            assert disagreement(network, points, np.maximum(points, -limit)) is not None
            assert disagreement(network, points, np.maximum(points, [-limit, -np.inf, -np.inf])) is not None

    def test_float16_rounds_more_and_overflows(self):
        network = random_network(0, 3, 20)
        points = comparison_points(network)
        with np.errstate(over="ignore"):
            expected = network.value(points).astype(np.float16).astype(np.float64)
        assert np.isinf(expected).any()
        assert disagreement(network, points, expected, HALF) is None
        assert disagreement(network, points, 0.75 * expected, HALF) is not None

    def test_float64_rounds_less(self):
        network = random_network(0, 3, 20)
        points = comparison_points(network)
        assert disagreement(network, points, network.value(points), DOUBLE) is None
        assert disagreement(network, points, (1 + 1e-7) * network.value(points), DOUBLE) is not None

    def test_takes_few_points_of_millions_of_outputs(self):
        wide = Layer((0,), (sparse.csr_array((2**22, 2)),), np.zeros(2**22))
        assert len(comparison_points(Network(2, (wide,)))) == 2

    def test_value_that_is_not_a_number(self):
        network = random_network(0, 1, 4)
        points = comparison_points(network)
        expected = network.value(points)
        expected[3, 1] = np.nan
        found = disagreement(network, points, expected)
        assert found is not None
        assert np.array_equal(found.points, points[3:4])


def double(value, hidden):
    return value.affine(0).scaled(np.array(2.0))


def fails(runtime, feeds):
    raise RuntimeError("it cannot be run")


class TestFiles:
    """The reader against onnxruntime, with a rule that is wrong."""

    @pytest.fixture
    def wrong_rule(self, monkeypatch):
        monkeypatch.setitem(RULES[""], "Neg", double)

    def test_wrong_value_is_refused_by_name(self, wrong_rule):
        model = make_model([node("Neg", ["x"], ["y"])], ("N", 3))
        reason = r"model: the network that was read differs by .* at inputs of size .*report the file.*Exported anew"
        with pytest.raises(NetworkMismatchError, match=reason):
            load_onnx(model)

    @pytest.mark.parametrize("shape", [(1, 3), (2, 3), ("N", 3), (3,)])
    @pytest.mark.parametrize("kind", [TensorProto.FLOAT, TensorProto.DOUBLE, TensorProto.FLOAT16, TensorProto.BFLOAT16])
    def test_in_any_form(self, wrong_rule, shape, kind, tmp_path):
        model = make_model([node("Neg", ["x"], ["y"])], shape, kind=kind)
        (tmp_path / "negative.onnx").write_bytes(model.SerializeToString())
        for source in (model, model.SerializeToString(), tmp_path / "negative.onnx"):
            with pytest.raises(NetworkMismatchError):
                load_onnx(source)

    def test_wrong_number_of_outputs(self, monkeypatch):
        monkeypatch.setitem(RULES[""], "Neg", lambda own, hidden: own.affine(0).taken(np.array([[0, 1]])))
        with pytest.raises(NetworkMismatchError, match="has 2 outputs, and the file computes 3"):
            load_onnx(make_model([node("Neg", ["x"], ["y"])], (1, 3)))

    def test_reference_implementation_where_onnxruntime_fails(self, wrong_rule, monkeypatch):
        def fail(*args, **options):
            raise RuntimeError("no kernel")

        monkeypatch.setattr(onnxruntime, "InferenceSession", fail)
        with pytest.raises(NetworkMismatchError):
            load_onnx(make_model([node("Neg", ["x"], ["y"])], (1, 3)))

    def test_what_the_reference_implementation_shares_with_the_reader_does_not_count(self, monkeypatch):
        monkeypatch.setattr(OnnxRuntime, "__call__", lambda self, feeds: [feeds["x"] + 1.0])
        with pytest.raises(NetworkMismatchError):
            load_onnx(make_model([node("Neg", ["x"], ["y"])], ("N", 3)))

    def test_nothing_can_run_it(self, wrong_rule, monkeypatch, caplog):
        def fail(*args, **options):
            raise RuntimeError("no kernel")

        monkeypatch.setattr(onnxruntime, "InferenceSession", fail)
        monkeypatch.setattr("onnx.reference.ReferenceEvaluator", fail)
        with caplog.at_level(logging.DEBUG, logger="pyomo_relugrad"):
            load_onnx(make_model([node("Neg", ["x"], ["y"])], (1, 3)))
        assert "model could not be run: its values were not compared" in caplog.text
        assert "no kernel" in caplog.text

    def test_cancelling_constants_are_rounding(self):
        """onnxruntime loses all digits of a small x here; the file's values in float64 are what counts."""
        nodes = [node("Add", ["x", "c"], ["a"]), node("Sub", ["a", "c"], ["b"]), node("Relu", ["b"], ["y"])]
        network = load_onnx(make_model(nodes, ("N", 2), {"c": np.float32(1e6)}))
        assert network.value([[1e-3, -1.0]]).tolist() == [[1e-3, 0.0]]

    def test_rows_of_a_free_batch_that_are_mixed(self):
        """The network is that of a batch of one row."""
        nodes = [node("ReduceMax", ["x"], ["m"], axes=[0], keepdims=1), node("Add", ["x", "m"], ["y"])]
        assert load_onnx(make_model(nodes, ("N", 2))).value([[1.0, -2.0]]).tolist() == [[2.0, -4.0]]

    def test_rows_of_a_fixed_batch_that_are_mixed_far_from_the_origin(self):
        """The second row is limited by the first where that is large: not a network of one row."""
        nodes = [
            node("Split", ["x"], ["a", "b"], axis=0),
            node("Sub", ["a", "limit"], ["s"]),
            node("Relu", ["s"], ["r"]),
            node("Add", ["b", "r"], ["c"]),
            node("Concat", ["a", "c"], ["y"], axis=0),
        ]
        model = make_model(nodes, (2, 2), {"limit": np.float32(2e3)})
        network = assert_agrees(model, points=np.float32([[5e3, 1, 2, 3], [0, 0, 1, 1], [-5e3, 1, 2, 3]]))
        assert network.n_inputs == 4

    def test_several_inputs_and_outputs(self):
        nodes = [node("Add", ["x", "z"], ["a"]), node("Relu", ["a"], ["y"]), node("Neg", ["z"], ["w"])]
        model = make_model(nodes, None, inputs={"x": ("N", 2), "z": ("N", 2)}, outputs=("y", "w"))
        assert load_onnx(model).value([[1, 2, 3, -4]]).tolist() == [[4, 0, -3, 4]]

    def test_whole_numbers(self, wrong_rule):
        nodes = [node("Cast", ["x"], ["f"], to=TensorProto.FLOAT), node("Relu", ["f"], ["y"])]
        for kind in (TensorProto.INT64, TensorProto.INT8, TensorProto.UINT8):
            assert load_onnx(make_model(nodes, ("N", 2), kind=kind)).value([[3.0, -2.0]]).tolist() == [[3.0, 0.0]]
        nodes[1] = node("Neg", ["f"], ["y"])
        with pytest.raises(NetworkMismatchError):
            load_onnx(make_model(nodes, ("N", 2), kind=TensorProto.UINT8))

    def test_nothing_is_printed(self, wrong_rule, capfd):
        load_onnx(make_model([node("Relu", ["x"], ["y"])], ("N", 3)))
        with pytest.raises(NetworkMismatchError):
            load_onnx(make_model([node("Neg", ["x"], ["y"])], ("N", 3)))
        assert capfd.readouterr() == ("", "")

    def test_terms_that_cancel_in_the_network(self):
        """Only the file adds a large number and takes it off again."""
        nodes = [
            node("Relu", ["x"], ["r"]), node("Sub", ["column", "r"], ["d"]), node("Add", ["d", "r"], ["s"]),
            node("Mul", ["s", "tiny"], ["y"])]  # fmt: skip
        nodes.insert(0, node("Transpose", ["x"], ["column"]))
        load_onnx(make_model(nodes, (1, 3), {"tiny": np.float32(1 / 3)}))

    def test_nodes_that_nobody_reads_are_not_run(self, monkeypatch):
        monkeypatch.setattr(OnnxRuntime, "__call__", fails)
        nodes = [node("Tile", ["x", "many"], ["t"]), node("Relu", ["x"], ["y"])]
        tracemalloc.start()
        load_onnx(make_model(nodes, (1, 1000), {"many": np.array([1000, 100])}))
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 100e6

    def test_positions_in_images(self):
        resize = node("Resize", ["x", "", "s"], ["y"], mode="cubic")
        assert_agrees(make_model([resize], (1, 1, 20, 20), {"s": np.float32([1, 1, 2.3, 0.7])}, opset=13))

    def test_fourier_transform(self):
        transform = node("DFT", ["x"], ["y"], axis=1, onesided=1)
        load_onnx(make_model([transform], (1, 12, 1), opset=19))

    def test_large_weights_and_many_layers(self):
        stored = {f"w{k}": 30 * weights(k, 6, 6) for k in range(15)}
        stored |= {f"b{k}": 1e3 * weights(-k % 99, 6) for k in range(15)}
        nodes, current = [], "x"
        for k in range(15):
            nodes += [node("Gemm", [current, f"w{k}", f"b{k}"], [f"g{k}"]), node("LeakyRelu", [f"g{k}"], [f"a{k}"])]
            current = f"a{k}"
        load_onnx(make_model([*nodes, node("Identity", [current], ["y"])], ("N", 6), stored))
