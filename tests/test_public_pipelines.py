"""Pipelines and modules as the documentation of scikit-learn, PyTorch and Keras shows them, on data that they ship.

Each is read and agrees with its own predictions to 1e-5, or is refused in words that name the step.
"""

import os
from importlib.util import find_spec

import numpy as np
import pytest
from sklearn.compose import (
    ColumnTransformer,
    TransformedTargetRegressor,
    make_column_selector,
    make_column_transformer,
)
from sklearn.datasets import load_diabetes, load_digits, load_iris, load_wine
from sklearn.decomposition import PCA, TruncatedSVD
from sklearn.ensemble import BaggingRegressor, VotingRegressor
from sklearn.feature_selection import SelectKBest, VarianceThreshold, f_regression
from sklearn.impute import KNNImputer, SimpleImputer
from sklearn.kernel_approximation import Nystroem
from sklearn.linear_model import (
    ElasticNet,
    HuberRegressor,
    Lasso,
    LinearRegression,
    LogisticRegression,
    Perceptron,
    Ridge,
    RidgeClassifier,
    SGDClassifier,
    SGDRegressor,
)
from sklearn.model_selection import GridSearchCV, RandomizedSearchCV
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import FeatureUnion, make_pipeline
from sklearn.preprocessing import (
    Binarizer,
    FunctionTransformer,
    KBinsDiscretizer,
    MaxAbsScaler,
    MinMaxScaler,
    Normalizer,
    OneHotEncoder,
    OrdinalEncoder,
    PolynomialFeatures,
    PowerTransformer,
    QuantileTransformer,
    RobustScaler,
    SplineTransformer,
    StandardScaler,
    TargetEncoder,
)
from sklearn.svm import LinearSVC, LinearSVR

from pyomo_relugrad import load_network, load_torch
from pyomo_relugrad.errors import RelugradError

pd = pytest.importorskip("pandas")
pytestmark = pytest.mark.filterwarnings("ignore")

DIABETES, PROGRESSION = load_diabetes(return_X_y=True, as_frame=True)
IRIS, SPECIES = load_iris(return_X_y=True, as_frame=True)
WINE, CULTIVAR = load_wine(return_X_y=True)
DIGITS, DIGIT = (each[:150] for each in load_digits(return_X_y=True))
RANDOM = np.random.default_rng(0)
FLATS = pd.DataFrame(
    {
        "area": RANDOM.uniform(20, 120, 90),
        "rooms": RANDOM.integers(1, 6, 90).astype(float),
        "city": RANDOM.choice(["Oslo", "Rome", "Lima"], 90),
        "state": RANDOM.choice(["new", "old"], 90),
    }
)
PRICE = FLATS["area"] * 20 + 300 * (FLATS["city"] == "Oslo") - 200 * (FLATS["state"] == "old")
GAPS = FLATS[["area", "rooms"]].mask(RANDOM.random((90, 2)) < 0.1)
NUMBERS, WORDS = ["area", "rooms"], ["city", "state"]


def mlp(**options):
    return MLPRegressor(hidden_layer_sizes=(6,), solver="lbfgs", max_iter=15, random_state=0, **options)


def votes(**options):
    return MLPClassifier(hidden_layer_sizes=(6,), solver="lbfgs", max_iter=15, random_state=0, **options)


def numbers_and_words(numbers, words, by=(NUMBERS, WORDS)):
    return ColumnTransformer([("numbers", numbers, by[0]), ("words", words, by[1])])


