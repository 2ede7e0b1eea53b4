"""Devices that compute with arrays of another kind than NumPy's: a network's weights there, and arrays on the way."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from typing import Any

import numpy as np
from scipy import sparse

from pyomo_relugrad.arrays import Array, DTypeLike
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
        """A device by PyTorch's name for it, such as "cuda", "cuda:1" or "cpu".

        Raises
        ------
        ModelError
            If PyTorch or array-api-compat is missing, or there is no such device.
        """
        try:
            xp, torch = import_module("array_api_compat.torch"), import_module("torch")
        except ImportError as error:
            raise ModelError(f"device '{name}' needs PyTorch: pip install pyomo_relugrad[gpu] ({error})") from error
        try:
            place = torch.device(name)
            torch.zeros(1, device=place)
        except (RuntimeError, AssertionError) as error:
            reason = str(error).partition("\n")[0]
            raise ModelError(f"there is no device '{name}': {reason}; leave device out, or name one that is") from error
        return cls(xp, place)

    def array(self, values: Array, dtype: DTypeLike = np.float32) -> Any:
        """A copy of an array there."""
        return self.xp.asarray(np.array(values, dtype), device=self.place)


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
        If a layer is sparse, as those of convolutions are.
    """
    made: dict[Any, Sequence[Layer]] = vars(network).setdefault("_weights_on", {})
    key = device, np.dtype(dtype)
    if key not in made:
        made[key] = tuple(_moved(network, layer, device, dtype) for layer in network.layers)
    return made[key]


def _moved(network: Network, layer: Layer, device: Device, dtype: DTypeLike) -> Layer:
    if any(sparse.issparse(weight) for weight in layer.weights):
        raise ModelError(f"network '{network.name}' has sparse layers, which no device takes: leave device out")
    weights = tuple(device.array(weight, dtype) for weight in layer.weights)
    return DeviceLayer(layer.sources, weights, device.array(layer.bias, dtype), layer.activation)
