"""`load_keras`: Keras models, from their weights where all layers are known, or converted to ONNX."""

from __future__ import annotations

import os
import sys
import tempfile
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from pyomo_relugrad.errors import (
    MissingPackageError,
    NetworkFileError,
    NetworkFileNotFoundError,
    NetworkMismatchError,
    NetworkValueError,
    RelugradError,
    UnsupportedOperatorError,
)
from pyomo_relugrad.network import Network
from pyomo_relugrad.readers.frameworks.exporters import read_exported, silence
from pyomo_relugrad.readers.frameworks.keras_layers import model_of_layers
from pyomo_relugrad.readers.frameworks.layer_graph import UnknownLayerError
from pyomo_relugrad.readers.frameworks.originals import check_keras
from pyomo_relugrad.readers.frameworks.packages import first_line, require
from pyomo_relugrad.readers.onnx import load_onnx


def load_keras(model: Any) -> Network:
    """A Keras model, sequential, functional or other, of any backend, or a path to a file of one.

    A model of known layers is read from its weights; others are converted by ``model.export``, or by tf2onnx.

    Parameters
    ----------
    model : keras.Model, str or path
        Files are opened in Keras's safe mode, in which no code in them is run.

    Returns
    -------
    Network
        Its inputs and outputs are the elements of the model's tensors without their batch, one after the other.

    Raises
    ------
    MissingPackageError
        If what converts the model is not installed: jax2onnx for Keras with JAX, tf2onnx.
    NetworkFileError, UnsupportedOperatorError, NetworkValueError
        As `load_onnx`; also if the model has no weights yet, or cannot be converted.
    NetworkMismatchError
        If the converted network does not have the model's values at some points that are tried.
    """
    if isinstance(model, (str, os.PathLike)):
        model = _opened(os.fspath(model))
    if not hasattr(model, "predict_on_batch"):
        raise NetworkValueError(
            f"{type(model).__name__} is no Keras model: give a keras.Model, or the path of a .keras or .h5 file"
        )
    if getattr(model, "built", True) is False:
        raise NetworkValueError(
            f"the Keras model {model.name!r} is not built, so it has no weights: begin it with keras.Input(shape), or "
            "call it once on data"
        )
    for tensor in getattr(model, "inputs", None) or ():
        if None in tuple(tensor.shape)[1:]:
            raise NetworkValueError(
                f"the input {tensor.name!r} of the Keras model {model.name!r} has no fixed size: make it with "
                "keras.Input(shape), all sizes of the shape as numbers"
            )
    try:
        return _by_layers(model)
    except (UnknownLayerError, NetworkMismatchError) as error:
        network = _by_conversion(model, str(error))
    check_keras(network, model)
    return network


def _opened(path: str) -> Any:
    """The model in a file of Keras, opened in its safe mode."""
    if not os.path.isfile(path):
        raise NetworkFileNotFoundError(f"there is no file {path}: check the path and the folder")
    keras = require("keras", "to open a file of Keras")
    try:
        return keras.models.load_model(path, compile=False, safe_mode=True)
    except Exception as error:  # it raises what is wrong with the file in many ways
        raise NetworkFileError(
            f"{path} cannot be opened by Keras in its safe mode, in which it runs no code of the file: "
            f"{first_line(error)}"
        ) from error


def _by_layers(model: Any) -> Network:
    """The network that the model's layers make up."""
    if not (hasattr(model, "inputs") and hasattr(model, "weights")):
        raise UnknownLayerError
    network = load_onnx(model_of_layers(model))
    check_keras(network, model)
    return network


def _by_conversion(model: Any, unknown: str) -> Network:
    """The network of the ONNX model that Keras or tf2onnx makes of the model; `unknown` says what is not read here."""
    if hasattr(model, "export"):
        try:
            return _exported(model)
        except RelugradError:
            raise
        except ImportError as error:  # Keras with JAX needs a converter of its own
            raise MissingPackageError(
                f"{unknown or 'the model is not'} read from its weights, and to export it Keras needs another package: "
                f"{first_line(error)}"
            ) from error
        except Exception as error:  # it raises what the backend's converter does
            if find_spec("tf2onnx") is None or not _is_of_tensorflow():
                raise UnsupportedOperatorError(
                    f"{unknown or 'the model is not'} read from its weights, and Keras cannot export it: "
                    f"{first_line(error)}. Write it in layers such as Dense and ReLU, or write an ONNX file yourself "
                    "and read it with load_onnx",
                    str(model.name),
                ) from error
    tf2onnx = require("tf2onnx", "to convert a Keras model")
    try:
        converted, _ = tf2onnx.convert.from_keras(model)
    except Exception as error:  # tf2onnx raises what it likes
        raise UnsupportedOperatorError(
            f"tf2onnx cannot convert the Keras model: {first_line(error)}. Write its layers in another way, or write "
            "an ONNX file yourself and read it with load_onnx",
            str(getattr(model, "name", "")),
        ) from error
    return load_onnx(converted)


def _is_of_tensorflow() -> bool:
    """Whether Keras computes with TensorFlow, whose models tf2onnx converts."""
    keras = sys.modules.get("keras")
    return keras is None or keras.backend.backend() == "tensorflow"


def _exported(model: Any) -> Network:
    """The network of the file that Keras 3 writes."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"{model.name}.onnx"
        with silence():
            if getattr(model, "inputs", None):
                rows = [np.zeros((1, *tensor.shape[1:]), np.float32) for tensor in model.inputs]
                model(rows if len(rows) > 1 else rows[0])  # a model that was never called is not exported
            model.export(str(path), format="onnx", verbose=False)
        return read_exported(path)
