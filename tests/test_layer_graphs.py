"""PyTorch modules and Keras models of known layers, read from their weights without an exporter."""

import os
import sys

import numpy as np
import pytest

from pyomo_relugrad.errors import NetworkValueError, RelugradError, UnsupportedOperatorError
from pyomo_relugrad.readers.frameworks import load_keras, load_torch

RNG = np.random.default_rng(0)


@pytest.fixture
def torch(monkeypatch):
    """PyTorch, without its exporters."""
    package = pytest.importorskip("torch")
    package.manual_seed(0)

    def refuse(*_, **__):
        raise AssertionError("the module was exported")

    monkeypatch.setattr("pyomo_relugrad.readers.frameworks.torch.export", refuse)
    return package


@pytest.fixture
def keras():
    os.environ.setdefault("KERAS_BACKEND", "torch")
    try:
        import keras
    except ImportError as error:  # also where the backend is missing
        pytest.skip(f"needs keras: {error}")
    keras.utils.set_random_seed(0)
    return keras


def disturbed(torch, module):
    """The module in evaluation mode, with statistics that are not those of a new one."""
    for part in module.modules():
        if hasattr(part, "running_mean"):
            part.running_mean.copy_(torch.randn(part.running_mean.shape))
            part.running_var.copy_(torch.rand(part.running_var.shape) + 0.5)
    return module.eval()


def assert_same(torch, module, shape, example=None):
    network = load_torch(disturbed(torch, module), example)
    points = RNG.normal(size=(6, *shape)).astype(np.float32)
    with torch.no_grad():
        expected = module(torch.from_numpy(points)).numpy().reshape(6, -1)
    assert np.allclose(network.value(points.reshape(6, -1)), expected, rtol=1e-4, atol=1e-5)
    return network


