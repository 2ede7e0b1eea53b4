"""Networks straight from scikit-learn, PyTorch and Keras; the optional packages where they are installed."""

import sys
from types import SimpleNamespace

import numpy as np
import pytest
from onnx import helper
from onnx_models import make_model, weights

from pyomo_relugrad.errors import (
    MissingPackageError,
    NetworkMismatchError,
    NetworkValueError,
    RelugradError,
    UnsupportedOperatorError,
)
from pyomo_relugrad.readers.frameworks import load_keras, load_sklearn, load_torch
from pyomo_relugrad.readers.sources import load_network

pytest.importorskip("sklearn")
from sklearn.compose import ColumnTransformer, TransformedTargetRegressor
from sklearn.cross_decomposition import PLSRegression
from sklearn.decomposition import PCA, FactorAnalysis, TruncatedSVD
from sklearn.feature_selection import SelectKBest, VarianceThreshold
from sklearn.impute import SimpleImputer
from sklearn.linear_model import ElasticNet, LinearRegression, LogisticRegression, Ridge, RidgeClassifier, SGDRegressor
from sklearn.model_selection import GridSearchCV
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import FeatureUnion, Pipeline, make_pipeline
from sklearn.preprocessing import (
    FunctionTransformer,
    KBinsDiscretizer,
    MaxAbsScaler,
    MinMaxScaler,
    Normalizer,
    PolynomialFeatures,
    PowerTransformer,
    QuantileTransformer,
    RobustScaler,
    StandardScaler,
)
from sklearn.random_projection import GaussianRandomProjection
from sklearn.svm import LinearSVC

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

    @pytest.mark.parametrize("make", [regressor, classifier])
    def test_networks_inside_searches_and_pipelines(self, make, monkeypatch):
        monkeypatch.setitem(sys.modules, "skl2onnx", None)
        search = GridSearchCV(
            Pipeline([("scale", StandardScaler()), ("last", make())]), {"last__alpha": [0.1, 1]}, cv=2
        )
        nested = make_pipeline(MinMaxScaler(), make_pipeline(PCA(3), make()))
        for model in (search, nested, make_pipeline(PCA(2), search)):
            network = load_sklearn(model.fit(X, Y if make is regressor else CLASSES))
            if make is regressor:
                assert_predicts(network, model)
            else:
                assert np.array_equal(network.value(POINTS).argmax(axis=1), model.predict(POINTS))

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
    def test_smooth_activations(self, activation):
        model = make_pipeline(StandardScaler(), regressor(activation=activation)).fit(X, Y)
        network = load_sklearn(model)
        assert network.smooth_activations == ({"logistic": "sigmoid"}.get(activation, activation),)
        assert np.allclose(network.value(POINTS), model.predict(POINTS), rtol=1e-12)

    def test_step_that_is_not_affine_is_refused(self, monkeypatch):
        monkeypatch.setitem(sys.modules, "skl2onnx", None)
        model = make_pipeline(PolynomialFeatures(2), regressor()).fit(X, Y)
        with pytest.raises(UnsupportedOperatorError, match="step 'polynomialfeatures' is not affine"):
            load_sklearn(model)

    @pytest.mark.parametrize(
        "step",
        [
            FunctionTransformer(lambda rows: np.clip(rows, 250, 700)),
            FunctionTransformer(lambda rows: np.maximum(rows, 250)),
            FunctionTransformer(lambda rows: np.minimum(rows, 5000)),
            FunctionTransformer(lambda rows: np.log(np.maximum(rows, 1.0))),
            FunctionTransformer(lambda rows: rows - rows.mean(axis=0)),
            ColumnTransformer([("a", FunctionTransformer(lambda rows: np.minimum(rows, 700)), [2])]),
            FeatureUnion([("a", StandardScaler()), ("b", FunctionTransformer(np.abs))]),
            make_pipeline(StandardScaler(), FunctionTransformer(lambda rows: np.clip(rows, -4, 4))),
            MinMaxScaler(clip=True),
            SimpleImputer(missing_values=0.0, strategy="mean"),
            QuantileTransformer(n_quantiles=20),
            Normalizer(),
            KBinsDiscretizer(3, encode="ordinal", strategy="uniform"),
        ],
        ids=lambda step: type(step).__name__,
    )
    def test_steps_that_clip_or_jump_away_from_the_origin(self, step, monkeypatch):
        monkeypatch.setitem(sys.modules, "skl2onnx", None)
        kelvin = RNG.uniform(300, 600, size=(100, 4))
        model = make_pipeline(step, regressor()).fit(kelvin, kelvin[:, 0] / 100)
        with pytest.raises(UnsupportedOperatorError, match="is not affine: only scalers"):
            load_sklearn(model)

    @pytest.mark.parametrize(
        "step",
        [
            SimpleImputer(),
            TruncatedSVD(2),
            FactorAnalysis(2),
            VarianceThreshold(),
            FunctionTransformer(),
            FunctionTransformer(lambda rows: rows - 273.15),
            PolynomialFeatures(1),
            FeatureUnion([("a", PCA(2)), ("b", make_pipeline(RobustScaler(), "passthrough"))]),
            ColumnTransformer([("a", MinMaxScaler(), [1]), ("b", "drop", [0])], remainder="passthrough"),
            GaussianRandomProjection(3, random_state=0),
        ],
        ids=lambda step: type(step).__name__,
    )
    @pytest.mark.parametrize(("centre", "spread"), [(450.0, 50.0), (1e9, 1.0), (1e-6, 1e-7)])
    def test_affine_steps_are_read_whatever_the_units(self, step, centre, spread):
        given = centre + spread * RNG.normal(size=(100, 4))
        scaled = (given[:, 0] - centre) / spread
        model = make_pipeline(step, StandardScaler(), regressor()).fit(given, scaled)
        if not np.isfinite(model.predict(given)).all():
            pytest.skip("scikit-learn divides by zero here")
        found = load_sklearn(model).value(given)[:, 0]
        assert np.allclose(found, model.predict(given), rtol=1e-6, atol=1e-6 * abs(scaled).max())

    def test_target_that_is_clipped(self):
        for transformer in (
            FunctionTransformer(np.log1p, np.expm1, check_inverse=False),
            FunctionTransformer(inverse_func=lambda rows: np.minimum(rows, 900.0), check_inverse=False),
        ):
            model = TransformedTargetRegressor(regressor(), transformer=transformer).fit(X, Y[:, 0])
            with pytest.raises(UnsupportedOperatorError, match="'transformer' is not affine"):
                load_sklearn(model)

    def test_prediction_that_differs_is_refused(self):
        class Limited(MLPRegressor):
            def predict(self, rows):
                return np.minimum(super().predict(rows), 200.0)

        model = Limited(hidden_layer_sizes=(7,), solver="lbfgs", max_iter=20, random_state=0).fit(X, Y)
        reason = r"read from Limited differs by .* at inputs of size .*report it"
        with pytest.raises(NetworkMismatchError, match=reason):
            load_sklearn(model)

    @pytest.mark.parametrize("classes", [CLASSES, CLASSES > 0, np.stack([CLASSES > 0, CLASSES > 1], axis=1)])
    def test_probability_that_differs_is_refused(self, classes):
        class Limited(MLPClassifier):
            def predict_proba(self, rows):
                return super().predict_proba(np.minimum(rows, 3.0))

        options = {"solver": "lbfgs", "max_iter": 20, "random_state": 0}
        load_sklearn(MLPClassifier((6,), **options).fit(X, classes))
        with pytest.raises(NetworkMismatchError, match="Limited differs"):
            load_sklearn(Limited((6,), **options).fit(X, classes))

    @pytest.mark.parametrize("classes", [CLASSES, CLASSES > 0])
    @pytest.mark.parametrize("kind", [LogisticRegression, LinearSVC, RidgeClassifier])
    def test_linear_classifiers_give_their_scores(self, kind, classes):
        for model in (kind(), make_pipeline(StandardScaler(), kind())):
            network = load_sklearn(model.fit(X, classes))
            scores = model.decision_function(POINTS).reshape(len(POINTS), -1)
            np.testing.assert_allclose(network.value(POINTS), scores, rtol=1e-9, atol=1e-9 * abs(scores).max())

    @pytest.mark.parametrize("kind", [LinearRegression, Ridge, ElasticNet, SGDRegressor])
    def test_linear_regressors(self, kind):
        model = make_pipeline(StandardScaler(), kind(fit_intercept=False)).fit(X, Y[:, 0])
        assert_predicts(load_sklearn(model), model)
        assert load_sklearn(LinearRegression().fit(X, Y)).n_outputs == 2

    def test_scores_that_differ_are_refused(self):
        class Limited(LogisticRegression):
            def decision_function(self, rows):
                return super().decision_function(np.minimum(rows, 3.0))

        with pytest.raises(NetworkMismatchError, match="Limited differs"):
            load_sklearn(Limited().fit(X, CLASSES))

    def test_other_estimators_need_skl2onnx(self, monkeypatch):
        monkeypatch.setitem(sys.modules, "skl2onnx", None)
        with pytest.raises(MissingPackageError, match=r"skl2onnx is needed to convert PLSRegression: .*pip install"):
            load_sklearn(PLSRegression(2).fit(X, Y))

    def test_other_estimators_through_skl2onnx(self):
        pytest.importorskip("skl2onnx")
        model = PLSRegression(2).fit(X, Y)
        assert np.allclose(load_sklearn(model).value(POINTS), model.predict(POINTS), rtol=1e-5, atol=1e-4)
        clipped = make_pipeline(MinMaxScaler(clip=True), regressor()).fit(X, Y[:, 0])
        assert np.allclose(load_sklearn(clipped).value(POINTS)[:, 0], clipped.predict(POINTS), rtol=1e-5)

    @pytest.mark.parametrize("step", [KBinsDiscretizer(3), FunctionTransformer(np.abs), PowerTransformer()])
    @pytest.mark.filterwarnings("ignore")
    def test_steps_that_nothing_converts_are_refused_by_name(self, step):
        model = make_pipeline(step, regressor()).fit(np.round(X[:, :2]), Y[:, 0])
        with pytest.raises(
            UnsupportedOperatorError, match=type(step).__name__.lower() + "|" + type(step).__name__ + "|Cast"
        ):
            load_sklearn(model)

    def test_estimator_that_is_not_fitted(self, monkeypatch):
        monkeypatch.setitem(sys.modules, "skl2onnx", None)
        with pytest.raises(NetworkValueError, match="MLPRegressor is not fitted"):
            load_sklearn(regressor())

    def test_scaler_that_is_not_fitted(self):
        with pytest.raises(NetworkValueError, match="StandardScaler is not fitted"):
            load_sklearn(make_pipeline(StandardScaler(), regressor().fit(X, Y[:, 0])))

    def test_what_is_no_estimator(self):
        with pytest.raises(NetworkValueError, match="int is no scikit-learn estimator"):
            load_sklearn(3)
        with pytest.raises(NetworkValueError, match=r"'model\.pickle' is a path, not an estimator: open it first"):
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
            monkeypatch.setattr("pyomo_relugrad.readers.frameworks.exporters.find_spec", lambda name: None)
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

    def test_divisor_that_the_exporter_drops(self):
        torch = pytest.importorskip("torch")
        pytest.importorskip("onnxscript")
        pool = torch.nn.AvgPool2d(2, divisor_override=3)
        with pytest.raises(NetworkMismatchError, match=r"made of AvgPool2d differs by .*divisor_override"):
            load_torch(pool, torch.zeros(1, 2, 6, 6))
        body = torch.nn.Sequential(torch.nn.Conv2d(1, 2, 3), torch.nn.ReLU(), pool, torch.nn.Flatten())
        with pytest.raises(NetworkMismatchError, match="made of Sequential differs"):
            load_torch(torch.nn.Sequential(body, torch.nn.Linear(8, 1)), torch.zeros(1, 1, 6, 6))

    def test_weights_that_are_computed_from_positions(self):
        torch = pytest.importorskip("torch")
        pytest.importorskip("onnxscript")

        class Sampled(torch.nn.Module):
            def forward(self, x):
                grid = torch.linspace(-1, 1, 18).reshape(1, 3, 3, 2)
                return torch.nn.functional.grid_sample(x, grid, align_corners=False)

        larger = torch.nn.Upsample(scale_factor=1.5, mode="bicubic")
        for module, image in ((Sampled(), torch.rand(1, 1, 5, 5)), (larger, torch.rand(1, 2, 8, 8))):
            network = load_torch(module, image)
            assert np.allclose(network.value(image.reshape(1, -1)), module(image).reshape(1, -1), atol=1e-5)

    @pytest.mark.parametrize("is_scripted", [False, True])
    def test_module_and_example_stay_as_they_are(self, is_scripted):
        torch = pytest.importorskip("torch")

        class Counter(torch.nn.Module):
            def __init__(self):
                super().__init__()
                self.linear = torch.nn.Linear(3, 2)
                self.register_buffer("added_to", torch.zeros(1))
                self.register_buffer("replaced", torch.zeros(1))

            def forward(self, x):
                self.added_to += 1
                self.replaced = self.replaced + 1
                return self.linear(x.relu_())

        module, example = Counter(), -torch.ones(1, 3)
        module = torch.jit.script(module) if is_scripted else module
        load_torch(module, example)
        assert (module.added_to, module.replaced) == (0, 0)
        assert sorted(module.state_dict()) == ["added_to", "linear.bias", "linear.weight", "replaced"]
        assert example.tolist() == [[-1, -1, -1]]

    @pytest.mark.parametrize("kind", ["float64", "float32", "float16"])
    def test_masks_and_limits(self, kind):
        torch = pytest.importorskip("torch")
        kind = getattr(torch, kind)

        class Masked(torch.nn.Module):
            def forward(self, x):
                mask = torch.tensor([True, False, True])
                lowest = torch.finfo(x.dtype).min
                return x.masked_fill(~mask, lowest).amax(1, keepdim=True), x.clamp(lowest, 3.0), x.clamp(min=-1e4)

        network = load_torch(Masked(), torch.zeros(1, 3, dtype=kind))
        assert network.value([[-7.0, 5.0, -9.0]]).tolist() == [[-7, -7, 3, -9, -7, 5, -9]]

    def test_forms_of_modules_and_examples(self, tmp_path):
        torch = pytest.importorskip("torch")
        module = torch.nn.Sequential(torch.nn.Linear(4, 3), torch.nn.ReLU(), torch.nn.Linear(3, 2)).eval()
        row = torch.ones(1, 4)
        with torch.no_grad():
            expected = module(row).numpy()
        torch.jit.script(module).save(str(tmp_path / "scripted.pt"))
        for form, example in (
            (torch.jit.script(module), row),
            (torch.jit.trace(module, row), row),
            (torch.jit.freeze(torch.jit.script(module)), row),
            (torch.jit.load(str(tmp_path / "scripted.pt")), row),
            (module, np.ones((1, 4))),
            (module, [[1, 1, 1, 1]]),
            (module, [np.ones((1, 4), np.float32)]),
        ):
            assert np.allclose(load_torch(form, example).value(np.ones((1, 4))), expected, rtol=1e-5)

    def test_the_other_exporter_is_tried(self):
        torch = pytest.importorskip("torch")
        pytest.importorskip("onnxscript")
        module = torch.nn.Sequential(torch.nn.Linear(4, 3), torch.nn.RReLU()).eval()  # torch.export lacks it
        points = RNG.normal(size=(10, 4)).astype(np.float32)
        with torch.no_grad():
            expected = module(torch.from_numpy(points)).numpy()
        assert np.allclose(load_torch(module, torch.zeros(1, 4)).value(points), expected, rtol=1e-4, atol=1e-5)

    def test_a_trace_that_keeps_one_branch_is_no_way_out(self):
        torch = pytest.importorskip("torch")
        pytest.importorskip("onnxscript")

        class Branch(torch.nn.Module):
            def forward(self, x):
                return -x if x.sum() > 1000 else torch.relu(x)

        with pytest.raises(UnsupportedOperatorError, match="PyTorch cannot export Branch to ONNX: Could not guard"):
            load_torch(Branch(), torch.zeros(1, 4))

    def test_one_tensor_for_two_arguments_is_told(self):
        torch = pytest.importorskip("torch")
        module = torch.nn.Bilinear(2, 2, 1)
        with pytest.raises(NetworkValueError, match="Give a tuple as the example, a tensor for each argument"):
            load_torch(module, torch.zeros(1, 2))

    @pytest.mark.slow
    def test_a_program_of_torch_export_is_read(self):
        torch = pytest.importorskip("torch")
        module = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.ReLU(), torch.nn.Linear(4, 1))
        points = np.random.default_rng(0).normal(size=(5, 3)).astype(np.float32)
        network = load_network(torch.export.export(module, (torch.zeros(1, 3),)))
        assert network.value(points) == pytest.approx(module(torch.from_numpy(points)).detach().numpy(), abs=1e-6)

    @pytest.mark.parametrize(
        ("form", "message"),
        [
            ("wrong width", r"Sequential cannot be run on the example of shape \(1, 5\): mat1 and mat2"),
            ("state dictionary", "a dictionary of weights says nothing of the layers"),
            ("path", "'model.pt' is a path, not a module: fill a module that you made by .*weights_only=True"),
            ("class", "ReLU is a class: give a module that was made of it"),
            ("function", "is no torch.nn.Module"),
            ("complex", "Linear has complex numbers"),
            ("integers", "Embedding: node .* Gather takes its indices or shape from the network's input"),
            ("dictionary", "must be a tensor or an array, or a tuple of these, not dict"),
            ("adaptive maximum", "PyTorch cannot export AdaptiveMaxPool2d"),
            ("orthogonal", "PyTorch cannot export ParametrizedLinear"),
            ("random", "PyTorch cannot export FractionalMaxPool2d"),
            ("recurrent", "LSTM: node .* LSTM is recurrent"),
        ],
    )
    @pytest.mark.filterwarnings("ignore:Complex modules")
    def test_what_cannot_be_exported_is_refused_in_a_line_and_in_silence(self, form, message, capfd):
        torch = pytest.importorskip("torch")
        pytest.importorskip("onnxscript")
        nn = torch.nn
        module, row, image = nn.Sequential(nn.Linear(4, 3), nn.ReLU()), torch.zeros(1, 4), torch.rand(1, 2, 6, 6)
        arguments = {
            "wrong width": (module, torch.zeros(1, 5)),
            "state dictionary": (module.state_dict(), row),
            "path": ("model.pt", row),
            "class": (nn.ReLU, row),
            "function": (torch.relu, row),
            "complex": (nn.Linear(4, 3).to(torch.complex64), row),
            "integers": (nn.Embedding(5, 3), torch.zeros(1, 2, dtype=torch.long)),
            "dictionary": (module, {"x": row}),
            "adaptive maximum": (nn.AdaptiveMaxPool2d(4), image),
            "orthogonal": (nn.utils.parametrizations.orthogonal(nn.Linear(4, 4)), row),
            "random": (nn.FractionalMaxPool2d(2, output_size=3), image),
            "recurrent": (nn.LSTM(4, 3, batch_first=True), torch.zeros(1, 2, 4)),
        }[form]
        capfd.readouterr()
        with pytest.raises(RelugradError, match=message) as caught:
            load_torch(*arguments)
        assert capfd.readouterr() == ("", "")
        assert "\n" not in str(caught.value)
        assert "\x1b" not in str(caught.value)
        assert len(str(caught.value)) < 700

    def test_names_are_those_of_forward(self):
        torch = pytest.importorskip("torch")

        class Plant(torch.nn.Module):
            def forward(self, temperature, pressure):
                return {"yield": torch.relu(temperature - pressure), "cost": temperature + 2 * pressure}

        network = load_torch(Plant(), (torch.zeros(1, 1), torch.zeros(1, 1)))
        assert network.input_names == ("temperature", "pressure")
        assert network.output_names == ("yield", "cost")
        assert network.value([[3.0, 1.0]]).tolist() == [[2.0, 5.0]]


