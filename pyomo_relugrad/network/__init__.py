"""Trained networks as functions of arrays. Knows NumPy and SciPy and nothing else."""

from pyomo_relugrad.network.network import Layer, Network, TensorSpec
from pyomo_relugrad.network.region import Facets, LinearRegion, RegionProgram

__all__ = ["Facets", "Layer", "LinearRegion", "Network", "RegionProgram", "TensorSpec"]
