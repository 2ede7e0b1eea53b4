"""`load_keras`: Keras models, by way of tf2onnx."""

from __future__ import annotations

from typing import Any

from pyomo_relugrad.network import Network
from pyomo_relugrad.readers.frameworks.originals import check_keras
from pyomo_relugrad.readers.frameworks.packages import require
from pyomo_relugrad.readers.onnx import load_onnx


def load_keras(model: Any) -> Network:
    """A Keras model, converted by tf2onnx.

    Raises
    ------
    MissingPackageError
        If tf2onnx is not installed.
    NetworkFileError, UnsupportedOperatorError, NetworkValueError
        As `load_onnx`.
    NetworkMismatchError
        If the converted network does not have the model's values at some points that are tried.
    """
    tf2onnx = require("tf2onnx", "to convert a Keras model")
    converted, _ = tf2onnx.convert.from_keras(model)
    network = load_onnx(converted)
    check_keras(network, model)
    return network
