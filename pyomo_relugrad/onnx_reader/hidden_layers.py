"""The hidden layers of the network that is being read, in the order in which they are met."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from pyomo_relugrad.arrays import Array
from pyomo_relugrad.errors import NetworkFileError
from pyomo_relugrad.network import Layer
from pyomo_relugrad.onnx_reader.affine import Affine, stands_for_infinity
from pyomo_relugrad.onnx_reader.linear_maps import MAX_ENTRIES, explicit


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
        vector = tensor.reshaped((tensor.size,))
        free, kept = np.flatnonzero(~masked), np.flatnonzero(masked & (tensor.offset > 0.0))
        parts = self.relu(vector.taken(free)).stacked([vector.taken(kept)])
        positions = np.full(tensor.size, -1)
        positions[free], positions[kept] = np.arange(free.size), free.size + np.arange(kept.size)
        return parts.taken(positions.reshape(tensor.shape))


def as_layer(tensor: Affine) -> Layer:
    """A layer that computes the tensor, flattened row-major."""
    sources = tuple(sorted(tensor.terms))
    return Layer(sources, tuple(explicit(tensor.terms[source]) for source in sources), tensor.offset)
