"""`load_sklearn`: networks, alone or in pipelines of affine steps, as they are fitted."""

from __future__ import annotations

import os
from dataclasses import replace
from importlib import import_module
from typing import Any

import numpy as np

from pyomo_relugrad.errors import NetworkValueError, RelugradError, UnsupportedOperatorError
from pyomo_relugrad.network import RELU, Activation, Network
from pyomo_relugrad.network.building import Affine, as_layer, map_outputs, mean_of, substitute_inputs, through
from pyomo_relugrad.network.curves import SIGMOID, TANH
from pyomo_relugrad.readers.frameworks.originals import check_predictions
from pyomo_relugrad.readers.frameworks.packages import first_line, require
from pyomo_relugrad.readers.frameworks.sklearn_columns import columns_of, first_steps
from pyomo_relugrad.readers.frameworks.sklearn_steps import LEFT_OUT, inverse_transformation, transformation
from pyomo_relugrad.readers.onnx import load_onnx

#: What scikit-learn's names of activation functions stand for.
ACTIVATIONS: dict[str, Activation] = {"relu": RELU, "tanh": TANH, "logistic": SIGMOID}

#: Attributes that tell networks, and what networks can be inside of.
_OF_NETWORKS = ("coefs_", "regressor_", "best_estimator_", "steps")
#: Classes of linear models and their parents, and words in the names of those that are made of decision trees.
_LINEAR_MODELS = frozenset({"LinearClassifierMixin", "LinearModel", "BaseSGDRegressor"})
_AVERAGES = frozenset({"BaggingRegressor", "VotingRegressor"})
_OF_TREES = ("Tree", "Forest", "Boost", "LGBM", "XGB")


def load_sklearn(estimator: Any) -> Network:
    """A fitted scikit-learn network, alone or at the end of a pipeline of affine steps such as scalers.

    Parameters
    ----------
    estimator : MLPRegressor, MLPClassifier, or a Pipeline, TransformedTargetRegressor or GridSearchCV with one
        Fitted, with any activation. A linear model such as LinearRegression or LogisticRegression may stand
        in the network's place, and so may a BaggingRegressor or VotingRegressor of these.
        Other estimators are converted by skl2onnx, if it is installed.

    Returns
    -------
    Network
        A regressor's predictions; a classifier's scores before its softmax or logistic function: one per class in the
        order of ``classes_``, or a single one, positive for the second class, if there are two, as those of
        ``decision_function``. Weights are taken in float64, as they are. Where the estimator was fitted on a data
        frame, the inputs have its columns' names, and scores of several classes that are words have these as their
        names. A column that an encoder reads (OneHotEncoder, OrdinalEncoder, TargetEncoder) is one of
        `Network.choices`: an input that is 0 or 1 for each category.

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
    if isinstance(estimator, type):
        raise NetworkValueError(f"{estimator.__name__} is a class: make an estimator of it, and fit that")
    if isinstance(estimator, (str, os.PathLike)):
        raise NetworkValueError(
            f"{str(estimator)!r} is a path, not an estimator: open it first, such as by skops.io.load, which runs no "
            "code of the file"
        )
    if not (hasattr(estimator, "fit") and hasattr(estimator, "predict")):
        raise NetworkValueError(
            f"{type(estimator).__name__} is no scikit-learn estimator with predictions: give a fitted network, or a "
            "pipeline that ends with one"
        )
    network = _network_of(estimator)
    names = _feature_names(estimator)
    check_predictions(network, estimator, bool(names))
    return network.with_names(None if network.choices else names, _class_names(estimator, network.n_outputs))


def _network_of(estimator: Any) -> Network:
    kind = type(estimator).__name__
    if hasattr(estimator, "best_estimator_"):
        return _network_of(estimator.best_estimator_)
    if hasattr(estimator, "steps"):
        return _sklearn_pipeline(estimator)
    if hasattr(estimator, "regressor_") and hasattr(estimator, "transformer_"):
        network = _network_of(estimator.regressor_)
        return map_outputs(network, *inverse_transformation(estimator.transformer_, "transformer", network.n_outputs))
    if kind in _AVERAGES and getattr(estimator, "weights", None) is None:
        width = _input_width(estimator)
        read = getattr(estimator, "estimators_features_", [None] * len(estimator.estimators_))  # None: all columns
        members = zip(estimator.estimators_, read, strict=True)
        return mean_of([_member(member, columns, width) for member, columns in members])
    if hasattr(estimator, "coefs_") and hasattr(estimator, "out_activation_"):
        return _multilayer_perceptron(estimator)
    if _is_linear(estimator):
        coefficients = np.atleast_2d(estimator.coef_)
        shifts = np.broadcast_to(np.ravel(estimator.intercept_), (len(coefficients),))
        return Network.from_layers([coefficients], [shifts], name=kind)
    return _through_skl2onnx(estimator)


def _member(estimator: Any, columns: Any, width: int) -> Network:
    """A member of an ensemble, as a network of all columns."""
    network = _network_of(estimator)
    if columns is None or network.choices:
        return network
    return substitute_inputs(network, np.eye(width)[np.asarray(columns)], np.zeros(network.n_inputs))


def _is_linear(estimator: Any) -> bool:
    """Whether its predictions or scores are affine: a fitted Ridge, LogisticRegression or the like."""
    kinds = {kind.__name__ for kind in type(estimator).__mro__}
    return bool(kinds & _LINEAR_MODELS) and hasattr(estimator, "coef_")


def _feature_names(estimator: Any) -> list[str]:
    """Names of the columns of the data frame that an estimator was fitted on; none where it was an array."""
    steps = [step for _, step in getattr(estimator, "steps", ()) if step not in LEFT_OUT]
    for part in (estimator, *steps[:1], getattr(estimator, "regressor_", None)):
        names = getattr(part, "feature_names_in_", None)
        if names is not None:
            return [str(name) for name in names]
    inner = steps[0] if steps else getattr(estimator, "regressor_", None)
    return [] if inner is None else _feature_names(inner)


def _class_names(estimator: Any, n_outputs: int) -> list[str]:
    """Names of a classifier's scores; none where its classes are numbers, or one score tells two classes apart."""
    classes = list(getattr(estimator, "classes_", ()))
    return classes if len(classes) == n_outputs and all(isinstance(name, str) for name in classes) else []


