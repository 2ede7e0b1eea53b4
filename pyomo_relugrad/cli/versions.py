"""Versions of what a run depends on, for reports of bugs."""

import os
import platform
from importlib.metadata import PackageNotFoundError, version

from pyomo_relugrad.version import __version__

#: Distributions that the package needs, and those that it uses where they are installed.
NEEDED = ("pyomo", "omlt", "onnx", "onnxruntime", "numpy", "scipy", "highspy", "threadpoolctl")
USED = (
    "scikit-learn",
    "skl2onnx",
    "pandas",
    "torch",
    "onnxscript",
    "keras",
    "tensorflow",
    "jax",
    "tf2onnx",
    "jax2onnx",
    "array-api-compat",
    "cupy",
    "dask",
    "mpi4py",
    "pyscipopt",
    "matplotlib",
)


def version_report() -> str:
    """Versions, system and number of cores, a line each; nothing is imported."""
    lines = [f"pyomo_relugrad {__version__}", f"python {platform.python_version()}"]
    lines += [f"{name} {_version(name) or 'is missing'}" for name in NEEDED]
    lines += [f"{name} {found}" for name in USED if (found := _version(name))]
    return "\n".join([*lines, f"{platform.platform()}, {os.cpu_count()} cores"])


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return ""