ONE_HOT = OneHotEncoder(handle_unknown="ignore")
REGRESSORS = {  # name: (estimator, data, target)
    "scaled perceptron": (make_pipeline(StandardScaler(), mlp()), DIABETES, PROGRESSION),
    "scaled perceptron on arrays": (make_pipeline(MinMaxScaler(), mlp()), WINE, CULTIVAR),
    "robust scaler": (make_pipeline(RobustScaler(), mlp()), DIABETES, PROGRESSION),
    "largest value": (make_pipeline(MaxAbsScaler(), mlp(activation="tanh")), DIABETES, PROGRESSION),
    "logistic neurons": (make_pipeline(StandardScaler(), mlp(activation="logistic")), DIABETES, PROGRESSION),
    "principal components": (make_pipeline(StandardScaler(), PCA(4), mlp()), DIABETES, PROGRESSION),
    "singular values": (make_pipeline(TruncatedSVD(3), Ridge()), WINE, CULTIVAR),
    "selection": (make_pipeline(SelectKBest(f_regression, k=4), mlp()), DIABETES, PROGRESSION),
    "variances": (make_pipeline(VarianceThreshold(), StandardScaler(), mlp()), DIABETES, PROGRESSION),
    "imputer": (make_pipeline(SimpleImputer(), StandardScaler(), mlp()), GAPS, PRICE),
    "nearest imputer": (make_pipeline(KNNImputer(), mlp()), GAPS, PRICE),
    "features of degree one": (make_pipeline(PolynomialFeatures(1), StandardScaler(), mlp()), DIABETES, PROGRESSION),
    "no step": (make_pipeline(FunctionTransformer(), mlp()), DIABETES, PROGRESSION),
    "scaled target": (TransformedTargetRegressor(mlp(), transformer=StandardScaler()), DIABETES, PROGRESSION),
    "scaled target in a pipeline": (
        make_pipeline(StandardScaler(), TransformedTargetRegressor(mlp(), transformer=MinMaxScaler())),
        DIABETES,
        PROGRESSION,
    ),
    "grid search": (
        GridSearchCV(make_pipeline(StandardScaler(), mlp()), {"mlpregressor__alpha": [0.1, 1]}, cv=2),
        DIABETES,
        PROGRESSION,
    ),
    "random search": (RandomizedSearchCV(mlp(), {"alpha": [0.1, 1]}, n_iter=2, cv=2), DIABETES, PROGRESSION),
    "linear regression": (make_pipeline(StandardScaler(), LinearRegression()), DIABETES, PROGRESSION),
    "lasso": (Lasso(), DIABETES, PROGRESSION),
    "elastic net": (make_pipeline(StandardScaler(), ElasticNet()), DIABETES, PROGRESSION),
    "Huber": (make_pipeline(StandardScaler(), HuberRegressor()), DIABETES, PROGRESSION),
    "stochastic gradients": (make_pipeline(StandardScaler(), SGDRegressor()), DIABETES, PROGRESSION),
    "support vectors": (make_pipeline(StandardScaler(), LinearSVR()), DIABETES, PROGRESSION),
    "bagging": (BaggingRegressor(mlp(), n_estimators=3, random_state=0), DIABETES, PROGRESSION),
    "voting": (VotingRegressor([("a", mlp()), ("b", Ridge())]), DIABETES, PROGRESSION),
    "union": (
        make_pipeline(FeatureUnion([("pca", PCA(2)), ("scaled", StandardScaler())]), mlp()),
        DIABETES,
        PROGRESSION,
    ),
    "categories by name": (make_pipeline(numbers_and_words(StandardScaler(), ONE_HOT), mlp()), FLATS, PRICE),
    "categories by position": (
        make_pipeline(numbers_and_words(StandardScaler(), ONE_HOT, ([0, 1], [2, 3])), mlp()),
        FLATS,
        PRICE,
    ),
    "categories by selector": (
        make_pipeline(
            make_column_transformer(
                (StandardScaler(), make_column_selector(dtype_include=np.number)),
                (OneHotEncoder(drop="first"), make_column_selector(dtype_exclude=np.number)),
            ),
            mlp(),
        ),
        FLATS,
        PRICE,
    ),
    "categories as numbers": (
        make_pipeline(numbers_and_words("passthrough", OrdinalEncoder()), StandardScaler(), mlp()),
        FLATS,
        PRICE,
    ),
    "categories by target": (
        make_pipeline(numbers_and_words(StandardScaler(), TargetEncoder(random_state=0)), mlp()),
        FLATS,
        PRICE,
    ),
    "nested pipelines": (
        make_pipeline(numbers_and_words(make_pipeline(SimpleImputer(), StandardScaler()), ONE_HOT), Ridge()),
        FLATS,
        PRICE,
    ),
    "columns left out": (
        make_pipeline(ColumnTransformer([("scaled", StandardScaler(), NUMBERS)]), mlp()),
        FLATS[NUMBERS],
        PRICE,
    ),
    "the rest passed through": (
        make_pipeline(make_column_transformer((ONE_HOT, WORDS), remainder="passthrough"), LinearRegression()),
        FLATS,
        PRICE,
    ),
}
CLASSIFIERS = {
    "flowers": (make_pipeline(StandardScaler(), votes()), IRIS, SPECIES),
    "flowers by name": (make_pipeline(StandardScaler(), votes()), IRIS, SPECIES.map({0: "a", 1: "b", 2: "c"})),
    "two classes": (make_pipeline(StandardScaler(), votes()), IRIS, SPECIES == 1),
    "digits": (make_pipeline(MinMaxScaler(), votes()), DIGITS, DIGIT),
    "logistic regression": (make_pipeline(StandardScaler(), LogisticRegression()), WINE, CULTIVAR),
    "two classes, logistic": (make_pipeline(StandardScaler(), LogisticRegression()), WINE, CULTIVAR == 0),
    "ridge classifier": (RidgeClassifier(), IRIS, SPECIES),
    "perceptron": (make_pipeline(StandardScaler(), Perceptron()), IRIS, SPECIES),
    "support vector classifier": (make_pipeline(StandardScaler(), LinearSVC()), IRIS, SPECIES),
    "stochastic gradient classifier": (make_pipeline(StandardScaler(), SGDClassifier()), IRIS, SPECIES),
}
REFUSED = {  # what stands before the perceptron, and the step's name
    "splines": (SplineTransformer(), "splinetransformer"),
    "powers": (PowerTransformer(), "powertransformer"),
    "quantiles": (QuantileTransformer(n_quantiles=20), "quantiletransformer"),
    "bins": (KBinsDiscretizer(3, strategy="uniform"), "kbinsdiscretizer"),
    "binary": (Binarizer(), "binarizer"),
    "lengths": (Normalizer(), "normalizer"),
    "logarithms": (FunctionTransformer(np.log1p), "functiontransformer"),
    "kernels": (Nystroem(n_components=5), "nystroem"),
}


