"""Trained networks as functions of arrays. Knows NumPy and SciPy and nothing else."""

from pyomo_relugrad.network.bounds import PreactivationBounds, interval_bounds
from pyomo_relugrad.network.choices import Choice
from pyomo_relugrad.network.crown import CrownBounds, crown_bounds
from pyomo_relugrad.network.layer import Layer, TensorSpec
from pyomo_relugrad.network.network import Network
from pyomo_relugrad.network.region import Facets, LinearRegion
from pyomo_relugrad.network.simplify import prune_weights, rescale_neurons, without_stable_neurons
from pyomo_relugrad.network.statistics import NetworkStatistics, network_statistics

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