def _multilayer_perceptron(estimator: Any) -> Network:
    name = type(estimator).__name__
    if estimator.out_activation_ not in ("identity", "softmax", "logistic"):
        raise UnsupportedOperatorError(
            f"{name} with the output function {estimator.out_activation_!r} is not piecewise linear: set it to "
            "'identity'",
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
    steps = _flattened(pipeline)
    last = steps.pop()[1]
    if not any(hasattr(last, name) for name in _OF_NETWORKS) and not _is_linear(last):
        return _through_skl2onnx(pipeline)
    network = _network_of(last)
    columns = columns_of(steps, _feature_names(pipeline), _input_width(steps[0][1])) if steps else None
    try:
        begin, used = (None, 0) if columns is None else first_steps(steps, columns)
        maps = [] if begin is None else [begin]
        for name, step in steps[used:]:
            width = maps[-1][1].size if maps else _input_width(step)
            maps.append(transformation(step, name, width))
    except UnsupportedOperatorError as error:
        if columns is not None or not hasattr(last, "predict") or hasattr(last, "classes_"):
            raise
        try:  # a step that is not affine may be piecewise linear, and skl2onnx can write it
            return _through_skl2onnx(pipeline)
        except RelugradError:
            raise error from None
    for matrix, offset in reversed(maps):
        network = substitute_inputs(network, matrix, offset)
    return network if columns is None else replace(network, input_names=columns.input_names, choices=columns.choices)


def _flattened(pipeline: Any) -> list[tuple[str, Any]]:
    """The steps of a pipeline, and of what stands at its end, as long as that is a pipeline or a search."""
    steps = [(name, step) for name, step in pipeline.steps if step not in LEFT_OUT]
    while steps and (hasattr(steps[-1][1], "steps") or hasattr(steps[-1][1], "best_estimator_")):
        _, last = steps.pop()
        last = getattr(last, "best_estimator_", last)
        steps.extend(_flattened(last) if hasattr(last, "steps") else [("last", last)])
    return steps


def _through_skl2onnx(estimator: Any) -> Network:
    last = _flattened(estimator)[-1][1] if hasattr(estimator, "steps") else estimator
    _refuse_trees(last)
    width = _input_width(estimator)
    skl2onnx = require("skl2onnx", f"to convert {type(estimator).__name__}")
    types = import_module("skl2onnx.common.data_types")
    try:
        converted = skl2onnx.to_onnx(estimator, initial_types=[("X", types.DoubleTensorType([None, width]))])
    except Exception as error:  # skl2onnx raises what it likes
        raise UnsupportedOperatorError(
            f"{_steps_in_words(estimator)} is no network of affine steps, and skl2onnx cannot convert it: "
            f"{first_line(error)}. Leave that step out, or apply it to the data before",
            type(estimator).__name__,
        ) from error
    return load_onnx(converted)


def _refuse_trees(estimator: Any) -> None:
    kind = type(estimator).__name__
    member = type(getattr(estimator, "estimator_", estimator)).__name__
    if "AdaBoost" in kind and not any(word in member for word in _OF_TREES):
        raise UnsupportedOperatorError(
            f"{kind} takes a vote of its members ({member}), which jumps: fit one of them alone, or a BaggingRegressor "
            "of them, which takes their mean",
            kind,
            kind,
        )
    if any(word in kind for word in _OF_TREES):
        raise UnsupportedOperatorError(
            f"{kind} is made of decision trees, whose predictions jump: train a network on the same data, such as "
            "MLPRegressor with activation='relu'",
            kind,
            kind,
        )


def _steps_in_words(estimator: Any) -> str:
    steps = [type(step).__name__ for _, step in getattr(estimator, "steps", ())]
    return f"the pipeline of {', '.join(steps)}" if steps else type(estimator).__name__


def _input_width(estimator: Any) -> int:
    width = getattr(estimator, "n_features_in_", None)
    if width is None:
        raise NetworkValueError(f"{type(estimator).__name__} is not fitted: call its fit method first")
    return int(width)
