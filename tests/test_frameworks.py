"""Networks straight from scikit-learn, PyTorch and Keras; the optional packages where they are installed."""

import sys
from types import SimpleNamespace

import numpy as np
import pytest
from onnx import helper
from onnx_models import make_model, weights

from pyomo_relugrad.errors import MissingPackageError, NetworkValueError, UnsupportedOperatorError
from pyomo_relugrad.frameworks import load_keras, load_sklearn, load_torch

pytest.importorskip("sklearn")
from sklearn.compose import ColumnTransformer, TransformedTargetRegressor
from sklearn.decomposition import PCA
from sklearn.feature_selection import SelectKBest
from sklearn.linear_model import LinearRegression
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import (
    FunctionTransformer,
    MaxAbsScaler,
    MinMaxScaler,
    PolynomialFeatures,
    RobustScaler,
    StandardScaler,
)

RNG = np.random.default_rng(0)

pytestmark = pytest.mark.filterwarnings("ignore:lbfgs failed to converge", "ignore:invalid value")

X = RNG.normal(size=(80, 4)) * [1.0, 10.0, 0.1, 3.0] + 5.0
Y = np.abs(X @ RNG.normal(size=(4, 2)))
CLASSES = np.argsort(np.argsort(X[:, 0])) // 27
POINTS = RNG.normal(size=(50, 4)) * 20


def regressor(**options):
    return MLPRegressor(hidden_layer_sizes=(7, 5), solver="lbfgs", max_iter=20, random_state=0, **options)


def classifier(**options):
    return MLPClassifier(hidden_layer_sizes=(6,), solver="lbfgs", max_iter=20, random_state=0, **options)


def assert_predicts(network, model, points=POINTS):
    expected = np.reshape(model.predict(points), (len(points), -1))
    assert np.allclose(network.value(points), expected, rtol=1e-9, atol=1e-9 * abs(expected).max())


class TestScikitLearn:
    @pytest.mark.parametrize("target", [Y, Y[:, 0]], ids=["two", "one"])
    def test_regressor(self, target):
        model = regressor().fit(X, target)
        network = load_sklearn(model)
        assert network.widths == (7, 5)
        assert_predicts(network, model)

    def test_linear_activation_is_one_affine_map(self):
        model = regressor(activation="identity").fit(X, Y)
        network = load_sklearn(model)
        assert network.widths == ()
        assert_predicts(network, model)

    @pytest.mark.parametrize(
        "steps",
        [
            [StandardScaler()],
            [MinMaxScaler(), MaxAbsScaler()],
            [RobustScaler(), PCA(3)],
            [SelectKBest(k=2), StandardScaler()],
            ["passthrough", StandardScaler()],
            [ColumnTransformer([("a", StandardScaler(), [0, 2]), ("b", "passthrough", [3])])],
            [FunctionTransformer(lambda rows: rows[:, ::-1] / 7.0)],
        ],
        ids=lambda steps: "-".join(type(step).__name__ for step in steps),
    )
    def test_pipeline_of_affine_steps(self, steps):
        model = make_pipeline(*steps, regressor()).fit(X, Y[:, 0])
        network = load_sklearn(model)
        assert network.n_inputs == 4
        assert_predicts(network, model)

    def test_scaled_target(self):
        model = TransformedTargetRegressor(make_pipeline(StandardScaler(), regressor()), transformer=StandardScaler())
        for target in (Y, Y[:, 0]):
            assert_predicts(load_sklearn(model.fit(X, target)), model)

    def test_classifier_gives_scores(self):
        model = make_pipeline(StandardScaler(), classifier()).fit(X, CLASSES)
        scores = load_sklearn(model).value(POINTS)
        exponentials = np.exp(scores - scores.max(axis=1, keepdims=True))
        assert np.allclose(exponentials / exponentials.sum(axis=1, keepdims=True), model.predict_proba(POINTS))

    def test_classifier_of_two_classes_gives_one_score(self):
        model = classifier().fit(X / 10, CLASSES > 0)
        scores = load_sklearn(model).value(POINTS / 10)
        assert scores.shape == (50, 1)
        assert np.array_equal(scores[:, 0] > 0, model.predict(POINTS / 10))

    @pytest.mark.parametrize("activation", ["tanh", "logistic"])
    def test_smooth_activations_are_refused(self, activation):
        with pytest.raises(UnsupportedOperatorError, match=f"activation='{activation}' .*activation='relu'") as error:
            load_sklearn(regressor(activation=activation).fit(X, Y))
        assert error.value.operator == activation

    def test_step_that_is_not_affine_is_refused(self, monkeypatch):
        monkeypatch.setattr("pyomo_relugrad.frameworks.sklearn.find_spec", lambda name: None)
        model = make_pipeline(PolynomialFeatures(2), regressor()).fit(X, Y)
        with pytest.raises(UnsupportedOperatorError, match="step 'polynomialfeatures' is not affine"):
            load_sklearn(model)

    def test_other_estimators_need_skl2onnx(self, monkeypatch):
        monkeypatch.setitem(sys.modules, "skl2onnx", None)
        with pytest.raises(MissingPackageError, match=r"skl2onnx is needed to convert LinearRegression: .*pip install"):
            load_sklearn(LinearRegression().fit(X, Y))

    def test_other_estimators_through_skl2onnx(self):
        pytest.importorskip("skl2onnx")
        model = LinearRegression().fit(X, Y)
        assert np.allclose(load_sklearn(model).value(POINTS), model.predict(POINTS), rtol=1e-5)
        clipped = make_pipeline(MinMaxScaler(clip=True), regressor()).fit(X, Y[:, 0])
        assert np.allclose(load_sklearn(clipped).value(POINTS)[:, 0], clipped.predict(POINTS), rtol=1e-5)

    def test_estimator_that_is_not_fitted(self, monkeypatch):
        monkeypatch.setitem(sys.modules, "skl2onnx", None)
        with pytest.raises(NetworkValueError, match="MLPRegressor is not fitted"):
            load_sklearn(regressor())

    def test_scaler_that_is_not_fitted(self):
        with pytest.raises(NetworkValueError, match="StandardScaler is not fitted"):
            load_sklearn(make_pipeline(StandardScaler(), regressor().fit(X, Y[:, 0])))

    def test_what_is_no_estimator(self):
        with pytest.raises(NetworkValueError, match="str is no scikit-learn estimator"):
            load_sklearn("model.pickle")


