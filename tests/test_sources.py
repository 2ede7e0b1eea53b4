"""Whatever holds a network is taken as one: paths, modules, models, estimators."""

import gzip
import os
import shutil

import numpy as np
import onnx
import pyomo.environ as pyo
import pytest
from onnx import helper
from onnx_models import make_model, weights
from random_networks import random_network

import pyomo_relugrad as relugrad
from pyomo_relugrad.errors import ModelError, NetworkFileError, NetworkFileNotFoundError, NetworkValueError
from pyomo_relugrad.readers.onnx import model_file
from pyomo_relugrad.readers.sources import load_network

MODEL = make_model(
    [helper.make_node("MatMul", ["x", "w"], ["z"]), helper.make_node("Relu", ["z"], ["y"])],
    ("N", 2),
    {"w": weights(0, 2, 1)},
)


def estimator():
    pytest.importorskip("sklearn")
    from sklearn.linear_model import LogisticRegression

    X = np.random.default_rng(0).normal(size=(30, 2))
    return LogisticRegression().fit(X, X[:, 0] > 0)


def module():
    torch = pytest.importorskip("torch")
    return torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.ReLU(), torch.nn.Linear(3, 1))


def keras_model():
    os.environ.setdefault("KERAS_BACKEND", "torch")
    keras = pytest.importorskip("keras", exc_type=ImportError)
    return keras.Sequential([keras.Input((2,)), keras.layers.Dense(3, activation="relu"), keras.layers.Dense(1)])


SOURCES = {
    "network": lambda: random_network([2, 3, 1], 0),
    "model": lambda: MODEL,
    "bytes": MODEL.SerializeToString,
    "estimator": estimator,
    "module": module,
    "keras": keras_model,
}


@pytest.mark.parametrize("kind", SOURCES)
def test_blocks_and_functions_take_what_holds_a_network(kind):
    source = SOURCES[kind]()
    network = load_network(source)
    assert (network.n_inputs, network.n_outputs) == (2, 1)
    best = relugrad.maximize(source, lower=0, upper=1, iteration_limit=50)
    assert best.value == pytest.approx(network.value(best.x[None])[0, 0])
    assert relugrad.minimize(source, lower=0, upper=1, iteration_limit=50).value <= best.value
    m = pyo.ConcreteModel()
    m.one = relugrad.ReluNetworkBlock(network=source, input_bounds=(0, 1))
    m.many = relugrad.ReluNetworkBlock([1, 2], network=source)
    m.each = relugrad.ReluNetworkBlock([1, 2], network={1: source, 2: network})
    points = np.random.default_rng(0).normal(size=(9, 2))
    for block in (m.one, m.many[2], m.each[1]):
        assert np.allclose(block.network.value(points), network.value(points))
    assert m.many[1].network is m.many[2].network
    assert m.clone().many[2].network is m.many[2].network


def test_a_counterexample_is_looked_for_in_files(tmp_path):
    onnx.save(MODEL, tmp_path / "network.onnx")
    text = "(declare-const X_0 Real)(declare-const X_1 Real)(declare-const Y_0 Real)"
    box = "".join(f"(assert (>= X_{i} -1))(assert (<= X_{i} 1))" for i in (0, 1))
    (tmp_path / "positive.vnnlib").write_text(f"{text}{box}(assert (<= Y_0 0.5))")
    found = relugrad.find_counterexample(tmp_path / "network.onnx", tmp_path / "positive.vnnlib", time_limit=5)
    assert found.y[0] <= 0.5


def test_compressed_files(tmp_path, monkeypatch):
    path = tmp_path / "plant.onnx.gz"
    path.write_bytes(gzip.compress(MODEL.SerializeToString()))
    network = load_network(path)
    assert network.name == "plant"
    assert np.allclose(network.value(np.eye(2)), load_network(MODEL).value(np.eye(2)))
    monkeypatch.setattr(model_file, "MAX_BYTES", 50)
    with pytest.raises(NetworkFileError, match=r"plant\.onnx\.gz holds more than 50 bytes"):
        load_network(path)
    monkeypatch.undo()
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(NetworkFileError, match=r"plant\.onnx\.gz cannot be decompressed"):
        load_network(path)


@pytest.mark.parametrize("suffix", [".pt", ".pth", ".ckpt", ".pkl", ".joblib"])
def test_files_that_can_run_code_are_not_opened(suffix, tmp_path):
    path = tmp_path / f"model{suffix}"
    path.write_bytes(b"cos\nsystem\n(S'exit 1'\ntR.")
    with pytest.raises(NetworkFileError, match=rf"model\{suffix} is not opened, as that may run code"):
        load_network(str(path))


def test_files_of_keras_are_opened_in_safe_mode(tmp_path):
    model = keras_model()
    import keras

    path = tmp_path / "model.keras"
    model.save(path)
    points = np.random.default_rng(0).normal(size=(5, 2)).astype(np.float32)
    assert np.allclose(load_network(path).value(points), model.predict_on_batch(points), atol=1e-5)
    keras.Sequential([keras.Input((2,)), keras.layers.Lambda(lambda x: x + 1)]).save(path)
    with pytest.raises(NetworkFileError, match=r"model\.keras cannot be opened by Keras in its safe mode"):
        load_network(path)
    shutil.copy(__file__, path)
    with pytest.raises(NetworkFileError, match="cannot be opened by Keras"):
        load_network(path)
    with pytest.raises(NetworkFileNotFoundError, match=r"there is no file .*missing\.keras"):
        load_network(tmp_path / "missing.keras")


@pytest.mark.parametrize("source", [3, object(), np.zeros((2, 2)), type(random_network([1, 1], 0))])
def test_what_holds_no_network(source):
    with pytest.raises(ModelError, match=r"the network is .*: give a Network, a path"):
        load_network(source)


def test_what_torch_onnx_export_returns():
    """It can be called, and is a model all the same, not a rule that makes one."""
    kind = type("ONNXProgram", (), {"__module__": "torch.onnx", "__call__": None, "model_proto": MODEL})
    m = pyo.ConcreteModel()
    m.x = pyo.Var(range(2), bounds=(0, 1))
    m.nn = relugrad.ReluNetworkBlock(network=kind(), inputs=m.x)
    assert (m.nn.network.n_inputs, m.nn.network.n_outputs) == (2, 1)


def test_arrays_of_weights_are_refused_with_a_way_out():
    with pytest.raises(ModelError, match=r"a list: .*; Network\.from_layers makes one of arrays"):
        load_network([np.eye(2)])


class TestModulesOfTorch:
    def test_state_dict(self):
        with pytest.raises(NetworkValueError, match="make the module, give it these by load_state_dict"):
            load_network(module().state_dict())

    def test_first_layer_that_sees_a_part_of_the_inputs(self):
        torch = pytest.importorskip("torch")

        class Halves(torch.nn.Module):
            def __init__(self):
                super().__init__()
                self.first = torch.nn.Linear(2, 1)

            def forward(self, rows):
                return self.first(rows[:, 2:4])

        with pytest.raises(NetworkValueError, match=r"As many enter .* give an example, such as load_torch\(module"):
            load_network(Halves())
