"""Devices that compute with arrays of another kind than NumPy's: a network's weights there, and arrays on the way."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from functools import cache
from importlib import import_module
from typing import Any

import numpy as np
from scipy import sparse

from pyomo_relugrad.arrays import Array, DTypeLike, Weight
from pyomo_relugrad.errors import ModelError
from pyomo_relugrad.network.layer import Layer
from pyomo_relugrad.network.network import Network


@dataclass(frozen=True)
class Device:
    """Where arrays lie, and the functions on them.

    Parameters
    ----------
    xp : module
        A namespace of the array API.
    place : object, optional
        What the namespace calls the device; None for its default.
    """

    xp: Any
    place: Any = None

    @classmethod
    @cache
    def named(cls, name: str) -> Device:
        """A device by PyTorch's name for it, such as "cuda", "cuda:1" or "cpu", or "cupy" for CuPy's current one.

        Without PyTorch, "cuda" is CuPy's.

        Raises
        ------
        ModelError
            If the library or array-api-compat is missing, or there is no such device.
        """
        if name == "cupy" or (name == "cuda" and not _is_there("torch") and _is_there("cupy")):
            return cls._in_cupy(name)
        xp, torch = (_needed(module, name, "PyTorch") for module in ("array_api_compat.torch", "torch"))
        try:
            place = torch.device(name)
            torch.zeros(1, device=place)
        except (RuntimeError, AssertionError) as error:
            raise _absent(name, error) from error
        return cls(xp, place)

    @classmethod
    def _in_cupy(cls, name: str) -> Device:
        xp, cupy = (_needed(module, name, "CuPy") for module in ("array_api_compat.cupy", "cupy"))
        try:
            cupy.zeros(1)
        except cupy.cuda.runtime.CUDARuntimeError as error:
            raise _absent(name, error) from error
        return cls(xp)

    @property
    def free_bytes(self) -> int | None:
        """Memory that is free there; None where it is that of this machine."""
        if self.xp.__name__ == "array_api_compat.cupy":
            return int(import_module("cupy").cuda.runtime.memGetInfo()[0])
        if getattr(self.place, "type", None) == "cuda":
            return int(import_module("torch").cuda.mem_get_info(self.place)[0])
        return None

    def array(self, values: Array, dtype: DTypeLike = np.float32) -> Any:
        """A copy of an array there."""
        return self.xp.asarray(np.array(values, dtype), device=self.place)

    def moved(self, values: Any) -> Any:
        """A copy there of what is a dataclass of arrays."""
        arrays = {own.name: getattr(values, own.name) for own in fields(values)}
        return replace(values, **{name: self.array(own, own.dtype) for name, own in arrays.items() if own is not None})

    def matrix(self, weight: Weight, dtype: DTypeLike = np.float32) -> Any:
        """A copy of a linear map there; sparse ones are dense where the library has no others."""
        if not sparse.issparse(weight):
            return self.array(weight, dtype)
        compressed = {"array_api_compat.torch": _torch_rows, "array_api_compat.cupy": _cupy_rows}.get(self.xp.__name__)
        if compressed is None:
            return self.array(weight.toarray(), dtype)
        matrix = sparse.csr_array(weight.astype(dtype))
        return SparseMatrix(compressed(matrix, self), compressed(sparse.csr_array(matrix.T), self), matrix.shape)


@dataclass(frozen=True, eq=False)
class SparseMatrix:
    """A sparse matrix on a device, which rows are multiplied with: ``rows @ matrix`` and ``rows @ matrix.T``.

    Parameters
    ----------
    matrix, transposed : objects
        Compressed rows, as the device's library has them.
    shape : tuple of int
    """

    matrix: Any
    transposed: Any
    shape: tuple[int, ...]

    __array_ufunc__ = None  # leaves ``rows @ matrix`` to the class

    @property
    def T(self) -> SparseMatrix:  # noqa: N802
        """The transpose."""
        return SparseMatrix(self.transposed, self.matrix, self.shape[::-1])

    def __rmatmul__(self, rows: Any) -> Any:
        return (self.transposed @ rows.T).T


def _torch_rows(matrix: sparse.csr_array, device: Device) -> Any:
    torch = import_module("torch")
    parts = [
        torch.asarray(np.array(part), device=device.place) for part in (matrix.indptr, matrix.indices, matrix.data)
    ]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it calls the format new
        return torch.sparse_csr_tensor(*parts, size=matrix.shape, check_invariants=False)


def _cupy_rows(matrix: sparse.csr_array, device: Device) -> Any:
    return import_module("cupyx.scipy.sparse").csr_matrix(sparse.csr_matrix(matrix))


class DeviceLayer(Layer):
    """A layer whose numbers lie on a device."""

    def __post_init__(self) -> None:
        """Leave the numbers where they are: they were checked before they went there."""

    @property
    def width(self) -> int:
        """Number of values that the layer computes."""
        return int(self.bias.shape[0])


def weights_on(network: Network, device: Device, dtype: DTypeLike = np.float32) -> Sequence[Layer]:
    """The layers of a network with their numbers on a device, made once per device.

    Raises
    ------
    ModelError
        If they need more memory than is free there.
    """
    made: dict[Any, Sequence[Layer]] = vars(network).setdefault("_weights_on", {})
    key = device, np.dtype(dtype)
    if key not in made:
        needed, free = network.n_weights * np.dtype(dtype).itemsize, device.free_bytes
        if free is not None and needed > free:
            raise ModelError(
                f"network '{network.name}' needs {needed / 1e9:.3g} GB on the device, where {free / 1e9:.3g} GB are "
                "free: leave device out, or free memory there"
            )
        made[key] = tuple(_moved(layer, device, dtype) for layer in network.layers)
    return made[key]


def _moved(layer: Layer, device: Device, dtype: DTypeLike) -> Layer:
    weights = tuple(device.matrix(weight, dtype) for weight in layer.weights)
    return DeviceLayer(layer.sources, weights, device.array(layer.bias, dtype), layer.activation)


def _is_there(module: str) -> bool:
    try:
        import_module(module)
    except ImportError:
        return False
    return True


def _needed(module: str, name: str, library: str) -> Any:
    try:
        return import_module(module)
    except ImportError as error:
        raise ModelError(f"device '{name}' needs {library}: pip install pyomo_relugrad[gpu] ({error})") from error


def _absent(name: str, error: Exception) -> ModelError:
    reason = str(error).partition("\n")[0]
    return ModelError(f"there is no device '{name}': {reason}; leave device out, or name one that is")
