"""Optimise over trained ReLU networks inside Pyomo models, on open solvers."""

from pyomo_relugrad import plugins
from pyomo_relugrad.block import ReluNetworkBlock
from pyomo_relugrad.counterexample import find_counterexample
from pyomo_relugrad.data_hull import DataHull
from pyomo_relugrad.frameworks import load_keras, load_sklearn, load_torch
from pyomo_relugrad.network import Network
from pyomo_relugrad.onnx_reader import load_onnx
from pyomo_relugrad.search import maximize, minimize
from pyomo_relugrad.version import __version__
from pyomo_relugrad.vnnlib import load_vnnlib

__all__ = [
    "DataHull",
    "Network",
    "ReluNetworkBlock",
    "__version__",
    "find_counterexample",
    "load_keras",
    "load_onnx",
    "load_sklearn",
    "load_torch",
    "load_vnnlib",
    "maximize",
    "minimize",
]

plugins.load()