def rows(network, data):
    """The rows (n, n_inputs) of numbers that a table has: a binary for each category."""
    if not network.choices:
        return np.asarray(data, float)
    known, columns = {choice.name: choice for choice in network.choices}, []
    for name in data.columns:
        if name in known:
            columns += [(data[name] == category).to_numpy(float) for category in known[name].categories]
        else:
            columns.append(data[name].to_numpy(float))
    return np.column_stack(columns)


def complete(data):
    """The rows of a table in which nothing is missing: an optimisation model misses nothing."""
    return data.dropna() if hasattr(data, "dropna") else data


def test_there_are_more_than_forty():
    assert len(REGRESSORS) + len(CLASSIFIERS) + len(REFUSED) + len(MODULES) + len(LAYERS) >= 60


@pytest.mark.parametrize("name", REGRESSORS)
def test_regressors_agree_with_predict(name):
    estimator, data, target = REGRESSORS[name]
    model, data = estimator.fit(data, target), complete(data)
    network = load_network(model)
    expected = model.predict(data)
    assert abs(network.value(rows(network, data))[:, 0] - expected).max() <= 1e-5 * max(1.0, abs(expected).max())


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_scores_of_classifiers_choose_what_predict_chooses(name):
    estimator, data, target = CLASSIFIERS[name]
    model = estimator.fit(data, target)
    scores = load_network(model).value(np.asarray(data, float))
    if hasattr(model, "decision_function"):
        expected = model.decision_function(data).reshape(scores.shape)
        assert abs(scores - expected).max() <= 1e-5 * max(1.0, abs(expected).max())
    else:
        logits = np.hstack([np.zeros_like(scores), scores]) if scores.shape[1] == 1 else scores
        chances = np.exp(logits - logits.max(axis=1, keepdims=True))
        assert abs(chances / chances.sum(axis=1, keepdims=True) - model.predict_proba(data)).max() <= 1e-5
    chosen = (scores[:, 0] > 0).astype(int) if scores.shape[1] == 1 else scores.argmax(axis=1)
    assert (model.classes_[chosen] == model.predict(data)).all()


@pytest.mark.parametrize("name", REFUSED)
def test_steps_that_are_not_affine_are_refused_by_name(name):
    step, called = REFUSED[name]
    model = make_pipeline(step, mlp()).fit(abs(DIABETES), PROGRESSION)
    with pytest.raises(RelugradError, match=rf"the step '{called}' .*[.:] \w+.*"):
        load_network(model)


def test_features_of_degree_two_are_read_by_skl2onnx_or_refused_by_name():
    model = make_pipeline(StandardScaler(), PolynomialFeatures(2), LinearRegression()).fit(DIABETES, PROGRESSION)
    if find_spec("skl2onnx") is None:
        with pytest.raises(RelugradError, match="the step 'polynomialfeatures'"):
            load_network(model)
        return
    network = load_network(model)
    assert len(network.widths) == 1
    assert np.allclose(network.value(DIABETES)[:, 0], model.predict(DIABETES))


def test_a_scaler_that_clips_is_read_by_skl2onnx_or_refused_by_name():
    model = make_pipeline(MinMaxScaler(clip=True), mlp()).fit(WINE, CULTIVAR)
    if find_spec("skl2onnx") is None:
        with pytest.raises(RelugradError, match="the step 'minmaxscaler'"):
            load_network(model)
        return
    points = np.random.default_rng(0).normal(size=(50, WINE.shape[1])) * 10 * WINE.std(axis=0)
    assert abs(load_network(model).value(points)[:, 0] - model.predict(points)).max() <= 1e-5


# --- modules --------------------------------------------------------------------------------------------------------


def image_classifier(nn):
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 16), nn.ReLU(), nn.Linear(16, 10)), (1, 8, 8)


