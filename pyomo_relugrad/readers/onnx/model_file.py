"""From a path, bytes or a ModelProto to a graph that is safe to read: parsed, complete, without local functions."""

import gzip
import zlib
from collections.abc import Iterator
from copy import deepcopy
from dataclasses import dataclass
from io import BytesIO
from os import PathLike, fspath
from pathlib import Path

from google.protobuf.message import DecodeError  # type: ignore[import-untyped]
from onnx import ModelProto, NodeProto, OperatorSetIdProto, defs

from pyomo_relugrad.errors import NetworkFileError, NetworkFileNotFoundError
from pyomo_relugrad.readers.onnx.external_data import load_external_data
from pyomo_relugrad.readers.onnx.functions import without_functions
from pyomo_relugrad.readers.onnx.refusals import with_advice
from pyomo_relugrad.readers.onnx.traversal import all_nodes

#: Bytes that a model, which is one message of protobuf, can have.
MAX_BYTES = 2**31
_GZIP, _LONG = b"\x1f\x8b", "ai.onnx"


@dataclass(frozen=True, eq=False)
class ModelFile:
    """A parsed ONNX model.

    Parameters
    ----------
    model : ModelProto
        With all its weights, and without local functions.
    name : str
        What messages call it: the path, or what it was given as.
    source : path, bytes or ModelProto
        What it was read from, not compressed.
    """

    model: ModelProto
    name: str
    source: str | bytes | ModelProto

    @property
    def opsets(self) -> dict[str, int]:
        """Version of each operator set in use, the default one under ``""``."""
        versions: dict[str, int] = {}
        for entry in self.model.opset_import:
            versions[entry.domain] = max(entry.version, versions.get(entry.domain, 0))
        if versions:  # a file that names other sets alone means the newest of ONNX's own
            versions.setdefault("", defs.onnx_opset_version())
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
        return _complete(source, _given_name(source), source)
    if isinstance(source, bytes | bytearray | memoryview):
        content = bytes(source)
        model = _parse(content, "model")
        return _complete(model, _given_name(model), content)
    if not isinstance(source, str | PathLike):
        raise NetworkFileError(
            f"{type(source).__name__} is no ONNX file: give a path, bytes or an onnx.ModelProto; load_network takes "
            "modules, models and estimators"
        )
    name = fspath(source)
    try:
        content = Path(name).read_bytes()
    except FileNotFoundError:
        raise NetworkFileNotFoundError(f"there is no file {name}: check the path and the folder") from None
    except (OSError, ValueError) as error:  # ValueError of a null byte in the path
        raise NetworkFileError(
            f"{name} cannot be read, {getattr(error, 'strerror', error)}: give the path of a file"
        ) from error
    if content.startswith(_GZIP):
        content = _decompressed(content, name)
        return _complete(_parse(content, name), name.removesuffix(".gz"), content)
    return _complete(_parse(content, name), name, name)


def _decompressed(content: bytes, name: str) -> bytes:
    """The content of a compressed file (``.gz``), read no further than a model can be long."""
    try:
        with gzip.open(BytesIO(content)) as file:
            model = file.read(MAX_BYTES + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise NetworkFileError(
            f"{name} cannot be decompressed, {error}: compress it again, or give the .onnx file"
        ) from error
    if len(model) > MAX_BYTES:
        raise NetworkFileError(f"{name} holds more than {MAX_BYTES:.3g} bytes, more than an ONNX model may have")
    return model


def _given_name(model: ModelProto) -> str:
    """The name of a model without a file; text that is not UTF-8 comes as bytes."""
    name = model.graph.name
    return name if isinstance(name, str) and name else "model"


def _parse(content: bytes, name: str) -> ModelProto:
    model = ModelProto()
    try:
        model.ParseFromString(content)
    except DecodeError:
        raise NetworkFileError(
            f"{name} is not an ONNX file, or it is corrupt or truncated: copy or export it again"
        ) from None
    return model


def _complete(model: ModelProto, name: str, source: str | bytes | ModelProto) -> ModelFile:
    """The model with all its weights and without local functions; one that was given is left as it is."""
    if not model.HasField("graph") or not model.graph.output:
        raise NetworkFileError(
            f"{name} is not an ONNX file: it holds no graph with outputs; export the network to ONNX"
        )
    names = [model.graph.name, *(value.name for value in (*model.graph.input, *model.graph.output))]
    if not all(isinstance(text, str) for text in names):
        raise NetworkFileError(f"{name} is corrupt: its tensors have names that are not text; export the network again")
    try:
        load_external_data(model, Path(source).parent if isinstance(source, str) else None)
        file = ModelFile(without_functions(_with_short_domains(model)), name, source)
    except NetworkFileError as error:
        raise NetworkFileError(f"{name}: {with_advice(error)}") from error
    except (UnicodeDecodeError, TypeError) as error:  # protobuf's bytes where the format has text
        raise NetworkFileError(
            f"{name} is corrupt: it has names that are not text; export the network again"
        ) from error
    if not file.opsets.get(""):
        raise NetworkFileError(
            f"{name} does not say which ONNX operator set it uses (opset_import): export the network again"
        )
    if file.opsets[""] > defs.onnx_opset_version():
        raise NetworkFileError(
            f"{name} uses the ONNX operator set {file.opsets['']}, and the installed onnx package knows up to "
            f"{defs.onnx_opset_version()}: upgrade it"
        )
    return file


def _with_short_domains(model: ModelProto) -> ModelProto:
    """The model with ONNX's own operator set, under the shorter of its two names; copied only where needed."""
    if all(part.domain != _LONG for part in _parts_with_domains(model)):
        return model
    copy = deepcopy(model)
    for part in _parts_with_domains(copy):
        part.domain = "" if part.domain == _LONG else part.domain
    return copy


def _parts_with_domains(model: ModelProto) -> Iterator[NodeProto | OperatorSetIdProto]:
    """The operators of the model and its functions, and the operator sets that these name."""
    for body, opsets in (
        (model.graph.node, model.opset_import),
        *((function.node, function.opset_import) for function in model.functions),
    ):
        yield from all_nodes(body)
        yield from opsets