class TestKeras:
    def test_package_is_missing(self, monkeypatch):
        monkeypatch.setitem(sys.modules, "tf2onnx", None)
        with pytest.raises(MissingPackageError, match="tf2onnx is needed to convert a Keras model"):
            load_keras(SimpleNamespace(predict_on_batch=None))

    def test_model_goes_through_tf2onnx(self, monkeypatch):
        """The package is a stand-in that gives what tf2onnx gives: a model and its external tensors."""
        model = make_model([helper.make_node("MatMul", ["x", "w"], ["y"])], ("N", 2), {"w": weights(0, 2, 3)})
        stand_in = SimpleNamespace(convert=SimpleNamespace(from_keras=lambda keras_model: (model, None)))
        monkeypatch.setitem(sys.modules, "tf2onnx", stand_in)
        keras_model = SimpleNamespace(predict_on_batch=lambda rows: rows @ weights(0, 2, 3))
        assert np.allclose(load_keras(keras_model).value(np.eye(2)), weights(0, 2, 3))
        keras_model.predict_on_batch = lambda rows: [np.minimum(rows @ weights(0, 2, 3), 500.0)]
        with pytest.raises(NetworkMismatchError, match=r"of the Keras model differs by .*another version of tf2onnx"):
            load_keras(keras_model)
