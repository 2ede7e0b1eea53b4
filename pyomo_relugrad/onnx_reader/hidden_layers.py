"""The hidden layers of the network that is being read, in the order in which they are met."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from pyomo_relugrad.arrays import Array
from pyomo_relugrad.errors import NetworkFileError
from pyomo_relugrad.network import Layer
from pyomo_relugrad.onnx_reader.affine import Affine, either, stands_for_infinity
from pyomo_relugrad.onnx_reader.linear_maps import MAX_ENTRIES, entry_count, explicit

MAX_SKIPS = 8
"""A tensor that reads more activation vectors than this is not carried past a ReLU layer, but split in two ReLUs."""


class HiddenLayers:
    """Collects ReLU layers, after those that are there already: `relu` adds one and returns its activation."""

    def __init__(self, layers: Iterable[Layer] = ()) -> None:
        self.layers = list(layers)
        self._entries = 0

    def relu(self, tensor: Affine) -> Affine:
        """The activation ``relu(tensor)``: a new layer, unless the tensor is constant or never negative."""
        if not tensor.size or tensor.is_at_least(0.0):
            return tensor
        if not tensor.terms:
            return Affine(tensor.shape, {}, np.maximum(tensor.offset, 0.0))
        masked = stands_for_infinity(tensor.offset, tensor)
        if masked.any():
            return self._relu_of_masked(tensor, masked)
        self._entries += tensor.entry_count + tensor.size
        if self._entries > MAX_ENTRIES:
            raise NetworkFileError(f"the network needs more than {MAX_ENTRIES:.3g} stored weights")
        self.layers.append(as_layer(tensor))
        return Affine.variable(len(self.layers), tensor.shape)

    def _relu_of_masked(self, tensor: Affine, masked: Array) -> Affine:
        """The same where some elements stand for infinity, so that the side of zero that they are on is known."""
        places = np.flatnonzero(masked)
        kept = tensor.reshaped((tensor.size,)).taken(np.where(tensor.offset[places] > 0.0, places, -1))
        return either(masked, kept, self.relu(tensor.elements(~masked))).reshaped(tensor.shape)


def is_carried(tensor: Affine) -> bool:
    """Whether later layers may read what the tensor reads: dense maps, or at most two coefficients per element."""
    maps = tensor.terms.values()
    small = all(isinstance(own, np.ndarray) or entry_count(own) <= 2 * tensor.size for own in maps)
    return small and len(tensor.terms) <= MAX_SKIPS


def as_layer(tensor: Affine) -> Layer:
    """A layer that computes the tensor, flattened row-major."""
    sources = tuple(sorted(tensor.terms))
    return Layer(sources, tuple(explicit(tensor.terms[source]) for source in sources), tensor.offset)


def without_unread(layers: Sequence[Layer]) -> tuple[Layer, ...]:
    """The layers that the last one reads, by way of others or itself.

    A choice that is followed back to its variable leaves behind the ReLUs on the way.
    """
    read: set[int] = set()
    for position in range(len(layers), 0, -1):
        if position == len(layers) or position in read:
            read.update(layers[position - 1].sources)
    kept = [position for position in range(1, len(layers) + 1) if position == len(layers) or position in read]
    number = {0: 0, **{position: index + 1 for index, position in enumerate(kept)}}
    result = []
    for position in kept:
        layer = layers[position - 1]
        result.append(Layer(tuple(number[source] for source in layer.sources), layer.weights, layer.bias))
    return tuple(result)
