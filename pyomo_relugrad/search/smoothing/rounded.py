"""Networks whose ReLUs are rounded off at their kinks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pyomo_relugrad.arrays import Array
from pyomo_relugrad.network import Layer, Network
from pyomo_relugrad.network.curves import Curve

#: Second derivative of a rounded ReLU where it is neither zero nor the identity.
CURVATURE = 0.5


@dataclass(frozen=True)
class RoundedRelu(Curve):
    """A ReLU that is a parabola between -1 and 1."""

    is_nonnegative = True

    def value(self, z: Array) -> Array:
        """Activations at pre-activations of any shape."""
        return self.value_and_slope(z)[0]

    def value_and_slope(self, z: Array) -> tuple[Array, Array]:
        """Activations and derivatives."""
        slope = np.clip(0.5 * z + 0.5, 0.0, 1.0)
        return slope * slope + np.maximum(z - 1.0, 0.0), slope


ROUNDED_RELU = RoundedRelu()


def rounded(network: Network, widths: Sequence[Array]) -> Network:
    """The network with each of its ReLUs rounded off at the distance from zero that `widths` has for it.

    Parameters
    ----------
    network : Network
        Piecewise linear.
    widths : sequence of (n_k,) arrays
        Positive, one array for each hidden layer. Neurons are measured in these units.
    """
    layers = []
    for layer, own in zip(network.layers, [*widths, np.ones(network.n_outputs)], strict=True):
        weights = tuple(
            (weight * widths[source - 1] if source else weight) / own[:, None] for source, weight in layer.terms
        )
        layers.append(Layer(layer.sources, weights, layer.bias / own, ROUNDED_RELU))
    return Network(network.n_inputs, tuple(layers))
