"""`load_network`: a network from whatever holds one, a file, a module, a model or an estimator."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from os import PathLike, fspath
from pathlib import Path
from typing import Any

from pyomo_relugrad.errors import ModelError, NetworkFileError
from pyomo_relugrad.network import Network
from pyomo_relugrad.words import shown

#: How files of other kinds than ONNX are opened by their owners: opening them may run code that is inside.
_OPENED_BY_OTHERS = {
    ".pt": "module.load_state_dict(torch.load(path, weights_only=True)) fills a module that you made",
    ".pth": "module.load_state_dict(torch.load(path, weights_only=True)) fills a module that you made",
    ".ckpt": "load_from_checkpoint(path) of the class is a module, and module.load_state_dict(torch.load(path, "
    "weights_only=True)['state_dict']) fills one that you made",
    ".pt2": "torch.export.load(path)",
    ".pkl": "skops.io.load reads estimators without running code",
    ".pickle": "skops.io.load reads estimators without running code",
    ".joblib": "skops.io.load reads estimators without running code",
    ".skops": "skops.io.load(path) is an estimator",
}
_KERAS_FILES = frozenset({".keras", ".h5", ".hdf5"})


def load_network(source: Any) -> Network:
    """Read a network from whatever holds one.

    Parameters
    ----------
    source : Network, path, bytes, onnx.ModelProto, torch.nn.Module, Keras model, or scikit-learn estimator
        See `load_onnx`, `load_torch`, `load_keras` and `load_sklearn`. Files of Keras are opened in its safe mode,
        in which no code in them is run; files that cannot be opened so, such as pickles, are refused.

    Raises
    ------
    ModelError
        If it is none of these.
    RelugradError
        As the function that reads it.

    Examples
    --------
    >>> network = Network.from_layers([[[1.0, -1.0]], [[2.0]]], [[0.5], [1.0]])
    >>> load_network(network) is network
    True
    """
    if isinstance(source, Network):
        return source
    suffix = Path(fspath(source)).suffix.lower() if isinstance(source, (str, PathLike)) else ""
    if suffix in _KERAS_FILES:
        return _from("keras", source)
    if suffix in _OPENED_BY_OTHERS:
        raise NetworkFileError(
            f"{fspath(source)} is not opened, as that may run code that is in it. Open it yourself and give what it "
            f"holds: {_OPENED_BY_OTHERS[suffix]}"
        )
    if isinstance(source, (str, PathLike, bytes, bytearray, memoryview)) or hasattr(source, "SerializeToString"):
        from pyomo_relugrad.readers.onnx import load_onnx  # onnx is slow to import and not needed for a Network

        return load_onnx(source)
    framework = _framework(source)
    if framework is None:
        raise ModelError(
            f"the network is {shown(source)}: give a Network, a path, bytes or an onnx.ModelProto, a PyTorch module, a "
            "Keras model or a fitted scikit-learn estimator"
            + (", an object of the class" if isinstance(source, type) else "")
            + ("; Network.from_layers makes one of arrays of weights" if isinstance(source, list | tuple) else "")
        )
    return _from(framework, source)


def is_model(source: Any) -> bool:
    """Whether it is a module, a model or an estimator, though it may be callable as a function is."""
    return not isinstance(source, type) and _framework(source) is not None


def _framework(source: Any) -> str | None:
    """The framework that an object belongs to; no framework is imported."""
    if isinstance(source, type):
        return None
    kinds = {(kind.__module__.split(".")[0], kind.__name__) for kind in type(source).__mro__}
    if kinds & {("keras", "Model"), ("tf_keras", "Model"), ("tensorflow", "Model")}:
        return "keras"  # with PyTorch as the backend it is a module as well
    if kinds & {("torch", "Module"), ("torch", "ExportedProgram"), ("torch", "ONNXProgram")}:
        return "torch"
    if isinstance(source, Mapping) and any(type(part).__module__.split(".")[0] == "torch" for part in source.values()):
        return "torch"  # a state_dict, which is refused in its words
    return "sklearn" if hasattr(source, "fit") and hasattr(source, "predict") else None


def _from(framework: str, source: Any) -> Network:
    frameworks = import_module("pyomo_relugrad.readers.frameworks")  # onnx is slow to import
    return getattr(frameworks, f"load_{framework}")(source)
