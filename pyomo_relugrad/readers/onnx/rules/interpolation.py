"""What each element of a resized dimension is interpolated from, with onnxruntime's places between elements.

Places are computed in float32 as onnxruntime does: which element is nearest is often decided by the last digit.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from pyomo_relugrad.arrays import Array
from pyomo_relugrad.errors import NetworkFileError

_HALF, _ONE = np.float32(0.5), np.float32(1.0)


@dataclass(frozen=True)
class Dimension:
    """A dimension of `size` elements that is resized to `wanted` ones by `scale`.

    Parameters
    ----------
    size, wanted : int
    scale : float
    region : pair of float, optional
        The part of it that is resized, for the coordinates ``tf_crop_and_resize``.
    """

    size: int
    wanted: int
    scale: float
    region: tuple[float, float] | None = None

    def places(self, coordinates: str) -> Array:
        """Where the resized elements lie among the original ones, in float32."""
        if coordinates not in _PLACES:
            raise NetworkFileError(f"there is no coordinate_transformation_mode {coordinates!r}")
        return _PLACES[coordinates](self, np.arange(self.wanted, dtype=np.float32), np.float32(self.scale))


def _half_pixel(of: Dimension, at: Array, scale: np.float32) -> Array:
    return np.asarray((at + _HALF) / scale - _HALF)


def _half_pixel_symmetric(of: Dimension, at: Array, scale: np.float32) -> Array:
    adjustment = np.float32(of.wanted) / (scale * np.float32(of.size))
    offset = np.float32(of.size) / np.float32(2.0) * (_ONE - adjustment)
    return np.asarray(offset + (at + _HALF) / scale - _HALF)


def _align_corners(of: Dimension, at: Array, scale: np.float32) -> Array:
    return at * np.float32(of.size - 1) / np.float32(of.wanted - 1) if of.wanted > 1 else np.zeros_like(at)


def _crop(of: Dimension, at: Array, scale: np.float32) -> Array:
    start, end = map(np.float32, of.region or (0.0, 1.0))
    last = np.float32(of.size - 1)
    if of.wanted == 1:
        return np.full_like(at, _HALF * (start + end) * last)
    return np.asarray(start * last + at * (end - start) * last / np.float32(of.wanted - 1))


_PLACES: dict[str, Callable[[Dimension, Array, np.float32], Array]] = {
    "align_corners": _align_corners,
    "asymmetric": lambda of, at, scale: at / scale,
    "half_pixel": _half_pixel,
    "half_pixel_symmetric": _half_pixel_symmetric,
    "pytorch_half_pixel": lambda of, at, scale: _half_pixel(of, at, scale) if of.wanted > 1 else np.zeros_like(at),
    "tf_crop_and_resize": _crop,
    "tf_half_pixel_for_nn": lambda of, at, scale: (at + _HALF) / scale,
}


def _nearest_to_floor(places: Array) -> Array:
    below = np.trunc(places)
    return np.where(places == below + _HALF, below, _rounded(places))


def _rounded(places: Array) -> Array:
    return np.trunc(places + np.copysign(_HALF, places))  # halves away from zero


_NEAREST: dict[str, Callable[[Array], Array]] = {
    "ceil": np.ceil,
    "floor": np.floor,
    "round_prefer_ceil": _rounded,
    "round_prefer_floor": _nearest_to_floor,
}

OLD_NEAREST = "old"
"""The nearest element before operator set 11: the one above where a dimension shrinks, else the one below."""


def _nearest(dimension: Dimension, places: Array, mode: str) -> Array:
    if mode == OLD_NEAREST:
        mode = "ceil" if dimension.scale < 1.0 else "floor"
    if mode not in _NEAREST:
        raise NetworkFileError(f"there is no nearest_mode {mode!r}")
    return _NEAREST[mode](places)


def interpolated(dimension: Dimension, attributes: Mapping[str, Any]) -> tuple[Array, Array]:
    """Positions (wanted, K) that each resized element reads, -1 for none, and their weights.

    Parameters
    ----------
    dimension : Dimension
    attributes : dict
        Those of a Resize node.
    """
    coordinates = attributes.get("coordinate_transformation_mode", "half_pixel")
    places, last = dimension.places(coordinates), dimension.size - 1
    mode = attributes.get("mode", "nearest")
    if mode == "nearest":
        positions = _nearest(dimension, places, attributes.get("nearest_mode", "round_prefer_floor"))[:, None]
        weights = np.ones(positions.shape)
    elif mode == "linear":
        positions, weights = neighbours(np.clip(places, 0.0, last), mode)
    elif mode == "cubic":
        positions, weights = neighbours(places, mode, attributes.get("cubic_coeff_a", -0.75))
        if attributes.get("exclude_outside", 0):
            weights = np.where((positions >= 0) & (positions <= last), weights, 0.0)
            weights /= weights.sum(axis=1, keepdims=True)
    else:
        raise NetworkFileError(f"there is no mode {mode!r}")
    positions = np.clip(positions, 0, last).astype(np.int64)
    if coordinates == "tf_crop_and_resize":
        positions[(places < 0) | (places > last)] = -1
    return positions, weights


def neighbours(places: Array, mode: str, a: float = -0.75) -> tuple[Array, Array]:
    """Positions (..., K) on both sides of places (...), and their weights in a linear or a cubic interpolation."""
    reach = 1 if mode == "linear" else 2
    positions = np.floor(places)[..., None] + np.arange(1.0 - reach, 1.0 + reach)
    distances = abs(positions - places[..., None].astype(np.float64))
    if mode == "linear":
        return positions, 1.0 - distances
    inner = (a + 2.0) * distances**3 - (a + 3.0) * distances**2 + 1.0
    outer = a * (distances**3 - 5.0 * distances**2 + 8.0 * distances - 4.0)
    return positions, np.where(distances <= 1.0, inner, outer)