class TestPyTorch:
    def test_package_is_missing(self, monkeypatch):
        monkeypatch.setitem(sys.modules, "torch", None)
        with pytest.raises(MissingPackageError, match=r"torch is needed .*pip install torch"):
            load_torch(None, None)

    @pytest.mark.parametrize("exporter", ["TorchScript", "dynamo"])
    def test_module(self, exporter, monkeypatch):
        torch = pytest.importorskip("torch")
        if exporter == "TorchScript":
            monkeypatch.setattr("pyomo_relugrad.frameworks.torch.find_spec", lambda name: None)
        else:
            pytest.importorskip("onnxscript")
        module = torch.nn.Sequential(
            torch.nn.Conv2d(1, 3, 3), torch.nn.BatchNorm2d(3), torch.nn.ReLU(), torch.nn.Dropout(),
            torch.nn.Flatten(), torch.nn.Linear(27, 2),
        )  # fmt: skip
        module[1].train(False)
        network = load_torch(module, torch.zeros(1, 1, 5, 5))
        assert [part.training for part in module] == [True, False, True, True, True, True]
        points = RNG.normal(size=(20, 25)).astype(np.float32)
        with torch.no_grad():
            expected = module.eval()(torch.from_numpy(points).reshape(-1, 1, 5, 5)).numpy()
        assert np.allclose(network.value(points), expected, rtol=1e-4, atol=1e-5)
        assert network.name == "Sequential"

    def test_several_inputs(self):
        torch = pytest.importorskip("torch")

        class Sum(torch.nn.Module):
            def forward(self, a, b):
                return torch.relu(a) - b

        network = load_torch(Sum(), (torch.zeros(1, 3), torch.zeros(1, 3)))
        assert network.value([[-1.0, 2.0, 3.0, 1.0, 1.0, 1.0]]).tolist() == [[-1.0, 1.0, 2.0]]


class TestKeras:
    def test_package_is_missing(self, monkeypatch):
        monkeypatch.setitem(sys.modules, "tf2onnx", None)
        with pytest.raises(MissingPackageError, match="tf2onnx is needed to convert a Keras model"):
            load_keras(None)

    def test_model_goes_through_tf2onnx(self, monkeypatch):
        """The package is a stand-in that gives what tf2onnx gives: a model and its external tensors."""
        model = make_model([helper.make_node("MatMul", ["x", "w"], ["y"])], ("N", 2), {"w": weights(0, 2, 3)})
        stand_in = SimpleNamespace(convert=SimpleNamespace(from_keras=lambda keras_model: (model, None)))
        monkeypatch.setitem(sys.modules, "tf2onnx", stand_in)
        assert np.allclose(load_keras("a Keras model").value(np.eye(2)), weights(0, 2, 3))