def lenet(nn):
    convolutions = [nn.Conv2d(1, 3, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(3, 4, 2), nn.ReLU()]
    return nn.Sequential(*convolutions, nn.Flatten(), nn.Linear(16, 6), nn.ReLU(), nn.Linear(6, 3)), (1, 8, 8)


MODULES = {
    "perceptron": lambda nn: (nn.Sequential(nn.Linear(3, 8), nn.ReLU(), nn.Linear(8, 1)), (3,)),
    "image classifier": image_classifier,
    "convolutions": lenet,
    "dropout": lambda nn: (nn.Sequential(nn.Linear(3, 8), nn.ReLU(), nn.Dropout(0.5), nn.Linear(8, 1)), (3,)),
    "batch normalization": lambda nn: (
        nn.Sequential(nn.Linear(3, 8), nn.BatchNorm1d(8), nn.LeakyReLU(), nn.Linear(8, 2)),
        (3,),
    ),
    "smooth": lambda nn: (nn.Sequential(nn.Linear(3, 8), nn.Tanh(), nn.Linear(8, 8), nn.GELU(), nn.Linear(8, 1)), (3,)),
    "nested": lambda nn: (
        nn.Sequential(nn.Sequential(nn.Linear(3, 8), nn.ReLU6()), nn.Sequential(nn.Linear(8, 1), nn.Hardtanh())),
        (3,),
    ),
    "means of windows": lambda nn: (
        nn.Sequential(nn.Conv1d(1, 2, 3), nn.ReLU(), nn.AvgPool1d(2), nn.Flatten(), nn.Linear(6, 1)),
        (1, 8),
    ),
}


@pytest.mark.parametrize("name", MODULES)
def test_modules_agree(name):
    torch = pytest.importorskip("torch")
    torch.manual_seed(0)
    module, shape = MODULES[name](torch.nn)
    points = np.random.default_rng(1).normal(size=(20, *shape)).astype(np.float32)
    network = load_torch(module.eval(), points[:1] if len(shape) > 1 else None)
    with torch.no_grad():
        expected = module(torch.from_numpy(points)).numpy().reshape(20, -1)
    assert abs(network.value(points.reshape(20, -1)) - expected).max() <= 1e-5


LAYERS = {
    "regression": lambda keras, layers: [keras.Input((3,)), layers.Dense(8, activation="relu"), layers.Dense(1)],
    "images": lambda keras, layers: [
        keras.Input((8, 8, 1)),
        layers.Conv2D(2, 3, activation="relu"),
        layers.MaxPooling2D(),
        layers.Flatten(),
        layers.Dropout(0.2),
        layers.Dense(3),
    ],
    "rescaled": lambda keras, layers: [
        keras.Input((3,)),
        layers.Rescaling(0.1, offset=-1),
        layers.Dense(8),
        layers.BatchNormalization(),
        layers.ReLU(),
        layers.Dense(2),
    ],
    "smooth": lambda keras, layers: [keras.Input((3,)), layers.Dense(8, activation="swish"), layers.Dense(1)],
}


@pytest.mark.parametrize("name", LAYERS)
def test_models_of_keras_agree(name):
    os.environ.setdefault("KERAS_BACKEND", "torch")
    try:
        import keras
    except ImportError as error:  # also where the backend is missing
        pytest.skip(f"needs keras: {error}")
    keras.utils.set_random_seed(0)
    model = keras.Sequential(LAYERS[name](keras, keras.layers))
    network = load_network(model)
    points = np.random.default_rng(1).normal(size=(20, *model.input_shape[1:])).astype(np.float32)
    expected = np.asarray(keras.ops.convert_to_numpy(model(points))).reshape(20, -1)
    assert abs(network.value(points.reshape(20, -1)) - expected).max() <= 1e-5


def test_operations_of_keras_beside_numbers_and_products():
    """What ``keras.ops`` and the operators of Python make of the tensors of a functional model."""
    os.environ.setdefault("KERAS_BACKEND", "torch")
    try:
        import keras
    except ImportError as error:
        pytest.skip(f"needs keras: {error}")
    entering = keras.Input((3,))
    left, right = keras.layers.Dense(2)(entering), keras.layers.Dense(2)(entering)
    clipped = 1.0 - keras.ops.minimum(0.5, keras.ops.maximum(left, right)) * 2.0 + np.float32([1.0, 2.0])
    model = keras.Model(entering, [clipped, left * right])
    points = np.random.default_rng(1).normal(size=(20, 3)).astype(np.float32)
    expected = [keras.ops.convert_to_numpy(part) for part in model(points)]
    assert abs(load_network(model).value(points) - np.concatenate(expected, axis=1)).max() <= 1e-5
