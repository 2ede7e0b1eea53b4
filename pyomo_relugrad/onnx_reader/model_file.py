"""From a path, bytes or a ModelProto to a graph that is safe to walk: parsed, complete, without local functions."""

from __future__ import annotations

from dataclasses import dataclass
from os import PathLike, fspath
from pathlib import Path

from google.protobuf.message import DecodeError  # type: ignore[import-untyped]
from onnx import ModelProto

from pyomo_relugrad.errors import NetworkFileError, NetworkFileNotFoundError


@dataclass(frozen=True, eq=False)
class ModelFile:
    """A parsed ONNX model.

    Parameters
    ----------
    model : ModelProto
    name : str
        What messages call it: the path, or what it was given as.
    """

    model: ModelProto
    name: str

    @property
    def opsets(self) -> dict[str, int]:
        """Version of each operator set in use, the default one under ``""``."""
        versions: dict[str, int] = {}
        for entry in self.model.opset_import:
            domain = "" if entry.domain == "ai.onnx" else entry.domain
            versions[domain] = max(entry.version, versions.get(domain, 0))
        return versions


def open_model(source: str | PathLike[str] | bytes | ModelProto) -> ModelFile:
    """Parse a model.

    Raises
    ------
    NetworkFileNotFoundError
        If there is no such file.
    NetworkFileError
        If it cannot be read or is not an ONNX model.
    """
    if isinstance(source, ModelProto):
        return _checked(ModelFile(source, source.graph.name or "model"))
    if isinstance(source, bytes | bytearray | memoryview):
        return _checked(ModelFile(_parse(bytes(source), "model"), "model"))
    name = fspath(source)
    try:
        content = Path(name).read_bytes()
    except FileNotFoundError:
        raise NetworkFileNotFoundError(f"there is no file {name}") from None
    except OSError as error:
        raise NetworkFileError(f"{name} cannot be read: {error.strerror}") from error
    return _checked(ModelFile(_parse(content, name), name))


def _parse(content: bytes, name: str) -> ModelProto:
    model = ModelProto()
    try:
        model.ParseFromString(content)
    except DecodeError:
        raise NetworkFileError(f"{name} is not an ONNX file, or it is corrupt or truncated") from None
    return model


def _checked(file: ModelFile) -> ModelFile:
    if not file.model.HasField("graph") or not file.model.graph.output:
        raise NetworkFileError(f"{file.name} is not an ONNX file: it holds no graph with outputs")
    if not file.opsets.get(""):
        raise NetworkFileError(f"{file.name} does not say which ONNX operator set it uses (opset_import)")
    return file
