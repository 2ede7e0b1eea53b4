"""Small dense layers of ReLUs one after the other: values and gradients without what the sweeps keep books of."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pyomo_relugrad.arrays import Array
from pyomo_relugrad.network.activations import RELU
from pyomo_relugrad.network.layer import Layer

#: Entries of a matrix up to which the sweeps' own work, a quarter to a third of a step with 32 neurons a layer, counts.
MAX_ENTRIES = 2**16


class ReluChain:
    """Dense layers in float32, in which points descend; each reads the one before.

    Parameters
    ----------
    layers : sequence of Layer
        Such as `of` takes.
    """

    def __init__(self, layers: Sequence[Layer]) -> None:
        self._layers = [(np.ascontiguousarray(own.weights[0].T), own.weights[0], own.bias) for own in layers]

    @classmethod
    def of(cls, layers: Sequence[Layer]) -> ReluChain | None:
        """The layers as a chain, None where they are none, or large, or there is no hidden one."""
        is_chain = len(layers) > 1 and all(
            layer.sources == (index,)
            and isinstance(layer.weights[0], np.ndarray)
            and layer.weights[0].dtype == np.float32
            and layer.weights[0].size <= MAX_ENTRIES
            and (layer.activation == RELU or index == len(layers) - 1)
            for index, layer in enumerate(layers)
        )
        return cls(layers) if is_chain else None

    def value(self, X: Array) -> Array:
        """Outputs (B, n_outputs)."""
        return self._outputs(self._hidden(X)[-1])

    def value_and_gradient(self, X: Array, seeds: Array) -> tuple[Array, Array]:
        """Outputs (B, n_outputs), and gradients (B, n_inputs) of ``seeds @ outputs``, seeds (1 or B, n_outputs)."""
        hidden = self._hidden(X)
        gradient = seeds.dot(self._layers[-1][1])
        for values, (_, weight, _) in zip(reversed(hidden), reversed(self._layers[:-1]), strict=True):
            gradient = (gradient * (values > 0)).dot(weight)
        return self._outputs(hidden[-1]), gradient

    def _hidden(self, X: Array) -> list[Array]:
        """The activations (B, n_k) of the hidden layers."""
        values, found = X, []
        for transposed, _, bias in self._layers[:-1]:
            values = values.dot(transposed)
            values += bias
            np.maximum(values, 0, out=values)
            found.append(values)
        return found

    def _outputs(self, values: Array) -> Array:
        transposed, _, bias = self._layers[-1]
        return np.asarray(values.dot(transposed) + bias)
