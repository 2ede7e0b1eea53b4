"""Weights that lie in files beside the model: only in the model's own folder, and only what is there."""

from pathlib import Path

from onnx import ModelProto, TensorProto
from onnx.external_data_helper import ExternalDataInfo, uses_external_data

from pyomo_relugrad.errors import NetworkFileError
from pyomo_relugrad.readers.onnx.traversal import tensors


def load_external_data(model: ModelProto, folder: Path | None) -> None:
    """Read the weights that the model keeps in other files into it.

    Parameters
    ----------
    model : ModelProto
    folder : Path or None
        The model's folder; None if the model did not come from a file.

    Raises
    ------
    NetworkFileError
        If there is no such file, it is too short, or it lies outside the model's folder.
    """
    for tensor in tensors(model.graph):
        if uses_external_data(tensor):
            if folder is None:
                raise NetworkFileError(
                    f"the tensor {tensor.name!r} lies in another file: load the network by its path, not from memory"
                )
            _load(tensor, folder)


def _load(tensor: TensorProto, folder: Path) -> None:
    try:
        info = ExternalDataInfo(tensor)
        offset, length = int(info.offset or 0), info.length
    except ValueError:
        raise NetworkFileError(f"the tensor {tensor.name!r} says unreadably where its data lie") from None
    path = _inside(folder, info.location, tensor.name)
    try:
        with path.open("rb") as file:
            size = path.stat().st_size
            count = size - offset if length is None else int(length)
            if offset < 0 or count < 0 or offset + count > size:
                raise NetworkFileError(f"{path} is too short for the tensor {tensor.name!r}: is it truncated?")
            file.seek(offset)
            tensor.raw_data = file.read(count)
    except OSError as error:
        raise NetworkFileError(f"the data of {tensor.name!r} in {path} cannot be read: {error.strerror}") from error
    tensor.data_location = TensorProto.DEFAULT
    del tensor.external_data[:]


def _inside(folder: Path, location: str, name: str) -> Path:
    """The file's real path, links followed, if it lies in the folder."""
    root = folder.resolve()
    try:
        path = (root / location).resolve()
    except (OSError, ValueError, RuntimeError):
        raise NetworkFileError(f"the tensor {name!r} names an unreadable path for its data") from None
    if not location or Path(location).is_absolute() or not path.is_relative_to(root):
        raise NetworkFileError(f"the tensor {name!r} lies outside the model's folder, at {location!r}: not read")
    if not path.is_file():
        raise NetworkFileError(f"the tensor {name!r} lies in {path}, and there is no such file")
    return path