class TestPyTorch:
    def test_smooth_activations(self, torch):
        nn = torch.nn
        smooth = (
            nn.Sigmoid(),
            nn.Tanh(),
            nn.ELU(0.5),
            nn.SELU(),
            nn.CELU(2.0),
            nn.Hardswish(),
            nn.Mish(),
            nn.Softsign(),
        )
        layers = [layer for activation in smooth for layer in (nn.Linear(4, 4), activation)]
        network = assert_same(torch, nn.Sequential(*layers, nn.Linear(4, 2)), (4,))
        assert network.smooth_activations == ("sigmoid", "tanh", "elu", "hardswish", "mish", "softsign")

    def test_layers_of_rows_need_no_example(self, torch):
        nn = torch.nn
        inner = nn.Sequential(nn.Linear(7, 6), nn.LeakyReLU(0.2), nn.Identity(), nn.ReLU6())
        module = nn.Sequential(
            nn.BatchNorm1d(4), nn.Linear(4, 7, bias=False), nn.Dropout(), inner, nn.Hardtanh(-0.5, 2.0), nn.Linear(6, 2)
        )
        assert assert_same(torch, module, (4,)).name == "Sequential"

    def test_layers_of_pictures(self, torch):
        nn = torch.nn
        module = nn.Sequential(
            nn.Conv2d(2, 4, 3, padding=1, stride=2, groups=2), nn.BatchNorm2d(4), nn.ReLU(), nn.MaxPool2d(2),
            nn.AvgPool2d((2, 1), padding=(1, 0), count_include_pad=False), nn.Flatten(), nn.Linear(16, 3),
        )  # fmt: skip
        assert_same(torch, module, (2, 8, 8), torch.zeros(1, 2, 8, 8))
        series = nn.Sequential(nn.Conv1d(1, 3, 3), nn.MaxPool1d(2), nn.AvgPool1d(3), nn.Flatten(), nn.Linear(3, 1))
        assert_same(torch, series, (1, 8), torch.zeros(1, 1, 8))

    def test_a_forward_of_known_steps(self, torch):
        functional = torch.nn.functional

        class Plant(torch.nn.Module):
            def __init__(self):
                super().__init__()
                self.first, self.second = torch.nn.Linear(3, 5), torch.nn.Linear(8, 2)
                self.register_buffer("mean", torch.ones(3))
                self.scale = torch.nn.Parameter(torch.tensor([2.0, 3.0]))

            def forward(self, x):
                x = (x - self.mean) / 2
                hidden = functional.dropout(torch.relu(self.first(x)), 0.5, self.training)
                joined = torch.cat([functional.leaky_relu(hidden, 0.1), x.relu()], dim=1)
                return torch.flatten(self.second(joined) * self.scale + 1, 1)

        network = assert_same(torch, Plant(), (3,))
        assert [spec.name for spec in network.inputs] == ["x"]

    def test_what_is_not_known_is_exported(self, torch):
        nn = torch.nn

        class Branch(nn.Linear):
            def forward(self, x):
                return super().forward(x) if x.sum() > 0 else x

        class Weighted(nn.Linear):
            def forward(self, x):
                return torch.add(super().forward(x), 1.0, alpha=2.0)

        class Shadow(nn.Linear):
            __name__ = "Linear"

            def forward(self, x):
                return 2 * super().forward(x)

        shadow = type("Linear", (Shadow,), {})(4, 3)
        hooked = nn.Linear(4, 3)
        hooked.register_forward_hook(lambda module, entering, leaving: leaving + 1)
        for module in (
            Branch(4, 3), shadow, hooked, nn.Linear(4, 3).double(), nn.Linear(4, 3, dtype=torch.complex64),
            Weighted(4, 3), nn.Sequential(nn.Linear(4, 3), nn.Softmax(1)),
        ):  # fmt: skip
            with pytest.raises((AssertionError, RelugradError), match=r"was exported|complex"):
                load_torch(module)
        for module in (
            nn.MaxPool2d(2, ceil_mode=True), nn.AvgPool2d(2, divisor_override=3), nn.Flatten(2),
            nn.Conv2d(2, 3, 3, padding="same"), nn.BatchNorm2d(2, affine=False),
        ):  # fmt: skip
            with pytest.raises(AssertionError, match="was exported"):
                load_torch(module.eval(), torch.zeros(1, 2, 7, 7))

    @pytest.mark.parametrize("name", ["Conv2d", "ReLU"])
    def test_a_shape_that_is_not_known_is_asked_for(self, torch, name):
        layer = torch.nn.Conv2d(1, 2, 3) if name == "Conv2d" else torch.nn.ReLU()
        with pytest.raises(NetworkValueError, match=r"shape of the inputs of \w+ is not known.*give an example"):
            load_torch(layer)

    def test_refused_layers_are_named_by_where_they_stand(self, torch):
        module = torch.nn.Sequential(
            torch.nn.Linear(3, 3), torch.nn.Sequential(torch.nn.ELU(-1.0)), torch.nn.Linear(3, 1)
        )
        with pytest.raises(UnsupportedOperatorError, match=r"node '1\.0 Elu'"):
            load_torch(module)

    def test_smooth_layers(self, torch):
        nn = torch.nn
        smooth = nn.Sequential(nn.Linear(4, 4), nn.ELU(0.5), nn.Linear(4, 4), nn.Sigmoid())
        assert_same(torch, nn.Sequential(nn.Linear(3, 4), nn.Tanh(), smooth, nn.Linear(4, 1)), (3,))


