"""Trained networks as functions of arrays. Knows NumPy and SciPy and nothing else."""

from pyomo_relugrad.network.bounds import PreactivationBounds, interval_bounds
from pyomo_relugrad.network.crown import CrownBounds, crown_bounds
from pyomo_relugrad.network.layer import Layer, TensorSpec
from pyomo_relugrad.network.network import Network
from pyomo_relugrad.network.region import Facets, LinearRegion, RegionProgram

__all__ = [
    "CrownBounds",
    "Facets",
    "Layer",
    "LinearRegion",
    "Network",
    "PreactivationBounds",
    "RegionProgram",
    "TensorSpec",
    "crown_bounds",
    "interval_bounds",
]
