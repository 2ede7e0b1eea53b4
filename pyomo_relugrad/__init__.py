"""Optimise over trained ReLU networks inside Pyomo models, on open solvers."""

from pyomo_relugrad.network import Network
from pyomo_relugrad.version import __version__

__all__ = ["Network", "__version__"]
