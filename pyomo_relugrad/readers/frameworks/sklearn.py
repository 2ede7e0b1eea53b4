"""`load_sklearn`: networks, alone or in pipelines of affine steps, as they are fitted."""

from __future__ import annotations

from dataclasses import replace
from importlib import import_module
from importlib.util import find_spec
from typing import Any

from pyomo_relugrad.errors import NetworkValueError, UnsupportedOperatorError
from pyomo_relugrad.network import Network
from pyomo_relugrad.network.activations import RELU, Activation
from pyomo_relugrad.network.affine import Affine
from pyomo_relugrad.network.builder import as_layer, through
from pyomo_relugrad.network.curves import SIGMOID, TANH
from pyomo_relugrad.network.rewrite import map_outputs, substitute_inputs
from pyomo_relugrad.readers.frameworks.originals import check_predictions
from pyomo_relugrad.readers.frameworks.packages import first_line, require
from pyomo_relugrad.readers.frameworks.sklearn_steps import LEFT_OUT, AffineMap, inverse_transformation, transformation
from pyomo_relugrad.readers.onnx import load_onnx

#: What scikit-learn's names of activation functions stand for.
ACTIVATIONS: dict[str, Activation] = {"relu": RELU, "tanh": TANH, "logistic": SIGMOID}

#: Attributes that tell networks, and what networks can be inside of.
_OF_NETWORKS = ("coefs_", "regressor_", "best_estimator_", "steps")


def load_sklearn(estimator: Any) -> Network:
    """A fitted scikit-learn network, alone or at the end of a pipeline of affine steps such as scalers.

    Parameters
    ----------
    estimator : MLPRegressor, MLPClassifier, or a Pipeline, TransformedTargetRegressor or GridSearchCV with one
        Fitted, with any activation. A linear classifier such as LogisticRegression may stand
        in the network's place. Other estimators are converted by skl2onnx, if it is installed.

    Returns
    -------
    Network
        A regressor's predictions; a classifier's scores before its softmax or logistic function: one per class in the
        order of ``classes_``, or a single one, positive for the second class, if there are two, as those of
        ``decision_function``. Weights are taken in float64, as they are. Where the estimator was fitted on a data
        frame, the inputs have its columns' names, and scores of several classes that are words have these as their
        names.

    Raises
    ------
    UnsupportedOperatorError
        If a step is not affine.
    MissingPackageError
        If skl2onnx is needed and is not installed.
    NetworkValueError
        If it is no estimator, or is not fitted.
    NetworkMismatchError
        If the network that was read does not have the estimator's predictions at some points that are tried.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.neural_network import MLPRegressor
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.preprocessing import StandardScaler
    >>> X = np.linspace(-1, 1, 50).reshape(-1, 1)
    >>> model = make_pipeline(StandardScaler(), MLPRegressor(hidden_layer_sizes=(8,), solver="lbfgs", max_iter=50))
    >>> network = load_sklearn(model.fit(X, abs(X[:, 0])))
    >>> network
    <Network MLPRegressor 1-8-1>
    >>> np.allclose(network.value(X)[:, 0], model.predict(X))
    True
    """
    if not hasattr(estimator, "fit"):
        raise NetworkValueError(f"{type(estimator).__name__} is no scikit-learn estimator")
    network = _network_of(estimator)
    check_predictions(network, estimator)
    return network.with_names(_feature_names(estimator), _class_names(estimator, network.n_outputs))


def _network_of(estimator: Any) -> Network:
    if hasattr(estimator, "best_estimator_"):
        return _network_of(estimator.best_estimator_)
    if hasattr(estimator, "steps"):
        return _sklearn_pipeline(estimator)
    if hasattr(estimator, "regressor_") and hasattr(estimator, "transformer_"):
        network = _network_of(estimator.regressor_)
        return map_outputs(network, *inverse_transformation(estimator.transformer_, "transformer", network.n_outputs))
    if hasattr(estimator, "coefs_") and hasattr(estimator, "out_activation_"):
        return _multilayer_perceptron(estimator)
    if _is_linear_classifier(estimator):
        return Network.from_layers([estimator.coef_], [estimator.intercept_], name=type(estimator).__name__)
    return _through_skl2onnx(estimator)


