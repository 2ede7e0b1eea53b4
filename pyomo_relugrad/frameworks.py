"""Networks straight from scikit-learn, PyTorch and Keras: thin adapters that import their package only when called."""

from __future__ import annotations

import tempfile
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from pyomo_relugrad.arrays import Array
from pyomo_relugrad.errors import MissingPackageError, NetworkValueError, UnsupportedOperatorError
from pyomo_relugrad.network import Layer, Network
from pyomo_relugrad.network.rewrite import substitute_inputs
from pyomo_relugrad.onnx_reader import load_onnx

AffineMap: TypeAlias = tuple[Array, Array]
"""A matrix and an offset."""

_PROBES = 4
_AGREEMENT = 1e-9


def load_sklearn(estimator: Any) -> Network:
    """A fitted scikit-learn network, alone or at the end of a pipeline of affine steps such as scalers.

    Parameters
    ----------
    estimator : MLPRegressor, MLPClassifier, or a Pipeline or TransformedTargetRegressor with one
        Fitted, with ``activation="relu"`` (or ``"identity"``). Other estimators are converted by skl2onnx, if it is
        installed.

    Returns
    -------
    Network
        A regressor's predictions; a classifier's scores before its softmax or logistic function: one per class in the
        order of ``classes_``, or a single one, positive for the second class, if there are two. Weights are taken in
        float64, as they are.

    Raises
    ------
    UnsupportedOperatorError
        If an activation function is not piecewise linear, or a step is not affine.
    MissingPackageError
        If skl2onnx is needed and is not installed.
    NetworkValueError
        If it is no estimator, or is not fitted.

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
    if hasattr(estimator, "steps"):
        return _sklearn_pipeline(estimator)
    if hasattr(estimator, "regressor_") and hasattr(estimator, "transformer_"):
        network = load_sklearn(estimator.regressor_)
        inverse = _affine_step(estimator.transformer_.inverse_transform, "transformer", network.n_outputs)
        return _composed(network, after=inverse)
    if hasattr(estimator, "coefs_") and hasattr(estimator, "out_activation_"):
        return _multilayer_perceptron(estimator)
    return _through_skl2onnx(estimator)


def _multilayer_perceptron(estimator: Any) -> Network:
    name = type(estimator).__name__
    if estimator.activation not in ("relu", "identity"):
        raise UnsupportedOperatorError(
            f"{name} with activation={estimator.activation!r} is not piecewise linear: train it with activation='relu'",
            name,
            estimator.activation,
        )
    if estimator.out_activation_ not in ("identity", "softmax", "logistic"):
        raise UnsupportedOperatorError(
            f"{name} with the output function {estimator.out_activation_!r} is not piecewise linear",
            name,
            estimator.out_activation_,
        )
    layers = [(weight.T.astype(np.float64), bias.astype(np.float64)) for weight, bias in _parameters(estimator)]
    if estimator.activation == "identity":
        layers = [_product(layers)]
    return Network.from_layers([weight for weight, _ in layers], [bias for _, bias in layers], name=name)


def _parameters(estimator: Any) -> Iterator[AffineMap]:
    return zip(estimator.coefs_, estimator.intercepts_, strict=True)


def _product(maps: list[AffineMap]) -> AffineMap:
    """The affine maps one after another as one."""
    matrix, offset = maps[0]
    for weight, bias in maps[1:]:
        matrix, offset = weight @ matrix, weight @ offset + bias
    return matrix, offset


def _sklearn_pipeline(pipeline: Any) -> Network:
    last = pipeline.steps[-1][1]
    if not hasattr(last, "coefs_") and not hasattr(last, "regressor_"):
        return _through_skl2onnx(pipeline)
    network = load_sklearn(last)
    left_out = (None, "passthrough")
    steps = [(name, step) for name, step in pipeline.steps[:-1] if step not in left_out]
    maps: list[AffineMap] = []
    try:
        for name, step in steps:
            width = maps[-1][1].size if maps else _input_width(step)
            maps.append(_affine_step(step.transform, name, width))
    except UnsupportedOperatorError:
        if find_spec("skl2onnx") is None or not hasattr(last, "predict") or hasattr(last, "classes_"):
            raise
        return _through_skl2onnx(pipeline)
    return _composed(network, before=_product(maps)) if maps else network


def _affine_step(transform: Callable[[Array], Any], name: str, width: int) -> AffineMap:
    """Matrix and offset of a transformation of rows, from its values at zero and at the unit vectors."""
    rng = np.random.default_rng(0)
    points = np.concatenate([np.zeros((1, width)), np.eye(width), rng.normal(size=(_PROBES, width))])
    points[-1] *= 1e3
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about arrays where a data frame was fitted
        values = np.asarray(transform(points), dtype=np.float64).reshape(len(points), -1)
    offset, matrix = values[0], (values[1 : width + 1] - values[0]).T
    probes, found = points[width + 1 :], values[width + 1 :]
    scale = (abs(probes) @ abs(matrix).T + abs(offset)).max(initial=1.0)
    if not (abs(probes @ matrix.T + offset - found) <= _AGREEMENT * scale).all():
        raise UnsupportedOperatorError(f"the step {name!r} is not affine: only scalers and the like can be read", name)
    return matrix, offset


def _composed(network: Network, before: AffineMap | None = None, after: AffineMap | None = None) -> Network:
    """The network with an affine map before it or after it."""
    if before is not None:
        network = substitute_inputs(network, *before)
    layers = list(network.layers)
    if after is not None:
        scale, shift = after
        last = layers[-1]
        layers[-1] = Layer(last.sources, tuple(scale @ weight for weight in last.weights), scale @ last.bias + shift)
    return Network(network.n_inputs, tuple(layers), name=network.name)


def _through_skl2onnx(estimator: Any) -> Network:
    width = _input_width(estimator)
    skl2onnx = _package("skl2onnx", f"to convert {type(estimator).__name__}")
    types = import_module("skl2onnx.common.data_types")
    return load_onnx(skl2onnx.to_onnx(estimator, initial_types=[("X", types.DoubleTensorType([None, width]))]))


def _input_width(estimator: Any) -> int:
    width = getattr(estimator, "n_features_in_", None)
    if width is None:
        raise NetworkValueError(f"{type(estimator).__name__} is not fitted: call its fit method first")
    return int(width)


def load_torch(module: Any, example: Any) -> Network:
    """A PyTorch module, exported by ``torch.onnx`` in evaluation mode.

    Parameters
    ----------
    module : torch.nn.Module
    example : tensor or tuple of tensors
        Inputs of the right shapes, with a batch of one row.

    Raises
    ------
    MissingPackageError
        If torch is not installed.
    NetworkFileError, UnsupportedOperatorError, NetworkValueError
        As `load_onnx`.
    """
    torch = _package("torch", "to export a PyTorch module")
    inputs = example if isinstance(example, tuple) else (example,)
    with tempfile.TemporaryDirectory() as folder, _in_evaluation_mode(module), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        path = Path(folder) / f"{type(module).__name__}.onnx"
        torch.onnx.export(module, inputs, str(path), verbose=False, dynamo=find_spec("onnxscript") is not None)
        return load_onnx(path)


@contextmanager
def _in_evaluation_mode(module: Any) -> Iterator[None]:
    """Each submodule goes back to the mode it was in."""
    modes = [(part, part.training) for part in module.modules()]
    module.eval()
    try:
        yield
    finally:
        for part, training in modes:
            part.training = training


def load_keras(model: Any) -> Network:
    """A Keras model, converted by tf2onnx.

    Raises
    ------
    MissingPackageError
        If tf2onnx is not installed.
    NetworkFileError, UnsupportedOperatorError, NetworkValueError
        As `load_onnx`.
    """
    tf2onnx = _package("tf2onnx", "to convert a Keras model")
    converted, _ = tf2onnx.convert.from_keras(model)
    return load_onnx(converted)


def _package(name: str, purpose: str) -> Any:
    try:
        return import_module(name)
    except ImportError as error:
        raise MissingPackageError(f"the package {name} is needed {purpose}: python -m pip install {name}") from error
