"""The hidden layers of the network that is being read, in the order in which they are met."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from pyomo_relugrad.errors import NetworkFileError
from pyomo_relugrad.network import Layer
from pyomo_relugrad.onnx_reader.affine import Affine
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
        self._entries += tensor.entry_count + tensor.size
        if self._entries > MAX_ENTRIES:
            raise NetworkFileError(f"the network needs more than {MAX_ENTRIES:.3g} stored weights")
        self.layers.append(as_layer(tensor))
        return Affine.variable(len(self.layers), tensor.shape)


def as_layer(tensor: Affine) -> Layer:
    """A layer that computes the tensor, flattened row-major."""
    sources = tuple(sorted(tensor.terms))
    return Layer(sources, tuple(explicit(tensor.terms[source]) for source in sources), tensor.offset)