def _is_linear_classifier(estimator: Any) -> bool:
    """Whether its scores are affine: a fitted LogisticRegression, LinearSVC or the like."""
    kinds = {kind.__name__ for kind in type(estimator).__mro__}
    return "LinearClassifierMixin" in kinds and hasattr(estimator, "coef_")


def _feature_names(estimator: Any) -> list[str]:
    """Names of the columns of the data frame that an estimator was fitted on; none where it was an array."""
    steps = [step for _, step in getattr(estimator, "steps", ()) if step not in LEFT_OUT]
    first = steps[0] if steps else estimator
    return [str(name) for name in getattr(first, "feature_names_in_", ())]


def _class_names(estimator: Any, n_outputs: int) -> list[str]:
    """Names of a classifier's scores; none where its classes are numbers, or one score tells two classes apart."""
    classes = list(getattr(estimator, "classes_", ()))
    return classes if len(classes) == n_outputs and all(isinstance(name, str) for name in classes) else []


def _multilayer_perceptron(estimator: Any) -> Network:
    name = type(estimator).__name__
    if estimator.out_activation_ not in ("identity", "softmax", "logistic"):
        raise UnsupportedOperatorError(
            f"{name} with the output function {estimator.out_activation_!r} is not piecewise linear",
            name,
            estimator.out_activation_,
        )
    weights, activation = [weight.T for weight in estimator.coefs_], ACTIVATIONS.get(estimator.activation, RELU)
    network = Network.from_layers(weights, estimator.intercepts_, name, activation)
    return _without_relus(network) if estimator.activation == "identity" else network


def _without_relus(network: Network) -> Network:
    """The network whose layers follow each other without an activation function between them."""
    tensors = [Affine.variable(0, (network.n_inputs,))]
    for layer in network.layers:
        tensors.append(through(layer, tensors))
    return replace(network, layers=(as_layer(tensors[-1]),))


def _sklearn_pipeline(pipeline: Any) -> Network:
    last = pipeline.steps[-1][1]
    if not any(hasattr(last, name) for name in _OF_NETWORKS) and not _is_linear_classifier(last):
        return _through_skl2onnx(pipeline)
    network = _network_of(last)
    steps = [(name, step) for name, step in pipeline.steps[:-1] if step not in LEFT_OUT]
    maps: list[AffineMap] = []
    try:
        for name, step in steps:
            width = maps[-1][1].size if maps else _input_width(step)
            maps.append(transformation(step, name, width))
    except UnsupportedOperatorError:
        if find_spec("skl2onnx") is None or not hasattr(last, "predict") or hasattr(last, "classes_"):
            raise
        return _through_skl2onnx(pipeline)
    for matrix, offset in reversed(maps):
        network = substitute_inputs(network, matrix, offset)
    return network


def _through_skl2onnx(estimator: Any) -> Network:
    width = _input_width(estimator)
    skl2onnx = require("skl2onnx", f"to convert {type(estimator).__name__}")
    types = import_module("skl2onnx.common.data_types")
    try:
        converted = skl2onnx.to_onnx(estimator, initial_types=[("X", types.DoubleTensorType([None, width]))])
    except Exception as error:  # skl2onnx raises what it likes
        raise UnsupportedOperatorError(
            f"{_steps_in_words(estimator)} is no network of affine steps, and skl2onnx cannot convert it: "
            f"{first_line(error)}",
            type(estimator).__name__,
        ) from error
    return load_onnx(converted)


def _steps_in_words(estimator: Any) -> str:
    steps = [type(step).__name__ for _, step in getattr(estimator, "steps", ())]
    return f"the pipeline of {', '.join(steps)}" if steps else type(estimator).__name__


def _input_width(estimator: Any) -> int:
    width = getattr(estimator, "n_features_in_", None)
    if width is None:
        raise NetworkValueError(f"{type(estimator).__name__} is not fitted: call its fit method first")
    return int(width)
