"""Optimize over trained ReLU networks inside Pyomo models, on open solvers."""

from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from pyomo_relugrad.modeling import plugins
from pyomo_relugrad.version import __version__

if TYPE_CHECKING:
    from pyomo_relugrad.learning import Ensemble, conformal_margin
    from pyomo_relugrad.modeling.block import ReluNetworkBlock
    from pyomo_relugrad.modeling.data_hull import DataHull
    from pyomo_relugrad.modeling.start import solve_from_start
    from pyomo_relugrad.network import Network
    from pyomo_relugrad.readers.frameworks import load_keras, load_sklearn, load_torch
    from pyomo_relugrad.readers.onnx import load_onnx
    from pyomo_relugrad.readers.sources import load_network
    from pyomo_relugrad.readers.vnnlib import load_vnnlib
    from pyomo_relugrad.solve import find_counterexample, maximize, minimize, verify

__all__ = [
    "DataHull",
    "Ensemble",
    "Network",
    "ReluNetworkBlock",
    "__version__",
    "conformal_margin",
    "find_counterexample",
    "load_keras",
    "load_network",
    "load_onnx",
    "load_sklearn",
    "load_torch",
    "load_vnnlib",
    "maximize",
    "minimize",
    "solve_from_start",
    "verify",
]

#: The module of each public name. It is imported when the name is first used: ONNX, OMLT and SciPy take a second.
_MODULES = {
    "DataHull": "modeling.data_hull",
    "Ensemble": "learning",
    "Network": "network",
    "ReluNetworkBlock": "modeling.block",
    "conformal_margin": "learning",
    "find_counterexample": "solve.verdicts.counterexample",
    "load_keras": "readers.frameworks",
    "load_network": "readers.sources",
    "load_onnx": "readers.onnx",
    "load_sklearn": "readers.frameworks",
    "load_torch": "readers.frameworks",
    "load_vnnlib": "readers.vnnlib",
    "maximize": "solve",
    "minimize": "solve",
    "solve_from_start": "modeling.start",
    "verify": "solve.verdicts.verification",
}


def __getattr__(name: str) -> Any:
    """Import what is asked for: a public name, or a module of the package."""
    if name in _MODULES:
        value = getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
        globals()[name] = value
        return value
    if name.startswith("_") or find_spec(f"{__name__}.{name}") is None:
        raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
    return import_module(f"{__name__}.{name}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


plugins.load()