class TestKeras:
    def test_smooth_activations(self, keras):
        names = ["celu", "exponential", "gelu", "hard_silu", "mish", "selu", "silu", "softplus", "tanh", "log_softmax"]
        layers = [keras.layers.Dense(4, activation=name) for name in names]
        model = keras.Sequential([keras.Input((3,)), *layers])
        points = RNG.normal(size=(6, 3)).astype(np.float32)
        network = load_keras(model)
        assert np.allclose(network.value(points), model.predict(points, verbose=0), rtol=1e-4, atol=1e-5)
        assert {"elu", "exp", "gelu", "hardswish", "mish", "silu", "softplus", "tanh"} == set(
            network.smooth_activations
        )

    def models(self, keras):
        layers, start = keras.layers, keras.Input
        normalization = layers.Normalization()
        normalization.adapt(RNG.normal(2.0, 3.0, size=(50, 4)))
        x = start((4,))
        left, right = layers.Dense(6, activation="relu")(x), layers.Dense(6)(x)
        both = layers.Concatenate()([layers.Add()([left, right]), layers.Maximum()([left, right]), x])
        functional = keras.Model(x, [layers.Dense(2)(both), layers.Dense(1, activation="hard_sigmoid")(right)])
        inner = keras.Sequential([start((4,)), layers.Dense(3, activation="leaky_relu")])
        return {
            "rows": keras.Sequential([start((4,)), normalization, layers.Dense(6, use_bias=False), layers.Dropout(0.1),
                                      layers.ReLU(max_value=6.0), layers.BatchNormalization(), layers.LeakyReLU(0.2),
                                      layers.Dense(2)]),
            "functional": functional,
            "nested": keras.Sequential([start((4,)), inner, layers.Activation("relu6"), layers.Dense(1)]),
            "pictures": keras.Sequential([start((6, 7, 2)), layers.Rescaling(0.5, 1.0),
                                          layers.Conv2D(3, 3, padding="same"), layers.MaxPooling2D(2),
                                          layers.BatchNormalization(),
                                          layers.Conv2D(4, 2, strides=2, padding="same", activation="relu"),
                                          layers.AveragePooling2D(2, padding="same"), layers.Flatten(),
                                          layers.Dense(2)]),
            "series": keras.Sequential([start((8, 2)), layers.Conv1D(3, 3, activation="relu"), layers.MaxPooling1D(2),
                                        layers.Reshape((9,)), layers.Dense(2)]),
        }  # fmt: skip

    def test_layers_are_read_from_their_weights(self, keras, monkeypatch):
        monkeypatch.setitem(sys.modules, "tf2onnx", None)
        monkeypatch.setattr("pyomo_relugrad.readers.frameworks.keras._exported", None)
        for name, model in self.models(keras).items():
            model.set_weights([weight + RNG.uniform(0.1, 0.6, weight.shape) for weight in model.get_weights()])
            network = load_keras(model)
            points = RNG.normal(size=(5, *network.inputs[0].shape)).astype(np.float32)
            outputs = model.predict_on_batch(points)
            outputs = outputs if isinstance(outputs, list) else [outputs]
            expected = np.concatenate([output.reshape(5, -1) for output in outputs], axis=1)
            found = network.value(points.reshape(5, -1))
            assert np.allclose(found, expected, rtol=1e-4, atol=1e-5 * abs(expected).max()), name

    def test_several_inputs_keep_their_names(self, keras):
        first, second = keras.Input((2,), name="flow"), keras.Input((1,), name="heat")
        network = load_keras(keras.Model([first, second], keras.layers.Subtract()([first, second])))
        assert [spec.name for spec in network.inputs] == ["flow", "heat"]
        assert network.value([[5.0, 4.0, 1.0]]).tolist() == [[4.0, 3.0]]

    def test_other_layers_are_exported_by_keras(self, keras):
        if keras.backend.backend() == "torch":
            pytest.importorskip("onnxscript")
        layers = keras.layers
        limited = layers.Lambda(lambda x: keras.ops.maximum(x, 0.5))
        model = keras.Sequential([keras.Input((3,)), layers.Dense(4), limited, layers.Dense(1)])
        points = RNG.normal(size=(5, 3)).astype(np.float32)
        assert np.allclose(load_keras(model).value(points), model.predict_on_batch(points), rtol=1e-4, atol=1e-5)

    def test_smooth_layers(self, keras):
        layers = [keras.layers.Dense(4, activation=name) for name in ("elu", "tanh", "sigmoid", "softplus")]
        model = keras.Sequential([keras.Input((3,)), *layers, keras.layers.Dense(1)])
        points = RNG.normal(size=(5, 3)).astype(np.float32)
        assert np.allclose(load_keras(model).value(points), model.predict_on_batch(points), rtol=1e-4, atol=1e-5)

    def test_what_cannot_be_read(self, keras, monkeypatch):
        layers = keras.layers
        with pytest.raises(NetworkValueError, match=r"is not built.*keras\.Input"):
            load_keras(keras.Sequential([layers.Dense(3)]))
        x = keras.Input((3,))
        product = keras.Model(x, layers.Multiply(name="gate")([layers.Dense(2)(x), layers.Dense(2)(x)]))
        with pytest.raises(UnsupportedOperatorError, match="node 'gate Mul'"):
            load_keras(product)

        def fail(model):
            raise ValueError("no converter")

        monkeypatch.setattr("pyomo_relugrad.readers.frameworks.keras._exported", fail)
        monkeypatch.setattr("pyomo_relugrad.readers.frameworks.keras.find_spec", lambda name: None)
        recurrent = keras.Sequential([keras.Input((2, 3)), layers.LSTM(2, name="memory")])
        reason = r"the layer 'memory' \(LSTM\) is not read from its weights, and Keras cannot export it: no converter"
        with pytest.raises(UnsupportedOperatorError, match=reason):
            load_keras(recurrent)
