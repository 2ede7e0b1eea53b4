"""Trained networks as functions of arrays. Knows NumPy and SciPy and nothing else."""

from pyomo_relugrad.network.activations import RELU, Activation
from pyomo_relugrad.network.bounds import CrownBounds, PreactivationBounds, crown_bounds, interval_bounds
from pyomo_relugrad.network.building import prune_weights, rescale_neurons, without_stable_neurons
from pyomo_relugrad.network.choices import Choice, column_names, decoded, encoded, spread
from pyomo_relugrad.network.device import Device, weights_on
from pyomo_relugrad.network.layer import Layer, TensorSpec
from pyomo_relugrad.network.layered import LayeredFunction
from pyomo_relugrad.network.names import by_name, checked_names, keyed, order_by_name, rows_by_name
from pyomo_relugrad.network.network import Network, input_box
from pyomo_relugrad.network.region import CONSTANT_ROW_TOLERANCE, Facets, LinearRegion, by_layer
from pyomo_relugrad.network.statistics import (
    NetworkStatistics,
    StabilityStatistics,
    count_regions,
    network_statistics,
    stability_statistics,
)

#: Public, and described in the reference.
__all__ = [
    "Choice",
    "CrownBounds",
    "Facets",
    "Layer",
    "LinearRegion",
    "Network",
    "NetworkStatistics",
    "PreactivationBounds",
    "TensorSpec",
    "crown_bounds",
    "interval_bounds",
    "network_statistics",
    "prune_weights",
    "rescale_neurons",
    "without_stable_neurons",
]
